"""How fast samples are made: crops a second of one core, and of a store grown by one worker and by two.

python benchmarks/generator_speed.py recipes/data/marks.toml --count 2000
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import cv2

from serialread import synth
from serialread.recipe import DataRecipe, load, recipe_id
from serialread.store import SampleStore, grow, schema

T = TypeVar("T")
SEED = 99


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--count", type=int, default=2000)
    asked = parser.parse_args()
    recipe = load(asked.recipe, DataRecipe)
    make = partial(synth.make_sample, recipe, SEED)
    cv2.setNumThreads(1)
    typefaces = len(synth.typeface_names(recipe))
    print(f"{asked.recipe} ({recipe_id(recipe)}), {typefaces} typefaces, {asked.count} crops")
    for index in range(50):  # typefaces load at first use
        make(index)
    samples, seconds = timed(lambda: [make(i) for i in range(asked.count)])
    print(f"| make_sample, one core | {asked.count / seconds:.0f} crops/s |")
    sizes, seconds = timed(lambda: [sum(len(v) for _, v in schema.entries(s, 0)) for s in samples])
    print(f"| spelling as PNG and JSON, one core | {asked.count / seconds:.0f} crops/s |")
    for workers in (1, 2):
        with TemporaryDirectory() as folder:
            rate = grown_rate(Path(folder) / "store", make, asked.count, workers)
        print(f"| store, {workers} worker{'s' * (workers > 1)}, start included | {rate:.0f} crops/s |")
    print(f"| bytes a sample | {sum(sizes) / len(sizes):.0f} |")


def timed(work: Callable[[], T]) -> tuple[T, float]:
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def grown_rate(path: Path, make: Callable[[int], object], count: int, workers: int) -> float:
    _, seconds = timed(lambda: list(grow(path, make, count, about={}, workers=workers)))
    assert len(SampleStore(path)) == count
    return count / seconds


if __name__ == "__main__":
    main()
