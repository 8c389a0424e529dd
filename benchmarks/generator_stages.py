"""Where the time of a sample goes: processor time of every stage, as a Markdown table.

python benchmarks/generator_stages.py recipes/data/marks.toml recipes/data/flat-print.toml --count 150

Each stage is counted without those that it calls, and for every sample the least of several rounds counts:
caches are warm then, and other work on the machine hardly disturbs. The clocks cost a few parts in a hundred.
"""

import argparse
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import cv2

from serialread.config import DataRecipe, load, recipe_id
from serialread.datasets import sample_store, store_writing
from serialread.synth import distractors, lighting, photography, processes, rendering

SEED = 99
STAGES: tuple[tuple[str, ModuleType, str], ...] = (
    ("text", rendering, "random_text"),
    ("typeface", rendering, "_face"),
    ("layout", rendering, "set_line"),
    ("drawing: coverage and masks", rendering, "draw"),
    ("surface: relief and tone cut from tiles", processes, "draw_surface"),
    ("relief: flanks, slopes, light, shadow", lighting.ReliefAppearance, "shade"),  # type: ignore[arg-type]
    ("tone: wear, grain, light", lighting.ToneAppearance, "shade"),  # type: ignore[arg-type]
    ("exposure", lighting, "expose"),
    ("distractors on the surface", distractors, "ended"),
    ("distractors on the surface", distractors, "drilled"),
    ("distractors on the surface", distractors, "overprinted"),
    ("camera", rendering, "photograph"),
    ("camera: JPEG", photography, "_through_jpeg"),
    ("visibility", rendering, "visibility"),
    ("masks to the crop's size", rendering, "_halved"),
    ("encoding as PNG and JSON", sample_store, "encode_sample"),
    ("writing into LMDB", store_writing._Writer, "_append"),  # type: ignore[arg-type]
    ("the rest of a sample", rendering, "make_sample"),
)


class Clock:
    """Processor seconds a stage, without those of the stages that it called."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()
        self._inner = [0.0]

    def around(self, stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any, **named: Any) -> Any:
            start = time.process_time()
            self._inner.append(0.0)
            try:
                return call(*given, **named)
            finally:
                whole = time.process_time() - start
                self.spent[stage] += whole - self._inner.pop()
                self._inner[-1] += whole

        return timed


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipes", type=Path, nargs="+")
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=6)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    clock = Clock()
    for stage, place, name in STAGES:
        setattr(place, name, clock.around(stage, getattr(place, name)))
    columns = {path: spent(load(path, DataRecipe), args.count, args.rounds, clock) for path in args.recipes}
    names = [f"{path.stem} ({recipe_id(load(path, DataRecipe))})" for path in args.recipes]
    machine = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"{args.count} crops each, least of {args.rounds} rounds, {machine}\n")
    print(f"| µs a crop | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for stage in dict.fromkeys(stage for stage, _, _ in STAGES):
        print(f"| {stage} | {' | '.join(f'{1e6 * c[stage] / args.count:.0f}' for c in columns.values())} |")
    print(f"| all | {' | '.join(f'{1e6 * c.total() / args.count:.0f}' for c in columns.values())} |")


def spent(recipe: DataRecipe, count: int, rounds: int, clock: Clock) -> Counter[str]:
    """Seconds a stage for ``count`` samples made, spelled and stored."""
    least: dict[tuple[int, str], float] = {}
    samples = []
    for _ in range(rounds):
        samples = []
        for index in range(count):
            clock.spent = Counter()
            samples.append(rendering.make_sample(recipe, SEED, index))
            sample_store.encode_sample(samples[-1], index)
            for stage, seconds in clock.spent.items():
                least[index, stage] = min(least.get((index, stage), seconds), seconds)
    clock.spent = Counter()
    with TemporaryDirectory() as folder:
        store_writing.write_store(Path(folder) / "store", samples, about={})
    total = Counter({"writing into LMDB": clock.spent["writing into LMDB"]})
    for (_, stage), seconds in least.items():
        total[stage] += seconds
    return total


if __name__ == "__main__":
    main()
