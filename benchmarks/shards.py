"""Reading and rendering in shards: rates, scaling, and workers that are killed.

    python -m benchmarks.shards STORE [--count 2000] [--shard-size 250] [--workers 1 2] [--kills 10]
        [--ray]

Reads the first samples of a store in shards, once per number of workers, and prints the rate per second of a
core. Then reads them again, once per kill: the worker that opens a random sample dies by SIGKILL, and the
results must be those of the undisturbed run.
"""

import argparse
import os
import random
import resource
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyarrow import parquet

from serialread.datasets import SampleStore
from serialread.imaging.loading import ImageSource
from serialread.scale import Processes, RayActors
from serialread.scale.sharded_reading import RECORD, ReaderOptions, ShardedRun
from serialread.scale.sources import Item, SampleSource
from serialread.storage import Storage

TIMES = ("elapsed_ms", "read_at", RECORD)


@dataclass(frozen=True, slots=True)
class FirstSamples(SampleSource):
    """The first samples of a store; the process that opens sample ``kill`` for the first time dies."""

    count: int
    kill: int = -1
    note: Path = Path()

    def items(self) -> list[Item]:
        """As many as were asked for."""
        return SampleSource.items(self)[: self.count]

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


def cpu_s() -> float:
    """Seconds of a core that this process and its finished children took."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def main() -> None:
    """Read, kill, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--shard-size", type=int, default=250)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--ray", action="store_true")
    asked = parser.parse_args()
    store, options = SampleStore(asked.store), ReaderOptions(asked.model)

    def read(source: SampleSource, out: Path, workers: int) -> list[dict[str, Any]]:
        runner = RayActors(workers) if asked.ray else Processes(workers)
        shards = ShardedRun(source, Storage(str(out)), options, shard_size=asked.shard_size, runner=runner)
        return rows(out) if list(shards) else []

    with tempfile.TemporaryDirectory() as name:
        folder, expected = Path(name), []
        for workers in asked.workers:
            began, used = time.perf_counter(), cpu_s()
            found = read(FirstSamples(store, asked.count), folder / f"workers-{workers}", workers)
            seconds, used = time.perf_counter() - began, cpu_s() - used
            rate = "" if asked.ray else f", {asked.count / used:.1f} per second of a core"
            same = "" if not expected else ", equal" if found == expected else ", DIFFERENT"
            print(f"{workers} workers: {asked.count / seconds:.1f} crops/s{rate}{same}", flush=True)
            expected = expected or found
        rng = random.Random(0)
        for number in range(asked.kills):
            kill = rng.randrange(asked.count)
            killed = FirstSamples(store, asked.count, kill, folder / f"note-{number}")
            same = read(killed, folder / f"kill-{number}", 2) == expected
            print(f"killed at sample {kill}: {'equal' if same else 'DIFFERENT'}", flush=True)


if __name__ == "__main__":
    main()
