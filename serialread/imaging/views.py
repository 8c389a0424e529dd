"""Views of a crop for test-time augmentation: level, and tighter around the text.

The network's glyph maps locate the text. A tighter view has more px per character and cuts off distractors at
the edges, such as a border that looks like a 1, or another line.

Letters: L characters, h x n cells of the glyph maps without padding, H W px.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

import cv2
import numpy as np

from serialread.records import Box, CharReading, Floats, Pixels, Reading, Topology

VERTICAL_QUANTILES = (0.04, 0.96)
"""Top and bottom of the text, as quantiles of the mass of all glyph maps, along the text's slope."""
END_QUANTILES = (0.05, 0.95)
"""Ends of the text, as quantiles of the mass of the first and the last glyph map."""
MIN_SLOPE_CHARS = 4
"""Minimum number of characters to measure a slope."""
PITCH = 0.75
"""Pitch per text height above which a view is narrowed: in widely spaced text the network reads extra
characters (docs/benchmarks/reading.md)."""
MIN_TEXT_PX = 6
"""Minimum height of text."""
_PARTS = 4  # subdivisions of a cell, between which its mass is spread evenly


@dataclass(frozen=True, slots=True)
class Extent:
    """Location of the text in a crop, crop px.

    Attributes:
        left: first column.
        right: last column.
        top: upper edge in the middle column.
        bottom: lower edge in the middle column.
        slope: px down per px to the right.
        chars: number of characters; 0 if unknown.
    """

    left: float
    right: float
    top: float
    bottom: float
    slope: float = 0.0
    chars: int = 0

    @property
    def middle(self) -> float:
        """The middle column, for which top and bottom hold."""
        return (self.left + self.right) / 2

    @property
    def height(self) -> float:
        """Height of the text, at least ``MIN_TEXT_PX``."""
        return max(self.bottom - self.top, MIN_TEXT_PX)

    @property
    def narrowed(self) -> float:
        """Factor that narrows widely spaced text to the usual pitch, 0..1."""
        usual = PITCH * self.height * self.chars
        return min(usual / max(self.right - self.left, 1.0), 1.0) if self.chars else 1.0

    def centre_row(self, x: float) -> float:
        """The row of the text's centre line in a column."""
        return (self.top + self.bottom) / 2 + self.slope * (x - self.middle)


def extent_of(glyphs: Floats, size: tuple[int, int]) -> Extent | None:
    """Extent of the text by its glyph maps [L, h, n], 0..1, in a crop of ``size`` (H, W); None if empty."""
    across, down = (glyphs.sum(axis=axis, dtype=np.float64) for axis in (1, 2))  # [L, n], [L, h]
    mass = down.sum(axis=1)
    if not len(glyphs) or not (mass > 0).all():
        return None
    px_y, px_x = size[0] / glyphs.shape[1], size[1] / glyphs.shape[2]
    x = (across @ (np.arange(across.shape[1]) + 0.5)) / mass * px_x
    y = (down @ (np.arange(down.shape[1]) + 0.5)) / mass * px_y
    left, right = (
        _quantile(across[i], share) * px_x for i, share in zip((0, -1), END_QUANTILES, strict=True)
    )
    slope = _slope(x, y, np.minimum(mass, median(mass.tolist()))) if _is_long(x, size[0]) else 0.0
    parts = (np.arange(_PARTS * down.shape[1]) + 0.5) / _PARTS * px_y
    level = (parts[None] - slope * (x - (left + right) / 2)[:, None]).ravel()
    order = level.argsort()
    weight = np.repeat(down, _PARTS, axis=1).ravel()[order].cumsum()
    top, bottom = (float(level[order][weight.searchsorted(edge * weight[-1])]) for edge in VERTICAL_QUANTILES)
    return Extent(float(left), float(max(right, left + 1)), top, bottom, slope, len(glyphs))


def _is_long(x: Floats, height: int) -> bool:
    return len(x) >= MIN_SLOPE_CHARS and bool(x[-1] - x[0] > 2 * height)


