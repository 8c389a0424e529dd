"""The recipe of a line detector: its network, its windows, its losses and its training."""

from pydantic import Field

from serialread.config.marks import Share, Span
from serialread.config.section import Section
from serialread.config.training_recipe import Optimization


class DetectorNetworkConfig(Section):
    """Size of the network."""

    stem: int = Field(default=24, ge=8)
    """Channels at a quarter of the picture's size."""
    channels: tuple[int, int, int] = (48, 80, 128)
    """Channels at an eighth, a sixteenth and a thirty-second."""
    blocks: tuple[int, int, int] = (2, 3, 3)
    """Convolutions at each of these, after the one that halves the size."""
    neck: int = Field(default=48, ge=8)
    """Channels in which the levels are joined."""


class Windows(Section):
    """The parts of scenes that a network learns from."""

    side_px: int = Field(default=384, multiple_of=32, ge=64)
    """Side of a window."""
    scale: Span = (0.5, 1.5)
    """Factor on the size of a scene, drawn evenly over its logarithm."""
    on_line: Share = 0.8
    """Share of windows around a character; the others lie anywhere."""
    tight_share: Share = 0.0
    """Share of windows that show four lines, each cut out tightly as a crop is, its edges continued."""
    tight_px: Span = (44.0, 110.0)
    """Shorter side of such a cut-out in its window, px, unless its longer side would not fit."""
    tight_margin: tuple[float, float] = (-0.15, 0.5)
    """Least and largest margin on each of its sides, in heights of a capital; below 0 the text is cut."""
    quarter_turn_share: Share = 0.3
    """Share turned by 90, 180 or 270 degrees."""
    inverted_share: Share = 0.3
    """Share with dark and bright exchanged."""
    gamma: Span = (0.6, 1.6)
    """Exponent of the grey values."""
    contrast: Span = (0.4, 1.0)
    """Factor on the differences of grey."""
    text_px: Span = (6.0, 130.0)
    """Heights of capitals in a window that are learned; other lines are neither line nor background."""


class DetectorLosses(Section):
    """Weights of the loss terms."""

    core: float = Field(default=1.0, ge=0)
    """Cross-entropy of the lines' cores, over all cells of lines and the hardest others."""
    overlap: float = Field(default=1.0, ge=0)
    """Dice loss of the cores."""
    direction: float = Field(default=1.0, ge=0)
    """One minus the cosine between the true and the found reading direction."""
    height: float = Field(default=0.5, ge=0)
    """Smooth L1 of the binary logarithm of the characters' height."""
    hard_ratio: float = Field(default=3.0, gt=0)
    """Background cells per cell of a line in the cross-entropy: those with the largest loss."""
    hidden: Share = 0.0
    """Probability below which a cell of a line teaches nothing: some marks do not show in their picture. For
    the last part of a training, when a low probability means something."""


class DetectorRecipe(Section):
    """One training run of a line detector."""

    name: str = "lines"
    """Family of the detector; its id is this and a hash of the weights."""
    seed: int = 1
    """Seed of weights, order and augmentation."""
    network: DetectorNetworkConfig = DetectorNetworkConfig()
    windows: Windows = Windows()
    losses: DetectorLosses = DetectorLosses()
    optimization: Optimization = Optimization()
    """``crops`` counts windows."""
