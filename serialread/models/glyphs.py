"""Glyph attention (GLAN): predict a map of every character, pool its glyph; SIGA (Guan et al., CVPR 2023).

Shapes: B crops, T slots, D channels of a slot, C channels of a cell, h x N feature cells.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from serialread.config.networks import CompactParts
from serialread.models.layers import SLOTS, FeatureMaps, MapShapes, Upscale, convolution


class Glyphs(NamedTuple):
    """Outputs of one level."""

    features: Tensor
    """I_k [B, T, D], one glyph per slot."""
    maps: Tensor
    """Logits [B, 1 + T, h, N]; channel 0 is background, channel t the t-th character."""
    null: Tensor | None
    """Attention of each slot to the null cell [B, T], 0..1; None where there is no such cell."""
    cells: Tensor
    """Features before pooling [B, h * N, C]; ``GlyphLevel.project`` maps them to a glyph's channels."""


class SigaModules(NamedTuple):
    """The modules of SIGA for one backbone, one implementation per ``kind`` of ``SigaConfig.parts``."""

    pyramid: nn.Module
    """(maps, columns) to O_1 and O_2."""
    levels: tuple[nn.Module, nn.Module]
    """The finer and the coarser glyph level."""
    segmentation: nn.Module
    """(maps, O_1) to the logits of S_m."""


class Pyramid(nn.Module):
    """O_2 and O_1: feature maps merged top-down, with the columns' context added."""

    def __init__(self, shape: MapShapes, dim: int, pyramid: int) -> None:
        super().__init__()
        self.to_p1, self.p1_columns = shape.to_p1, shape.p1_columns
        self.tell = nn.Linear(dim, 2 * pyramid)
        self.in_2, self.out_2 = nn.Conv2d(shape.channels[2], pyramid, 1), convolution(pyramid, pyramid)
        self.in_1, self.out_1 = nn.Conv2d(shape.channels[1], pyramid, 1), convolution(pyramid, pyramid)

    def forward(self, maps: FeatureMaps, columns: Tensor) -> tuple[Tensor, Tensor]:
        """O_1 and O_2 [B, C, h, w], as large as P_1 and P_2."""
        context_1, context_2 = self.tell(columns).transpose(1, 2)[:, :, None].chunk(2, 1)  # each [B, C, 1, N]
        if self.p1_columns > 1:
            context_1 = context_1.repeat_interleave(self.p1_columns, -1)
        o2 = self.out_2(F.relu(self.in_2(maps.p2) + context_2))
        upsampled = F.interpolate(o2, scale_factor=_scale(self.to_p1), mode="nearest")
        return self.out_1(F.relu(self.in_1(maps.p1) + upsampled + context_1)), o2


