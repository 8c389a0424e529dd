"""Images per second and memory of `serialread read`, beside rapidocr's recognition alone, in one run.

    python benchmarks/reading_speed.py [--count 2000] [--runs 3] [--rapidocr PYTHON]

PYTHON is an interpreter that has rapidocr (which would bring another OpenCV into this environment). Both read
the same PNG crops, rendered after recipes/data/marks.toml at 64 px height. Ours is the whole command: start,
find, load, normalize, read, decide, write; rapidocr's clock runs over its recognizer only, from memory.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from serialread.codes import Alphabet
from serialread.decoding import decode
from serialread.engine import Engine
from serialread.imaging import load_image, propose, to_array
from serialread.recipe import DataRecipe, Station, load
from serialread.synth import make_sample
from serialread.weights import shipped_model

RECIPE = Path(__file__).parent.parent / "recipes" / "data" / "marks.toml"
OTHER = """
import sys, time, cv2, logging
from pathlib import Path
from rapidocr import RapidOCR
logging.disable(logging.CRITICAL)
engine = RapidOCR()
images = [cv2.imread(str(p)) for p in sorted(Path(sys.argv[1]).iterdir())]
for image in images[:20]:
    engine(image, use_det=False, use_cls=False, use_rec=True)
start = time.perf_counter()
for image in images:
    engine(image, use_det=False, use_cls=False, use_rec=True)
print(len(images) / (time.perf_counter() - start))
"""


def render(folder: Path, count: int) -> None:
    recipe = load(RECIPE, DataRecipe).model_copy(update={"height": 64, "widest": 768})
    for index in range(count):
        cv2.imwrite(str(folder / f"{index:05d}.png"), make_sample(recipe, 9, index).pixels)


def ours(folder: Path, out: Path, count: int) -> float:
    command = [sys.executable, "-m", "serialread.cli", "read", str(folder), "--out", str(out), "--overwrite"]
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return count / (time.perf_counter() - start)


def others(python: str, folder: Path) -> float:
    done = subprocess.run([python, "-c", OTHER, str(folder)], check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def stages(folder: Path) -> dict[str, float]:
    """Milliseconds per image of each stage, one after the other; the command runs them side by side."""
    engine, view = Engine(shipped_model()), Station().view
    geometry, spent = (
        engine.card.geometry,
        dict.fromkeys(("load", "normalize", "array", "network", "decode"), 0.0),
    )
    paths = sorted(folder.iterdir())[:500]
    waiting: dict[int, list[np.ndarray]] = {}

    def clocked(name: str, work):  # type: ignore[no-untyped-def]
        start = time.perf_counter()
        result = work()
        spent[name] += time.perf_counter() - start
        return result

    for path in paths:
        image = clocked("load", lambda path=path: load_image(path))
        crops = clocked("normalize", lambda image=image: propose(image, view))
        arrays = clocked("array", lambda crops=crops: [to_array(c.pixels, geometry) for c in crops])
        for array in arrays:
            waiting.setdefault(array.shape[2], []).append(array)
    for arrays in waiting.values():
        for start in range(0, len(arrays), 32):
            scores, attention = clocked(
                "network", lambda a=arrays, s=start: engine.run(np.stack(a[s : s + 32]))
            )
            for s, a in zip(scores, attention, strict=True):
                clocked("decode", lambda s=s, a=a: decode(s, Alphabet(), a, (64, 200), 1.0))
    return {name: 1000 * seconds / len(paths) for name, seconds in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--rapidocr", metavar="PYTHON")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, out = Path(place) / "crops", Path(place) / "out"
        folder.mkdir()
        render(folder, asked.count)
        mine, theirs = [ours(folder, out, asked.count)], []
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024  # no other child has run yet
        for _ in range(asked.runs):
            mine.append(ours(folder, out, asked.count))
            if asked.rapidocr:
                theirs.append(others(asked.rapidocr, folder))
        mine = mine[1:]  # the first run warmed the disk cache
        print(f"serialread read, whole command: {statistics.median(mine):.0f} images/s, peak {peak:.0f} MB")
        if theirs:
            print(f"rapidocr, recognition alone: {statistics.median(theirs):.0f} images/s")
            ratio = statistics.median(a / b for a, b in zip(mine, theirs, strict=True))
            print(f"ratio: {ratio:.1f} (medians of {asked.runs} runs)")
        for name, milliseconds in stages(folder).items():
            print(f"  {name:10s} {milliseconds:6.3f} ms an image")


if __name__ == "__main__":
    main()
