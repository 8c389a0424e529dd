"""Grade the quality of a mark: five parts, measured in the crop at the characters' boxes, and a grade.

Inspired by the print quality tests of ISO/IEC 30116 (optical character recognition quality) and ISO/IEC 15415
(the grade is that of the worst part; letters A, B, C, D, F). It does not conform to them: camera and light
are the station's, and the thresholds are our own.

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
"""Minimum of each part for A, B, C and D; below is F."""

ROWS = 48
"""Higher crops are downscaled to this height: strokes are then 2 to 8 px wide, and grading takes 0.2 ms."""
LEVEL_QUANTILE = 0.92
"""The mark's strength is this quantile of the strength between first and last character."""
BRIDGED_GAP = 0.14
"""Gaps up to this, in text heights, are closed: the dots of a dot matrix are not breaks."""
SPECK = 0.004
"""Smaller components, in squared text heights, are noise."""
MIN_SPACED_CHARS = 4
"""Minimum number of characters to grade the spacing."""
_BLANK = 0.4  # a larger deviation, in text heights, is a blank between groups
_WORST_SPACING = 0.2  # mean deviation, in text heights, that scores 0
_WORST_SPREAD = 0.5  # spread of the background, per strength of the mark, that scores 0
_WORST_BREAKS = 2.0  # breaks per character that score 0
_PIECES = {**dict.fromkeys('ij:;!?="', 2), "%": 3}  # components of an unbroken character; all others have 1
_NEAR = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class MarkSegmentation:
    """A crop, segmented into mark, background and characters.

    Attributes:
        difference: absolute difference from the background's grey, uint8 [H, W].
        strength: the same, smoothed to the width of a thin stroke.
        level: strength of the mark, 1..255.
        marked: uint8 [H, W], 1 on the mark.
        top: first row of the text.
        bottom: the row after its last.
        spans: first and last column of the characters' boxes, [K, 2].
        cuts: columns between the characters, and at both ends, [K + 1].
    """

    difference: Pixels
    strength: Pixels
    level: int
    marked: Pixels
    top: int
    bottom: int
    spans: Floats
    cuts: NDArray[np.int64]

    @property
    def height(self) -> int:
        """Text height, px."""
        return self.bottom - self.top

    def column_sums(self, field: Pixels) -> NDArray[np.int32]:
        """Sums of a field [H, W] over the text's rows, [W]."""
        return _sums(field[self.top : self.bottom], 0)

    def per_character(self, field: Pixels) -> NDArray[np.int64]:
        """Sums of a field [H, W] over the text's rows and each character's columns, [K]."""
        return np.add.reduceat(self.column_sums(field), self.cuts, dtype=np.int64)[:-1]


