"""Checking a store before training: statistics of its samples, and every defective sample."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from serialread.codes import CTC_CAPACITY, PRINTABLE, REJECT
from serialread.datasets.sample_store import SampleStore
from serialread.errors import StoreError
from serialread.records import Pixels, Sample, SceneLine

BLANK_RANGE = 3 / 255
"""Range of grey below which a picture is blank."""
_SHOWN = 20  # problems that the text names; all are in ``problems``


@dataclass(frozen=True, slots=True)
class Problem:
    """One defect of one sample, counted from 0."""

    index: int
    what: str


@dataclass(slots=True)
class StoreReport:
    """Statistics and defects of a store, counted sample by sample.

    Attributes:
        samples: number of samples checked so far.
        problems: defects, in the order of the samples.
        lengths, chars, kinds, processes, typefaces: how often each occurs; kinds are those of a recipe's mix.
        masked: samples with masks.
        contrasts: spread of grey of every picture, 5th to 95th percentile, 0..1.
        visibilities: of the weakest character, of every sample that records it.
    """

    samples: int = 0
    problems: list[Problem] = field(default_factory=list)
    lengths: Counter[int] = field(default_factory=Counter)
    chars: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    processes: Counter[str] = field(default_factory=Counter)
    typefaces: Counter[str] = field(default_factory=Counter)
    masked: int = 0
    contrasts: list[float] = field(default_factory=list)
    visibilities: list[float] = field(default_factory=list)
    _pictures: dict[bytes, int] = field(default_factory=dict, repr=False)

    def check(self, store: SampleStore) -> Iterator[int]:
        """Check every sample; yield how many have been checked."""
        for index in range(len(store)):
            try:
                self._count(index, store[index])
            except StoreError as error:
                what = str(error).partition("is broken: ")[2].partition(". Generate")[0]
                self.problems.append(Problem(index, what or str(error)))
            self.samples += 1
            yield self.samples
        self.problems += _altered_shards(store)

    def to_text(self) -> str:
        """A summary: counts, quantiles of contrast and visibility, and the first problems by index."""
        known = len(self.chars.keys() & set(PRINTABLE))
        lines = [
            f"samples      {self.samples}, {self.masked} with masks",
            f"lengths      {_spans(self.lengths)}",
            f"characters   {known} of {len(PRINTABLE)}, rarest {_rarest(self.chars)}",
            *([f"kinds        {_shares(self.kinds)}"] if self.kinds else []),
            f"processes    {_shares(self.processes)}",
            f"typefaces    {len(self.typefaces)}",
            f"contrast     {_quantiles(self.contrasts)}",
            f"visibility   {_quantiles(self.visibilities)}",
            f"problems     {len(self.problems)}",
        ]
        lines += [f"  sample {p.index}: {p.what}" for p in self.problems[:_SHOWN]]
        if len(self.problems) > _SHOWN:
            lines.append(f"  and {len(self.problems) - _SHOWN} more")
        return "\n".join(lines)

    def _count(self, index: int, sample: Sample) -> None:
        texts = [sample.text] if sample.lines is None else [line.text for line in sample.lines]
        self.lengths.update(map(len, texts))
        self.chars.update("".join(texts))
        low, high = np.percentile(sample.pixels, (5, 95))
        self.contrasts.append(float(high - low) / 255)
        if sample.glyphs is not None:
            self.masked += 1
        for line in sample.lines or ():
            self.processes[line.process] += 1
            self.typefaces[line.typeface] += 1
        if sample.origin is not None:
            if "kind" in sample.origin.parameters:
                self.kinds[str(sample.origin.parameters["kind"])] += 1
            if sample.lines is None:
                self.processes[sample.origin.process] += 1
                self.typefaces[sample.origin.typeface] += 1
            if "visibility" in sample.origin.parameters:
                self.visibilities.append(float(sample.origin.parameters["visibility"]))
        self.problems += [Problem(index, what) for what in self._wrong(index, sample)]

    def _wrong(self, index: int, sample: Sample) -> Iterator[str]:
        if sample.lines is not None:
            yield from _wrong_lines(sample, sample.lines)
        elif sample.origin is not None and sample.origin.parameters.get("bare"):
            if sample.text:
                yield "it shows no code, its label is not empty"
        else:
            yield from _wrong_label(sample.text)
        if int(np.ptp(sample.pixels)) / 255 < BLANK_RANGE:
            yield "its picture is blank"
        first = self._pictures.setdefault(_hash(sample.pixels), index)
        if first != index:
            yield f"its picture is that of sample {first}"
        if sample.glyphs is not None and sample.glyphs.shape != sample.pixels.shape:
            yield f"its masks have the size {sample.glyphs.shape}, its picture {sample.pixels.shape}"
        elif sample.glyphs is not None and int(sample.glyphs.max()) > len(sample.text):
            yield f"its masks count {int(sample.glyphs.max())} characters, its label {len(sample.text)}"
        if sample.origin is not None and len(sample.origin.boxes) not in (0, len(sample.text)):
            yield f"it has {len(sample.origin.boxes)} boxes for {len(sample.text)} characters"


def _altered_shards(store: SampleStore) -> Iterator[Problem]:
    """Shards of a manifest that hold other samples than it says, by their first sample."""
    first, manifest = 0, store.manifest
    if manifest is None:
        return
    for shard in manifest.shards:
        try:
            with SampleStore(manifest.folder / shard.path) as part:
                if len(part) != shard.count:
                    yield Problem(first, f"shard {shard.path} has {len(part)} samples, not {shard.count}")
                elif part.digest() != shard.sha256:
                    yield Problem(first, f"shard {shard.path} has other bytes than the manifest says")
        except StoreError as error:
            yield Problem(first, f"shard {shard.path} cannot be read: {error}")
        first += shard.count


def _wrong_label(text: str) -> Iterator[str]:
    if not text:
        yield "its label is empty"
    if len(text) > CTC_CAPACITY:
        yield f"its label has {len(text)} characters, more than {CTC_CAPACITY}"
    if foreign := sorted(set(text) - set(PRINTABLE) - {REJECT}):
        yield f"its label holds {', '.join(map(repr, foreign))}, neither printable ASCII nor U+FFFD"


def _wrong_lines(sample: Sample, lines: tuple[SceneLine, ...]) -> Iterator[str]:
    """Defects of the lines of a whole picture, numbered from 0."""
    size = np.array(sample.pixels.shape[::-1])
    for number, line in enumerate(lines):
        yield from (f"line {number}: {what}" for what in _wrong_label(line.text))
        corners = np.array(line.cells).reshape(-1, 2)
        if len(line.cells) != len(line.text):
            yield f"line {number}: it has {len(line.cells)} cells for {len(line.text)} characters"
        elif (corners.max(0) < 0).any() or (corners.min(0) > size).any():
            yield f"line {number}: it lies outside the picture"


def _hash(pixels: Pixels) -> bytes:
    return hashlib.blake2b(repr(pixels.shape).encode() + pixels.tobytes(), digest_size=16).digest()


def _spans(lengths: Counter[int]) -> str:
    if not lengths:
        return "-"
    mean = sum(n * times for n, times in lengths.items()) / lengths.total()
    return f"{min(lengths)} to {max(lengths)}, mean {mean:.1f}"


def _rarest(chars: Counter[str]) -> str:
    return " ".join(f"{char} {times}" for char, times in reversed(chars.most_common()[-6:])) or "-"


def _shares(counted: Counter[str]) -> str:
    total = max(counted.total(), 1)
    return ", ".join(f"{name} {times / total:.1%}" for name, times in counted.most_common()) or "-"


def _quantiles(values: list[float]) -> str:
    if not values:
        return "not recorded"
    five, half, most = np.percentile(values, (5, 50, 95))
    return f"5 % below {five:.2f}, half below {half:.2f}, 95 % below {most:.2f}"
