"""The compact trunk: from grey pixels to feature maps P_0, P_1, P_2, and to columns with context.

Shapes: B crops, H x W crop px, C channels, h x w feature cells, N columns, D channels of a column.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from serialread.config.networks import CompactTrunkConfig, MixingConfig
from serialread.models.layers import Backbone, FeatureMaps, MapShapes, MixingBlock, convolution, sinusoids

SMOOTHING_CELLS = 9
"""Window of the local normalization: about half the text's height around each pixel."""


class ReliefChannels(nn.Module):
    """Grey, locally normalized grey and gradient magnitude, which even out the light; no parameters."""

    kernel: Tensor
    """Horizontal and vertical gradient at every px of a cell [2c², c², 3, 3]."""

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
        with torch.autocast(grey.device.type, enabled=False):  # differences of similar values need float32
            across, down = F.conv2d(around, self.kernel).chunk(2, 1)
        return torch.cat([cells, even, torch.sqrt(across * across + down * down + 1e-4)], 1)

    @staticmethod
    def _smooth(cells: Tensor) -> Tensor:
        n, half = SMOOTHING_CELLS, SMOOTHING_CELLS // 2
        rows = F.avg_pool2d(cells, (n, 1), 1, (half, 0), count_include_pad=False)
        return F.avg_pool2d(rows, (1, n), 1, (0, half), count_include_pad=False)


def _gradients(cell: int) -> Tensor:
    """Kernel of central differences for the px of a cell, over the cell and its neighbours.

    One convolution of cells instead of differences of whole images saves an eighth of the inference time
    (docs/benchmarks/history.md).
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
    """Two 3 x 3 convolutions with a skip connection and one norm between them."""

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


class CompactTrunk(Backbone):
    """Residual stages on cells of c x c px, then 2 x 2 and 4 x 2 of them: columns stay 2c px wide."""

    def __init__(self, config: CompactTrunkConfig, height: int, width: int) -> None:
        super().__init__()
        channels, cell = config.channels, config.cell
        self.shape = MapShapes(
            channels=channels, glyphs=channels[1:], last=(channels[2], height // (4 * cell)),
            to_p1=(2, 1), to_p0=(2, 2), p0_px=cell, p1_columns=1,
        )  # fmt: skip
        self.cell = cell
        self.relief = ReliefChannels(cell) if config.relief else None
        inputs = ((3 if config.relief else 1) * cell * cell, *channels[:2])
        strides: tuple[int | tuple[int, int], ...] = (1, 2, (2, 1))
        self.stages = nn.ModuleList(
            nn.Sequential(convolution(i, o, 3, s), *(Residual(o) for _ in range(n)))
            for i, o, s, n in zip(inputs, channels, strides, config.blocks, strict=True)
        )

    def forward(self, grey: Tensor) -> FeatureMaps:
        """P_0 [B, C, H/c, W/c], P_1 [B, C, H/2c, W/2c], P_2 [B, C, H/4c, W/2c] of grey [B, 1, H, W]."""
        cells = self.relief(grey) if self.relief is not None else F.pixel_unshuffle(grey, self.cell)
        p0 = self.stages[0](cells)
        p1 = self.stages[1](p0)
        p2 = self.stages[2](p1)
        return FeatureMaps(p0, p1, p2, p2, p1, p2)


class MixedColumns(nn.Module):
    """Collapse P_2 over its height; self-attention gives every column the context that counting needs."""

    def __init__(self, config: MixingConfig, channels: int, rows: int, longest: int) -> None:
        super().__init__()
        dim = config.width
        self.collapse = nn.Linear(channels * rows, dim)
        self.positions = nn.Parameter(0.5 * sinusoids(longest, dim))
        self.mixing = nn.Sequential(
            *(MixingBlock(dim, config.heads, config.mlp_ratio) for _ in range(config.blocks))
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, p2: Tensor) -> Tensor:
        """Columns H [B, N, D] of P_2 [B, C, h, N]."""
        stacked = p2.permute(0, 3, 2, 1).flatten(2)  # [B, N, h * C]
        columns = self.collapse(stacked) + self.positions[: p2.shape[-1]]
        out: Tensor = self.norm(self.mixing(columns))
        return out
