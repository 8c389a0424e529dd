"""How well a network in torch reads labelled samples, and whether its glyph attention takes part in it.

Shapes: B crops, T slots, D channels.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from serialread import evaluation, metrics
from serialread.codes import Alphabet
from serialread.config import TrainingRecipe, recipe_id
from serialread.inference.session import ModelCard
from serialread.models import Recognizer
from serialread.records import Floats, Sample
from serialread.training import checkpoint

BATCH = 128


class Seeing:
    """A network as ``serialread.evaluation`` sees a model; notes how its gates stand.

    Attributes:
        card: its alphabet and geometry.
        gates: mean z of each slot of every crop so far [T, levels], 1 where only the glimpse counts.
    """

    def __init__(
        self, model: Recognizer, card: ModelCard, *, zero_glyphs: bool = False, bf16: bool = False
    ) -> None:
        self.model, self.card, self.zero_glyphs, self.bf16 = model.eval(), card, zero_glyphs, bf16
        self.gates: list[Floats] = []

    def run(self, batch: Floats) -> tuple[Floats, ...]:
        """Log-probabilities [B, T, C], attention [B, T, N] and, of SIGA, glyph maps [B, T, h, N]."""
        crops = torch.from_numpy(batch)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            view = self.model.read(crops, zero_glyphs=self.zero_glyphs)
        if view.gates:
            self.gates += list(torch.stack([z.float().mean(-1) for z in view.gates], -1).numpy())
        scores = view.scores.float().log_softmax(-1).numpy()
        maps = () if view.maps is None else (view.maps.softmax(1)[:, 1:].numpy(),)
        return scores, view.alpha.float().numpy(), *maps

    def extras(self, found: evaluation.ModelEvaluation, stores: Sequence[Path]) -> "Examination":
        """What the glyph features are worth, after the network was evaluated on some stores."""
        blind = evaluation.evaluate_model(Seeing(self.model, self.card, zero_glyphs=True), stores)
        return Examination(blind.rows[0], _gates(self, found.crops))


def card_of(recipe: TrainingRecipe, model_id: str = "", steps: int = 0) -> ModelCard:
    """What the model file of a recipe would say of itself."""
    return ModelCard(model_id, Alphabet(recipe.alphabet), recipe.geometry, recipe_id(recipe), steps)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Measures over a set of samples; shares are 0..1."""

    samples: int
    strict: float
    """Share read exactly: crop and symbols count, blanks do not."""
    mpsc: float
    """Share read by the MPSC protocol: lower crop, letters and digits only."""
    gates: tuple[float, float]
    """Mean gate z of each level over the characters: 1 is glimpse alone, 0 is glyph alone."""
    glyph_iou: float
    """Overlap of the finer glyph map with each character's rendered mask, mean over characters."""
    attention_inside: float
    """Share of the attention that lies in the character's own columns, mean over characters."""
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
    """Read every sample and compare; what needs masks is measured where there are masks, else it is 0.

    Args:
        model: the network, put into evaluation mode.
        samples: labelled crops.
        recipe: of the network.
        zero_glyphs: blind the glyph features, to see what they are worth.
        bf16: the faster arithmetic of training.
    """
    seeing = Seeing(model, card_of(recipe), zero_glyphs=zero_glyphs, bf16=bf16)
    crops = list(evaluation.evaluate_crops(seeing, samples, batch_size=BATCH))
    attention = evaluation.AttentionQuality.of(crops)
    return Evaluation(
        samples=len(crops),
        strict=metrics.ratio(sum(crop.is_right("strict") for crop in crops), len(crops)),
        mpsc=metrics.ratio(sum(crop.is_right("mpsc") for crop in crops), len(crops)),
        gates=_gates(seeing, crops),
        glyph_iou=attention.glyph_iou,
        attention_inside=attention.inside,
        drift=attention.drift,
    )


def _gates(seeing: Seeing, crops: Sequence[evaluation.EvaluatedCrop]) -> tuple[float, float]:
    """Mean gate of each level over the characters of all crops; 1 of networks without gates."""
    written = [z[: len(crop.truth)] for z, crop in zip(seeing.gates, crops, strict=False)]
    if not sum(map(len, written)):
        return 1.0, 1.0
    fine, coarse = np.concatenate(written).mean(0).tolist()
    return fine, coarse


@dataclass(frozen=True, slots=True)
class Examination:
    """What a trained network's glyph features are worth.

    Attributes:
        blind: accuracy with the glyph features zeroed: what the attention reads alone.
        gates: mean gate z of each level, the finer first; 1 is glimpse alone.
    """

    blind: evaluation.AccuracyRow
    gates: tuple[float, float]

    def to_json(self) -> dict[str, object]:
        """As entries of the evaluation's JSON."""
        return {"gates": self.gates, "glyphs_zeroed": asdict(self.blind)}

    def to_text(self) -> str:
        """As lines of the evaluation's text."""
        fine, coarse = self.gates
        accuracy = {name: metrics.ratio(n, self.blind.crops) for name, n in self.blind.right.items()}
        zeroed = ", ".join(f"{name} {share:.2%}" for name, share in accuracy.items())
        return (
            f"mean gate z             {fine:.3f} (fine) {coarse:.3f} (coarse); 1 is glimpse alone\n"
            f"glyph features zeroed   {zeroed}"
        )


def open_run(run: Path) -> Seeing:
    """The best network of a run, or one checkpoint, as ``serialread.evaluation.evaluate`` takes it."""
    saved = checkpoint.load(run)
    return Seeing(saved.network(), card_of(saved.recipe, saved.model_id, saved.steps))
