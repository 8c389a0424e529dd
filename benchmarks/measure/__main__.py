"""Decide whether a model ships: everything that is measured of it, in one run, beside other readers.

    python -m benchmarks.measure [MODEL ...] --real FOLDER --out DIR [--general PYTHON | --readings FILE ...]

A MODEL is a model file or a training run; without one, the shipped model. It is measured at one view and as
the command reads. FOLDER holds labelled sets (<set>/images, <set>/labels.csv with filename,text) and, in
_photos/<set>, photographs with truth.jsonl. PYTHON is the interpreter of an environment with rapidocr
(``pip install rapidocr==3.10.0 onnxruntime``), whose recognizer, PP-OCRv6 small, reads the same crops; or
--readings takes answers that an earlier run, or another program, wrote as SECTION-READER.csv.

DIR gets report.md, measures.json, readings/SECTION-READER.csv and the rendered crops.
"""

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.measure import crops as grounds, readers, scores, speed, views
from benchmarks.measure.crops import LabelledCrop
from benchmarks.measure.readers import GENERAL, ONE_VIEW, Answers
from benchmarks.measure.scores import Target
from serialread.metrics import mpsc
from serialread.reader import Picture, Reader
from serialread.weights import shipped_model

SECTIONS = ("real", "processes", "gaps", "arbitrary", "photographs", "views", "speed", "profile")
MARKS = Path("recipes/data/marks-heldout.toml")
ARBITRARY = Path("recipes/data/arbittext-heldout.toml")


class Measurement:
    """Readers, and what was found so far."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.out = args, args.out
        self.models = dict(map(_opened, args.models or [shipped_model()]))
        self.general: Path | None = args.general
        self.parts: list[str] = []
        self.measures: dict[str, Any] = {"models": {n: str(p) for n, p in self.models.items()}}
        self.targets: dict[str, list[Target]] = {name: [] for name in self.models}

    def answers(self, crops: list[LabelledCrop], section: str, *, command: bool = True) -> Answers:
        """What every reader says about the crops; also written as CSV."""
        found: Answers = {}
        for name, model in self.models.items():
            found[name + ONE_VIEW] = readers.one_view(model, crops)
            if command:
                found[name] = readers.as_the_command(model, crops)
        known = {path.stem.removeprefix(f"{section}-"): path for path in self.args.readings}
        for name, path in known.items():
            if name != path.stem:
                found[name] = readers.saved(path, crops)
        if self.general and GENERAL not in found:
            found[GENERAL] = readers.general(self.general, crops)
        for name, given in found.items():
            readers.save(given, crops, self.out / "readings" / f"{section}-{name}.csv")
        return found

    def add(self, title: str, *tables: str) -> None:
        """A section of the report; the report is written again."""
        self.parts.append("\n\n".join((f"## {title}", *tables)))
        print(self.parts[-1] + "\n", flush=True)
        self.write()

    def write(self) -> None:
        targets = scores.targets_table({name: made for name, made in self.targets.items() if made})
        page = [
            "# Measurement",
            "Models: " + ", ".join(self.models) + ".",
            *self.parts,
            "## Targets",
            targets,
        ]
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / "report.md").write_text("\n\n".join(page) + "\n", encoding="utf-8")
        self.measures["targets"] = {name: [asdict(t) for t in made] for name, made in self.targets.items()}
        text = json.dumps(self.measures, indent=1, default=str)
        (self.out / "measures.json").write_text(text + "\n", encoding="utf-8")


def _opened(model: Path) -> tuple[str, Path]:
    """A model file's id and path; a training run is exported next to its checkpoints first."""
    from serialread.inference.session import Engine

    if model.suffix != ".onnx":
        from serialread import training

        model = training.export(model, (model if model.is_dir() else model.parent) / f"{model.stem}.onnx")
    return Engine(model).card.model_id, model


# ------------------------------------------------------------------------------------------ sections


def real(m: Measurement) -> None:
    """Accuracy on the real sets, edits, paired tests, confidence."""
    crops = grounds.real_crops(m.args.real, m.args.sets)
    answers = m.answers(crops, "real")
    about = "Letters and digits, case ignored, %; in brackets the 95 % Wilson interval."
    m.add("Real sets", about, scores.accuracy_table(crops, answers))
    about = "The half on which nothing is chosen; in brackets the whole set with case and symbols."
    m.add("Reported half", about, scores.halves_table(crops, answers))
    m.add("Edits per 100 characters", scores.edits_table(crops, answers))
    m.add("Readers compared, McNemar", scores.pairs_table(crops, answers))
    m.add(
        "Confidence",
        "Calibration and threshold from one half of each set, every figure from the other half.",
        scores.confidence_table(crops, answers),
    )
    m.measures["real"] = {
        reader: {
            "bold_mean": scores.bold_mean(found),
            "bold_mean_reported": scores.bold_mean(found, reported=True),
            "sets": {ground: asdict(accuracy) for ground, accuracy in found.items()},
        }
        for reader, found in scores.accuracies(crops, answers).items()
    }
    first = next(iter(m.models))
    for name, made in m.targets.items():
        made += scores.accuracy_targets(crops, answers, name, first)
    m.write()


