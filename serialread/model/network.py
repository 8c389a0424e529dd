"""The recognizer: trunk, implicit attention, glyph attention, fusion; after SIGA (Guan et al., CVPR 2023).

Shapes: B crops, H x W crop px, T slots (26: 25 characters and the end), N columns (W / 4), D channels of a
slot, C classes (95: the end and 94 characters), h x w feature cells.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from serialread.codes import MAX_LENGTH, Alphabet
from serialread.model.attention import ImplicitAttention
from serialread.model.counting import Counting
from serialread.model.fusion import GatedUnit
from serialread.model.glyphs import GlyphLevel, Glyphs, Pyramid, Segmentation
from serialread.model.trunk import Columns, Trunk
from serialread.recipe import CropGeometry
from serialread.recipe.training import Network

SLOTS = MAX_LENGTH + 1


class Slots(NamedTuple):
    """Views of every slot's character, each [B, T, D], in the order in which they arise."""

    glimpse: Tensor
    glyph_1: Tensor
    glyph_2: Tensor
    fused_1: Tensor
    fused_2: Tensor
    reading: Tensor


class View(NamedTuple):
    """What the network knows at test time."""

    slots: Slots
    alpha: Tensor
    """Implicit attention [B, T, N]."""
    gates: tuple[Tensor, Tensor]
    """z of f_1 and f_2 [B, T, D], 1 where only the glimpse counts."""
    level_1: Glyphs
    level_2: Glyphs
    columns: Tensor
    """H [B, N, D]."""
    starts: Tensor
    """Logits [B, N]: a character begins in this column."""


class TrainingView(NamedTuple):
    """What the network knows while it learns."""

    view: View
    scores: Slots
    """Logits [B, T, C] of each view, by the one classifier."""
    columns: Tensor
    """Logits of every column [B, N, C], by the one classifier."""
    cells: Tensor
    """Logits of every cell of level 2 [B, h * N, C], by the one classifier."""
    segmentation: Tensor
    """Logits of S_m [B, H / 2, W / 2]."""
    ctc: Tensor
    """Logits of the auxiliary head [B, N, C]; class 0 is its blank."""


class Recognizer(nn.Module):
    """Reads the characters of a crop, all at once and without knowing any language."""

    def __init__(self, network: Network, geometry: CropGeometry, alphabet: Alphabet) -> None:
        super().__init__()
        dim, channels = network.columns, network.channels
        self.trunk = Trunk(channels, network.blocks, network.relief)
        self.columns = Columns(
            channels[2], geometry.height // 8, dim, network.mixing_blocks, network.heads, network.mlp_ratio,
            geometry.widths[-1] // 4,
        )  # fmt: skip
        self.counting = Counting(SLOTS, dim)
        self.attention = ImplicitAttention(SLOTS, dim, network.attention)
        self.pyramid = Pyramid(channels, dim, network.pyramid)
        self.level_1 = GlyphLevel(SLOTS, channels[1], network.pyramid, dim)
        self.level_2 = GlyphLevel(SLOTS, channels[2], network.pyramid, dim)
        self.dropout = network.dropout
        self.fuse_1, self.fuse_2, self.fuse = GatedUnit(dim), GatedUnit(dim), GatedUnit(dim)
        self.classifier = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, alphabet.classes))
        self.segmentation = Segmentation(channels, network.pyramid, network.segmentation)
        self.ctc = nn.Linear(dim, alphabet.classes)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """All of test time, of crops [B, 1, H, W].

        Returns:
            Log-probabilities [B, T, C]; attention [B, T, N]; glyph maps [B, T, H / 4, N], the share of
            each cell that belongs to the slot's character, 0..1. Whoever only reads leaves the maps out.
        """
        view = self.look(*self.trunk(crops))
        scores = F.log_softmax(self.classifier(view.slots.reading).float(), -1)
        return scores, view.alpha, view.level_1.maps.softmax(1)[:, 1:]

    def look(self, p0: Tensor, p1: Tensor, p2: Tensor, *, zero_glyphs: bool = False) -> View:
        """Attend and fuse; ``zero_glyphs`` blinds the glyph features to show what they are worth."""
        del p0
        return self._look(p1, p2, zero_glyphs)[0]

    def learn(self, crops: Tensor) -> TrainingView:
        """Everything that the losses look at."""
        p0, p1, p2 = self.trunk(crops)
        view, o1 = self._look(p1, p2, zero_glyphs=False)
        return TrainingView(
            view=view,
            scores=Slots(*(self.classifier(slots) for slots in view.slots)),
            columns=self.classifier(view.columns),
            cells=self.classifier(self.level_2.project(view.level_2.cells)),
            segmentation=self.segmentation(p0, o1),
            ctc=self.ctc(view.columns),
        )

    def _look(self, p1: Tensor, p2: Tensor, zero_glyphs: bool) -> tuple[View, Tensor]:
        columns = self.columns(p2)
        starts, window = self.counting(columns)
        glimpse, alpha = self.attention(columns, window)
        o1, o2 = self.pyramid(p1, p2, columns)
        level_1, level_2 = self.level_1(p1, o1, window), self.level_2(p2, o2, window)
        glyph_1, glyph_2 = self._drop(level_1.features), self._drop(level_2.features)
        if zero_glyphs:
            glyph_1, glyph_2 = glyph_1 * 0, glyph_2 * 0
        fused_1, z1 = self.fuse_1(glimpse, glyph_1)
        fused_2, z2 = self.fuse_2(glimpse, glyph_2)
        reading, _ = self.fuse(fused_1, fused_2)
        slots = Slots(glimpse, glyph_1, glyph_2, fused_1, fused_2, reading)
        return View(slots, alpha, (z1, z2), level_1, level_2, columns, starts), o1

    def _drop(self, glyphs: Tensor) -> Tensor:
        """Blank whole glyphs [B, T, D] now and then while learning."""
        if not self.training or self.dropout == 0:
            return glyphs
        kept = torch.rand(glyphs.shape[:2], device=glyphs.device) >= self.dropout
        return glyphs * kept[..., None]
