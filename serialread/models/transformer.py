"""A Transformer decoder over the whole map, the second of SEC's two; after Gu et al., ICPR 2020.

Shapes: B crops, T slots, P places of the map, D channels, C classes.
"""

import torch
from torch import Tensor, nn

from serialread.config.networks import Transformer
from serialread.models.feature_maps import Backbone
from serialread.models.network import SLOTS, NetworkOutputs, Recognizer, TrainingOutputs, straightened
from serialread.models.rectifier import Rectifier
from serialread.models.recurrent import of_columns


class Layer(nn.Module):
    """See the characters before, look at the map, think."""

    def __init__(self, dim: int, heads: int, ratio: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))
        self.before = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.map = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(dim, ratio * dim), nn.GELU(), nn.Linear(ratio * dim, dim))

    def forward(self, slots: Tensor, places: Tensor, later: Tensor) -> tuple[Tensor, Tensor]:
        """Slots [B, T, D] after the layer, and where they looked [B, T, P], mean over the heads."""
        own = self.norms[0](slots)
        slots = slots + self.before(own, own, own, attn_mask=later, need_weights=False)[0]
        found, alpha = self.map(self.norms[1](slots), places, places)
        slots = slots + found
        return slots + self.mlp(self.norms[2](slots)), alpha


class TransformerRecognizer(Recognizer):
    """Reads greedily, one character a pass; SEC reads every place by the same classifier."""

    later: Tensor
    teaching = ("ctc",)

    def __init__(
        self, rectifier: Rectifier | None, trunk: Backbone, columns: nn.Module, dim: int, knobs: Transformer,
        classes: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.rectifier, self.trunk, self.columns = rectifier, trunk, columns
        self.embedding = nn.Embedding(classes + 1, dim)  # the last is the start
        self.places = nn.Parameter(0.02 * torch.randn(SLOTS, dim))
        self.layers = nn.ModuleList(Layer(dim, knobs.heads, knobs.mlp_ratio) for _ in range(knobs.layers))
        self.norm = nn.LayerNorm(dim)
        self.classifier = nn.Linear(dim, classes)
        self.ctc = nn.Linear(dim, classes)
        later = torch.full((SLOTS, SLOTS), float("-inf")).triu(1)
        self.register_buffer("later", later, persistent=False)

    def read(self, crops: Tensor, *, zero_glyphs: bool = False) -> NetworkOutputs:
        """Read crops [B, 1, H, W], greedily."""
        crops, _ = straightened(self.rectifier, crops)
        last = self.trunk(crops).last
        places = self.columns(last)
        told = torch.full_like(places[:, :1, 0], self.embedding.num_embeddings - 1, dtype=torch.long)
        for _ in range(SLOTS):
            scores, alpha = self._spell(places, told)
            told = torch.cat([told, scores[:, -1:].argmax(-1)], 1)
        return NetworkOutputs(scores, of_columns(alpha, last.shape[-1]))

    def learn(self, crops: Tensor, classes: Tensor) -> TrainingOutputs:
        """What the losses look at, told the truth [B, T]."""
        crops, grid = straightened(self.rectifier, crops)
        last = self.trunk(crops).last
        places = self.columns(last)
        start = torch.full_like(classes[:, :1], self.embedding.num_embeddings - 1)
        scores, alpha = self._spell(places, torch.cat([start, classes[:, :-1]], 1))
        return TrainingOutputs(
            scores={"reading": (scores,)},
            alpha=of_columns(alpha, last.shape[-1]),
            cells=self.classifier(places),
            ctc=self.ctc(places) if places.shape[1] == last.shape[-1] else None,
            grid=grid,
        )

    def _spell(self, places: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [B, t, C] and attention [B, t, P] of the last layer, after t characters [B, t]."""
        count = told.shape[1]
        slots = self.embedding(told) + self.places[:count]
        for layer in self.layers:
            slots, alpha = layer(slots, places, self.later[:count, :count])
        return self.classifier(self.norm(slots)), alpha
