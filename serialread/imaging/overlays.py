"""Characters in colour over their picture: one hue each, neighbours plainly apart."""

import cv2
import numpy as np

from serialread.records import Floats, Pixels

STRENGTH = 0.6
"""Part of the colour where a character is sure."""
_HUE_STEP = 67  # of 180 degrees of hue: neighbours differ plainly


def tinted(grey: Pixels, shares: Floats) -> Pixels:
    """A grey picture [H, W] with every character in a colour of its own, BGR uint8 [H, W, 3].

    Args:
        grey: the picture.
        shares: float32 [T, h, w], how much of each place belongs to each character, 0..1; any size.
    """
    height, width = grey.shape
    out = np.repeat(grey[..., None], 3, axis=2).astype(np.float32)
    for number, cells in enumerate(shares):
        share = cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
        hue = np.array([[[(number + 1) * _HUE_STEP % 180, 255, 255]]], np.uint8)
        colour = cv2.cvtColor(hue, cv2.COLOR_HSV2BGR).astype(np.float32)
        out += np.float32(STRENGTH) * share * (colour - out)
    return out.astype(np.uint8)
