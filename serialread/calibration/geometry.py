"""How a station's pictures are best brought before the network: settings tried on a few labelled ones."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from serialread.calibration.labelled import Labelled
from serialread.config import Station, StationView
from serialread.errors import CalibrationError
from serialread.imaging import load_image
from serialread.metrics import mpsc, one_minus_ned
from serialread.reader import Picture
from serialread.records import Record

FEWEST = 5
"""Labelled pictures: of fewer, one that is read by chance decides."""
WELL = 0.75
"""1 - NED from which a reading tells where the code was and how high."""
GAINS = 0.02
"""A setting is kept that reads the pictures so much better, in 1 - NED, and loses no code that was held: to
read less is no gain where labels name one line of several. Of two alike the earlier stays."""
HEIGHTS = (0.6, 1.6)
"""Expected heights, as factors of the least and greatest that were read well."""
ROOM = 2.0
"""Left round all codes in the region, in heights of the code: a few pictures do not show how far it moves."""

Read = Callable[[Station, Sequence[Picture]], Sequence[Record]]
"""Records of pictures read at a station, one each, in their order."""


@dataclass(frozen=True, slots=True)
class Score:
    """How some labelled pictures are read, by letters and digits in any case.

    Attributes:
        pictures: how many.
        right: read exactly.
        held: whose reading holds the code, perhaps beside other lines.
        likeness: 1 - NED, the mean.
    """

    pictures: int
    right: int
    held: int
    likeness: float

    def __str__(self) -> str:
        return f"{self.right} right, {self.held} held, 1-NED {self.likeness:.3f}"


@dataclass(frozen=True, slots=True)
class Fitted:
    """A station and what its settings gained.

    Attributes:
        station: with the settings that read best.
        tried: how many were tried.
        learned: scores before and after of the pictures that were learned from.
        others: the same of all others; None where there are none.
    """

    station: Station
    tried: int
    learned: tuple[Score, Score]
    others: tuple[Score, Score] | None

    def summary(self) -> str:
        """Both gains, in one line."""
        parts = [f"{self.tried} settings tried on {self.learned[0].pictures} pictures"]
        parts.append(f"these: {self.learned[0]} -> {self.learned[1]}")
        if self.others:
            parts.append(f"the other {self.others[0].pictures}: {self.others[0]} -> {self.others[1]}")
        else:
            parts.append("no others to show what it gains: label more than --learn")
        return "; ".join(parts)


def calibrate_geometry(labelled: Labelled, station: Station, model_id: str, read: Read, learn: int) -> Fitted:
    """The station with the settings of its view that read some labelled pictures best.

    One setting after the other is tried in the order in which pictures are prepared, each with what was found
    best before; so few pictures tell no more.

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
    if count < FEWEST:
        raise CalibrationError(
            f"{labelled.folder}: {FEWEST} labelled pictures are needed at least, got {count}. Label more."
        )
    chosen = {int(n) for n in np.linspace(0, len(labelled.pictures) - 1, count).round()}
    pairs = list(zip(labelled.pictures, labelled.truths, strict=True))
    known = [pair for n, pair in enumerate(pairs) if n in chosen]
    rest = [pair for n, pair in enumerate(pairs) if n not in chosen]
    start = station.model_copy(update={"model_id": model_id})
    best, tried, learned = _searched(start, known, read)
    others = (score(start, rest, read)[0], score(best, rest, read)[0]) if rest else None
    return Fitted(best, tried, learned, others)


def _searched(
    start: Station, known: Sequence[tuple[Picture, str]], read: Read
) -> tuple[Station, int, tuple[Score, Score]]:
    best, tried = start, 0
    before, records = score(start, known, read)
    top = before
    for changes in CHANGES:
        for changed in changes(best.view, known, records):
            tried += 1
            candidate = best.model_copy(update={"view": StationView.model_validate(changed)})
            scored, seen = score(candidate, known, read)
            if scored.likeness >= top.likeness + GAINS and scored.held >= top.held:
                best, top, records = candidate, scored, seen
    return best, tried, (before, top)


