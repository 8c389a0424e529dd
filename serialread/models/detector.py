"""The line detector: from a grey picture to maps of its text lines, and the losses that it learns by.

Shapes: B pictures, H x W px (multiples of 32), h x w cells of 4 x 4 px.
"""

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from serialread.config.detector_recipe import DetectorLosses, DetectorNetworkConfig
from serialread.detection.text_lines import CELL_PX

_MAPS = 4
_SMOOTHING = 9


class LineMaps(NamedTuple):
    """What the network says about every cell.

    Attributes:
        core: logit that the cell belongs to the core of a line, the middle 40 % of its height [B, h, w].
        direction: cosine and sine of the reading direction, not normalized [B, 2, h, w].
        height: binary logarithm of the height of a capital over ``REFERENCE_PX`` [B, h, w].
    """

    core: Tensor
    direction: Tensor
    height: Tensor


class LineTargets(NamedTuple):
    """What is true of every cell.

    Attributes:
        core: 1 in cores of lines, else 0 [B, h, w].
        known: 0 where nothing is learned, such as on illegible lines [B, h, w].
        direction: cosine and sine of the reading direction, in cores [B, 2, h, w].
        height: as in ``LineMaps``, in cores [B, h, w].
    """

    core: Tensor
    known: Tensor
    direction: Tensor
    height: Tensor


class _Convolution(nn.Sequential):
    """A 3 x 3 convolution with batch norm and ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
        )


class _Level(nn.Module):
    """Half the size of the level above, and some convolutions with residuals."""

    def __init__(self, inputs: int, channels: int, blocks: int) -> None:
        super().__init__()
        self.down = _Convolution(inputs, channels, stride=2)
        self.blocks = nn.ModuleList(_Convolution(channels, channels) for _ in range(blocks))

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        for block in self.blocks:
            x = x + block(x)
        return x


class LineDetector(nn.Module):
    """Maps of text lines at a quarter of the picture's size; fully convolutional."""

    def __init__(self, config: DetectorNetworkConfig) -> None:
        super().__init__()
        eighth, sixteenth, last = config.channels
        self.stem = _Convolution(CELL_PX**2, config.stem)
        self.eighth = _Level(config.stem, eighth, config.blocks[0])
        self.sixteenth = _Level(eighth, sixteenth, config.blocks[1])
        self.last = _Level(sixteenth, last, config.blocks[2])
        self.from_last = nn.Conv2d(last, config.neck, 1)
        self.from_sixteenth = nn.Conv2d(sixteenth, config.neck, 1)
        self.from_eighth = nn.Conv2d(eighth, config.neck, 1)
        self.from_stem = nn.Conv2d(4 * config.stem, config.neck, 1)
        self.joined = _Convolution(config.neck, config.neck)
        self.maps = nn.Conv2d(config.neck, 4 * _MAPS, 1)
        with torch.no_grad():
            cast("Tensor", self.maps.bias)[:4] = -3.0  # few cells belong to lines

    def forward(self, pictures: Tensor) -> LineMaps:
        """Maps of grey pictures [B, 1, H, W], 0 black .. 1 white."""
        stem = self.stem(_even(pictures))
        eighth = self.eighth(stem)
        sixteenth = self.sixteenth(eighth)
        x = self.from_sixteenth(sixteenth) + _twice(self.from_last(self.last(sixteenth)))
        x = self.from_eighth(eighth) + _twice(x) + self.from_stem(F.pixel_unshuffle(stem, 2))
        maps = F.pixel_shuffle(self.maps(self.joined(F.relu(x))), 2).float()
        return LineMaps(maps[:, 0], maps[:, 1:3], maps[:, 3])


def _even(pictures: Tensor) -> Tensor:
    """Cells [B, 16, h, w] of evenly lit pictures: differences to the local mean over the local spread."""
    cells = F.pixel_unshuffle(pictures, CELL_PX)
    mean, square = cells.mean(1, keepdim=True), (cells * cells).mean(1, keepdim=True)
    mean, square = _smooth(mean), _smooth(square)
    return (cells - mean) * torch.rsqrt((square - mean * mean).clamp_min(0) + 1.5e-3)


def _smooth(x: Tensor) -> Tensor:
    half = _SMOOTHING // 2
    x = F.avg_pool2d(x, (_SMOOTHING, 1), 1, (half, 0), count_include_pad=False)
    return F.avg_pool2d(x, (1, _SMOOTHING), 1, (0, half), count_include_pad=False)


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def detector_terms(maps: LineMaps, targets: LineTargets, weights: DetectorLosses) -> dict[str, Tensor]:
    """The weighted loss terms of a batch."""
    core = targets.core
    shows = 1 - core * (torch.sigmoid(maps.core.detach()) < weights.hidden).float()
    known = targets.known * shows
    each = F.binary_cross_entropy_with_logits(maps.core, core, reduction="none") * known
    lines = core * known
    count = lines.sum().clamp(min=1.0)
    background = (each * (1 - core)).flatten()
    hard = min(int(weights.hard_ratio * float(count)) + 200 * len(core), background.numel())
    negative = background.topk(hard).values.sum() / hard
    found = torch.sigmoid(maps.core) * known
    shared = (found * lines).sum((1, 2))
    dice = 1 - (2 * shared + 8.0) / ((found * found).sum((1, 2)) + lines.sum((1, 2)) + 8.0)
    along = F.normalize(maps.direction, dim=1, eps=1e-4)
    turned = 1 - (along * targets.direction).sum(1)
    high = F.smooth_l1_loss(maps.height, targets.height, reduction="none", beta=0.2)
    return {
        "core": weights.core * ((each * lines).sum() / count + negative),
        "overlap": weights.overlap * dice.mean(),
        "direction": weights.direction * (turned * lines).sum() / count,
        "height": weights.height * (high * lines).sum() / count,
    }
