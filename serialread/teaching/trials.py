"""Fine-tuning trials: the recipe of each, its training, and the choice among the networks that they give.

A trial learns labelled crops, while rendered ones keep what the network knew: it must go on to read them as
its parent does (replay with distillation; Li and Hoiem, Learning without Forgetting, ECCV 2016). Its network
reads only crops like those that it learned (see ``selection``).
"""

import copy
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import torch

from serialread import metrics
from serialread.calibration import ProtocolName
from serialread.codes import Alphabet
from serialread.config import DataRecipe, TrainingRecipe, load
from serialread.config.training_recipe import AdamW, MildAugmentation
from serialread.evaluation import evaluate_crops
from serialread.models import Recognizer, TrainingOutputs, build, departure
from serialread.records import Sample
from serialread.teaching.selection import Selection
from serialread.training import Progress, TorchSession, card_of, evaluate
from serialread.training.batches import Batch, Plan, StoredCrops, TrainingBatches, survey
from serialread.training.checkpoint import Checkpoint, load as load_checkpoint
from serialread.training.loop import Speed, TrainingState, device_of
from serialread.training.optimization import backward, learning_rate, moved
from serialread.training.precision import autocast
from serialread.training.ranks import Ranks

VALIDATIONS = 4
"""Times that a trial is measured on the held-out labels, for the progress."""
BATCH = 24
"""Crops of a step, labelled and rendered: of few crops, many steps make more than even gradients."""
REMEMBER = 1.0
"""Weight of the difference from the parent on rendered crops, relative to the losses of the labelled ones.
The parent goes on to read rendered crops, but without them fewer unseen codes of the taught kind are read."""
LABELLED_CROPS = MildAugmentation(
    probability=0.8, shift=0.1, scale=0.25, shear=0.3, tilt_deg=5.0, gamma=0.8, noise=14.0, blur_px=2.0
)
"""Changes of labelled crops, which repeat often: stronger than in training."""


