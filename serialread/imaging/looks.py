"""Other looks at a crop: a little tighter, narrower, wider. What is read in most of them is there.

A border that looks like a 1 is gone once the sides are cut; a character that hangs on the width of the crop
comes and goes; the code stays.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from serialread.records import Box, Pixels, Reading

MOST_CUT = 0.12
"""Never more than this share of the width is cut from either side: a tight crop of two characters."""


@dataclass(frozen=True, slots=True)
class Look:
    """Another look at a crop.

    Attributes:
        sides: cut away left and right, each, in heights of the crop.
        rows: cut away at top and foot, each, as a share of the height.
        width: factor of the width.
    """

    sides: float = 0.0
    rows: float = 0.0
    width: float = 1.0

    def at(self, pixels: Pixels) -> Pixels:
        """The crop [H, W] as this look sees it, uint8 [h, w]; at least 6 px each way."""
        left, top, right, bottom = self._part((pixels.shape[0], pixels.shape[1]))
        part = pixels[top:bottom, left:right]
        wanted = max(round(part.shape[1] * self.width), 6)
        if wanted == part.shape[1]:
            return part
        shrinks = wanted < part.shape[1]
        way = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        return cv2.resize(part, (wanted, part.shape[0]), interpolation=way).astype(np.uint8, copy=False)

    def placed(self, reading: Reading, size: tuple[int, int]) -> Reading:
        """A reading of ``at``'s pixels with its boxes in the whole crop of ``size`` (height, width)."""
        return replace(
            reading,
            chars=tuple(replace(c, box=c.box and self._back(c.box, size)) for c in reading.chars),
        )

    def _part(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        height, width = size
        x = round(min(self.sides * height, MOST_CUT * width, max(width - 6, 0) / 2))
        y = round(min(self.rows * height, max(height - 6, 0) / 2))
        return x, y, width - x, height - y

    def _back(self, box: Box, size: tuple[int, int]) -> Box:
        left, top, right, _ = self._part(size)
        seen = max(round((right - left) * self.width), 6)
        per_px = (right - left) / seen if seen != right - left else 1.0
        return (left + box[0] * per_px, top + box[1], left + box[2] * per_px, top + box[3])


LOOKS = (Look(sides=0.2), Look(rows=0.06), Look(sides=0.2, rows=0.08), Look(width=0.88), Look(width=1.15))
"""Looks beside the crop as it is."""
