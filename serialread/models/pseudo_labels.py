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


def widened(alpha: Tensor, lengths: Tensor, columns: int) -> Tensor:
    """Attention [B, T, N] interpolated to so many columns (xi), not renormalised; 0 past the end."""
    written = torch.arange(alpha.shape[1]) < lengths[:, None]
    beta = alpha if columns == alpha.shape[-1] else F.interpolate(alpha, size=columns, mode="linear")
    return beta * written[..., None]


def owned(shares: Tensor, text: Tensor, threshold: float) -> Tensor:
    """Character ids [B, h, N] of text cells (bool [B, h, N]): the slot with the largest share [B, T, N].

    Text that no slot claims above the threshold is ground. A column is one slot's: no text may stand on end.
    """
    strongest, slot = shares.max(1)  # [B, N]
    owner = torch.where(strongest > threshold, slot + 1, 0)
    return torch.where(text, owner[:, None], 0)


def from_masks(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """Character ids [B, *size] of rendered masks [B, H / s, W / s]; max-pooled, so thin strokes survive."""
    window = pixels.shape[1] // size[0], pixels.shape[2] // size[1]
    return F.max_pool2d(pixels[:, None].float(), window)[:, 0].long()


def text_cells(segmentation: Tensor, size: tuple[int, int]) -> Tensor:
    """Cells [B, *size] that hold text: S_m's logits [B, H / s, W / s] binarised, then max-pooled."""
    window = segmentation.shape[1] // size[0], segmentation.shape[2] // size[1]
    return F.max_pool2d(segmentation[:, None].float(), window)[:, 0] > 0


def filled_cells(segmentation: Tensor, size: tuple[int, int], share: float) -> Tensor:
    """Cells [B, *size] of which text fills a share, as in the paper: erases strokes thinner than a cell."""
    whole = (segmentation > 0).float()[:, None]
    return F.interpolate(whole, size=size, mode="bilinear", align_corners=False)[:, 0] >= share
