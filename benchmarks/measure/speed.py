"""How fast the whole command reads real crops, in how much memory and after how long a start.

Each reader runs as a process of its own on the same files, once on one crop (start-up) and once on all of
them; the difference is what reading costs. Compare ratios within one run: times depend on what else runs.
"""

import json
import math
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from benchmarks.measure import CORES
from benchmarks.measure.crops import LabelledCrop
from benchmarks.measure.readers import AS_IS, GENERAL
from benchmarks.measure.scores import Target, table
from serialread.imaging import load_image, normalize, to_array
from serialread.inference import decode
from serialread.inference.session import Engine, full_batch
from serialread.reader import Reader
from serialread.reader.grading import grade_mark
from serialread.reader.segmentation import segment
from serialread.reader.serialization import csv_bytes, csv_row, json_bytes, json_line

_COMMAND = """
import atexit, sys
def peak():
    status = open("/proc/self/status").read()
    print("PEAK", int(status.partition("VmHWM:")[2].split()[0]) / 1024, file=sys.stderr)
atexit.register(peak)
"""
"""Says the largest resident memory of the process when it ends; getrusage counts what started it, too."""


@dataclass(frozen=True, slots=True)
class Run:
    """One process with all that it starts: seconds by the wall clock, of all threads, largest memory."""

    seconds: float
    processor: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Speed:
    """A reader that reads one crop, then all of them."""

    crops: int
    start: Run
    whole: Run

    @property
    def images_per_s(self) -> float:
        seconds = self.whole.seconds - self.start.seconds
        return (self.crops - 1) / seconds if seconds > 0 else math.nan  # too few crops to measure

    @property
    def processor_ms(self) -> float:
        """Of all threads, an image."""
        return 1000 * (self.whole.processor - self.start.processor) / (self.crops - 1)

    def cells(self) -> list[str]:
        return [
            f"{self.images_per_s:.0f}",
            f"{self.processor_ms:.2f}",
            f"{self.whole.peak_mb:.0f}",
            f"{self.start.seconds:.2f}",
            f"{self.start.processor:.2f}",
        ]


