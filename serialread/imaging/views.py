"""Other looks at a crop, closer: the text that was found in it, level and larger.

The network's glyph maps tell where the text is. A code that fills more of the crop is seen at more px, and
what stood beside it - a border that looks like a 1, another line - is gone.

Letters: L characters, h x n cells of the glyph maps that the crop fills, H W px.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from serialread.records import Box, Floats, Pixels, Reading

EDGES = (0.04, 0.96)
"""Top and foot of the text are these quantiles of all glyphs' mass, levelled."""
ENDS = (0.05, 0.95)
"""Its ends are these quantiles of the first and of the last glyph's."""
LEVELLED = 4
"""Fewest characters by whose places a slope can be told."""
PITCH = 0.75
"""Characters that take more of the text's height each, gaps included, are pushed together: of widely set ones
the network reads more than there are (benchmarks/reading.md)."""
LEAST_PX = 6
"""Text of less height is taken for so high."""
_PARTS = 4  # a cell's mass lies evenly over so many parts of it


@dataclass(frozen=True, slots=True)
class Extent:
    """Where the text of a crop lies, crop px.

    Attributes:
        left: where it begins.
        right: where it ends.
        top: above its middle column.
        foot: below it.
        slope: how far it falls to the right per px.
        chars: how many characters it has; 0 if that is not known.
    """

    left: float
    right: float
    top: float
    foot: float
    slope: float = 0.0
    chars: int = 0

    @property
    def middle(self) -> float:
        """The column at which top and foot are told."""
        return (self.left + self.right) / 2

    @property
    def height(self) -> float:
        """Of the text."""
        return max(self.foot - self.top, LEAST_PX)

    @property
    def narrowed(self) -> float:
        """By how much to push it together so that it is not set widely, 0..1."""
        usual = PITCH * self.height * self.chars
        return min(usual / max(self.right - self.left, 1.0), 1.0) if self.chars else 1.0

    def level(self, x: float) -> float:
        """Half way between top and foot in a column."""
        return (self.top + self.foot) / 2 + self.slope * (x - self.middle)

    def seen_from(self, left: float, top: float, across: float, down: float) -> "Extent":
        """The same in px of the picture: the crop was cut from it at (left, top) and is as much smaller."""
        return Extent(
            left=(self.left + left) * across,
            right=(self.right + left) * across,
            top=(self.top + top) * down,
            foot=(self.foot + top) * down,
            slope=self.slope * down / across,
            chars=self.chars,
        )


def extent_of(glyphs: Floats, size: tuple[int, int]) -> Extent | None:
    """Where glyph maps [L, h, n], 0..1, of a crop of ``size`` (height, width) see text; None without any."""
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
class Look:
    """A part of a crop, level and as large as it is there.

    Attributes:
        matrix: [2, 3], from this look's px to the crop's.
        size: rows and columns of this look.
    """

    matrix: Floats
    size: tuple[int, int]

    def at(self, pixels: Pixels) -> Pixels:
        """What it sees of a crop [H, W], uint8 ``size``; the crop's edge goes on where it reaches beyond."""
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = self.size[::-1]
        seen = cv2.warpAffine(pixels, self.matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(seen, np.uint8)

    def placed(self, reading: Reading, size: tuple[int, int]) -> Reading:
        """A reading of ``at``'s pixels with its boxes in the whole crop of ``size`` (height, width)."""
        return replace(
            reading,
            chars=tuple(replace(c, box=self._back(c.box, size) if c.box else None) for c in reading.chars),
        )

    def _back(self, box: Box, size: tuple[int, int]) -> Box:
        """The upright hull, within the crop, of a box in this look."""
        corners = np.array([(box[i], box[j], 1) for i in (0, 2) for j in (1, 3)]) @ self.matrix.T
        x, y = np.clip(corners, 0, size[::-1]).T.tolist()
        return min(x), min(y), max(x), max(y)


@dataclass(frozen=True, slots=True)
class Closer:
    """How to look closer.

    Attributes:
        share: of its height that the text shall take, 0..1.
        room: what is seen beyond the ends of the text, in text heights; widely set text is pushed together.
            None keeps the crop's width.
    """

    share: float
    room: float | None = None

    def look(self, extent: Extent, size: tuple[int, int]) -> Look:
        """At a crop of ``size`` (height, width), of which the text takes ``extent``."""
        left, right, narrowed = 0.0, float(size[1]), 1.0
        if self.room is not None:
            beyond, narrowed = self.room * extent.height, extent.narrowed
            left, right = max(extent.left - beyond, left), min(extent.right + beyond, right)
        rows = extent.height / self.share
        top = extent.level(left) - rows / 2
        matrix = np.array([[1 / narrowed, 0, left], [extent.slope / narrowed, 1, top]], np.float32)
        return Look(matrix, (round(rows), max(round((right - left) * narrowed), LEAST_PX)))


@dataclass(frozen=True, slots=True)
class Level:
    """How to look at a crop that is tilted.

    Attributes:
        tilt_deg: of its text, counter-clockwise.
    """

    tilt_deg: float

    def look(self, extent: Extent, size: tuple[int, int]) -> Look:
        """At the whole crop of ``size`` (height, width), turned about its middle, whatever the extent."""
        middle = (size[1] / 2 - 0.5, size[0] / 2 - 0.5)
        return Look(np.asarray(cv2.getRotationMatrix2D(middle, self.tilt_deg, 1.0), np.float32), size)


CLOSER = (Closer(share=0.82, room=0.35), Closer(share=0.92))
"""Looks beside the crop as it is, in their order; benchmarks/reading.md has what others are worth."""
