"""Fine-tuning trials: the recipe of each, its training, and the choice among the networks that they give.

A trial learns labelled crops beside rendered ones, which keep what the network knew (replay). Its network is
then moved back towards its start where it has forgotten too much (Wortsman et al., CVPR 2022).
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from serialread import metrics
from serialread.codes import Alphabet
from serialread.config import DataRecipe, TrainingRecipe, load
from serialread.config.training_recipe import Muon
from serialread.evaluation import EvaluatedCrop, evaluate_crops
from serialread.models import build
from serialread.records import Sample
from serialread.training import Progress, TorchSession, card_of, train
from serialread.training.checkpoint import Checkpoint, load as load_checkpoint, mixed

VALIDATIONS = 4
"""Times that a trial is measured on the held-out labels, for the progress."""
KEPT = (1.0, 0.8, 0.6, 0.4, 0.2)
"""Shares of the way from the start to the trial's network at which it is tried: between both, much is still
learned and little forgotten (Wortsman et al., CVPR 2022)."""
BATCH = 32
"""Crops of a step: of few crops, many steps make more than even gradients."""


@dataclass(frozen=True, slots=True)
class Trial:
    """How long, how fast and on what a network learns.

    Attributes:
        rate: peak learning rate of Muon.
        real: share of the crops that are labelled ones, repeated and augmented each time.
        crops: crops seen.
    """

    rate: float
    real: float
    crops: int

    def recipe(self, start: TrainingRecipe, validations: int = VALIDATIONS) -> TrainingRecipe:
        """The training recipe of a network that goes on from its weights.

        Losses of parts that only training uses are left out: their weights may be those of no training.
        """
        network = build(start.network, start.geometry, Alphabet(start.alphabet))
        losses = start.losses.model_copy(
            update={
                **dict.fromkeys(("segment", "correlation", "difference"), 0.0),
                "ctc": 0.0 if "ctc" in network.training_only else start.losses.ctc,
                "align": 0.1 * start.losses.align,  # as at the end of a run
                "glyph_labels": "masks",
            }
        )
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        optimization = start.optimization.model_copy(
            update={
                "rule": Muon(),
                "schedule": "cosine",
                "decay_crops": 0,
                "crops": self.crops,
                "batch": BATCH,
                "rate": self.rate,
                "warm_up": 0.1,
                "final": 0.0,
                "average": 0.97,
                "only": (),
                "frozen_norms": True,
                "replicas": 2 if cores > 1 and not start.network.dropout else 1,
                "workers": 0,
                "validate_crops": self.crops // validations,
                "save_minutes": 0.5,
            }
        )
        return start.model_copy(update={"losses": losses, "optimization": optimization, "fold_case": False})


@dataclass(frozen=True, slots=True)
class Curriculum:
    """How much a lesson renders and tries.

    Attributes:
        trials: the better one on the held-out labels is chosen.
        replay: rendered crops that are learned beside the labelled ones.
        unseen: rendered crops that no trial learns: they tell how much it has forgotten.
        golden: rendered crops of the golden set.
        workers: processes that render.
    """

    trials: tuple[Trial, ...] = (Trial(1e-3, 0.5, 1_600),)
    replay: int = 1_200
    unseen: int = 300
    golden: int = 1_000
    workers: int = os.cpu_count() or 1


def replay_recipe(recipe: TrainingRecipe) -> DataRecipe:
    """The data recipe of replay and golden set, in the size that a network reads."""
    marks = load(Path(str(files("serialread.teaching") / "replay.toml")), DataRecipe)
    size = {
        "height": recipe.geometry.height,
        "max_width": recipe.geometry.widths[-1],
        "max_length": recipe.network.capacity,
    }
    return marks.model_copy(update=size)


def run_trial(
    trial: Trial,
    start: Path,
    labelled: Sequence[Sample],
    replay: Sequence[Sample],
    held_out: Sequence[Sample],
    out: Path,
    device: str = "cpu",
) -> Iterator[Progress]:
    """Train one trial; continues one that was stopped. Afterwards ``out`` holds last.pt.

    Args:
        trial: rate, mix and length.
        start: the weights to start from.
        labelled: labelled crops to learn, repeated to the trial's share of the crops.
        replay: rendered crops to learn.
        held_out: labelled crops to validate on.
        out: folder of the run.
        device: as of ``training.train``.
    """
    recipe = trial.recipe(load_checkpoint(start).recipe)
    repeats = round(len(replay) * trial.real / (1 - trial.real) / len(labelled))
    data = [replay, *[labelled] * max(repeats, 1)]
    resume = (out / "last.pt").exists()
    return train(
        recipe,
        data,
        out,
        valid=[held_out],
        resume=resume,
        start_from=None if resume else start,
        device=device,
    )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network to choose, and what it reads.

    Attributes:
        kept: share of the way from the start to the trial's network.
        right: held-out labels that it reads right.
        edits: characters that it reads wrong there.
        forgotten: unseen rendered crops that it loses on balance.
    """

    trial: Trial
    checkpoint: Checkpoint
    kept: float
    right: int
    edits: int
    forgotten: int


@dataclass(slots=True)
class Chooser:
    """Chooses among the networks of trials by the held-out labels, among those that forget little.

    Attributes:
        start: where all trials started.
        held_out: labelled crops that no trial has learned.
        unseen: rendered crops that no trial has learned.
    """

    start: Checkpoint
    held_out: Sequence[Sample]
    unseen: Sequence[Sample]

    def candidate(self, trial: Trial, run_folder: Path) -> Candidate:
        """The network of a trial's last step, as far from the start as it forgets nothing on balance."""
        end = load_checkpoint(run_folder / "last.pt")  # the rate has fallen to zero
        before = sum(crop.is_right("strict") for crop in self._read(self.start, self.unseen))
        for kept in KEPT:
            moved = between(self.start, end, kept)
            right = sum(crop.is_right("strict") for crop in self._read(moved, self.unseen))
            if right >= before:  # stricter than the gate, as these crops are few
                break
        score = self._score(moved)
        return Candidate(trial, moved, kept, score[0], -score[1], before - right)

    def right(self, checkpoint: Checkpoint) -> int:
        """Held-out labels that a network reads right."""
        return self._score(checkpoint)[0]

    def _score(self, checkpoint: Checkpoint) -> tuple[int, int]:
        """Held-out labels read right, and minus the characters read wrong."""
        crops = self._read(checkpoint, self.held_out)
        edits = sum(metrics.edits(crop.text, crop.truth) for crop in crops)
        return sum(crop.is_right("strict") for crop in crops), -edits

    @staticmethod
    def _read(checkpoint: Checkpoint, samples: Sequence[Sample]) -> list[EvaluatedCrop]:
        session = TorchSession(
            checkpoint.network(), card_of(checkpoint.recipe), bf16=checkpoint.recipe.optimization.bf16
        )
        return list(evaluate_crops(session, samples))


def between(start: Checkpoint, end: Checkpoint, share: float) -> Checkpoint:
    """The network at a share of the way from one to another."""
    if share == 1:
        return end
    weights = mixed((end, start), (share, 1 - share))
    return Checkpoint(end.recipe, weights, end.steps)
