"""Diacritics: find ink above or below a character that no capital letter or digit has there.

An alphabet of ASCII reads Ä as A and Ç as C, and is sure of it. Capitals and digits of one line have one
height: ink of one of them that exceeds it belongs to a character outside the alphabet.
"""

import string
from collections.abc import Sequence
from statistics import median

import numpy as np
from numpy.typing import NDArray

from serialread.reader.segmentation import MarkSegmentation
from serialread.records import CharReading

TALL = frozenset(string.ascii_uppercase + string.digits)
"""Characters that end at the height of a capital."""
LEVEL = TALL - {"J", "Q"}
"""Of these, those that end at the baseline."""
MIN_ABOVE, MAX_ABOVE = 0.15, 0.6
"""Height of ink above a character, in heights of a capital."""
MIN_BELOW, MAX_BELOW = 0.12, 0.5
"""Height of ink below it."""
MAX_SPREAD = 0.05
"""Maximum median deviation of the characters' ends, in heights of a capital: else the line is curved."""
MIN_CLEANNESS = 0.7
"""On backgrounds with a lower ``cleanness``, ink means nothing."""
MIN_STRENGTH, MIN_WIDTH = 0.5, 0.08
"""Minimum strength of the ink, per strength of the mark, and of its width, in text heights."""
MIN_CHARS, MIN_HEIGHT_PX = 3, 10
MAX_MARKED = 2
"""Where more characters have such ink, it is no diacritic: serifs, a frame, another line."""


def marked_chars(line: MarkSegmentation, chars: Sequence[CharReading]) -> tuple[int, ...]:
    """Numbers, from 0, of the characters with ink above or below them.

    Args:
        line: segmentation of the line's crop.
        chars: that were read in it.
    """
    ink = (line.marked > 0) & (line.strength >= MIN_STRENGTH * line.level)
    upto = np.pad(ink.cumsum(axis=1), ((0, 0), (1, 0)))  # number of inked px left of each column
    widths = upto[:, line.cuts[1:]] - upto[:, line.cuts[:-1]]
    inked = widths >= max(2.0, MIN_WIDTH * line.height)  # [H, K]
    known = inked.any(axis=0)
    tops, bottoms = inked.argmax(axis=0), len(inked) - inked[::-1].argmax(axis=0)
    tall = known & np.array([char.char in TALL for char in chars])
    if tall.sum() < MIN_CHARS or line.cleanness < MIN_CLEANNESS:
        return ()
    height = float(median(bottoms[tall].tolist()) - median(tops[tall].tolist()))
    if height < MIN_HEIGHT_PX:
        return ()
    low = np.array([char.char not in LEVEL for char in chars])
    tails = low | np.append(low[1:], False) | np.insert(low[:-1], 0, False)  # a tail may cross a cut
    level = tall & ~tails
    middles = (line.cuts[1:] + line.cuts[:-1]) / 2
    tilt = _slope((middles[tall], tops[tall]), (middles[level], bottoms[level])) * middles
    above = _beyond((tilt - tops) / height, tall, tops > 1, (MIN_ABOVE, MAX_ABOVE))
    below = _beyond((bottoms - tilt) / height, level, bottoms < len(inked) - 1, (MIN_BELOW, MAX_BELOW))
    return tuple(sorted({*above, *below}))


def _slope(*lines: tuple[NDArray[np.float64], NDArray[np.int_]]) -> float:
    """Median slope between two points of a line, of all lines (Theil-Sen): a mark hardly changes it."""
    slopes = list[float]()
    for x, y in lines:
        first, second = np.triu_indices(len(x), 1)
        slopes += ((y[second] - y[first]) / (x[second] - x[first])).tolist()
    return median(slopes)


def _beyond(
    ends: NDArray[np.float64],
    chars: NDArray[np.bool_],
    inside: NDArray[np.bool_],
    limits: tuple[float, float],
) -> list[int]:
    """Characters that end beyond the others, unless they are many, very far, or at the border of the crop."""
    if not chars.any():
        return []
    usual = median(ends[chars].tolist())
    beyond = ends - usual
    found = np.flatnonzero(chars & (beyond > limits[0]))
    uneven = median(np.abs(ends[chars] - usual).tolist()) > MAX_SPREAD
    if uneven or len(found) > MAX_MARKED or not inside[found].all() or (beyond[found] > limits[1]).any():
        return []
    return [int(number) for number in found]
