"""The samples of a store: their keys and values in the LMDB, and the sequences that read them.

Keys count from 1: ``num-samples``, and per sample ``image-%09d`` (PGM, grey), ``label-%09d`` (UTF-8),
``glyphs-%09d`` (PNG of the character mask), ``meta-%09d`` (JSON of the origin), ``lines-%09d`` (JSON of the
lines of a whole picture). ``about`` records how the store was made.
"""

import hashlib
import json
from abc import abstractmethod
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import Any, Self, overload
from weakref import WeakValueDictionary

import cv2
import lmdb
import numpy as np

from serialread.codes import Alphabet, without_blanks
from serialread.datasets.manifests import Manifest, manifest_path, read_manifest
from serialread.errors import StoreError
from serialread.records import Origin, Pixels, Sample, SceneLine

Entries = list[tuple[bytes, bytes]]
"""Keys and values, in the order they are written."""

COUNT_KEY = b"num-samples"
ABOUT_KEY = b"about"
PARTS = ("image", "label", "glyphs", "meta", "lines")
"""Parts of a sample, the beginnings of its keys."""
MAX_OPEN = 256
"""Shards of one manifest that are open at once: each takes a file handle."""
_PNG = [
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP),
]

# LMDB refuses to open a store twice in one process: sequences over the same store share one environment.
_open_environments: WeakValueDictionary[Path, Any] = WeakValueDictionary()


def is_store(path: Path) -> bool:
    """Whether a path names a sample store: the folder of an LMDB, or a manifest of shards or its folder."""
    return (path / "data.mdb").is_file() or manifest_path(path) is not None


class SampleSequence(Sequence[Sample]):
    """Samples that are made or read on access; a subclass gives the length and ``_sample``."""

    @abstractmethod
    def _sample(self, number: int) -> Sample:
        """Sample ``number``, 0 to length - 1."""

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        numbers = range(len(self))[index]
        if isinstance(numbers, range):
            return [self._sample(number) for number in numbers]
        return self._sample(numbers)


class SampleStore(SampleSequence):
    """The samples of a store on disk, numbered from 0; any number of processes may read at once.

    A store is one LMDB, or the shards that a manifest names. It is opened at first use, so that the object
    can be passed to worker processes. It is closed at the end of a ``with`` block, by ``close``, or when the
    object is garbage-collected. LMDBs that other programs wrote with the same keys open too: their samples
    have no masks and no origin.

    Example:
        >>> with SampleStore("stores/marks") as store:
        ...     print(len(store), store[0].text, store[0].pixels.shape)

    Args:
        path: the store's folder, or a manifest.

    Raises:
        StoreError: at first use, if the folder holds no readable store; on access, if a sample is broken.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._environment: Any = None
        self._shards: _Shards | None = None
        self._count = 0

    def __len__(self) -> int:
        self._open()
        return self._count

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the store's files; the next access opens them again."""
        self._environment = self._shards = None  # an environment closes with its last reference
        self._count = 0

    @property
    def about(self) -> dict[str, Any]:
        """How the store was made: recipe, seed, count, typefaces, complete or not; {} if unknown."""
        self._open()
        if self._shards is not None:
            return self._shards.manifest.about
        with self._environment.begin() as transaction:
            return dict(json.loads(transaction.get(ABOUT_KEY) or b"{}"))

    @property
    def manifest(self) -> Manifest | None:
        """The manifest of its shards; None of a single LMDB."""
        self._open()
        return None if self._shards is None else self._shards.manifest

    def parts(self, number: int) -> dict[str, bytes]:
        """The values of a sample as they are stored, by the names of ``PARTS``."""
        self._open()
        if self._shards is not None:
            store, number = self._shards.place(number)
            return store.parts(number)
        with self._environment.begin() as transaction:
            found = {name: transaction.get(key(name, number)) for name in PARTS}
        return {name: value for name, value in found.items() if value is not None}

    def digest(self) -> str:
        """SHA-256 of the keys and values of one LMDB, in their order; without ``about``."""
        self._open()
        found = hashlib.sha256()
        with self._environment.begin() as transaction:
            for name, value in transaction.cursor():
                if name != ABOUT_KEY:
                    found.update(b"%d %d " % (len(name), len(value)) + name)
                    found.update(value)
        return found.hexdigest()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_environment": None, "_shards": None, "_count": 0}

    def _sample(self, number: int) -> Sample:
        self._open()
        if self._shards is not None:
            store, number = self._shards.place(number)
            return store[number]
        try:
            with self._environment.begin() as transaction:
                return decode_sample(transaction.get, number)
        except (ValueError, KeyError, TypeError, lmdb.Error) as error:
            raise StoreError(
                f"{self.path}: sample {number} is broken: {error}. Generate the store again."
            ) from None

    def _open(self) -> None:
        if self._environment is not None or self._shards is not None:
            return
        if found := manifest_path(self.path):
            self._shards = _Shards(read_manifest(found))
            self._count = self._shards.manifest.count
        else:
            environment = _environment(self.path)
            self._count = _counted(environment, self.path)
            self._environment = environment


