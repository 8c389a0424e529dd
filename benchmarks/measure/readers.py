"""What readers say about crops: a model at one view, a model as the command reads, a general reader."""

import csv
import json
import math
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.measure.crops import LabelledCrop
from serialread.config import StationView
from serialread.evaluation import evaluate_crops
from serialread.imaging import load_image, normalize
from serialread.inference.session import Engine
from serialread.reader import Picture, Reader, log_odds
from serialread.records import Sample

GENERAL = "PP-OCRv6 small"
"""The recognizer of rapidocr 3.10.0."""
ONE_VIEW = ", one view"
"""Ends the name of a model that reads every crop once, as it is."""
AS_IS = StationView(find_lines=False, deskew=False)
_SCRIPT = Path(__file__).with_name("general_reader.py")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reader read in one crop.

    Attributes:
        odds: the reader's own log-odds that the whole text is right.
        caseless: the text once upper and lower case of a letter are one class; "" if unknown.
    """

    text: str
    odds: float
    caseless: str = ""


Answers = dict[str, list[Answer]]
"""Answers by reader; each list follows the order of the crops."""


def one_view(model: Path, crops: Sequence[LabelledCrop]) -> list[Answer]:
    """Read every crop as it is, once, as ``serialread model evaluate`` does but in the shipped precision."""
    engine = Engine(model, outputs=None)
    samples = [Sample(normalize(load_image(crop.path), AS_IS).pixels, crop.truth) for crop in crops]
    found: dict[int, Answer] = {}
    for read in evaluate_crops(engine, samples):
        number = int(read.crop_id.rpartition(":")[2])
        found[number] = Answer(read.text, _log_odds(read.confidence), read.caseless)
    return [found[number] for number in range(len(crops))]


def as_the_command(model: Path, crops: Sequence[LabelledCrop]) -> list[Answer]:
    """Read every crop as ``serialread read`` does: lines, orientation, further views."""
    records = Reader(model).read_many([Picture(crop.path, crop.image) for crop in crops])
    return [
        Answer(record.text, log_odds(record.reading) if record.reading else -math.inf) for record in records
    ]


def general(python: Path, crops: Sequence[LabelledCrop]) -> list[Answer]:
    """Read every crop with rapidocr's recognizer, in the environment of an interpreter."""
    paths = json.dumps([str(crop.path.absolute()) for crop in crops])
    done = subprocess.run([python, _SCRIPT], input=paths, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return [Answer(text, _log_odds(score) if text else -math.inf) for text, score in lines]


def _log_odds(probability: float) -> float:
    inside = min(max(probability, 1e-12), 1 - 1e-12)
    return math.log(inside) - math.log1p(-inside)


def odds_of(answers: Sequence[Answer]) -> np.ndarray:
    """Log-odds [N]; -inf where nothing was read: an empty reading is rejected, however certain."""
    return np.array([answer.odds if answer.text else -math.inf for answer in answers])


def save(answers: Sequence[Answer], crops: Sequence[LabelledCrop], path: Path) -> None:
    """Write answers as CSV: ground, image, text, odds, caseless."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ground", "image", "truth", "text", "odds", "caseless"])
        for answer, crop in zip(answers, crops, strict=True):
            row = [crop.ground, crop.image, crop.truth, answer.text, f"{answer.odds:.6g}", answer.caseless]
            writer.writerow(row)


def saved(path: Path, crops: Sequence[LabelledCrop]) -> list[Answer]:
    """Answers that were written before; every crop needs one."""
    with path.open(encoding="utf-8", newline="") as file:
        known = {(row["ground"], row["image"]): row for row in csv.DictReader(file)}
    rows = []
    for crop in crops:
        row = known.get((crop.ground, crop.image))
        if row is None or row.get("truth", crop.truth) != crop.truth:
            raise SystemExit(f"{path}: no answer for {crop.ground}/{crop.image}. Read these crops again.")
        rows.append(row)
    return [Answer(row["text"], float(row.get("odds") or "-inf"), row.get("caseless") or "") for row in rows]