def score(
    station: Station, known: Sequence[tuple[Picture, str]], read: Read
) -> tuple[Score, Sequence[Record]]:
    """How labelled pictures are read at a station, and their records."""
    records = read(station, [picture for picture, _ in known])
    pairs = [(_text(r), mpsc(truth)) for r, (_, truth) in zip(records, known, strict=True)]
    likeness = sum(one_minus_ned(text, truth) for text, truth in pairs) / len(pairs)
    right, held = sum(text == truth for text, truth in pairs), sum(truth in text for text, truth in pairs)
    return Score(len(pairs), right, held, likeness), records


def _text(record: Record) -> str:
    return mpsc(record.reading.text) if record.reading else ""


_Known = Sequence[tuple[Picture, str]]
_Change = Callable[[StationView, _Known, Sequence[Record]], Iterator[dict[str, object]]]
"""Views to try instead of one, as values to be checked."""


def _orders(view: StationView, known: _Known, records: Sequence[Record]) -> Iterator[dict[str, object]]:
    for rotation in (90, 180, 270):
        turned = (view.rotation + rotation) % 360
        yield view.model_dump() | {"rotation": turned, "vertical_text": "never", "upside_down": "never"}
    yield view.model_dump() | {"vertical_text": "never", "upside_down": "never"}


def _heights(view: StationView, known: _Known, records: Sequence[Record]) -> Iterator[dict[str, object]]:
    """The heights of what was read well, of the pictures' longer sides."""
    heights = [
        (record.text_height_px or 0) / max(load_image(picture.path).pixels.shape[:2])
        for picture, record in _well(known, records)
    ]
    if heights:
        span = (HEIGHTS[0] * min(heights), min(HEIGHTS[1] * max(heights), 1.0))
        yield view.model_dump() | {"text_height": span}


def _regions(view: StationView, known: _Known, records: Sequence[Record]) -> Iterator[dict[str, object]]:
    """The upright box round all codes that were read well, where pictures are neither bent nor turned."""
    well = _well(known, records)
    if view.region or view.lens or view.arc or view.fixture or view.rotation or len(well) < 3:
        return
    corners = []
    for picture, record in well:
        height, width = load_image(picture.path).pixels.shape[:2]
        quad = np.array(record.quad, np.float64)
        room = ROOM * float(np.linalg.norm(quad[3] - quad[0]))
        corners += [(quad.min(axis=0) - room) / (width, height), (quad.max(axis=0) + room) / (width, height)]
    ends = np.clip((np.min(corners, axis=0), np.max(corners, axis=0)), 0, 1).round(3)
    (left, top), (right, bottom) = ends.tolist()
    yield view.model_dump() | {"region": ((left, top), (right, top), (right, bottom), (left, bottom))}


def _rows(view: StationView, known: _Known, records: Sequence[Record]) -> Iterator[dict[str, object]]:
    yield view.model_dump() | {"rows": "surest" if view.rows == "joined" else "joined"}


def _ways(view: StationView, known: _Known, records: Sequence[Record]) -> Iterator[dict[str, object]]:
    for name in ("find_lines", "deskew"):
        yield view.model_dump() | {name: not getattr(view, name)}


CHANGES: tuple[_Change, ...] = (_heights, _orders, _regions, _rows, _ways)
"""What is tried, in this order: where codes are found well, their heights and places are known well."""


def _well(known: _Known, records: Sequence[Record]) -> list[tuple[Picture, Record]]:
    """Pictures whose reading holds the truth or is like it, so that it was the code that was found."""
    read = [(picture, mpsc(truth), record) for (picture, truth), record in zip(known, records, strict=True)]
    return [
        (picture, record)
        for picture, truth, record in read
        if record.quad and (truth in _text(record) or one_minus_ned(_text(record), truth) >= WELL)
    ]