class _Shards:
    """The stores of a manifest, opened where they are needed; the least recently used are closed."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self._ends = list(accumulate(shard.count for shard in manifest.shards))
        self._open: OrderedDict[int, SampleStore] = OrderedDict()

    def place(self, number: int) -> tuple[SampleStore, int]:
        """The shard of a sample, and the sample's number in it."""
        shard = bisect_right(self._ends, number)
        entry = self.manifest.shards[shard]
        if shard not in self._open:
            self._open[shard] = SampleStore(self.manifest.folder / entry.path)
            if len(self._open) > MAX_OPEN:
                self._open.popitem(last=False)
        self._open.move_to_end(shard)
        return self._open[shard], number - (self._ends[shard] - entry.count)


class ConcatenatedSamples(SampleSequence):
    """Several sequences of samples as one."""

    def __init__(self, parts: Sequence[Sequence[Sample]]) -> None:
        self.parts = tuple(parts)
        self.ends = list(accumulate(len(part) for part in self.parts))

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def _sample(self, number: int) -> Sample:
        part = bisect_right(self.ends, number)
        return self.parts[part][number - (self.ends[part] - len(self.parts[part]))]


class LowercaseSamples(SampleSequence):
    """Samples in lower case, without the characters that an alphabet lacks."""

    def __init__(self, samples: Sequence[Sample], alphabet: Alphabet) -> None:
        self.samples, self.alphabet = samples, alphabet

    def __len__(self) -> int:
        return len(self.samples)

    def _sample(self, number: int) -> Sample:
        return to_lowercase(self.samples[number], self.alphabet)


def to_lowercase(sample: Sample, alphabet: Alphabet) -> Sample:
    """One sample in lower case, without the characters that the alphabet lacks.

    The label loses these characters; in the masks they become background.
    """
    kept = [char in alphabet.chars for char in sample.text.lower()]
    text = "".join(char for char, keep in zip(sample.text.lower(), kept, strict=True) if keep)
    if sample.glyphs is None:
        return Sample(sample.pixels, text, None, sample.origin)
    renumbered = np.zeros(256, np.uint8)
    renumbered[1 : len(kept) + 1] = np.cumsum(kept) * kept
    return Sample(sample.pixels, text, renumbered[sample.glyphs], sample.origin)


def key(name: str, index: int) -> bytes:
    """The key of a sample's part; ``index`` counts from 0, the key from 1."""
    return f"{name}-{index + 1:09d}".encode()


def encode_sample(sample: Sample, index: int) -> Entries:
    """A sample's keys and values; the same sample gives the same bytes on any machine."""
    entries = [(key("image", index), _pgm(sample.pixels)), (key("label", index), sample.text.encode())]
    if sample.glyphs is not None:
        entries.append((key("glyphs", index), _png(sample.glyphs)))
    if sample.origin is not None:
        entries.append((key("meta", index), _origin_json(sample.origin)))
    if sample.lines is not None:
        entries.append((key("lines", index), _lines_json(sample.lines)))
    return entries


