"""The crops that models are measured on: real sets, and rendered ones that are written as files.

Every reader gets the same files. Views and thresholds are chosen on rendered crops and on one half of each
real set; the other half is for reporting.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from serialread.calibration import load_labelled
from serialread.config import DataRecipe, load
from serialread.records import Sample
from serialread.synth import make_sample

BOLD = ("atomhack_marking", "chip_74ls", "metal_stamp", "container_plate")
"""Marks on parts: the main use."""
MARKS_SEED, CHOICE_SEED, GAP_SEED, ARBITRARY_SEED = 41, 42, 43, 2
"""Seeds of the rendered crops; views are chosen on others than those that accuracy is reported on."""
GAP_RECIPES = {
    "even": Path("recipes/data/gap-pairs-closed.toml"),
    "gap": Path("recipes/data/gap-pairs.toml"),
}


@dataclass(frozen=True, slots=True)
class LabelledCrop:
    """One crop and what it says.

    Attributes:
        ground: the real set, or the kind of rendered crop.
        image: name of the file in its ground.
        process: how it was marked; "" if unknown.
    """

    ground: str
    image: str
    path: Path
    truth: str
    process: str = ""

    @property
    def is_for_choosing(self) -> bool:
        """Whether views and thresholds may be chosen on it: half of a set, by the hash of the file's name."""
        return hashlib.sha256(self.image.encode()).digest()[0] % 2 == 0


def real_crops(folder: Path, sets: Sequence[str] | None = None) -> list[LabelledCrop]:
    """All crops of the labelled sets (<set>/labels.csv) of a folder, or of some of them."""
    found = []
    for place in sorted(path.parent for path in folder.glob("*/labels.csv")):
        if sets is None or place.name in sets:
            known = load_labelled(place)
            found += [
                LabelledCrop(place.name, picture.image, picture.path, truth)
                for picture, truth in zip(known.pictures, known.truths, strict=True)
            ]
    return found


def rendered_crops(
    recipe: Path, ground: str, seed: int, count: int, out: Path, *, by_process: bool = False
) -> list[LabelledCrop]:
    """Render crops; ``count`` of them, or ``count`` of each marking process."""
    loaded = load(recipe, DataRecipe)
    parts = loaded.by_process() if by_process else (loaded,)
    numbered = ((part, number * count + i) for number, part in enumerate(parts) for i in range(count))
    samples = (make_sample(part, seed, index) for part, index in numbered)
    return _written(samples, ground, out)


def gap_pairs(count: int, out: Path) -> list[LabelledCrop]:
    """The same codes and marks without a gap (ground ``even``) and with one (ground ``gap``)."""
    return [
        crop
        for ground, recipe in GAP_RECIPES.items()
        for crop in rendered_crops(recipe, ground, GAP_SEED, count, out)
    ]


def _written(samples: Iterator[Sample], ground: str, out: Path) -> list[LabelledCrop]:
    folder, found = out / ground, []
    folder.mkdir(parents=True, exist_ok=True)
    for number, sample in enumerate(samples):
        path = folder / f"{number:05d}.png"
        cv2.imwrite(str(path), sample.pixels)
        process = sample.origin.process if sample.origin else ""
        found.append(LabelledCrop(ground, path.name, path, sample.text, process))
    return found
