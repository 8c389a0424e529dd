"""Parts of the paper-size networks: TPS rectifier, recurrent columns, and the paper's SIGA modules.

Shapes: B crops, H x W crop px, K fiducial points, C channels, h x w feature cells, N columns, T slots,
D channels of a column or slot.
"""

import torch
from torch import Tensor, nn

from serialread.config.networks import BiLstmConfig, CellsConfig, Layers, PaperParts, RectifierConfig
from serialread.models.glyphs import Glyphs, SigaModules
from serialread.models.layers import (
    SLOTS,
    BidirectionalLstm,
    FeatureMaps,
    MapShapes,
    convolution,
    sinusoids,
    upsampling,
    warped,
)

# ------------------------------------------------------------------------------------------------ rectifier


class Localization(nn.Module):
    """Predict the fiducial points: K / 2 along the upper edge of the text, K / 2 along the lower."""

    def __init__(self, points: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in ((3, 64), (64, 128), (128, 256), (256, 512)):
            layers += [nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
            layers.append(nn.MaxPool2d(2, 2) if outputs < 512 else nn.AdaptiveAvgPool2d(1))
        self.conv = nn.Sequential(*layers)
        self.localization_fc1 = nn.Sequential(nn.Linear(512, 256), nn.ReLU())
        self.localization_fc2 = nn.Linear(256, 2 * points)
        nn.init.zeros_(self.localization_fc2.weight)
        with torch.no_grad():
            self.localization_fc2.bias.copy_(edge_points(points).flatten())

    def forward(self, crops: Tensor) -> Tensor:
        """Points [B, K, 2], (x, y) in -1..1 of crops [B, 3, H, W]."""
        found: Tensor = self.localization_fc2(self.localization_fc1(self.conv(crops).flatten(1)))
        return found.view(found.shape[0], -1, 2)


def edge_points(points: int) -> Tensor:
    """K points [K, 2], (x, y): evenly along the upper edge, then along the lower."""
    x = torch.linspace(-1, 1, points // 2)
    return torch.cat([torch.stack([x, torch.full_like(x, y)], 1) for y in (-1.0, 1.0)])


def _radial_basis(points: Tensor, centres: Tensor) -> Tensor:
    """r^2 log r of every point [n, 2] and centre [K, 2]; [n, K]."""
    square = (points[:, None] - centres).square().sum(-1)
    return 0.5 * square * torch.log(square.clamp_min(1e-12))


class Rectifier(nn.Module):
    """A thin-plate spline that maps the fiducial points to the edges of the crop; frozen.

    After RARE (Shi et al., CVPR 2016) and TRBA. The papers' weights are not public: it starts as the
    identity, and a file of such weights loads by these names.
    """

    to_grid: Tensor

    def __init__(self, config: RectifierConfig, height: int, width: int) -> None:
        super().__init__()
        self.size = (height, width)
        self.LocalizationNetwork = Localization(config.points)
        centres = edge_points(config.points)
        one = torch.ones(config.points, 1)
        left = torch.cat([_radial_basis(centres, centres), one, centres], 1)  # [K, K + 3]
        below = torch.cat([torch.cat([one, centres], 1).T, torch.zeros(3, 3)], 1)
        inverse = torch.linalg.inv(torch.cat([left, below]).double()).float()
        y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
        cells = torch.stack([x, y], -1).flatten(0, 1)  # [H * W, 2]
        basis = torch.cat([_radial_basis(cells, centres), torch.ones(len(cells), 1), cells], 1)
        self.register_buffer("to_grid", (basis @ inverse)[:, : config.points], persistent=False)
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> "Rectifier":
        """Frozen: running statistics do not change."""
        return super().train(False)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Straightened crops [B, 1, H, W], and the grid [B, H, W, 2] to warp masks with."""
        points = self.LocalizationNetwork(crops.expand(-1, 3, -1, -1))
        grid = torch.matmul(self.to_grid, points.float()).view(points.shape[0], *self.size, 2)
        return warped(crops.float(), grid), grid


# ---------------------------------------------------------------------------------------------- sequences


class RecurrentColumns(nn.Module):
    """H [B, N, D]: the mean of the map over its height, then bidirectional LSTM layers."""

    def __init__(self, config: BiLstmConfig, channels: int) -> None:
        super().__init__()
        inputs = [channels, *[config.width] * (config.layers - 1)]
        self.layers = nn.Sequential(*(BidirectionalLstm(i, config.width) for i in inputs))

    def forward(self, last: Tensor) -> Tensor:
        """Columns [B, N, D] of a map [B, C, h, N]."""
        out: Tensor = self.layers(last.mean(2).transpose(1, 2))
        return out


class PositionedCells(nn.Module):
    """Memory [B, h * N, D]: every cell with its position, row by row."""

    def __init__(self, config: CellsConfig, channels: int, rows: int, longest: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(channels, config.width, 1)
        self.columns = nn.Parameter(0.5 * sinusoids(longest, config.width))
        self.rows = nn.Parameter(0.02 * torch.randn(rows, 1, config.width))
        self.norm = nn.LayerNorm(config.width)

    def forward(self, last: Tensor) -> Tensor:
        """Cells [B, h * N, D] of a map [B, C, h, N]."""
        cells = self.project(last).permute(0, 2, 3, 1) + self.rows + self.columns[: last.shape[-1]]
        out: Tensor = self.norm(cells.flatten(1, 2))
        return out


# --------------------------------------------------------------------------------------------- SIGA modules


class PaperPyramid(nn.Module):
    """O_2 and O_1 as in the paper: feature maps merged top-down, without context of the columns."""

    def __init__(self, shape: MapShapes, parts: PaperParts) -> None:
        super().__init__()
        self.top = _stack(shape.channels[2], parts.top)
        o2 = parts.top[-1][1] if parts.top else shape.channels[2]
        self.raise_2 = upsampling(o2, parts.raised[0], shape.to_p1)
        self.middle = _stack(parts.raised[0] + shape.channels[1], parts.middle)
        self.widths = (parts.middle[-1][1], o2)

    def forward(self, maps: FeatureMaps, columns: Tensor) -> tuple[Tensor, Tensor]:
        """O_1 and O_2 [B, C, h, w], as large as P_1 and P_2."""
        o2 = self.top(maps.p2)
        return self.middle(torch.cat([self.raise_2(o2), maps.p1], 1)), o2


class PaperSegmentation(nn.Module):
    """O_0 and S_m at the crop's resolution: one logit where the authors' code has two. Training only."""

    def __init__(self, shape: MapShapes, parts: PaperParts) -> None:
        super().__init__()
        self.raise_1 = upsampling(parts.middle[-1][1], parts.raised[1], shape.to_p0)
        self.finest = _stack(parts.raised[1] + shape.channels[0], parts.finest)
        width = parts.finest[-1][1]
        self.whole = upsampling(width, parts.raised[1]) if shape.p0_px == 2 else nn.Identity()
        self.head = nn.Conv2d(parts.raised[1] if shape.p0_px == 2 else width, 1, 1)

    def forward(self, maps: FeatureMaps, o1: Tensor) -> Tensor:
        """Logits of S_m [B, H, W] of P_0 and O_1."""
        logits: Tensor = self.head(self.whole(self.finest(torch.cat([self.raise_1(o1), maps.p0], 1))))
        return logits[:, 0]


def _stack(inputs: int, layers: Layers) -> nn.Sequential:
    made = []
    for size, outputs in layers:
        made.append(convolution(inputs, outputs, size))
        inputs = outputs
    return nn.Sequential(*made)


class PaperLevel(nn.Module):
    """One level of glyph attention as in the paper: no null cell, but a recurrent layer over the slots.

    Slot n + 1 serves the end of the text; no map is supervised for it.
    """

    def __init__(self, channels: int, pyramid: int, dim: int, kernel: int) -> None:
        super().__init__()
        self.maps = nn.Conv2d(pyramid, SLOTS + 1, 1)
        self.features = convolution(channels, dim, kernel) if kernel else nn.Identity()
        self.slots = BidirectionalLstm(dim if kernel else channels, dim)

    def forward(self, features: Tensor, pyramid: Tensor, window: Tensor | None) -> Glyphs:
        """Pool glyphs from P_k [B, C, h, w] by maps predicted from O_k [B, C, h, w]; ignores the window."""
        maps = self.maps(pyramid).float()
        cells = self.features(features).flatten(2).transpose(1, 2)
        weights = maps[:, 1:].flatten(2).softmax(-1)  # [B, T, h * w]
        return Glyphs(self.slots(torch.matmul(weights.to(cells.dtype), cells)), maps, None, cells)

    def project(self, cells: Tensor) -> Tensor:
        """Cells [B, h * w, C] as they are: they have a glyph's channels."""
        return cells


def paper_modules(parts: PaperParts, shape: MapShapes, dim: int) -> SigaModules:
    """The paper's SIGA modules, for a backbone's feature maps and slots of ``dim`` channels."""
    pyramid = PaperPyramid(shape, parts)
    fine, coarse = (
        PaperLevel(channels, width, dim, parts.feature_kernel)
        for channels, width in zip(shape.glyphs, pyramid.widths, strict=True)
    )
    return SigaModules(pyramid, (fine, coarse), PaperSegmentation(shape, parts))
