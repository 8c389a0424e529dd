"""Ambiguity: what the shapes and gaps of a code leave open; the network's confidence does not show it.

- Ovals: 0 or O (``ovals``).
- Plain bars: 1, I or l, in a code of letters and digits.
- One small letter among capitals and digits that differs from its capital by its size alone: x, X, or a
  times sign.
- One gap as wide as a character: the blank between two groups, or a character that is hardly struck, or that
  the network does not know.
"""

from statistics import median

import cv2
import numpy as np

from serialread.config import Code
from serialread.reader.class_runs import settle_classes
from serialread.reader.decisions import weakened
from serialread.reader.ovals import GUESS, kinds_beside, settle_ovals
from serialread.reader.segmentation import MarkSegmentation, Segmentations
from serialread.records import Floats, Reading

MAX_BAR, MIN_BAR_HEIGHT = 0.27, 0.75
"""Maximum width and minimum height of a plain bar, in text heights."""
MIN_EXCESS, MIN_LEAD = 0.4, 0.3
"""By how much a blank is wider than the median gap and than the second widest gap, in median pitches: equal
blanks separate groups."""
MIN_BOX_EXCESS = 0.25
"""Characters whose widest distance is less above the median one have no blank: boxes are quick, not exact."""
MIN_CHARS, MIN_TALL = 4, 3
_BARS = frozenset("1Il|")
_SAME_SHAPE = frozenset("ckopsuvwxz")
"""Small letters that have the shape of their capital."""


def settle_shapes(reading: Reading, crop: Segmentations, code: Code) -> Reading:
    """A reading whose ambiguous characters are settled, less certain where shapes decide nothing.

    The station's zeros decide, else the code's runs of letters and digits. A format decides by itself. An
    ambiguous character and its code keep ``GUESS`` of their confidence.
    """
    reading = settle_classes(reading, crop, code)
    settled = settle_ovals(reading, crop, code)
    boxes = [char.box for char in reading.chars if char.box]
    if code.format or not boxes or len(boxes) < len(reading.chars):
        return settled
    text = reading.text
    bars = [i for i, char in enumerate(text) if char in _BARS] if all(kinds_beside(text, _BARS)) else []
    may_have_blank = _may_have_blank(np.array(boxes, np.float32)[:, (0, 2)].mean(axis=1))
    guesses = _small_letters(text)
    line = crop.of(reading) if bars or may_have_blank else None
    if line is not None:
        guesses += [i for i in bars if _is_bar(line, i)]
        guesses += _char_after_blank(line, text) if may_have_blank else []
    return weakened(settled, dict.fromkeys(guesses, GUESS))


def _small_letters(text: str) -> list[int]:
    """The number of the only small letter among capitals and digits, if it has the shape of its capital."""
    small = [i for i, char in enumerate(text) if char.islower()]
    capitals, digits = sum(char.isupper() for char in text), sum(char.isdigit() for char in text)
    alone = len(small) == 1 and capitals > 0 and capitals + digits >= MIN_TALL
    return small if alone and text[small[0]] in _SAME_SHAPE else []


def _may_have_blank(centres: Floats) -> bool:
    steps = np.diff(centres)
    return len(centres) >= MIN_CHARS and bool(steps.max() > (1 + MIN_BOX_EXCESS) * median(steps.tolist()))


def _is_bar(line: MarkSegmentation, number: int) -> bool:
    """Whether a character is a bar without a flag or serifs."""
    first, after = line.cuts[number : number + 2].tolist()
    window = np.ascontiguousarray(line.marked[line.top : line.bottom, first:after])
    _, _, stats, _ = cv2.connectedComponentsWithStats(window, connectivity=8, ltype=cv2.CV_32S)
    _, _, width, height, _ = max(
        stats[1:].tolist(), key=lambda part: part[cv2.CC_STAT_AREA], default=(0,) * 5
    )
    return 0 < width <= MAX_BAR * line.height and height >= MIN_BAR_HEIGHT * line.height


def _char_after_blank(line: MarkSegmentation, text: str) -> list[int]:
    """The number of the character behind the blank, if there is one; signs beside a gap make it wide."""
    filled = np.flatnonzero(line.column_sums(line.marked))
    first, after = np.searchsorted(filled, line.cuts[:-1]), np.searchsorted(filled, line.cuts[1:])
    if not (after > first).all():
        return []  # a character without a mark
    left, right = filled[first], filled[after - 1] + 1
    gaps, pitch = left[1:] - right[:-1], median(np.diff((left + right) / 2).tolist())
    excess = (gaps - median(gaps.tolist())) / pitch
    second, widest = np.argsort(excess)[-2:].tolist()
    is_blank = excess[widest] > MIN_EXCESS and excess[widest] - excess[second] > MIN_LEAD
    return [widest + 1] if is_blank and text[widest : widest + 2].isalnum() else []
