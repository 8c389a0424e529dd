"""From grey pixels to feature maps P_0, P_1, P_2 and to columns that know one another.

Shapes: B crops, H x W crop px, C channels, h x w feature cells, N columns, D channels of a column.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from serialread.models.feature_maps import Backbone, Shape, Taps

SMOOTHING_CELLS = 9
"""Window of the local normalisation: about half the text's height around each pixel."""


def convolution(inputs: int, outputs: int, size: int = 3, stride: int | tuple[int, int] = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU; the first two fold into one at test time."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class ReliefChannels(nn.Module):
    """What an even light would show: grey, locally normalised grey, gradient magnitude; nothing to learn."""

    kernel: Tensor
    """Of the gradient, across and down, in every px of a cell [2c², c², 3, 3]."""

    def __init__(self, cell: int) -> None:
        super().__init__()
        self.cell = cell
        self.register_buffer("kernel", _gradients(cell), persistent=False)

    def forward(self, grey: Tensor) -> Tensor:
        """Channels [B, 3c², H/c, W/c] of grey [B, 1, H, W], c being the cell's side."""
        c = self.cell
        around = F.pixel_unshuffle(F.pad(grey, (c, c, c, c), mode="replicate"), c)
        cells = around[:, :, 1:-1, 1:-1]
        mean = self._smooth(cells.mean(1, keepdim=True))
        square = self._smooth((cells * cells).mean(1, keepdim=True))
        even = (cells - mean) * torch.rsqrt((square - mean * mean).clamp_min(0) + 0.05)
        with torch.autocast(grey.device.type, enabled=False):  # what is left of near equals needs all digits
            across, down = F.conv2d(around, self.kernel).chunk(2, 1)
        return torch.cat([cells, even, torch.sqrt(across * across + down * down + 1e-4)], 1)

    @staticmethod
    def _smooth(cells: Tensor) -> Tensor:
        n, half = SMOOTHING_CELLS, SMOOTHING_CELLS // 2
        rows = F.avg_pool2d(cells, (n, 1), 1, (half, 0), count_include_pad=False)
        return F.avg_pool2d(rows, (1, n), 1, (0, half), count_include_pad=False)


def _gradients(cell: int) -> Tensor:
    """What to multiply px with, of a cell and its neighbours, for the next px less the one before it.

    One convolution of cells in place of differences of whole pictures: an eighth less a look, weights as they
    are (benchmarks/reading.md).
    """
    kernel = torch.zeros(2, cell, cell, cell, cell, 3, 3)
    for row in range(cell):
        for column in range(cell):
            for sign in (-1, 1):
                y, x = divmod(row + cell, cell), divmod(column + sign + cell, cell)
                kernel[0, row, column, y[1], x[1], y[0], x[0]] = sign
                y, x = divmod(row + sign + cell, cell), divmod(column + cell, cell)
                kernel[1, row, column, y[1], x[1], y[0], x[0]] = sign
    return kernel.view(2 * cell * cell, cell * cell, 3, 3)


class Residual(nn.Module):
    """Two 3 x 3 convolutions around which the input may pass; one norm between them is enough."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = convolution(channels, channels)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1)
        with torch.no_grad():
            self.second.weight.mul_(0.1)  # a block starts near the identity

    def forward(self, cells: Tensor) -> Tensor:
        """Same shape as the input."""
        out: Tensor = self.second(self.first(cells))
        return out.add_(cells)


class Trunk(Backbone):
    """Residual stages on cells of c x c px, then 2 x 2 and 4 x 2 of them: columns stay 2c px wide."""

    def __init__(
        self, channels: tuple[int, int, int], blocks: tuple[int, int, int], relief: bool, cell: int, rows: int
    ) -> None:
        super().__init__()
        self.shape = Shape(
            channels=channels, glyphs=channels[1:], last=(channels[2], rows // (4 * cell)),
            to_p1=(2, 1), to_p0=(2, 2), p0_px=cell, p1_columns=1,
        )  # fmt: skip
        self.cell = cell
        self.relief = ReliefChannels(cell) if relief else None
        inputs = ((3 if relief else 1) * cell * cell, *channels[:2])
        strides: tuple[int | tuple[int, int], ...] = (1, 2, (2, 1))
        self.stages = nn.ModuleList(
            nn.Sequential(convolution(i, o, 3, s), *(Residual(o) for _ in range(n)))
            for i, o, s, n in zip(inputs, channels, strides, blocks, strict=True)
        )

    def forward(self, grey: Tensor) -> Taps:
        """P_0 [B, C, H/c, W/c], P_1 [B, C, H/2c, W/2c], P_2 [B, C, H/4c, W/2c] of grey [B, 1, H, W]."""
        cells = self.relief(grey) if self.relief is not None else F.pixel_unshuffle(grey, self.cell)
        p0 = self.stages[0](cells)
        p1 = self.stages[1](p0)
        p2 = self.stages[2](p1)
        return Taps(p0, p1, p2, p2, p1, p2)


class ColumnMixing(nn.Module):
    """Self-attention over all columns, then a perceptron on each."""

    barred: Tensor | None
    """Added to the scores [N, N]: -inf where a column must not look."""

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
        """Columns [B, N, D] that have seen one another."""
        columns = columns + self.branch(self.out(self._attend(self.norm_attention(columns))))
        mixed: Tensor = columns + self.branch(self.mlp(self.norm_mlp(columns)))
        return mixed

    def branch(self, change: Tensor) -> Tensor:
        """The change [B, N, D] that one of the two adds."""
        return change

    def _attend(self, columns: Tensor) -> Tensor:
        qkv = self.qkv(columns).unflatten(-1, (3, self.heads, -1))  # [B, N, 3, heads, D / heads]
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        scores = torch.matmul(query, key.transpose(-1, -2)) * float(query.shape[-1]) ** -0.5
        if self.barred is not None:
            scores = scores + self.barred
        weights = (
            scores.float().softmax(-1).to(value.dtype)
        )  # written out: the fused CPU kernel's backward is slow
        return torch.matmul(weights, value).transpose(1, 2).flatten(2)


class Columns(nn.Module):
    """Collapse P_2 over its height and let every column see the whole line: only so can a slot count."""

    def __init__(
        self, channels: int, rows: int, dim: int, blocks: int, heads: int, ratio: int, longest: int
    ) -> None:
        super().__init__()
        self.collapse = nn.Linear(channels * rows, dim)
        self.positions = nn.Parameter(0.5 * waves(longest, dim))
        self.mixing = nn.Sequential(*(ColumnMixing(dim, heads, ratio) for _ in range(blocks)))
        self.norm = nn.LayerNorm(dim)

    def forward(self, p2: Tensor) -> Tensor:
        """Columns H [B, N, D] of P_2 [B, C, h, N]."""
        stacked = p2.permute(0, 3, 2, 1).flatten(2)  # [B, N, h * C]
        columns = self.collapse(stacked) + self.positions[: p2.shape[-1]]
        out: Tensor = self.norm(self.mixing(columns))
        return out


def waves(length: int, dim: int) -> Tensor:
    """Sines and cosines of rising wavelength, [length, dim]: a start from which positions are learned."""
    place = torch.arange(length, dtype=torch.float32)[:, None]
    speed = torch.exp(torch.arange(0, dim, 2, dtype=torch.float32) * (-math.log(1000.0) / dim))
    return torch.cat([torch.sin(place * speed), torch.cos(place * speed)], 1)[:, :dim]
