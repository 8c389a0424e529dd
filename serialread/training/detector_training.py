"""Training a line detector: a loop of its own, since it learns maps instead of texts."""

import copy
import json
import math
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import safetensors.torch
import torch
from pydantic import ValidationError
from torch import nn

from serialread.config import recipe_id
from serialread.config.detector_recipe import DetectorRecipe
from serialread.datasets import ConcatenatedSamples
from serialread.errors import CheckpointError, RecipeError, writing_errors
from serialread.models.detector import LineDetector, detector_terms
from serialread.records import Sample
from serialread.training.detector_batches import DetectorBatches
from serialread.training.loop import RunLog, Speed
from serialread.training.optimization import learning_rate, optimizer_of, update_average
from serialread.training.precision import autocast


class DetectorProgress(NamedTuple):
    """State of a run after a step: ``loss`` is the sum of all weighted terms of this step."""

    step: int
    steps: int
    loss: float
    windows_per_s: float


def train_detector(
    recipe: DetectorRecipe,
    scenes: Sequence[Sequence[Sample]],
    out: Path,
    *,
    resume: bool = False,
    start_from: Path | None = None,
    stop: threading.Event | None = None,
) -> Iterator[DetectorProgress]:
    """Train a line detector; writes detector.safetensors, last.pt and log.jsonl into ``out``.

    Args:
        recipe: the recipe.
        scenes: stores of rendered scenes.
        out: the run's folder.
        resume: continue the run in ``out``.
        start_from: a detector.safetensors of the same network, whose weights a new run starts with.
        stop: set it from any thread to end the run early.

    Yields:
        The state of the run after each step.

    Raises:
        StoreError: a sample is a crop.
        CheckpointError: nothing to resume, a run of another recipe, or a run that would be overwritten.
        RecipeError: the loss is not finite.
    """
    config, stop, last = recipe.optimization, stop or threading.Event(), out / "last.pt"
    if last.exists() and not resume:
        raise CheckpointError(
            f"{out}: holds a run already. Continue it with --resume, or name another folder."
        )
    with writing_errors(out, CheckpointError, "Name another folder."):
        out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    model = LineDetector(recipe.network)
    if start_from is not None:
        given, of = load_detector(start_from)
        if of.network != recipe.network:
            raise CheckpointError(
                f"{start_from}: weights of another network. Name those of a run of this recipe."
            )
        model.load_state_dict(given.state_dict())
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(model).eval().requires_grad_(False)
    optimizer, step = optimizer_of(model, config), 0
    if resume:
        step = _restore(last, recipe, model, average, optimizer)
    log, speed, saved = RunLog(out / "log.jsonl"), Speed(config.batch), time.monotonic()
    log.keep_until(step)
    batches = DetectorBatches(ConcatenatedSamples(scenes), recipe)
    loader = torch.utils.data.DataLoader(
        batches, batch_size=None, sampler=range(step, config.steps), num_workers=config.workers
    )
    for batch in loader:
        rate = learning_rate(config, step)
        with autocast(torch.device("cpu"), bf16=config.bf16):
            maps = model.train()(batch.pictures.contiguous(memory_format=torch.channels_last))
        parts = detector_terms(maps, batch.targets, recipe.losses)
        total = torch.stack(list(parts.values())).sum()
        step += 1
        if not math.isfinite(loss := total.item()):
            raise RecipeError(f"step {step}: the loss is {loss}. Lower optimization.rate and train again.")
        optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), config.clip or math.inf)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        update_average(average, model, min(config.average, (1 + step) / (10 + step)))
        log.add(
            step, {name: part.item() for name, part in parts.items()}, rate=rate, crops_per_s=speed.tick()
        )
        ended = stop.is_set() or step == config.steps
        if ended or time.monotonic() - saved > 60 * config.save_minutes:
            save_detector(average, recipe, step, out / "detector.safetensors")
            state = {"model": model.state_dict(), "average": average.state_dict(), "step": step}
            state |= {"optimizer": optimizer.state_dict(), "recipe": recipe.model_dump_json()}
            partial = last.with_suffix(".partial")
            torch.save(state, partial)
            partial.replace(last)
            saved = time.monotonic()
        yield DetectorProgress(step, config.steps, loss, speed.crops_per_s)
        if ended:
            return


def _restore(
    last: Path, recipe: DetectorRecipe, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer
) -> int:
    """Load the state of a run; returns the steps taken."""
    if not last.is_file():
        raise CheckpointError(f"{last}: no checkpoint here. Start the run without --resume.")
    state = torch.load(last, map_location="cpu", weights_only=True)
    if recipe_id(DetectorRecipe.model_validate_json(state["recipe"])) != recipe_id(recipe):
        raise CheckpointError(
            f"{last}: a run of another recipe. Resume it with the recipe that it was started with."
        )
    model.load_state_dict(state["model"])
    average.load_state_dict(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def save_detector(model: nn.Module, recipe: DetectorRecipe, step: int, path: Path) -> None:
    """Write the network in 16 bits with its recipe."""
    weights = {
        name: weight.half().contiguous() if weight.is_floating_point() else weight
        for name, weight in model.state_dict().items()
    }
    about = {"recipe": recipe.model_dump_json(), "steps": str(step)}
    with writing_errors(path, CheckpointError, "Free disk space or name another folder."):
        partial = path.with_suffix(".partial")
        partial.write_bytes(safetensors.torch.save(weights, about))
        partial.replace(path)


def load_detector(path: Path) -> tuple[LineDetector, DetectorRecipe]:
    """Read what ``save_detector`` wrote, ready to detect.

    Raises:
        CheckpointError: no such file, or none that this version can read.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            recipe = DetectorRecipe.model_validate(json.loads(file.metadata()["recipe"]))
        model = LineDetector(recipe.network)
        model.load_state_dict({n: w.float() if w.is_floating_point() else w for n, w in weights.items()})
    except (OSError, safetensors.SafetensorError, KeyError, TypeError, RuntimeError, ValidationError):
        raise CheckpointError(
            f"{path}: no weights of a line detector that this version can read. Name a detector.safetensors."
        ) from None
    return model.eval(), recipe
