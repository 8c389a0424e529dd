"""Wide glyphs: find a glyph that is much wider than the character it was read as.

A network reads a glyph outside its alphabet as the character that resembles a part of it: Ж as K. The other
characters of the line say how wide that one is.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.reader.segmentation import MarkSegmentation
from serialread.records import CharReading, Floats

_WIDTHS = {
    char: width
    for chars, width in (
        ("I", 0.32), ("1", 0.61), ("J", 0.71), ("L", 0.85), ("F", 0.88), ("E23579", 0.9), ("68", 0.94),
        ("P", 0.95), ("S", 0.96), ("0B4", 0.99), ("Z", 1.01), ("RTC", 1.05), ("DHKUNG", 1.08), ("YX", 1.13),
        ("OV", 1.17), ("AQ", 1.2), ("M", 1.32), ("W", 1.67),
    )
    for char in chars
}  # fmt: skip
"""Mean widths in 49 proportional typefaces, per median of all."""
UNSTEADY = frozenset("IJ1LMW")
"""Characters whose width depends on the typeface: they are never too wide."""
MIN_EXCESS = 1.4
"""Width from which a glyph is too wide, per expected width: by this table, and if all were equally wide."""
MIN_BESIDE = 0.76
"""Minimum width of the characters beside it, likewise, or of their columns if they touch others: else it
holds a part of one of them."""
MIN_CLEANNESS = 0.7
"""On backgrounds with a lower ``cleanness``, ink means nothing."""
MIN_CHARS = 4
MIN_HEIGHT, MAX_BEYOND = 0.5, 0.1
"""Minimum height of a character's ink, and by how much it may exceed its cuts, in text heights."""


def wide_chars(line: MarkSegmentation, chars: Sequence[CharReading]) -> tuple[int, ...]:
    """Numbers, from 0, of the characters whose glyph is too wide for them.

    Args:
        line: segmentation of the line's crop.
        chars: that were read in it.
    """
    usual = np.array([_WIDTHS.get(char.char, 0.0) for char in chars])
    if line.cleanness < MIN_CLEANNESS or np.count_nonzero(usual) < MIN_CHARS:
        return ()
    widths = _glyph_widths(line)
    known = (widths > 0) & (usual > 0)
    if known.sum() < MIN_CHARS:
        return ()
    expected = np.where(usual > 0, usual, np.inf)
    inked, columns = (_relative(x / expected, known) for x in (widths, np.diff(line.cuts)))
    excess = np.minimum(inked, _relative(widths, known))
    own = np.where(usual > 0, np.where(widths > 0, inked, columns), np.inf)
    beside = np.pad(own, 1, constant_values=np.inf)
    alone = np.minimum(beside[:-2], beside[2:]) >= MIN_BESIDE
    steady = np.array([char.char not in UNSTEADY for char in chars])
    return tuple(np.flatnonzero(known & steady & alone & (excess >= MIN_EXCESS)).tolist())


def _relative(widths: NDArray[np.floating], known: NDArray[np.bool_]) -> Floats:
    """Widths per median of the known ones."""
    return np.asarray(widths / np.median(widths[known]), np.float32)


def _glyph_widths(line: MarkSegmentation) -> Floats:
    """Width of each character's largest component, px; 0 if it reaches into another character's columns."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(line.marked, connectivity=8, ltype=cv2.CV_32S)
    widths, areas = np.zeros((2, len(line.cuts) - 1), np.float32)
    for left, top, width, height, area in stats[1:].tolist():
        at = int(np.searchsorted(line.cuts, left + width / 2, side="right")) - 1
        inside = min(top + height, line.bottom) - max(top, line.top)
        if not 0 <= at < len(widths) or inside < MIN_HEIGHT * line.height or area <= areas[at]:
            continue
        beyond = max(line.cuts[at] - left, 0) + max(left + width - line.cuts[at + 1], 0)
        areas[at], widths[at] = area, width if beyond <= MAX_BEYOND * line.height else 0
    return widths
