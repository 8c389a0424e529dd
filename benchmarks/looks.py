"""What further looks at a doubtful crop are worth, and what ranks the readings best.

    python benchmarks/looks.py FOLDER STORE [--model FILE] [--count 800]

FOLDER holds sets of labelled crops (<set>/images, <set>/labels.csv with filename,text), STORE rendered ones.
Every crop is read as it is and at each of some looks, once; then the looks are put together in several ways,
as ``serialread.reader.fusion`` would. Right is what agrees in letters and digits, in any case.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from serialread.calibration import load_labelled
from serialread.config import Code, StationView
from serialread.datasets import SampleStore
from serialread.imaging import Extent, TightView, load_image, normalize, to_array
from serialread.inference.session import Engine
from serialread.metrics import mpsc
from serialread.metrics.risk import RiskCoverage
from serialread.reader import log_odds
from serialread.reader.fusion import SURE, fuse
from serialread.reader.outputs import Outputs, maps_of, reading_of, text_extent
from serialread.records import Pixels, Reading
from serialread.weights import shipped_model

MARKS = ("atomhack_marking", "chip_74ls", "metal_stamp", "container_plate")
LOOKS = {
    "1.00": TightView(1.0, 0.35),
    "0.92": TightView(0.92, 0.35),
    "0.82": TightView(0.82, 0.35),
    "0.92 wide": TightView(0.92),
    "0.82 wide": TightView(0.82),
    "0.72 wide": TightView(0.72),
}
"""By the share of the height that the text takes; wide ones keep the crop's width."""
TOGETHER = (
    (),
    ("0.92",),
    ("1.00", "0.82 wide"),
    ("1.00", "0.72 wide"),
    ("0.92", "0.82 wide"),
    ("0.92", "0.72 wide"),
    ("0.82", "0.92 wide"),
    ("1.00", "0.82 wide", "0.72 wide"),
    tuple(LOOKS),
)
BATCH = 16


@dataclass(frozen=True, slots=True)
class Case:
    """A crop, its code, and the ground that it counts for."""

    ground: str
    truth: str
    pixels: Pixels


def cases_of(folder: Path, store: Path, count: int) -> list[Case]:
    found = []
    for place in sorted(path.parent for path in folder.glob("*/labels.csv")):
        known, ground = load_labelled(place), "marks" if place.name in MARKS else "others"
        for picture, truth in zip(known.pictures, known.truths, strict=True):
            found.append(Case(ground, truth, normalize(load_image(picture.path), StationView()).pixels))
    samples = SampleStore(store)
    rendered = (samples[i] for i in range(min(count, len(samples))))
    return [*found, *(Case("rendered", sample.text, sample.pixels) for sample in rendered)]


def seen(engine: Engine, pictures: Sequence[Pixels]) -> list[Outputs]:
    """What the network says of each picture, in batches of one width."""
    arrays = [to_array(pixels, engine.card.geometry) for pixels in pictures]
    order = sorted(range(len(arrays)), key=lambda i: arrays[i].shape[2])
    found: dict[int, Outputs] = {}
    while order:
        width = arrays[order[0]].shape[2]
        group = [i for i in order[:BATCH] if arrays[i].shape[2] == width]
        order = order[len(group) :]
        each = Outputs.of_each(engine, np.stack([arrays[i] for i in group]))
        found |= zip(group, each, strict=True)
    return [found[i] for i in range(len(arrays))]


def read(engine: Engine, cases: Sequence[Case]) -> dict[str, list[Reading]]:
    """The readings of every crop as it is ("") and at every look."""

    def readings(pictures: Sequence[Pixels], outputs: Sequence[Outputs]) -> list[Reading]:
        both = zip(outputs, pictures, strict=True)
        return [reading_of(one, pixels, engine.card, Code(), None) for one, pixels in both]

    pictures = [case.pixels for case in cases]
    outputs = seen(engine, pictures)
    found = {"": readings(pictures, outputs)}
    extents: list[Extent] = [
        text_extent(maps_of(one, pixels, engine.card, len(reading.chars)), pixels)
        for one, pixels, reading in zip(outputs, pictures, found[""], strict=True)
    ]
    for name, closer in LOOKS.items():
        looks = [
            closer.of(extent, pixels.shape).cut(pixels)
            for extent, pixels in zip(extents, pictures, strict=True)
        ]
        found[name] = readings(looks, seen(engine, looks))
    return found


def heard(found: dict[str, list[Reading]], number: int, names: Sequence[str]) -> list[Reading]:
    """The readings of a crop that are put together: more while in doubt, until two agree."""
    taken = [found[""][number]]
    if taken[0].confidence < SURE:
        for name in names:
            taken.append(found[name][number])
            if len({reading.text for reading in taken}) < len(taken):
                break
    return taken


def looks_table(cases: Sequence[Case], found: dict[str, list[Reading]]) -> None:
    grounds = {
        name: [i for i, c in enumerate(cases) if c.ground == name] for name in ("marks", "others", "rendered")
    }
    heads = [f"{name} right, of {len(members)}" for name, members in grounds.items()]
    print(
        "| looks | further looks a crop | "
        + " | ".join(heads)
        + " | AURC, product | AURC, weakest | AURC, looks |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for names in TOGETHER:
        taken = [heard(found, i, names) for i in range(len(cases))]
        voted = [fuse(one) for one in taken]
        right = [mpsc(one.text) == mpsc(case.truth) for one, case in zip(voted, cases, strict=True)]
        more = sum(len(one) - 1 for one in taken) / len(taken)
        counts = [str(sum(right[i] for i in members)) for members in grounds.values()]
        ranks: tuple[Callable[[Reading], float], ...] = (
            lambda r: r.confidence,
            lambda r: log_odds(replace(r, joint_odds=None)),
            log_odds,
        )
        areas = [
            RiskCoverage.of(
                np.array([rank(voted[i]) for i in grounds["marks"]]),
                np.array([right[i] for i in grounds["marks"]]),
            ).aurc
            for rank in ranks
        ]
        cells = [" + ".join(names) or "none", f"{more:.2f}", *counts, *(f"{area:.4f}" for area in areas)]
        print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--count", type=int, default=800, help="rendered crops")
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    engine = Engine(asked.model or shipped_model(), outputs=None)
    print(f"model {engine.card.model_id}\n")
    cases = cases_of(asked.folder, asked.store, asked.count)
    looks_table(cases, read(engine, cases))


if __name__ == "__main__":
    main()
