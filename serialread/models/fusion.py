"""Attention-based character fusion (ACFM): how much each slot trusts its glimpse and its glyph.

Shapes: B crops, T slots, D channels of a slot.
"""

import torch
from torch import Tensor, nn


class GatedUnit(nn.Module):
    """Gated bimodal unit: an element-wise choice between two views of the same character."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gate = nn.Linear(2 * dim, dim)

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Fused [B, T, D] and the gate z [B, T, D], 1 where only ``first`` counts."""
        z = torch.sigmoid(self.gate(torch.cat([first, second], -1)))
        return z * torch.tanh(first) + (1 - z) * torch.tanh(second), z
