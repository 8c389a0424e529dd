"""Borders: find ink at a border of a line's crop that looks like part of a character, cut off there.

Networks learn to ignore cut-off characters, since neighbouring codes are often cut off. So the picture must
say that a code may go on beyond its crop: ink as strong as the code's that touches the border.

Letters: H rows, W columns.
"""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from serialread.imaging import Extent
from serialread.reader.grading import MarkSegmentation, cleanness, segment
from serialread.records import Box, Crop, Pixels

MIN_STRENGTH = 0.65
"""Minimum strength of cut-off ink, per strength of the mark."""
MIN_HEIGHT = 0.1
"""Minimum height of cut-off ink in the rows of the text, in text heights."""
MIN_CLEANNESS, MIN_CLEANNESS_TIGHT = 0.65, 0.7
"""On backgrounds with a lower ``cleanness``, ink at the border means nothing: it is part of the texture. The
second is for ink of a character that was read, see ``TIGHT``."""
TIGHT = 0.1
"""A character that was read and is nearer to the border, in text heights, may itself be cut off."""
MAX_OVER = 0.15
"""Ink that exceeds the rows of the text by more, in text heights, is a frame or belongs to another line."""


def cut_off_sides(crop: Crop, boxes: Sequence[Box], extent: Extent) -> tuple[str, ...]:
    """The borders, of ``left`` and ``right``, that cut off a character.

    Args:
        crop: of the line.
        boxes: of the characters that were read, crop px.
        extent: of the text that was read, crop px.
    """
    pixels, width = crop.pixels, crop.pixels.shape[1]
    margin = pixels.shape[0]
    line = segment(_widened(pixels, margin), [(x0 + margin, y0, x1 + margin, y1) for x0, y0, x1, y1 in boxes])
    scale = line.marked.shape[0] / pixels.shape[0]
    ends = {"left": extent.left * scale, "right": (width - extent.right) * scale}
    inner = _without(line, round(margin * scale))
    clean = cleanness(inner)
    return tuple(
        side
        for side, free_px in ends.items()
        if _is_cut_off(inner if side == "left" else _mirrored(inner), free_px, clean)
    )


def _is_cut_off(line: MarkSegmentation, free_px: float, clean: float) -> bool:
    """Whether the left border cuts off a character.

    Args:
        line: the crop.
        free_px: distance of the first character that was read from the border, px.
        clean: cleanness of the background.
    """
    if clean < MIN_CLEANNESS:
        return False
    if clean >= MIN_CLEANNESS_TIGHT and free_px < TIGHT * line.height:
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


def _widened(pixels: Pixels, margin: int) -> Pixels:
    """The crop [H, W] between ``margin`` columns of background: ink at its ends is not taken for that."""
    # a second median, along the column: many bars of characters in one row are no background
    size = max(pixels.shape[0] * 3 // 4, 1)
    rows = np.median(pixels, axis=1).astype(np.uint8)
    padded = np.concatenate((rows[:1].repeat(size // 2), rows, rows[-1:].repeat((size - 1) // 2)))
    medians = np.sort(sliding_window_view(padded, size), axis=1)[:, size // 2]
    background = np.repeat(medians[:, None], margin, axis=1)
    return np.hstack([background, pixels, background])


def _without(line: MarkSegmentation, margin: int) -> MarkSegmentation:
    """The segmentation without a margin at both ends; its cuts are left as they are."""
    inner = slice(margin, line.marked.shape[1] - margin)
    return _with_columns(line, inner)


def _mirrored(line: MarkSegmentation) -> MarkSegmentation:
    return _with_columns(line, slice(None, None, -1))


def _with_columns(line: MarkSegmentation, columns: slice) -> MarkSegmentation:
    return replace(
        line,
        difference=line.difference[:, columns],
        strength=line.strength[:, columns],
        marked=line.marked[:, columns],
    )
