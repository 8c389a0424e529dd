"""Layers that several networks share, and the interface of a backbone.

The names of a module's parameters are part of a model's id: do not rename them.

Shapes: B crops, H x W crop px, T slots, N columns, C channels of a cell, D channels of a column or slot,
h x w feature cells.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from serialread.codes import MAX_LENGTH

SLOTS = MAX_LENGTH + 1
"""T: one slot per character, and one for the end of the text."""

# ------------------------------------------------------------------------------------------------- backbones

Upscale = tuple[int, int]
"""Ratio of the rows and of the columns of a feature map to those of the next coarser one."""


class FeatureMaps(NamedTuple):
    """Maps of a batch at decreasing resolution."""

    p0: Tensor
    """P_0 [B, C, h, w], the finest; 0 channels where a backbone has none."""
    p1: Tensor
    p2: Tensor
    last: Tensor
    """[B, C, h, N], from which the columns are made."""
    glyph_1: Tensor
    """Input of the finer glyph level, as large as P_1."""
    glyph_2: Tensor
    """Input of the coarser glyph level, as large as P_2."""


@dataclass(frozen=True, slots=True)
class MapShapes:
    """Sizes of a backbone's feature maps.

    Attributes:
        channels: of P_0, P_1, P_2.
        glyphs: channels of the inputs of the two glyph levels.
        last: channels and rows of the last map.
        to_p1: from P_2 to P_1.
        to_p0: from P_1 to P_0.
        p0_px: crop px per cell of P_0.
        p1_columns: columns of P_1 per column N.
    """

    channels: tuple[int, int, int]
    glyphs: tuple[int, int]
    last: tuple[int, int]
    to_p1: Upscale
    to_p0: Upscale
    p0_px: int
    p1_columns: int


class Backbone(nn.Module):
    """From crops [B, 1, H, W] to feature maps."""

    shape: MapShapes

    def forward(self, crops: Tensor) -> FeatureMaps:
        """All feature maps."""
        raise NotImplementedError


# ----------------------------------------------------------------------------------------------- convolutions


def convolution(inputs: int, outputs: int, size: int = 3, stride: int | tuple[int, int] = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU; the first two are fused at test time."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def upsampling(inputs: int, outputs: int, scale: Upscale = (2, 2)) -> nn.Sequential:
    """Transposed convolution, batch norm, ReLU: twice the rows, and twice or as many columns."""
    kernel = (4, 4 if scale[1] == 2 else 3)
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, kernel, scale, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def warped(maps: Tensor, grid: Tensor, mode: str = "bilinear") -> Tensor:
    """Maps [B, C, H, W] sampled at a grid [B, H, W, 2] with replicated borders."""
    return F.grid_sample(maps, grid, mode=mode, padding_mode="border", align_corners=True)


# ------------------------------------------------------------------------------------------------- sequences


def sinusoids(length: int, dim: int) -> Tensor:
    """Sines and cosines of increasing wavelength [length, dim], from which positions are learned."""
    place = torch.arange(length, dtype=torch.float32)[:, None]
    speed = torch.exp(torch.arange(0, dim, 2, dtype=torch.float32) * (-math.log(1000.0) / dim))
    return torch.cat([torch.sin(place * speed), torch.cos(place * speed)], 1)[:, :dim]


class MixingBlock(nn.Module):
    """Self-attention over all columns, then an MLP on each."""

    barred: Tensor | None
    """Added to the scores [N, N]: -inf where attention is masked."""

    def __init__(
        self, dim: int, heads: int, ratio: int, eps: float = 1e-5, barred: Tensor | None = None
    ) -> None:
        super().__init__()
        self.heads = heads
        self.register_buffer("barred", barred, persistent=False)
        self.norm_attention, self.norm_mlp = nn.LayerNorm(dim, eps), nn.LayerNorm(dim, eps)
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, ratio * dim), nn.GELU(), nn.Linear(ratio * dim, dim))

    def forward(self, columns: Tensor) -> Tensor:
        """Columns [B, N, D] with context."""
        columns = columns + self.branch(self.out(self._attend(self.norm_attention(columns))))
        mixed: Tensor = columns + self.branch(self.mlp(self.norm_mlp(columns)))
        return mixed

    def branch(self, change: Tensor) -> Tensor:
        """The output [B, N, D] of a residual branch."""
        return change

    def _attend(self, columns: Tensor) -> Tensor:
        qkv = self.qkv(columns).unflatten(-1, (3, self.heads, -1))  # [B, N, 3, heads, D / heads]
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        scores = torch.matmul(query, key.transpose(-1, -2)) * float(query.shape[-1]) ** -0.5
        if self.barred is not None:
            scores = scores + self.barred
        # not scaled_dot_product_attention: the backward pass of its fused CPU kernel is slow
        weights = scores.float().softmax(-1).to(value.dtype)
        return torch.matmul(weights, value).transpose(1, 2).flatten(2)


class BidirectionalLstm(nn.Module):
    """A bidirectional LSTM layer, then a linear layer."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.rnn = nn.LSTM(inputs, width, bidirectional=True, batch_first=True)
        self.linear = nn.Linear(2 * width, width)

    def forward(self, places: Tensor) -> Tensor:
        """[B, N, D] of [B, N, C]."""
        self.rnn.flatten_parameters()
        out: Tensor = self.linear(self.rnn(places)[0])
        return out