def grade_mark(crop: Crop, reading: Reading) -> MarkQuality | None:
    """Grade the mark of a crop; None if nothing was read, or without boxes."""
    boxes = [c.box for c in reading.chars if c.box is not None]
    if not boxes or len(boxes) < len(reading.chars):
        return None
    line = segment(crop.pixels, boxes)
    spacing = _spacing(line)
    parts = {
        "contrast": _share(line.level / 255),
        "strokes": _share(_strokes(line)),
        "cleanness": _share(cleanness(line)),
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


def segment(pixels: Pixels, boxes: Sequence[Box]) -> MarkSegmentation:
    """Segment a crop [H, W] with the boxes of its characters, in its px; large crops are downscaled."""
    scale = min(ROWS / pixels.shape[0], 1.0)
    size = (max(round(pixels.shape[1] * scale), 8), max(round(pixels.shape[0] * scale), 8))
    if scale < 1.0:
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    difference = _difference(pixels)
    strength = np.asarray(cv2.blur(difference, (3, 3)), np.uint8)
    x = np.array(boxes, np.float32)[:, (0, 2)] * np.float32(scale)
    first, last = max(int(x[0, 0]) - 2, 0), min(int(x[-1, 1]) + 2, pixels.shape[1])
    zone = slice(first, max(last, first + 1))
    below = np.bincount(strength[::2, zone][:, ::2].ravel()).cumsum()  # a quarter of the px suffices
    level = max(int(below.searchsorted(LEVEL_QUANTILE * below[-1])), 1)
    marked = (strength > level // 2).view(np.uint8)
    rows = _sums(marked[:, zone], 1)
    text = np.flatnonzero(rows > 0.25 * rows.max(initial=0))
    top, bottom = (int(text[0]), int(text[-1]) + 1) if len(text) else (0, pixels.shape[0])
    margin = (bottom - top) // 4
    ends = max(first - margin, 0), min(last + margin, pixels.shape[1])
    cuts = _cuts(_sums(marked[top:bottom], 0), x.mean(axis=1), ends)
    return MarkSegmentation(difference, strength, level, marked, top, bottom, x, cuts)


def _sums(field: Pixels, axis: int) -> NDArray[np.int32]:
    """Sums down the columns (0), [W], or along the rows (1), [H]."""
    return np.asarray(cv2.reduce(field, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S), np.int32).ravel()


def _difference(pixels: Pixels) -> Pixels:
    """Absolute difference of each px [H, W] from the background; relief is both brighter and darker."""
    height, width = pixels.shape
    small = np.ascontiguousarray(cv2.blur(pixels, (4, 4))[2::4, 2::4])
    background = cv2.resize(cv2.medianBlur(small, 5), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.absdiff(pixels, background), np.uint8)


def _cuts(columns: NDArray[np.int32], centres: Floats, ends: tuple[int, int]) -> NDArray[np.int64]:
    """Columns with the weakest mark between the centres of neighbouring characters, [K + 1], ascending."""
    cuts = [ends[0]]
    for left, right in zip(centres[:-1].astype(int).tolist(), centres[1:].astype(int).tolist(), strict=True):
        low = max(left, cuts[-1] + 1)
        cuts.append(low + int(columns[low : max(right, low) + 1].argmin()) if low < len(columns) else low)
    return np.array([*cuts, max(ends[1], cuts[-1] + 1)]).clip(0, len(columns) - 1)


def _strokes(line: MarkSegmentation) -> float:
    """One minus the coefficient of variation of the characters' strokes: strength over length of outline."""
    capped = np.minimum(line.strength, np.uint8(line.level)) * line.marked
    outline = np.asarray(cv2.morphologyEx(line.marked, cv2.MORPH_GRADIENT, _NEAR), np.uint8)
    amount, length = line.per_character(capped), line.per_character(outline)
    stroke = amount / np.maximum(length, 1)
    return 1 - float(stroke.std() / max(float(stroke.mean()), 1e-6))


def _spacing(line: MarkSegmentation) -> float | None:
    """One minus the mean deviation from the median gap, or from the median pitch if that is more regular.

    Blanks between groups are intended: a deviation counts up to ``_BLANK``.
    """
    if len(line.cuts) <= MIN_SPACED_CHARS:
        return None
    filled = np.flatnonzero(line.column_sums(line.marked))
    first, after = np.searchsorted(filled, line.cuts[:-1]), np.searchsorted(filled, line.cuts[1:])
    if not (after > first).all():
        return 0.0  # a character without a mark
    left, right = filled[first], filled[after - 1] + 1
    gaps, pitches = left[1:] - right[:-1], (left[1:] + right[1:] - left[:-1] - right[:-1]) / 2
    return 1 - min(_deviation(gaps, line.height), _deviation(pitches, line.height)) / _WORST_SPACING


def _deviation(steps: NDArray[np.float64] | NDArray[np.int64], height: int) -> float:
    """Mean absolute deviation of steps from their median, in text heights."""
    ranked = sorted(steps.tolist())
    median, limit = ranked[len(ranked) // 2], _BLANK * height
    return float(sum(min(abs(step - median), limit) for step in ranked)) / len(ranked) / height


def cleanness(line: MarkSegmentation) -> float:
    """One minus the spread of the background's grey over half the mark's strength."""
    background = (np.asarray(cv2.dilate(line.marked, _NEAR), np.uint8) == 0).view(np.uint8)
    count = cv2.countNonZero(background)
    if not count:
        return 0.0
    spread = float(cv2.norm(line.difference, cv2.NORM_L2, background)) / float(np.sqrt(count))
    return 1.0 - spread / (_WORST_SPREAD * line.level)


def _completeness(line: MarkSegmentation, text: str) -> float:
    """One minus the breaks per character: components beyond those of an unbroken character."""
    bridge = _disc(max(round(BRIDGED_GAP * line.height) | 1, 3))
    joined = cv2.morphologyEx(line.marked[line.top : line.bottom], cv2.MORPH_CLOSE, bridge)
    _, _, stats, centres = cv2.connectedComponentsWithStats(joined, connectivity=8, ltype=cv2.CV_16U)
    large = stats[1:, cv2.CC_STAT_AREA] >= SPECK * line.height**2
    owner = np.searchsorted(line.cuts, centres[1:, 0][large], side="right") - 1
    inside = (owner >= 0) & (owner < len(text))
    pieces = np.bincount(owner[inside], minlength=len(text))
    whole = np.array([_PIECES.get(char, 1) for char in text])
    breaks = float(np.maximum(pieces - whole, 0).sum()) / len(text)
    return 1 - breaks / _WORST_BREAKS


@lru_cache
def _disc(size: int) -> Pixels:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)
