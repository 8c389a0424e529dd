"""From the last map to what the decoder looks at: columns that know one another, or cells with their places.

Shapes: B crops, C channels, h rows, N columns, D channels of a column. ``Columns`` of the trunk is the third.
"""

from typing import assert_never

import torch
from torch import Tensor, nn

from serialread.config.networks import BiLstm, Cells, MixingConfig, Sequence
from serialread.models.trunk import Columns, waves


class BothWays(nn.Module):
    """A recurrent layer both ways, then a linear one."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.rnn = nn.LSTM(inputs, width, bidirectional=True, batch_first=True)
        self.linear = nn.Linear(2 * width, width)

    def forward(self, places: Tensor) -> Tensor:
        """[B, N, D] of [B, N, C]."""
        self.rnn.flatten_parameters()
        out: Tensor = self.linear(self.rnn(places)[0])
        return out


class RecurrentColumns(nn.Module):
    """H [B, N, D]: the map's mean over its height through recurrent layers."""

    def __init__(self, channels: int, knobs: BiLstm) -> None:
        super().__init__()
        inputs = [channels, *[knobs.width] * (knobs.layers - 1)]
        self.layers = nn.Sequential(*(BothWays(i, knobs.width) for i in inputs))

    def forward(self, last: Tensor) -> Tensor:
        """Columns [B, N, D] of a map [B, C, h, N]."""
        out: Tensor = self.layers(last.mean(2).transpose(1, 2))
        return out


class PlacedCells(nn.Module):
    """Memory [B, h * N, D]: every cell and its place, row by row."""

    def __init__(self, channels: int, rows: int, longest: int, knobs: Cells) -> None:
        super().__init__()
        self.project = nn.Conv2d(channels, knobs.width, 1)
        self.columns = nn.Parameter(0.5 * waves(longest, knobs.width))
        self.rows = nn.Parameter(0.02 * torch.randn(rows, 1, knobs.width))
        self.norm = nn.LayerNorm(knobs.width)

    def forward(self, last: Tensor) -> Tensor:
        """Cells [B, h * N, D] of a map [B, C, h, N]."""
        cells = self.project(last).permute(0, 2, 3, 1) + self.rows + self.columns[: last.shape[-1]]
        out: Tensor = self.norm(cells.flatten(1, 2))
        return out


def sequence(knobs: Sequence, last: tuple[int, int], longest: int) -> nn.Module:
    """The sequence of a recipe, for a last map of so many channels and rows and at most so many columns."""
    channels, rows = last
    match knobs:
        case MixingConfig():
            return Columns(channels, rows, knobs.width, knobs.blocks, knobs.heads, knobs.mlp_ratio, longest)
        case BiLstm():
            return RecurrentColumns(channels, knobs)
        case Cells():
            return PlacedCells(channels, rows, longest, knobs)
        case _:
            assert_never(knobs)
