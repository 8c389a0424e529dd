"""The values that packages exchange: frozen dataclasses of numpy arrays and plain Python values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

Topology = Literal["slots", "ctc"]
"""What a network's scores describe. ``slots``: positions of the code; class 0 ends it. ``ctc``: columns of
the crop; class 0 is the blank between characters (Graves et al., ICML 2006)."""


@dataclass(frozen=True, slots=True)
class LoadedImage:
    """A picture, rotated by its EXIF orientation.

    Attributes:
        path: its file.
        sha256: hex digest of the file's bytes.
        pixels: uint8, grey [rows, cols] or BGR [rows, cols, 3].
        note: what was not loaded, such as further pages; "" if nothing.
        damage: what its decoder complained about: some of its px are wrong; "" if nothing.
    """

    path: Path
    sha256: str
    pixels: Pixels
    note: str = ""
    damage: str = ""


@dataclass(frozen=True, slots=True)
class Crop:
    """The crop of one text line.

    Attributes:
        pixels: grey, [H, W], 0 is black.
        quad: corners [4, 2], (x, y) in source px, clockwise from the text's top-left.
        text_height_px: height of the characters in source px.
        contrast: difference between the text's and the surface's grey, 0..1.
        tilt_deg: tilt of its text, counter-clockwise positive; 0 if not measured reliably.
        outline: of a curved line, [N, 2] in source px, clockwise from the text's top-left; None if it is
            ``quad``.
    """

    pixels: Pixels
    quad: Floats
    text_height_px: float
    contrast: float
    tilt_deg: float
    outline: Floats | None = None


Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in crop px."""


