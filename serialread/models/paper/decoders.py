"""Autoregressive decoders: the recurrent ones of SIGA_R and SEC, and SEC's Transformer.

After Guan et al., CVPR 2023, and Gu et al., ICPR 2020. Shapes: B crops, T slots, P attended places
(N columns, or h * N cells), D channels of a place, S channels of a state, C classes. In training the previous
character is the true one (teacher forcing), at test time the predicted one.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from serialread.config.networks import RecurrentConfig, TransformerConfig
from serialread.models.glyphs import Glyphs, SigaModules
from serialread.models.layers import SLOTS, Backbone, FeatureMaps, GatedUnit
from serialread.models.network import NetworkOutputs, Recognizer, TrainingOutputs


class AdditiveAttention(nn.Module):
    """Attention conditioned on the state: w . tanh(W_h H_i + W_s s)."""

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


class Decoded(NamedTuple):
    """Outputs of a decoder."""

    scores: Tensor
    """Logits [B, T, C]."""
    inputs: Tensor
    """Input of the cell, without the previous character [B, T, D]."""
    alpha: Tensor | None
    """Attention [B, T, P], of decoders that attend to places."""
    gates: Tensor | None
    """z [B, T, D], of decoders that fuse glimpse and glyph."""


class RecurrentDecoder(nn.Module):
    """An LSTM cell that reads a glimpse by attention, a glyph per slot, or both fused by a gate."""

    def __init__(
        self,
        dim: int,
        config: RecurrentConfig,
        classes: int,
        *,
        attends: bool,
        fuses: bool = False,
        state: int = 0,
    ) -> None:
        super().__init__()
        state = state or config.state
        self.attention = AdditiveAttention(dim, state, config.attention) if attends else None
        self.gate = GatedUnit(dim) if fuses else None
        self.cell = nn.LSTMCell(dim + config.embedding, state)
        self.embedding = nn.Embedding(classes + 1, config.embedding)  # the last is the start token
        self.classifier = nn.Linear(state, classes)

    def forward(self, places: Tensor | None, glyphs: Tensor | None, truth: Tensor | None) -> Decoded:
        """Decode greedily, or with teacher forcing.

        Args:
            places: [B, P, D], or None.
            glyphs: [B, T, D], or None.
            truth: classes [B, T], None at test time.
        """
        source = places if places is not None else glyphs
        assert source is not None
        state = memory = source.new_zeros(source.shape[0], self.cell.hidden_size)
        before = torch.full_like(source[:, 0, 0], self.embedding.num_embeddings - 1, dtype=torch.long)
        keys = None if self.attention is None else self.attention.keys(places)
        steps = []
        for t in range(SLOTS):
            glyph = None if glyphs is None else glyphs[:, t]
            inputs, alpha, gate = self._inputs(keys, places, glyph, state)
            state, memory = self.cell(torch.cat([inputs, self.embedding(before)], -1), (state, memory))
            scores = self.classifier(state)
            before = scores.argmax(-1) if truth is None else truth[:, t]
            steps.append((scores, inputs, alpha, gate))
        all_scores, all_inputs, alphas, gates = (list(column) for column in zip(*steps, strict=True))
        return Decoded(
            torch.stack(all_scores, 1), torch.stack(all_inputs, 1), _stacked(alphas), _stacked(gates)
        )

    def _inputs(
        self, keys: Tensor | None, places: Tensor | None, glyph: Tensor | None, state: Tensor
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Input of the cell [B, D], attention [B, P] and gate [B, D]."""
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
    """The plain attention recognizer: one decoder that attends to columns, or to all cells of the map (SEC).

    SEC classifies every place by the decoder's own classifier, so it adds no parameter.
    """

    training_only = ("ctc",)

    def __init__(
        self, rectifier: nn.Module | None, trunk: Backbone, columns: nn.Module, dim: int,
        config: RecurrentConfig, classes: int,
    ) -> None:  # fmt: skip
        super().__init__(rectifier, trunk, columns)
        self.decoder = RecurrentDecoder(dim, config, classes, attends=True)
        self.ctc = nn.Linear(dim, classes)

    def read_maps(self, maps: FeatureMaps, *, zero_glyphs: bool = False) -> NetworkOutputs:
        """Read crops greedily."""
        last = maps.last
        decoded = self.decoder(self.columns(last), None, None)
        return NetworkOutputs(decoded.scores, column_attention(decoded.alpha, last.shape[-1]))

    def train_forward(self, crops: Tensor, classes: Tensor, owners: Tensor | None = None) -> TrainingOutputs:
        """Inputs of the losses, with teacher forcing."""
        maps, grid = self.features(crops)
        last = maps.last
        places = self.columns(last)
        decoded = self.decoder(places, None, classes)
        return TrainingOutputs(
            scores={"reading": (decoded.scores,)},
            alpha=column_attention(decoded.alpha, last.shape[-1]),
            cells=self.decoder.classifier(places)
            if places.shape[-1] == self.decoder.cell.hidden_size
            else None,
            ctc=self.ctc(places) if places.shape[1] == last.shape[-1] else None,
            grid=grid,
        )


