"""What every backbone gives, and what the parts that attach to it have to know of it.

Shapes: B crops, C channels, h x w feature cells of the tap in question, N columns.
"""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

Rise = tuple[int, int]
"""How many times as many rows and columns the next finer tap has."""


class Taps(NamedTuple):
    """Maps of one crop at falling resolution."""

    p0: Tensor
    """P_0 [B, C, h, w], the finest; 0 channels where a backbone has none."""
    p1: Tensor
    p2: Tensor
    last: Tensor
    """[B, C, h, N], from which the columns are made."""
    glyph_1: Tensor
    """Of the finer glyph level, as large as P_1."""
    glyph_2: Tensor
    """Of the coarser glyph level, as large as P_2."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a backbone's taps.

    Attributes:
        channels: of P_0, P_1, P_2.
        glyphs: channels of the taps of the two glyph levels.
        last: channels and rows of the last map.
        to_p1: from P_2 to P_1.
        to_p0: from P_1 to P_0.
        p0_px: crop px in one cell of P_0.
        p1_columns: columns of P_1 in one column N.
    """

    channels: tuple[int, int, int]
    glyphs: tuple[int, int]
    last: tuple[int, int]
    to_p1: Rise
    to_p0: Rise
    p0_px: int
    p1_columns: int


class Backbone(nn.Module):
    """From crops [B, 1, H, W] to taps."""

    shape: Shape

    def forward(self, crops: Tensor) -> Taps:
        """All taps."""
        raise NotImplementedError
