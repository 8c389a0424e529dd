"""Set up a station's view: teach a fixture, or choose settings by labelled pictures."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from serialread.calibration.station_files import (
    CalibratedStation,
    LabelledPictures,
    load_labelled,
)
from serialread.config import Station, StationView
from serialread.config.station import StationSource, load_station
from serialread.errors import CalibrationError
from serialread.imaging import load_image, teach_fixture
from serialread.metrics import mpsc, one_minus_ned
from serialread.reader import Picture, Reader
from serialread.records import Record

MIN_PICTURES = 5
"""Labelled pictures to fit to: with fewer, a single lucky reading decides."""
WELL_READ = 0.75
"""1 - NED from which a reading shows where the code is and how high."""
MIN_GAIN = 0.02
"""A setting is kept if it improves the mean 1 - NED by this much and no fewer readings contain their code: to
read less is no gain where labels name one line of several. Of two equal settings the earlier one stays."""
HEIGHT_FACTORS = (0.6, 1.6)
"""Expected text height, as factors of the smallest and largest that were read well."""
MIN_CODES = 3
"""Codes found from which their positions and directions are used."""
MIN_TILT_DEG, MAX_TILT_SPREAD_DEG = 2.0, 6.0
"""Tilt of the codes from which a tilted region is tried, and how much tilts may differ."""
REGION_MARGIN = 2.0
"""Margin around all codes in the region, in heights of the code: a few pictures do not show all positions."""

Read = Callable[[Station, Sequence[Picture]], Sequence[Record]]
"""Reads pictures at a station: one record each, in their order."""


def calibrate_fixture(
    picture: str | Path,
    box: tuple[float, float, float, float],
    station: StationSource = None,
    *,
    by: Literal["print", "edge"] = "print",
    turn_deg: float = 0.0,
    reach: float = 0.25,
) -> CalibratedStation:
    """Add a fixture to a station: a mark by which every part is brought to the pose of this picture.

    Args:
        picture: a part in the right pose.
        box: left, top, right and bottom of a feature of all parts, as fractions of the picture's sides.
        station: the station to extend; an empty one by default.
        by: compare greys, or their edges.
        turn_deg: how far parts may be rotated either way, degrees.
        reach: how far parts may be displaced, as a fraction of the picture's width.

    Raises:
        CalibrationError: the box contains nothing that can be recognized again.
        ImageError: the picture cannot be read.
    """
    picture, start = Path(picture), load_station(station)
    fixture = teach_fixture(load_image(picture), start.view, box, by)
    moving = fixture.model_copy(update={"turn_deg": turn_deg, "reach": reach})
    return CalibratedStation(
        start.with_view(fixture=moving), f"fixture taught from {picture.name}, recognized by its {by}"
    )


def calibrate_geometry(
    labelled: str | Path, station: StationSource = None, model: str | Path | None = None, learn: int = 10
) -> CalibratedStation:
    """Find the settings of a station's view that read some labelled pictures best.

    Args:
        labelled: a folder with ``labels.csv`` and the pictures.
        station: the station to start from; an empty one by default.
        model: a model file; the shipped one by default.
        learn: how many pictures to learn from; the others show the gain.

    Raises:
        CalibrationError: there are too few pictures, or the labels are unusable.
    """
    known = load_labelled(Path(labelled))
    reader = Reader(model, load_station(station).uncalibrated())
    tuned = tune_view(
        known, reader.station, reader.model_id, lambda at, some: list(reader.at(at).read_many(some)), learn
    )
    return CalibratedStation(tuned.station, tuned.summary())


@dataclass(frozen=True, slots=True)
class ViewScore:
    """How some labelled pictures are read; letters and digits count, in any case.

    Attributes:
        pictures: how many.
        exact: read exactly.
        containing: whose reading contains the code, perhaps among other lines.
        similarity: the mean of 1 - NED.
    """

    pictures: int
    exact: int
    containing: int
    similarity: float

    def __str__(self) -> str:
        return f"{self.exact} exact, {self.containing} containing the code, 1-NED {self.similarity:.3f}"


@dataclass(frozen=True, slots=True)
class TunedView:
    """A station and what its settings gained.

    Attributes:
        station: with the settings that read best.
        tried: how many settings were tried.
        learned: scores before and after, of the pictures that were learned from.
        others: the same of all other pictures; None if there are none.
    """

    station: Station
    tried: int
    learned: tuple[ViewScore, ViewScore]
    others: tuple[ViewScore, ViewScore] | None

    def summary(self) -> str:
        """Both gains, in one line."""
        count, (before, after) = self.learned[0].pictures, self.learned
        gain = "no others to show the gain: label more than --learn"
        if self.others:
            gain = f"the other {self.others[0].pictures}: {self.others[0]} -> {self.others[1]}"
        return f"{self.tried} settings tried on {count} pictures; these: {before} -> {after}; {gain}"


def tune_view(
    labelled: LabelledPictures, station: Station, model_id: str, read: Read, learn: int
) -> TunedView:
    """The station with the settings of its view that read some labelled pictures best.

    Settings are tried one by one, in the order in which pictures are processed, each together with the best
    found before; a few pictures do not support more.

    Args:
        labelled: the pictures and their codes.
        station: where to start from.
        model_id: the model that reads.
        read: reads pictures at a station, with that model.
        learn: how many pictures to learn from, spread evenly over all.

    Raises:
        CalibrationError: fewer than five pictures to learn from.
    """
    count = min(learn, len(labelled.pictures))
    if count < MIN_PICTURES:
        raise CalibrationError(
            f"{labelled.folder}: at least {MIN_PICTURES} labelled pictures are needed, got {count}. "
            "Label more."
        )
    chosen = {int(n) for n in np.linspace(0, len(labelled.pictures) - 1, count).round()}
    pairs = list(zip(labelled.pictures, labelled.truths, strict=True))
    known = [pair for n, pair in enumerate(pairs) if n in chosen]
    rest = [pair for n, pair in enumerate(pairs) if n not in chosen]
    start = station.model_copy(update={"model_id": model_id})
    best, tried, learned = _searched(start, known, read)
    others = (_scored(start, rest, read)[0], _scored(best, rest, read)[0]) if rest else None
    return TunedView(best, tried, learned, others)


_Known = Sequence[tuple[Picture, str]]
"""Pictures and their codes."""
_Candidates = Iterator[dict[str, object]]
"""Views to try, as values to be validated."""


def _searched(start: Station, known: _Known, read: Read) -> tuple[Station, int, tuple[ViewScore, ViewScore]]:
    best, tried = start, 0
    before, records = _scored(start, known, read)
    top = before
    for candidates in CANDIDATES:
        for changed in candidates(best.view, known, records):
            tried += 1
            candidate = best.model_copy(update={"view": StationView.model_validate(changed)})
            score, its_records = _scored(candidate, known, read)
            if score.similarity >= top.similarity + MIN_GAIN and score.containing >= top.containing:
                best, top, records = candidate, score, its_records
    return best, tried, (before, top)


def _scored(station: Station, known: _Known, read: Read) -> tuple[ViewScore, Sequence[Record]]:
    """How labelled pictures are read at a station, and their records."""
    records = read(station, [picture for picture, _ in known])
    pairs = [(_text(r), mpsc(truth)) for r, (_, truth) in zip(records, known, strict=True)]
    similarity = sum(one_minus_ned(text, truth) for text, truth in pairs) / len(pairs)
    exact, containing = (
        sum(text == truth for text, truth in pairs),
        sum(truth in text for text, truth in pairs),
    )
    return ViewScore(len(pairs), exact, containing, similarity), records


def _text(record: Record) -> str:
    return mpsc(record.reading.text) if record.reading else ""


def _text_heights(view: StationView, known: _Known, records: Sequence[Record]) -> _Candidates:
    """The heights of what was read well, as fractions of the pictures' longer sides."""
    heights = [code.height_px / max(code.size_px) for code in _codes(known, records)]
    if heights:
        span = (HEIGHT_FACTORS[0] * min(heights), min(HEIGHT_FACTORS[1] * max(heights), 1.0))
        yield view.model_dump() | {"text_height": span}


