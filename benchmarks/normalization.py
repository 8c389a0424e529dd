"""What each step of normalization gains: one step at a time is switched off.

    python benchmarks/normalization.py FOLDER [--model FILE] [--every N] [--sets NAME ...] [--out FILE]

FOLDER is that of benchmarks/measure. A row is a reader without one step: crops read right in every
set, by letters and digits; codes contained in the readings of whole photographs; processor seconds.
"""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import process_time
from unittest.mock import patch

from serialread.calibration import load_labelled
from serialread.config import Station, StationView
from serialread.metrics import mpsc
from serialread.reader import Picture, Reader, expected_lines, pipeline
from serialread.weights import shipped_model

BOLD = ("atomhack_marking", "chip_74ls", "metal_stamp", "container_plate")
VIEWS = {
    "all steps": StationView(),
    "lines are not detected": StationView(find_lines=False),
    "rows are not joined": StationView(rows="best"),
    "detected lines are read upright only": StationView(upside_down="never"),
    "all lines are read in both orientations": StationView(upside_down="both"),
    "tilt is not removed": StationView(deskew=False),
    "vertical lines are not rotated": StationView(vertical_text="never"),
}
PATCHES = {
    "four lines at most": (expected_lines, "MAX_DETECTED", 4),
    "every picture is searched": (pipeline, "is_one_line", lambda frame: False),
}


@contextmanager
def without(step: str) -> Iterator[StationView]:
    """The view of a reader without a step."""
    if step in VIEWS:
        yield VIEWS[step]
        return
    module, name, value = PATCHES[step]
    with patch.object(module, name, value):
        yield StationView()


def crops_of(folder: Path, every: int) -> list[tuple[Picture, list[str]]]:
    known = load_labelled(folder)
    return [(picture, [text]) for picture, text in zip(known.pictures, known.truths, strict=True)][::every]


def photos_of(folder: Path, every: int) -> list[tuple[Picture, list[str]]]:
    truths = [json.loads(line) for line in (folder / "truth.jsonl").read_text(encoding="utf-8").splitlines()]
    return [
        (Picture(folder / t["file"], t["file"]), t.get("must_contain") or t["text"].split()) for t in truths
    ][::every]


def containing(reader: Reader, known: list[tuple[Picture, list[str]]], *, whole: bool) -> str:
    """How many of the texts are equal to the reading, or contained in it."""
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
    parser.add_argument("--every", type=int, default=1, help="read every Nth picture of each set")
    parser.add_argument("--sets", nargs="*", default=BOLD, help="sets of crops")
    parser.add_argument("--out", type=Path, help="Markdown to write as well")
    args = parser.parse_args()
    photos = sorted(p for p in (args.folder / "_photos").glob("*") if (p / "truth.jsonl").is_file())
    reader = Reader(args.model or shipped_model())
    lines = [f"model {reader.model_id}, every {args.every}. picture", ""] if args.every > 1 else []
    lines += ["| without | " + " | ".join((*args.sets, *(f"photos: {p.name}" for p in photos), "s")) + " |"]
    lines += ["|---" * (len(args.sets) + len(photos) + 2) + "|"]
    print("\n".join(lines))
    for step in (*VIEWS, *PATCHES):
        started = process_time()
        with without(step) as view:
            at = reader.at(Station(view=view))
            cells = [containing(at, crops_of(args.folder / s, args.every), whole=True) for s in args.sets]
            cells += [containing(at, photos_of(p, args.every), whole=False) for p in photos]
        lines.append("| " + " | ".join((step, *cells, f"{process_time() - started:.0f}")) + " |")
        print(lines[-1], flush=True)
    if args.out:
        args.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