def _slope(x: Floats, y: Floats, weight: Floats) -> float:
    """Slope of a line through points, by weighted least squares."""
    total = weight.sum()
    x, y = x - weight @ x / total, y - weight @ y / total
    return float(weight @ (x * y) / max(float(weight @ (x * x)), 1e-6))


def _quantile(mass: Floats, share: float) -> float:
    """Quantile of a mass distribution over cells [n], in cells."""
    below = np.concatenate([[0.0], mass.cumsum()])
    return float(np.interp(share * below[-1], below, np.arange(len(below))))


@dataclass(frozen=True, slots=True, eq=False)
class CropView:
    """An affine view of a crop.

    Attributes:
        matrix: [2, 3], view px to crop px.
        size: height and width of the view.
    """

    matrix: Floats
    size: tuple[int, int]

    def cut(self, pixels: Pixels) -> Pixels:
        """Warp a crop [H, W] to the view, uint8 ``size``; edge px are repeated outside the crop."""
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = self.size[::-1]
        warped = cv2.warpAffine(pixels, self.matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(warped, np.uint8)

    def to_crop(self, reading: Reading, size: tuple[int, int]) -> Reading:
        """A reading of the view, with its boxes in px of the crop of ``size`` (height, width)."""
        boxes = self._boxes_in_crop([c.box for c in reading.chars if c.box], size)
        chars = tuple(
            CharReading(c.char, c.confidence, c.runner_up, next(boxes), c.status) if c.box else c
            for c in reading.chars
        )
        return replace(reading, chars=chars)

    def _boxes_in_crop(self, boxes: Sequence[Box], size: tuple[int, int]) -> Iterator[Box]:
        """The bounding boxes, clipped to the crop, of boxes in the view."""
        corners = np.array(boxes).reshape(-1, 4)[
            :, [[0, 1], [0, 3], [2, 1], [2, 3]]
        ]  # [box, corner, x and y]
        placed = corners @ self.matrix[:, :2].T + self.matrix[:, 2]
        inside = np.minimum(np.maximum(placed, 0), size[::-1])
        return map(tuple, np.concatenate((inside.min(axis=1), inside.max(axis=1)), axis=1).tolist())


@dataclass(frozen=True, slots=True)
class TightView:
    """A tighter crop around the text.

    Attributes:
        share: text height per view height, 0..1.
        margin: margin at both ends, in text heights; widely spaced text is narrowed. None keeps all columns.
        stretch: factor of the width.
    """

    share: float
    margin: float | None = None
    stretch: float = 1.0

    def of(self, extent: Extent, size: tuple[int, int]) -> CropView:
        """The view in a crop of ``size`` (height, width) whose text is at ``extent``."""
        left, right, factor = 0.0, float(size[1]), self.stretch
        if self.margin is not None:
            margin, factor = self.margin * extent.height, self.stretch * extent.narrowed
            left, right = max(extent.left - margin, left), min(extent.right + margin, right)
        rows = extent.height / self.share
        top = extent.centre_row(left) - rows / 2
        matrix = np.array([[1 / factor, 0, left], [extent.slope / factor, 1, top]], np.float32)
        return CropView(matrix, (round(rows), max(round((right - left) * factor), MIN_TEXT_PX)))


@dataclass(frozen=True, slots=True)
class LevelView:
    """The whole crop, rotated so that its text is level.

    Attributes:
        tilt_deg: tilt of the text, counter-clockwise.
    """

    tilt_deg: float

    def of(self, extent: Extent, size: tuple[int, int]) -> CropView:
        """The view in a crop of ``size`` (height, width), rotated about its centre; ``extent`` is unused."""
        middle = (size[1] / 2 - 0.5, size[0] / 2 - 0.5)
        return CropView(np.asarray(cv2.getRotationMatrix2D(middle, self.tilt_deg, 1.0), np.float32), size)


TIGHT_VIEWS: dict[Topology, tuple[TightView, ...]] = {
    "slots": (TightView(share=0.82, margin=0.35), TightView(share=0.92)),
    "ctc": (TightView(share=0.82, margin=0.35, stretch=1.15), TightView(share=0.62, margin=0.35)),
}
"""Further views of a doubtful crop, in order, by the model's topology; see docs/benchmarks/reading.md."""
