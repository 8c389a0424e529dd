"""What the losses compare with: characters, and where each of them is in the crop.

Shapes: B crops, H x W crop px, T slots, N columns.
"""

from typing import NamedTuple

from torch import Tensor

from serialread.models.rectifier import warped


class Targets(NamedTuple):
    """The truth about one batch. Character ids are 1-based places in the text; 0 is background."""

    classes: Tensor
    """int64 [B, T]: class of each slot, 0 from the end on."""
    lengths: Tensor
    """int64 [B]: characters, 0..25."""
    pixels: Tensor
    """uint8 [B, H / s, W / s]: character id of each pixel, s being the recipe's ``mask_step``; where
    only text and ground are told apart, 1 is text."""
    columns: Tensor
    """int64 [B, N]: character id that owns a column."""
    known: Tensor
    """bool [B]: whether every character's mask is known; elsewhere columns are 0."""
    shown: Tensor
    """bool [B]: whether text is told from ground; elsewhere pixels are 0."""
    one_way: Tensor
    """bool [B]: whether the code is none when turned over; of others nobody can say which way up they lie."""

    def classes_at(self, ids: Tensor) -> Tensor:
        """Classes of character ids [B, ...]: background becomes the end class 0."""
        flat = ids.flatten(1).long()
        classes = self.classes.gather(1, (flat - 1).clamp_min(0))
        return classes.masked_fill(flat == 0, 0).view_as(ids)

    def straightened(self, grid: Tensor | None) -> "Targets":
        """Masks sampled where the picture was: by the same grid [B, H, W, 2], else they would not fit it."""
        if grid is None:
            return self
        step = grid.shape[1] // self.pixels.shape[1]
        masks = warped(self.pixels[:, None].float(), grid[:, ::step, ::step], mode="nearest")
        return self._replace(pixels=masks[:, 0].to(self.pixels.dtype))
