"""Implicit attention: each slot looks at the columns of its character; after SIGA (Guan et al., CVPR 2023).

Shapes: B crops, T slots, N columns, D channels of a column, A channels of the attention.
"""

import torch
from torch import Tensor, nn


class ImplicitAttention(nn.Module):
    """All slots at once: an embedding of the slot replaces the recurrent state, so no language is learned."""

    def __init__(self, slots: int, dim: int, attention: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(slots, attention) * 0.5)  # U q_t
        self.keys = nn.Linear(dim, attention, bias=False)  # W
        self.score = nn.Linear(attention, 1, bias=False)  # w

    def forward(self, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Glimpses g [B, T, D] and alpha [B, T, N] of columns [B, N, D]; each alpha[b, t] sums to 1."""
        keys = self.keys(columns)
        excited = torch.tanh(keys[:, None] + self.queries[:, None].to(keys.dtype))  # [B, T, N, A]
        alpha = self.score(excited).squeeze(-1).float().softmax(-1)
        return torch.matmul(alpha.to(columns.dtype), columns), alpha
