"""Stacked text: upright characters that stand below one another, set side by side to be read as a line."""

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.imaging.frames import Frame, Points
from serialread.records import Pixels

MIN_INK = 0.03
"""Ink of a row with a character, per width of the column."""
MIN_CHAR = 0.08
"""Height of the lowest character, a dash, in heights of the highest."""
MAX_WIDTH = 1.4
"""Largest width of a stacked character, in heights of the highest: wider bands are lines of text."""
SPACE, TEXT_SHARE = 0.3, 0.55
"""Space between two characters that are set side by side, and the height of the highest in its crop."""


def stacked_chars(pixels: Pixels) -> NDArray[np.int_]:
    """Boxes of the characters of a column [H, W], from top to bottom: left, top, right, bottom [n, 4], px.

    Empty if the picture is not one column of at least two characters.
    """
    side = min(2 * (min(pixels.shape) // 3) + 1, 255)
    difference = cv2.absdiff(cv2.GaussianBlur(pixels, (3, 3), 0), cv2.medianBlur(pixels, side))
    ink = cv2.threshold(difference, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)[1].astype(np.bool_)
    rows = ink.sum(axis=1) >= max(MIN_INK * pixels.shape[1], 2)
    edges = np.flatnonzero(np.diff(rows.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    boxes = np.array(
        [
            (columns[0], top, columns[-1] + 1, bottom)
            for top, bottom in edges.tolist()
            if (columns := np.flatnonzero(ink[top:bottom].any(axis=0))).size
        ],
        np.int_,
    ).reshape(-1, 4)
    heights = boxes[:, 3] - boxes[:, 1]
    highest = int(heights.max(initial=1))
    chars = boxes[heights >= MIN_CHAR * highest]
    is_column = len(chars) > 1 and ((chars[:, 2] - chars[:, 0]) <= MAX_WIDTH * highest).all()
    return chars if is_column else chars[:0]


def unstacked(frame: Frame) -> Frame:
    """The characters of a column side by side, from top to bottom; the frame itself if it is no column."""
    chars = stacked_chars(frame.pixels)
    if not len(chars):
        return frame
    left, top, right, bottom = chars.T.astype(np.float64)
    highest = float((bottom - top).max())
    space, rows = SPACE * highest, round(highest / TEXT_SHARE)
    starts = np.concatenate([[space], space + np.cumsum(right - left + space)])
    between = (bottom[:-1] + top[1:]) / 2
    above, below = np.append(0.0, between), np.append(between, float(frame.pixels.shape[0]))

    def to_column(points: Points) -> Points:
        number = np.clip(np.searchsorted(starts - space / 2, points[:, 0]) - 1, 0, len(chars) - 1)
        x = points[:, 0] - starts[number] + left[number]
        y = points[:, 1] - rows / 2 + (top + bottom)[number] / 2
        return np.column_stack((x, np.clip(y, above[number] + 0.5, below[number] - 0.5)))

    x, y = np.meshgrid(np.arange(round(starts[-1])) + 0.5, np.arange(rows) + 0.5)
    across, down = (
        place.reshape(x.shape) for place in (to_column(np.column_stack((x.ravel(), y.ravel()))) - 0.5).T
    )
    pixels = cv2.remap(
        frame.pixels,
        across.astype(np.float32),
        down.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return frame.remapped(pixels.astype(np.uint8, copy=False), to_column)
