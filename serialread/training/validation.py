"""Validation of a torch network on labelled samples, and the contribution of its glyph attention.

Shapes: B crops, T slots, D channels.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from serialread import evaluation, metrics
from serialread.codes import Alphabet
from serialread.config import TrainingRecipe, recipe_id
from serialread.inference.session import ModelCard
from serialread.models import Recognizer
from serialread.records import Floats, Sample
from serialread.training import checkpoint
from serialread.training.precision import autocast

BATCH = 128


class TorchSession:
    """A torch network as a session of ``serialread.evaluation``; records its gates.

    Attributes:
        gates: mean z of each slot of every crop so far [T, levels], 1 where only the glimpse is used.
    """

    def __init__(
        self, model: Recognizer, card: ModelCard, *, zero_glyphs: bool = False, bf16: bool = False
    ) -> None:
        self.model, self.zero_glyphs, self.bf16 = model.eval(), zero_glyphs, bf16
        self.card = replace(card, topology=model.topology, capacity=model.capacity)
        self.gates: list[Floats] = []

    def run(self, batch: Floats) -> tuple[Floats, ...]:
        """Log-probabilities [B, T, C] or [B, N, C], attention [B, T, N], glyph maps [B, T, h, N] of SIGA."""
        device = next(self.model.parameters()).device
        crops = torch.from_numpy(batch).to(device)
        with torch.inference_mode(), device, autocast(device, bf16=self.bf16):
            outputs = self.model.read(crops, zero_glyphs=self.zero_glyphs)
        if outputs.gates:
            self.gates += list(_array(torch.stack([z.float().mean(-1) for z in outputs.gates], -1)))
        scores = _array(outputs.scores.float().log_softmax(-1))
        maps = () if outputs.maps is None else (_array(outputs.maps.softmax(1)[:, 1:]),)
        return scores, _array(outputs.alpha), *maps

    def extras(self, found: evaluation.ModelEvaluation, stores: Sequence[Path]) -> "GlyphContribution":
        """The contribution of the glyph features to an evaluation on some stores."""
        without = evaluation.evaluate_model(TorchSession(self.model, self.card, zero_glyphs=True), stores)
        return GlyphContribution(without.rows[0], _gates(self, found.crops))


def _array(values: Tensor) -> Floats:
    return np.asarray(values.float().cpu().numpy())


def card_of(recipe: TrainingRecipe, model_id: str = "", steps: int = 0) -> ModelCard:
    """The card of a recipe's model file; ``TorchSession`` adds the topology of the network."""
    return ModelCard(model_id, Alphabet(recipe.alphabet), recipe.geometry, recipe_id(recipe), steps)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Measures over a set of samples; shares are 0..1."""

    samples: int
    strict: float
    """Accuracy: case and symbols count, blanks do not."""
    mpsc: float
    """Accuracy by the MPSC protocol: lower case, letters and digits only."""
    gates: tuple[float, float]
    """Mean gate z of each level over the characters: 1 is glimpse only, 0 is glyph only."""
    glyph_iou: float
    """IoU of the finer glyph map with each character's rendered mask, mean over characters."""
    attention_inside: float
    """Share of the attention in the character's own columns, mean over characters."""
    drift: float
    """Share of characters whose attention peaks outside their own columns."""


def evaluate(
    model: Recognizer,
    samples: Sequence[Sample],
    recipe: TrainingRecipe,
    *,
    zero_glyphs: bool = False,
    bf16: bool = False,
) -> Evaluation:
    """Read every sample and compare with its label; measures that need masks are 0 without them.

    Args:
        model: the network, put into evaluation mode.
        samples: labelled crops.
        recipe: of the network.
        zero_glyphs: zero the glyph features, to measure their contribution.
        bf16: use bfloat16 autocast, as in training.
    """
    session = TorchSession(model, card_of(recipe), zero_glyphs=zero_glyphs, bf16=bf16)
    crops = list(evaluation.evaluate_crops(session, samples, batch_size=BATCH))
    attention = evaluation.AttentionQuality.of(crops)
    return Evaluation(
        samples=len(crops),
        strict=metrics.ratio(sum(crop.is_right("strict") for crop in crops), len(crops)),
        mpsc=metrics.ratio(sum(crop.is_right("mpsc") for crop in crops), len(crops)),
        gates=_gates(session, crops),
        glyph_iou=attention.glyph_iou,
        attention_inside=attention.inside,
        drift=attention.drift,
    )


def _gates(session: TorchSession, crops: Sequence[evaluation.EvaluatedCrop]) -> tuple[float, float]:
    """Mean gate of each level over the characters of all crops; 1 of networks without gates."""
    written = [z[: len(crop.truth)] for z, crop in zip(session.gates, crops, strict=False)]
    if not sum(map(len, written)):
        return 1.0, 1.0
    fine, coarse = np.concatenate(written).mean(0).tolist()
    return fine, coarse


@dataclass(frozen=True, slots=True)
class GlyphContribution:
    """The contribution of a trained network's glyph features.

    Attributes:
        without_glyphs: accuracy with the glyph features zeroed: the attention alone.
        gates: mean gate z of each level, the finer first; 1 is glimpse only.
    """

    without_glyphs: evaluation.AccuracyRow
    gates: tuple[float, float]

    def to_json(self) -> dict[str, object]:
        """As entries of the evaluation's JSON."""
        return {"gates": self.gates, "glyphs_zeroed": asdict(self.without_glyphs)}

    def to_text(self) -> str:
        """As lines of the evaluation's text."""
        fine, coarse = self.gates
        accuracy = {
            name: metrics.ratio(n, self.without_glyphs.crops) for name, n in self.without_glyphs.right.items()
        }
        zeroed = ", ".join(f"{name} {share:.2%}" for name, share in accuracy.items())
        return (
            f"mean gate z             {fine:.3f} (fine) {coarse:.3f} (coarse); 1 is glimpse only\n"
            f"glyph features zeroed   {zeroed}"
        )


def open_run(run: Path) -> TorchSession:
    """The best network of a run, or one checkpoint, for ``serialread.evaluation.evaluate_model``."""
    saved = checkpoint.load(run)
    return TorchSession(saved.network(), card_of(saved.recipe, saved.model_id, saved.steps))
