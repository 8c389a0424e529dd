"""Unread marks: ink of the size of a character, in the rows of the text, that no read character owns.

A network reads a glyph outside its alphabet as another one, or as a gap; then its ink is left over. It also
reads two narrow characters that stand close, as JJ, as one.
"""

from collections import defaultdict
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

import cv2
import numpy as np

from serialread.reader.doubled import NARROW
from serialread.reader.grading import SPECK
from serialread.reader.segmentation import MarkSegmentation
from serialread.records import CharReading


class _Limits(NamedTuple):
    """What makes ink a mark: minimum height and area in (squared) text heights, strength, and cleanness.

    The strength is per strength of the code's mark. On a background less clean ink means nothing.
    """

    height: float
    area: float
    strength: float
    clean: float


BETWEEN, OUTSIDE = _Limits(0.6, 0.08, 0.6, 0.4), _Limits(0.9, 0.12, 0.8, 0.6)
"""Limits between characters, and before the first or after the last one, where other things are marked."""
MIN_CHARS = 3
MAX_UNREAD = 2
"""Where more gaps hold a mark, it is texture."""
MAX_OVER = 0.15
"""Ink that exceeds the rows of the text by more, in text heights, is a frame or belongs to another line."""
MAX_SHARED = 0.35
"""Share of its columns that a mark may have in common with a character."""
TALL = 0.75
"""Height of the stroke of a narrow character, in text heights: two such strokes are two characters."""
MAX_OVERLAP = 0.25
"""Share of its columns that such a stroke may have in common with another one: some lean."""
MAX_DISTANCE = 1.25
"""Distance from the centre of the first or last character, in median pitches, beyond which a mark does not
belong to the code."""


class _Part(NamedTuple):
    """A connected component: its rows, its area in px, its mean strength."""

    top: int
    bottom: int
    area: int
    strength: float


class _Stroke(NamedTuple):
    """The component that shows a narrow character: its columns and rows."""

    left: int
    right: int
    top: int
    bottom: int


def unread_gaps(line: MarkSegmentation, chars: Sequence[CharReading], *, outside: bool) -> tuple[int, ...]:
    """The gaps that hold an unread mark: gap k lies before character k, counted from 0, and after the others.

    Args:
        line: the crop of the code.
        chars: that were read in it.
        outside: whether to look before the first and after the last character, too.
    """
    count, clean = len(line.spans), line.cleanness
    ends = {0: OUTSIDE, count: OUTSIDE}
    if count < MIN_CHARS or clean < BETWEEN.clean:
        return ()
    found = sorted(_loose_parts(line, chars).items())
    gaps = tuple(gap for gap, parts in found if _is_mark(parts, line, clean, ends.get(gap, BETWEEN)))
    if len(gaps) > MAX_UNREAD:
        return ()
    return gaps if outside else tuple(gap for gap in gaps if gap not in ends)


def _is_mark(parts: list[_Part], line: MarkSegmentation, clean: float, limits: _Limits) -> bool:
    area = sum(part.area for part in parts)
    height = max(part.bottom for part in parts) - min(part.top for part in parts)
    return (
        clean >= limits.clean
        and height >= limits.height * line.height
        and area >= limits.area * line.height**2
        and sum(part.strength * part.area for part in parts) >= limits.strength * line.level * area
    )


def _loose_parts(line: MarkSegmentation, chars: Sequence[CharReading]) -> dict[int, list[_Part]]:
    """The components of the mark that belong to no character, by their gaps."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(line.marked, connectivity=8, ltype=cv2.CV_32S)
    centres, over = line.spans.mean(axis=1), MAX_OVER * line.height
    reach = MAX_DISTANCE * median(np.diff(centres).tolist())
    strokes = _strokes(line, chars, stats)
    found: dict[int, list[_Part]] = defaultdict(list)
    for label, (left, top, width, height, area) in enumerate(stats.tolist()):
        right, bottom, middle = left + width, top + height, left + width / 2
        if label == 0 or area < SPECK * line.height**2:
            continue
        shared = np.minimum(line.spans[:, 1], right) - np.maximum(line.spans[:, 0], left)
        high, low = line.top, line.bottom
        stroke = strokes.get(int(shared.argmax()))
        if stroke is not None and height >= TALL * line.height:
            high, low = min(high, stroke.top), max(low, stroke.bottom)
            overlap = min(right, stroke.right) - max(left, stroke.left)
            shared[shared.argmax()] *= overlap > MAX_OVERLAP * width  # else its character owns another stroke
        if top < high - over or bottom > low + over:
            continue
        owned = bool(((centres >= left) & (centres <= right)).any()) or shared.max() > MAX_SHARED * width
        if owned or not centres[0] - reach <= middle <= centres[-1] + reach:
            continue
        strength = float(
            line.strength[top:bottom, left:right][labels[top:bottom, left:right] == label].mean()
        )
        found[int(np.searchsorted(centres, middle))].append(_Part(top, bottom, area, strength))
    return found


def _strokes(
    line: MarkSegmentation, chars: Sequence[CharReading], stats: cv2.typing.MatLike
) -> dict[int, _Stroke]:
    """The strokes that show narrow characters, by the characters' numbers: those that hold their centres."""
    left, top, width, height = stats[1:, :4].T
    found = dict[int, _Stroke]()
    for number, (char, x) in enumerate(zip(chars, line.spans.mean(axis=1).tolist(), strict=True)):
        if char.char not in NARROW:
            continue
        holds = (left <= x) & (x <= left + width) & (height >= TALL * line.height)
        if holds.sum() == 1:
            at = int(holds.argmax())
            found[number] = _Stroke(
                int(left[at]), int(left[at] + width[at]), int(top[at]), int(top[at] + height[at])
            )
    return found
