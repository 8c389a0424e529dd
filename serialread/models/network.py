"""The interface of all recognizers, and the compact ones: aligned by CTC, CTC alone, parallel slots.

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
from serialread.config.networks import AlignedConfig, CtcConfig, ParallelConfig
from serialread.models.alignment import Occupancy, best_path, occupancy
from serialread.models.glyphs import CharacterWindow, Glyphs, SigaModules
from serialread.models.layers import (
    SLOTS,
    Backbone,
    Counting,
    FeatureMaps,
    Fusion,
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
    glyph_scores: Tensor | None = None
    """Log-probabilities [B, T, C] of the best path's characters by the glyph branch alone."""

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
    bands: Tensor | None = None
    """Share of each column [B, T, N] that belongs to the character, where attention does not span it."""
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
    occupancy: Occupancy | None = None
    """How the texts occupy the columns of the CTC head; None where nothing but its loss needs it."""
    orientation: Tensor | None = None
    """Log-odds [2, K] that the first crops of the batch are upright, as they are and upside-down."""
    grid: Tensor | None = None
    """Sampling grid of the rectifier [B, H, W, 2]: masks have to be warped by it too."""


class Recognizer(nn.Module):
    """Reads the characters of a crop.

    Attributes:
        topology: ``slots``: a score per position of the text; ``ctc``: a score per column.
        capacity: number of characters that it reads at most.
        training_only: parts that are not used at test time.
        upright: the orientation head, or None.
    """

    topology: Topology = "slots"
    capacity: int = MAX_LENGTH
    training_only: tuple[str, ...] = ()

    def __init__(self, rectifier: nn.Module | None, trunk: Backbone, columns: nn.Module) -> None:
        super().__init__()
        self.rectifier, self.trunk, self.columns = rectifier, trunk, columns
        self.upright: OrientationHead | None = None

    def read(self, crops: Tensor, *, zero_glyphs: bool = False) -> NetworkOutputs:
        """Read crops [B, 1, H, W]; ``zero_glyphs`` zeroes the glyph features, to measure their effect."""
        return self.read_maps(self.features(crops)[0], zero_glyphs=zero_glyphs)

    def read_maps(self, maps: FeatureMaps, *, zero_glyphs: bool = False) -> NetworkOutputs:
        """Read crops by their feature maps."""
        raise NotImplementedError

    def train_forward(self, crops: Tensor, classes: Tensor, owners: Tensor | None = None) -> TrainingOutputs:
        """Inputs of all losses for crops [B, 1, H, W].

        Args:
            crops: [B, 1, H, W].
            classes: int64 [B, T], 0 from the end on: for teacher forcing and for the alignment.
            owners: int64 [B, N], the number of the character that owns a column, 0: none or unknown.
        """
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
            networks with an orientation head ``upright``, log-odds [B] that the line is upright; of the
            aligned decoder ``glyph_scores``, log-probabilities [B, T, C] of the best path's characters by
            the glyph branch alone. All but the scores are optional.
        """
        read = self.read(crops)
        found = {"scores": F.log_softmax(read.scores.float(), -1), "attention": read.alpha}
        if (maps := read.maps) is not None:
            found["glyphs"] = maps.softmax(1)[:, 1:]
        if read.upright is not None:
            found["upright"] = read.upright.float()
        if read.glyph_scores is not None:
            found["glyph_scores"] = read.glyph_scores
        return found

    def orientation(self, crops: Tensor) -> Tensor | None:
        """Log-odds [2, K] of some crops as they are and upside-down, of columns in evaluation mode."""
        if self.upright is None:
            return None
        some = crops[: max(len(crops) // ORIENTATION_SHARE, 1)]
        with torch.no_grad(), evaluation_mode(self.trunk, self.columns):
            maps, _ = self.features(torch.cat([some, upside_down(some)]))
            columns = self.columns(maps.last)
        odds: Tensor = self.upright(columns)
        return odds.view(2, -1)

    def features(self, crops: Tensor) -> tuple[FeatureMaps, Tensor | None]:
        """Feature maps of the rectified crops, and the rectifier's grid."""
        grid: Tensor | None = None
        if self.rectifier is not None:
            crops, grid = self.rectifier(crops)
        return self.trunk(crops), grid


