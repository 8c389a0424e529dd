"""Write the card of a model from what made it and what was measured of it.

    python -m benchmarks.measure.card MODEL --measured DIR --out FOLDER [--run RUN ...] [--store STORE ...]

RUN is a training run, or a checkpoint of one, in the order of training; STORE a store that it learned from;
DIR what ``benchmarks.measure`` wrote for MODEL. FOLDER gets CARD.md and weaknesses.png: rendered marks that
the model misreads with the highest confidence, of the processes that it reads worst.
"""

import argparse
import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure.readers import AS_IS
from benchmarks.measure.scores import table, with_interval
from serialread.config import recipe_id
from serialread.datasets import SampleStore
from serialread.imaging import load_image, normalize, save_png
from serialread.inference.session import Engine
from serialread.metrics import mpsc
from serialread.models import describe
from serialread.records import Origin, Sample
from serialread.synth.preview import contact_sheet
from serialread.training import checkpoint

SHOWN = 24
"""Misread marks on the sheet."""
WEAKEST = 4
"""Processes that they are taken from."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One training run: what it learned with, how long."""

    name: str
    recipe: str
    seed: int
    steps: int
    crops: int
    hours: float | None

    @classmethod
    def of(cls, run: Path) -> "Stage":
        saved = checkpoint.load(run)
        knobs, log = saved.recipe.optimization, (run if run.is_dir() else run.parent) / "log.jsonl"
        lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
        return cls(
            saved.recipe.name,
            recipe_id(saved.recipe),
            saved.recipe.seed,
            saved.steps,
            saved.steps * knobs.batch,
            hours(map(json.loads, lines), knobs.batch) if lines else None,
        )

    def row(self) -> list[object]:
        spent = "unknown" if self.hours is None else f"{self.hours:.1f}"
        return [self.name, self.recipe, self.seed, f"{self.steps:,}", f"{self.crops:,}", spent]


def hours(lines: Iterable[dict[str, float]], batch: int) -> float:
    """Hours of training by a run's log: the steps between two of its lines at the speed that it names."""
    spent, before = 0.0, 0.0
    for line in lines:
        if line.get("crops_per_s"):
            spent += (line["step"] - before) * batch / line["crops_per_s"]
            before = line["step"]
    return spent / 3600


def store_row(path: Path) -> list[object]:
    """Recipe, seed, crops and typefaces of a store."""
    about = SampleStore(path).about
    recipe = about.get("recipe_id", "imported")
    return [path.name, recipe, about.get("seed", ""), about.get("count", ""), len(about.get("typefaces", ()))]


def misread(rows: Sequence[dict[str, str]], processes: dict[str, str]) -> list[dict[str, str]]:
    """Wrong answers of the processes with the most of them, most confident first.

    Args:
        rows: answers as ``readers.save`` writes them.
        processes: the marking process of every image.
    """
    wrong = [row for row in rows if mpsc(row["text"]) != mpsc(row["truth"])]
    counts: dict[str, int] = {}
    for row in wrong:
        counts[processes[row["image"]]] = counts.get(processes[row["image"]], 0) + 1
    weakest = sorted(counts, key=lambda process: -counts[process])[:WEAKEST]
    of_these = [row for row in wrong if processes[row["image"]] in weakest]
    return sorted(of_these, key=lambda row: -float(row["odds"]))[:SHOWN]


def weaknesses(measured: Path, name: str, processes: dict[str, str], out: Path) -> int:
    """Draw the misread marks, each with its code and its reading; how many."""
    with (measured / "readings" / f"processes-{name}.csv").open(encoding="utf-8", newline="") as file:
        wrong = misread(list(csv.DictReader(file)), processes)
    samples = []
    for row in wrong:
        picture = load_image(measured / "crops" / "marks" / row["image"])
        origin = Origin(processes[row["image"]], "", ())
        caption = f"{row['truth']} read as {row['text']}"
        samples.append(Sample(normalize(picture, AS_IS).pixels, caption, None, origin))
    save_png(contact_sheet(samples), out, "a contact sheet")
    return len(wrong)


def written(args: argparse.Namespace) -> str:
    """The card as Markdown."""
    card, megabytes = Engine(args.model).card, args.model.stat().st_size / 1e6
    found = json.loads((args.measured / "measures.json").read_text(encoding="utf-8"))
    tables = (args.measured / "report.md").read_text(encoding="utf-8").partition("\n## ")[2]
    parts = [
        f"# {card.model_id}",
        f"Reads one line of a code, up to {card.capacity} of {len(card.alphabet.chars)} characters, at "
        f"{card.geometry.height} px height; topology `{card.topology}`; {megabytes:.1f} MB.",
        "## How it was made",
    ]
    if args.run:
        last = checkpoint.load(args.run[-1])
        size = describe(last.recipe.name, last.recipe.network, last.recipe.geometry, last.alphabet)
        parts.append(
            f"{size.parameters_test / 1e6:.2f} million parameters at test, {size.macs / 1e6:.0f} million "
            f"multiply-accumulates a crop of {size.width} px."
        )
        heads = ["run", "recipe", "seed", "steps", "crops seen", "hours"]
        parts.append(table(heads, [Stage.of(run).row() for run in args.run]))
    if args.store:
        heads = ["store", "recipe", "seed", "crops", "typefaces"]
        parts.append(table(heads, map(store_row, args.store)))
    parts.append("## " + tables.strip())
    parts.append("## Weaknesses")
    if made_by := found.get("process_of"):
        shares = found["processes"][card.model_id]
        weakest = sorted(shares, key=lambda name: shares[name][0] / shares[name][1])[:WEAKEST]
        listed = ", ".join(f"{name} {with_interval(*shares[name])} %" for name in weakest)
        count = weaknesses(args.measured, card.model_id, made_by, args.out / "weaknesses.png")
        parts.append(
            f"Weakest on rendered {listed}. The {count} misread marks of these in which it is most confident:"
        )
        parts.append("![Misread marks](weaknesses.png)")
    parts += [note.read_text(encoding="utf-8").strip() for note in args.notes]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--measured", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--run", type=Path, nargs="*", default=[])
    parser.add_argument("--store", type=Path, nargs="*", default=[])
    parser.add_argument(
        "--notes", type=Path, nargs="*", default=[], help="Markdown to append, such as limits"
    )
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "CARD.md").write_text(written(args), encoding="utf-8")


if __name__ == "__main__":
    main()
