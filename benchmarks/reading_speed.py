"""How fast a folder of crops is read and in how much memory, where the time goes, and compared with rapidocr.

    python benchmarks/reading_speed.py recipes/data/marks.toml --count 2000 [--rapidocr PYTHON]

PYTHON is the interpreter of an environment that has rapidocr; its recognizer alone runs, without detection
and orientation, one crop at a time as its interface takes them. Each reader runs as a process of its own on
the same files; the clock starts when it is ready to read, so that neither is charged for its imports.
``--across`` instead reads a quarter of the crops, also enlarged, on one core and on more.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

SEED = 7
ENLARGED = (1, 2, 4, 8, 16)
"""How many times larger crops are made to see what their size costs."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", type=Path, nargs="?")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--engine", choices=["openvino", "onnxruntime"], default="openvino")
    parser.add_argument("--rapidocr", type=Path, metavar="PYTHON")
    parser.add_argument("--across", action="store_true", help="images/s by cores and by height of the crops")
    parser.add_argument("--cores", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--only", choices=["serialread", "rapidocr", "parts"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help="read these pictures instead of rendering some")
    args = parser.parse_args()
    alone = {"serialread": read_with_serialread, "rapidocr": read_with_rapidocr, "parts": parts}
    if args.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.cores])
    if args.only:
        print(json.dumps(alone[args.only](args)))
        return
    with TemporaryDirectory() as temporary:
        if args.folder is None:
            args.folder = Path(temporary)
            render(args.recipe, args.count, args.folder)
        across(args) if args.across else compare(args)


def across(args: argparse.Namespace) -> None:
    """A table: images/s by the cores that a run may use, and by how high its crops are."""
    cores = [n for n in (1, 2, 4, 8, 16, 32) if n <= len(os.sched_getaffinity(0))]
    print("| height of the crops, px | " + " | ".join(f"{n} cores" for n in cores) + " |")
    print("|---" * (len(cores) + 1) + "|")
    crops = [cv2.imread(str(path)) for path in sorted(args.folder.glob("*.png"))[::4]]
    for times in ENLARGED:
        with TemporaryDirectory() as temporary:
            args.folder, cells = Path(temporary), []
            for number, crop in enumerate(crops):
                larger = cv2.resize(crop, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC)
                cv2.imwrite(str(args.folder / f"{number:05d}.png"), larger)
            for args.cores in cores:
                result, _ = in_a_process(sys.executable, args, "serialread")
                cells.append(f"{result['images'] / result['seconds']:.0f}")
            print(f"| {times * crops[0].shape[0]} | " + " | ".join(cells) + " |", flush=True)


def compare(args: argparse.Namespace) -> None:
    crops = len(list(args.folder.glob("*.png")))
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {crops} crops\n")
    print("| reader | images/s | processor ms an image | whole run, s | peak memory, MB | right |")
    print("|---|---|---|---|---|---|")
    readers = {"serialread": sys.executable} | ({"rapidocr": str(args.rapidocr)} if args.rapidocr else {})
    for name, python in readers.items():
        result, seconds = in_a_process(python, args, name)
        speed = result["images"] / result["seconds"]
        work = f"{1000 * result['processor'] / result['images']:.2f}"
        cells = (
            result["name"],
            f"{speed:.0f}",
            work,
            f"{seconds:.1f}",
            f"{result['peak_mb']:.0f}",
            result["right"],
        )
        print("|", " | ".join(map(str, cells)), "|", flush=True)
    result, _ = in_a_process(sys.executable, args, "parts")
    whole = sum(result.values())
    print("\n| part | processor ms an image | share |\n|---|---|---|")
    for part, ms in result.items():
        print(f"| {part} | {ms:.3f} | {ms / whole:.0%} |")


def in_a_process(python: str, args: argparse.Namespace, only: str) -> tuple[dict[str, float], float]:
    command = [python, __file__, "--only", only, "--folder", str(args.folder), "--engine", args.engine]
    command += ["--cores", str(args.cores)]
    command += ["--model", str(args.model)] if args.model else []
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1]), time.perf_counter() - started


