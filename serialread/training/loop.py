"""The training loop, its progress and its log file."""

import copy
import ctypes
import json
import math
import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from serialread.codes import Alphabet
from serialread.config import DataRecipe
from serialread.config.training_recipe import Optimization, TrainingRecipe
from serialread.datasets import ConcatenatedSamples, LowercaseSamples
from serialread.errors import CheckpointError, RecipeError, StoreError
from serialread.models import build
from serialread.records import Sample
from serialread.training import checkpoint as checkpoints
from serialread.training.batches import Batch, CropSource, Plan, StoredCrops, TrainingBatches, survey
from serialread.training.checkpoint import Checkpoint, initialize_from, initialize_part
from serialread.training.optimization import (
    Replicas,
    freeze_all_but,
    learning_rate,
    optimizer_of,
    split,
    update_average,
)
from serialread.training.ranks import PartMeans, Ranks, seed_part
from serialread.training.shards import FreshCrops
from serialread.training.validation import Evaluation, evaluate

LOG_EVERY = 50
"""Steps averaged into one line of log.jsonl."""


@dataclass(frozen=True, slots=True)
class Progress:
    """State of a run after a step.

    Attributes:
        steps: of the whole run.
        loss: sum of all weighted terms of this step.
        crops_per_s: over the last steps.
        best: best validation accuracy so far, strict, 0..1.
        validation: of this step; None after most steps.
        seconds_left: at the present speed.
    """

    step: int
    steps: int
    loss: float
    crops_per_s: float
    best: float
    validation: Evaluation | None
    seconds_left: float


class Speed:
    """Crops per second over the last steps."""

    def __init__(self, batch: int) -> None:
        self.batch, self.times = batch, [time.monotonic()]

    def tick(self) -> float:
        """Count a step."""
        self.times = [*self.times[-LOG_EVERY:], time.monotonic()]
        return self.crops_per_s

    @property
    def crops_per_s(self) -> float:
        """0 before the first step."""
        return self.batch * (len(self.times) - 1) / max(self.times[-1] - self.times[0], 1e-9)


