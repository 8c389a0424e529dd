"""Reading and rendering in shards: rates, scaling, and workers that are killed.

    python -m benchmarks.shards STORE [--count 2000] [--shard-size 250] [--workers 1 2] [--kills 10]
        [--times 1] [--ray]

Reads the first samples of a store with one reader in this process, as `serialread read` does, which takes all
cores; then in shards, once per number of workers, each of which takes one. Prints crops per second of the
clock and how the memory of the workers grows. Then reads the samples again, once per kill: the worker that
opens a random sample dies by SIGKILL, and the results must be those of the undisturbed run. `--times` repeats
the samples, for long runs.
"""

import argparse
import os
import random
import signal
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyarrow import parquet

from benchmarks.measure.speed import memory_mb
from serialread.datasets import SampleStore
from serialread.imaging.loading import ImageSource
from serialread.reader import Reader
from serialread.scale import Processes, RayActors
from serialread.scale.sharded_reading import RECORD, ReaderOptions, ShardedRun
from serialread.scale.sources import Item, SampleSource
from serialread.storage import Storage

TIMES = ("elapsed_ms", "read_at", RECORD)


@dataclass(frozen=True, slots=True)
class FirstSamples(SampleSource):
    """The first samples of a store; the process that opens sample ``kill`` for the first time dies."""

    count: int
    times: int = 1
    kill: int = -1
    note: Path = Path()

    def items(self) -> list[Item]:
        """As many as were asked for, again and again."""
        return SampleSource.items(self)[: self.count] * self.times

    def fetch(self, item: Item) -> ImageSource:
        """Its pixels."""
        if int(item.place) == self.kill and not self.note.exists():
            self.note.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return SampleSource.fetch(self, item)


def rows(out: Path) -> list[dict[str, Any]]:
    """The readings of all shards, without times."""
    found = [row for path in sorted(out.glob("*.parquet")) for row in parquet.read_table(path).to_pylist()]
    return [{name: cell for name, cell in row.items() if name not in TIMES} for row in found]


def family() -> dict[int, str]:
    """Command lines of the processes that this one has started, and of those that they started, by number."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found, new = set[int](), {os.getpid()}
    while new := {one for one, parent in parents.items() if parent in new} - found:
        found |= new
    lines = {}
    for one in found:
        with suppress(OSError):
            lines[one] = Path(f"/proc/{one}/cmdline").read_text().replace("\0", " ")
    return lines


def workers_mb() -> float:
    """Memory of the processes that read, in MB: shared pages divided among them; without workers, ours."""
    readers = [
        one for one, line in family().items() if line.startswith("ray::_Actor") or "spawn_main" in line
    ]
    return sum(memory_mb(one, below=False) for one in readers or [os.getpid()])


def alone(source: FirstSamples, options: ReaderOptions) -> None:
    """Read all samples by one reader that takes all cores, and print its rate."""
    reader = Reader(options.model)
    began, used = time.perf_counter(), time.process_time()
    count = sum(1 for _ in reader.read_many(source.fetch(item) for item in source.items()))
    seconds, used = time.perf_counter() - began, time.process_time() - used
    print(f"one reader: {count / seconds:.1f} crops/s, {count / used:.1f} per second of a core", flush=True)


def main() -> None:
    """Read, kill, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--shard-size", type=int, default=250)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--ray", action="store_true")
    asked = parser.parse_args()
    store, options = SampleStore(asked.store), ReaderOptions(asked.model)

    def read(source: SampleSource, out: Path, workers: int) -> list[dict[str, Any]]:
        runner = RayActors(workers) if asked.ray else Processes(workers)
        run = ShardedRun(source, Storage(str(out)), options, shard_size=asked.shard_size, runner=runner)
        memory = [workers_mb() for _ in run]
        tenths = [memory[round((len(memory) - 1) * part / 10)] for part in range(11)]
        print("    memory of the workers, MB:", *(f"{mb:.0f}" for mb in tenths), flush=True)
        return rows(out)

    alone(FirstSamples(store, asked.count), options)
    with tempfile.TemporaryDirectory() as name:
        folder, expected = Path(name), []
        for workers in asked.workers:
            began = time.perf_counter()
            found = read(
                FirstSamples(store, asked.count, asked.times), folder / f"workers-{workers}", workers
            )
            seconds = time.perf_counter() - began
            same = "" if not expected else ", equal" if found == expected else ", DIFFERENT"
            print(f"{workers} workers: {len(found) / seconds:.1f} crops/s, start included{same}", flush=True)
            expected = expected or found
        rng = random.Random(0)
        for number in range(asked.kills):
            kill = rng.randrange(asked.count)
            killed = FirstSamples(store, asked.count, kill=kill, note=folder / f"note-{number}")
            same = read(killed, folder / f"kill-{number}", 2) == expected
            print(f"killed at sample {kill}: {'equal' if same else 'DIFFERENT'}", flush=True)


if __name__ == "__main__":
    main()
