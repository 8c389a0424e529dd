"""One row of a study: train it from the common trunk, measure it everywhere, keep one JSON."""

import json
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from serialread import evaluation
from serialread.config import TrainingRecipe, load, recipe_id
from serialread.datasets import SampleSequence, SampleStore
from serialread.models import describe
from serialread.records import Sample
from serialread.training import TorchSession, card_of, checkpoint, train

ROWS = Path(__file__).parent / "rows"
MARKS = ("atomhack_marking", "chip_74ls", "metal_stamp", "container_plate")
SCENES = ("iiit5k_digits", "icdar15_digits")


@dataclass(frozen=True, slots=True)
class Budget:
    """How long every row learns; rows of one study share all of it."""

    crops: int
    minutes: float
    batch: int | None = None
    replicas: int | None = None

    def given_to(self, recipe: TrainingRecipe, seed: int) -> TrainingRecipe:
        """The recipe with this budget; it validates once, at its end."""
        knobs: dict[str, Any] = {"crops": self.crops, "validate_crops": self.crops}
        for name in ("batch", "replicas"):
            if (value := getattr(self, name)) is not None:
                knobs[name] = value
        optimization = recipe.optimization.model_copy(update=knobs)
        return recipe.model_copy(update={"seed": seed, "optimization": optimization})


@dataclass(frozen=True, slots=True)
class Grounds:
    """What every row is measured on, by name: places with labelled crops."""

    places: dict[str, tuple[Path, ...]]

    @classmethod
    def of(cls, seen: Path | None, unseen: Path | None, real: Path | None) -> "Grounds":
        """Held-out stores of typefaces seen and unseen in training, and the pooled real sets."""
        found: dict[str, tuple[Path | None, ...]] = {"seen": (seen,), "unseen": (unseen,)}
        if real is not None:
            found["marks"] = tuple(real / name for name in MARKS)
            found["scenes"] = tuple(real / name for name in SCENES)
        return cls({name: tuple(p for p in paths if p) for name, paths in found.items() if any(paths)})


def recipe_of(row: str) -> TrainingRecipe:
    """The recipe of a row's file."""
    return load(ROWS / f"{row}.toml", TrainingRecipe)


def learned(
    recipe: TrainingRecipe, data: Sequence[Sample], folder: Path, start: Path | None, minutes: float
) -> tuple[int, float]:
    """Train until the steps or the minutes are over, continuing what is there; steps and crops/s."""
    stop, started, last = threading.Event(), time.monotonic(), folder / "last.pt"
    steps, speeds = 0, list[float]()
    resume = last.is_file()
    if resume and checkpoint.load(last).steps >= recipe.optimization.steps:
        return checkpoint.load(last).steps, 0.0
    run = train(recipe, [data], folder, resume=resume, start_from=None if resume else start, stop=stop)
    with tqdm(total=recipe.optimization.steps, unit=" steps", desc=folder.name, disable=None) as bar:
        for progress in run:
            steps = progress.step
            speeds.append(progress.crops_per_s)
            bar.update(progress.step - bar.n)
            if time.monotonic() - started > 60 * minutes:
                stop.set()
    return steps, sorted(speeds)[len(speeds) // 2]


def measured(saved: checkpoint.Checkpoint, grounds: Grounds) -> dict[str, Any]:
    """Measures of a network on every ground, with the outcome of every crop for paired tests."""
    network, card = saved.network(), card_of(saved.recipe, saved.model_id, saved.steps)
    session = TorchSession(network, card)
    siga = saved.recipe.network.siga
    zeroed = TorchSession(network, card, zero_glyphs=True) if siga is not None and siga.glyphs else None
    found: dict[str, Any] = {}
    for name, places in grounds.places.items():
        measures = evaluation.evaluate_model(session, places)
        found[name] = {
            "crops": len(measures.crops),
            "right": measures.rows[0].right,
            "right_zeroed": zeroed and evaluation.evaluate_model(zeroed, places).rows[0].right,
            "looking": asdict(measures.attention),
            "by_process": [asdict(line) for line in measures.rows if line.table == "process"],
            "outcomes": {
                p: "".join(str(int(c.is_right(p))) for c in measures.crops) for p in evaluation.PROTOCOLS
            },
        }
    return found


def row(
    name: str, recipe: TrainingRecipe, data: Sequence[Sample], out: Path, start: Path | None, budget: Budget,
    grounds: Grounds,
) -> Path:  # fmt: skip
    """Train and measure one row unless its JSON is there already; returns the JSON's path."""
    path = out / f"{name}-seed{recipe.seed}.json"
    if path.is_file():
        return path
    folder, started = out / "runs" / f"{name}-seed{recipe.seed}", time.monotonic()
    steps, speed = learned(recipe, data, folder, start, budget.minutes)
    saved = checkpoint.load(folder / "last.pt")
    description = describe(name, recipe.network, recipe.geometry, saved.alphabet)
    table = {
        "row": name,
        "seed": recipe.seed,
        "recipe_id": recipe_id(recipe),
        "from_trunk": start is not None,
        "crops_seen": steps * recipe.optimization.batch,
        "whole": steps >= recipe.optimization.steps,
        "minutes": round((time.monotonic() - started) / 60, 2),
        "train_crops_per_s": round(speed, 1),
        "read_crops_per_s": round(description.crops_per_s, 1),
        "parameters_train": description.parameters_train,
        "parameters_test": description.parameters_test,
        "macs": description.macs,
        "grounds": measured(saved, grounds),
    }
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
    return path


def processes(store: SampleStore, path: Path) -> list[str]:
    """The marking process of every sample of a store; looked through once, then kept at ``path``."""
    if not path.is_file():
        found = [sample.origin.process if sample.origin else "" for sample in tqdm(store, desc="processes")]
        path.write_text(json.dumps(found), encoding="utf-8")
    made_by: list[str] = json.loads(path.read_text(encoding="utf-8"))
    return made_by


def without(store: SampleStore, made_by: Sequence[str], left_out: Iterable[str]) -> Sequence[Sample]:
    """The samples of a store but for those of some processes; read on demand."""
    others = set(made_by) - set(left_out)
    return Some(store, [i for i, process in enumerate(made_by) if process in others])


class Some(SampleSequence):
    """Some of a sequence's samples, by number."""

    def __init__(self, samples: Sequence[Sample], numbers: Sequence[int]) -> None:
        self.samples, self.numbers = samples, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def _sample(self, number: int) -> Sample:
        return self.samples[self.numbers[number]]
