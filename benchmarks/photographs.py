"""Codes found in whole photographs, and seconds a photograph: with the line detector and without it.

    python benchmarks/photographs.py FOLDER... [--detector lines.onnx] [--limit N]

A folder holds ``images/`` and ``truth.jsonl``, one JSON object a photograph: ``file``, and ``must_contain``
(the texts of its codes) or ``text`` (their texts, separated by blanks). A code counts as found if a line, or
the record's text, contains it; blanks and case do not count.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from serialread import Reader, Record, Station, StationView


class Photograph(NamedTuple):
    """A picture and the codes in it."""

    path: Path
    codes: tuple[str, ...]


def photographs(folder: Path) -> Iterator[Photograph]:
    """All photographs of a folder with the codes that matter."""
    for line in (folder / "truth.jsonl").read_text(encoding="utf-8").splitlines():
        about = json.loads(line)
        codes = about.get("must_contain") or about["text"].split()
        yield Photograph(folder / about["file"], tuple(plain(code) for code in codes))


def plain(text: str) -> str:
    """A text in capitals without blanks."""
    return "".join(text.upper().split())


def found_codes(photograph: Photograph, record: Record) -> tuple[int, int]:
    """How many codes are in some line, and how many in the record's text."""
    texts = [plain(record.text), *(plain(line.text) for line in record.lines)]
    return sum(any(code in text for text in texts) for code in photograph.codes), sum(
        code in texts[0] for code in photograph.codes
    )


def measure(folder: Path, reader: Reader, limit: int | None) -> str:
    """One line of the report."""
    every = list(photographs(folder))[:limit]
    reader.read(every[0].path)  # kernels are compiled at first use
    start, used = time.perf_counter(), time.process_time()
    records = [reader.read(photograph.path) for photograph in every]
    seconds, used = (time.perf_counter() - start) / len(every), (time.process_time() - used) / len(every)
    counts = [found_codes(photograph, record) for photograph, record in zip(every, records, strict=True)]
    codes = sum(len(photograph.codes) for photograph in every)
    whole = sum(n == len(p.codes) for p, (n, _) in zip(every, counts, strict=True))
    lines = sum(len(record.lines) for record in records) / len(every)
    return (
        f"{folder.name}: {sum(n for n, _ in counts)} of {codes} codes in some line, "
        f"{sum(n for _, n in counts)} in the text, {whole} of {len(every)} photographs with all of theirs; "
        f"{lines:.1f} lines, {seconds:.2f} s, {used:.2f} s of processor time a photograph"
    )


def main() -> None:
    """Measure every folder, without and with the detector."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--detector", type=Path)
    parser.add_argument("--limit", type=int)
    given = parser.parse_args()
    for name, detector in (("strips", None), ("detector", given.detector)):
        if name == "strips" or detector:
            reader = Reader(station=Station(view=StationView(detector=detector)), barcodes=False)
            for folder in given.folders:
                print(f"{name}, {measure(folder, reader, given.limit)}", flush=True)


if __name__ == "__main__":
    main()
