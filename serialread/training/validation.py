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
    """A network as ``measuring`` sees a model; notes how its gates stand.

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


def card_of(recipe: TrainingRecipe, model_id: str = "", steps: int = 0) -> ModelCard:
    """What the model file of a recipe would say of itself."""
    return ModelCard(model_id, Alphabet(recipe.alphabet), recipe.geometry, recipe_id(recipe), steps)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Measures over a set of samples; shares are 0..1."""

    samples: int
    strict: float
    """Share read exactly: case and symbols count, blanks do not."""
    mpsc: float
    """Share read by the MPSC protocol: lower case, letters and digits only."""
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
    cases = list(evaluation.measure(seeing, samples, size=BATCH))
    looking = evaluation.Looking.of(cases)
    return Evaluation(
        samples=len(cases),
        strict=metrics.ratio(sum(case.right("strict") for case in cases), len(cases)),
        mpsc=metrics.ratio(sum(case.right("mpsc") for case in cases), len(cases)),
        gates=_gates(seeing, cases),
        glyph_iou=looking.glyph_iou,
        attention_inside=looking.inside,
        drift=looking.drift,
    )


def _gates(seeing: Seeing, cases: Sequence[evaluation.EvaluatedCrop]) -> tuple[float, float]:
    """Mean gate of each level over the characters of all cases; 1 of networks without gates."""
    written = [z[: len(case.truth)] for z, case in zip(seeing.gates, cases, strict=False)]
    if not sum(map(len, written)):
        return 1.0, 1.0
    fine, coarse = np.concatenate(written).mean(0).tolist()
    return fine, coarse


@dataclass(frozen=True, slots=True)
class Examination:
    """A trained network's measures, with and without its glyph features.

    Attributes:
        whole: as it is.
        blind: with the glyph features zeroed: what the attention reads alone, after learning with both.
        gates: mean gate z of each level, the finer first; 1 is glimpse alone.
    """

    whole: evaluation.Measures
    blind: evaluation.Measures
    gates: tuple[float, float]

    def to_json(self) -> dict[str, object]:
        """What is known beyond the whole's own measures, JSON by construction."""
        return {"gates": self.gates, "glyphs_zeroed": asdict(self.blind.lines[0])}

    def to_text(self) -> str:
        """The same as lines for people."""
        fine, coarse = self.gates
        blind = self.blind.lines[0]
        zeroed = ", ".join(f"{name} {metrics.ratio(n, blind.crops):.2%}" for name, n in blind.right.items())
        return (
            f"mean gate z             {fine:.3f} (fine) {coarse:.3f} (coarse); 1 is glimpse alone\n"
            f"glyph features zeroed   {zeroed}"
        )


def examine(run: Path, stores: Sequence[Path]) -> Examination:
    """Measure the best network of a run, or one checkpoint, in 32-bit arithmetic."""
    saved = checkpoint.load(run)
    model, card = saved.network(), card_of(saved.recipe, saved.model_id, saved.steps)
    seeing = Seeing(model, card)
    whole = evaluation.measures(seeing, stores)
    blind = evaluation.measures(Seeing(model, card, zero_glyphs=True), stores)
    return Examination(whole, blind, _gates(seeing, whole.cases))
