"""One character alone in a picture: the detector knows lines of text, and a lone character is none."""

import cv2
import numpy as np

from serialread.detection.text_lines import TextLine
from serialread.records import Pixels

SEARCHED_PX = 640
"""Longer side at which a picture is searched."""
BACKGROUND_PX, JOINED_PX = 101, 9
"""Sides of the window whose median is the background, and of the gaps within a character that are closed."""
MIN_STRENGTH = 20
"""Least difference of grey between a mark and its background."""
MIN_HEIGHT_PX, MAX_HEIGHT = 8, 0.4
"""Height of a character, px at that size, and per shorter side of the picture."""
ASPECTS = 0.15, 1.5
"""Width of a character per height."""


def lone_mark(pixels: Pixels) -> TextLine | None:
    """The only mark in a picture [H, W], if it has the size of a character; None of several, or of none.

    A mark is at least half as strong as the strongest one. The line runs from left to right.
    """
    scale = min(SEARCHED_PX / max(pixels.shape), 1.0)
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    smooth = cv2.GaussianBlur(small, (3, 3), 0)
    difference = cv2.absdiff(smooth, cv2.medianBlur(small, BACKGROUND_PX))
    strongest = float(difference.max(initial=0))
    ink = (difference > strongest / 2).astype(np.uint8)
    joined = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((JOINED_PX, JOINED_PX), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(joined)
    if count != 2 or strongest < MIN_STRENGTH:
        return None
    left, top, wide, high, _ = (stats[1] / scale).tolist()
    inside = min(left, top) > 1 and left + wide < pixels.shape[1] - 1 and top + high < pixels.shape[0] - 1
    tall = MIN_HEIGHT_PX / scale <= high <= MAX_HEIGHT * min(pixels.shape)
    if not inside or not tall or not ASPECTS[0] <= wide / high <= ASPECTS[1]:
        return None
    middle = top + high / 2
    return TextLine(np.array([[left, middle], [left + wide, middle]]), high, 1.0)
