"""The recognizers: one interface, and the one that reads all characters at once; after Guan et al., 2023.

Shapes: B crops, H x W crop px, T slots (26: 25 characters and the end), N columns, D channels of a
slot, C classes (the end and the alphabet), h x w feature cells. Slots are places in the text and know nothing
of the alphabet: only the classifier's last layer does.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from serialread.codes import MAX_LENGTH
from serialread.config.networks import Parallel, Siga
from serialread.models.attention import ImplicitAttention
from serialread.models.counting import Counting
from serialread.models.feature_maps import Backbone, Taps
from serialread.models.fusion import GatedUnit
from serialread.models.glyphs import GlyphLevel, Glyphs, PaperLevel, attached, segmentation
from serialread.models.rectifier import Rectifier
from serialread.models.upright import Upright, as_they_read, turned_over

SLOTS = MAX_LENGTH + 1
TURNED = 8
"""One crop in so many is also seen upside down, where the network learns which way up a line lies."""


class NetworkOutputs(NamedTuple):
    """What a network knows at test time."""

    scores: Tensor
    """Logits of the reading [B, T, C]."""
    alpha: Tensor
    """Attention [B, T, N]: its columns, where a decoder looks at a map."""
    levels: tuple[Glyphs, ...] = ()
    """Glyph levels, the finer first."""
    gates: tuple[Tensor, ...] = ()
    """z of f_1 and f_2 [B, T, D], 1 where only the glimpse counts."""
    upright: Tensor | None = None
    """Log-odds [B] that the line lies the right way up."""

    @property
    def maps(self) -> Tensor | None:
        """Logits [B, 1 + T, h, N] of the finest level that has the attention's columns."""
        fitting = [level.maps for level in self.levels if level.maps.shape[-1] == self.alpha.shape[-1]]
        return fitting[0] if fitting else None


class TrainingOutputs(NamedTuple):
    """What a network knows while it learns; None and () where it lacks the part."""

    scores: dict[str, tuple[Tensor, ...]]
    """Logits [B, T, C] by loss term, each of its views."""
    alpha: Tensor
    """Attention [B, T, N] that makes the pseudo-labels."""
    levels: tuple[Glyphs, ...] = ()
    columns: Tensor | None = None
    """Logits of every column [B, N, C], by the reading's classifier."""
    cells: Tensor | None = None
    """Logits of every cell [B, P, C], by the reading's classifier."""
    segmentation: Tensor | None = None
    """Logits of S_m [B, H / s, W / s], s being the recipe's ``mask_step``."""
    starts: Tensor | None = None
    """Logits [B, N]: a character begins in this column."""
    ctc: Tensor | None = None
    """Logits of the CTC head [B, N, C]; class 0 is its blank."""
    ways: Tensor | None = None
    """Log-odds [2, K] that the first crops of the batch lie the right way up, as they are and turned over."""
    grid: Tensor | None = None
    """What straightened the crop [B, H, W, 2]: masks have to be warped alike."""


class Recognizer(nn.Module):
    """Reads the characters of a crop.

    Attributes:
        teaching: children that only teach; a model file lacks them.
    """

    teaching: tuple[str, ...] = ()

    def read(self, crops: Tensor, *, zero_glyphs: bool = False) -> NetworkOutputs:
        """Read crops [B, 1, H, W]; ``zero_glyphs`` blinds the glyph features to show what they are worth."""
        raise NotImplementedError

    def learn(self, crops: Tensor, classes: Tensor) -> TrainingOutputs:
        """Everything that the losses look at; the truth [B, T] is for decoders that spell one by one."""
        raise NotImplementedError

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        """All of test time, of crops [B, 1, H, W]; the values of ``outputs``."""
        return tuple(self.outputs(crops).values())

    def outputs(self, crops: Tensor) -> dict[str, Tensor]:
        """All of test time by name, of crops [B, 1, H, W].

        Returns:
            ``scores``, log-probabilities [B, T, C]; ``attention`` [B, T, N]; of networks with glyph levels
            ``glyphs``, their finest maps [B, T, h, N], the share of each cell that belongs to the slot's
            character, 0..1; of those that tell it ``upright``, log-odds [B] that the line lies the right way
            up. Whoever only reads leaves the rest out.
        """
        view = self.read(crops)
        found = {"scores": F.log_softmax(view.scores.float(), -1), "attention": view.alpha}
        if (maps := view.maps) is not None:
            found["glyphs"] = maps.softmax(1)[:, 1:]
        if view.upright is not None:
            found["upright"] = view.upright.float()
        return found


def straightened(rectifier: Rectifier | None, crops: Tensor) -> tuple[Tensor, Tensor | None]:
    """Crops as the backbone gets them, and the grid that masks must follow."""
    return (crops, None) if rectifier is None else rectifier(crops)


class Slots(NamedTuple):
    """Views of every slot's character, each [B, T, D]; empty ones where the recipe leaves the part out."""

    glimpse: Tensor
    glyphs: tuple[Tensor, ...]
    fused: tuple[Tensor, ...]
    reading: Tensor


class Seen(NamedTuple):
    """One look at a crop."""

    slots: Slots
    alpha: Tensor
    levels: tuple[Glyphs, ...]
    gates: tuple[Tensor, ...]
    columns: Tensor
    starts: Tensor | None
    o1: Tensor | None


