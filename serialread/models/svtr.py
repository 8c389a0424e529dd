"""SVTR, the backbone of SIGA_S: neighbours are mixed first, everything later; after Du et al., IJCAI 2022.

Shapes: B crops, H x W crop px, C channels, h x w feature cells.
"""

import torch
from torch import Tensor, nn

from serialread.config.networks import SvtrConfig as Knobs
from serialread.models.feature_maps import Backbone, Shape, Taps
from serialread.models.trunk import ColumnMixing, waves


class SvtrBlock(ColumnMixing):
    """A mixing block that sees all cells, or a window around each, and may be skipped while learning."""

    def __init__(self, dim: int, heads: int, ratio: int, barred: Tensor | None, skipped: float) -> None:
        super().__init__(dim, heads, ratio, 1e-6, barred)
        self.skipped = skipped

    def branch(self, change: Tensor) -> Tensor:
        """The change [B, n, C] that a branch adds, dropped for a share of the crops while learning."""
        if not self.training or self.skipped == 0:
            return change
        kept = torch.rand(len(change), 1, 1, device=change.device) >= self.skipped
        return change * kept / (1 - self.skipped)


def window(rows: int, columns: int, size: tuple[int, int]) -> Tensor:
    """What cells must not see [h * w, h * w]: -inf outside a window around each, else 0."""
    y, x = torch.arange(rows).repeat_interleave(columns), torch.arange(columns).repeat(rows)
    near = ((y[:, None] - y).abs() <= size[0] // 2) & ((x[:, None] - x).abs() <= size[1] // 2)
    return torch.zeros(near.shape).masked_fill(~near, float("-inf"))


class Merging(nn.Module):
    """Halve the rows by a convolution, then even the channels of each cell."""

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

    def __init__(self, knobs: Knobs, height: int, width: int) -> None:
        super().__init__()
        c = knobs.channels
        self.stem = nn.Sequential(_halving(3, c[0] // 2), _halving(c[0] // 2, c[0]))
        rows, columns = height // 4, width // 4
        self.positions = nn.Parameter(0.02 * waves(rows * columns, c[0]))
        self.stages = nn.ModuleList()
        done, total = 0, sum(knobs.depths)
        for i, depth in enumerate(knobs.depths):
            near = window(rows >> i, columns, knobs.window)
            blocks = [
                SvtrBlock(
                    c[i], knobs.heads[i], knobs.mlp_ratio, near if n < knobs.local else None,
                    knobs.drop_path * n / max(total - 1, 1),
                )
                for n in range(done, done + depth)
            ]  # fmt: skip
            self.stages.append(nn.Sequential(*blocks))
            done += depth
        self.merges = nn.ModuleList([Merging(c[0], c[1]), Merging(c[1], c[2])])
        self.norm = nn.LayerNorm(c[2], eps=1e-6)
        self.out = nn.Conv2d(c[2], knobs.out, 1, bias=False)
        self.shape = Shape(
            channels=(c[0] // 2, c[0], c[1]), glyphs=(c[0], c[1]), last=(knobs.out, 1),
            to_p1=(2, 1), to_p0=(2, 2), p0_px=2, p1_columns=1,
        )  # fmt: skip

    def forward(self, crops: Tensor) -> Taps:
        """P_0 [B, C, H/2, W/2], P_1 [B, C, H/4, W/4], P_2 [B, C, H/8, W/4], columns [B, C, 1, W/4]."""
        p0 = self.stem[0](crops.expand(-1, 3, -1, -1))
        cells = self.stem[1](p0)
        placed = cells + self.positions.T.reshape(cells.shape[1:])
        p1 = _mixed(self.stages[0], placed)
        p2 = _mixed(self.stages[1], self.merges[0](p1))
        deep = _mixed(self.stages[2], self.merges[1](p2))
        deep = self.norm(deep.permute(0, 2, 3, 1)).mean(1)  # [B, w, C]
        last = nn.functional.hardswish(self.out(deep.transpose(1, 2)[:, :, None]))
        return Taps(p0, p1, p2, last, p1, p2)


def _halving(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.GELU())


def _mixed(blocks: nn.Module, cells: Tensor) -> Tensor:
    """Cells [B, C, h, w] through blocks that take them as a sequence."""
    mixed: Tensor = blocks(cells.flatten(2).transpose(1, 2))
    return mixed.transpose(1, 2).reshape(cells.shape)
