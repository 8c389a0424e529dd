"""Glyph attention (GLAN): draw a map of every character, pool its glyph; after SIGA (Guan et al., CVPR 2023).

Shapes: B crops, T slots, D channels of a slot, C channels of a cell, h x N feature cells.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from serialread.model.trunk import convolution


class Glyphs(NamedTuple):
    """What one level sees."""

    features: Tensor
    """I_k [B, T, D], one glyph a slot."""
    maps: Tensor
    """Logits [B, 1 + T, h, N]; channel 0 is background, channel t the t-th character."""
    null: Tensor
    """Share of each slot's look that went to the null cell [B, T], 0..1."""
    cells: Tensor
    """Features before pooling [B, h * N, C]; ``GlyphLevel.project`` makes them comparable to glyphs."""


class Pyramid(nn.Module):
    """O_2 and O_1: taps joined from the top down, told by the columns which character is where."""

    def __init__(self, channels: tuple[int, int, int], dim: int, pyramid: int) -> None:
        super().__init__()
        self.tell = nn.Linear(dim, 2 * pyramid)
        self.in_2, self.out_2 = nn.Conv2d(channels[2], pyramid, 1), convolution(pyramid, pyramid)
        self.in_1, self.out_1 = nn.Conv2d(channels[1], pyramid, 1), convolution(pyramid, pyramid)

    def forward(self, p1: Tensor, p2: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """O_1 [B, C, 2h, N] and O_2 [B, C, h, N]."""
        told_1, told_2 = self.tell(columns).transpose(1, 2)[:, :, None].chunk(2, 1)  # each [B, C, 1, N]
        o2 = self.out_2(F.relu(self.in_2(p2) + told_2))
        raised = F.interpolate(o2, scale_factor=(2.0, 1.0), mode="nearest")
        return self.out_1(F.relu(self.in_1(p1) + raised + told_1)), o2


class Segmentation(nn.Module):
    """O_0 and S_m: text or background at half resolution. Training only."""

    def __init__(self, channels: tuple[int, int, int], pyramid: int, width: int) -> None:
        super().__init__()
        self.in_1, self.in_0 = nn.Conv2d(pyramid, width, 1), nn.Conv2d(channels[0], width, 1)
        self.head = nn.Conv2d(width, 1, 3, 1, 1)

    def forward(self, p0: Tensor, o1: Tensor) -> Tensor:
        """Logits of S_m [B, 2h, 2N] of P_0 [B, C, 2h, 2N] and O_1 [B, C, h, N]."""
        raised = F.interpolate(self.in_1(o1), scale_factor=2.0, mode="nearest")
        logits: Tensor = self.head(F.relu(self.in_0(p0) + raised))
        return logits[:, 0]


class GlyphLevel(nn.Module):
    """One level of glyph attention.

    The same map logits are softened over channels where they are supervised and over places where they pool.
    A null cell takes the look of slots that have no character.
    """

    def __init__(self, slots: int, tap: int, pyramid: int, dim: int) -> None:
        super().__init__()
        self.maps = nn.Conv2d(pyramid, slots + 1, 1)
        self.features = convolution(tap, tap, 1)
        self.null_logit = nn.Parameter(torch.full((slots, 1), 4.0))
        self.null_feature = nn.Parameter(torch.zeros(tap))
        self.project = nn.Linear(tap, dim)

    def forward(self, tap: Tensor, pyramid: Tensor, window: Tensor) -> Glyphs:
        """Look at a tap P_k [B, C, h, N] by maps drawn on O_k [B, C, h, N], in a window [B, T, N + 1]."""
        drawn = self.maps(pyramid).float()
        maps = torch.cat([drawn[:, :1], drawn[:, 1:] + window[:, :, None, :-1]], 1)
        cells = self.features(tap).flatten(2).transpose(1, 2)  # [B, h * N, C]
        places = maps[:, 1:].flatten(2)
        null = self.null_logit + window[..., -1:]
        look = torch.cat([places, null], -1).softmax(-1)  # [B, T, h * N + 1]
        pooled = (
            torch.matmul(look[..., :-1].to(cells.dtype), cells)
            + look[..., -1:].to(cells.dtype) * self.null_feature
        )
        return Glyphs(self.project(pooled), maps, look[..., -1], cells)
