"""The interface of all recognizers, and the two compact ones: parallel slots and CTC.

Shapes: B crops, H x W crop px, T slots (26: 25 characters and the end; with CTC 40 characters), N columns, D
channels of a slot, C classes (the end or the blank, and the alphabet), h x w feature cells. Slots are
positions in the text and independent of the alphabet: only the last layer of the classifier depends on it.
"""

from collections.abc import Callable
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from serialread.codes import CTC_CAPACITY, MAX_LENGTH
from serialread.config.networks import ParallelConfig
from serialread.models.glyphs import Glyphs, SigaModules
from serialread.models.layers import (
    SLOTS,
    Backbone,
    Counting,
    FeatureMaps,
    GatedUnit,
    ImplicitAttention,
    OrientationHead,
    evaluation_mode,
    upside_down,
)
from serialread.records import Topology

ORIENTATION_SHARE = 8
"""One crop in so many is also seen upside-down in training, where the network has an orientation head."""


class NetworkOutputs(NamedTuple):
    """Outputs at test time."""

    scores: Tensor
    """Logits of the reading [B, T, C]; of networks with CTC topology [B, N, C]."""
    alpha: Tensor
    """Attention over columns [B, T, N]."""
    levels: tuple[Glyphs, ...] = ()
    """Glyph levels, the finer first."""
    gates: tuple[Tensor, ...] = ()
    """z of f_1 and f_2 [B, T, D], 1 where only the glimpse is used."""
    upright: Tensor | None = None
    """Log-odds [B] that the line is upright."""

    @property
    def maps(self) -> Tensor | None:
        """Logits [B, 1 + T, h, N] of the finest level with as many columns as the attention."""
        fitting = [level.maps for level in self.levels if level.maps.shape[-1] == self.alpha.shape[-1]]
        return fitting[0] if fitting else None


class TrainingOutputs(NamedTuple):
    """Outputs in training; None and () where the network lacks the part."""

    scores: dict[str, tuple[Tensor, ...]]
    """Logits [B, T, C] by loss term."""
    alpha: Tensor
    """Attention [B, T, N] that makes the pseudo-labels."""
    levels: tuple[Glyphs, ...] = ()
    columns: Tensor | None = None
    """Logits of every column [B, N, C], by the reading's classifier."""
    cells: Tensor | None = None
    """Logits of every cell [B, P, C], by the reading's classifier."""
    segmentation: Tensor | None = None
    """Logits of S_m [B, H / s, W / s], s being the network's ``mask_px``."""
    starts: Tensor | None = None
    """Logits [B, N]: a character starts in this column."""
    ctc: Tensor | None = None
    """Logits of the CTC head [B, N, C]; class 0 is the blank."""
    orientation: Tensor | None = None
    """Log-odds [2, K] that the first crops of the batch are upright, as they are and upside-down."""
    grid: Tensor | None = None
    """Sampling grid of the rectifier [B, H, W, 2]: masks have to be warped by it too."""


class Recognizer(nn.Module):
    """Reads the characters of a crop.

    Attributes:
        topology: whether its scores are of slots or of columns.
        capacity: number of characters that it reads at most.
        training_only: parts that are not used at test time.
    """

    topology: Topology = "slots"
    capacity: int = MAX_LENGTH
    training_only: tuple[str, ...] = ()

    def __init__(self, rectifier: nn.Module | None, trunk: Backbone, columns: nn.Module) -> None:
        super().__init__()
        self.rectifier, self.trunk, self.columns = rectifier, trunk, columns

    def read(self, crops: Tensor, *, zero_glyphs: bool = False) -> NetworkOutputs:
        """Read crops [B, 1, H, W]; ``zero_glyphs`` zeroes the glyph features, to measure their effect."""
        raise NotImplementedError

    def train_forward(self, crops: Tensor, classes: Tensor) -> TrainingOutputs:
        """Inputs of all losses for crops [B, 1, H, W]; classes [B, T] are for teacher forcing."""
        raise NotImplementedError

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        """Test-time outputs of crops [B, 1, H, W]; the values of ``outputs``."""
        return tuple(self.outputs(crops).values())

    def outputs(self, crops: Tensor) -> dict[str, Tensor]:
        """Test-time outputs of crops [B, 1, H, W] by name.

        Returns:
            ``scores``, log-probabilities [B, T, C], of CTC topology [B, N, C]; ``attention`` [B, T, N], of
            CTC topology that of the best path's characters; of networks with glyph levels ``glyphs``, their
            finest maps [B, T, h, N], the share of each cell that belongs to the slot's character, 0..1; of
            networks with an orientation head ``upright``, log-odds [B] that the line is upright. All but the
            scores are optional.
        """
        read = self.read(crops)
        found = {"scores": F.log_softmax(read.scores.float(), -1), "attention": read.alpha}
        if (maps := read.maps) is not None:
            found["glyphs"] = maps.softmax(1)[:, 1:]
        if read.upright is not None:
            found["upright"] = read.upright.float()
        return found

    def features(self, crops: Tensor) -> tuple[FeatureMaps, Tensor | None]:
        """Feature maps of the rectified crops, and the rectifier's grid."""
        grid: Tensor | None = None
        if self.rectifier is not None:
            crops, grid = self.rectifier(crops)
        return self.trunk(crops), grid


