"""What the losses compare with: characters, and where each of them is in the crop.

Shapes: B crops, H x W crop px, T slots, N columns (W / 4).
"""

from typing import NamedTuple

from torch import Tensor


class Targets(NamedTuple):
    """The truth about one batch. Character ids are 1-based places in the text; 0 is background."""

    classes: Tensor
    """int64 [B, T]: class of each slot, 0 from the end on."""
    lengths: Tensor
    """int64 [B]: characters, 0..25."""
    pixels: Tensor
    """uint8 [B, H / 2, W / 2]: character id of each half-resolution pixel."""
    columns: Tensor
    """int64 [B, N]: character id that owns a column."""
    known: Tensor
    """bool [B]: whether masks are known; elsewhere pixels and columns are 0."""

    def classes_at(self, ids: Tensor) -> Tensor:
        """Classes of character ids [B, ...]: background becomes the end class 0."""
        flat = ids.flatten(1).long()
        classes = self.classes.gather(1, (flat - 1).clamp_min(0))
        return classes.masked_fill(flat == 0, 0).view_as(ids)
