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
        self.null_score = nn.Parameter(torch.zeros(1))
        self.null = nn.Parameter(torch.zeros(dim))

    def forward(self, columns: Tensor, window: Tensor | None) -> tuple[Tensor, Tensor]:
        """Glimpses g [B, T, D] and alpha [B, T, N] of columns [B, N, D], in a window [B, T, N + 1] or freely.

        What an alpha[b, t] lacks to 1 went to the null cell, where slots past the end look.
        """
        keys = self.keys(columns)
        excited = torch.tanh(keys[:, None] + self.queries[:, None].to(keys.dtype))  # [B, T, N, A]
        scores = self.score(excited).squeeze(-1).float()  # [B, T, N]
        if window is None:
            null_score = self.null_score.expand(scores.shape[0], scores.shape[1], 1)
        else:
            scores, null_score = scores + window[..., :-1], self.null_score + window[..., -1:]
        look = torch.cat([scores, null_score], -1).softmax(-1)  # [B, T, N + 1]
        alpha, null = look[..., :-1], look[..., -1:]
        glimpse = torch.matmul(alpha.to(columns.dtype), columns) + null.to(columns.dtype) * self.null
        return glimpse, alpha
