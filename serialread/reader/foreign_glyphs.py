"""Foreign glyphs: what a network reads as a character of its alphabet, and the ink says is none.

A typeface that lacks a glyph draws a box in its place, empty or crossed, a dot or a cross: read as N or X, as
a dash, or not at all. Ж reads as K: it has the arms of K on both sides.
"""

import math
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.reader.segmentation import MarkSegmentation
from serialread.records import CharReading, Pixels

MIN_CLEANNESS = 0.65
"""On backgrounds with a lower ``cleanness``, ink means nothing."""
OPEN_SHAPES = frozenset("CEFGHIJKLMNSTUVWXYZfhiklnrtvwxyz-")
"""Characters that no box resembles. Digits are none of them: check digits stand in boxes."""
MIN_BOX, MAX_BOX = (0.25, 0.4), (1.3, 1.7)
"""Width and height of a box, in text heights."""
THIN_STROKE, MIN_LINE, MIN_LINE_GREY = 5, 0.12, 6.0
"""Strokes less than half as wide as the first, px, are lines if their difference from the background exceeds
the one around them: by this share of the mark's strength, and by so many grey levels."""
MIN_COVERED, MIN_BEYOND, MAX_BEYOND = 0.85, 0.3, 0.1
"""Share of each side of a box that is drawn. Ink above or below it, per strength of the mark, and the share
of px that may have it: 6 and P hold a box, too."""
FULL_SHAPES = frozenset("ABCDEFGHKMNPQRSTUVWXYZ023456789")
MAX_FAINT, MIN_CHARS = 0.1, 4
"""One character of so many with less of the median ink is drawn by thin lines: a crossed box."""
MAX_DOT, MAX_DASH = 1.25, (2.0, 0.5)
"""Width per height of ink that is no dash; width and height of ink that may be one, in text heights."""
HALF_GLYPH, AXIS_ZONE, MIN_SYMMETRY = 0.45, 0.25, 0.73
"""Half of the width of Ж, in text heights; where its axis may be, from the ends of the room between the
neighbours, as a share of it; the correlation with its mirror image: nearly every K has less."""
MIN_CROSS = 0.001
"""A K that reads as X with this probability has arms on both sides: others have R, H or k for runner-up."""


def foreign_chars(line: MarkSegmentation, chars: Sequence[CharReading]) -> tuple[int, ...]:
    """Numbers, from 0, of the characters that may be outside the alphabet.

    Args:
        line: segmentation of the line's crop.
        chars: that were read in it.
    """
    if line.cleanness < MIN_CLEANNESS:
        return ()
    found = (*_boxed(line, chars), *_faint(line, chars), *_dots(line, chars), *_two_sided(line, chars))
    return tuple(sorted(set(found)))


def _boxed(line: MarkSegmentation, chars: Sequence[CharReading]) -> list[int]:
    """Characters in whose place, or nearest to which, there is a box of thin lines."""
    lines = cv2.subtract(line.difference, cv2.medianBlur(line.difference, THIN_STROKE))
    thin = (lines >= max(MIN_LINE * line.level, MIN_LINE_GREY)).view(np.uint8)
    width, height = (max(round(side * line.height), 3) for side in MIN_BOX)
    upright = cv2.morphologyEx(thin, cv2.MORPH_OPEN, np.ones((height, 1), np.uint8))
    level = cv2.morphologyEx(thin, cv2.MORPH_OPEN, np.ones((1, width), np.uint8))
    drawn = np.asarray(cv2.bitwise_or(upright, level), np.uint8)
    parts = _components(line, drawn, MIN_BOX, MAX_BOX)
    found = [_nearest(line, left, shape) for left, top, shape in parts if _is_box(line, left, top, shape)]
    return [i for i in found if chars[i].char in OPEN_SHAPES]


def _is_box(line: MarkSegmentation, left: int, top: int, shape: NDArray[np.bool_]) -> bool:
    """Whether lines [H, W], from this place on, form a box with nothing above and below it."""
    rows, columns = shape.shape
    level = shape[:3].any(axis=0), shape[-3:].any(axis=0)
    upright = shape[:, :3].any(axis=1), shape[:, -3:].any(axis=1)
    if min(side.mean() for side in (*level, *upright)) < MIN_COVERED:
        return False
    bands = slice(max(top - 3, 0), max(top - 1, 0)), slice(top + rows + 1, top + rows + 3)
    beyond = np.vstack([line.difference[band, left : left + columns] for band in bands])
    return not beyond.size or float((beyond >= MIN_BEYOND * line.level).mean()) <= MAX_BEYOND


