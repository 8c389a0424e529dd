"""The training loop, visible from start to end."""

import copy
import ctypes
import json
import math
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, assert_never

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from serialread.codes import Alphabet
from serialread.config import recipe_id
from serialread.config.training_recipe import Adadelta, Adam, AdamW, Optimisation, TrainingRecipe
from serialread.datasets import ConcatenatedSamples, LowercaseSamples
from serialread.errors import CheckpointError, RecipeError, StoreError
from serialread.models import build
from serialread.records import Sample
from serialread.training import checkpoint as checkpoints
from serialread.training.batches import Batch, Plan, TrainingBatches, survey
from serialread.training.checkpoint import Checkpoint
from serialread.training.initialization import take_given, take_over
from serialread.training.onnx_weights import unpack
from serialread.training.replicas import Replicas
from serialread.training.validation import Evaluation, evaluate

LOG_EVERY = 50
"""Steps averaged into one line of log.jsonl."""
CALIBRATING = 12
"""Batches from which the norms of a model file learn their statistics."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands after a step."""

    step: int
    steps: int
    loss: float
    """Sum of all weighted terms of this step."""
    crops_per_s: float
    """Over the last steps."""
    best: float
    """Best validation accuracy so far, strict, 0..1."""
    validation: Evaluation | None
    """Present after the steps that end in a validation."""
    seconds_left: float
    """At the present speed."""


