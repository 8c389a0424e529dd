"""The 45-layer residual network of SIGA_R; after Guan et al., CVPR 2023.

Shapes: B crops, H x W crop px, C channels. Crops are grey; three equal channels let published weights load.
"""

from torch import Tensor, nn

from serialread.config.networks import ResnetConfig as Knobs
from serialread.models.feature_maps import Backbone, Shape, Taps
from serialread.models.trunk import convolution


class Basic(nn.Module):
    """A 1x1 and a 3x3 convolution, which carries the stride, around which the input may pass."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = convolution(inputs, outputs, 1)
        self.second = convolution(outputs, outputs, 3, stride)[:2]
        self.shortcut = (
            nn.Sequential() if (inputs, stride) == (outputs, 1) else _matching(inputs, outputs, stride)
        )

    def forward(self, cells: Tensor) -> Tensor:
        """[B, outputs, h / stride, w / stride]."""
        out: Tensor = (self.second(self.first(cells)) + self.shortcut(cells)).relu_()
        return out


def _matching(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


def layer(inputs: int, outputs: int, blocks: int, stride: int = 1) -> nn.Sequential:
    """Basic blocks, the first with the stride."""
    return nn.Sequential(
        Basic(inputs, outputs, stride), *(Basic(outputs, outputs) for _ in range(blocks - 1))
    )


def flat(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Convolution of two rows and three columns that loses rows: k(2,3), s(stride,1), p(0,1)."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, (2, 3), (stride, 1), (0, 1), bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Resnet(Backbone):
    """P_0 at full, P_1 at half, P_2 at a quarter of the height; then rows become one of N = W / 4 columns.

    (A comment in the authors' code says 33 columns for 128 px; kernel 3 with padding 1 gives 32.)
    """

    def __init__(self, knobs: Knobs, height: int) -> None:
        super().__init__()
        c, n = knobs.channels, knobs.blocks
        self.stem = convolution(1 * 3, c[0])
        self.first = nn.Sequential(layer(c[0], c[1], n[0], 2), layer(c[1], c[2], n[1]))
        self.second = nn.Sequential(layer(c[2], c[3], n[2], 2), layer(c[3], c[4], n[3]))
        lines = (
            nn.MaxPool2d((2, 3), (2, 1), (0, 1)),
            layer(c[5], c[5], n[5]),
            convolution(c[5], c[5]),
            layer(c[5], c[5], n[6]),
            flat(c[5], c[5], 2),
            flat(c[5], c[5], 1),
        ) if knobs.lines else ()  # fmt: skip
        self.third = nn.Sequential(layer(c[4], c[5], n[4]), *lines)
        self.shape = Shape(
            channels=(c[0], c[2], c[4]), glyphs=(c[2], c[4]),
            last=(c[5], max(height // 16 - 1, 1) if knobs.lines else height // 4),
            to_p1=(2, 2), to_p0=(2, 2), p0_px=1, p1_columns=2,
        )  # fmt: skip
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, crops: Tensor) -> Taps:
        """P_0 [B, C, H, W], P_1 [B, C, H/2, W/2], P_2 [B, C, H/4, W/4], V [B, C, 1, W/4] at H = 32."""
        p0 = self.stem(crops.expand(-1, 3, -1, -1))
        p1 = self.first(p0)
        p2 = self.second(p1)
        return Taps(p0, p1, p2, self.third(p2), p1, p2)
