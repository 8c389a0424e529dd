"""A taught network beside its parent: a crop that resembles the taught ones is read by it, others are not.

Shapes: B crops, H x W px, h x w feature cells, F features of a crop, K lessons.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn

from serialread.models.layers import FeatureMaps
from serialread.models.network import NetworkOutputs, Recognizer


class Selector(nn.Module):
    """Which crops resemble taught ones: one linear discriminant per lesson, on features of the parent.

    Args:
        lessons: K.
        features: F.
    """

    weight: Tensor
    """[K, F]."""
    bias: Tensor
    """[K]."""

    def __init__(self, lessons: int, features: int) -> None:
        super().__init__()
        # buffers, as a model file rounds parameters to 16 bits
        self.register_buffer("weight", torch.zeros(lessons, features))
        self.register_buffer("bias", torch.zeros(lessons))

    def forward(self, crops: Tensor, maps: FeatureMaps) -> Tensor:
        """Whether any lesson taught such crops [B, 1, H, W], bool [B]."""
        scores = crop_features(crops, maps) @ self.weight.T + self.bias
        return scores.amax(1) > 0


def crop_features(crops: Tensor, maps: FeatureMaps) -> Tensor:
    """Mean and standard deviation of every channel of P_0, P_1 and P_2 over a crop's own cells [B, F].

    They describe material, light, strokes and their size, whatever the characters are.

    Args:
        crops: [B, 1, H, W]; columns of zeros are padding.
        maps: feature maps of the crops.
    """
    valid = (crops.abs().amax(2) > 0).float()  # [B, 1, W]
    return torch.cat([_moments(cells.float(), valid) for cells in (maps.p0, maps.p1, maps.p2)], 1)


def _moments(cells: Tensor, valid: Tensor) -> Tensor:
    """Mean and deviation [B, 2C] of cells [B, C, h, w] where columns [B, 1, W] are valid."""
    inside = valid.reshape(valid.shape[0], 1, cells.shape[3], -1).amax(3)[:, :, None]  # [B, 1, 1, w]
    count = (inside.sum((2, 3)) * cells.shape[2]).clamp_min(1)  # [B, 1]
    mean = (cells * inside).sum((2, 3)) / count
    variance = (torch.square(cells - mean[:, :, None, None]) * inside).sum((2, 3)) / count
    return torch.cat([mean, variance.sqrt()], 1)


class TaughtRecognizer(Recognizer):
    """Two networks of one recipe: each crop's outputs are those of the taught one, or of the parent.

    It is never trained as a whole: a lesson goes on from the taught network.

    Args:
        parent: reads all crops that the selector does not pass.
        taught: reads those that it passes.
        lessons: K of the selector.
    """

    def __init__(self, parent: Recognizer, taught: Recognizer, lessons: int) -> None:
        nn.Module.__init__(self)  # its parts are those of its two networks
        self.parent, self.taught = parent, taught
        self.selector = Selector(lessons, 2 * sum(parent.trunk.shape.channels))
        self.topology, self.capacity, self.upright = parent.topology, parent.capacity, None
        self.training_only = tuple(
            f"{name}.{part}" for name in ("parent", "taught") for part in parent.training_only
        )

    def read(self, crops: Tensor, *, zero_glyphs: bool = False) -> NetworkOutputs:
        """Read crops [B, 1, H, W] by both networks, and take one's outputs."""
        maps, _ = self.parent.features(crops)
        parent = self.parent.read_maps(maps, zero_glyphs=zero_glyphs)
        taught = self.taught.read(crops, zero_glyphs=zero_glyphs)
        return cast("NetworkOutputs", _chosen(self.selector(crops, maps), taught, parent))


def _chosen(passed: Tensor, taught: Any, parent: Any) -> Any:
    """Outputs of the taught network for crops that passed [B], else of the parent: tensors in tuples."""
    if parent is None:
        return None
    if isinstance(parent, Tensor):
        return torch.where(passed.view(-1, *[1] * (parent.ndim - 1)), taught, parent)
    parts = [_chosen(passed, *pair) for pair in zip(taught, parent, strict=True)]
    return type(parent)(*parts) if hasattr(parent, "_fields") else tuple(parts)
