"""How many lines of rendered scenes a line detector finds, and how many it finds where there are none.

    python -m benchmarks.line_detection STORE [--detector lines.onnx] [--first N] [--count N]

STORE is a store of scenes (``recipes/data/scenes.toml``) that the detector has not learned from. A line is
found if the outline of a found line covers it with an intersection over union of 0.5, one to one; any other
found line is false. Lines whose mark does not show in the picture count in neither: those of which the
shipped recognizer, given the true outline, reads less than half.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import NamedTuple

import numpy as np

from serialread.config import Code
from serialread.datasets import SampleStore
from serialread.detection import LineFinder, TextLine, cut_line
from serialread.evaluation.detector_gate import area, matched, true_line
from serialread.imaging.crops import finish
from serialread.imaging.frames import Frame
from serialread.inference.session import Engine
from serialread.reader.outputs import reading_of
from serialread.reader.scheduler import recognize_alone
from serialread.records import Sample
from serialread.weights import shipped_detector, shipped_model

MIN_READ = 0.5
SCALE_PX = 960
"""Longer side to which heights refer."""


class Counts(NamedTuple):
    """Of one scene: groups of the lines that are found and of all, false lines, lines found turned round."""

    found: list[str]
    every: list[str]
    false: int
    turned: int


def shown(scene: Sample, engine: Engine) -> list[bool]:
    """Whether each line of a scene shows in its picture."""
    frame = Frame(scene.pixels, np.eye(3))
    crops = [finish(cut_line(frame, true_line(line)), 0.0).pixels for line in scene.lines or ()]
    read = [
        reading_of(outputs, crop, engine.card, Code(), None).text
        for outputs, crop in zip(recognize_alone(engine, crops), crops, strict=True)
    ]
    return [
        line.legible and SequenceMatcher(None, line.text.upper(), text.upper(), False).ratio() >= MIN_READ
        for line, text in zip(scene.lines or (), read, strict=True)
    ]


def compared(scene: Sample, found: Sequence[TextLine], shows: Sequence[bool]) -> Counts:
    """The lines that are found in a scene beside its own."""
    lines = [true_line(line) for line in scene.lines or ()]
    true, seen = ([area(line.polygon(), scene.pixels) for line in some] for some in (lines, found))
    match = matched(true, seen)
    hidden = np.zeros(scene.pixels.shape, np.bool_)
    for shape, visible in zip(true, shows, strict=True):
        hidden |= shape & (not visible)
    false = [
        place
        for place, shape in enumerate(seen)
        if place not in match.values() and (shape & hidden).sum() < 0.5 * shape.sum()
    ]
    sought = [number for number, visible in enumerate(shows) if visible]
    scale = SCALE_PX / max(scene.pixels.shape)
    groups = {number: list(groups_of(lines[number], scale)) for number in sought}
    ways = [
        float(
            (found[match[n]].centre[-1] - found[match[n]].centre[0])
            @ (lines[n].centre[-1] - lines[n].centre[0])
        )
        for n in sought
        if n in match
    ]
    return Counts(
        [group for number in sought if number in match for group in groups[number]],
        [group for number in sought for group in groups[number]],
        len(false),
        sum(way < 0 for way in ways),
    )


def groups_of(line: TextLine, scale: float) -> Iterator[str]:
    """What is counted separately."""
    height = line.height * scale
    yield "all"
    bounds = [bound for bound in (0, 8, 12, 20, 40) if bound <= height]
    yield f"from {bounds[-1]:2d} px, to the next"
    if height >= 12:
        yield "from 12 px"
        yield "from 12 px, straight" if line.is_straight else "from 12 px, on an arc"


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path)
    parser.add_argument("--detector", type=Path, default=shipped_detector())
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=60)
    given = parser.parse_args()
    store, finder = SampleStore(given.store), LineFinder(given.detector)
    engine = Engine(shipped_model(), "openvino", outputs=None)
    counts = []
    for number in range(given.first, min(given.first + given.count, len(store))):
        scene = store[number]
        counts.append(compared(scene, finder.find(scene.pixels), shown(scene, engine)))
    found, every = (Counter(g for one in counts for g in getattr(one, name)) for name in ("found", "every"))
    for group in sorted(every):
        print(f"{group}: {found[group]} of {every[group]}, {found[group] / every[group]:.3f}")
    false, empty = sum(one.false for one in counts), [one.false for one in counts if not one.every]
    print(f"precision {found['all'] / max(found['all'] + false, 1):.3f}")
    print(f"{sum(empty) / max(len(empty), 1):.2f} lines on each of {len(empty)} scenes without visible text")
    print(f"{sum(one.turned for one in counts)} lines found in the opposite direction")


if __name__ == "__main__":
    main()