def decode_sample(get: Callable[[bytes], bytes | None], index: int) -> Sample:
    """Read a sample through ``get``; masks and origin may be missing.

    Raises:
        ValueError: what is wrong with it.
    """
    image, label = get(key("image", index)), get(key("label", index))
    if image is None or label is None:
        raise ValueError("its picture or its label is missing")
    glyphs, meta, lines = (get(key(part, index)) for part in PARTS[2:])
    return Sample(
        pixels=_pixels(image),
        text=without_blanks(label.decode()),
        glyphs=None if glyphs is None else _pixels(glyphs),
        origin=None if meta is None else _origin(json.loads(meta)),
        lines=None if lines is None else tuple(_line(one) for one in json.loads(lines)),
    )


def _pgm(pixels: Pixels) -> bytes:
    # A crop is mostly noise: PNG takes 80 µs to make it a quarter smaller, plain grey 2 µs. Every decoder of
    # pictures knows both.
    return b"P5 %d %d 255\n" % pixels.shape[::-1] + pixels.tobytes()


def _png(pixels: Pixels) -> bytes:
    # Masks are runs: run-length coding alone packs them smaller and faster, with one filter for all rows.
    return cv2.imencode(".png", pixels, _PNG)[1].tobytes()


def _pixels(value: bytes) -> Pixels:
    pixels = cv2.imdecode(np.frombuffer(value, np.uint8), cv2.IMREAD_GRAYSCALE) if value else None
    if pixels is None:
        raise ValueError("its picture cannot be decoded")
    return pixels.astype(np.uint8, copy=False)


def _origin_json(origin: Origin) -> bytes:
    table = {
        "process": origin.process,
        "typeface": origin.typeface,
        "boxes": [[float(edge) for edge in box] for box in origin.boxes],
        "parameters": dict(origin.parameters),
    }
    return json.dumps(table, ensure_ascii=False).encode()


def _origin(table: dict[str, Any]) -> Origin:
    boxes = tuple((float(x0), float(y0), float(x1), float(y1)) for x0, y0, x1, y1 in table["boxes"])
    return Origin(table["process"], table["typeface"], boxes, table["parameters"])


def _lines_json(lines: tuple[SceneLine, ...]) -> bytes:
    return json.dumps([asdict(line) for line in lines], ensure_ascii=False).encode()


def _line(table: dict[str, Any]) -> SceneLine:
    cells = tuple(tuple((float(x), float(y)) for x, y in cell) for cell in table["cells"])
    return SceneLine(table["text"], table["process"], table["typeface"], cells, table["legible"])


def _environment(path: Path) -> Any:
    if not (path / "data.mdb").is_file():
        raise StoreError(
            f"{path}: no sample store here. Make one: serialread generate-synth RECIPE --out {path}"
        )
    place = path.resolve()
    environment = _open_environments.get(place)
    if environment is None:
        try:
            environment = lmdb.open(str(path), readonly=True, lock=False, readahead=False, meminit=False)
        except lmdb.Error as error:
            raise StoreError(
                f"{path}: cannot be opened as a sample store: {error}. Generate it again."
            ) from None
        _open_environments[place] = environment
    return environment


def _counted(environment: Any, path: Path) -> int:
    try:
        with environment.begin() as transaction:
            value = transaction.get(COUNT_KEY)
    except lmdb.Error as error:
        raise StoreError(f"{path}: cannot be read as a sample store: {error}. Generate it again.") from None
    if value is None or not value.isdigit():
        raise StoreError(f"{path}: an LMDB, but not of samples (no num-samples in it). Name a sample store.")
    if int(value) == 0:
        raise StoreError(
            f"{path}: no samples in it yet. Finish it: serialread generate-synth RECIPE --out {path} --resume"
        )
    return int(value)
