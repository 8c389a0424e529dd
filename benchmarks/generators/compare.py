"""Flat print by this generator, by TextRecognitionDataGenerator and by SynthTIGER: processor time each.

python benchmarks/generators/compare.py --trdg /tmp/trdg/bin/python --synthtiger /tmp/synthtiger/bin/python

Each runs in its own Python (see docs/benchmarks/generators.md) and renders the same codes in the same
typefaces, 32 px high, in memory and on one thread. They take turns in short rounds, so that other work on the
machine affects all of them: compare the ratios of the medians.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from serialread import synth
from serialread.config import DataRecipe, load
from serialread.synth.fonts import outline_faces

HERE = Path(__file__).parent
RECIPE = HERE.parent.parent / "recipes" / "data" / "flat-print.toml"
OURS = ("serialread", "serialread, as PNG and JSON")
SEED = 99
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trdg", type=Path, required=True, help="a Python that has trdg")
    parser.add_argument("--synthtiger", type=Path, required=True, help="a Python that has synthtiger")
    parser.add_argument("--codes", type=int, default=200, help="codes that every round renders")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    with TemporaryDirectory() as folder:
        task = written(Path(folder), args.codes)
        python = Path(sys.executable)
        runs = {
            OURS[0]: started(python, "ours.py", task),
            OURS[1]: started(python, "ours.py", task, "spelled"),
            "trdg, whole line": started(args.trdg, "by_trdg.py", task),
            "trdg, with character masks": started(args.trdg, "by_trdg.py", task, "masks"),
            "SynthTIGER, whole line": started(args.synthtiger, "by_synthtiger.py", task),
            "SynthTIGER, with character masks": started(args.synthtiger, "by_synthtiger.py", task, "masks"),
        }
        spent: dict[str, list[float]] = {name: [] for name in runs}
        for turn in range(args.rounds + 1):
            for name, run in runs.items():
                seconds = round_of(run)
                if turn:  # the first one fills the caches
                    spent[name].append(1e6 * seconds / args.codes)
        for run in runs.values():
            run.communicate()
    machine = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"{args.rounds} rounds of {args.codes} codes, {machine}\n")
    print("| generator | µs of processor a crop | crops/s of a core | times serialread |\n|---|---|---|---|")
    for name, each in spent.items():
        usual = median(each)
        print(f"| {name} | {usual:.0f} | {1e6 / usual:.0f} | {usual / median(spent[OURS[0]]):.2f} |")


def written(folder: Path, count: int) -> Path:
    """A folder with the codes and the typefaces, one a line."""
    recipe = load(RECIPE, DataRecipe)
    codes = [synth.make_sample(recipe, SEED, index).text for index in range(count)]
    (folder / "codes.txt").write_text("\n".join(codes), encoding="utf-8")
    paths = [str(face.path) for face in outline_faces() if not face.caps_only]
    (folder / "typefaces.txt").write_text("\n".join(paths), encoding="utf-8")
    return folder


def started(python: Path, script: str, task: Path, *how: str) -> "subprocess.Popen[str]":
    """A generator that renders all codes whenever it is sent a line, and answers with its seconds."""
    root = str(HERE.parent.parent)
    return subprocess.Popen(
        [python, HERE / script, task, *how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **ONE_THREAD, "PYTHONPATH": root if script == "ours.py" else ""},
    )


def round_of(run: Any) -> float:
    run.stdin.write("again\n")
    run.stdin.flush()
    return float(run.stdout.readline())


if __name__ == "__main__":
    main()
