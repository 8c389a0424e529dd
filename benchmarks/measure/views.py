"""Which further views of a doubtful crop to read, and below which confidence: chosen on rendered crops and on
one half of each real set, reported on the other half.

Every crop is read as it is and in each of several views, once; then the views are fused in several
combinations, as ``serialread.reader.fusion`` does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.measure.crops import BOLD, LabelledCrop
from benchmarks.measure.scores import table
from serialread.config import Code, StationView
from serialread.imaging import Extent, TightView, load_image, normalize
from serialread.inference.session import Engine, ModelCard
from serialread.metrics import mpsc
from serialread.metrics.risk import RiskCoverage
from serialread.reader import log_odds
from serialread.reader.fusion import fuse, is_settled
from serialread.reader.outputs import Outputs, compared, maps_of, reading_of, text_extent
from serialread.reader.scheduler import recognize_alone
from serialread.records import Floats, Pixels, Reading

VIEWS = {
    "1.00": TightView(1.0, 0.35),
    "0.92": TightView(0.92, 0.35),
    "0.82": TightView(0.82, 0.35),
    "0.92 wide": TightView(0.92),
    "0.82 wide": TightView(0.82),
    "0.72 wide": TightView(0.72),
    "0.62": TightView(0.62, 0.35),
    "0.62 wide": TightView(0.62),
    "0.72 stretched": TightView(0.72, 0.35, stretch=1.15),
    "0.82 stretched": TightView(0.82, 0.35, stretch=1.15),
}
"""By the share of the height that the text takes; wide views keep all columns, stretched ones are wider."""
COMBINATIONS = (
    ("0.92",),
    ("0.82",),
    ("1.00", "0.82 wide"),
    ("0.92", "0.82 wide"),
    ("0.92", "0.72 wide"),
    ("0.82", "0.92 wide"),
    ("0.72 stretched",),
    ("0.82 stretched",),
    ("0.82 stretched", "0.62"),
    ("0.82 stretched", "0.62 wide"),
    ("0.82 stretched", "0.72 stretched"),
    ("1.00", "0.82 wide", "0.72 wide"),
)
RETRY_BELOW = (0.5, 0.8, 0.95)
NEAR = 0.005
"""Combinations this close to the best count as equal: the one with the fewest views is chosen."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A combination of views, and what it reads.

    Attributes:
        further: further views a crop, on the crops for choosing.
        rendered: share of the rendered crops that is read right.
        chosen: mean of the bold sets on the half for choosing.
        reported: the same on the other half.
        others: share of all other real crops, reported half.
        aurc: area under the risk-coverage curve of the marks, reported half.
    """

    names: tuple[str, ...]
    retry_below: float
    further: float
    rendered: float
    chosen: float
    reported: float
    others: float
    aurc: float

    @property
    def score(self) -> float:
        """What a combination is chosen by: rendered crops and real marks count alike."""
        return (self.rendered + self.chosen) / 2


def choices(model: Path, crops: Sequence[LabelledCrop]) -> list[Choice]:
    """Every combination of views, the best first."""
    engine = Engine(model, outputs=None)
    found = _read(engine, crops)
    made = [_choice(crops, found, engine.card, (), 0.0)]
    made += [
        _choice(crops, found, engine.card, names, below) for names in COMBINATIONS for below in RETRY_BELOW
    ]
    return ranked(made)


def ranked(made: Sequence[Choice]) -> list[Choice]:
    """The best first: of those within ``NEAR`` of the best score, the one with the fewest views."""
    best = max(choice.score for choice in made)
    near = sorted((c for c in made if c.score >= best - NEAR), key=lambda c: c.further)
    return [*near, *sorted((c for c in made if c not in near), key=lambda c: -c.score)]


def choices_table(found: Sequence[Choice]) -> str:
    """The chosen combination first."""
    rows = []
    for number, c in enumerate(found):
        name = " + ".join(c.names) or "none"
        shares = [f"{100 * share:.1f}" for share in (c.rendered, c.chosen, c.reported, c.others)]
        cells = [f"**{name}**" if number == 0 else name, c.retry_below, f"{c.further:.2f}", *shares]
        rows.append([*cells, f"{c.aurc:.4f}"])
    heads = ["views", "below", "further views a crop", "rendered, %", "bold sets, half for choosing, %"]
    return table(
        [*heads, "reported half, %", "other sets, reported half, %", "AURC of marks, reported"], rows
    )


class _View(NamedTuple):
    """A reading of one view, and the scores that it comes from."""

    reading: Reading
    scores: Floats


def _read(engine: Engine, crops: Sequence[LabelledCrop]) -> dict[str, list[_View]]:
    """The readings of every crop as it is ("") and in every view."""

    def readings(pictures: Sequence[Pixels], outputs: Sequence[Outputs]) -> list[_View]:
        both = zip(outputs, pictures, strict=True)
        return [_View(reading_of(one, pixels, engine.card, Code(), None), one.scores) for one, pixels in both]

    pictures = [normalize(load_image(crop.path), StationView()).pixels for crop in crops]
    outputs = recognize_alone(engine, pictures)
    found = {"": readings(pictures, outputs)}
    extents: list[Extent] = [
        text_extent(maps_of(one, pixels, engine.card, len(view.reading.chars)), pixels)
        for one, pixels, view in zip(outputs, pictures, found[""], strict=True)
    ]
    for name, view in VIEWS.items():
        views = [
            view.of(extent, pixels.shape).cut(pixels)
            for extent, pixels in zip(extents, pictures, strict=True)
        ]
        found[name] = readings(views, recognize_alone(engine, views))
    return found


def _choice(
    crops: Sequence[LabelledCrop],
    found: dict[str, list[_View]],
    card: ModelCard,
    names: tuple[str, ...],
    below: float,
) -> Choice:
    taken = [_taken(found, card, number, names, below) for number in range(len(crops))]
    fused = [fuse(readings) for readings in taken]
    right = np.array([mpsc(one.text) == mpsc(crop.truth) for one, crop in zip(fused, crops, strict=True)])
    rendered = np.array([crop.process != "" for crop in crops])
    choosing = np.array([crop.process != "" or crop.is_for_choosing for crop in crops])
    marks = np.array([crop.ground in BOLD for crop in crops])
    grounds = np.array([crop.ground for crop in crops])
    odds = np.array([log_odds(one) for one in fused])
    halves = [
        float(np.mean([right[(grounds == name) & half].mean() for name in BOLD]))
        for half in (choosing, ~choosing)
    ]
    return Choice(
        names,
        below,
        float(np.mean([len(readings) - 1 for readings, kept in zip(taken, choosing, strict=True) if kept])),
        float(right[rendered].mean()),
        *halves,
        float(right[~rendered & ~marks & ~choosing].mean()),
        RiskCoverage.of(odds[marks & ~choosing], right[marks & ~choosing]).aurc,
    )


def _taken(
    found: dict[str, list[_View]], card: ModelCard, number: int, names: Sequence[str], below: float
) -> list[Reading]:
    """The readings of a crop that are fused: more while it is doubtful, until they are settled."""
    views = [found[""][number]]
    readings = [views[0].reading]
    if readings[0].confidence < below:
        for name in names:
            views.append(found[name][number])
            readings = compared([view.reading for view in views], [view.scores for view in views], card)
            if is_settled(readings):
                break
    return readings