def column_attention(alpha: Tensor, columns: int) -> Tensor:
    """Attention to places row by row [B, T, P], summed to attention to columns [B, T, N]."""
    if alpha.shape[-1] == columns:
        return alpha
    return alpha.view(*alpha.shape[:2], -1, columns).sum(2)


class Aligner(nn.Module):
    """The decoder whose attention makes the pseudo-labels, with its own sequence model: training only."""

    def __init__(self, columns: nn.Module, dim: int, config: RecurrentConfig, classes: int) -> None:
        super().__init__()
        self.columns, self.decoder = columns, RecurrentDecoder(dim, config, classes, attends=True)

    def forward(self, last: Tensor, truth: Tensor) -> Decoded:
        """Decode the last map [B, C, h, N] with teacher forcing by the truth [B, T]."""
        decoded: Decoded = self.decoder(self.columns(last), None, truth)
        return decoded


class RecurrentSiga(Recognizer):
    """SIGA with recurrent decoders: two that fuse glimpse and glyph, and one that reads the fused features.

    In training only: the aligner, a plain decoder, one decoder per level on the glyphs alone, the
    segmentation.
    """

    training_only = ("aligner", "plain", "glyph_readers", "segmentation", "ctc")

    def __init__(
        self, rectifier: nn.Module | None, trunk: Backbone, columns: nn.Module, aligner: Aligner, dim: int,
        config: RecurrentConfig, siga: SigaModules, *, fusion: bool, dropout: float, classes: int,
    ) -> None:  # fmt: skip
        super().__init__(rectifier, trunk, columns)
        self.pyramid, (self.level_1, self.level_2) = siga.pyramid, siga.levels
        self.dropout = nn.Dropout(dropout)
        self.decoder_1 = RecurrentDecoder(dim, config, classes, attends=True, fuses=fusion)
        self.decoder_2 = RecurrentDecoder(dim, config, classes, attends=True, fuses=fusion)
        self.fuse = GatedUnit(dim)
        self.widen = nn.Linear(dim, config.final_state)
        self.final = RecurrentDecoder(
            config.final_state, config, classes, attends=False, state=config.final_state
        )
        self.aligner = aligner
        self.plain = RecurrentDecoder(dim, config, classes, attends=True)
        self.glyph_readers = nn.ModuleList(
            RecurrentDecoder(dim, config, classes, attends=False) for _ in range(2)
        )
        self.segmentation = siga.segmentation
        self.ctc = nn.Linear(dim, classes)

    def read_maps(self, maps: FeatureMaps, *, zero_glyphs: bool = False) -> NetworkOutputs:
        """Read crops greedily."""
        columns = self.columns(maps.last)
        levels, _, glyphs = self._glyphs(maps, columns, zero_glyphs=zero_glyphs)
        first, second, final = self._decode(columns, glyphs, None)
        gates = tuple(s.gates for s in (first, second) if s.gates is not None)
        assert first.alpha is not None
        return NetworkOutputs(final.scores, first.alpha, levels, gates)

    def train_forward(self, crops: Tensor, classes: Tensor, owners: Tensor | None = None) -> TrainingOutputs:
        """Inputs of the losses, with teacher forcing: seven cross-entropies, masks, attention."""
        maps, grid = self.features(crops)
        columns = self.columns(maps.last)
        levels, o1, glyphs = self._glyphs(maps, columns, zero_glyphs=False)
        first, second, final = self._decode(columns, glyphs, classes)
        aligned = self.aligner(maps.last, classes)
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
            segmentation=self.segmentation(maps, o1),
            ctc=self.ctc(columns),
            grid=grid,
        )

    def _glyphs(
        self, maps: FeatureMaps, columns: Tensor, *, zero_glyphs: bool
    ) -> tuple[tuple[Glyphs, Glyphs], Tensor, tuple[Tensor, Tensor]]:
        """Both levels, O_1, and the glyph features [B, T, D] as inputs of the decoders."""
        o1, o2 = self.pyramid(maps, columns)
        levels = self.level_1(maps.glyph_1, o1, None), self.level_2(maps.glyph_2, o2, None)
        scale = 0.0 if zero_glyphs else 1.0
        fine, coarse = (self.dropout(level.features) * scale for level in levels)
        return levels, o1, (fine, coarse)

    def _decode(
        self, columns: Tensor, glyphs: tuple[Tensor, Tensor], truth: Tensor | None
    ) -> tuple[Decoded, Decoded, Decoded]:
        first, second = self.decoder_1(columns, glyphs[0], truth), self.decoder_2(columns, glyphs[1], truth)
        fused, _ = self.fuse(first.inputs, second.inputs)
        return first, second, self.final(None, self.dropout(self.widen(fused)), truth)