class Segmentation(nn.Module):
    """O_0 and S_m: text or background. Training only."""

    def __init__(self, shape: MapShapes, pyramid: int, width: int) -> None:
        super().__init__()
        self.scale, self.pool = shape.to_p0, max(2 // shape.p0_px, 1)
        self.in_1 = nn.Conv2d(pyramid, width, 1)
        self.in_0 = nn.Conv2d(shape.channels[0], width, 1) if shape.channels[0] else None
        self.head = nn.Conv2d(width, 1, 3, 1, 1)

    def forward(self, maps: FeatureMaps, o1: Tensor) -> Tensor:
        """Logits of S_m [B, H / s, W / s] of P_0 and O_1, s being ``mask_px``."""
        upsampled = F.interpolate(self.in_1(o1), scale_factor=_scale(self.scale), mode="nearest")
        merged = F.relu(upsampled if self.in_0 is None else self.in_0(maps.p0) + upsampled)
        if self.pool > 1:
            merged = F.max_pool2d(merged, self.pool)
        logits: Tensor = self.head(merged)
        return logits[:, 0]


def _scale(upscale: Upscale) -> tuple[float, float]:
    return float(upscale[0]), float(upscale[1])


class GlyphLevel(nn.Module):
    """One level of glyph attention.

    The same map logits are normalized over channels for supervision and over cells for pooling. Slots past
    the end attend to a null cell.
    """

    def __init__(self, slots: int, channels: int, pyramid: int, dim: int) -> None:
        super().__init__()
        self.maps = nn.Conv2d(pyramid, slots + 1, 1)
        self.features = convolution(channels, channels, 1)
        self.null_logit = nn.Parameter(torch.full((slots, 1), 4.0))
        self.null_feature = nn.Parameter(torch.zeros(channels))
        self.project = nn.Linear(channels, dim)

    def forward(self, features: Tensor, pyramid: Tensor, window: Tensor | None) -> Glyphs:
        """Pool glyphs from P_k by maps predicted from O_k.

        Args:
            features: P_k [B, C, h, w].
            pyramid: O_k [B, C, h, w].
            window: added to the map logits [B, T, N + 1]; None is unrestricted.
        """
        maps = self.maps(pyramid).float()
        if window is None:
            null = self.null_logit.expand(maps.shape[0], -1, -1)
        else:
            free = window[:, :, None, :-1]
            if maps.shape[-1] > free.shape[-1]:
                free = free.repeat_interleave(maps.shape[-1] // free.shape[-1], -1)
            maps = torch.cat([maps[:, :1], maps[:, 1:] + free], 1)
            null = self.null_logit + window[..., -1:]
        cells = self.features(features).flatten(2).transpose(1, 2)  # [B, h * w, C]
        scores = maps[:, 1:].flatten(2)
        weights = torch.cat([scores, null], -1).softmax(-1)  # [B, T, h * N + 1]
        pooled = (
            torch.matmul(weights[..., :-1].to(cells.dtype), cells)
            + weights[..., -1:].to(cells.dtype) * self.null_feature
        )
        return Glyphs(self.project(pooled), maps, weights[..., -1], cells)


class CharacterWindow(nn.Module):
    """Which columns may belong to each character: those nearer to its centre than to its neighbours'."""

    def __init__(self) -> None:
        super().__init__()
        self.steepness = nn.Parameter(torch.tensor(0.2))

    def forward(self, alpha: Tensor, written: Tensor) -> Tensor:
        """Logarithm [B, T, N] of each column's shares over the characters; very small past the last one.

        Args:
            alpha: attention [B, T, N].
            written: whether there is a character [B, T].
        """
        place = torch.arange(alpha.shape[-1], device=alpha.device, dtype=alpha.dtype)
        centre = (alpha * place).sum(-1, keepdim=True)
        away = -self.steepness * (place - centre).square()
        away = torch.where(written[..., None], away, torch.full_like(away, _NEVER))
        return away.log_softmax(1).clamp_min(_NEVER)


_NEVER = -30.0
"""Logarithm of a share that counts as none."""


class AlignedGlyphLevel(nn.Module):
    """One level of glyph attention whose characters are given: each glimpse is a query to the cells.

    The same map logits are normalized over channels for supervision and over cells for pooling.
    """

    def __init__(self, channels: int, pyramid: int, dim: int) -> None:
        super().__init__()
        self.query = nn.Linear(dim, pyramid)
        self.background = nn.Conv2d(pyramid, 1, 1)
        self.features = convolution(channels, channels, 1)
        self.project = nn.Linear(channels, dim)
        self.scale = pyramid**-0.5

    def forward(self, features: Tensor, pyramid: Tensor, glimpse: Tensor, window: Tensor) -> Glyphs:
        """Pool glyphs from P_k by maps predicted from O_k.

        Args:
            features: P_k [B, C, h, w].
            pyramid: O_k [B, C, h, w].
            glimpse: [B, T, D].
            window: logarithm of the columns' shares [B, T, N].
        """
        size = pyramid.shape[2:]
        drawn = torch.matmul(self.query(glimpse), pyramid.flatten(2)).float() * self.scale
        if size[1] != window.shape[-1]:
            window = window.repeat_interleave(size[1] // window.shape[-1], -1)
        drawn = drawn.unflatten(-1, size) + window[:, :, None]  # [B, T, h, w]
        cells = self.features(features).flatten(2).transpose(1, 2)  # [B, h * w, C]
        weights = drawn.flatten(2).softmax(-1)
        pooled = torch.matmul(weights.to(cells.dtype), cells)
        maps = torch.cat([self.background(pyramid).float(), drawn], 1)
        return Glyphs(self.project(pooled), maps, None, cells)


def aligned_modules(parts: CompactParts, shape: MapShapes, dim: int) -> SigaModules:
    """The compact SIGA modules of the aligned decoder."""
    fine, coarse = (AlignedGlyphLevel(channels, parts.pyramid, dim) for channels in shape.glyphs)
    segmentation = Segmentation(shape, parts.pyramid, parts.segmentation)
    return SigaModules(Pyramid(shape, dim, parts.pyramid), (fine, coarse), segmentation)


def compact_modules(parts: CompactParts, shape: MapShapes, dim: int) -> SigaModules:
    """The compact SIGA modules, for a backbone's feature maps and slots of ``dim`` channels."""
    pyramid = Pyramid(shape, dim, parts.pyramid)
    fine, coarse = (GlyphLevel(SLOTS, channels, parts.pyramid, dim) for channels in shape.glyphs)
    return SigaModules(pyramid, (fine, coarse), Segmentation(shape, parts.pyramid, parts.segmentation))
