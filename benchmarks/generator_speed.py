"""Speed of the generator: crops a second of one core, and of a store made by one process and by two workers.

python benchmarks/generator_speed.py recipes/data/marks.toml --count 3000

A core's rate is of processor time, which other work disturbs little; "by the clock" needs an idle machine.
A worker's start (finding and opening every typeface) is counted on its own.
"""

import argparse
import os
import resource
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2

from serialread import synth
from serialread.config import DataRecipe, load, recipe_id
from serialread.datasets import grow
from serialread.datasets.sample_store import encode_sample
from serialread.records import Sample

SEED = 99


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--count", type=int, default=3000)
    args = parser.parse_args()
    recipe = load(args.recipe, DataRecipe)
    cv2.setNumThreads(1)
    machine = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"{args.recipe} ({recipe_id(recipe)}), {args.count} crops, {machine}")
    for line in (*alone(recipe, args.count), *grown(recipe, args.count)):
        print(f"| {line} |", flush=True)


def alone(recipe: DataRecipe, count: int) -> Iterator[str]:
    """The two parts of a worker's work, on this core."""
    start = time.process_time()
    typefaces = len(synth.typeface_names(recipe))
    yield f"start: {typefaces} typefaces found and opened | {time.process_time() - start:.1f} s"
    for caches in ("first", "again, as in a long run"):  # glyphs and surfaces are drawn at first use
        start = time.process_time()
        samples = [synth.make_sample(recipe, SEED, index) for index in range(count)]
        yield f"make_sample, {caches} | {count / (time.process_time() - start):.0f} crops/s of a core"
    start = time.process_time()
    size = sum(len(value) for sample in samples for _, value in encode_sample(sample, 0))
    yield f"encoding as PNG and JSON | {count / (time.process_time() - start):.0f} crops/s of a core"
    yield f"size in the store | {size / count:.0f} bytes a crop"


def grown(recipe: DataRecipe, count: int) -> Iterator[str]:
    """Whole stores: rendering, encoding, sending and writing together."""
    make = partial(synth.make_sample, recipe, SEED)
    _, own, clock = spent_on(make, count, workers=1)
    yield f"store, this process alone | {count / own:.0f} crops/s of a core, {count / clock:.0f} by the clock"
    startup = spent_on(partial(only_start, recipe), 1, workers=2)[0]  # one task starts one worker
    made, written, clock = spent_on(make, count, workers=2)
    made -= 2 * startup
    rates = f"{count / made:.0f} crops/s of a worker's core, {count / clock:.0f} by the clock"
    yield f"store, 2 workers | {rates}, start included"
    yield f"writing process of 2 workers | {1e6 * written / count:.0f} µs a crop"
    yield f"two workers on two free cores, computed | {2 * made / (made + written):.2f} times one"


def only_start(recipe: DataRecipe, index: int) -> Sample:
    synth.typeface_names(recipe)
    return synth.make_sample(recipe, SEED, index)


def spent_on(make: partial[Sample], count: int, workers: int) -> tuple[float, float, float]:
    """Seconds of processor time of the workers and of the process that writes, and seconds by the clock."""
    children, own, start = children_seconds(), time.process_time(), time.perf_counter()
    with TemporaryDirectory() as folder:
        list(grow(Path(folder) / "store", make, count, about={}, workers=workers))
    clock, own = time.perf_counter() - start, time.process_time() - own
    return children_seconds() - children, own, clock


def children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
