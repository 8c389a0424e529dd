"""Glyph pseudo-labels S_gt: which character each cell belongs to; after SIGA (Guan et al., CVPR 2023).

Shapes: B crops, T slots, N columns, h x N feature cells.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def bands(alpha: Tensor, lengths: Tensor) -> Tensor:
    """Attention [B, T, N] as a share of each slot's peak, 0..1; slots past the end are 0.

    A glyph spans 2 to 30 columns where the aspect is kept, so absolute attention would mean nothing.
    """
    peaks = alpha.amax(-1, keepdim=True).clamp_min(1e-6)
    written = torch.arange(alpha.shape[1]) < lengths[:, None]
    return alpha / peaks * written[..., None]


def from_attention(alpha: Tensor, text: Tensor, lengths: Tensor, threshold: float) -> Tensor:
    """Character ids [B, h, N] of text cells (bool [B, h, N]): the slot that looks hardest at the column."""
    strongest, slot = bands(alpha, lengths).max(1)  # [B, N]
    owner = torch.where(strongest > threshold, slot + 1, 0)
    return torch.where(text, owner[:, None], 0)


def from_masks(pixels: Tensor, rows: int) -> Tensor:
    """Character ids [B, rows, N] of rendered masks [B, H / 2, 2 * N]; max-pooled, so thin strokes survive."""
    window = pixels.shape[1] // rows
    return F.max_pool2d(pixels[:, None].float(), (window, 2))[:, 0].long()


def text_cells(segmentation: Tensor, rows: int) -> Tensor:
    """Cells [B, rows, N] that hold text: S_m's logits [B, H/2, W/2] binarised, then max-pooled."""
    window = segmentation.shape[1] // rows
    return F.max_pool2d(segmentation[:, None].float(), (window, 2))[:, 0] > 0
