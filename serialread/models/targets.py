"""Targets of the losses: characters, their masks, and pseudo-labels S_gt made from attention.

Pseudo-labels after SIGA (Guan et al., CVPR 2023). Shapes: B crops, H x W crop px, T slots, N columns, h x N
feature cells.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from serialread.models.layers import warped


class Targets(NamedTuple):
    """The targets of one batch. Character ids are 1-based positions in the text; 0 is background."""

    classes: Tensor
    """int64 [B, T]: class of each slot, 0 from the end on."""
    lengths: Tensor
    """int64 [B]: characters, 0..25."""
    pixels: Tensor
    """uint8 [B, H / s, W / s]: character id of each pixel, s being the network's ``mask_px``; where
    only text and background are known, 1 is text."""
    columns: Tensor
    """int64 [B, N]: character id that owns a column."""
    characters_known: Tensor
    """bool [B]: whether every character's mask is known; elsewhere columns are 0."""
    text_known: Tensor
    """bool [B]: whether a text mask is known; elsewhere pixels are 0."""
    oriented: Tensor
    """bool [B]: whether the code is no code upside-down, as 69 is; else its orientation is unknown."""

    def classes_at(self, ids: Tensor) -> Tensor:
        """Classes of character ids [B, ...]: background becomes the end class 0."""
        flat = ids.flatten(1).long()
        classes = self.classes.gather(1, (flat - 1).clamp_min(0))
        return classes.masked_fill(flat == 0, 0).view_as(ids)

    def rectified(self, grid: Tensor | None) -> "Targets":
        """The targets with masks warped by the rectifier's grid [B, H, W, 2]."""
        if grid is None:
            return self
        step = grid.shape[1] // self.pixels.shape[1]
        masks = warped(self.pixels[:, None].float(), grid[:, ::step, ::step], mode="nearest")
        return self._replace(pixels=masks[:, 0].to(self.pixels.dtype))


def bands(alpha: Tensor, lengths: Tensor) -> Tensor:
    """Attention [B, T, N] as a share of each slot's peak, 0..1; slots past the end are 0.

    A glyph spans 2 to 30 columns where the aspect is kept, so absolute attention is not comparable.
    """
    peaks = alpha.amax(-1, keepdim=True).clamp_min(1e-6)
    written = torch.arange(alpha.shape[1]) < lengths[:, None]
    return alpha / peaks * written[..., None]


def interpolated(alpha: Tensor, lengths: Tensor, columns: int) -> Tensor:
    """Attention [B, T, N] interpolated to a number of columns (xi), not renormalized; 0 past the end."""
    written = torch.arange(alpha.shape[1]) < lengths[:, None]
    beta = alpha if columns == alpha.shape[-1] else F.interpolate(alpha, size=columns, mode="linear")
    return beta * written[..., None]


def assigned(shares: Tensor, text: Tensor, threshold: float) -> Tensor:
    """Character ids [B, h, N] of text cells (bool [B, h, N]): the slot with the largest share [B, T, N].

    Text that no slot claims above the threshold is background. Each column belongs to one slot.
    """
    strongest, slot = shares.max(1)  # [B, N]
    owner = torch.where(strongest > threshold, slot + 1, 0)
    return torch.where(text, owner[:, None], 0)


def from_masks(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """Character ids [B, *size] of rendered masks [B, H / s, W / s]; max-pooled to keep thin strokes."""
    window = pixels.shape[1] // size[0], pixels.shape[2] // size[1]
    return F.max_pool2d(pixels[:, None].float(), window)[:, 0].long()


def text_cells(segmentation: Tensor, size: tuple[int, int]) -> Tensor:
    """Cells [B, *size] that hold text: S_m's logits [B, H / s, W / s] binarised, then max-pooled."""
    window = segmentation.shape[1] // size[0], segmentation.shape[2] // size[1]
    return F.max_pool2d(segmentation[:, None].float(), window)[:, 0] > 0


def filled_cells(segmentation: Tensor, size: tuple[int, int], share: float) -> Tensor:
    """Cells [B, *size] of which text covers a share, as in the paper: loses strokes thinner than a cell."""
    whole = (segmentation > 0).float()[:, None]
    return F.interpolate(whole, size=size, mode="bilinear", align_corners=False)[:, 0] >= share
