"""Crops per second of the bare network and of the whole loop, same recipe, same store, same minutes.

    python benchmarks/training_speed.py RECIPE STORE [--steps 40]

Bare: forward, losses, backward on batches that already lie in memory, in the store's mix of widths. Loop:
what ``serialread train`` does, with reading, augmentation, optimizer, averaging and log, without validation.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from serialread.codes import Alphabet
from serialread.config import TrainingRecipe, load
from serialread.datasets import SampleStore
from serialread.models import build
from serialread.training import train
from serialread.training.batches import Plan, StoredCrops, TrainingBatches, survey
from serialread.training.optimization import Replicas


def bare(recipe: TrainingRecipe, store: SampleStore, steps: int) -> tuple[float, float]:
    """Crops per second without reading and without optimizer, and the mean width in px."""
    knobs = recipe.optimization
    plan = Plan(StoredCrops(store, survey(store, recipe)), knobs.batch, recipe.seed)
    batches = TrainingBatches(plan, recipe, Alphabet(recipe.alphabet))
    held = [batches[step] for step in range(steps)]
    model = build(recipe.network, recipe.geometry, Alphabet(recipe.alphabet))
    model.to(memory_format=torch.channels_last)
    with Replicas(model, knobs.replicas) as replicas:
        for batch in held[:3]:
            replicas.backward(batch, recipe, 0.5)
        started = time.perf_counter()
        for batch in held:
            replicas.backward(batch, recipe, 0.5)
        seconds = time.perf_counter() - started
    return steps * knobs.batch / seconds, statistics.fmean(batch.crops.shape[-1] for batch in held)


def loop(recipe: TrainingRecipe, store: SampleStore, steps: int) -> float:
    """Crops per second of the training loop, its first steps left out."""
    knobs = recipe.optimization
    times = []
    with tempfile.TemporaryDirectory() as folder:
        for progress in train(recipe, [store], Path(folder)):
            times.append(time.perf_counter())
            if progress.step == steps + 3:
                break
    return steps * knobs.batch / (times[-1] - times[2])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("--steps", type=int, default=40)
    args = parser.parse_args()
    recipe, store = load(args.recipe, TrainingRecipe), SampleStore(args.store)
    looped = loop(recipe, store, args.steps)
    network, width = bare(recipe, store, args.steps)
    print(f"mean padded width {width:.0f} px")
    print(f"bare network      {network:.0f} crops/s")
    print(f"whole loop        {looped:.0f} crops/s, {looped / network:.0%} of it")


if __name__ == "__main__":
    main()