def dropped(glyphs: Tensor, share: float, training: bool) -> Tensor:
    """Glyph features [B, T, D], of which training drops a share of whole characters."""
    if not training or share == 0:
        return glyphs
    kept = torch.rand(glyphs.shape[:2], device=glyphs.device) >= share
    return glyphs * kept[..., None]


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

    def read_maps(self, maps: FeatureMaps, *, zero_glyphs: bool = False) -> NetworkOutputs:
        """Read crops by their feature maps."""
        found = self._slots(maps, zero_glyphs=zero_glyphs)
        upright = None if self.upright is None else self.upright(found.columns)
        return NetworkOutputs(
            self.classifier(found.slots.reading), found.alpha, found.levels, found.gates, upright
        )

    def train_forward(self, crops: Tensor, classes: Tensor, owners: Tensor | None = None) -> TrainingOutputs:
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
            orientation=self.orientation(crops),
        )

    def _slots(self, maps: FeatureMaps, *, zero_glyphs: bool) -> SlotOutputs:
        columns = self.columns(maps.last)
        starts, window = (None, None) if self.counting is None else self.counting(columns)
        glimpse, alpha = self.attention(columns, window)
        if self.pyramid is None or self.level_1 is None or self.level_2 is None:
            return SlotOutputs(SlotFeatures(glimpse, (), (), glimpse), alpha, (), (), columns, starts, None)
        o1, o2 = self.pyramid(maps, columns)
        levels = self.level_1(maps.glyph_1, o1, window), self.level_2(maps.glyph_2, o2, window)
        glyph_1, glyph_2 = (dropped(level.features, self.dropout, self.training) for level in levels)
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


class CtcRecognizer(Recognizer):
    """CTC over the columns, no slots and no attention: the baseline; after Graves et al., ICML 2006."""

    topology: Topology = "ctc"
    capacity: int = CTC_CAPACITY

    def __init__(
        self,
        rectifier: nn.Module | None,
        trunk: Backbone,
        columns: nn.Module,
        dim: int,
        decoder: CtcConfig,
        classes: int,
    ) -> None:
        super().__init__(rectifier, trunk, columns)
        self.outside = decoder.outside
        self.ctc = nn.Linear(dim, classes)

    def read_maps(self, maps: FeatureMaps, *, zero_glyphs: bool = False) -> NetworkOutputs:
        """Scores of the columns, and the runs of the best path."""
        scores = self.ctc(self.columns(maps.last))
        return NetworkOutputs(scores, normalized(best_path(scores, self.capacity)))

    def train_forward(self, crops: Tensor, classes: Tensor, owners: Tensor | None = None) -> TrainingOutputs:
        """The scores of the columns, and how the texts occupy them."""
        maps, grid = self.features(crops)
        scores = self.ctc(self.columns(maps.last))
        found = _occupancy(scores, classes, owners, self.outside)
        return TrainingOutputs(
            scores={}, alpha=normalized(found.characters), ctc=scores, occupancy=found, grid=grid
        )


