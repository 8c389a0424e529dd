"""How well a code was marked: five parts from the crop and the places of its characters, and a grade.

Inspired by the print quality tests of ISO/IEC 30116 (optical character recognition quality) and ISO/IEC 15415
(the grade is that of the worst part; letters A, B, C, D, F); no conformity is claimed: the pictures are
whatever the station takes, the light is not theirs, and the limits are our own.

Letters: H rows, W columns, K characters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.records import GRADES, Box, Crop, Floats, MarkQuality, Pixels, Reading

LIMITS = {
    "contrast": (0.15, 0.10, 0.07, 0.04),
    "strokes": (0.82, 0.72, 0.60, 0.45),
    "spacing": (0.75, 0.60, 0.45, 0.30),
    "cleanness": (0.65, 0.50, 0.35, 0.20),
    "completeness": (0.92, 0.80, 0.60, 0.40),
}
"""Least that a part needs for A, B, C and D; less is F."""

ROWS = 48
"""Higher crops are shrunk to so many rows: strokes are then 2 to 8 px wide, and grading takes 0.2 ms."""
MARKED = 0.92
"""The mark's strength is this quantile of the strength between first and last character."""
JOINED = 0.14
"""Gaps in a stroke of this part of the text's height are bridged: dots of a matrix are no breaks."""
SPECK = 0.004
"""Pieces smaller than this part of the text's height squared are specks, no pieces of a character."""
FEWEST_SPACED = 4
"""Characters from which spacing can be called even."""
_BLANK = 0.4  # a step off by more, as a part of the text's height, is a blank between groups
_WORST_SPACING = 0.2  # mean deviation, as a part of the text's height, that is worth nothing
_WORST_SPREAD = 0.5  # spread of the ground, as a part of the mark's strength, that is worth nothing
_WORST_BREAKS = 2.0  # breaks a character that are worth nothing
_PIECES = {**dict.fromkeys('ij:;!?="', 2), "%": 3}  # pieces of an unbroken character; others are one
_NEAR = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class _Line:
    """A crop taken apart.

    Attributes:
        away: how far each px is from the ground's grey, uint8 [H, W].
        strength: the same, smoothed to the width of a thin stroke.
        level: strength of the mark, 1..255.
        marked: uint8 [H, W], 1 where the mark is.
        top: first row of the text.
        bottom: the row after its last.
        cuts: columns between the characters, and before and after all, [K + 1].
    """

    away: Pixels
    strength: Pixels
    level: int
    marked: Pixels
    top: int
    bottom: int
    cuts: NDArray[np.int64]

    @property
    def height(self) -> int:
        """Of the text, px."""
        return self.bottom - self.top

    def along(self, field: Pixels) -> NDArray[np.int32]:
        """Sums of a field [H, W] over the text's rows, [W]."""
        return _sums(field[self.top : self.bottom], 0)

    def per_character(self, field: Pixels) -> NDArray[np.int64]:
        """Sums of a field [H, W] over the text's rows and each character's columns, [K]."""
        return np.add.reduceat(self.along(field), self.cuts, dtype=np.int64)[:-1]


def grade_mark(crop: Crop, reading: Reading) -> MarkQuality | None:
    """Grade the mark of a crop by what was read in it; None where nothing was, or without boxes."""
    boxes = [c.box for c in reading.chars if c.box is not None]
    if not boxes or len(boxes) < len(reading.chars):
        return None
    line = _taken_apart(crop.pixels, boxes)
    spacing = _spacing(line)
    parts = {
        "contrast": _share(line.level / 255),
        "strokes": _share(_strokes(line)),
        "cleanness": _share(_cleanness(line)),
        "completeness": _share(_completeness(line, reading.text)),
    }
    even = {} if spacing is None else {"spacing": _share(spacing)}
    worst = max(_rank(name, value) for name, value in {**parts, **even}.items())
    return MarkQuality(**parts, spacing=even.get("spacing"), grade=GRADES[worst])