def render(recipe: Path, count: int, folder: Path) -> None:
    """Write crops as PNG files, named by number, with their texts next to them."""
    from serialread import synth
    from serialread.config import DataRecipe, load

    loaded, texts = load(recipe, DataRecipe), {}
    for index in range(count):
        sample = synth.make_sample(loaded, SEED, index)
        texts[f"{index:05d}.png"] = sample.text
        cv2.imwrite(str(folder / f"{index:05d}.png"), sample.pixels)
    (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")


def measured(
    name: str, folder: Path, read: Callable[[], Iterator[tuple[str, str]]]
) -> dict[str, float | str]:
    """Run a reader over the folder: how long, how much memory, how many right (blanks and case dropped).

    The processor's time, of all threads, is what compares readers on a machine that has other work.
    """
    started, busy = time.perf_counter(), time.process_time()
    found = dict(read())
    seconds, processor = time.perf_counter() - started, time.process_time() - busy
    known = folder / "texts.json"
    truths = json.loads(known.read_text(encoding="utf-8")) if known.exists() else {}
    right = sum(found[image].replace(" ", "").lower() == text.lower() for image, text in truths.items())
    result = {"images": len(found), "seconds": seconds, "processor": processor, "peak_mb": peak_mb()}
    return {"name": name, "right": right, **result}


def peak_mb() -> float:
    """Largest resident memory of this process so far; getrusage counts what started it, too."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def read_with_serialread(args: argparse.Namespace) -> dict[str, float | str]:
    from serialread.reader import Reader, begin, check_sequences, find_images, write_records
    from serialread.weights import shipped_model

    reader = Reader(args.model or shipped_model(), engine=args.engine)
    pictures = find_images([args.folder]).pictures

    def read() -> Iterator[tuple[str, str]]:
        with TemporaryDirectory() as out:
            begin(Path(out), "new", pictures, reader.model_id, "")
            for record in write_records(check_sequences(reader.read_many(pictures)), Path(out)):
                yield record.image, record.reading.text if record.reading else ""

    return measured(f"serialread ({args.engine})", args.folder, read)


def read_with_rapidocr(args: argparse.Namespace) -> dict[str, float | str]:
    import rapidocr

    reader = rapidocr.RapidOCR(params={"Global.log_level": "error"})
    paths = sorted(args.folder.glob("*.png"))
    reader(cv2.imread(str(paths[0])), use_det=False, use_cls=False, use_rec=True)  # its first run is slow

    def read() -> Iterator[tuple[str, str]]:
        for path in paths:
            found = reader(cv2.imread(str(path)), use_det=False, use_cls=False, use_rec=True)
            yield path.name, (found.txts or ("",))[0]

    return measured("rapidocr, recognizer alone", args.folder, read)


def parts(args: argparse.Namespace) -> dict[str, float]:
    """Milliseconds an image of every step, one after the other in one thread."""
    from serialread.config import StationView
    from serialread.imaging import load_image, normalize, to_array
    from serialread.inference import decode
    from serialread.inference.session import Engine
    from serialread.reader import Reader
    from serialread.reader.grading import grade_mark
    from serialread.reader.scheduler import BATCH
    from serialread.reader.serialization import csv_bytes, csv_row, json_bytes, json_line
    from serialread.weights import shipped_model

    model = args.model or shipped_model()
    engine = Engine(model, args.engine, threads=1)
    cv2.setNumThreads(1)
    geometry = engine.card.geometry
    paths = sorted(args.folder.glob("*.png"))[:500]
    spent: dict[str, float] = {}

    def timed(name: str, work: Callable[[], list]) -> list:
        started = time.process_time()
        result = work()
        spent[name] = (time.process_time() - started) * 1000 / len(paths)
        return result

    images = timed("load", lambda: [load_image(path) for path in paths])
    crops = timed("find, measure", lambda: [normalize(i, StationView()) for i in images])
    arrays = timed("scale to the array", lambda: [to_array(c.pixels, geometry) for c in crops])
    arrays.sort(key=lambda a: a.shape[2])
    batches = [
        np.stack(group)
        for width in geometry.widths
        for group in groups([a for a in arrays if a.shape[2] == width], BATCH)
    ]
    for batch in batches:  # the first of its shape prepares the kernels
        engine.run(batch)
    results = timed("network, one view", lambda: [engine.run(batch) for batch in batches])
    each = [(s, a) for scores, attention in results for s, a in zip(scores, attention, strict=True)]
    timed("decode", lambda: [decode(s, engine.card.alphabet, a, (64, 256)) for s, a in each])
    records = list(Reader(model, engine=args.engine).read_many(paths))
    graded = [(c, r.reading) for c, r in zip(crops, records, strict=True) if r.reading]
    timed("grade the mark", lambda: [grade_mark(crop, reading) for crop, reading in graded])
    lines = timed("JSON line", lambda: [json_line(r) for r in records])
    timed("write", lambda: [json_bytes(x) + csv_bytes(csv_row(x)) for x in lines])
    return spent


def groups(items: list, size: int) -> Iterator[list]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


if __name__ == "__main__":
    main()