class RunLog:
    """log.jsonl: a line every few steps with the mean of each loss term, and a line per validation."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sums: dict[str, float] = defaultdict(float)
        self.count = 0

    def keep_until(self, step: int) -> None:
        """Drop the lines of steps that a resumed run repeats."""
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() and step else []
        kept = [line for line in lines if json.loads(line)["step"] <= step]
        self.path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")

    def add(self, step: int, parts: dict[str, float], *, rate: float, crops_per_s: float) -> None:
        """Add the loss terms of a step."""
        for name, value in parts.items():
            self.sums[name] += value
        self.count += 1
        if step % LOG_EVERY == 0:
            means = {name: round(value / self.count, 5) for name, value in self.sums.items()}
            self._write({"step": step, "loss": round(sum(means.values()), 5), "terms": means, "rate": rate,
                         "crops_per_s": round(crops_per_s, 1)})  # fmt: skip
            self.sums.clear()
            self.count = 0

    def validated(self, step: int, validation: Evaluation) -> None:
        """Add a validation."""
        self._write({"step": step, "validation": asdict(validation)})

    def _write(self, line: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def train(
    recipe: TrainingRecipe,
    data: Sequence[Sequence[Sample] | DataRecipe],
    out: str | Path,
    *,
    valid: Sequence[Sequence[Sample]] = (),
    resume: bool = False,
    start_from: str | Path | None = None,
    branch: str | Path | None = None,
    decay_crops: int = 150_000,
    device: str = "cpu",
    stop: threading.Event | None = None,
) -> Iterator[Progress]:
    """Train a network; writes best.pt, last.pt and log.jsonl into ``out`` and yields after every step.

    Once ``stop`` is set, the run writes last.pt after the current step and ends. A resumed run gives exactly
    the results of one that was not stopped. Under ``torchrun`` each process computes a share of every batch;
    the first one validates and writes. All of them need the same ``data`` and ``out``.

    Args:
        recipe: the training recipe.
        data: labelled crops, or data recipes by which the run renders its own (see ``FreshCrops``).
        out: the run's folder.
        valid: labelled crops to select the best network; by default the last 2 % of the data, if these are
            not rendered.
        resume: resume the run in ``out``.
        start_from: a run's folder, a .pt or a .safetensors file whose weights a new run starts with, where
            names and shapes agree.
        branch: folder of another run of this recipe, with a constant rate: a new run goes on from its state,
            takes the rate to zero and ends. The other run is only read.
        decay_crops: crops that a branch lasts.
        device: ``cpu``, ``cuda``, or ``auto``: the GPU if there is one.
        stop: set it from any thread to end the run early; see ``stop_by_signal``.

    Yields:
        The state of the run after each step.

    Raises:
        StoreError: no samples, or samples that the recipe cannot encode.
        CheckpointError: nothing to resume, a run of another recipe, a run that would be overwritten, or one
            that cannot be branched.
        RecipeError: the loss is not finite, the network lacks a part that ``only`` names, there is no GPU, or
            the processes cannot share the batch evenly.
    """
    out, stop, ranks = Path(out), stop or threading.Event(), Ranks.join(device_of(device))
    config, alphabet, parts = recipe.optimization, Alphabet(recipe.alphabet), ranks.parts(recipe.optimization)
    with ranks.leader_first():
        source, held_out = _prepared(data, valid, recipe, out, ranks)
    plan = Plan(source, config.batch, recipe.seed)
    size = config.batch // ranks.parts_of_all(config)
    batches = TrainingBatches(plan, recipe, alphabet, slice(parts.start * size, parts.stop * size))
    torch.manual_seed(recipe.seed)
    state, last = TrainingState(recipe, None if resume else start_from, ranks), out / "last.pt"
    if resume:
        state.restore(last)
    elif last.exists():
        raise CheckpointError(
            f"{out}: holds a run already. Continue it with --resume, or name another folder."
        )
    elif branch is not None:
        state.branch(Path(branch) / "last.pt", decay_crops)
        source.adopt(Path(branch))
    config = state.recipe.optimization
    log = RunLog(out / "log.jsonl" if ranks.leads else Path(os.devnull))
    log.keep_until(state.step)
    every = max(1, config.validate_crops // config.batch)
    saved, speed = time.monotonic(), Speed(config.batch)
    with Replicas(state.model, config.replicas) as replicas, closing(source), closing(ranks):
        steps = source.paced(range(state.step, config.steps), plan, stop)
        for batch in _loader(batches, steps, config):
            rate, terms, stopped = state.update(replicas, batch, stop=stop.is_set())
            step, loss = state.step, sum(terms.values())
            log.add(step, terms, rate=rate, crops_per_s=speed.tick())
            ended, validation = stopped or step == config.steps, None
            if ranks.leads and (step % every == 0 or step == config.steps):
                validation = evaluate(state.average, held_out, recipe, bf16=config.bf16)
                log.validated(step, validation)
                if validation.strict >= state.best:  # of equals, the one that trained on
                    state.best = validation.strict
                    checkpoints.save(state.checkpoint(), out / "best.pt")
            if ranks.leads and (ended or time.monotonic() - saved > 60 * config.save_minutes):
                state.save(last)
                source.keep_from(plan.epoch(step))
                saved = time.monotonic()
            left = (config.steps - step) * config.batch / max(speed.crops_per_s, 1e-9)
            yield Progress(step, config.steps, loss, speed.crops_per_s, state.best, validation, left)
            if ended:
                return
        if state.step < config.steps:  # stopped while it waited for crops, or they cannot be made
            if ranks.leads:
                state.save(last)
            source.check()


class TrainingState:
    """What a run changes: the network, its moving average, the optimizer, the step and the best accuracy."""

    def __init__(self, recipe: TrainingRecipe, start_from: str | Path | None, ranks: Ranks) -> None:
        self.recipe, self.step, self.best, self.ranks = recipe, 0, -1.0, ranks
        _keep_memory()
        self.model = build(recipe.network, recipe.geometry, Alphabet(recipe.alphabet))
        for pretrained in recipe.pretrained:
            initialize_part(self.model.get_submodule(pretrained.part), pretrained)
        if start_from is not None:
            initialize_from(self.model, Path(start_from))
        freeze_all_but(self.model, recipe.optimization.only)
        self.model.to(ranks.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.optimizer = optimizer_of(self.model, recipe.optimization)

    def update(self, replicas: Replicas, batch: Batch, *, stop: bool) -> tuple[float, dict[str, float], bool]:
        """One optimizer step with this process's share of a batch.

        Returns:
            The learning rate, the weighted loss terms, and whether ``stop`` is set in any process.

        Raises:
            RecipeError: the loss is not finite.
        """
        config = self.recipe.optimization
        rate, progress = learning_rate(config, self.step), config.progress(self.step)
        self.step += 1
        terms, stopped = self._backward(replicas, batch, progress, stop)
        if not math.isfinite(loss := sum(terms.values())):
            wrong = ", ".join(f"{name} {value}" for name, value in terms.items() if not math.isfinite(value))
            raise RecipeError(
                f"step {self.step}: the loss is {loss} ({wrong}). Lower optimization.rate and train again."
            )
        self.move(rate)
        return rate, terms, stopped

    def move(self, rate: float) -> None:
        """Change the weights by their gradients, and their moving average."""
        config = self.recipe.optimization
        nn.utils.clip_grad_norm_(self.model.parameters(), config.clip or math.inf)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        update_average(self.average, self.model, min(config.average, (1 + self.step) / (10 + self.step)))

    def _backward(
        self, replicas: Replicas, batch: Batch, progress: float, stop: bool
    ) -> tuple[dict[str, float], bool]:
        """Leave the mean gradient of the batch's parts, in all processes, in the network."""
        config, ranks = self.recipe.optimization, self.ranks
        if ranks.parts_of_all(config) == 1:
            return replicas.backward(batch, self.recipe, progress), stop
        parts, means, losses = ranks.parts(config), PartMeans(self.model), []
        for number, part in zip(parts, split(batch, len(parts)), strict=True):
            seed_part(self.recipe.seed, self.step, number)
            losses.append(replicas.backward(part, self.recipe, progress))
            means.add()
        names = list(losses[0])
        own = [sum(loss[name] for loss in losses) / len(parts) for name in names]
        *terms, stopping = means.finish(ranks, [*own, float(stop)])
        return dict(zip(names, terms, strict=True)), stopping > 0

    def checkpoint(self) -> Checkpoint:
        """The averaged network."""
        return Checkpoint(self.recipe, self.average.state_dict(), self.step)

    def save(self, path: Path) -> None:
        """Write all of it."""
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all(),
        }
        checkpoints.save(self.checkpoint(), path, state)

    def restore(self, path: Path) -> None:
        """Read what ``save`` wrote; a branch keeps its end.

        Raises:
            CheckpointError: no such file, or one of another recipe.
        """
        saved, state = checkpoints.load_state(path)
        if saved.recipe.identity != self.recipe.identity:
            raise CheckpointError(
                f"{path}: a run of another recipe. Resume it with the recipe that it was started with."
            )
        if saved.recipe.optimization.decay_crops:
            self.recipe = saved.recipe
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(dict(saved.weights))
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        if len(cuda := state.get("random_cuda", [])) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(cuda)
        self.step, self.best = saved.steps, state["best"]

    def branch(self, path: Path, decay_crops: int) -> None:
        """Read what another run saved, and end it ``decay_crops`` later.

        Raises:
            CheckpointError: no such file, one of another recipe, or one whose rate is not constant.
        """
        self.restore(path)
        config = self.recipe.optimization
        if config.schedule == "cosine" or config.decay_crops:
            raise CheckpointError(
                f'{path}: its rate is not constant. Branch a run with optimization.schedule = "stable" '
                "that is no branch itself."
            )
        end = {"crops": self.step * config.batch + decay_crops, "decay_crops": decay_crops}
        self.recipe = self.recipe.model_copy(update={"optimization": config.model_copy(update=end)})
        self.best = -1.0


