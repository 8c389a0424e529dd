"""Where the processor's time goes while a folder is read: milliseconds a picture of each stage alone.

    python benchmarks/reading_profile.py FOLDER [--model FILE]

The whole way runs as ``serialread read`` runs it; a stage is charged without the stages that it calls.
Compare within one run: other work on the machine slows all stages.
"""

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock, local
from typing import Any

from serialread.detection import LineFinder, line_finder
from serialread.imaging import CropView, crops, loading
from serialread.inference.session import Engine
from serialread.reader import fusion, outputs, pipeline, reader, results, runs, scheduler

STAGES: dict[str, tuple[tuple[Any, str], ...]] = {
    "header, for the scheduler": ((reader, "header_px"),),
    "open and read the file": ((loading, "_bytes"),),
    "decode": ((loading, "_jpeg"), (loading, "_png")),
    "check the file, orientation, digest": ((reader, "as_image"),),
    "tilt": ((crops, "estimate_tilt"),),
    "downscale, text rows, contrast": ((crops, "finish"),),
    "one line or a search": ((pipeline, "is_one_line"),),
    "array of the network": ((outputs, "to_array"),),
    "network": ((Engine, "run"),),
    "batch": ((scheduler, "recognize"),),
    "decode scores": ((pipeline, "reading_of"),),
    "extent of the text": ((pipeline, "text_extent"),),
    "fuse views": ((pipeline, "fuse"),),
    "whether a further view is read": ((pipeline, "next_view"),),
    "cut out a further view": ((CropView, "cut"),),
    "strings compared in all views": ((pipeline, "compared"),),
    "most likely strings of the views": ((pipeline, "nearest_strings"),),
    "the string that all views support": ((pipeline, "likely_string"),),
    "ambiguous shapes, runs of classes": ((pipeline, "settle_shapes"),),
    "borders": ((pipeline, "cut_off_sides"),),
    "doubts": ((reader, "doubts_about"),),
    "line detector: opened": ((LineFinder, "__init__"),),
    "line detector: network": ((LineFinder, "maps"),),
    "line detector: lines of its maps": ((line_finder, "lines_of"), (line_finder, "merged")),
    "crops of detected lines": ((pipeline, "crops_of"), (pipeline, "longer_crop")),
    "barcodes": ((reader, "barcodes_in"),),
    "grade of the mark": ((reader, "grade_mark"),),
    "record": ((reader.Reader, "_read_record"),),
    "JSON values": ((results, "json_line"),),
    "write": ((results, "_append"),),
    "scheduler": ((scheduler.Scheduler, "_admit"), (scheduler.Scheduler, "_stepped")),
    "rest of the pipeline": ((scheduler.Scheduler, "_step"),),
}


class Stopwatch:
    """Exclusive processor time of wrapped functions, of all threads."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.calls: Counter[str] = Counter()
        self._lock, self._local = Lock(), local()

    def wrap(self, owner: Any, name: str, stage: str) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        @wraps(original)
        def timed(*args: Any, **options: Any) -> Any:
            inner = self._local.__dict__.setdefault("inner", [])
            begun = time.thread_time()
            inner.append(0.0)
            try:
                return original(*args, **options)
            finally:
                spent, within = time.thread_time() - begun, inner.pop()
                if inner:
                    inner[-1] += spent
                with self._lock:
                    self.seconds[stage] += spent - within
                    self.calls[stage] += 1

        setattr(owner, name, timed)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path)
    args = parser.parse_args()
    watch = Stopwatch()
    for stage, places in STAGES.items():
        for owner, name in places:
            watch.wrap(owner, name, stage)
    with TemporaryDirectory() as out:
        run = runs.read_folder(args.folder, out, model=args.model)
        busy, started = time.process_time(), time.perf_counter()
        pictures = sum(1 for _ in run)
        busy, seconds = time.process_time() - busy, time.perf_counter() - started
    print(
        f"model {run.reader.model_id}: {pictures} pictures, {1000 * busy / pictures:.2f} processor ms each,"
    )
    print(f"{pictures / seconds:.0f} images/s; retries below {fusion.RETRY_BELOW}\n")
    print("| stage | ms a picture | calls a picture |\n|---|---|---|")
    rest = {"writing, progress, threads": busy - sum(watch.seconds.values())}
    for stage, spent in sorted({**watch.seconds, **rest}.items(), key=lambda item: -item[1]):
        print(f"| {stage} | {1000 * spent / pictures:.3f} | {watch.calls[stage] / pictures:.2f} |")


if __name__ == "__main__":
    main()