def _share(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def _rank(name: str, value: float) -> int:
    """0 for A to 4 for F."""
    return sum(value < least for least in LIMITS[name])


def _taken_apart(pixels: Pixels, boxes: Sequence[Box]) -> _Line:
    scale = min(ROWS / pixels.shape[0], 1.0)
    size = (max(round(pixels.shape[1] * scale), 8), max(round(pixels.shape[0] * scale), 8))
    if scale < 1.0:
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    away = _away(pixels)
    strength = np.asarray(cv2.blur(away, (3, 3)), np.uint8)
    x = np.array(boxes, np.float32)[:, (0, 2)] * np.float32(scale)
    first, last = max(int(x[0, 0]) - 2, 0), min(int(x[-1, 1]) + 2, pixels.shape[1])
    zone = slice(first, max(last, first + 1))
    below = np.bincount(strength[::2, zone][:, ::2].ravel()).cumsum()  # a quarter of the px tells as much
    level = max(int(below.searchsorted(MARKED * below[-1])), 1)
    marked = (strength > level // 2).view(np.uint8)
    rows = _sums(marked[:, zone], 1)
    text = np.flatnonzero(rows > 0.25 * rows.max(initial=0))
    top, bottom = (int(text[0]), int(text[-1]) + 1) if len(text) else (0, pixels.shape[0])
    margin = (bottom - top) // 4
    ends = max(first - margin, 0), min(last + margin, pixels.shape[1])
    cuts = _cuts(_sums(marked[top:bottom], 0), x.mean(axis=1), ends)
    return _Line(away, strength, level, marked, top, bottom, cuts)


def _sums(field: Pixels, axis: int) -> NDArray[np.int32]:
    """Sums down the columns (0), [W], or along the rows (1), [H]."""
    return np.asarray(cv2.reduce(field, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S), np.int32).ravel()


def _away(pixels: Pixels) -> Pixels:
    """Distance of each px [H, W] from the ground, brighter or darker: relief shows as both."""
    height, width = pixels.shape
    small = np.ascontiguousarray(cv2.blur(pixels, (4, 4))[2::4, 2::4])
    ground = cv2.resize(cv2.medianBlur(small, 5), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.absdiff(pixels, ground), np.uint8)


def _cuts(columns: NDArray[np.int32], middles: Floats, ends: tuple[int, int]) -> NDArray[np.int64]:
    """Columns with the least mark between the middles of neighbouring characters, [K + 1], rising."""
    cuts = [ends[0]]
    for left, right in zip(middles[:-1].astype(int).tolist(), middles[1:].astype(int).tolist(), strict=True):
        low = max(left, cuts[-1] + 1)
        cuts.append(low + int(columns[low : max(right, low) + 1].argmin()) if low < len(columns) else low)
    return np.array([*cuts, max(ends[1], cuts[-1] + 1)]).clip(0, len(columns) - 1)


def _strokes(line: _Line) -> float:
    """One minus the coefficient of variation of the characters' strokes: strength over length of outline."""
    capped = np.minimum(line.strength, np.uint8(line.level)) * line.marked
    outline = np.asarray(cv2.morphologyEx(line.marked, cv2.MORPH_GRADIENT, _NEAR), np.uint8)
    amount, length = line.per_character(capped), line.per_character(outline)
    stroke = amount / np.maximum(length, 1)
    return 1 - float(stroke.std() / max(float(stroke.mean()), 1e-6))


def _spacing(line: _Line) -> float | None:
    """One minus the mean deviation from the middle gap, or from the middle pitch if pitches are more even.

    A blank between groups is meant to be there, and counts no more than ``_BLANK``.
    """
    if len(line.cuts) <= FEWEST_SPACED:
        return None
    filled = np.flatnonzero(line.along(line.marked))
    first, after = np.searchsorted(filled, line.cuts[:-1]), np.searchsorted(filled, line.cuts[1:])
    if not (after > first).all():
        return 0.0  # a character without any mark
    left, right = filled[first], filled[after - 1] + 1
    gaps, pitches = left[1:] - right[:-1], (left[1:] + right[1:] - left[:-1] - right[:-1]) / 2
    return 1 - min(_deviation(gaps, line.height), _deviation(pitches, line.height)) / _WORST_SPACING


def _deviation(steps: NDArray[np.float64] | NDArray[np.int64], height: int) -> float:
    """Mean distance of steps from the middle one, as a part of the text's height."""
    ranked = sorted(steps.tolist())
    middle, most = ranked[len(ranked) // 2], _BLANK * height
    return float(sum(min(abs(step - middle), most) for step in ranked)) / len(ranked) / height


def _cleanness(line: _Line) -> float:
    """One minus the spread of the ground's grey over half the mark's strength."""
    ground = (np.asarray(cv2.dilate(line.marked, _NEAR), np.uint8) == 0).view(np.uint8)
    count = cv2.countNonZero(ground)
    if not count:
        return 0.0
    spread = float(cv2.norm(line.away, cv2.NORM_L2, ground)) / float(np.sqrt(count))
    return 1.0 - spread / (_WORST_SPREAD * line.level)


def _completeness(line: _Line, text: str) -> float:
    """One minus the breaks a character: pieces beyond those that an unbroken character has."""
    bridge = _disc(max(round(JOINED * line.height) | 1, 3))
    joined = cv2.morphologyEx(line.marked[line.top : line.bottom], cv2.MORPH_CLOSE, bridge)
    _, _, found, middles = cv2.connectedComponentsWithStats(joined, connectivity=8, ltype=cv2.CV_16U)
    large = found[1:, cv2.CC_STAT_AREA] >= SPECK * line.height**2
    owner = np.searchsorted(line.cuts, middles[1:, 0][large], side="right") - 1
    inside = (owner >= 0) & (owner < len(text))
    pieces = np.bincount(owner[inside], minlength=len(text))
    whole = np.array([_PIECES.get(char, 1) for char in text])
    breaks = float(np.maximum(pieces - whole, 0).sum()) / len(text)
    return 1 - breaks / _WORST_BREAKS


@lru_cache
def _disc(size: int) -> Pixels:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)