# ----------------------------------------------------------------------------------- slots: attention, counts


class ImplicitAttention(nn.Module):
    """Each slot attends to the columns of its character; after SIGA (Guan et al., CVPR 2023).

    All slots at once: a learned query per slot replaces the recurrent state, so no language is learned.
    """

    def __init__(self, slots: int, dim: int, attention: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(slots, attention) * 0.5)  # U q_t
        self.keys = nn.Linear(dim, attention, bias=False)  # W
        self.score = nn.Linear(attention, 1, bias=False)  # w
        self.null_score = nn.Parameter(torch.zeros(1))
        self.null = nn.Parameter(torch.zeros(dim))

    def forward(self, columns: Tensor, window: Tensor | None) -> tuple[Tensor, Tensor]:
        """Glimpses g [B, T, D] and alpha [B, T, N] of columns [B, N, D].

        The rest of alpha[b, t] to 1 is the weight of the null cell, for slots past the end.

        Args:
            columns: [B, N, D].
            window: added to the scores [B, T, N + 1]; None is unrestricted.
        """
        keys = self.keys(columns)
        excited = torch.tanh(keys[:, None] + self.queries[:, None].to(keys.dtype))  # [B, T, N, A]
        scores = self.score(excited).squeeze(-1).float()  # [B, T, N]
        if window is None:
            null_score = self.null_score.expand(scores.shape[0], scores.shape[1], 1)
        else:
            scores, null_score = scores + window[..., :-1], self.null_score + window[..., -1:]
        weights = torch.cat([scores, null_score], -1).softmax(-1)  # [B, T, N + 1]
        alpha, null = weights[..., :-1], weights[..., -1:]
        glimpse = torch.matmul(alpha.to(columns.dtype), columns) + null.to(columns.dtype) * self.null
        return glimpse, alpha


_FAR = 3.0
"""Distances in characters are clamped here, so that the cost of a miscount is bounded."""


class CharacterCount(NamedTuple):
    """Where characters start, and the attention window that follows from it."""

    starts: Tensor
    """Logits [B, N]: a character starts in this column."""
    window: Tensor
    """Added to the attention scores of every slot [B, T, N + 1]: 0 on the slot's own character, decreasing
    with the distance in characters; the last entry is the null cell, free for slots past the end."""


