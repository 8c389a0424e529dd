"""What share of the rendered marks a general OCR reader and serialread cannot read, by marking process.

    python benchmarks/legibility.py RECIPE --rapidocr PYTHON [--count 150] [--seed 31] [--out FILE]

PYTHON is the interpreter of an environment with rapidocr, of which only the recognizer runs. A mark is read
if the texts agree except for blanks and case. Marks that no reader reads stay in the data.
"""

import argparse
import json
import subprocess
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2

from serialread import synth
from serialread.config import DataRecipe, load
from serialread.metrics import ratio, wilson
from serialread.reader import Reader
from serialread.records import Sample
from serialread.weights import shipped_model

BANDS = (0.0, 1.5, 2.0, 3.0, 5.0, float("inf"))
"""Visibility: 1 is a mark as strong as its background."""

THEIRS = """
import json, sys, cv2, rapidocr
reader = rapidocr.RapidOCR(params={"Global.log_level": "error"})
for path in json.load(sys.stdin):
    found = reader(cv2.imread(path), use_det=False, use_cls=False, use_rec=True)
    print(json.dumps((found.txts or ("",))[0]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--rapidocr", type=Path, metavar="PYTHON", required=True)
    parser.add_argument("--count", type=int, default=150, help="crops a process")
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    parts = load(args.recipe, DataRecipe).by_process()
    samples = [synth.make_sample(part, args.seed, i) for part in parts for i in range(args.count)]
    with TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{i:06d}.png" for i in range(len(samples))]
        for path, sample in zip(paths, samples, strict=True):
            cv2.imwrite(str(path), sample.pixels)
        outcomes = list(zip(by_rapidocr(args.rapidocr, paths), by_serialread(paths), strict=True))
    right = [tuple(_same(text, s.text) for text in found) for found, s in zip(outcomes, samples, strict=True)]
    lines = list(rows(samples, right))
    print("\n".join(lines))
    if args.out:
        args.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def by_rapidocr(python: Path, paths: Sequence[Path]) -> list[str]:
    names = json.dumps([str(path) for path in paths])
    done = subprocess.run([python, "-c", THEIRS], input=names, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def by_serialread(paths: Sequence[Path]) -> list[str]:
    records = Reader(shipped_model()).read_many(paths)
    return [record.reading.text if record.reading else "" for record in records]


def rows(samples: Sequence[Sample], right: Sequence[tuple[bool, ...]]) -> list[str]:
    """Table rows: every process, every band of visibility, all."""
    groups: dict[str, list[int]] = {}
    for i, sample in enumerate(samples):
        assert sample.origin is not None
        groups.setdefault(sample.origin.process, []).append(i)
    for low, high in pairwise(BANDS):
        groups[f"visibility {low:g} to {high:g}"] = [
            i for i, sample in enumerate(samples) if low <= _visibility(sample) < high
        ]
    groups["all"] = list(range(len(samples)))
    drawn = [_row(name, [right[i] for i in group]) for name, group in groups.items() if group]
    heads = "| marks | crops | unread by PP-OCRv6 small % | unread by serialread % | unread by both % |"
    return [heads, "|---|---|---|---|---|", *drawn]


def _row(name: str, right: Sequence[tuple[bool, ...]]) -> str:
    n = len(right)
    unread = [sum(not theirs for theirs, _ in right), sum(not ours for _, ours in right)]
    cells = [_share(count, n) for count in (*unread, sum(not any(both) for both in right))]
    return f"| {name} | {n} | {' | '.join(cells)} |"


def _share(count: int, n: int) -> str:
    low, high = wilson(count, n)
    return f"{100 * ratio(count, n):.1f} ({100 * low:.0f}-{100 * high:.0f})"


def _same(read: str, text: str) -> bool:
    return "".join(read.split()).lower() == text.lower()


def _visibility(sample: Sample) -> float:
    assert sample.origin is not None
    return float(sample.origin.parameters["visibility"])


if __name__ == "__main__":
    main()