def repeated(crops: Sequence[LabelledCrop], count: int, folder: Path) -> list[Path]:
    """The crops' files, evenly from all grounds and repeated up to ``count``, under names of their own."""
    step = max(len(crops) // count, 1)
    found = []
    for number, crop in enumerate(islice(cycle(crops[::step]), count)):
        found.append(folder / f"{number:06d}{crop.path.suffix}")
        shutil.copyfile(crop.path, found[-1])
    return found


def measured(
    crops: Sequence[LabelledCrop], count: int, models: dict[str, Path], python: Path | None
) -> dict[str, Speed]:
    """Speed of every model as the command reads, and of the general reader's recognition alone."""
    with TemporaryDirectory() as temporary:
        many, one = Path(temporary) / "many", Path(temporary) / "one"
        many.mkdir()
        one.mkdir()
        paths = repeated(crops, count, many)
        shutil.copyfile(paths[0], one / paths[0].name)
        found = {
            name: Speed(len(paths), _command(model, one), _command(model, many))
            for name, model in models.items()
        }
        if python is not None:
            found[GENERAL] = Speed(len(paths), _general(python, paths[:1]), _general(python, paths))
    return found


def _command(model: Path, folder: Path) -> Run:
    with TemporaryDirectory() as out:
        words = ["serialread", "read", str(folder), "--model", str(model), "--out", out, "--overwrite", "-q"]
        code = f"{_COMMAND}\nfrom serialread.cli import main\nsys.argv = {words}\nmain()"
        return _process([sys.executable, "-c", code], "")


def _general(python: Path, paths: Sequence[Path]) -> Run:
    script = Path(__file__).with_name("general_reader.py")
    code = f"{_COMMAND}\nimport runpy\nrunpy.run_path({str(script)!r}, run_name='__main__')"
    return _process([str(python), "-c", code], json.dumps([str(path) for path in paths]))


def _process(command: Sequence[str], given: str) -> Run:
    os.sched_setaffinity(0, CORES)  # inherited by the process
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(
            subprocess.run, command, input=given, capture_output=True, text=True, check=False
        )
        together = 0.0
        while not running.done():
            wait([running], timeout=0.5)
            together = max(together, memory_mb(os.getpid()) - memory_mb(os.getpid(), below=False))
        done = running.result()
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if "PEAK " not in done.stderr or done.returncode not in (0, 1):  # 1: some pictures were rejected
        raise SystemExit(done.stderr)
    busy = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    alone = float(done.stderr.rpartition("PEAK ")[2].split()[0])
    return Run(seconds, busy, max(alone, together))


def memory_mb(process: int, *, below: bool = True) -> float:
    """Memory of a process and all that it has started: pages that several share are divided among them."""
    used = 0.0
    with suppress(OSError):  # it has ended
        folder = Path(f"/proc/{process}")
        used = int((folder / "smaps_rollup").read_text().partition("\nPss:")[2].split()[0]) / 1024
        if below:
            tasks = [(task / "children").read_text().split() for task in (folder / "task").iterdir()]
            used += sum(memory_mb(int(child)) for children in tasks for child in children)
    return used


def speed_table(found: dict[str, Speed]) -> str:
    """Readers downwards; the ratio is that of images/s to the general reader's recognition alone."""
    rows = []
    for name, speed in found.items():
        ratios = ["", ""]
        if other := found.get(GENERAL):
            ratios = [
                f"{speed.images_per_s / other.images_per_s:.1f}",
                f"{other.processor_ms / speed.processor_ms:.1f}",
            ]
        rows.append([name, *speed.cells(), *ratios])
    heads = ["reader", "images/s", "processor ms an image", "peak memory, MB", "start-up, s"]
    heads += ["start-up, processor s", "times as fast", "by processor time"]
    cores = f"{len(CORES)} cores, load {os.getloadavg()[0]:.1f}; "
    count = next(iter(found.values())).crops
    return f"{cores}{count} crops\n\n" + table(heads, rows)


def speed_targets(found: dict[str, Speed], name: str) -> list[Target]:
    mine = found[name]
    made = [
        Target("peak memory", "under 500 MB", f"{mine.whole.peak_mb:.0f}", mine.whole.peak_mb < 500),
        Target("start-up", "under 1.2 s", f"{mine.start.seconds:.2f}", mine.start.seconds < 1.2),
    ]
    if GENERAL in found:
        ratio = mine.images_per_s / found[GENERAL].images_per_s
        wanted = f"at least 6 times {GENERAL}'s recognition"
        made.append(Target("images/s, real crops", wanted, f"{ratio:.1f}", ratio >= 6))
    return made


def profile_table(model: Path, crops: Sequence[LabelledCrop]) -> str:
    """Processor milliseconds a crop of every step, one view, one after the other in one thread."""
    engine = Engine(model, threads=1)
    cv2.setNumThreads(1)
    card, geometry = engine.card, engine.card.geometry
    paths = [crop.path for crop in crops]
    spent: dict[str, float] = {}

    def timed(name: str, work: Callable[[], list]) -> list:
        started = time.process_time()
        result = work()
        spent[name] = (time.process_time() - started) * 1000 / len(paths)
        return result

    images = timed("load", lambda: [load_image(path) for path in paths])
    seen = timed("grey, measure", lambda: [normalize(image, AS_IS) for image in images])
    arrays = timed("scale to the array", lambda: [to_array(crop.pixels, geometry) for crop in seen])
    order = sorted(range(len(arrays)), key=lambda i: arrays[i].shape[2])
    batches = list(_batches([arrays[i] for i in order]))
    for batch in batches:  # the first of its shape prepares the kernels
        engine.run(batch)
    results = timed("network, one view", lambda: [engine.run(batch) for batch in batches])
    outputs = [both for scores, attention in results for both in zip(scores, attention, strict=True)]
    each = [(seen[i], *both) for i, both in zip(order, outputs, strict=True)]
    readings = timed(
        "decode",
        lambda: [
            decode(scores, card.alphabet, attention, crop.pixels.shape, topology=card.topology)
            for crop, scores, attention in each
        ],
    )
    read = [(crop, reading) for (crop, *_), reading in zip(each, readings, strict=True) if reading.chars]
    marks = timed("segment", lambda: [segment(crop.pixels, reading.chars) for crop, reading in read])
    pairs = [(mark, reading.text) for mark, (_, reading) in zip(marks, read, strict=True) if mark]
    timed("grade the mark", lambda: [grade_mark(mark, text) for mark, text in pairs])
    records = list(Reader(model).read_many(paths))
    lines = timed("JSON line", lambda: [json_line(record) for record in records])
    timed("write", lambda: [json_bytes(line) + csv_bytes(csv_row(line)) for line in lines])
    whole = sum(spent.values())
    return table(
        ["step", "processor ms a crop", "share"],
        [[name, f"{ms:.3f}", f"{ms / whole:.0%}"] for name, ms in spent.items()],
    )


def _batches(arrays: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """Arrays of one width, as many together as in a full batch."""
    for width in sorted({array.shape[2] for array in arrays}):
        lane, full = [array for array in arrays if array.shape[2] == width], full_batch(width)
        for start in range(0, len(lane), full):
            yield np.stack(lane[start : start + full])