@dataclass(frozen=True, slots=True)
class Trial:
    """How long, how fast and on what a network learns.

    Attributes:
        rate: peak learning rate of AdamW; Muon learns no more (docs/benchmarks/teaching.md).
        real: share of each step's crops that are labelled ones, repeated and augmented each time.
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
        optimization = start.optimization.model_copy(
            update={
                "rule": AdamW(),
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
                "replicas": 1,
                "parts": 1,
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
        replay: rendered crops that keep what the network knew, and that selected crops differ from.
        unseen: rendered crops that no trial learns: by them, few rendered crops are selected.
        golden: rendered crops of the golden set.
        workers: processes that render.
    """

    trials: tuple[Trial, ...] = (Trial(1e-3, 2 / 3, 2_880),)
    replay: int = 2_400
    unseen: int = 1_000
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
    protocol: ProtocolName = "strict",
) -> Iterator[Progress]:
    """Train one trial; continues one that was stopped. Afterwards ``out`` holds last.pt.

    Args:
        trial: rate, mix and length.
        start: the weights to start from.
        labelled: labelled crops to learn.
        replay: rendered crops to go on to read as before.
        held_out: labelled crops to validate on.
        out: folder of the run.
        device: as of ``training.train``.
        protocol: what is compared with the labels of held-out crops.
    """
    recipe = trial.recipe(load_checkpoint(start).recipe)
    config, last, real = recipe.optimization, out / "last.pt", max(1, round(trial.real * BATCH))
    varied, as_rendered = (
        recipe.model_copy(update={"augmentation": augmentation})
        for augmentation in (LABELLED_CROPS, MildAugmentation(probability=0, invert=0))
    )
    batches = _batches(labelled, real, varied), _batches(replay, BATCH - real, as_rendered)
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    pupil = _Pupil(recipe, start, Ranks.join(device_of(device)))
    if last.exists():
        pupil.restore(last)
    saved, speed = time.monotonic(), Speed(BATCH)
    while pupil.step < config.steps:
        loss, validation = pupil.learn(*(part[pupil.step] for part in batches)), None
        speed.tick()
        ended = pupil.step == config.steps
        if ended or pupil.step % max(1, config.validate_crops // BATCH) == 0:
            validation = evaluate(pupil.average, held_out, recipe, bf16=config.bf16)
            right = validation.mpsc if protocol == "mpsc" else validation.strict
            pupil.best = max(pupil.best, right)
        if ended or time.monotonic() - saved > 60 * config.save_minutes:
            pupil.save(last)
            saved = time.monotonic()
        left = (config.steps - pupil.step) * BATCH / max(speed.crops_per_s, 1e-9)
        yield Progress(pupil.step, config.steps, loss, speed.crops_per_s, pupil.best, validation, left)


def _batches(samples: Sequence[Sample], count: int, recipe: TrainingRecipe) -> TrainingBatches:
    plan = Plan(StoredCrops(samples, survey(samples, recipe)), count, recipe.seed)
    return TrainingBatches(plan, recipe, Alphabet(recipe.alphabet))


class _Pupil(TrainingState):
    """A network that learns labelled crops, and goes on to read rendered ones as its parent does."""

    def __init__(self, recipe: TrainingRecipe, start: Path, ranks: Ranks) -> None:
        super().__init__(recipe, start, ranks)
        self.parent = copy.deepcopy(self.model).eval().requires_grad_(False)

    def learn(self, labelled: Batch, rendered: Batch) -> float:
        """A step; returns its loss."""
        config, losses = self.recipe.optimization, self.recipe.losses
        terms = backward(self.model, labelled, self.recipe, config.progress(self.step))
        rendered = moved(rendered, self.ranks.device)
        with self.ranks.device:
            new, old = self._outputs(self.model, rendered), self._outputs(self.parent, rendered)
            forgotten = REMEMBER * departure(new, old, rendered.targets, losses)
        forgotten.backward()  # type: ignore[no-untyped-call]
        rate = learning_rate(config, self.step)
        self.step += 1
        self.move(rate)
        return sum(terms.values()) + forgotten.item()

    def _outputs(self, model: Recognizer, batch: Batch) -> TrainingOutputs:
        with autocast(self.ranks.device, bf16=self.recipe.optimization.bf16):
            return model.train_forward(batch.crops, batch.targets.classes, batch.targets.columns)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A taught network beside its parent, and what both read.

    Attributes:
        right: held-out labels that they read right.
        edits: characters that they read wrong there.
    """

    trial: Trial
    checkpoint: Checkpoint
    right: int
    edits: int


@dataclass(frozen=True, slots=True)
class Chooser:
    """Makes the candidates of trials, and counts what they read of the held-out labels.

    Attributes:
        selection: which crops a taught network reads.
        held_out: labelled crops that no trial has learned.
        protocol: what is compared with the labels.
    """

    selection: Selection
    held_out: Sequence[Sample]
    protocol: ProtocolName = "strict"

    def candidate(self, trial: Trial, run_folder: Path, learned: Sequence[Sample]) -> Candidate:
        """The network of a trial's last step, for crops like those that it learned."""
        end = load_checkpoint(run_folder / "last.pt")  # the rate has fallen to zero
        both = self.selection.joined(end, learned)
        return Candidate(trial, both, *self.score(both))

    def score(self, checkpoint: Checkpoint) -> tuple[int, int]:
        """Held-out labels that a network reads right, and characters that it reads wrong."""
        bf16 = checkpoint.recipe.optimization.bf16
        session = TorchSession(checkpoint.network(), card_of(checkpoint.recipe), bf16=bf16)
        crops = list(evaluate_crops(session, self.held_out))
        same = metrics.mpsc if self.protocol == "mpsc" else metrics.strict
        edits = sum(metrics.edits(same(crop.text), same(crop.truth)) for crop in crops)
        return sum(crop.is_right(self.protocol) for crop in crops), edits
