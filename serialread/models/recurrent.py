"""Recurrent decoders: one character after the other; after SIGA_R (Guan et al., CVPR 2023) and SEC.

Shapes: B crops, T slots, P places that are looked at (N columns, or h * N cells), D channels of a place, S
channels of a state, C classes. In training the character before is the true one, at test the one just read.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from serialread.config.networks import Recurrent, Siga
from serialread.models.feature_maps import Backbone, Taps
from serialread.models.fusion import GatedUnit
from serialread.models.glyphs import Glyphs, attached, segmentation
from serialread.models.network import SLOTS, NetworkOutputs, Recognizer, TrainingOutputs, straightened
from serialread.models.rectifier import Rectifier


class Additive(nn.Module):
    """Where to look next, by the state: w . tanh(W_h H_i + W_s s)."""

    def __init__(self, dim: int, state: int, attention: int) -> None:
        super().__init__()
        self.keys = nn.Linear(dim, attention, bias=False)
        self.query = nn.Linear(state, attention)
        self.score = nn.Linear(attention, 1, bias=False)

    def forward(self, keys: Tensor, places: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Glimpse g_t [B, D] and alpha_t [B, P] of places [B, P, D] with their keys [B, P, A]."""
        scores = self.score(torch.tanh(keys + self.query(state)[:, None])).squeeze(-1).float()
        alpha = scores.softmax(-1)
        return torch.matmul(alpha.to(places.dtype)[:, None], places)[:, 0], alpha


class Spelling(NamedTuple):
    """What a decoder spelt."""

    scores: Tensor
    """Logits [B, T, C]."""
    seen: Tensor
    """What went into the cell beside the character before [B, T, D]."""
    alpha: Tensor | None
    """[B, T, P] of decoders that look."""
    gates: Tensor | None
    """z [B, T, D] of decoders that fuse."""


