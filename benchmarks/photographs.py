"""Codes found in whole photographs, and the time that it takes, beside a general reader in the same run.

    python -m benchmarks.photographs FOLDER... [--model FILE] [--limit N] [--general PYTHON] [--out table.md]

A folder holds ``images/`` and ``truth.jsonl``, one JSON object a photograph: ``file``, and ``must_contain``
(the texts of its codes) or ``text`` (their texts, separated by blanks). A code counts as found if a line, or
the record's text, contains it; blanks and case do not count. Photographs are read one after another by one
process, which may use every core. ``--general`` is the interpreter of an environment with rapidocr; its
detector and recognizer read the same files as they come. ``--limit`` takes so many photographs of each
folder, spread evenly.
"""

import argparse
import json
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.measure.readers import GENERAL
from serialread import Reader
from serialread.imaging import load_image
from serialread.weights import shipped_detector

STEPS = ("load", "detect", "recognize")
SCRIPT = Path(__file__).parent / "measure" / "general_reader.py"


class Photograph(NamedTuple):
    """A picture and the codes in it."""

    path: Path
    codes: tuple[str, ...]


@dataclass
class Found:
    """What a reader found in one photograph.

    Attributes:
        lines: texts of all lines.
        text: the code; None if the reader chooses none.
        wall: seconds in all, and of each step.
        cpu: seconds of processor time in all, and of each step; without the steps of the general reader.
    """

    lines: list[str]
    text: str | None = None
    wall: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)


def photographs(folder: Path, limit: int | None) -> list[Photograph]:
    """Photographs of a folder with the codes that matter."""
    every = list(_photographs(folder))
    count = min(limit or len(every), len(every))
    return [every[n] for n in np.linspace(0, len(every) - 1, count).round().astype(int)]


def _photographs(folder: Path) -> Iterator[Photograph]:
    for line in (folder / "truth.jsonl").read_text(encoding="utf-8").splitlines():
        about = json.loads(line)
        codes = about.get("must_contain") or about["text"].split()
        yield Photograph(folder / about["file"], tuple(plain(code) for code in codes))


def plain(text: str) -> str:
    """A text in capitals without blanks."""
    return "".join(text.upper().split())


class Clock:
    """Seconds of wall-clock and processor time by step."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = dict.fromkeys(STEPS, 0.0)
        self.cpu: dict[str, float] = dict.fromkeys(STEPS, 0.0)

    def timed(self, step: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same work; its time is added to a step."""

        def run(*args: Any, **named: Any) -> Any:
            wall, cpu = time.perf_counter(), time.process_time()
            try:
                return work(*args, **named)
            finally:
                self.wall[step] += time.perf_counter() - wall
                self.cpu[step] += time.process_time() - cpu

        return run


def read_ours(every: Sequence[Photograph], model: Path | None) -> list[Found]:
    """Read photographs as ``Reader.read`` does; by the shipped model if none is given."""
    reader, found = Reader(model, barcodes=False), list[Found]()
    finder, recognize = reader._finder(shipped_detector()), reader._recognize
    find = finder.find
    reader.read(every[0].path)  # kernels are compiled at first use
    for photograph in every:
        clock = Clock()
        finder.find = clock.timed("detect", find)
        reader._recognize = clock.timed("recognize", recognize)
        wall, cpu = time.perf_counter(), time.process_time()
        image = clock.timed("load", load_image)(photograph.path)
        record = reader.read(image.pixels)
        clock.wall["all"], clock.cpu["all"] = time.perf_counter() - wall, time.process_time() - cpu
        found.append(Found([line.text for line in record.lines], record.text, clock.wall, clock.cpu))
    return found


def read_general(python: Path, every: Sequence[Photograph]) -> list[Found]:
    """Read photographs with rapidocr's detector and recognizer."""
    paths = json.dumps([str(photograph.path.absolute()) for photograph in (every[0], *every)])
    done = subprocess.run(
        [python, SCRIPT, "--lines"], input=paths, capture_output=True, text=True, check=True
    )
    found = []
    for line in done.stdout.splitlines()[1:]:
        about = json.loads(line)
        load, read = about["load"], about["read"]
        wall = {"all": load[0] + read[0], "load": load[0], "detect": about["detect"]}
        wall["recognize"] = about["recognize"]
        found.append(Found(about["lines"], None, wall, {"all": load[1] + read[1]}))
    return found


def row(name: str, folder: Path, every: Sequence[Photograph], found: Sequence[Found]) -> str:
    """One row of the table."""
    codes = sum(len(photograph.codes) for photograph in every)
    pairs = list(zip(every, found, strict=True))
    in_lines = [_contained(one.codes, [*read.lines, read.text or ""]) for one, read in pairs]
    in_text = sum(_contained(one.codes, [read.text or ""]) for one, read in pairs)
    whole = sum(n == len(one.codes) for one, n in zip(every, in_lines, strict=True))
    chosen = f"{in_text}" if found[0].text is not None else "–"
    lines = sum(len(read.lines) for read in found) / len(found)
    cells = [
        name,
        folder.name,
        f"{len(every)}",
        f"{sum(in_lines)} of {codes}",
        chosen,
        f"{whole}",
        f"{lines:.1f}",
        *(_ms([read.wall.get(step) for read in found]) for step in ("all", *STEPS)),
        _ms([read.cpu.get("all") for read in found]),
    ]
    return f"| {' | '.join(cells)} |"


HEADER = (
    "| reader | set | photographs | codes in some line | in the text | photographs with all | lines "
    "| ms | load | detect | recognize | processor ms |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def _contained(codes: Sequence[str], texts: Sequence[str]) -> int:
    readable = [plain(text) for text in texts]
    return sum(any(code in text for text in readable) for code in codes)


def _ms(seconds: Sequence[float | None]) -> str:
    known = [value for value in seconds if value is not None]
    return f"{1000 * sum(known) / len(known):.0f}" if known else "–"


def main() -> None:
    """Print a table of all folders, and write it if wanted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--general", type=Path, metavar="PYTHON")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    table = [HEADER]
    for folder in given.folders:
        every = photographs(folder, given.limit)
        table.append(row("serialread", folder, every, read_ours(every, given.model)))
        if given.general:
            table.append(row(GENERAL, folder, every, read_general(given.general, every)))
    print("\n".join(table))
    if given.out:
        given.out.write_text("\n".join(table) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
