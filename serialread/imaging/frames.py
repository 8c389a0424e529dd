"""Frames: parts of a picture with the mapping back to its pixels."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.records import Floats, LoadedImage, Pixels

Matrix = NDArray[np.float64]
"""3 x 3 for (x, y, 1); double, because products of several are taken, and no pixels are made of it."""

Points = NDArray[np.float64]
"""[N, 2], (x, y)."""
PointMap = Callable[[Points], Points]
"""Maps points of a remapped picture to the picture that it was made from."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Grey pixels and the mapping to the source picture; a pixel is a unit square, (0, 0) its outer corner.

    Attributes:
        pixels: grey, [H, W], 0 is black.
        to_source: maps frame px to source px, or to those of the last remapped picture.
        point_map: maps the latter to source px; None if nothing was remapped.
    """

    pixels: Pixels
    to_source: Matrix
    point_map: PointMap | None = None

    @classmethod
    def whole(cls, image: LoadedImage) -> Self:
        """The whole picture in grey."""
        pixels = image.pixels
        grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY) if pixels.ndim == 3 else pixels
        return cls(np.asarray(grey, np.uint8), np.eye(3))

    @property
    def quad(self) -> Floats:
        """The frame's corners [4, 2] in source px, clockwise from its top-left."""
        height, width = self.pixels.shape
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
        return self.sources(corners).astype(np.float32)

    @property
    def source_per_px(self) -> float:
        """Source px per px of the frame's height."""
        quad = self.quad
        sides = np.linalg.norm(quad[3] - quad[0]) + np.linalg.norm(quad[2] - quad[1])
        return float(sides / 2 / self.pixels.shape[0])

    def sources(self, points: Points) -> Points:
        """Map px of this frame to px of the source picture, [N, 2] each."""
        seen = cv2.perspectiveTransform(points[None], self.to_source)[0].astype(np.float64, copy=False)
        return self.point_map(seen) if self.point_map else seen

    def remapped(self, pixels: Pixels, point_map: PointMap) -> "Frame":
        """A picture made from this one by remapping; ``point_map`` maps its px to those of this frame."""
        return Frame(pixels, np.eye(3), lambda points: self.sources(point_map(points)))

    def cut(self, left: int, top: int, right: int, bottom: int) -> "Frame":
        """The upright box between these px, end excluded."""
        to_source = self.to_source @ moved(left, top)
        return replace(self, pixels=self.pixels[top:bottom, left:right], to_source=to_source)

    def turned(self, degrees_clockwise: int) -> "Frame":
        """The frame rotated by a multiple of 90 degrees."""
        height, width = self.pixels.shape
        match degrees_clockwise % 360:
            case 90:
                back = [[0, 1, 0], [-1, 0, height], [0, 0, 1]]
            case 180:
                back = [[-1, 0, width], [0, -1, height], [0, 0, 1]]
            case 270:
                back = [[0, -1, width], [1, 0, 0], [0, 0, 1]]
            case _:
                return self
        pixels = np.ascontiguousarray(np.rot90(self.pixels, -degrees_clockwise // 90))
        return replace(self, pixels=pixels, to_source=self.to_source @ np.array(back, np.float64))

    def warped(self, to_this: Matrix, width: int, height: int) -> "Frame":
        """Warp to [height, width] px; ``to_this`` maps its px to this frame's. Borders are replicated."""
        centres = moved(-0.5, -0.5) @ to_this @ moved(0.5, 0.5)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        pixels = cv2.warpPerspective(
            self.pixels, centres, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        return replace(self, pixels=pixels.astype(np.uint8, copy=False), to_source=self.to_source @ to_this)

    def shrunk(self, most_height: int) -> "Frame":
        """The frame at this height or less; areas are averaged, so that thin strokes stay visible."""
        height, width = self.pixels.shape
        if height <= most_height:
            return self
        small = max(round(width * most_height / height), 1)
        pixels = cv2.resize(self.pixels, (small, most_height), interpolation=cv2.INTER_AREA)
        scale = np.diag([width / small, height / most_height, 1.0])
        return replace(self, pixels=pixels.astype(np.uint8, copy=False), to_source=self.to_source @ scale)


def moved(x: float, y: float) -> Matrix:
    """The translation by (x, y)."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)
