"""Which way up a line lies: an output of ours that neither SIGA nor SEC has.

Upside down, the columns of a network that only saw upright lines look like no characters, so that a linear
layer tells one from the other. It learns from columns as they are and teaches them nothing.

Shapes: B crops, H x W px, N columns, D channels of a column.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Upright(nn.Module):
    """A linear layer on the mean and the maximum of all columns."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.says = nn.Linear(2 * dim, 1)

    def forward(self, columns: Tensor) -> Tensor:
        """Log-odds [B] that the lines of columns [B, N, D] lie the right way up."""
        odds: Tensor = self.says(torch.cat([columns.mean(1), columns.amax(1)], -1)).squeeze(-1)
        return odds


def turned_over(crops: Tensor) -> Tensor:
    """Crops [B, 1, H, W] upside down; what pads them on the right, which is 0, stays there."""
    width = crops.shape[-1]
    filled = width - (crops != 0).flatten(1, 2).any(1).flip(1).int().argmax(1)  # [B]
    place = torch.arange(width) + (width - filled)[:, None]  # [B, W]
    moved = place.clamp_max(width - 1)[:, None, None].expand_as(crops)
    shown = (torch.arange(width) < filled[:, None])[:, None, None]
    return crops.flip(2, 3).gather(3, moved) * shown


@contextmanager
def as_they_read(*parts: nn.Module) -> Iterator[None]:
    """Let parts of a network that learns work as they will at test time."""
    learning = [part.training for part in parts]
    for part in parts:
        part.eval()
    try:
        yield
    finally:
        for part, before in zip(parts, learning, strict=True):
            part.train(before)