class Counting(nn.Module):
    """Count characters from left to right.

    Slots are ordered, so a slot must count, which position queries learn slowly: after 200,000 crops the
    slots read no codes of 16 characters and more, of which a CTC head on the same columns read a third. Each
    column therefore predicts whether a character starts in it; the running sum is the index of its character,
    and every slot attends where that index is its own. Not part of the published method.
    """

    slots: Tensor

    def __init__(self, slots: int, dim: int) -> None:
        super().__init__()
        self.start = nn.Linear(dim, 1)
        self.steepness = nn.Parameter(torch.tensor(1.5))
        self.register_buffer("slots", torch.arange(1.0, slots + 1), persistent=False)
        nn.init.constant_(self.start.bias, -1.0)

    def forward(self, columns: Tensor) -> CharacterCount:
        """Count along columns [B, N, D]."""
        starts = self.start(columns).squeeze(-1).float()
        count = torch.cumsum(torch.sigmoid(starts), 1)  # [B, N]
        away = count[:, None] - self.slots[:, None]  # [B, T, N], in characters
        missing = (count[:, -1:] + 1 - self.slots).clamp_min(0)  # [B, T]: characters still to come
        distance = torch.cat([away, missing[:, :, None]], -1).clamp(-_FAR, _FAR)
        return CharacterCount(starts, -self.steepness * distance * distance)


class GatedUnit(nn.Module):
    """Gated bimodal unit: an element-wise choice between two features of the same character (ACFM)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gate = nn.Linear(2 * dim, dim)

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Fused [B, T, D] and the gate z [B, T, D], 1 where only ``first`` is used."""
        z = torch.sigmoid(self.gate(torch.cat([first, second], -1)))
        return z * torch.tanh(first) + (1 - z) * torch.tanh(second), z


class Fusion(nn.Module):
    """ACFM: a glimpse fused with the glyphs of both levels."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.first, self.second, self.both = GatedUnit(dim), GatedUnit(dim), GatedUnit(dim)

    def forward(
        self, glimpse: Tensor, glyph_1: Tensor, glyph_2: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Of features [B, T, D] the fused ones, those fused with each level, and these levels' gates."""
        fused_1, z1 = self.first(glimpse, glyph_1)
        fused_2, z2 = self.second(glimpse, glyph_2)
        return self.both(fused_1, fused_2)[0], (fused_1, fused_2), (z1, z2)


# ----------------------------------------------------------------------------------------------- orientation


class OrientationHead(nn.Module):
    """Whether a line is upright: a linear layer on the mean and the maximum of all columns.

    Not part of SIGA or SEC. It is trained on the columns in evaluation mode and does not train them: to a
    network that only saw upright lines, the columns of upside-down ones do not resemble characters.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.says = nn.Linear(2 * dim, 1)

    def forward(self, columns: Tensor) -> Tensor:
        """Log-odds [B] that the lines of columns [B, N, D] are upright."""
        odds: Tensor = self.says(torch.cat([columns.mean(1), columns.amax(1)], -1)).squeeze(-1)
        return odds


def upside_down(crops: Tensor) -> Tensor:
    """Crops [B, 1, H, W] rotated by 180 degrees; the padding, which is 0, stays on the right."""
    width = crops.shape[-1]
    filled = width - (crops != 0).flatten(1, 2).any(1).flip(1).int().argmax(1)  # [B]
    place = torch.arange(width) + (width - filled)[:, None]  # [B, W]
    moved = place.clamp_max(width - 1)[:, None, None].expand_as(crops)
    inside = (torch.arange(width) < filled[:, None])[:, None, None]
    return crops.flip(2, 3).gather(3, moved) * inside


@contextmanager
def evaluation_mode(*parts: nn.Module) -> Iterator[None]:
    """Put parts of a network that is being trained into evaluation mode for a while."""
    training = [part.training for part in parts]
    for part in parts:
        part.eval()
    try:
        yield
    finally:
        for part, before in zip(parts, training, strict=True):
            part.train(before)
