"""The vision transformer of SIGA_T, whose tokens convolutions turn into taps; after Guan et al., 2023.

Names of tokens, blocks and norms are those of DeiT, whose weights fit all but patches and places. Shapes: B
crops, H x W crop px, h x w patches of 4 x 4 px, C channels.
"""

import torch
from torch import Tensor, nn

from serialread.config.networks import VitConfig as Knobs
from serialread.models.feature_maps import Backbone, Shape, Taps
from serialread.models.resnet import flat, layer
from serialread.models.trunk import convolution

PATCH = 4
"""px."""


class VitAttention(nn.Module):
    """Self-attention over all tokens."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Same shape as the tokens [B, n, C]."""
        query, key, value = (
            self.qkv(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        )
        seen = nn.functional.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.proj(seen.transpose(1, 2).flatten(2))
        return out


class Perceptron(nn.Module):
    """Two linear layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Same shape as the tokens [B, n, C]."""
        out: Tensor = self.fc2(nn.functional.gelu(self.fc1(tokens)))
        return out


class VitBlock(nn.Module):
    """Attention, then a perceptron."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(width, eps=1e-6), VitAttention(width, heads)
        self.norm2, self.mlp = nn.LayerNorm(width, eps=1e-6), Perceptron(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Same shape as the tokens [B, n, C]."""
        tokens = tokens + self.attn(self.norm1(tokens))
        out: Tensor = tokens + self.mlp(self.norm2(tokens))
        return out


class Patches(nn.Module):
    """Cut the crop into patches."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH, PATCH)

    def forward(self, crops: Tensor) -> Tensor:
        """Tokens [B, h * w, C]."""
        out: Tensor = self.proj(crops).flatten(2)
        return out.transpose(1, 2)


class Vit(Backbone):
    """P_2 and the coarser glyphs at patches, P_1 and the finer ones at twice their resolution, no P_0."""

    def __init__(self, knobs: Knobs, height: int, width: int) -> None:
        super().__init__()
        c, d = knobs.width, knobs.pyramid
        self.grid, self.taps = (height // PATCH, width // PATCH), knobs.taps
        self.patch_embed = Patches(c)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, c))
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, 1 + self.grid[0] * self.grid[1], c))
        self.blocks = nn.ModuleList(VitBlock(c, knobs.heads) for _ in range(knobs.depth))
        self.norm = nn.LayerNorm(c, eps=1e-6)
        self.tap_norms = nn.ModuleList(nn.LayerNorm(c, eps=1e-6) for _ in knobs.taps)
        self.low = nn.Sequential(convolution(c, 2 * d, 1), raising(2 * d, d))
        self.middle = nn.ModuleList(nn.Sequential(convolution(c, d), convolution(d, d, 1)) for _ in range(2))
        self.fine = raising(c, knobs.features)
        self.coarse = nn.Conv2d(c, knobs.features, 1, groups=8)
        self.lines = nn.Sequential(
            flat(c, knobs.out, 2), layer(knobs.out, knobs.out, 2), convolution(knobs.out, knobs.out),
            layer(knobs.out, knobs.out, 1), flat(knobs.out, knobs.out, 2), flat(knobs.out, knobs.out, 1),
        )  # fmt: skip
        self.shape = Shape(
            channels=(0, d, 2 * d), glyphs=(knobs.features, knobs.features), last=(knobs.out, 1),
            to_p1=(2, 2), to_p0=(2, 2), p0_px=1, p1_columns=2,
        )  # fmt: skip

    def forward(self, crops: Tensor) -> Taps:
        """P_1 [B, C, H/2, W/2], P_2 [B, C, H/4, W/4], V [B, C, 1, W/4] at H = 32; P_0 has no channels."""
        tokens = self.patch_embed(crops.expand(-1, 3, -1, -1))
        tokens = torch.cat([self.cls_token.expand(tokens.shape[0], -1, -1), tokens], 1) + self.pos_embed
        seen: list[Tensor] = []
        for number, block in enumerate(self.blocks, start=1):
            tokens = block(tokens)
            seen += [self._map(self.tap_norms[len(seen)](tokens))] if number in self.taps else []
        last = self._map(self.norm(tokens))
        p1 = self.low(seen[0])
        p2 = torch.cat([convolve(tap) for convolve, tap in zip(self.middle, seen[1:3], strict=True)], 1)
        p0 = crops[:, :0]
        return Taps(p0, p1, p2, self.lines(last), self.fine(seen[3]), self.coarse(last))

    def _map(self, tokens: Tensor) -> Tensor:
        """Tokens without the class's as a map [B, C, h, w]."""
        return tokens[:, 1:].transpose(1, 2).reshape(tokens.shape[0], -1, *self.grid)


def raising(inputs: int, outputs: int, rise: tuple[int, int] = (2, 2)) -> nn.Sequential:
    """Transposed convolution, batch norm, ReLU: twice the rows, and twice or as many columns."""
    kernel = (4, 4 if rise[1] == 2 else 3)
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, kernel, rise, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
