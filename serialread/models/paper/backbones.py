"""The backbones of the papers: the 45-layer ResNet, SVTR and the vision transformer.

Shapes: B crops, H x W crop px, C channels, h x w feature cells. Crops are grey; three equal channels let
published weights load.
"""

import torch
from torch import Tensor, nn

from serialread.config.networks import ResnetConfig, SvtrConfig, VitConfig
from serialread.models.layers import (
    Backbone,
    FeatureMaps,
    MapShapes,
    MixingBlock,
    convolution,
    sinusoids,
    upsampling,
)

# --------------------------------------------------------------------------------------------------- ResNet


class BasicBlock(nn.Module):
    """A 1x1 and a strided 3x3 convolution with a skip connection."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = convolution(inputs, outputs, 1)
        self.second = convolution(outputs, outputs, 3, stride)[:2]
        self.shortcut = (
            nn.Sequential() if (inputs, stride) == (outputs, 1) else _matching(inputs, outputs, stride)
        )

    def forward(self, cells: Tensor) -> Tensor:
        """[B, outputs, h / stride, w / stride]."""
        out: Tensor = (self.second(self.first(cells)) + self.shortcut(cells)).relu_()
        return out


def _matching(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


def residual_layer(inputs: int, outputs: int, blocks: int, stride: int = 1) -> nn.Sequential:
    """Basic blocks, the first with the stride."""
    return nn.Sequential(
        BasicBlock(inputs, outputs, stride), *(BasicBlock(outputs, outputs) for _ in range(blocks - 1))
    )


def row_reduction(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Convolution that reduces the rows: k(2,3), s(stride,1), p(0,1)."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, (2, 3), (stride, 1), (0, 1), bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Resnet(Backbone):
    """P_0 at full, P_1 at half, P_2 at a quarter of the height; then one row of N = W / 4 columns.

    (A comment in the authors' code says 33 columns for 128 px; kernel 3 with padding 1 gives 32.)
    """

    def __init__(self, config: ResnetConfig, height: int, width: int) -> None:
        super().__init__()
        c, n = config.channels, config.blocks
        self.stem = convolution(3, c[0])
        self.first = nn.Sequential(residual_layer(c[0], c[1], n[0], 2), residual_layer(c[1], c[2], n[1]))
        self.second = nn.Sequential(residual_layer(c[2], c[3], n[2], 2), residual_layer(c[3], c[4], n[3]))
        to_row = (
            nn.MaxPool2d((2, 3), (2, 1), (0, 1)),
            residual_layer(c[5], c[5], n[5]),
            convolution(c[5], c[5]),
            residual_layer(c[5], c[5], n[6]),
            row_reduction(c[5], c[5], 2),
            row_reduction(c[5], c[5], 1),
        ) if config.single_row else ()  # fmt: skip
        self.third = nn.Sequential(residual_layer(c[4], c[5], n[4]), *to_row)
        self.shape = MapShapes(
            channels=(c[0], c[2], c[4]), glyphs=(c[2], c[4]),
            last=(c[5], max(height // 16 - 1, 1) if config.single_row else height // 4),
            to_p1=(2, 2), to_p0=(2, 2), p0_px=1, p1_columns=2,
        )  # fmt: skip
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, crops: Tensor) -> FeatureMaps:
        """P_0 [B, C, H, W], P_1 [B, C, H/2, W/2], P_2 [B, C, H/4, W/4], V [B, C, 1, W/4] at H = 32."""
        p0 = self.stem(crops.expand(-1, 3, -1, -1))
        p1 = self.first(p0)
        p2 = self.second(p1)
        return FeatureMaps(p0, p1, p2, self.third(p2), p1, p2)


# ----------------------------------------------------------------------------------------------------- SVTR


class SvtrBlock(MixingBlock):
    """A mixing block with global or windowed attention and stochastic depth (SVTR, Du et al., IJCAI 2022)."""

    def __init__(self, dim: int, heads: int, ratio: int, barred: Tensor | None, drop_path: float) -> None:
        super().__init__(dim, heads, ratio, 1e-6, barred)
        self.drop_path = drop_path

    def branch(self, change: Tensor) -> Tensor:
        """The output [B, n, C] of a residual branch, dropped for a share of the crops in training."""
        if not self.training or self.drop_path == 0:
            return change
        kept = torch.rand(len(change), 1, 1, device=change.device) >= self.drop_path
        return change * kept / (1 - self.drop_path)


def window_mask(rows: int, columns: int, size: tuple[int, int]) -> Tensor:
    """Attention mask [h * w, h * w]: -inf outside a window around each cell, else 0."""
    y, x = torch.arange(rows).repeat_interleave(columns), torch.arange(columns).repeat(rows)
    near = ((y[:, None] - y).abs() <= size[0] // 2) & ((x[:, None] - x).abs() <= size[1] // 2)
    return torch.zeros(near.shape).masked_fill(~near, float("-inf"))


class Merging(nn.Module):
    """Halve the rows by a convolution, then normalize the channels of each cell."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(inputs, outputs, 3, (2, 1), 1)
        self.norm = nn.LayerNorm(outputs, eps=1e-6)

    def forward(self, cells: Tensor) -> Tensor:
        """[B, outputs, h / 2, w]."""
        out: Tensor = self.norm(self.reduce(cells).permute(0, 2, 3, 1))
        return out.permute(0, 3, 1, 2)


class Svtr(Backbone):
    """P_0 at half the height, P_1 and P_2 at a quarter and an eighth; N = W / 4 columns throughout."""

    def __init__(self, config: SvtrConfig, height: int, width: int) -> None:
        super().__init__()
        c = config.channels
        self.stem = nn.Sequential(_halving(3, c[0] // 2), _halving(c[0] // 2, c[0]))
        rows, columns = height // 4, width // 4
        self.positions = nn.Parameter(0.02 * sinusoids(rows * columns, c[0]))
        self.stages = nn.ModuleList()
        done, total = 0, sum(config.depths)
        for i, depth in enumerate(config.depths):
            near = window_mask(rows >> i, columns, config.window)
            blocks = [
                SvtrBlock(
                    c[i], config.heads[i], config.mlp_ratio, near if n < config.local else None,
                    config.drop_path * n / max(total - 1, 1),
                )
                for n in range(done, done + depth)
            ]  # fmt: skip
            self.stages.append(nn.Sequential(*blocks))
            done += depth
        self.merges = nn.ModuleList([Merging(c[0], c[1]), Merging(c[1], c[2])])
        self.norm = nn.LayerNorm(c[2], eps=1e-6)
        self.out = nn.Conv2d(c[2], config.out, 1, bias=False)
        self.shape = MapShapes(
            channels=(c[0] // 2, c[0], c[1]), glyphs=(c[0], c[1]), last=(config.out, 1),
            to_p1=(2, 1), to_p0=(2, 2), p0_px=2, p1_columns=1,
        )  # fmt: skip

    def forward(self, crops: Tensor) -> FeatureMaps:
        """P_0 [B, C, H/2, W/2], P_1 [B, C, H/4, W/4], P_2 [B, C, H/8, W/4], columns [B, C, 1, W/4]."""
        p0 = self.stem[0](crops.expand(-1, 3, -1, -1))
        cells = self.stem[1](p0)
        placed = cells + self.positions.T.reshape(cells.shape[1:])
        p1 = _mixed(self.stages[0], placed)
        p2 = _mixed(self.stages[1], self.merges[0](p1))
        deep = _mixed(self.stages[2], self.merges[1](p2))
        deep = self.norm(deep.permute(0, 2, 3, 1)).mean(1)  # [B, w, C]
        last = nn.functional.hardswish(self.out(deep.transpose(1, 2)[:, :, None]))
        return FeatureMaps(p0, p1, p2, last, p1, p2)


def _halving(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.GELU())


def _mixed(blocks: nn.Module, cells: Tensor) -> Tensor:
    """Apply blocks to cells [B, C, h, w] as a sequence."""
    mixed: Tensor = blocks(cells.flatten(2).transpose(1, 2))
    return mixed.transpose(1, 2).reshape(cells.shape)


# ------------------------------------------------------------------------------------- vision transformer

PATCH = 4
"""Side of a patch, px."""


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
        attended = nn.functional.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.proj(attended.transpose(1, 2).flatten(2))
        return out


class Mlp(nn.Module):
    """Two linear layers with GELU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Same shape as the tokens [B, n, C]."""
        out: Tensor = self.fc2(nn.functional.gelu(self.fc1(tokens)))
        return out


class VitBlock(nn.Module):
    """Attention, then an MLP."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(width, eps=1e-6), VitAttention(width, heads)
        self.norm2, self.mlp = nn.LayerNorm(width, eps=1e-6), Mlp(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Same shape as the tokens [B, n, C]."""
        tokens = tokens + self.attn(self.norm1(tokens))
        out: Tensor = tokens + self.mlp(self.norm2(tokens))
        return out


class PatchEmbedding(nn.Module):
    """Embed patches of the crop as tokens."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH, PATCH)

    def forward(self, crops: Tensor) -> Tensor:
        """Tokens [B, h * w, C]."""
        out: Tensor = self.proj(crops).flatten(2)
        return out.transpose(1, 2)


class Vit(Backbone):
    """P_2 and the coarser glyphs at patch resolution, P_1 and the finer ones at twice that, no P_0.

    Parameters of tokens, blocks and norms are named as in DeiT, whose weights fit all but patch and position
    embeddings. timm has the same blocks but needs torchvision, for one recipe. After Guan et al., 2023.
    """

    def __init__(self, config: VitConfig, height: int, width: int) -> None:
        super().__init__()
        c, d, out = config.width, config.pyramid, config.out
        self.grid, self.map_blocks = (height // PATCH, width // PATCH), config.map_blocks
        self.patch_embed = PatchEmbedding(c)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, c))
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, 1 + self.grid[0] * self.grid[1], c))
        self.blocks = nn.ModuleList(VitBlock(c, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(c, eps=1e-6)
        self.map_norms = nn.ModuleList(nn.LayerNorm(c, eps=1e-6) for _ in config.map_blocks)
        self.low = nn.Sequential(convolution(c, 2 * d, 1), upsampling(2 * d, d))
        self.middle = nn.ModuleList(nn.Sequential(convolution(c, d), convolution(d, d, 1)) for _ in range(2))
        self.fine = upsampling(c, config.features)
        self.coarse = nn.Conv2d(c, config.features, 1, groups=8)
        self.lines = nn.Sequential(
            row_reduction(c, out, 2),
            residual_layer(out, out, 2),
            convolution(out, out),
            residual_layer(out, out, 1),
            row_reduction(out, out, 2),
            row_reduction(out, out, 1),
        )
        self.shape = MapShapes(
            channels=(0, d, 2 * d), glyphs=(config.features, config.features), last=(config.out, 1),
            to_p1=(2, 2), to_p0=(2, 2), p0_px=1, p1_columns=2,
        )  # fmt: skip

    def forward(self, crops: Tensor) -> FeatureMaps:
        """P_1 [B, C, H/2, W/2], P_2 [B, C, H/4, W/4], V [B, C, 1, W/4] at H = 32; P_0 has no channels."""
        tokens = self.patch_embed(crops.expand(-1, 3, -1, -1))
        tokens = torch.cat([self.cls_token.expand(tokens.shape[0], -1, -1), tokens], 1) + self.pos_embed
        found: list[Tensor] = []
        for number, block in enumerate(self.blocks, start=1):
            tokens = block(tokens)
            if number in self.map_blocks:
                found.append(self._map(self.map_norms[len(found)](tokens)))
        last = self._map(self.norm(tokens))
        p1 = self.low(found[0])
        p2 = torch.cat([convolve(one) for convolve, one in zip(self.middle, found[1:3], strict=True)], 1)
        p0 = crops[:, :0]
        return FeatureMaps(p0, p1, p2, self.lines(last), self.fine(found[3]), self.coarse(last))

    def _map(self, tokens: Tensor) -> Tensor:
        """Tokens without the class token as a map [B, C, h, w]."""
        return tokens[:, 1:].transpose(1, 2).reshape(tokens.shape[0], -1, *self.grid)