class ParallelRecognizer(Recognizer):
    """All slots at once, knowing no language: the compact SIGA, or as much of it as is asked for."""

    teaching: tuple[str, ...] = ("segmentation", "ctc")

    def __init__(
        self,
        rectifier: Rectifier | None,
        trunk: Backbone,
        columns: nn.Module,
        dim: int,
        decoder: Parallel,
        siga: Siga | None,
        dropout: float,
        classes: int,
    ) -> None:
        super().__init__()
        self.rectifier, self.trunk, self.columns = rectifier, trunk, columns
        self.counting = Counting(SLOTS, dim) if decoder.counting else None
        self.upright = Upright(dim) if decoder.upright else None
        self.attention = ImplicitAttention(SLOTS, dim, decoder.attention)
        self.pyramid: nn.Module | None = None
        self.level_1: nn.Module | None = None
        self.level_2: nn.Module | None = None
        self.dropout, self.fusion = dropout, siga is not None and siga.fusion
        if siga is not None:
            self.pyramid, levels = attached(siga.parts, trunk.shape, dim, SLOTS)
            self.level_1, self.level_2 = levels if siga.glyphs else (None, None)
            if siga.glyphs and siga.fusion:
                self.fuse_1, self.fuse_2, self.fuse = GatedUnit(dim), GatedUnit(dim), GatedUnit(dim)
        self.classifier = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, classes))
        self.segmentation = None if siga is None else segmentation(siga.parts, trunk.shape)
        self.ctc = nn.Linear(dim, classes)
        if siga is not None and not siga.glyphs:
            self.teaching = (*self.teaching, "pyramid")

    def read(self, crops: Tensor, *, zero_glyphs: bool = False) -> NetworkOutputs:
        """Read crops [B, 1, H, W]."""
        taps: Taps = self.trunk(straightened(self.rectifier, crops)[0])
        seen = self._look(taps, zero_glyphs=zero_glyphs)
        upright = None if self.upright is None else self.upright(seen.columns)
        return NetworkOutputs(
            self.classifier(seen.slots.reading), seen.alpha, seen.levels, seen.gates, upright
        )

    def learn(self, crops: Tensor, classes: Tensor) -> TrainingOutputs:
        """Everything that the losses look at; these slots need not be told the truth."""
        crops, grid = straightened(self.rectifier, crops)
        taps: Taps = self.trunk(crops)
        seen = self._look(taps, zero_glyphs=False)
        slots, cells, o1 = seen.slots, None, seen.o1
        if seen.levels:
            cells = self.classifier(self._projected(seen.levels[1].cells))
        if self.pyramid is not None and o1 is None:
            o1 = self.pyramid(taps, seen.columns)[0]
        return TrainingOutputs(
            scores={
                "reading": (self.classifier(slots.reading),),
                "fused": tuple(self.classifier(f) for f in slots.fused),
                "glimpse": (self.classifier(slots.glimpse),),
                "glyph": tuple(self.classifier(g) for g in slots.glyphs),
            },
            alpha=seen.alpha,
            levels=seen.levels,
            columns=self.classifier(seen.columns),
            cells=cells,
            segmentation=None if self.segmentation is None else self.segmentation(taps, o1),
            starts=seen.starts,
            ctc=self.ctc(seen.columns),
            grid=grid,
            ways=self._ways(crops),
        )

    def _ways(self, crops: Tensor) -> Tensor | None:
        """Log-odds [2, K] of some crops as they are and turned over, of columns as they are when it reads."""
        if self.upright is None:
            return None
        some = crops[: max(len(crops) // TURNED, 1)]
        with torch.no_grad(), as_they_read(self.trunk, self.columns):
            columns = self.columns(self.trunk(torch.cat([some, turned_over(some)])).last)
        odds: Tensor = self.upright(columns)
        return odds.view(2, -1)

    def _look(self, taps: Taps, *, zero_glyphs: bool) -> Seen:
        columns = self.columns(taps.last)
        starts, window = (None, None) if self.counting is None else self.counting(columns)
        glimpse, alpha = self.attention(columns, window)
        if self.pyramid is None or self.level_1 is None or self.level_2 is None:
            return Seen(Slots(glimpse, (), (), glimpse), alpha, (), (), columns, starts, None)
        o1, o2 = self.pyramid(taps, columns)
        levels = self.level_1(taps.glyph_1, o1, window), self.level_2(taps.glyph_2, o2, window)
        glyph_1, glyph_2 = (self._drop(level.features) for level in levels)
        if zero_glyphs:
            glyph_1, glyph_2 = glyph_1 * 0, glyph_2 * 0
        if not self.fusion:
            reading = (glimpse + glyph_1 + glyph_2) / 3
            return Seen(
                Slots(glimpse, (glyph_1, glyph_2), (), reading), alpha, levels, (), columns, starts, o1
            )
        fused_1, z1 = self.fuse_1(glimpse, glyph_1)
        fused_2, z2 = self.fuse_2(glimpse, glyph_2)
        reading, _ = self.fuse(fused_1, fused_2)
        slots = Slots(glimpse, (glyph_1, glyph_2), (fused_1, fused_2), reading)
        return Seen(slots, alpha, levels, (z1, z2), columns, starts, o1)

    def _projected(self, cells: Tensor) -> Tensor:
        """Cells [B, h * w, C] of the coarser level with a glyph's channels."""
        assert isinstance(self.level_2, GlyphLevel | PaperLevel)
        projected: Tensor = self.level_2.project(cells)
        return projected

    def _drop(self, glyphs: Tensor) -> Tensor:
        """Blank whole glyphs [B, T, D] now and then while learning."""
        if not self.training or self.dropout == 0:
            return glyphs
        kept = torch.rand(glyphs.shape[:2], device=glyphs.device) >= self.dropout
        return glyphs * kept[..., None]