def _prepared(
    data: Sequence[Sequence[Sample] | DataRecipe],
    valid: Sequence[Sequence[Sample]],
    recipe: TrainingRecipe,
    out: Path,
    ranks: Ranks,
) -> tuple[CropSource, list[Sample]]:
    """Where the crops come from, and at most ``validation_limit`` evenly drawn validation samples."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"{out}: cannot be made: {error.strerror}. Name another folder.") from None
    recipes = [one for one in data if isinstance(one, DataRecipe)]
    stores = _folded([one for one in data if not isinstance(one, DataRecipe)], recipe)
    if recipes and (stores or not valid):
        raise StoreError(
            "training data: a run that renders its own crops takes data recipes alone, and a store for "
            "validation. Generate a store for each recipe, or name only recipes and --valid STORE."
        )
    held: Sequence[Sample] = ConcatenatedSamples(_folded(valid, recipe))
    source: CropSource
    if recipes:
        source = FreshCrops(recipes, recipe, out / "shards", renders=ranks.leads)
    else:
        samples: Sequence[Sample] = ConcatenatedSamples(stores)
        if len(samples) < 2:
            raise StoreError(
                f"training data: {len(samples)} sample(s), at least 2 are needed. Name more stores."
            )
        if not valid:
            cut = len(samples) - max(1, len(samples) // 50)
            samples, held = _Slice(samples, 0, cut), _Slice(samples, cut, len(samples))
        source = StoredCrops(samples, _surveyed(samples, recipe, out))
    limit = min(recipe.optimization.validation_limit, len(held))
    indices = np.unique(np.linspace(0, len(held) - 1, limit).round().astype(int))
    return source, [held[int(i)] for i in indices]


def _folded(stores: Sequence[Sequence[Sample]], recipe: TrainingRecipe) -> list[Sequence[Sample]]:
    if not recipe.fold_case:
        return list(stores)
    return [LowercaseSamples(store, Alphabet(recipe.alphabet)) for store in stores]


class _Slice(Sequence[Sample]):
    """A range of a sequence, read lazily."""

    def __init__(self, whole: Sequence[Sample], start: int, end: int) -> None:
        self.whole, self.places = whole, range(start, end)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any) -> Any:
        return self.whole[self.places[index]]


def _surveyed(samples: Sequence[Sample], recipe: TrainingRecipe, out: Path) -> NDArray[np.int32]:
    """Width buckets of all samples; cached in the run's folder, since this takes a minute."""
    widths = "-".join(map(str, recipe.geometry.widths))
    kept = out / f"buckets-{len(samples)}-{widths}.npy"
    if kept.exists():
        return np.asarray(np.load(kept), np.int32)
    buckets = survey(samples, recipe)
    np.save(kept, buckets)
    return buckets