class DecoderLayer(nn.Module):
    """Causal self-attention, cross-attention to the map, MLP."""

    def __init__(self, dim: int, heads: int, ratio: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))
        self.before = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.map = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(dim, ratio * dim), nn.GELU(), nn.Linear(ratio * dim, dim))

    def forward(self, slots: Tensor, places: Tensor, causal: Tensor) -> tuple[Tensor, Tensor]:
        """Slots [B, T, D] after the layer, and their attention [B, T, P], mean over the heads."""
        own = self.norms[0](slots)
        slots = slots + self.before(own, own, own, attn_mask=causal, need_weights=False)[0]
        attended, alpha = self.map(self.norms[1](slots), places, places)
        slots = slots + attended
        return slots + self.mlp(self.norms[2](slots)), alpha


class TransformerRecognizer(Recognizer):
    """Decodes greedily, one character per pass; SEC classifies every place by the same classifier."""

    causal: Tensor
    training_only = ("ctc",)

    def __init__(
        self, rectifier: nn.Module | None, trunk: Backbone, columns: nn.Module, dim: int,
        config: TransformerConfig, classes: int,
    ) -> None:  # fmt: skip
        super().__init__(rectifier, trunk, columns)
        self.embedding = nn.Embedding(classes + 1, dim)  # the last is the start token
        self.places = nn.Parameter(0.02 * torch.randn(SLOTS, dim))
        self.layers = nn.ModuleList(
            DecoderLayer(dim, config.heads, config.mlp_ratio) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.classifier = nn.Linear(dim, classes)
        self.ctc = nn.Linear(dim, classes)
        mask = torch.full((SLOTS, SLOTS), float("-inf")).triu(1)
        self.register_buffer("causal", mask, persistent=False)

    def read_maps(self, maps: FeatureMaps, *, zero_glyphs: bool = False) -> NetworkOutputs:
        """Read crops greedily."""
        last = maps.last
        places = self.columns(last)
        truth = torch.full_like(places[:, :1, 0], self.embedding.num_embeddings - 1, dtype=torch.long)
        for _ in range(SLOTS):
            scores, alpha = self._decode(places, truth)
            truth = torch.cat([truth, scores[:, -1:].argmax(-1)], 1)
        return NetworkOutputs(scores, column_attention(alpha, last.shape[-1]))

    def train_forward(self, crops: Tensor, classes: Tensor, owners: Tensor | None = None) -> TrainingOutputs:
        """Inputs of the losses, with teacher forcing."""
        maps, grid = self.features(crops)
        last = maps.last
        places = self.columns(last)
        start = torch.full_like(classes[:, :1], self.embedding.num_embeddings - 1)
        scores, alpha = self._decode(places, torch.cat([start, classes[:, :-1]], 1))
        return TrainingOutputs(
            scores={"reading": (scores,)},
            alpha=column_attention(alpha, last.shape[-1]),
            cells=self.classifier(places),
            ctc=self.ctc(places) if places.shape[1] == last.shape[-1] else None,
            grid=grid,
        )

    def _decode(self, places: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [B, t, C] and attention [B, t, P] of the last layer, after t characters [B, t]."""
        count = truth.shape[1]
        slots = self.embedding(truth) + self.places[:count]
        for layer in self.layers:
            slots, alpha = layer(slots, places, self.causal[:count, :count])
        return self.classifier(self.norm(slots)), alpha
