"""The training loop."""

import copy
import ctypes
import math
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from serialread.codes import Alphabet
from serialread.config import recipe_id
from serialread.config.training_recipe import Optimisation, TrainingRecipe
from serialread.datasets import ConcatenatedSamples, LowercaseSamples
from serialread.errors import CheckpointError, RecipeError, StoreError
from serialread.models import build
from serialread.records import Sample
from serialread.training import checkpoint as checkpoints
from serialread.training.batches import Batch, Plan, TrainingBatches, survey
from serialread.training.checkpoint import Checkpoint
from serialread.training.initialization import initialize_from, initialize_part
from serialread.training.optimization import (
    Replicas,
    freeze_all_but,
    learning_rate,
    optimizer_of,
    update_average,
)
from serialread.training.progress import Progress, RunLog, Speed
from serialread.training.validation import evaluate


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

    Once ``stop`` is set, the run writes last.pt after the current step and ends. A resumed run gives exactly
    the results of one that was not stopped.

    Args:
        recipe: the training recipe.
        stores: labelled crops.
        out: the run's folder.
        valid: labelled crops to select the best network; by default the last 2 % of the data.
        resume: resume the run in ``out``.
        start_from: a run's folder, a .pt or a .safetensors file whose weights a new run starts with, where
            names and shapes agree.
        stop: set it from any thread to end the run early; see ``stop_by_signal``.

    Yields:
        The state of the run after each step.

    Raises:
        StoreError: no samples, or samples that the recipe cannot encode.
        CheckpointError: nothing to resume, a run of another recipe, or a run that would be overwritten.
        RecipeError: the loss is not finite, or the network lacks a part that ``only`` names.
    """
    config, alphabet = recipe.optimisation, Alphabet(recipe.alphabet)
    if recipe.fold_case:
        stores, valid = ([LowercaseSamples(store, alphabet) for store in kept] for kept in (stores, valid))
    samples, held_out = _split(stores, valid, config.validation_limit)
    buckets = _surveyed(samples, recipe, alphabet, out)
    torch.manual_seed(recipe.seed)
    _keep_memory()
    if config.replicas > 1:
        torch.set_num_threads(1)
    model = build(recipe.network, recipe.geometry, alphabet)
    for pretrained in recipe.pretrained:
        initialize_part(model.get_submodule(pretrained.part), pretrained)
    if start_from is not None and not resume:
        initialize_from(model, start_from)
    freeze_all_but(model, config.only)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(model).eval().requires_grad_(False)
    optimizer = optimizer_of(model, config)
    start, best = 0, -1.0
    last, log = out / "last.pt", RunLog(out / "log.jsonl")
    if resume:
        start, best = _restore(last, recipe, model, average, optimizer)
    elif last.exists():
        raise CheckpointError(
            f"{out}: holds a run already. Continue it with --resume, or name another folder."
        )
    log.keep_until(start)
    replicas = Replicas(model, config.replicas)
    plan = Plan(buckets, config.batch, recipe.seed)
    batches = TrainingBatches(samples, plan, recipe, alphabet)

    def state_of(step: int) -> dict[str, Any]:
        return {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "best": best,
            "random": torch.get_rng_state(),
            "step": step,
        }

    def snapshot(step: int) -> Checkpoint:
        return Checkpoint(recipe, average.state_dict(), step)

    every = max(1, config.validate_crops // config.batch)
    saved, speed = time.monotonic(), Speed(config.batch)
    stop = stop or threading.Event()
    for step, batch in enumerate(_loader(batches, start, config), start + 1):
        rate = learning_rate(config, (step - 1) / config.steps)
        parts = _step(replicas, batch, optimizer, rate, recipe, (step - 1) / config.steps)
        loss = sum(parts.values())
        if not math.isfinite(loss):
            raise RecipeError(
                f"step {step}: the loss is {loss} ({_worst(parts)}). Lower optimisation.rate and train again."
            )
        update_average(average, model, min(config.average, (1 + step) / (10 + step)))
        log.add(step, parts, rate=rate, crops_per_s=speed.tick())
        ended = stop.is_set() or step == config.steps
        validation = None
        if step % every == 0 or step == config.steps:
            validation = evaluate(average, held_out, recipe, bf16=config.bf16)
            log.validated(step, validation)
            if validation.strict > best:
                best = validation.strict
                checkpoints.save(snapshot(step), out / "best.pt")
        if ended or time.monotonic() - saved > 60 * config.save_minutes:
            checkpoints.save(snapshot(step), last, state_of(step))
            saved = time.monotonic()
        left = (config.steps - step) * config.batch / max(speed.crops_per_s, 1e-9)
        yield Progress(step, config.steps, loss, speed.crops_per_s, best, validation, left)
        if ended:
            return


def _step(
    replicas: Replicas,
    batch: Batch,
    optimizer: torch.optim.Optimizer,
    rate: float,
    recipe: TrainingRecipe,
    progress: float,
) -> dict[str, float]:
    """One optimizer step; returns the weighted loss terms."""
    parts = replicas.backward(batch, recipe, progress)
    if math.isfinite(sum(parts.values())):
        nn.utils.clip_grad_norm_(replicas.model.parameters(), recipe.optimisation.clip or math.inf)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
    return parts


def _split(
    stores: Sequence[Sequence[Sample]], valid: Sequence[Sequence[Sample]], limit: int
) -> tuple[Sequence[Sample], list[Sample]]:
    """Training samples, and at most ``limit`` evenly drawn validation samples."""
    data = ConcatenatedSamples(stores)
    if len(data) < 2:
        raise StoreError(f"training data: {len(data)} sample(s), at least 2 are needed. Name more stores.")
    if valid:
        held: Sequence[Sample] = ConcatenatedSamples(valid)
        trained: Sequence[Sample] = data
    else:
        cut = len(data) - max(1, len(data) // 50)
        trained, held = ConcatenatedSamples([_Slice(data, 0, cut)]), _Slice(data, cut, len(data))
    indices = np.unique(np.linspace(0, len(held) - 1, min(limit, len(held))).round().astype(int))
    return trained, [held[int(i)] for i in indices]


class _Slice(Sequence[Sample]):
    """A range of a sequence, read lazily."""

    def __init__(self, whole: Sequence[Sample], start: int, end: int) -> None:
        self.whole, self.places = whole, range(start, end)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any) -> Any:
        return self.whole[self.places[index]]


def _surveyed(
    samples: Sequence[Sample], recipe: TrainingRecipe, alphabet: Alphabet, out: Path
) -> NDArray[np.int32]:
    """Width buckets of all samples; cached in the run's folder, since this takes a minute."""
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


def _loader(batches: TrainingBatches, start: int, config: Optimisation) -> Iterator[Batch]:
    loader = torch.utils.data.DataLoader(
        batches,
        batch_size=None,
        sampler=range(start, config.steps),
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


def _restore(
    last: Path, recipe: TrainingRecipe, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[int, float]:
    """Restore a run's state; returns the steps taken and the best accuracy."""
    saved, state = checkpoints.load_state(last)
    if recipe_id(saved.recipe) != recipe_id(recipe):
        raise CheckpointError(
            f"{last}: a run of another recipe. Resume it with the recipe that it was started with."
        )
    model.load_state_dict(state["model"])
    average.load_state_dict(dict(saved.weights))
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["random"])
    return state["step"], state["best"]


def _worst(parts: dict[str, float]) -> str:
    return ", ".join(f"{name} {value}" for name, value in parts.items() if not math.isfinite(value))


def _keep_memory() -> None:
    """Make glibc keep freed memory: new pages for every layer's output cost a sixth of a step."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return  # another C library: only slower
    mallopt(-4, 0)  # M_MMAP_MAX: no separate mappings, which are returned at once
    mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: never shrink the heap
    mallopt(-2, 2**28)  # M_TOP_PAD: grow it in large steps
