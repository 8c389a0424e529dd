"""What each step of normalization gains: every one switched off, the rest as they are.

    python benchmarks/normalization.py FOLDER [--model FILE] [--every N] [--sets NAME ...] [--out FILE]

FOLDER is that of benchmarks/real_marks.py. A row is a reader without one step: letters and digits right in
any case, in every set of crops; named codes held by what is read of whole photographs; processor seconds.
"""

import argparse
import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import process_time
from unittest.mock import patch

from serialread.config import Station, StationView
from serialread.imaging import crops
from serialread.metrics import mpsc
from serialread.reader import Picture, Reader, searching
from serialread.weights import shipped_model

BOLD = ("atomhack_marking", "chip_74ls", "metal_stamp", "container_plate")
VIEWS = {
    "all steps": StationView(),
    "lines are not looked for": StationView(find_lines=False),
    "rows are not joined": StationView(rows="surest"),
    "found lines are read one way up": StationView(upside_down="never"),
    "all lines are read both ways up": StationView(upside_down="both"),
    "tilt stays": StationView(deskew=False),
    "tall ones are not turned": StationView(vertical_text="never"),
}
PATCHES = {
    "four lines at most": (searching, "MOST_LINES", 4),
    "every picture is searched": (crops, "is_filled", lambda frame: False),
}


@contextmanager
def without(step: str) -> Iterator[StationView]:
    """The view of a reader that lacks a step."""
    if step in VIEWS:
        yield VIEWS[step]
        return
    place, name, instead = PATCHES[step]
    with patch.object(place, name, instead):
        yield StationView()


def crops_of(folder: Path, every: int) -> list[tuple[Picture, list[str]]]:
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[::every]
    return [(Picture(folder / "images" / r["filename"], r["filename"]), [r["text"]]) for r in rows]


def photos_of(folder: Path, every: int) -> list[tuple[Picture, list[str]]]:
    truths = [json.loads(line) for line in (folder / "truth.jsonl").read_text(encoding="utf-8").splitlines()]
    return [
        (Picture(folder / t["file"], t["file"]), t.get("must_contain") or t["text"].split()) for t in truths
    ][::every]


def held(reader: Reader, known: list[tuple[Picture, list[str]]], *, whole: bool) -> str:
    """How many of the named texts are what was read, or a part of it."""
    records = reader.read_many([picture for picture, _ in known])
    texts = [mpsc(r.reading.text) if r.reading else "" for r in records]
    pairs = [(mpsc(name), text) for text, (_, names) in zip(texts, known, strict=True) for name in names]
    hits = sum(name == text if whole else name in text for name, text in pairs)
    return f"{hits} of {len(pairs)}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take every so many-th picture of each set")
    parser.add_argument("--sets", nargs="*", default=BOLD, help="sets of crops")
    parser.add_argument("--out", type=Path, help="Markdown to write as well")
    asked = parser.parse_args()
    photos = sorted(p for p in (asked.folder / "_photos").glob("*") if (p / "truth.jsonl").is_file())
    reader = Reader(asked.model or shipped_model())
    told = [f"model {reader.model_id}, every {asked.every}. picture", ""] if asked.every > 1 else []
    told += ["| without | " + " | ".join((*asked.sets, *(f"photos: {p.name}" for p in photos), "s")) + " |"]
    told += ["|---" * (len(asked.sets) + len(photos) + 2) + "|"]
    print("\n".join(told))
    for step in (*VIEWS, *PATCHES):
        started = process_time()
        with without(step) as view:
            at = reader.at(Station(view=view))
            cells = [held(at, crops_of(asked.folder / s, asked.every), whole=True) for s in asked.sets]
            cells += [held(at, photos_of(p, asked.every), whole=False) for p in photos]
        told.append("| " + " | ".join((step, *cells, f"{process_time() - started:.0f}")) + " |")
        print(told[-1], flush=True)
    if asked.out:
        asked.out.write_text("\n".join(told) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
