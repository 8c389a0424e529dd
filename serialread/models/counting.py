"""Which character a column belongs to, by counting the characters that have begun up to it.

Slots are ordered, so a slot must count, and position queries learn that slowly: after 200,000 crops the slots
read none of the codes of 16 characters and more, of which a CTC head on the same columns read a third. A
column therefore says whether a character begins in it; the running sum is the number of its character, and
every slot looks where that number is its own. One of the additions that method section 15 proposes.

Shapes: B crops, T slots, N columns, D channels of a column.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

_FAR = 3.0
"""Characters from which on all are equally far: a miscount costs a bounded loss."""


class Count(NamedTuple):
    """What was counted."""

    starts: Tensor
    """Logits [B, N]: a character begins in this column."""
    window: Tensor
    """Added to the scores of every slot's look, [B, T, N + 1]: 0 on its own character, falling with the
    distance in characters; the last place is the null cell, free to slots past the last character."""


class Counting(nn.Module):
    """Count characters from left to right."""

    slots: Tensor

    def __init__(self, slots: int, dim: int) -> None:
        super().__init__()
        self.start = nn.Linear(dim, 1)
        self.steepness = nn.Parameter(torch.tensor(1.5))
        self.register_buffer("slots", torch.arange(1.0, slots + 1), persistent=False)
        nn.init.constant_(self.start.bias, -1.0)

    def forward(self, columns: Tensor) -> Count:
        """Count along columns [B, N, D]."""
        starts = self.start(columns).squeeze(-1).float()
        count = torch.cumsum(torch.sigmoid(starts), 1)  # [B, N]
        away = count[:, None] - self.slots[:, None]  # [B, T, N], in characters
        missing = (count[:, -1:] + 1 - self.slots).clamp_min(0)  # [B, T]: characters still to come
        distance = torch.cat([away, missing[:, :, None]], -1).clamp(-_FAR, _FAR)
        return Count(starts, -self.steepness * distance * distance)