class Speller(nn.Module):
    """A cell that spells: it looks at places by attention, takes a glyph a slot, or fuses both by a gate."""

    def __init__(
        self, dim: int, knobs: Recurrent, classes: int, *, looks: bool, fuses: bool = False, state: int = 0
    ) -> None:
        super().__init__()
        state = state or knobs.state
        self.attention = Additive(dim, state, knobs.attention) if looks else None
        self.gate = GatedUnit(dim) if fuses else None
        self.cell = nn.LSTMCell(dim + knobs.embedding, state)
        self.embedding = nn.Embedding(classes + 1, knobs.embedding)  # the last is the start
        self.classifier = nn.Linear(state, classes)

    def forward(self, places: Tensor | None, glyphs: Tensor | None, told: Tensor | None) -> Spelling:
        """Spell from places [B, P, D], glyphs [B, T, D] or both; told [B, T] is the truth, None at test."""
        source = places if places is not None else glyphs
        assert source is not None
        state = memory = source.new_zeros(source.shape[0], self.cell.hidden_size)
        before = torch.full_like(source[:, 0, 0], self.embedding.num_embeddings - 1, dtype=torch.long)
        keys = None if self.attention is None else self.attention.keys(places)
        steps = []
        for t in range(SLOTS):
            glyph = None if glyphs is None else glyphs[:, t]
            seen, alpha, gate = self._look(keys, places, glyph, state)
            state, memory = self.cell(torch.cat([seen, self.embedding(before)], -1), (state, memory))
            scores = self.classifier(state)
            before = scores.argmax(-1) if told is None else told[:, t]
            steps.append((scores, seen, alpha, gate))
        scores_, seen_, alphas, gates = (list(column) for column in zip(*steps, strict=True))
        return Spelling(torch.stack(scores_, 1), torch.stack(seen_, 1), _stacked(alphas), _stacked(gates))

    def _look(
        self, keys: Tensor | None, places: Tensor | None, glyph: Tensor | None, state: Tensor
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """What the cell gets [B, D], where the attention went, and how the gate stood."""
        if self.attention is None:
            assert glyph is not None
            return glyph, None, None
        assert places is not None
        assert keys is not None
        glimpse, alpha = self.attention(keys, places, state)
        if self.gate is None or glyph is None:
            return glimpse, alpha, None
        fused, z = self.gate(glimpse, glyph)
        return fused, alpha, z


def _stacked(steps: list[Tensor | None]) -> Tensor | None:
    kept = [step for step in steps if step is not None]
    return torch.stack(kept, 1) if kept else None


class RecurrentRecognizer(Recognizer):
    """The plain attention recognizer: one decoder that looks at columns, or at all cells of the map (SEC).

    SEC reads every place by the decoder's own classifier, so it adds no parameter.
    """

    teaching = ("ctc",)

    def __init__(
        self, rectifier: Rectifier | None, trunk: Backbone, columns: nn.Module, dim: int, knobs: Recurrent,
        classes: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.rectifier, self.trunk, self.columns = rectifier, trunk, columns
        self.speller = Speller(dim, knobs, classes, looks=True)
        self.ctc = nn.Linear(dim, classes)

    def read(self, crops: Tensor, *, zero_glyphs: bool = False) -> NetworkOutputs:
        """Read crops [B, 1, H, W], greedily."""
        crops, _ = straightened(self.rectifier, crops)
        last = self.trunk(crops).last
        spelt = self.speller(self.columns(last), None, None)
        return NetworkOutputs(spelt.scores, of_columns(spelt.alpha, last.shape[-1]))

    def learn(self, crops: Tensor, classes: Tensor) -> TrainingOutputs:
        """What the losses look at, told the truth [B, T]."""
        crops, grid = straightened(self.rectifier, crops)
        last = self.trunk(crops).last
        places = self.columns(last)
        spelt = self.speller(places, None, classes)
        return TrainingOutputs(
            scores={"reading": (spelt.scores,)},
            alpha=of_columns(spelt.alpha, last.shape[-1]),
            cells=self.speller.classifier(places)
            if places.shape[-1] == self.speller.cell.hidden_size
            else None,
            ctc=self.ctc(places) if places.shape[1] == last.shape[-1] else None,
            grid=grid,
        )


def of_columns(alpha: Tensor, columns: int) -> Tensor:
    """Attention [B, T, P] to places row by row, as attention [B, T, N] to columns."""
    if alpha.shape[-1] == columns:
        return alpha
    return alpha.view(*alpha.shape[:2], -1, columns).sum(2)


class Aligner(nn.Module):
    """The decoder whose attention makes the pseudo-labels, on columns of its own: training only.

    Its sequence is not the one that reads, so that all of it can be left behind at test.
    """

    def __init__(self, columns: nn.Module, dim: int, knobs: Recurrent, classes: int) -> None:
        super().__init__()
        self.columns, self.speller = columns, Speller(dim, knobs, classes, looks=True)

    def forward(self, last: Tensor, told: Tensor) -> Spelling:
        """Spell from the last map [B, C, h, N], told the truth [B, T]."""
        spelt: Spelling = self.speller(self.columns(last), None, told)
        return spelt


class RecurrentSiga(Recognizer):
    """SIGA with recurrent decoders: two that fuse glimpse and glyph, and one that reads what they fused.

    Beside them, for teaching alone: the aligner, a plain decoder, one a level that reads glyphs alone, the
    segmentation.
    """

    teaching = ("aligner", "plain", "glyph_readers", "segmentation", "ctc")

    def __init__(
        self, rectifier: Rectifier | None, trunk: Backbone, columns: nn.Module, aligner: Aligner, dim: int,
        knobs: Recurrent, siga: Siga, dropout: float, classes: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.rectifier, self.trunk, self.columns = rectifier, trunk, columns
        self.pyramid, (self.level_1, self.level_2) = attached(siga.parts, trunk.shape, dim, SLOTS)
        self.dropout = nn.Dropout(dropout)
        self.spell_1 = Speller(dim, knobs, classes, looks=True, fuses=siga.fusion)
        self.spell_2 = Speller(dim, knobs, classes, looks=True, fuses=siga.fusion)
        self.fuse = GatedUnit(dim)
        self.widen = nn.Linear(dim, knobs.final_state)
        self.final = Speller(knobs.final_state, knobs, classes, looks=False, state=knobs.final_state)
        self.aligner = aligner
        self.plain = Speller(dim, knobs, classes, looks=True)
        self.glyph_readers = nn.ModuleList(Speller(dim, knobs, classes, looks=False) for _ in range(2))
        self.segmentation = segmentation(siga.parts, trunk.shape)
        self.ctc = nn.Linear(dim, classes)

    def read(self, crops: Tensor, *, zero_glyphs: bool = False) -> NetworkOutputs:
        """Read crops [B, 1, H, W], greedily."""
        taps: Taps = self.trunk(straightened(self.rectifier, crops)[0])
        columns = self.columns(taps.last)
        levels, _, glyphs = self._glyphs(taps, columns, zero_glyphs=zero_glyphs)
        first, second, final = self._spell(columns, glyphs, None)
        gates = tuple(s.gates for s in (first, second) if s.gates is not None)
        assert first.alpha is not None
        return NetworkOutputs(final.scores, first.alpha, levels, gates)

    def learn(self, crops: Tensor, classes: Tensor) -> TrainingOutputs:
        """What the losses look at, told the truth [B, T]: seven cross-entropies, masks, attention."""
        crops, grid = straightened(self.rectifier, crops)
        taps: Taps = self.trunk(crops)
        columns = self.columns(taps.last)
        levels, o1, glyphs = self._glyphs(taps, columns, zero_glyphs=False)
        first, second, final = self._spell(columns, glyphs, classes)
        aligned = self.aligner(taps.last, classes)
        plain = self.plain(columns, None, classes)
        return TrainingOutputs(
            scores={
                "reading": (final.scores,),
                "fused": (first.scores, second.scores),
                "glimpse": (plain.scores,),
                "glyph": tuple(
                    reader(None, glyph, classes).scores
                    for reader, glyph in zip(self.glyph_readers, glyphs, strict=True)
                ),
                "aligner": (aligned.scores,),
            },
            alpha=aligned.alpha,
            levels=levels,
            columns=self.plain.classifier(columns)
            if columns.shape[-1] == self.plain.cell.hidden_size
            else None,
            segmentation=self.segmentation(taps, o1),
            ctc=self.ctc(columns),
            grid=grid,
        )

    def _glyphs(
        self, taps: Taps, columns: Tensor, *, zero_glyphs: bool
    ) -> tuple[tuple[Glyphs, Glyphs], Tensor, tuple[Tensor, Tensor]]:
        """Both levels, O_1, and the glyph features [B, T, D] as decoders get them."""
        o1, o2 = self.pyramid(taps, columns)
        levels = self.level_1(taps.glyph_1, o1, None), self.level_2(taps.glyph_2, o2, None)
        scale = 0.0 if zero_glyphs else 1.0
        fine, coarse = (self.dropout(level.features) * scale for level in levels)
        return levels, o1, (fine, coarse)

    def _spell(
        self, columns: Tensor, glyphs: tuple[Tensor, Tensor], told: Tensor | None
    ) -> tuple[Spelling, Spelling, Spelling]:
        first, second = self.spell_1(columns, glyphs[0], told), self.spell_2(columns, glyphs[1], told)
        fused, _ = self.fuse(first.seen, second.seen)
        return first, second, self.final(None, self.dropout(self.widen(fused)), told)