class AlignedRecognizer(Recognizer):
    """SIGA aligned by CTC: CTC says how many characters there are and where, the glyph branch reads each.

    The occupancy of a character's columns is SIGA's implicit attention: of the true text in training, of the
    best path in reading. The class of a character is the product of the CTC posterior of its columns and of
    the glyph branch's classifier, with learned exponents.

    Args:
        rectifier: straightens the crop, or None.
        trunk: the backbone.
        columns: the sequence model.
        dim: channels of a column and of a character.
        decoder: settings of the alignment.
        siga: the modules of SIGA.
        glyphs: use the glyph levels; without them the glimpse is read.
        fusion: fuse glimpse and glyphs by gates; without it their mean is read.
        dropout: share of glyph features dropped in training.
        classes: C.
    """

    topology: Topology = "ctc"
    capacity: int = CTC_CAPACITY
    training_only: tuple[str, ...] = ("segmentation",)

    def __init__(
        self,
        rectifier: nn.Module | None,
        trunk: Backbone,
        columns: nn.Module,
        dim: int,
        decoder: AlignedConfig,
        siga: SigaModules,
        *,
        glyphs: bool,
        fusion: bool,
        dropout: float,
        classes: int,
    ) -> None:
        super().__init__(rectifier, trunk, columns)
        self.outside, self.dropout = decoder.outside, dropout
        self.ctc = nn.Linear(dim, classes)
        self.upright = OrientationHead(dim) if decoder.upright else None
        self.pyramid, self.segmentation = siga.pyramid, siga.segmentation
        self.window = CharacterWindow()
        self.level_1: nn.Module | None = siga.levels[0] if glyphs else None
        self.level_2: nn.Module | None = siga.levels[1] if glyphs else None
        self.fusion = Fusion(dim) if glyphs and fusion else None
        self.classifier = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, classes))
        self.exponents = nn.Parameter(torch.zeros(2))
        """Logarithms of the exponents of the CTC posterior and of the classifier."""
        if not glyphs:
            self.training_only = (*self.training_only, "pyramid")

    def read_maps(self, maps: FeatureMaps, *, zero_glyphs: bool = False) -> NetworkOutputs:
        """Read crops along the best path of their columns."""
        columns = self.columns(maps.last)
        logs = self.ctc(columns).float().log_softmax(-1)
        runs = best_path(logs, self.capacity)
        alpha = normalized(runs * logs.exp().amax(-1)[:, None])
        written = runs.amax(-1) > 0
        found = self._characters(maps, columns, alpha, written, zero_glyphs=zero_glyphs)
        alone = _of_characters(self.classifier(found.slots.reading).float())
        scores = _replaced(logs, runs, self._product(logs, alpha, alone))
        if found.levels:
            drawn = found.levels[0].maps.softmax(1)[:, 1:].sum(2)  # [B, T, N]
            attention = normalized(alpha + drawn * written[..., None])
        else:
            attention = alpha
        upright = None if self.upright is None else self.upright(columns)
        return NetworkOutputs(scores, attention, found.levels, found.gates, upright, alone)

    def train_forward(self, crops: Tensor, classes: Tensor, owners: Tensor | None = None) -> TrainingOutputs:
        """Inputs of all losses; the alignment is that of the true text."""
        maps, grid = self.features(crops)
        columns = self.columns(maps.last)
        scores = self.ctc(columns)
        occupied = _occupancy(scores, classes, owners, self.outside)
        alpha = normalized(occupied.characters)
        written = classes[:, : alpha.shape[1]] > 0
        found = self._characters(maps, columns, alpha.to(columns.dtype), written, zero_glyphs=False)
        slots = found.slots
        alone = self.classifier(slots.reading)
        logs = scores.detach().float().log_softmax(-1)
        return TrainingOutputs(
            scores={
                "reading": (self._product(logs, alpha, _of_characters(alone.float())),),
                "fused": (alone, *(self.classifier(f) for f in slots.fused)),
                "glimpse": (self.classifier(slots.glimpse),),
                "glyph": tuple(self.classifier(g) for g in slots.glyphs),
            },
            alpha=alpha,
            bands=found.bands,
            levels=found.levels,
            cells=None if self.level_2 is None else self._cells(found.levels[1]),
            segmentation=self.segmentation(
                maps, self.pyramid(maps, columns)[0] if found.o1 is None else found.o1
            ),
            ctc=scores,
            occupancy=occupied,
            grid=grid,
            orientation=self.orientation(crops),
        )

    def _cells(self, level: Glyphs) -> Tensor:
        """Logits [B, h * N, C] of the coarser level's cells."""
        project = cast("Callable[[Tensor], Tensor]", cast("nn.Module", self.level_2).project)
        logits: Tensor = self.classifier(project(level.cells))
        return logits

    def _characters(
        self, maps: FeatureMaps, columns: Tensor, alpha: Tensor, written: Tensor, *, zero_glyphs: bool
    ) -> "CharacterOutputs":
        """Features of the characters that occupy the columns as alpha [B, T, N] says."""
        glimpse = torch.matmul(alpha.to(columns.dtype), columns)
        window = self.window(alpha.float(), written)
        if self.level_1 is None or self.level_2 is None:
            return CharacterOutputs(SlotFeatures(glimpse, (), (), glimpse), (), (), window.exp(), None)
        o1, o2 = self.pyramid(maps, columns)
        levels = (
            self.level_1(maps.glyph_1, o1, glimpse, window),
            self.level_2(maps.glyph_2, o2, glimpse, window),
        )
        glyph_1, glyph_2 = (dropped(level.features, self.dropout, self.training) for level in levels)
        if zero_glyphs:
            glyph_1, glyph_2 = glyph_1 * 0, glyph_2 * 0
        if self.fusion is None:
            slots = SlotFeatures(glimpse, (glyph_1, glyph_2), (), (glimpse + glyph_1 + glyph_2) / 3)
            return CharacterOutputs(slots, levels, (), window.exp(), o1)
        reading, fused, gates = self.fusion(glimpse, glyph_1, glyph_2)
        slots = SlotFeatures(glimpse, (glyph_1, glyph_2), fused, reading)
        return CharacterOutputs(slots, levels, gates, window.exp(), o1)

    def _product(self, logs: Tensor, alpha: Tensor, alone: Tensor) -> Tensor:
        """Log-probabilities [B, T, C] of the characters by both branches.

        Args:
            logs: log-probabilities of the columns [B, N, C].
            alpha: attention [B, T, N].
            alone: log-probabilities of the characters by the glyph branch [B, T, C].
        """
        both = self.exponents.exp()
        return _of_characters(both[0] * torch.matmul(alpha.float(), logs) + both[1] * alone)