def processes(m: Measurement) -> None:
    """Accuracy by marking process on rendered crops in typefaces that were never used for training."""
    recipe, count = m.args.marks, m.args.count
    crops = grounds.rendered_crops(
        recipe, "marks", grounds.MARKS_SEED, count, m.out / "crops", by_process=True
    )
    answers = m.answers(crops, "processes")
    about = f"`{recipe}`, seed {grounds.MARKS_SEED}, {count} crops of each process; letters and digits."
    m.add("Marking processes", about, scores.process_table(crops, answers))
    found: dict[str, dict[str, list[int]]] = {}
    for reader, given in answers.items():
        for crop, good in zip(crops, scores.right(crops, given), strict=True):
            tally = found.setdefault(reader, {}).setdefault(crop.process, [0, 0])
            tally[0], tally[1] = tally[0] + int(good), tally[1] + 1
    m.measures |= {"processes": found, "process_of": {crop.image: crop.process for crop in crops}}
    m.write()


def gaps(m: Measurement) -> None:
    """Codes with one gap of one to three character widths against the same codes without."""
    crops = grounds.gap_pairs(m.args.pairs, m.out / "crops")
    answers = m.answers(crops, "gaps")
    about = f"{m.args.pairs} codes of `{grounds.GAP_RECIPES['gap']}`, seed {grounds.GAP_SEED}."
    m.add("Gaps", about, scores.gap_table(crops, answers))
    for name, made in m.targets.items():
        good = scores.right(crops, answers[name])
        even, gap = (scores.places(crops, [ground]) for ground in ("even", "gap"))
        more = 100 * float(good[even].mean() - good[gap].mean())
        made.append(Target("more errors at gaps", "at most 1 % of the codes", f"{more:+.1f}", more <= 1))


def arbitrary(m: Measurement) -> None:
    """Arbitrary sequences as printed scene text, after ArbitText, by 36 characters, at one view."""
    recipe, count = m.args.arbitrary, m.args.sequences
    crops = grounds.rendered_crops(recipe, "arbitrary", grounds.ARBITRARY_SEED, count, m.out / "crops")
    answers = m.answers(crops, "arbitrary", command=False)
    m.add("Arbitrary sequences", f"{count} crops of `{recipe}`.", scores.arbitrary_table(crops, answers))
    for name, made in m.targets.items():
        share = 100 * float(scores.right_by_36(crops, answers[name + ONE_VIEW]).mean())
        made.append(Target("arbitrary sequences by 36", "at least 75 %", f"{share:.1f}", share >= 75))


def photographs(m: Measurement) -> None:
    """Named codes that the readings of whole photographs contain."""
    rows = []
    for folder in sorted(path.parent for path in (m.args.real / "_photos").glob("*/truth.jsonl")):
        lines = (folder / "truth.jsonl").read_text(encoding="utf-8").splitlines()
        truths = [json.loads(line) for line in lines]
        wanted = [t.get("must_contain") or t["text"].split() for t in truths]
        for name, model in m.models.items():
            records = Reader(model).read_many([Picture(folder / t["file"], t["file"]) for t in truths])
            texts = [mpsc(record.text) for record in records]
            hits = sum(mpsc(w) in text for text, named in zip(texts, wanted, strict=True) for w in named)
            rows.append([folder.name, name, len(truths), hits, sum(map(len, wanted))])
    heads = ["photographs", "reader", "pictures", "named codes found", "of"]
    m.add("Whole photographs", scores.table(heads, rows))


def choose_views(m: Measurement) -> None:
    """Further views and the confidence below which they are read."""
    crops = grounds.real_crops(m.args.real, m.args.sets)
    crops += grounds.rendered_crops(m.args.marks, "views", grounds.CHOICE_SEED, m.args.count, m.out / "crops")
    for name, model in m.models.items():
        m.add(f"Views of {name}", views.choices_table(views.choices(model, crops)))


def speeds(m: Measurement) -> None:
    """The whole command on real crops, beside the general reader's recognition alone."""
    found = speed.measured(grounds.real_crops(m.args.real, m.args.sets), m.args.speed, m.models, m.general)
    m.add("Speed", speed.speed_table(found))
    m.measures["speed"] = {name: asdict(one) for name, one in found.items()}
    for name, made in m.targets.items():
        made += speed.speed_targets(found, name)
    m.write()


def profile(m: Measurement) -> None:
    """Where the time of a crop goes."""
    crops = grounds.real_crops(m.args.real, m.args.sets)
    some = crops[:: max(math.ceil(len(crops) / 300), 1)]
    for name, model in m.models.items():
        m.add(f"Steps of {name}", speed.profile_table(model, some))


RUN: dict[str, Callable[[Measurement], None]] = dict(
    zip(
        SECTIONS,
        (real, processes, gaps, arbitrary, photographs, choose_views, speeds, profile),
        strict=True,
    )
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", type=Path, nargs="*", help="the first is what the others are compared with")
    parser.add_argument("--real", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--general", type=Path, metavar="PYTHON")
    parser.add_argument("--readings", type=Path, nargs="*", default=[], metavar="SECTION-READER.csv")
    parser.add_argument("--only", nargs="*", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--sets", nargs="*", help="only these real sets")
    parser.add_argument("--marks", type=Path, default=MARKS, help="recipe of held-out marks")
    parser.add_argument("--arbitrary", type=Path, default=ARBITRARY, help="recipe of arbitrary sequences")
    parser.add_argument("--count", type=int, default=300, help="rendered crops of a process, and for views")
    parser.add_argument("--pairs", type=int, default=1000, help="codes with and without a gap")
    parser.add_argument("--sequences", type=int, default=3000, help="arbitrary sequences")
    parser.add_argument("--speed", type=int, default=2000, help="crops, repeated")
    args = parser.parse_args()
    measurement = Measurement(args)
    for section in args.only:
        RUN[section](measurement)


if __name__ == "__main__":
    main()
