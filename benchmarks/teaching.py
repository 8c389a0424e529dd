"""What labels are worth: errors on unseen codes, the golden set and the time, after teaching 0 to 80 labels.

    python benchmarks/teaching.py FOLDER --out runs/teaching [--sets meter_lcd chip_74ls] [--labels 20 40 80]

FOLDER holds sets of labelled crops (<set>/images, <set>/labels.csv with filename,text). Each set is divided
by text: a pool of at most 80 pictures to label, and the others, which measure. A lesson sees the first labels
of the pool and nothing else; a refused model leaves the errors as they are. Weights made from these pictures
stay in --out: delete them. --from teaches other weights than the shipped ones. --protocol mpsc compares
letters and digits only. All lessons share their rendered crops, as these follow from the recipe. --trials,
--crops, --replay and --golden shorten lessons, --test the measuring.
"""

import argparse
import csv
import hashlib
import resource
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from serialread.calibration import LabelledPictures, ProtocolName, load_labelled
from serialread.errors import StoreError
from serialread.metrics import mpsc, strict
from serialread.reader import Reader
from serialread.teaching import Curriculum, teach
from serialread.teaching.lesson import WORK
from serialread.weights import shipped_weights

POOL = 80
COLUMNS = (
    *("set", "labels", "test pictures", "errors before", "errors after", "held-out errors"),
    *("golden set, points", "golden crops read by the taught network", "verdict", "rate", "s", "CPU s"),
)
LEAST_TEST = 20
"""Pictures that measure; the pool is smaller where a set has too few."""


def part(known: LabelledPictures, numbers: list[int]) -> LabelledPictures:
    pictures, truths = ([each[n] for n in numbers] for each in (known.pictures, known.truths))
    return LabelledPictures(known.folder, tuple(pictures), tuple(truths), 0)


def divided(known: LabelledPictures, most: int | None = None) -> tuple[LabelledPictures, LabelledPictures]:
    """The pool and the test pictures of a set, by text, in an order that has nothing to do with the codes."""
    counts, size, pool = Counter(known.truths), min(POOL, len(known.truths) - LEAST_TEST), list[int]()
    for text in sorted(counts, key=lambda t: hashlib.sha256(f"pool {t}".encode()).digest()):
        if len(pool) + counts[text] <= size:
            pool += [n for n, truth in enumerate(known.truths) if truth == text]
    test = [n for n in range(len(known.truths)) if n not in set(pool)]
    return part(known, pool), part(known, test[:: -(-len(test) // (most or len(test)))])


def right(model: Path, known: LabelledPictures, protocol: ProtocolName) -> int:
    records, same = Reader(model).read_many(known.pictures), mpsc if protocol == "mpsc" else strict
    return sum(same(r.text) == same(t) for r, t in zip(records, known.truths, strict=True))


def labelled_folder(known: LabelledPictures, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "images").mkdir(parents=True)
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["filename", "text"])
        for picture, truth in zip(known.pictures, known.truths, strict=True):
            shutil.copyfile(picture.path, folder / "images" / picture.path.name)
            table.writerow([picture.path.name, truth])
    return folder


def cpu_s() -> float:
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, kinds))


def lesson_row(
    name: str,
    count: int,
    known: LabelledPictures,
    start: Path,
    out: Path,
    plan: Curriculum,
    most: int | None,
    protocol: ProtocolName,
) -> str:
    pool, test = divided(known, most)
    chosen, place = part(pool, list(range(count))), out / f"{name}-{count}"
    folder = labelled_folder(chosen, out / f"{name}-{count}-labelled")
    shutil.rmtree(place, ignore_errors=True)
    rendered, crops = out / "rendered", place / WORK
    if rendered.is_dir():
        shutil.copytree(rendered, crops)
    started, used = perf_counter(), cpu_s()
    lesson = teach(
        folder, place, start_from=start, protocol=protocol, curriculum=plan, device="cpu", resume=True
    )
    for progress in lesson:
        if progress.stage.startswith("trial") and not rendered.is_dir():
            for store in ("replay", "golden"):
                shutil.copytree(crops / store, rendered / store)
        if progress.done == progress.total or progress.done % 25 == 0:
            print(f"  {progress}", flush=True)
    wall, cpu, found = perf_counter() - started, cpu_s() - used, lesson.outcome
    assert found is not None
    print(found.summary(), flush=True)
    before, after = (right(place / name, test, protocol) for name in ("versions/0/model.onnx", "model.onnx"))
    held, golden = found.gate.held_out, found.gate.golden
    verdict = "accepted" if found.ok else "refused"
    cells = [
        *(name, count, len(test.truths), len(test.truths) - before, len(test.truths) - after),
        f"{held.pictures - held.before} to {held.pictures - held.after} of {held.pictures}",
        f"{100 * (golden.won - golden.lost) / golden.pictures:+.1f} of {golden.pictures}",
        *(found.selected[1].selected, verdict, f"{found.chosen.rate:g}", f"{wall:.0f}", f"{cpu:.0f}"),
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--from", dest="start", type=Path, default=shipped_weights(), help="trainable weights"
    )
    parser.add_argument("--sets", nargs="*")
    parser.add_argument("--labels", type=int, nargs="*", default=(20, 40, 80))
    parser.add_argument("--test", type=int, help="pictures that measure, evenly drawn, at most")
    parser.add_argument("--protocol", choices=("strict", "mpsc"), default="strict")
    parser.add_argument("--trials", type=int, default=len(Curriculum().trials))
    parser.add_argument("--crops", type=int, help="of a trial")
    parser.add_argument("--replay", type=int, default=Curriculum().replay)
    parser.add_argument("--unseen", type=int, default=Curriculum().unseen)
    parser.add_argument("--golden", type=int, default=Curriculum().golden)
    parser.add_argument("--workers", type=int, default=Curriculum().workers)
    args = parser.parse_args()
    trials = [replace(t, crops=args.crops or t.crops) for t in Curriculum().trials[: args.trials]]
    plan = Curriculum(tuple(trials), args.replay, args.unseen, args.golden, args.workers)
    print(plan)
    rows = []
    for name in args.sets or sorted(path.parent.name for path in args.folder.glob("*/labels.csv")):
        known = load_labelled(args.folder / name)
        for count in args.labels:
            try:
                rows.append(
                    lesson_row(name, count, known, args.start, args.out, plan, args.test, args.protocol)
                )
            except (StoreError, IndexError) as error:
                rows.append(f"| {name} | {count} | not taught: {error} |")
            print(rows[-1], flush=True)
    print(f"\n| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