def _faint(line: MarkSegmentation, chars: Sequence[CharReading]) -> list[int]:
    """The only character that has hardly any ink."""
    full = np.array([char.char in FULL_SHAPES for char in chars])
    if full.sum() < MIN_CHARS:
        return []
    upto = np.insert(line.column_sums(line.marked).cumsum(), 0, 0)
    ends = line.spans.astype(int).clip(0, len(upto) - 1)
    ink = upto[ends[:, 1]] - upto[ends[:, 0]]
    faint = np.flatnonzero(full & (ink < MAX_FAINT * np.median(ink[full]))).tolist()
    return faint if len(faint) == 1 else []


def _dots(line: MarkSegmentation, chars: Sequence[CharReading]) -> list[int]:
    """Dashes whose ink is as high as wide."""
    dashes = [i for i, char in enumerate(chars) if char.char == "-"]
    parts = list(_components(line, line.marked, (0.0, 0.0), MAX_DASH)) if dashes else []
    found = list[int]()
    for i in dashes:
        first, after = line.spans[i].tolist()
        inked = [
            shape
            for left, top, shape in parts
            if first - 2 <= left + shape.shape[1] / 2 <= after + 2 and line.top < top < line.bottom
        ]
        rows, columns = max(inked, key=np.count_nonzero).shape if inked else (1, 2)
        found += [i] if columns <= MAX_DOT * rows else []
    return found


def _two_sided(line: MarkSegmentation, chars: Sequence[CharReading]) -> list[int]:
    """K whose arms are on both sides of the stem."""
    candidates = [i for i, char in enumerate(chars) if char.char == "K"]
    crossed = {i for i in candidates if chars[i].runner_up[0] == "X" and chars[i].runner_up[1] >= MIN_CROSS}
    return [i for i in candidates if i in crossed or _symmetry(line, i) >= MIN_SYMMETRY]


def _symmetry(line: MarkSegmentation, number: int) -> float:
    """Highest correlation of a character's ink with its mirror image, over the axes that it may have."""
    field = line.difference[int(line.top) : int(line.bottom)].astype(np.float64)
    before = line.spans[number - 1, 1] if number else 0.0
    after = line.spans[number + 1, 0] if number + 1 < len(line.spans) else field.shape[1]
    middle, reach = line.spans[number].mean(), 2 * HALF_GLYPH * line.height
    first, last = max(before, middle - reach, 0.0), min(after, middle + reach, field.shape[1])
    zone, best = AXIS_ZONE * (last - first), -1.0
    for doubled in range(math.ceil(2 * (first + zone)), math.floor(2 * (last - zone)) + 1):
        half = round(HALF_GLYPH * line.height)
        left = max(doubled // 2 - half, 0)
        patch = field[:, left : max(doubled - left + 1, 0)]  # equally far on both sides of the axis
        if left + patch.shape[1] == doubled - left + 1 and patch.shape[1] > half:
            patch = patch - patch.mean()  # its mirror image has the same mean and the same norm
            best = max(best, float((patch * patch[:, ::-1]).sum() / max((patch * patch).sum(), 1e-9)))
    return best


def _nearest(line: MarkSegmentation, left: int, shape: NDArray[np.bool_]) -> int:
    """Number of the character whose box is nearest to a shape [H, W] from this column on."""
    return int(np.abs(line.spans.mean(axis=1) - (left + shape.shape[1] / 2)).argmin())


def _components(
    line: MarkSegmentation, field: Pixels, least: tuple[float, float], most: tuple[float, float]
) -> Iterator[tuple[int, int, NDArray[np.bool_]]]:
    """Left column, top row and shape [H, W] of the connected components of a field [H, W] of 0 and 1.

    Args:
        line: of the field.
        field: as large as its crop.
        least: their smallest width and height, in text heights.
        most: the largest ones.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats(field, connectivity=8, ltype=cv2.CV_32S)
    sizes = stats[:, 2:4] / line.height
    fits = (sizes >= least).all(axis=1) & (sizes <= most).all(axis=1)
    for label in np.flatnonzero(fits).tolist():
        left, top, width, height, _ = stats[label].tolist()
        if label:
            yield left, top, labels[top : top + height, left : left + width] == label
