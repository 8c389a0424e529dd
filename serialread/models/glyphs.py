"""Glyph attention (GLAN): draw a map of every character, pool its glyph; after SIGA (Guan et al., CVPR 2023).

Shapes: B crops, T slots, D channels of a slot, C channels of a cell, h x N feature cells.
"""

from typing import NamedTuple, assert_never

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from serialread.config.networks import CompactParts, Layers, PaperParts, Parts
from serialread.models.column_layers import BothWays
from serialread.models.feature_maps import Rise, Shape, Taps
from serialread.models.trunk import convolution
from serialread.models.vit import raising


class Glyphs(NamedTuple):
    """What one level sees."""

    features: Tensor
    """I_k [B, T, D], one glyph a slot."""
    maps: Tensor
    """Logits [B, 1 + T, h, N]; channel 0 is background, channel t the t-th character."""
    null: Tensor | None
    """Share of each slot's look that went to the null cell [B, T], 0..1; None where there is no such cell."""
    cells: Tensor
    """Features before pooling [B, h * N, C]; ``GlyphLevel.project`` makes them comparable to glyphs."""


class Pyramid(nn.Module):
    """O_2 and O_1: taps joined from the top down, told by the columns which character is where."""

    def __init__(self, shape: Shape, dim: int, pyramid: int) -> None:
        super().__init__()
        self.to_p1, self.p1_columns = shape.to_p1, shape.p1_columns
        self.widths = (pyramid, pyramid)
        self.tell = nn.Linear(dim, 2 * pyramid)
        self.in_2, self.out_2 = nn.Conv2d(shape.channels[2], pyramid, 1), convolution(pyramid, pyramid)
        self.in_1, self.out_1 = nn.Conv2d(shape.channels[1], pyramid, 1), convolution(pyramid, pyramid)

    def forward(self, taps: Taps, columns: Tensor) -> tuple[Tensor, Tensor]:
        """O_1 and O_2 [B, C, h, w], as large as P_1 and P_2."""
        told_1, told_2 = self.tell(columns).transpose(1, 2)[:, :, None].chunk(2, 1)  # each [B, C, 1, N]
        if self.p1_columns > 1:
            told_1 = told_1.repeat_interleave(self.p1_columns, -1)
        o2 = self.out_2(F.relu(self.in_2(taps.p2) + told_2))
        raised = F.interpolate(o2, scale_factor=_scale(self.to_p1), mode="nearest")
        return self.out_1(F.relu(self.in_1(taps.p1) + raised + told_1)), o2