def train(
    recipe: TrainingRecipe,
    stores: Sequence[Sequence[Sample]],
    out: Path,
    *,
    valid: Sequence[Sequence[Sample]] = (),
    resume: bool = False,
    start_from: Path | None = None,
    stop: threading.Event | None = None,
) -> Iterator[Progress]:
    """Train a network; writes best.pt, last.pt and log.jsonl into ``out`` and yields after every step.

    Once ``stop`` is set the run ends after the current step, with last.pt written; ``resume`` goes on from it
    as if nothing had happened.

    Args:
        recipe: what to train.
        stores: labelled crops.
        out: the run's folder.
        valid: labelled crops to choose the best network by; without them the last 2 % of the data.
        resume: go on with the run in ``out``.
        start_from: checkpoint whose weights a new run starts with, where it has them in the same shape; or a
            model file (.onnx) of the same recipe.
        stop: asks the run to end early, from any thread; see ``stop_by_signal``.

    Raises:
        StoreError: no samples, or samples that cannot be learned.
        CheckpointError: nothing to resume, or a run of another recipe; or a run that must not be overwritten.
        RecipeError: the loss is not finite any more, or the network has no part that shall learn.
    """
    knobs, alphabet = recipe.optimisation, Alphabet(recipe.alphabet)
    if recipe.fold_case:
        stores, valid = ([LowercaseSamples(store, alphabet) for store in kept] for kept in (stores, valid))
    samples, held_out = _split(stores, valid, knobs.validation_limit)
    buckets = _surveyed(samples, recipe, alphabet, out)
    torch.manual_seed(recipe.seed)
    _keep_memory()
    if knobs.replicas > 1:
        torch.set_num_threads(1)
    model = build(recipe.network, recipe.geometry, alphabet)
    for given in recipe.pretrained:
        take_given(model.get_submodule(given.part), given)
    plan = Plan(buckets, knobs.batch, recipe.seed)
    batches = TrainingBatches(samples, plan, recipe, alphabet)
    if start_from is not None and not resume:
        if start_from.suffix == ".onnx":
            unpack(start_from, model, recipe, (batches[step].crops for step in range(CALIBRATING)))
        else:
            take_over(model, start_from)
    _hold(model, knobs.only)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(model).eval().requires_grad_(False)
    optimiser = _optimiser(_groups(model, knobs.decay), knobs)
    start, best = 0, -1.0
    last, log = out / "last.pt", Log(out / "log.jsonl")
    if resume:
        start, best = _restore(last, recipe, model, average, optimiser)
    elif last.exists():
        raise CheckpointError(
            f"{out}: a run is in there already. Go on with --resume, or name another folder."
        )
    log.keep_until(start)
    replicas = Replicas(model, knobs.replicas)

    def state_of(step: int) -> dict[str, Any]:
        return {
            "model": model.state_dict(),
            "optimiser": optimiser.state_dict(),
            "best": best,
            "random": torch.get_rng_state(),
            "step": step,
        }

    def snapshot(step: int) -> Checkpoint:
        return Checkpoint(recipe, alphabet, average.state_dict(), step)

    every = max(1, knobs.validate_crops // knobs.batch)
    saved, speed = time.monotonic(), Speed(knobs.batch)
    stop = stop or threading.Event()
    for step, batch in enumerate(_loader(batches, start, knobs), start + 1):
        rate = _rate(knobs, (step - 1) / knobs.steps)
        parts = _step(replicas, batch, optimiser, rate, recipe, (step - 1) / knobs.steps)
        loss = sum(parts.values())
        if not math.isfinite(loss):
            raise RecipeError(
                f"step {step}: the loss is {loss} ({_worst(parts)}). Lower optimisation.rate; train anew."
            )
        _average(average, model, min(knobs.average, (1 + step) / (10 + step)))
        log.add(step, parts, rate=rate, crops_per_s=speed.tick())
        ended = stop.is_set() or step == knobs.steps
        validation = None
        if step % every == 0 or step == knobs.steps:
            validation = evaluate(average, held_out, recipe, bf16=knobs.bf16)
            log.validated(step, validation)
            if validation.strict > best:
                best = validation.strict
                checkpoints.save(snapshot(step), out / "best.pt")
        if ended or time.monotonic() - saved > 60 * knobs.save_minutes:
            checkpoints.save(snapshot(step), last, state_of(step))
            saved = time.monotonic()
        left = (knobs.steps - step) * knobs.batch / max(speed.crops_per_s, 1e-9)
        yield Progress(step, knobs.steps, loss, speed.crops_per_s, best, validation, left)
        if ended:
            return


def _hold(model: nn.Module, only: Sequence[str]) -> None:
    """Let only some parts learn; () all that do."""
    parts = dict(model.named_children())
    if unknown := [name for name in only if name not in parts]:
        raise RecipeError(
            f"optimisation.only: the network has no part {unknown[0]!r}. It has {', '.join(parts)}."
        )
    for name, part in parts.items():
        if only and name not in only:
            part.requires_grad_(False)


def _step(
    replicas: Replicas,
    batch: Batch,
    optimiser: torch.optim.Optimizer,
    rate: float,
    recipe: TrainingRecipe,
    progress: float,
) -> dict[str, float]:
    """Learn from one batch; returns the weighted loss terms."""
    parts = replicas.learn(batch, recipe, progress)
    if math.isfinite(sum(parts.values())):
        nn.utils.clip_grad_norm_(replicas.model.parameters(), recipe.optimisation.clip or math.inf)
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.step()
    return parts


def _rate(knobs: Optimisation, progress: float) -> float:
    """Learning rate at a share of the run: a rise from a twentieth, then a cosine to the final rate."""
    if progress < knobs.warm_up:
        share = progress / knobs.warm_up
        if knobs.rise == "cosine":
            share = 0.5 * (1 - math.cos(math.pi * share))
        return knobs.rate * (0.05 + 0.95 * share)
    wave = 0.5 * (1 + math.cos(math.pi * (progress - knobs.warm_up) / (1 - knobs.warm_up)))
    return knobs.rate * (knobs.final + (1 - knobs.final) * wave)


def _optimiser(groups: list[dict[str, Any]], knobs: Optimisation) -> torch.optim.Optimizer:
    """What makes steps of gradients."""
    rule = knobs.rule
    match rule:
        case AdamW():
            return torch.optim.AdamW(groups, lr=knobs.rate, betas=rule.betas, eps=rule.eps, fused=True)
        case Adam():
            return torch.optim.Adam(groups, lr=knobs.rate, betas=rule.betas, eps=rule.eps, fused=True)
        case Adadelta():
            return torch.optim.Adadelta(groups, lr=knobs.rate, rho=rule.rho, eps=rule.eps)
        case _:
            assert_never(rule)


def _groups(model: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Parameters in two groups: matrices and kernels decay; biases, norms and embeddings do not."""
    learned = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    decayed = [p for name, p in learned if p.ndim >= 2 and name.endswith("weight")]
    chosen = {id(p) for p in decayed}
    free = [p for _, p in learned if id(p) not in chosen]
    return [{"params": decayed, "weight_decay": decay}, {"params": free, "weight_decay": 0.0}]


@torch.no_grad()
def _average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the averaged weights and running statistics a little towards the present ones."""
    for kept, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if kept.is_floating_point():
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)


def _split(
    stores: Sequence[Sequence[Sample]], valid: Sequence[Sequence[Sample]], limit: int
) -> tuple[Sequence[Sample], list[Sample]]:
    """Samples to learn from, and at most ``limit`` to validate on, evenly drawn."""
    data = ConcatenatedSamples(stores)
    if len(data) < 2:
        raise StoreError(f"training data: {len(data)} sample(s), at least 2 are needed. Name more stores.")
    if valid:
        held: Sequence[Sample] = ConcatenatedSamples(valid)
        learned: Sequence[Sample] = data
    else:
        cut = len(data) - max(1, len(data) // 50)
        learned, held = ConcatenatedSamples([_Part(data, 0, cut)]), _Part(data, cut, len(data))
    numbers = np.unique(np.linspace(0, len(held) - 1, min(limit, len(held))).round().astype(int))
    return learned, [held[int(i)] for i in numbers]


class _Part(Sequence[Sample]):
    """Some neighbours in a sequence, read lazily."""

    def __init__(self, whole: Sequence[Sample], start: int, end: int) -> None:
        self.whole, self.places = whole, range(start, end)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any) -> Any:
        return self.whole[self.places[index]]


def _surveyed(
    samples: Sequence[Sample], recipe: TrainingRecipe, alphabet: Alphabet, out: Path
) -> NDArray[np.int32]:
    """Width buckets of all samples; kept in the run's folder, since a look at each takes a minute."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"{out}: cannot be made: {error.strerror}. Name another folder.") from None
    widths = "-".join(map(str, recipe.geometry.widths))
    kept = out / f"buckets-{len(samples)}-{widths}.npy"
    if kept.exists():
        return np.asarray(np.load(kept), np.int32)
    buckets = survey(samples, recipe.geometry, alphabet)
    np.save(kept, buckets)
    return buckets


def _loader(batches: TrainingBatches, start: int, knobs: Optimisation) -> Iterator[Batch]:
    loader = torch.utils.data.DataLoader(
        batches,
        batch_size=None,
        sampler=range(start, knobs.steps),
        num_workers=knobs.workers,
        prefetch_factor=6 if knobs.workers else None,
        worker_init_fn=_deaf,
        generator=torch.Generator(),  # else the loader would draw from the network's chance, once a start
    )
    return iter(loader)


def _deaf(_: int) -> None:
    """Workers leave signals to the loop, which still needs their batches; they end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


@contextmanager
def stop_by_signal() -> Iterator[threading.Event]:
    """An event that SIGTERM or Ctrl-C sets; a second one acts as usual. For a program's main thread."""
    event = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, _: object) -> None:
        event.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, ask)
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _restore(
    last: Path, recipe: TrainingRecipe, model: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer
) -> tuple[int, float]:
    """Put a run's state back; returns the steps taken and the best accuracy."""
    saved, state = checkpoints.load_state(last)
    if recipe_id(saved.recipe) != recipe_id(recipe):
        raise CheckpointError(f"{last}: a run of another recipe. Resume with the recipe it was started with.")
    model.load_state_dict(state["model"])
    average.load_state_dict(dict(saved.weights))
    optimiser.load_state_dict(state["optimiser"])
    torch.set_rng_state(state["random"])
    return state["step"], state["best"]


def _worst(parts: dict[str, float]) -> str:
    return ", ".join(f"{name} {value}" for name, value in parts.items() if not math.isfinite(value))


def _keep_memory() -> None:
    """Ask glibc to keep freed memory: fresh pages for every layer's result cost a sixth of a step."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return  # another C library: slower, not wrong
    mallopt(-4, 0)  # M_MMAP_MAX: no separate mappings, which would be given back at once
    mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: never shrink the heap
    mallopt(-2, 2**28)  # M_TOP_PAD: grow it in large steps


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


class Log:
    """log.jsonl: one line every few steps with the mean of each loss term, one line a validation."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sums: dict[str, float] = defaultdict(float)
        self.count = 0

    def keep_until(self, step: int) -> None:
        """Drop lines of steps that a resumed run takes anew."""
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() and step else []
        kept = [line for line in lines if json.loads(line)["step"] <= step]
        self.path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")

    def add(self, step: int, parts: dict[str, float], *, rate: float, crops_per_s: float) -> None:
        """Count a step's terms."""
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
        """Note a validation."""
        self._write({"step": step, "validation": asdict(validation)})

    def _write(self, line: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