def _orientations(view: StationView, known: _Known, records: Sequence[Record]) -> _Candidates:
    """The quarter turn that levels the codes, if they show it; all of them if not."""
    quarters = Counter(round(code.direction_deg / 90) % 4 for code in _codes(known, records))
    only: dict[str, object] = {"direction": "upright", "vertical_text": "never", "upside_down": "never"}
    if len(quarters) == 1 and quarters.total() >= MIN_CODES and not view.mirror:
        yield view.model_dump() | only | {"rotation": -90 * next(iter(quarters)) % 360}
        return
    for rotation in (90, 180, 270):
        yield view.model_dump() | only | {"rotation": (view.rotation + rotation) % 360}
    yield view.model_dump() | only


def _regions(view: StationView, known: _Known, records: Sequence[Record]) -> _Candidates:
    """The box around all codes that were read well, along them if all are tilted alike; else upright.

    Only where pictures are neither remapped nor mirrored.
    """
    codes = _codes(known, records)
    if view.region or view.lens or view.arc or view.fixture or view.mirror or len(codes) < MIN_CODES:
        return
    if len({code.size_px for code in codes}) == 1:
        tilts = [(code.direction_deg + view.rotation + 45) % 90 - 45 for code in codes]
        if abs(float(np.median(tilts))) >= MIN_TILT_DEG and np.ptp(tilts) <= MAX_TILT_SPREAD_DEG:
            yield from _region(view, codes, float(np.median(tilts)))
    yield from _region(view, codes, 0.0)


