"""A thin-plate spline that straightens the crop; after RARE (Shi et al., CVPR 2016) and TRBA.

The papers use one trained elsewhere, frozen, whose weights are not public: it begins as the identity, and a
file of such weights loads by the names below. Shapes: B crops, H x W crop px, K fiducial points.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from serialread.config.networks import RectifierConfig as Knobs


class Localization(nn.Module):
    """Where the fiducial points lie: K / 2 along the upper edge of the text, K / 2 along the lower."""

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


def _bend(points: Tensor, centres: Tensor) -> Tensor:
    """r^2 log r of every point [n, 2] and centre [K, 2]; [n, K]."""
    square = (points[:, None] - centres).square().sum(-1)
    return 0.5 * square * torch.log(square.clamp_min(1e-12))


class Rectifier(nn.Module):
    """Sample the crop so that the points found come to lie on its edges; frozen."""

    to_grid: Tensor

    def __init__(self, knobs: Knobs, height: int, width: int) -> None:
        super().__init__()
        self.size = (height, width)
        self.LocalizationNetwork = Localization(knobs.points)
        centres = edge_points(knobs.points)
        one = torch.ones(knobs.points, 1)
        left = torch.cat([_bend(centres, centres), one, centres], 1)  # [K, K + 3]
        below = torch.cat([torch.cat([one, centres], 1).T, torch.zeros(3, 3)], 1)
        inverse = torch.linalg.inv(torch.cat([left, below]).double()).float()
        y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
        cells = torch.stack([x, y], -1).flatten(0, 1)  # [H * W, 2]
        basis = torch.cat([_bend(cells, centres), torch.ones(len(cells), 1), cells], 1)
        self.register_buffer("to_grid", (basis @ inverse)[:, : knobs.points], persistent=False)
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> "Rectifier":
        """Frozen: its running statistics stay."""
        return super().train(False)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Straightened crops [B, 1, H, W], and the grid [B, H, W, 2] that masks must follow."""
        points = self.LocalizationNetwork(crops.expand(-1, 3, -1, -1))
        grid = torch.matmul(self.to_grid, points.float()).view(points.shape[0], *self.size, 2)
        return warped(crops.float(), grid), grid


def warped(maps: Tensor, grid: Tensor, mode: str = "bilinear") -> Tensor:
    """Maps [B, C, H, W] where the grid points, borders repeated: one grid for picture and masks."""
    return F.grid_sample(maps, grid, mode=mode, padding_mode="border", align_corners=True)
