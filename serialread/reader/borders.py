"""Borders: find ink at a border of a line's crop that looks like part of a character, cut off there.

Networks learn to ignore cut-off characters, since neighbouring codes are often cut off. So the picture must
say that a code may go on beyond its crop: ink as strong as the code's that touches the border. A line whose
feet or heads are cut off reads as other characters: E as F, 7 as /, Q as 0.

Letters: H rows, W columns.
"""

from dataclasses import replace

import cv2
import numpy as np

from serialread.imaging import Extent
from serialread.reader.segmentation import MarkSegmentation
from serialread.records import Pixels

MIN_STRENGTH = 0.65
"""Minimum strength of cut-off ink, per strength of the mark."""
MIN_HEIGHT = 0.06
"""Minimum height of cut-off ink in the rows of the text, in text heights."""
MIN_CLEANNESS, MIN_CLEANNESS_TIGHT = 0.65, 0.68
"""On backgrounds with a lower ``cleanness``, ink at the border means nothing: it is part of the texture. The
second is for ink of a character that was read, see ``TIGHT``."""
NEAR = 0.2
"""Distance of the first character that was read from the border, in text heights, below which any strong ink
at the border counts: glyph maps are not exact enough to tell it from that character."""
TIGHT = 0.1
"""A character that was read and is nearer to the border, in text heights, may itself be cut off."""
MAX_OVER = 0.15
"""Ink that exceeds the rows of the text by more, in text heights, is a frame or belongs to another line."""
MIN_REACHING, MIN_CHARS = 0.85, 3
"""Share of at least so many characters whose ink must reach the upper or lower border: then it cuts through
the text, or is so near that a foot or head may be missing."""


def cut_off_sides(line: MarkSegmentation, extent: Extent) -> tuple[str, ...]:
    """The borders, of ``left``, ``right``, ``upper`` and ``lower``, that cut off a character.

    Args:
        line: segmentation of the line's crop.
        extent: of the text that was read, crop px.
    """
    ends = {"left": extent.left * line.scale, "right": line.marked.shape[1] - extent.right * line.scale}
    cut_off = [
        side
        for side, free_px in ends.items()
        if _is_cut_off(line if side == "left" else _mirrored(line), free_px, line.cleanness)
    ]
    if line.cleanness >= MIN_CLEANNESS_TIGHT and len(line.spans) >= MIN_CHARS:
        rows = {"upper": line.difference[:1], "lower": line.difference[-1:]}
        cut_off += [side for side, row in rows.items() if _is_reached(line, row)]
    return tuple(cut_off)


def _is_reached(line: MarkSegmentation, row: Pixels) -> bool:
    """Whether the ink of nearly all characters reaches the border whose row [1, W] this is."""
    strong = cv2.blur(np.ascontiguousarray(row), (3, 1))[0] >= MIN_STRENGTH * line.level
    reaching = np.logical_or.reduceat(strong, line.cuts)[:-1]
    return bool(reaching.mean() >= MIN_REACHING)


def _is_cut_off(line: MarkSegmentation, free_px: float, clean: float) -> bool:
    """Whether the left border cuts off a character.

    Args:
        line: the crop.
        free_px: distance of the first character that was read from the border, px.
        clean: cleanness of the background.
    """
    if clean < MIN_CLEANNESS:
        return False
    if free_px < NEAR * line.height:
        if free_px < TIGHT * line.height and clean < MIN_CLEANNESS_TIGHT:
            return False
        border = cv2.blur(np.ascontiguousarray(line.difference[:, :1]), (1, 3))[line.top : line.bottom]
        return bool((border >= MIN_STRENGTH * line.level).mean() >= MIN_HEIGHT)
    free = max(int(free_px - 0.05 * line.height), 0)
    return free >= 2 and _has_remnant(line, free)


def _has_remnant(line: MarkSegmentation, free: int) -> bool:
    """Whether a component of the first ``free`` columns looks like a part of a character at the border."""
    height = line.marked.shape[0]
    window = np.ascontiguousarray(line.marked[:, :free])
    _, labels, stats, _ = cv2.connectedComponentsWithStats(window, connectivity=8, ltype=cv2.CV_32S)
    for label in np.setdiff1d(labels[:, :2], 0):
        _, top, _, rows, _ = stats[label].tolist()
        bottom = top + rows
        over = max(line.top - top, 0) + max(bottom - line.bottom, 0)
        inside = min(bottom, line.bottom) - max(top, line.top)
        goes_on = (top == 0 and line.top > 0.05 * line.height) or (
            bottom == height and line.bottom < height - 0.05 * line.height
        )
        if inside < MIN_HEIGHT * line.height or over > MAX_OVER * line.height or goes_on:
            continue
        if line.strength[:, :free][labels == label].mean() >= MIN_STRENGTH * line.level:
            return True
    return False


def _mirrored(line: MarkSegmentation) -> MarkSegmentation:
    """The segmentation from right to left; its cuts are left as they are."""
    return replace(
        line,
        difference=line.difference[:, ::-1],
        strength=line.strength[:, ::-1],
        marked=line.marked[:, ::-1],
    )
