"""What further views of a doubtful crop gain, and which score ranks the readings best.

    python benchmarks/views.py FOLDER STORE [--model FILE] [--count 800]

FOLDER holds sets of labelled crops (<set>/images, <set>/labels.csv with filename,text), STORE rendered ones.
Every crop is read as it is and in each of several views, once; then the views are fused in several
combinations, as ``serialread.reader.fusion`` does. A reading is right if letters and digits agree.
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
from serialread.imaging import Extent, TightView, content_width, load_image, normalize
from serialread.inference.session import Engine
from serialread.metrics import mpsc
from serialread.metrics.risk import RiskCoverage
from serialread.reader import log_odds
from serialread.reader.fusion import RETRY_BELOW, fuse
from serialread.reader.outputs import Outputs, maps_of, reading_of, recognize, text_extent
from serialread.records import Pixels, Reading
from serialread.weights import shipped_model

MARKS = ("atomhack_marking", "chip_74ls", "metal_stamp", "container_plate")
VIEWS = {
    "1.00": TightView(1.0, 0.35),
    "0.92": TightView(0.92, 0.35),
    "0.82": TightView(0.82, 0.35),
    "0.92 wide": TightView(0.92),
    "0.82 wide": TightView(0.82),
    "0.72 wide": TightView(0.72),
}
"""By the share of the height that the text takes; wide views keep the crop's width."""
COMBINATIONS = (
    (),
    ("0.92",),
    ("1.00", "0.82 wide"),
    ("1.00", "0.72 wide"),
    ("0.92", "0.82 wide"),
    ("0.92", "0.72 wide"),
    ("0.82", "0.92 wide"),
    ("1.00", "0.82 wide", "0.72 wide"),
    tuple(VIEWS),
)
BATCH = 16


@dataclass(frozen=True, slots=True)
class Case:
    """A crop, its code, and the group that it counts for."""

    group: str
    truth: str
    pixels: Pixels


def cases_of(folder: Path, store: Path, count: int) -> list[Case]:
    found = []
    for place in sorted(path.parent for path in folder.glob("*/labels.csv")):
        known, group = load_labelled(place), "marks" if place.name in MARKS else "others"
        for picture, truth in zip(known.pictures, known.truths, strict=True):
            found.append(Case(group, truth, normalize(load_image(picture.path), StationView()).pixels))
    samples = SampleStore(store)
    rendered = (samples[i] for i in range(min(count, len(samples))))
    return [*found, *(Case("rendered", sample.text, sample.pixels) for sample in rendered)]


def outputs_of(engine: Engine, pictures: Sequence[Pixels]) -> list[Outputs]:
    """The network's outputs of each picture, in batches of one width."""
    geometry = engine.card.geometry
    buckets: dict[int, list[int]] = {}
    for number, pixels in enumerate(pictures):
        buckets.setdefault(geometry.bucket(content_width(pixels, geometry)), []).append(number)
    found: dict[int, Outputs] = {}
    for numbers in buckets.values():
        for first in range(0, len(numbers), BATCH):
            group = numbers[first : first + BATCH]
            found |= zip(group, recognize(engine, [pictures[i] for i in group]), strict=True)
    return [found[i] for i in range(len(pictures))]


def read(engine: Engine, cases: Sequence[Case]) -> dict[str, list[Reading]]:
    """The readings of every crop as it is ("") and in every view."""

    def readings(pictures: Sequence[Pixels], outputs: Sequence[Outputs]) -> list[Reading]:
        both = zip(outputs, pictures, strict=True)
        return [reading_of(one, pixels, engine.card, Code(), None) for one, pixels in both]

    pictures = [case.pixels for case in cases]
    outputs = outputs_of(engine, pictures)
    found = {"": readings(pictures, outputs)}
    extents: list[Extent] = [
        text_extent(maps_of(one, pixels, engine.card, len(reading.chars)), pixels)
        for one, pixels, reading in zip(outputs, pictures, found[""], strict=True)
    ]
    for name, view in VIEWS.items():
        views = [
            view.of(extent, pixels.shape).cut(pixels)
            for extent, pixels in zip(extents, pictures, strict=True)
        ]
        found[name] = readings(views, outputs_of(engine, views))
    return found


def fused_readings(found: dict[str, list[Reading]], number: int, names: Sequence[str]) -> list[Reading]:
    """The readings of a crop that are fused: more while it is doubtful, until two agree."""
    taken = [found[""][number]]
    if taken[0].confidence < RETRY_BELOW:
        for name in names:
            taken.append(found[name][number])
            if len({reading.text for reading in taken}) < len(taken):
                break
    return taken


def views_table(cases: Sequence[Case], found: dict[str, list[Reading]]) -> None:
    groups = {
        name: [i for i, c in enumerate(cases) if c.group == name] for name in ("marks", "others", "rendered")
    }
    heads = [f"{name} right, of {len(members)}" for name, members in groups.items()]
    print(
        "| views | further views per crop | "
        + " | ".join(heads)
        + " | AURC, product | AURC, weakest | AURC, views fused |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for names in COMBINATIONS:
        taken = [fused_readings(found, i, names) for i in range(len(cases))]
        fused = [fuse(one) for one in taken]
        right = [mpsc(one.text) == mpsc(case.truth) for one, case in zip(fused, cases, strict=True)]
        more = sum(len(one) - 1 for one in taken) / len(taken)
        counts = [str(sum(right[i] for i in members)) for members in groups.values()]
        ranks: tuple[Callable[[Reading], float], ...] = (
            lambda r: r.confidence,
            lambda r: log_odds(replace(r, joint_odds=None)),
            log_odds,
        )
        areas = [
            RiskCoverage.of(
                np.array([rank(fused[i]) for i in groups["marks"]]),
                np.array([right[i] for i in groups["marks"]]),
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
    args = parser.parse_args()
    cv2.setNumThreads(1)
    engine = Engine(args.model or shipped_model(), outputs=None)
    print(f"model {engine.card.model_id}\n")
    cases = cases_of(args.folder, args.store, args.count)
    views_table(cases, read(engine, cases))


if __name__ == "__main__":
    main()
