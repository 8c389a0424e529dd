"""Grade the quality of a mark: five parts, measured in the crop at the characters' boxes, and a grade.

Inspired by the print quality tests of ISO/IEC 30116 (optical character recognition quality) and ISO/IEC 15415
(the grade is that of the worst part; letters A, B, C, D, F). It does not conform to them: camera and light
are the station's, and the thresholds are our own.

Letters: H rows, W columns, K characters.
"""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.reader.segmentation import MarkSegmentation
from serialread.records import GRADES, MarkQuality, Pixels

LIMITS = {
    "contrast": (0.15, 0.10, 0.07, 0.04),
    "strokes": (0.82, 0.72, 0.60, 0.45),
    "spacing": (0.75, 0.60, 0.45, 0.30),
    "cleanness": (0.65, 0.50, 0.35, 0.20),
    "completeness": (0.92, 0.80, 0.60, 0.40),
}
"""Minimum of each part for A, B, C and D; below is F."""

BRIDGED_GAP = 0.14
"""Gaps up to this, in text heights, are closed: the dots of a dot matrix are not breaks."""
SPECK = 0.004
"""Smaller components, in squared text heights, are noise."""
MIN_SPACED_CHARS = 4
"""Minimum number of characters to grade the spacing."""
_BLANK = 0.4  # a larger deviation, in text heights, is a blank between groups
_WORST_SPACING = 0.2  # mean deviation, in text heights, that scores 0
_WORST_BREAKS = 2.0  # breaks per character that score 0
_PIECES = {**dict.fromkeys('ij:;!?="', 2), "%": 3}  # components of an unbroken character; all others have 1
_NEAR = np.ones((3, 3), np.uint8)


def grade_mark(line: MarkSegmentation, text: str) -> MarkQuality:
    """Grade the mark of a segmented line that reads ``text``."""
    spacing = _spacing(line)
    parts = {
        "contrast": _share(line.level / 255),
        "strokes": _share(_strokes(line)),
        "cleanness": _share(line.cleanness),
        "completeness": _share(_completeness(line, text)),
    }
    even = {} if spacing is None else {"spacing": _share(spacing)}
    worst = max(_rank(name, value) for name, value in {**parts, **even}.items())
    return MarkQuality(**parts, spacing=even.get("spacing"), grade=GRADES[worst])


def _share(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def _rank(name: str, value: float) -> int:
    """0 for A to 4 for F."""
    return sum(value < least for least in LIMITS[name])


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
