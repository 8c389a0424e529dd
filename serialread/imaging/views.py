"""Views of a crop for test-time augmentation: its text, level and larger.

The network's glyph maps show where the text is. A view that the text fills has more px per character, and
distractors at its edges - a border that looks like a 1, another line - are cut off.

Letters: L characters, h x n cells of the glyph maps that the crop fills, H W px.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from serialread.records import Box, Floats, Pixels, Reading

EDGES = (0.04, 0.96)
"""Top and bottom of the text: quantiles of the mass of all glyph maps, along the text's slope."""
ENDS = (0.05, 0.95)
"""Ends of the text: quantiles of the mass of the first and of the last glyph map."""
LEVELLED = 4
"""Fewest characters from which a slope is measured."""
PITCH = 0.75
"""Pitch per text height above which a view is narrowed: in widely spaced text the network reads more
characters than there are (docs/benchmarks/reading.md)."""
LEAST_PX = 6
"""Least height of text."""
_PARTS = 4  # parts of a cell over which its mass is spread evenly


@dataclass(frozen=True, slots=True)
class Extent:
    """Where the text of a crop is, crop px.

    Attributes:
        left: its first column.
        right: its last column.
        top: its upper edge in its middle column.
        foot: its lower edge in its middle column.
        slope: px down per px to the right.
        chars: number of characters; 0 if unknown.
    """

    left: float
    right: float
    top: float
    foot: float
    slope: float = 0.0
    chars: int = 0

    @property
    def middle(self) -> float:
        """The column to which top and foot refer."""
        return (self.left + self.right) / 2

    @property
    def height(self) -> float:
        """Of the text."""
        return max(self.foot - self.top, LEAST_PX)

    @property
    def narrowed(self) -> float:
        """Factor that narrows widely spaced text to the usual pitch, 0..1."""
        usual = PITCH * self.height * self.chars
        return min(usual / max(self.right - self.left, 1.0), 1.0) if self.chars else 1.0

    def level(self, x: float) -> float:
        """The row of the text's centre line in a column."""
        return (self.top + self.foot) / 2 + self.slope * (x - self.middle)

    def seen_from(self, left: float, top: float, across: float, down: float) -> "Extent":
        """The same in px of the picture: the crop begins at (left, top) and is scaled by (across, down)."""
        return Extent(
            left=(self.left + left) * across,
            right=(self.right + left) * across,
            top=(self.top + top) * down,
            foot=(self.foot + top) * down,
            slope=self.slope * down / across,
            chars=self.chars,
        )


def extent_of(glyphs: Floats, size: tuple[int, int]) -> Extent | None:
    """The extent of glyph maps [L, h, n], 0..1, in a crop of ``size`` (rows, columns); None if empty."""
    across, down = (glyphs.sum(axis=axis, dtype=np.float64) for axis in (1, 2))  # [L, n], [L, h]
    mass = down.sum(axis=1)
    if not len(glyphs) or not (mass > 0).all():
        return None
    px_y, px_x = size[0] / glyphs.shape[1], size[1] / glyphs.shape[2]
    x = (across @ (np.arange(across.shape[1]) + 0.5)) / mass * px_x
    y = (down @ (np.arange(down.shape[1]) + 0.5)) / mass * px_y
    left, right = _quantile(across[0], ENDS[0]) * px_x, _quantile(across[-1], ENDS[1]) * px_x
    slope = _slope(x, y, np.minimum(mass, np.median(mass))) if _is_long(x, size[0]) else 0.0
    parts = (np.arange(_PARTS * down.shape[1]) + 0.5) / _PARTS * px_y
    level = (parts[None] - slope * (x - (left + right) / 2)[:, None]).ravel()
    order = level.argsort()
    weight = np.repeat(down, _PARTS, axis=1).ravel()[order].cumsum()
    top, foot = (float(level[order][weight.searchsorted(edge * weight[-1])]) for edge in EDGES)
    return Extent(float(left), float(max(right, left + 1)), top, foot, slope, len(glyphs))


def _is_long(x: Floats, height: int) -> bool:
    return len(x) >= LEVELLED and bool(x[-1] - x[0] > 2 * height)


def _slope(x: Floats, y: Floats, weight: Floats) -> float:
    """Of the line through points by weighted least squares."""
    x, y = x - np.average(x, weights=weight), y - np.average(y, weights=weight)
    return float((weight * x * y).sum() / max(float((weight * x * x).sum()), 1e-6))


def _quantile(mass: Floats, share: float) -> float:
    """The place, in cells, below which a share of the mass [n] lies."""
    below = np.concatenate([[0.0], mass.cumsum()])
    return float(np.interp(share * below[-1], below, np.arange(len(below))))


@dataclass(frozen=True, slots=True, eq=False)
class CropView:
    """A part of a crop, warped so that it is level.

    Attributes:
        matrix: [2, 3], from px of the view to px of the crop.
        size: rows and columns of the view.
    """

    matrix: Floats
    size: tuple[int, int]

    def cut(self, pixels: Pixels) -> Pixels:
        """The view of a crop [H, W], uint8 ``size``; beyond the crop its edge px are repeated."""
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = self.size[::-1]
        seen = cv2.warpAffine(pixels, self.matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(seen, np.uint8)

    def placed(self, reading: Reading, size: tuple[int, int]) -> Reading:
        """A reading of the view with its boxes in px of the crop of ``size`` (height, width)."""
        return replace(
            reading,
            chars=tuple(replace(c, box=self._back(c.box, size) if c.box else None) for c in reading.chars),
        )

    def _back(self, box: Box, size: tuple[int, int]) -> Box:
        """The bounding box, within the crop, of a box in the view."""
        corners = np.array([(box[i], box[j], 1) for i in (0, 2) for j in (1, 3)]) @ self.matrix.T
        x, y = np.clip(corners, 0, size[::-1]).T.tolist()
        return min(x), min(y), max(x), max(y)


@dataclass(frozen=True, slots=True)
class TightView:
    """A tighter crop around the text.

    Attributes:
        share: share of the view's height that is text, 0..1.
        room: margin at both ends, in text heights; widely spaced text is narrowed. None keeps all columns.
    """

    share: float
    room: float | None = None

    def of(self, extent: Extent, size: tuple[int, int]) -> CropView:
        """The view in a crop of ``size`` (height, width) whose text is at ``extent``."""
        left, right, narrowed = 0.0, float(size[1]), 1.0
        if self.room is not None:
            beyond, narrowed = self.room * extent.height, extent.narrowed
            left, right = max(extent.left - beyond, left), min(extent.right + beyond, right)
        rows = extent.height / self.share
        top = extent.level(left) - rows / 2
        matrix = np.array([[1 / narrowed, 0, left], [extent.slope / narrowed, 1, top]], np.float32)
        return CropView(matrix, (round(rows), max(round((right - left) * narrowed), LEAST_PX)))


@dataclass(frozen=True, slots=True)
class LevelView:
    """The whole crop, turned so that its text is level.

    Attributes:
        tilt_deg: tilt of the text, counter-clockwise.
    """

    tilt_deg: float

    def of(self, extent: Extent, size: tuple[int, int]) -> CropView:
        """The view in a crop of ``size`` (height, width), turned about its centre; the extent is not used."""
        middle = (size[1] / 2 - 0.5, size[0] / 2 - 0.5)
        return CropView(np.asarray(cv2.getRotationMatrix2D(middle, self.tilt_deg, 1.0), np.float32), size)


TIGHT_VIEWS = (TightView(share=0.82, room=0.35), TightView(share=0.92))
"""Retries of a doubtful crop, in order; docs/benchmarks/reading.md compares them with others."""