@dataclass(frozen=True, slots=True)
class Origin:
    """How a sample was rendered.

    Attributes:
        process: marking process, such as ``dot_peen``.
        typeface: name of the typeface.
        boxes: one box per character, in crop px.
        parameters: the renderer's random parameters, as JSON values.
    """

    process: str
    typeface: str
    boxes: tuple[Box, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SceneLine:
    """A line of text in a whole picture.

    Attributes:
        text: its characters, without blanks.
        process: marking process.
        typeface: name of the typeface.
        cells: per character four corners (x, y), px: top-left, top-right, bottom-right and bottom-left of its
            box from the baseline to the height of a capital, in reading direction.
        legible: whether it is large and clear enough to be read; detectors need not find others.
    """

    text: str
    process: str
    typeface: str
    cells: tuple[tuple[tuple[float, float], ...], ...]
    legible: bool = True


@dataclass(frozen=True, slots=True)
class Sample:
    """A labelled crop, or a whole picture with its lines.

    Attributes:
        pixels: grey, [H, W], 0 is black.
        text: the code, without blanks; "" for whole pictures.
        glyphs: uint8 [H, W], 0 background, i = i-th character of ``text`` (dots of one stroke joined); None
            if unknown.
        origin: how it was rendered; None for real pictures.
        lines: the lines of a whole picture; None for a crop.
    """

    pixels: Pixels
    text: str
    glyphs: Pixels | None = None
    origin: Origin | None = None
    lines: tuple[SceneLine, ...] | None = None


class CharStatus(StrEnum):
    """How reliable one character is."""

    READ = "read"
    CONFUSED = "confused"
    """Another character was nearly as likely."""
    MISMATCH = "mismatch"
    """Another character was clearly more likely, but the format does not allow it."""
    UNREAD = "unread"
    """No character was likely."""


@dataclass(frozen=True, slots=True)
class CharReading:
    """One character and its confidence.

    Attributes:
        char: the character.
        confidence: probability of ``char``, 0..1.
        runner_up: the second most likely character and its probability; "" stands for "no character".
        box: box of its attention, crop px; None if unknown.
        status: how reliable it is.
    """

    char: str
    confidence: float
    runner_up: tuple[str, float]
    box: Box | None = None
    status: CharStatus = CharStatus.READ


@dataclass(frozen=True, slots=True)
class FreeReading:
    """The most likely text, regardless of the format.

    Attributes:
        text: the characters.
        margin: log-likelihood ratio between it and the best code of the format, 0 or more.
        confidence: probability of the whole string, end included, 0..1.
    """

    text: str
    margin: float
    confidence: float


@dataclass(frozen=True)
class Reading:
    """The code read in one crop.

    Attributes:
        chars: the characters in order.
        end_confidence: probability that the code ends after the last of them, 0..1.
        free: the free reading, if it does not match the format; else None.
        joint_odds: log-odds of the code fused from several views or rows; None for a single view.
        upright: log-odds that the line is upright; None if the model has no such output.
        posterior: probability of the text, 0..1: the sum over its paths through the columns; None of models
            with slots, whose characters are independent.
        alternatives: further texts, and this one, with their posteriors, regardless of the format: the most
            likely ones, or those of all views of the crop; empty if they were not looked for.
        glyph_evidence: log-probability, by its glyph alone, of the character that its glyph supports least; 0
            if the model has no such output.
        longer_than: number of characters that the model reads at most, if the line may have more; else 0.
        view_texts: what each view of the crop reads, or each frame, first the crop itself; () for one view.
    """

    chars: tuple[CharReading, ...]
    end_confidence: float
    free: FreeReading | None = None
    joint_odds: float | None = None
    upright: float | None = None
    posterior: float | None = None
    alternatives: tuple[tuple[str, float], ...] = ()
    glyph_evidence: float = 0.0
    longer_than: int = 0
    view_texts: tuple[str, ...] = ()

    @cached_property
    def text(self) -> str:
        """The code."""
        return "".join(c.char for c in self.chars)

    @property
    def confidence(self) -> float:
        """Probability of the whole string, 0..1: the posterior, or the product over positions and the end."""
        if self.posterior is not None:
            return self.posterior
        product = self.end_confidence
        for c in self.chars:
            product *= c.confidence
        return product

    @property
    def free_text(self) -> str:
        """The most likely text, regardless of the format."""
        return self.free.text if self.free else self.text


class Verdict(StrEnum):
    """Result of the format check."""

    NONE = ""
    """No format, or nothing was read."""
    OBEYS = "obeys"
    """The free reading matches the format."""
    FITTED = "fitted"
    """The free reading does not match; the best code of the format is nearly as likely."""
    MISPRINT = "likely misprint"
    """The free reading does not match, and is far more likely than any code of the format."""


class BarcodeCheck(StrEnum):
    """Result of the barcode cross-check."""

    NOT_CHECKED = ""
    """The check is turned off."""
    NONE = "none"
    """No readable barcode in the picture."""
    AGREES = "agrees"
    """A barcode contains the code."""
    DIFFERS = "differs"
    """No barcode contains the code: the reading is left for review."""


GRADES = "ABCDF"
"""Grades of a mark, best first; 4 to 0 points in averages."""


@dataclass(frozen=True, slots=True)
class MarkQuality:
    """Quality of a mark; each part is 0..1, 1 is best. See ``serialread.reader.grading``.

    Attributes:
        contrast: contrast between mark and background.
        strokes: uniformity of the strokes' width and strength over the characters.
        spacing: regularity of the character spacing; None for fewer than four characters.
        cleanness: uniformity of the background: no spots, scratches, grain.
        completeness: absence of broken strokes and missing dots.
        grade: one of ``GRADES``, that of the worst part.
    """

    contrast: float
    strokes: float
    spacing: float | None
    cleanness: float
    completeness: float
    grade: str


class Decision(StrEnum):
    """What to do with a reading."""

    ACCEPT = "ACCEPT"
    REVIEW = "REVIEW"
    REJECT = "REJECT"


@dataclass(frozen=True, slots=True)
class LineReading:
    """A text line of a whole picture, as it was read.

    Attributes:
        text: its characters; "" for none.
        confidence: of the network, for the whole line, 0..1.
        polygon: its outline (x, y) in source px, clockwise from the text's top-left.
        direction_deg: reading direction, clockwise from the picture's x-axis, -180..180.
        height_px: height of its characters in source px.
    """

    text: str
    confidence: float
    polygon: tuple[tuple[float, float], ...]
    direction_deg: float
    height_px: float


@dataclass(frozen=True, slots=True)
class FieldReading:
    """A field of a picture, as its station names it.

    Attributes:
        reading: what was read; None if the field was not found.
        confidence: probability that the text is right, 0..1, as of a record; None if it was not found.
        verdict: whether the text matches the field's format.
        decision: of the field alone; a record has the worst of its fields.
        reason: why it is not ACCEPT; "" if it is.
        polygon: outline (x, y) of its line in source px, clockwise from the text's top-left; () if it was not
            found.
    """

    reading: Reading | None
    confidence: float | None
    verdict: Verdict
    decision: Decision
    reason: str
    polygon: tuple[tuple[float, float], ...] = ()

    @property
    def text(self) -> str:
        """Its characters, without blanks; "" if it was not found."""
        return self.reading.text if self.reading else ""


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """What a second reader reads in the same crops.

    Attributes:
        text: its text, without blanks; "" if it reads nothing.
        confidence: its own, 0..1.
        error: why it could not be asked; "" if it could.
    """

    text: str
    confidence: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """The result of reading one picture."""

    image: str
    """Path relative to the folder that was given, with forward slashes."""
    image_sha256: str
    """Hex digest of the file's bytes; "" if they could not be read."""
    batch: str
    """Folder of the picture, relative to the folder that was given."""
    reading: Reading | None
    """None if the picture could not be read."""
    upside_down_text: str
    """Another code that the line reads upside down with similar confidence; "" if none."""
    confidence: float | None
    """Probability that the code is right, 0..1: calibrated if the station is, else the network's own."""
    verdict: Verdict
    decision: Decision
    reason: str
    """Why the decision is not ACCEPT."""
    quad: tuple[tuple[float, float], ...] | None
    """Corners (x, y) in source px, clockwise from the text's top-left."""
    text_height_px: float | None
    contrast: float | None
    tilt_deg: float | None
    model_id: str
    station_id: str
    read_at: datetime
    """UTC."""
    elapsed_ms: float
    barcodes: tuple[str, ...] = ()
    """Contents of the barcodes and matrix codes in the picture."""
    barcode_check: BarcodeCheck = BarcodeCheck.NOT_CHECKED
    other_texts: tuple[str, ...] = ()
    """Texts of other lines that are read clearly, the clearest first."""
    doubts: tuple[str, ...] = ()
    """What keeps the reading from being accepted, whatever its confidence; part of ``reason``."""
    sequence_findings: tuple[str, ...] = ()
    """Findings of the sequence checks within the batch."""
    quality: MarkQuality | None = None
    """Quality of the mark; None if nothing was read."""
    second: SecondOpinion | None = None
    """Of the second reader; None if it was not asked."""
    lines: tuple[LineReading, ...] = ()
    """All lines that were read in a picture that holds more than one line; () for the crop of one line."""
    fields: Mapping[str, FieldReading] = field(default_factory=dict)
    """The fields that the station names, in its order; empty if it names none or nothing could be read."""

    @property
    def text(self) -> str:
        """The code; "" if nothing was read."""
        return self.reading.text if self.reading else ""

    @property
    def chars(self) -> tuple[CharReading, ...]:
        """The characters of the code."""
        return self.reading.chars if self.reading else ()
