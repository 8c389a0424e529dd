"""Importing labelled pictures: from a table, an LMDB or boxes in photographs."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import lmdb
import numpy as np
from numpy.typing import NDArray

from serialread.codes import CTC_CAPACITY, PRINTABLE, without_blanks
from serialread.datasets.sample_store import COUNT_KEY, key
from serialread.errors import ImageError, StoreError
from serialread.imaging.loading import PICTURE_SUFFIXES, decode_image, load_image
from serialread.label_tables import read_labels
from serialread.records import Pixels, Sample

ILLEGIBLE = frozenset(("", "#", "##", "###", "*"))
"""Transcriptions of illegible text."""
_VERTICAL = 1.5  # height over width from which a text of several characters is vertical

Quad = NDArray[np.float32]


@dataclass(slots=True)
class ImportSource:
    """A labelled collection, read once; ``left_out`` counts the reasons why items gave no sample.

    Attributes:
        path: a folder with a labels.csv (columns filename, text; pictures next to it or in images/), an
            LMDB of samples, or a folder of photographs, each with a text file of four-point boxes
            (``x1,y1,..,x4,y4,transcription``, named as the picture or with a leading ``gt_``), beside it, or
            elsewhere below if no other picture has its name.
        left_out: reasons and their counts.
    """

    path: Path
    left_out: Counter[str] = field(default_factory=Counter)

    def samples(self) -> Iterator[Sample]:
        """Every readable, legible sample, in the source's order.

        Raises:
            StoreError: the folder holds no labelled pictures.
            RecordsError: its labels.csv cannot be used.
        """
        if (self.path / "data.mdb").is_file():
            return self._from_lmdb()
        if (self.path / "labels.csv").is_file():
            return self._from_table(self.path / "labels.csv")
        if boxed := _with_boxes(self.path):
            return self._from_boxes(boxed)
        raise StoreError(
            f"{self.path}: no labels.csv, no LMDB and no pictures with text files of boxes. "
            "Name a folder that holds one of them."
        )

    def _from_table(self, table: Path) -> Iterator[Sample]:
        for name, text in read_labels(table).pairs():
            places = (self.path / name, self.path / "images" / name)
            picture = next((p for p in places if p.is_file()), places[0])
            yield from self._kept(text, partial(_opened, picture))

    def _from_lmdb(self) -> Iterator[Sample]:
        try:
            with (
                lmdb.open(str(self.path), readonly=True, lock=False, readahead=False) as environment,
                environment.begin() as transaction,
            ):
                for index in range(int(transaction.get(COUNT_KEY) or b"0")):
                    yield from self._of_key(transaction.get, index)
        except (lmdb.Error, ValueError) as error:
            raise StoreError(
                f"{self.path}: cannot be read as an LMDB of samples: {error}. Copy it again."
            ) from None

    def _of_key(self, get: Callable[[bytes], Any], index: int) -> Iterator[Sample]:
        image, label = get(key("image", index)), get(key("label", index))
        if image is None or label is None:
            self.left_out["picture or label missing"] += 1
            return
        text = bytes(label).decode("utf-8", "replace")
        yield from self._kept(text, partial(_decoded, bytes(image)))

    def _from_boxes(self, boxed: list[tuple[Path, Path]]) -> Iterator[Sample]:
        # all files of boxes are read first, so that an error in one stops before anything is written
        for picture, found in [(picture, list(_boxes(boxes))) for picture, boxes in boxed]:
            try:
                whole = _opened(picture)
            except ImageError:
                self.left_out["picture unreadable"] += len(found)
                continue
            for quad, text in found:
                yield from self._kept(text, partial(cut, whole, quad, len(without_blanks(text))))

    def _kept(self, text: str, picture: Callable[[], Pixels]) -> Iterator[Sample]:
        """The sample, unless its label is unfit for training or its picture cannot be opened."""
        label = without_blanks(text)
        if reason := _unfit(label):
            self.left_out[reason] += 1
            return
        try:
            yield Sample(picture(), label)
        except ImageError:
            self.left_out["picture unreadable"] += 1


def cut(whole: Pixels, quad: Quad, length: int) -> Pixels:
    """Cut out and rectify a quadrilateral; rotate vertical text of several characters.

    Args:
        whole: grey, uint8 [rows, columns].
        quad: corners [4, 2], (x, y) in its px, clockwise from the text's top-left.
        length: characters in it.

    Raises:
        ImageError: the region has no area.
    """
    sides = np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1)
    width, height = round(float(max(sides[0], sides[2]))), round(float(max(sides[1], sides[3])))
    if min(width, height) < 2:
        raise ImageError("a box without area. Correct its corners.")
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(quad.astype(np.float32), corners)
    crop = cv2.warpPerspective(
        whole, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    if height > _VERTICAL * width and length > 1:
        crop = cv2.rotate(crop, cv2.ROTATE_90_COUNTERCLOCKWISE)
    return np.asarray(crop, np.uint8)


def _unfit(label: str) -> str:
    """Why a label gives no sample; "" if it does."""
    if label in ILLEGIBLE:
        return "illegible"
    if len(label) > CTC_CAPACITY:
        return f"longer than {CTC_CAPACITY} characters"
    return "" if set(label) <= set(PRINTABLE) else "characters outside printable ASCII"


def _with_boxes(folder: Path) -> list[tuple[Path, Path]]:
    """Pictures and their files of boxes, by name, in the folder and below.

    A file of boxes belongs to the picture beside it; where there is none, to the one picture of its name that
    has no file beside it.

    Raises:
        StoreError: the same name is that of several such files, or of pictures in several folders.
    """
    texts = {(path.parent, _box_stem(path)): path for path in sorted(folder.rglob("*.txt"))}
    pictures = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in PICTURE_SUFFIXES]
    beside = {(path.parent, path.stem) for path in pictures} & texts.keys()
    apart, lone = defaultdict[str, list[Path]](list), defaultdict[str, set[Path]](set)
    for place, path in texts.items():
        if place not in beside:
            apart[place[1]].append(path)
    for path in pictures:
        if (path.parent, path.stem) not in beside:
            lone[path.stem].add(path.parent)
    for stem in sorted(apart.keys() & lone.keys()):
        if len(apart[stem]) + len(lone[stem]) > 2:
            raise StoreError(
                f"{apart[stem][0]}: whose boxes it holds is not clear: several folders have a {stem}. "
                "Put every text file beside its picture."
            )
    near = {path: texts.get((path.parent, path.stem)) for path in pictures}
    found = {path: boxes or next(iter(apart[path.stem]), None) for path, boxes in near.items()}
    return [(path, boxes) for path, boxes in found.items() if boxes]


def _box_stem(path: Path) -> str:
    """Name of the picture that a file of boxes belongs to, without its ending."""
    return path.stem.removeprefix("gt_")


def _boxes(path: Path) -> Iterator[tuple[Quad, str]]:
    """Corners and transcription of every line of a file of boxes.

    Raises:
        StoreError: a line is not eight numbers and a text.
    """
    for number, line in enumerate(
        path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), start=1
    ):
        if not line.strip():
            continue
        *edges, text = line.split(",", 8)
        try:
            quad = np.array([float(edge) for edge in edges], np.float32).reshape(4, 2)
        except ValueError:
            raise StoreError(
                f"{path}, line {number}: not eight numbers and a text between commas. Correct it."
            ) from None
        yield quad, text


def _opened(path: Path) -> Pixels:
    return _grey(load_image(path).pixels)


def _decoded(data: bytes) -> Pixels:
    return _grey(decode_image(data)[0])


def _grey(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY) if pixels.ndim == 3 else pixels, np.uint8)
