"""Labelled pictures as crops of one line, divided by text into those to learn from and those held out."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rapidfuzz.distance import Indel, Levenshtein

from serialread import run_log
from serialread.calibration import LABELS, ProtocolName, labelled_codes, load_labelled
from serialread.codes import format_of
from serialread.config import Station, TrainingRecipe
from serialread.errors import ImageError, RecordsError, StoreError
from serialread.imaging import digest
from serialread.metrics import mpsc
from serialread.reader import Picture, Reader
from serialread.reader.pipeline import ReadLine
from serialread.reader.run_setups import RunSetup
from serialread.reader.serialization import JSON_LINES, RecordJson
from serialread.records import BarcodeCheck, Sample, Verdict
from serialread.weights import shipped_model

LEAST_LABELS = 20
"""Labelled pictures that a lesson needs."""
HELD_OUT = 0.3
"""Share of the texts that are not learned: they choose, gate and calibrate."""
LEAST_ALIKE = 0.34
"""Similarity with the label, 0..1, below which none of several lines in a picture is taken for the code."""
_CHECKED = re.compile(r"\(\?\w+:")
"""A part of a pattern with a check character."""


@dataclass(frozen=True, slots=True)
class LabelledLine:
    """A picture, and the crop of the line that its label names.

    Attributes:
        text: the label, without blanks; readings are compared with it.
        sample: the crop, and the text that it teaches: the label, or what completes it.
    """

    picture: Picture
    sha256: str
    text: str
    sample: Sample

    @property
    def code(self) -> str:
        """What pictures of one code have in common."""
        return code_of(self.text)


@dataclass(frozen=True, slots=True)
class LabelSource:
    """Labelled pictures of a folder, before they are cut.

    Attributes:
        table: the table of labels; the readings themselves for those that nobody labelled.
        station: of the run that read the pictures; None for a labelled folder.
        confirmed: labels are readings that a check character or a barcode confirms.
    """

    table: Path
    pictures: tuple[Picture, ...]
    texts: tuple[str, ...]
    station: Station | None = None
    confirmed: bool = False

    @classmethod
    def of(cls, folder: Path) -> "LabelSource":
        """The labels of a results folder, or of a folder of pictures with ``labels.csv``.

        Raises:
            RecordsError: no usable labels, or pictures of the results are gone.
            CalibrationError: a picture of a labelled folder is missing, or a picture has two codes.
        """
        if not (folder / JSON_LINES).is_file():
            known = load_labelled(folder)
            return cls(folder / LABELS, known.pictures, known.truths)
        written, _ = labelled_codes(folder / LABELS)
        run, lines = _run_of(folder)
        found = {line["image"]: (line, path) for line, path in _with_pictures(run, lines) if path is not None}
        missing = [name for name in written if name not in found]
        if missing:
            raise RecordsError(
                f"{folder / LABELS}: {missing[0]}: no such picture among the readings, or it has changed "
                f"since ({len(missing)} in all). Put the pictures back, or read them again."
            )
        pictures = tuple(Picture(found[name][1], name) for name in written)
        return cls(folder / LABELS, pictures, tuple(written.values()), run.station)

    @classmethod
    def confirmed_by(cls, folder: Path, labelled: "LabelSource") -> "LabelSource":
        """The readings of a results folder, not labelled, that a second witness confirms.

        Raises:
            RecordsError: not a results folder.
        """
        if not (folder / JSON_LINES).is_file():
            raise RecordsError(f"{folder}: no readings to confirm. Name a folder that serialread read wrote.")
        run, lines = _run_of(folder)
        known = {picture.image for picture in labelled.pictures}
        pattern = format_of(run.station.code.format).pattern if run.station.code.format else ""
        sure = [
            line
            for line in lines
            if line["image"] not in known and _is_confirmed(line, checked=bool(_CHECKED.search(pattern)))
        ]
        found = [(line["text"], Picture(p, line["image"])) for line, p in _with_pictures(run, sure) if p]
        texts, pictures = zip(*found, strict=True) if found else ((), ())
        return cls(folder / JSON_LINES, pictures, texts, run.station, confirmed=True)


def _is_confirmed(line: RecordJson, *, checked: bool) -> bool:
    """Whether a second witness says so: a check character, a barcode in the picture, or a second reader."""
    by_format = checked and line["verdict"] == Verdict.OBEYS and line["free_text"] in ("", line["text"])
    by_barcode = line["barcode_check"] == BarcodeCheck.AGREES
    return bool(line["text"]) and (by_format or by_barcode or line.get("second_text") == line["text"])


def _run_of(folder: Path) -> tuple[RunSetup, list[RecordJson]]:
    log = folder / run_log.LOG
    run = RunSetup.of(run_log.run_of(log, "read"), log, shipped_model())
    data = (folder / JSON_LINES).read_bytes()
    return run, [json.loads(line) for line in data.splitlines() if line.endswith(b"}")]


def _with_pictures(run: RunSetup, lines: Sequence[RecordJson]) -> Iterator[tuple[RecordJson, Path | None]]:
    for line in lines:
        yield line, run.find(line["image"], line["sha256"])


@dataclass(slots=True)
class LineCutter:
    """Cuts the labelled lines out of their pictures; ``left_out`` counts the reasons why some gave none.

    Attributes:
        reader: where the pictures were taken; its model tells which of several lines the label names.
        recipe: of the model that learns.
        protocol: what the labels say: every character, or letters and digits only.
    """

    reader: Reader
    recipe: TrainingRecipe
    protocol: ProtocolName = "strict"
    left_out: Counter[str] = field(default_factory=Counter)

    def cut(self, source: LabelSource) -> Iterator[LabelledLine]:
        """The labelled lines of a source; of identical pictures the first."""
        seen = set[str]()
        for picture, text in zip(source.pictures, source.texts, strict=True):
            sha256 = digest(picture.path)
            reason = "identical picture" if sha256 in seen else self._unfit(text)
            seen.add(sha256)
            try:
                line = None if reason else named_line(self.reader.lines(picture.path), text)
            except ImageError:
                line, reason = None, "picture unreadable"
            if line is None:
                self.left_out[reason or "no line like the label"] += 1
                continue
            yield LabelledLine(picture, sha256, text, Sample(line.crop.pixels, self._lesson_of(text, line)))

    def _lesson_of(self, text: str, line: ReadLine) -> str:
        """The text that a crop teaches; one with more characters than the model reads is the label alone."""
        if self.protocol == "strict" or line.reading is None:
            return text
        whole = completed(text, line.reading.text)
        return whole if len(whole) <= self.recipe.network.capacity else _letters_and_digits(text)

    def _unfit(self, text: str) -> str:
        if self.protocol == "mpsc" and not (text := _letters_and_digits(text)):
            return "no letter or digit"
        if len(text) > (capacity := self.recipe.network.capacity):
            return f"longer than {capacity} characters"
        return "" if set(text) <= set(self.recipe.alphabet) else "characters outside the alphabet"


def named_line(lines: Sequence[ReadLine], text: str) -> ReadLine | None:
    """The line whose reading is most like a label; None if there are several and none is like it."""
    read = [(Levenshtein.normalized_similarity(r.text, text), line) for line in lines if (r := line.reading)]
    alike, best = max(read, key=lambda each: each[0], default=(0.0, None))
    return best if len(read) == 1 or alike >= LEAST_ALIKE else None


def completed(label: str, reading: str) -> str:
    """The letters and digits of a label, with the symbols and the case of a reading of the same picture.

    A label without separators teaches nothing about them so: what the model reads there stays right. A letter
    that was read otherwise has the case of the label, or the opposite one where most others do.
    """
    own = _letters_and_digits(label)
    blocks = Indel.editops(reading.lower(), own.lower()).as_matching_blocks()
    same = [pair for i, k, n in blocks for pair in zip(reading[i : i + n], own[k : k + n], strict=True)]
    letters = [read == written for read, written in same if read.isalpha()]
    if 2 * sum(letters) < len(letters):
        own = own.swapcase()
    parts, read_to, own_to = list[str](), 0, 0
    for i, k, n in blocks:
        parts += [_corrected(reading[read_to:i], own[own_to:k]), reading[i : i + n]]
        read_to, own_to = i + n, k + n
    return "".join(parts)


def _corrected(read: str, written: str) -> str:
    """The right letters and digits for a misread part; symbols stay, unless one was read for a character."""
    if len(_letters_and_digits(read)) < len(written):
        return written
    right = iter(written)
    return "".join(next(right, "") if _letters_and_digits(char) else char for char in read)


def _letters_and_digits(text: str) -> str:
    return "".join(char for char in text if char.isascii() and char.isalnum())


def code_of(text: str) -> str:
    """A text without case and symbols, which some labels leave out; one of nothing else as it is."""
    return mpsc(text) or text


def held_out_texts(
    texts: Sequence[str], learned: frozenset[str] = frozenset(), *, place: Path, note: str = ""
) -> frozenset[str]:
    """Texts that are not learned: all pictures of a code are learned, or none is.

    The digest of a text decides, so that more labels move few texts.

    Args:
        texts: one per labelled picture.
        learned: texts that an earlier lesson learned; they are never held out.
        place: where the labels are, for errors.
        note: what was left out, for errors.

    Raises:
        StoreError: too few labels, or too few different texts.
    """
    if len(texts) < LEAST_LABELS:
        raise StoreError(
            f"{place}: {len(texts)} labelled pictures{note}. Teaching needs {LEAST_LABELS}: label more."
        )
    counts, wanted, held = Counter(texts), HELD_OUT * len(texts), list[str]()
    for text in sorted(counts.keys() - learned, key=lambda t: hashlib.sha256(t.encode()).digest()):
        if sum(counts[one] for one in held) < wanted:
            held.append(text)
    count = sum(counts[text] for text in held)
    if count < LEAST_LABELS // 4 or len(texts) - count < LEAST_LABELS // 2:
        raise StoreError(
            f"{place}: too few different texts to hold some out ({len(counts)} in {len(texts)} pictures). "
            "Label other codes."
        )
    return frozenset(held)