class CharacterOutputs(NamedTuple):
    """What the glyph branch finds at the characters of an alignment."""

    slots: SlotFeatures
    levels: tuple[Glyphs, ...]
    gates: tuple[Tensor, ...]
    bands: Tensor
    """Share of each column [B, T, N] that belongs to the character, 0..1."""
    o1: Tensor | None


def normalized(weights: Tensor) -> Tensor:
    """Weights [B, T, N] that sum to 1 over the columns; rows of zeros stay."""
    return weights / weights.sum(-1, keepdim=True).clamp_min(1e-6)


def _occupancy(scores: Tensor, classes: Tensor, owners: Tensor | None, outside: float) -> Occupancy:
    """The occupancy of the longest text's slots, of logits [B, N, C]."""
    lengths = (classes > 0).sum(1)
    longest = max(int(lengths.max()), 1)
    logs = scores.detach().float().log_softmax(-1)
    return occupancy(logs, classes[:, :longest], lengths, owners, outside)


def _of_characters(logits: Tensor) -> Tensor:
    """Log-probabilities over the characters, without class 0."""
    nothing = torch.full_like(logits[..., :1], -30.0)
    return torch.cat([nothing, logits[..., 1:].log_softmax(-1)], -1)


def _replaced(logs: Tensor, runs: Tensor, characters: Tensor) -> Tensor:
    """Log-probabilities [B, N, C] whose characters inside the runs are those of the product.

    A column's blank keeps its ratio to the best character, so that the best path has the same runs.

    Args:
        logs: log-probabilities of the columns [B, N, C].
        runs: 1 in a character's columns [B, T, N].
        characters: log-probabilities of the characters [B, T, C].
    """
    inside = runs.amax(1)[..., None] > 0
    wanted = torch.matmul(runs.transpose(1, 2), characters)[..., 1:]
    odds = logs[..., :1] - logs[..., 1:].amax(-1, keepdim=True)
    replaced = torch.cat([wanted.amax(-1, keepdim=True) + odds, wanted], -1).log_softmax(-1)
    return torch.where(inside, replaced, logs)
