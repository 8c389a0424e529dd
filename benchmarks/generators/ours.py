"""Render the codes by serialread, with a mask for every character; see compare.py."""

import sys
import time
from pathlib import Path

import cv2

from serialread import synth
from serialread.config import DataRecipe, load
from serialread.datasets.sample_store import encode_sample

SEED = 99  # of compare.py: the same codes


def main(task: Path, *how: str) -> None:
    cv2.setNumThreads(1)
    recipe = load(Path(__file__).parents[2] / "recipes" / "data" / "flat-print.toml", DataRecipe)
    count = len((task / "codes.txt").read_text(encoding="utf-8").splitlines())
    for _ in sys.stdin:
        start = time.process_time()
        for index in range(count):
            sample = synth.make_sample(recipe, SEED, index)
            if how:
                encode_sample(sample, index)
        print(time.process_time() - start, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
