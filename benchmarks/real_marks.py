"""How well a model reads photographs of real marks.

    python benchmarks/real_marks.py FOLDER [--model FILE] [--json OUT] [--sets NAME ...] [--wrong]

FOLDER holds sets of labelled crops (<set>/images, <set>/labels.csv with filename,text) and, in _photos/<set>,
whole photographs with truth.jsonl. All are read as the command reads them.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from serialread.calibration import load_labelled
from serialread.metrics import Protocol, mpsc, strict, wilson
from serialread.reader import Picture, Reader
from serialread.weights import shipped_model

BOLD = ("atomhack_marking", "chip_74ls", "metal_stamp", "container_plate")
"""Marks on parts: the main use."""


@dataclass(frozen=True, slots=True)
class SetScore:
    name: str
    crops: int
    mpsc_right: int
    strict_right: int

    @property
    def mpsc_percent(self) -> float:
        return 100 * self.mpsc_right / self.crops

    def line(self) -> str:
        low, high = wilson(self.mpsc_right, self.crops)
        strict_percent = 100 * self.strict_right / self.crops
        return (
            f"| {self.name} | {self.crops} | {self.mpsc_percent:.1f} | {100 * low:.1f}-{100 * high:.1f} "
            f"| {strict_percent:.1f} |"
        )


def texts_of(reader: Reader, pictures: list[Picture]) -> list[str]:
    return [record.reading.text if record.reading else "" for record in reader.read_many(pictures)]


def score_crops(reader: Reader, folder: Path, *, show_wrong: bool) -> SetScore:
    known = load_labelled(folder)
    pairs = list(zip(texts_of(reader, list(known.pictures)), known.truths, strict=True))

    def right(protocol: Protocol) -> int:
        return sum(protocol(text) == protocol(truth) for text, truth in pairs)

    if show_wrong:
        for (text, truth), picture in zip(pairs, known.pictures, strict=True):
            if mpsc(text) != mpsc(truth):
                print(f"    {picture.image}: {truth} read as {text}")
    return SetScore(folder.name, len(pairs), right(mpsc), right(strict))


def score_photos(reader: Reader, folder: Path, *, show: bool) -> dict[str, int | str]:
    """How many of the codes are contained in the reading of their photograph."""
    truths = [json.loads(line) for line in (folder / "truth.jsonl").read_text(encoding="utf-8").splitlines()]
    found = texts_of(reader, [Picture(folder / t["file"], t["file"]) for t in truths])
    wanted = [t["must_contain"] if "must_contain" in t else t["text"].split() for t in truths]
    hits = [[mpsc(w) in mpsc(text) for w in named] for text, named in zip(found, wanted, strict=True)]
    if show:
        for t, text, named in zip(truths, found, wanted, strict=True):
            print(f"    {t['file']}: {' '.join(named)} read as {text}")
    return {
        "name": folder.name,
        "photos": len(truths),
        "photos_with_one": sum(any(h) for h in hits),
        "named": sum(len(h) for h in hits),
        "found": sum(sum(h) for h in hits),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sets", nargs="*", help="only these sets; without names only the photographs")
    parser.add_argument("--wrong", action="store_true", help="list the wrong readings")
    args = parser.parse_args()
    reader = Reader(args.model or shipped_model())
    folders = [f for f in sorted(args.folder.iterdir()) if (f / "labels.csv").is_file()]
    print(
        f"model {reader.model_id}\n\n"
        "| set | crops | MPSC % | 95 % interval | strict % |\n|---|---|---|---|---|"
    )
    scores = []
    for folder in folders:
        if args.sets is None or folder.name in args.sets:
            scores.append(score_crops(reader, folder, show_wrong=args.wrong))
            print(scores[-1].line(), flush=True)
    bold = [s.mpsc_percent for s in scores if s.name in BOLD]
    mean = sum(bold) / len(bold) if len(bold) == len(BOLD) else None
    if mean is not None:
        print(f"\nmean over {', '.join(BOLD)}: {mean:.1f}")
    photos = [score_photos(reader, f, show=args.wrong) for f in sorted((args.folder / "_photos").glob("*"))]
    for p in photos:
        print(
            f"{p['name']}: {p['found']} of {p['named']} named codes found in {p['photos']} photographs, "
            f"{p['photos_with_one']} photographs with one of theirs"
        )
    if args.json:
        report = {
            "model_id": reader.model_id,
            "bold_mean": mean,
            "sets": [asdict(s) for s in scores],
            "photos": photos,
        }
        args.json.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
