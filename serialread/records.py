"""The values that travel between packages: frozen dataclasses of numpy arrays and plain Python values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LoadedImage:
    """A picture as it came from its file, EXIF upright.

    Attributes:
        path: where it was read.
        sha256: hex digest of the file's bytes.
        pixels: uint8, grey [rows, cols] or BGR [rows, cols, 3].
        note: what was left out, such as further pages; "" if nothing.
    """

    path: Path
    sha256: str
    pixels: Pixels
    note: str = ""


@dataclass(frozen=True, slots=True)
class Crop:
    """One text line, cut out.

    Attributes:
        pixels: grey, [H, W], 0 is black.
        quad: corners [4, 2], (x, y) in source px, clockwise from the text's top-left.
        text_height_px: height of the characters in source px.
        contrast: spread between the text's and the surface's grey, 0..1.
        tilt_deg: of its text, counter-clockwise positive, where it is measured surely; else 0.
    """

    pixels: Pixels
    quad: Floats
    text_height_px: float
    contrast: float
    tilt_deg: float


Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in crop px."""


@dataclass(frozen=True, slots=True)
class Origin:
    """How a rendered sample came about.

    Attributes:
        process: marking process, such as ``dot_peen``.
        typeface: name of the typeface.
        boxes: one box a character, in crop px.
        parameters: whatever the renderer drew, JSON by construction.
    """

    process: str
    typeface: str
    boxes: tuple[Box, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sample:
    """A labelled crop.

    Attributes:
        pixels: grey, [H, W], 0 is black.
        text: the code, without blanks.
        glyphs: uint8 [H, W], 0 background, i = i-th character of ``text`` (dots of one stroke joined); None
            where no masks are known.
        origin: how it was rendered; None for real pictures.
    """

    pixels: Pixels
    text: str
    glyphs: Pixels | None = None
    origin: Origin | None = None


class CharStatus(StrEnum):
    """What became of one character."""

    READ = "read"
    CONFUSED = "confused"
    """Another character was nearly as likely."""
    MISMATCH = "mismatch"
    """Another character was clearly likelier, but the format does not allow it."""
    UNREAD = "unread"
    """No character was likely."""


@dataclass(frozen=True, slots=True)
class CharReading:
    """One character, and how sure the model is of it (0..1).

    Attributes:
        char: the character.
        confidence: probability of ``char``, 0..1.
        runner_up: the second most likely character and its probability; "" stands for "no character".
        box: where the attention looked, crop px; None if unknown.
        status: what became of it.
    """

    char: str
    confidence: float
    runner_up: tuple[str, float]
    box: Box | None = None
    status: CharStatus = CharStatus.READ


@dataclass(frozen=True, slots=True)
class FreeReading:
    """What was read without regard to a format.

    Attributes:
        text: the characters.
        margin: logarithm of how many times likelier it was than the code that was made of it, 0 at least.
        confidence: probability of the whole string, the end included, 0..1.
    """

    text: str
    margin: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What the network read in one crop.

    Attributes:
        chars: the characters in order.
        end_confidence: probability that the code ends after the last of them, 0..1.
        free: what was read before the format made another code of it; None where it did not.
        joint_odds: log-odds that several looks, or several rows, give the code together; None of one look.
        upright: log-odds that the line lies the right way up; None of networks that do not say.
    """

    chars: tuple[CharReading, ...]
    end_confidence: float
    free: FreeReading | None = None
    joint_odds: float | None = None
    upright: float | None = None

    @property
    def text(self) -> str:
        """The code."""
        return "".join(c.char for c in self.chars)

    @property
    def confidence(self) -> float:
        """Probability of the whole string, the end included: the product over positions, 0..1."""
        product = self.end_confidence
        for c in self.chars:
            product *= c.confidence
        return product

    @property
    def free_text(self) -> str:
        """What was read without regard to the format."""
        return self.free.text if self.free else self.text

    @property
    def weakest(self) -> int | None:
        """Index of the least sure character; None for an empty reading."""
        if not self.chars:
            return None
        return min(range(len(self.chars)), key=lambda i: self.chars[i].confidence)


class Verdict(StrEnum):
    """How a reading and the format that it should obey agree."""

    NONE = ""
    """There is no format, or nothing was read."""
    OBEYS = "obeys"
    """What was read obeys the format as it is."""
    FITTED = "fitted"
    """What was read does not; of the codes that do, this one is likeliest, and nearly as likely."""
    MISPRINT = "likely misprint"
    """What was read does not, and is far likelier than any code that does."""


class BarcodeCheck(StrEnum):
    """How a reading and the barcode beside it agree."""

    NOT_ASKED = ""
    """Nobody looked for one."""
    NONE = "none"
    """There is none that can be read."""
    AGREES = "agrees"
    """One of them says what was read."""
    DIFFERS = "differs"
    """None of them does."""


GRADES = "ABCDF"
"""Grades of a mark from the best to the worst; in means they count 4 to 0."""


@dataclass(frozen=True, slots=True)
class MarkQuality:
    """How well a code was marked, each part 0..1 and 1 the best; see ``reading.grading``.

    Attributes:
        contrast: between the mark and its ground.
        strokes: how alike the strokes of all characters are in width and strength.
        spacing: how even the characters stand; None of fewer than four.
        cleanness: how quiet the ground is against the mark: no spots, scratches, grain.
        completeness: how few strokes are broken: no missing dots, no bare places.
        grade: of ``GRADES``: that of the worst part.
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
class Record:
    """One line of the audit: what was asked, what was read, what was decided. Never changes."""

    image: str
    """Path relative to the folder that was given, with forward slashes."""
    image_sha256: str
    """Hex digest of the file's bytes; "" if they could not be read."""
    batch: str
    """Folder of the picture, relative to the folder that was given."""
    reading: Reading | None
    """None when there was nothing to read."""
    upside_down_text: str
    """What the line reads when turned over, if it reads nearly as surely so and differs; "" if not."""
    confidence: float | None
    """Probability that the code is right, 0..1: calibrated where the station is, else the network's own."""
    verdict: Verdict
    decision: Decision
    reason: str
    """Why not ACCEPT, in plain words."""
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
    """What the barcodes and matrix codes beside the text say."""
    barcode_check: BarcodeCheck = BarcodeCheck.NOT_ASKED
    sequence_findings: tuple[str, ...] = ()
    """What is odd about the code beside those before it in its batch, in plain words."""
    quality: MarkQuality | None = None
    """How well the code was marked; None when nothing was read."""

    @property
    def text(self) -> str:
        """The code; "" when nothing was read."""
        return self.reading.text if self.reading else ""

    @property
    def chars(self) -> tuple[CharReading, ...]:
        """Its characters with their confidences, runners-up and boxes."""
        return self.reading.chars if self.reading else ()