def _region(view: StationView, codes: Sequence["_Code"], tilt_deg: float) -> _Candidates:
    """The box around all codes, at a tilt; none if it is not inside the pictures."""
    angle = np.radians(tilt_deg)
    tilted = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    places = []
    for code in codes:
        size = np.array(code.size_px if view.rotation in (0, 180) else code.size_px[::-1], np.float64)
        points = _rotated(code, view.rotation) @ tilted.T
        margin = REGION_MARGIN * code.height_px
        corners = np.array([points.min(axis=0) - margin, points.max(axis=0) + margin])
        places.append(corners if tilt_deg else np.clip(corners / size, 0, 1))
    (left, top), (right, bottom) = np.min(places, axis=0)[0], np.max(places, axis=0)[1]
    region = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    if tilt_deg:
        region = region @ tilted / size
    if region.min() >= 0 and region.max() <= 1:
        yield view.model_dump() | {"region": tuple((x, y) for x, y in region.round(3).tolist())}


def _rotated(code: "_Code", rotation: int) -> NDArray[np.float64]:
    """The outline of a code [N, 2] in px of the rotated picture."""
    (width, height), (x, y) = code.size_px, code.outline.T
    turned = {0: (x, y), 90: (height - y, x), 180: (width - x, height - y), 270: (y, width - x)}
    return np.stack(turned[rotation], axis=1)


def _rows(view: StationView, known: _Known, records: Sequence[Record]) -> _Candidates:
    yield view.model_dump() | {"rows": "best" if view.rows == "joined" else "joined"}


def _switches(view: StationView, known: _Known, records: Sequence[Record]) -> _Candidates:
    for name in ("find_lines", "deskew"):
        yield view.model_dump() | {name: not getattr(view, name)}


CANDIDATES = (_text_heights, _orientations, _regions, _rows, _switches)
"""What is tried, in this order: heights and positions are known well where codes are found well."""


@dataclass(frozen=True, slots=True)
class _Code:
    """A code that was found in a picture.

    Attributes:
        size_px: width and height of the picture.
        outline: of its line, [N, 2] in px of the picture, clockwise from the text's top-left.
        height_px: of its characters.
    """

    size_px: tuple[int, int]
    outline: NDArray[np.float64]
    height_px: float

    @property
    def direction_deg(self) -> float:
        """Reading direction, clockwise from the picture's x-axis."""
        x, y = self.outline[len(self.outline) // 2 - 1] - self.outline[0]
        return float(np.degrees(np.arctan2(y, x)))


def _codes(known: _Known, records: Sequence[Record]) -> list[_Code]:
    """The codes that were found, each in the line of its picture that is most like the truth."""
    found = []
    for (picture, truth), record in zip(known, records, strict=True):
        wanted = mpsc(truth)
        lines = [(line.text, line.polygon, line.height_px) for line in record.lines]
        lines.insert(0, (record.text, record.quad or (), record.text_height_px or 0.0))
        text, outline, height_px = max(lines, key=lambda line: one_minus_ned(mpsc(line[0]), wanted))
        if outline and (wanted in mpsc(text) or one_minus_ned(mpsc(text), wanted) >= WELL_READ):
            height, width = load_image(picture.path).pixels.shape[:2]
            found.append(_Code((width, height), np.array(outline, np.float64), height_px))
    return found