class Segmentation(nn.Module):
    """O_0 and S_m: text or background, a cell of the compact trunk each. Training only."""

    def __init__(self, shape: Shape, pyramid: int, width: int) -> None:
        super().__init__()
        self.rise, self.pool = shape.to_p0, max(2 // shape.p0_px, 1)
        self.in_1 = nn.Conv2d(pyramid, width, 1)
        self.in_0 = nn.Conv2d(shape.channels[0], width, 1) if shape.channels[0] else None
        self.head = nn.Conv2d(width, 1, 3, 1, 1)

    def forward(self, taps: Taps, o1: Tensor) -> Tensor:
        """Logits of S_m [B, H / s, W / s] of P_0 and O_1, s being the recipe's ``mask_step``."""
        raised = F.interpolate(self.in_1(o1), scale_factor=_scale(self.rise), mode="nearest")
        seen = F.relu(raised if self.in_0 is None else self.in_0(taps.p0) + raised)
        if self.pool > 1:
            seen = F.max_pool2d(seen, self.pool)
        logits: Tensor = self.head(seen)
        return logits[:, 0]


def _scale(rise: Rise) -> tuple[float, float]:
    return float(rise[0]), float(rise[1])


class PaperPyramid(nn.Module):
    """O_2 and O_1 as in the paper: taps joined from the top down; looks at no column."""

    def __init__(self, shape: Shape, parts: PaperParts) -> None:
        super().__init__()
        self.top = _stack(shape.channels[2], parts.top)
        o2 = parts.top[-1][1] if parts.top else shape.channels[2]
        self.raise_2 = raising(o2, parts.raised[0], shape.to_p1)
        self.middle = _stack(parts.raised[0] + shape.channels[1], parts.middle)
        self.widths = (parts.middle[-1][1], o2)

    def forward(self, taps: Taps, columns: Tensor) -> tuple[Tensor, Tensor]:
        """O_1 and O_2 [B, C, h, w], as large as P_1 and P_2."""
        o2 = self.top(taps.p2)
        return self.middle(torch.cat([self.raise_2(o2), taps.p1], 1)), o2


class PaperSegmentation(nn.Module):
    """O_0 and S_m at the crop's resolution: one logit where the authors' code has two. Training only."""

    def __init__(self, shape: Shape, parts: PaperParts) -> None:
        super().__init__()
        self.raise_1 = raising(parts.middle[-1][1], parts.raised[1], shape.to_p0)
        self.finest = _stack(parts.raised[1] + shape.channels[0], parts.finest)
        width = parts.finest[-1][1]
        self.whole = raising(width, parts.raised[1]) if shape.p0_px == 2 else nn.Identity()
        self.head = nn.Conv2d(parts.raised[1] if shape.p0_px == 2 else width, 1, 1)

    def forward(self, taps: Taps, o1: Tensor) -> Tensor:
        """Logits of S_m [B, H, W] of P_0 and O_1."""
        logits: Tensor = self.head(self.whole(self.finest(torch.cat([self.raise_1(o1), taps.p0], 1))))
        return logits[:, 0]


def _stack(inputs: int, layers: Layers) -> nn.Sequential:
    made = []
    for size, outputs in layers:
        made.append(convolution(inputs, outputs, size))
        inputs = outputs
    return nn.Sequential(*made)


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

    def forward(self, tap: Tensor, pyramid: Tensor, window: Tensor | None) -> Glyphs:
        """Look at P_k [B, C, h, w] by maps drawn on O_k [B, C, h, w], in a window [B, T, N + 1] or freely."""
        maps = self.maps(pyramid).float()
        if window is None:
            null = self.null_logit.expand(maps.shape[0], -1, -1)
        else:
            free = window[:, :, None, :-1]
            if maps.shape[-1] > free.shape[-1]:
                free = free.repeat_interleave(maps.shape[-1] // free.shape[-1], -1)
            maps = torch.cat([maps[:, :1], maps[:, 1:] + free], 1)
            null = self.null_logit + window[..., -1:]
        cells = self.features(tap).flatten(2).transpose(1, 2)  # [B, h * w, C]
        places = maps[:, 1:].flatten(2)
        look = torch.cat([places, null], -1).softmax(-1)  # [B, T, h * N + 1]
        pooled = (
            torch.matmul(look[..., :-1].to(cells.dtype), cells)
            + look[..., -1:].to(cells.dtype) * self.null_feature
        )
        return Glyphs(self.project(pooled), maps, look[..., -1], cells)


class PaperLevel(nn.Module):
    """One level of glyph attention as in the paper: no null cell, but a recurrent layer over the slots.

    Slot n + 1 serves the end of the text, and no map tells it where to look.
    """

    def __init__(self, slots: int, tap: int, pyramid: int, dim: int, kernel: int) -> None:
        super().__init__()
        self.maps = nn.Conv2d(pyramid, slots + 1, 1)
        self.features = convolution(tap, dim, kernel) if kernel else nn.Identity()
        self.slots = BothWays(dim if kernel else tap, dim)

    def forward(self, tap: Tensor, pyramid: Tensor, window: Tensor | None) -> Glyphs:
        """Look at a tap P_k [B, C, h, w] by maps drawn on O_k [B, C, h, w]; no window narrows it."""
        maps = self.maps(pyramid).float()
        cells = self.features(tap).flatten(2).transpose(1, 2)
        look = maps[:, 1:].flatten(2).softmax(-1)  # [B, T, h * w]
        return Glyphs(self.slots(torch.matmul(look.to(cells.dtype), cells)), maps, None, cells)

    def project(self, cells: Tensor) -> Tensor:
        """Cells [B, h * w, C] as they are: they have a glyph's channels."""
        return cells


def attached(
    parts: Parts, shape: Shape, dim: int, slots: int
) -> tuple[Pyramid | PaperPyramid, tuple[nn.Module, nn.Module]]:
    """Pyramid and the finer and coarser glyph level, for a backbone's taps and slots of ``dim`` channels."""
    match parts:
        case CompactParts():
            narrow = Pyramid(shape, dim, parts.pyramid)
            fine, coarse = (GlyphLevel(slots, tap, parts.pyramid, dim) for tap in shape.glyphs)
            return narrow, (fine, coarse)
        case PaperParts():
            wide, kernel = PaperPyramid(shape, parts), parts.feature_kernel
            low, middle = (
                PaperLevel(slots, tap, width, dim, kernel)
                for tap, width in zip(shape.glyphs, wide.widths, strict=True)
            )
            return wide, (low, middle)
        case _:
            assert_never(parts)


def segmentation(parts: Parts, shape: Shape) -> Segmentation | PaperSegmentation:
    """The head that draws S_m, for a backbone's taps."""
    match parts:
        case CompactParts():
            return Segmentation(shape, parts.pyramid, parts.segmentation)
        case PaperParts():
            return PaperSegmentation(shape, parts)
        case _:
            assert_never(parts)