def _loader(batches: TrainingBatches, steps: Iterable[int], config: Optimization) -> Iterator[Batch]:
    loader = torch.utils.data.DataLoader(
        batches,
        batch_size=None,
        sampler=steps,
        num_workers=config.workers,
        prefetch_factor=6 if config.workers else None,
        worker_init_fn=_ignore_signals,
        generator=torch.Generator(),  # else each start of the loader would advance torch's global generator
    )
    return iter(loader)


def _ignore_signals(_: int) -> None:
    """Leave signals to the training loop, which still needs the batches of the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def device_of(name: str) -> torch.device:
    """The device of a name: ``cpu``, ``cuda``, or ``auto``, the GPU if there is one.

    Raises:
        RecipeError: there is no GPU.
    """
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise RecipeError(
            "device cuda: torch finds no GPU. Train with --device cpu, or install torch for CUDA."
        )
    return torch.device("cuda" if found and name != "cpu" else "cpu")


@contextmanager
def stop_by_signal() -> Iterator[threading.Event]:
    """An event that SIGTERM or Ctrl-C sets; a second signal has its usual effect. Main thread only."""
    event = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, _: object) -> None:
        event.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, stop)
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _keep_memory() -> None:
    """Make glibc keep freed memory: new pages for every layer's output cost a sixth of a step."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return  # another C library: only slower
    mallopt(-4, 0)  # M_MMAP_MAX: no separate mappings, which are returned at once
    mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: never shrink the heap
    mallopt(-2, 2**28)  # M_TOP_PAD: grow it in large steps