class SlotFeatures(NamedTuple):
    """Features of every slot's character, each [B, T, D]; empty where the recipe leaves the part out."""

    glimpse: Tensor
    glyphs: tuple[Tensor, ...]
    fused: tuple[Tensor, ...]
    reading: Tensor


class SlotOutputs(NamedTuple):
    """What the slots read from one batch of feature maps."""

    slots: SlotFeatures
    alpha: Tensor
    levels: tuple[Glyphs, ...]
    gates: tuple[Tensor, ...]
    columns: Tensor
    starts: Tensor | None
    o1: Tensor | None


class ParallelRecognizer(Recognizer):
    """All slots at once, no language model: the compact SIGA, or the parts of it that the recipe names.

    Args:
        rectifier: straightens the crop, or None.
        trunk: the backbone.
        columns: the sequence model.
        dim: channels of a column and of a slot.
        decoder: settings of the slots.
        siga: the modules of SIGA; None is the plain recognizer.
        glyphs: use the glyph levels, and with ``fusion`` the gates.
        fusion: fuse glimpse and glyphs by gates.
        dropout: share of glyph features dropped in training.
        classes: C.
    """

    training_only: tuple[str, ...] = ("segmentation", "ctc")

    def __init__(
        self,
        rectifier: nn.Module | None,
        trunk: Backbone,
        columns: nn.Module,
        dim: int,
        decoder: ParallelConfig,
        siga: SigaModules | None,
        *,
        glyphs: bool,
        fusion: bool,
        dropout: float,
        classes: int,
    ) -> None:
        super().__init__(rectifier, trunk, columns)
        self.counting = Counting(SLOTS, dim) if decoder.counting else None
        self.upright = OrientationHead(dim) if decoder.upright else None
        self.attention = ImplicitAttention(SLOTS, dim, decoder.attention)
        self.dropout, self.fusion = dropout, fusion
        self.pyramid = None if siga is None else siga.pyramid
        self.level_1: nn.Module | None = siga.levels[0] if siga is not None and glyphs else None
        self.level_2: nn.Module | None = siga.levels[1] if siga is not None and glyphs else None
        if siga is not None and glyphs and fusion:
            self.fuse_1, self.fuse_2, self.fuse = GatedUnit(dim), GatedUnit(dim), GatedUnit(dim)
        self.classifier = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, classes))
        self.segmentation = None if siga is None else siga.segmentation
        self.ctc = nn.Linear(dim, classes)
        if siga is not None and not glyphs:
            self.training_only = (*self.training_only, "pyramid")

    def read(self, crops: Tensor, *, zero_glyphs: bool = False) -> NetworkOutputs:
        """Read crops [B, 1, H, W]."""
        maps, _ = self.features(crops)
        found = self._slots(maps, zero_glyphs=zero_glyphs)
        upright = None if self.upright is None else self.upright(found.columns)
        return NetworkOutputs(
            self.classifier(found.slots.reading), found.alpha, found.levels, found.gates, upright
        )

    def train_forward(self, crops: Tensor, classes: Tensor) -> TrainingOutputs:
        """Inputs of all losses; parallel slots need no teacher forcing."""
        maps, grid = self.features(crops)
        found = self._slots(maps, zero_glyphs=False)
        slots, cells, o1 = found.slots, None, found.o1
        if self.level_2 is not None:
            project = cast("Callable[[Tensor], Tensor]", self.level_2.project)
            cells = self.classifier(project(found.levels[1].cells))
        if self.pyramid is not None and o1 is None:
            o1 = self.pyramid(maps, found.columns)[0]
        return TrainingOutputs(
            scores={
                "reading": (self.classifier(slots.reading),),
                "fused": tuple(self.classifier(f) for f in slots.fused),
                "glimpse": (self.classifier(slots.glimpse),),
                "glyph": tuple(self.classifier(g) for g in slots.glyphs),
            },
            alpha=found.alpha,
            levels=found.levels,
            columns=self.classifier(found.columns),
            cells=cells,
            segmentation=None if self.segmentation is None else self.segmentation(maps, o1),
            starts=found.starts,
            ctc=self.ctc(found.columns),
            grid=grid,
            orientation=self._orientation(crops),
        )

    def _orientation(self, crops: Tensor) -> Tensor | None:
        """Log-odds [2, K] of some crops as they are and upside-down, of columns in evaluation mode."""
        if self.upright is None:
            return None
        some = crops[: max(len(crops) // ORIENTATION_SHARE, 1)]
        with torch.no_grad(), evaluation_mode(self.trunk, self.columns):
            maps, _ = self.features(torch.cat([some, upside_down(some)]))
            columns = self.columns(maps.last)
        odds: Tensor = self.upright(columns)
        return odds.view(2, -1)

    def _slots(self, maps: FeatureMaps, *, zero_glyphs: bool) -> SlotOutputs:
        columns = self.columns(maps.last)
        starts, window = (None, None) if self.counting is None else self.counting(columns)
        glimpse, alpha = self.attention(columns, window)
        if self.pyramid is None or self.level_1 is None or self.level_2 is None:
            return SlotOutputs(SlotFeatures(glimpse, (), (), glimpse), alpha, (), (), columns, starts, None)
        o1, o2 = self.pyramid(maps, columns)
        levels = self.level_1(maps.glyph_1, o1, window), self.level_2(maps.glyph_2, o2, window)
        glyph_1, glyph_2 = (self._dropped(level.features) for level in levels)
        if zero_glyphs:
            glyph_1, glyph_2 = glyph_1 * 0, glyph_2 * 0
        fused: tuple[Tensor, ...] = ()
        gates: tuple[Tensor, ...] = ()
        if self.fusion:
            fused_1, z1 = self.fuse_1(glimpse, glyph_1)
            fused_2, z2 = self.fuse_2(glimpse, glyph_2)
            fused, gates, reading = (fused_1, fused_2), (z1, z2), self.fuse(fused_1, fused_2)[0]
        else:
            reading = (glimpse + glyph_1 + glyph_2) / 3
        slots = SlotFeatures(glimpse, (glyph_1, glyph_2), fused, reading)
        return SlotOutputs(slots, alpha, levels, gates, columns, starts, o1)

    def _dropped(self, glyphs: Tensor) -> Tensor:
        """Drop whole glyphs [B, T, D] at random in training."""
        if not self.training or self.dropout == 0:
            return glyphs
        kept = torch.rand(glyphs.shape[:2], device=glyphs.device) >= self.dropout
        return glyphs * kept[..., None]


class CtcRecognizer(Recognizer):
    """CTC over the columns, no slots and no attention: the baseline; after Graves et al., ICML 2006.

    Class 0 is the blank.
    """

    topology: Topology = "ctc"
    capacity: int = CTC_CAPACITY

    def __init__(
        self, rectifier: nn.Module | None, trunk: Backbone, columns: nn.Module, dim: int, classes: int
    ) -> None:
        super().__init__(rectifier, trunk, columns)
        self.ctc = nn.Linear(dim, classes)

    def read(self, crops: Tensor, *, zero_glyphs: bool = False) -> NetworkOutputs:
        """The scores of the columns, and the columns of each character of the best path."""
        scores = self._scores(crops)[0]
        return NetworkOutputs(scores, best_path(scores, self.capacity))

    def train_forward(self, crops: Tensor, classes: Tensor) -> TrainingOutputs:
        """The scores of the columns."""
        scores, grid = self._scores(crops)
        return TrainingOutputs(scores={}, alpha=best_path(scores.detach(), SLOTS), ctc=scores, grid=grid)

    def _scores(self, crops: Tensor) -> tuple[Tensor, Tensor | None]:
        maps, grid = self.features(crops)
        return self.ctc(self.columns(maps.last)), grid


def best_path(scores: Tensor, length: int) -> Tensor:
    """The columns of each of the first ``length`` characters of the best path, of scores [B, N, C].

    Returns:
        Weights [B, length, N]; each row sums to 1, those past the last character are 0.
    """
    best = scores.argmax(-1)
    before = nn.functional.pad(best[:, :-1], (1, 0))
    written = best > 0
    number = torch.cumsum((written & (best != before)).long(), 1)  # of the character, from 1
    slots = torch.arange(1, length + 1, device=scores.device)
    runs = ((number[:, None] == slots[:, None]) & written[:, None]).float()
    return runs / runs.sum(-1, keepdim=True).clamp_min(1)
