"""From picture files to records: many at a time, in their order, in bounded memory."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Self, TypeVar

import numpy as np

from serialread.decoding import Search, decode
from serialread.engine import Engine, EngineKind
from serialread.errors import CalibrationError, ImageError
from serialread.imaging import LOOKS, Look, content_width, digest, load_image, propose, to_array
from serialread.reading.choosing import surest, turned_over
from serialread.reading.deciding import decide, judge, trust
from serialread.reading.finding import Picture
from serialread.reading.joining import join, rows_of
from serialread.reading.voting import vote
from serialread.recipe import CropGeometry, Station, View
from serialread.records import Crop, Decision, Floats, Pixels, Reading, Record, Verdict

BATCH = 16
"""Crops that the network sees at once; twice as many are a tenth faster and cost 100 MB."""
WINDOW = 256
"""Pictures under way: enough of every width to fill its batches."""
SURE = 0.8
"""A reading with less confidence is looked at again, a little tighter, narrower and wider."""

A = TypeVar("A")
B = TypeVar("B")


@dataclass(slots=True)
class _Item:
    """A picture on its way to its record.

    Attributes:
        picture: which.
        sha256: of its bytes.
        crops: its proposals; none if it could not be read.
        arrays: the same, as the network takes them.
        note: why it could not be read, or what was left out.
        seconds: time spent on it.
        readings: of the proposals, in their order; None while they wait.
        best: the number of the proposal that counts; None until all are read.
        looks: further readings of that proposal, boxes in the proposal's px.
        waiting: how many arrays the network has yet to see.
    """

    picture: Picture
    sha256: str
    crops: tuple[Crop, ...]
    arrays: tuple[Floats, ...]
    note: str
    seconds: float
    readings: list[Reading | None] = field(init=False)
    best: int | None = None
    looks: dict[Look, Reading] = field(default_factory=dict)
    waiting: int = 0

    def __post_init__(self) -> None:
        self.readings = [None] * len(self.crops)


@dataclass(frozen=True, slots=True)
class _Task:
    """One array that waits for the network: a proposal of a picture, as it is or at another look."""

    item: _Item
    number: int
    pixels: Pixels
    array: Floats
    look: Look | None = None


_Lanes = dict[int, list[_Task]]
"""Tasks by the width of their arrays."""


class Reader:
    """A model and a station, ready to read pictures.

    Attributes:
        model_id: the model's name and digest.
        station: where and how sure; the default one knows no limits.
    """

    def __init__(
        self,
        model: Path,
        station: Station | None = None,
        engine: EngineKind = "openvino",
        workers: int = 0,
    ) -> None:
        """Open a model.

        Args:
            model: a model file.
            station: the station whose pictures come; None for pictures of anywhere.
            engine: the library that runs the network.
            workers: threads that load and normalize; 0 takes one a core.

        Raises:
            CheckpointError: the model cannot be used.
            RecipeError: the model's alphabet spells no code of the station's format.
            CalibrationError: the station was measured with another model.
        """
        self.station = station or Station()
        self._engine = Engine(model, engine)
        self.model_id = self._engine.card.model_id
        self._search = Search.of(self.station.code, self._engine.card.alphabet)
        self._workers = workers or os.cpu_count() or 1
        self._refuse_another_model()

    def at(self, station: Station) -> Self:
        """The same model, opened already, at another station; raises as opening it there would."""
        other = copy(self)
        other.station = station
        other._search = Search.of(station.code, self._engine.card.alphabet)
        other._refuse_another_model()
        return other

    def _refuse_another_model(self) -> None:
        if self.station.model_id not in ("", self.model_id):
            raise CalibrationError(
                f"station {self.station.name}: measured with model {self.station.model_id}, "
                f"got {self.model_id}. Give that model, or take model_id and limits out of the file."
            )

    def read(self, images: Iterable[Picture | Path]) -> Iterator[Record]:
        """One record per picture, in their order; one that cannot be read gives the reason.

        A few hundred pictures are under way at a time, however many there are.
        """
        pictures = (image if isinstance(image, Picture) else Picture(image, image.name) for image in images)
        geometry, view = self._engine.card.geometry, self.station.view
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="prepare")
        try:
            yield from self._records(
                ahead(pool, lambda p: _prepare(p, view, geometry), pictures, WINDOW // 4)
            )
        finally:  # whoever stops early waits for no more than what is under way
            pool.shutdown(cancel_futures=True)

    def _records(self, items: Iterable[_Item]) -> Iterator[Record]:
        """Records in the order of the items; the network sees full batches of one width each."""
        queue: deque[_Item] = deque()
        lanes: _Lanes = {}
        for item in items:
            queue.append(item)
            for number, (crop, array) in enumerate(zip(item.crops, item.arrays, strict=True)):
                _wait(lanes, _Task(item, number, crop.pixels, array))
            self._run(lanes, BATCH)
            while len(queue) > WINDOW and queue[0].waiting:  # the first has waited long enough
                self._run(lanes, 1, queue[0])
            while queue and not queue[0].waiting:
                yield self._record(queue.popleft())
        self._run(lanes, 1)
        yield from map(self._record, queue)

    def _run(self, lanes: _Lanes, least: int, only: _Item | None = None) -> None:
        """Read batches until no lane, or none of ``only``'s, has ``least`` tasks; doubtful ones wait anew."""
        while ready := [
            lane
            for lane in lanes.values()
            if len(lane) >= least and (only is None or any(task.item is only for task in lane))
        ]:
            for lane in ready:
                tasks, lane[:] = lane[:BATCH], lane[BATCH:]
                for task in self._read(tasks):
                    _wait(lanes, task)

    def _read(self, tasks: list[_Task]) -> Iterator[_Task]:
        """Read tasks of one width; yields further looks at what stays in doubt."""
        started = perf_counter()
        results = self._engine.run(np.stack([task.array for task in tasks]))
        for task, scores, attention in zip(tasks, *results, strict=True):
            reading, item = self._decoded(task.pixels, scores, attention), task.item
            if task.look is None:
                item.readings[task.number] = reading
            else:
                height, width = item.crops[task.number].pixels.shape
                item.looks[task.look] = task.look.placed(reading, (height, width))
            item.waiting -= 1
        for task in tasks:
            task.item.seconds += (perf_counter() - started) / len(tasks)
        for task in tasks:
            if not task.item.waiting and task.item.best is None:
                yield from self._again(task.item)

    def _again(self, item: _Item) -> Iterator[_Task]:
        """Choose the proposal that counts; more looks at it, if its reading is in doubt."""
        started = perf_counter()
        found = [r for r in item.readings if r is not None]
        item.best = surest(item.crops, found, mostly_right=self.station.view.turn_over == "found")
        reading, pixels = item.readings[item.best], item.crops[item.best].pixels
        if reading is not None and reading.confidence < SURE:
            for look in LOOKS:
                seen = look.at(pixels)
                yield _Task(item, item.best, seen, to_array(seen, self._engine.card.geometry), look)
        item.seconds += perf_counter() - started

    def _decoded(self, pixels: Pixels, scores: Floats, attention: Floats) -> Reading:
        geometry = self._engine.card.geometry
        content = content_width(pixels, geometry)
        height, width = pixels.shape
        filled = content / geometry.bucket(content)
        card, code = self._engine.card, self.station.code
        return decode(scores, card.alphabet, attention, (height, width), filled, code, self._search)

    def _joined(self, item: _Item, best: int, reading: Reading) -> Reading:
        """The best line's reading, with the other rows of the code where it is set in several."""
        if len(item.crops) < 3 or self.station.view.rows == "surest" or self.station.code.format:
            return reading  # a format says what one line is
        readings = [reading if n == best else r for n, r in enumerate(item.readings) if r is not None]
        rows = rows_of(item.crops, readings, best)
        if len(rows) == 1:
            return reading
        return join([item.crops[n] for n in rows], [readings[n] for n in rows], rows.index(best))

    def _record(self, item: _Item) -> Record:
        crop = reading = confidence = None
        verdict, decision, reason, other_way_up = Verdict.NONE, Decision.REJECT, item.note, ""
        if item.best is not None and (first := item.readings[item.best]) is not None:
            crop = item.crops[item.best]
            looks = [first, *(item.looks[look] for look in LOOKS if look in item.looks)]
            reading = self._joined(item, item.best, vote(looks, self.station.code))
            other_way_up = turned_over(item.crops, [r for r in item.readings if r is not None], item.best)
            confidence = trust(reading, self.station.calibration)
            verdict = judge(reading, self.station.code)
            decision, reason = decide(
                reading, confidence, verdict, crop.text_height_px, self.station.limits, other_way_up
            )
            reason = "; ".join(filter(None, (reason, item.note)))
        return Record(
            image=item.picture.image,
            image_sha256=item.sha256,
            batch=item.picture.batch,
            reading=reading,
            other_way_up=other_way_up,
            confidence=confidence,
            verdict=verdict,
            decision=decision,
            reason=reason,
            quad=tuple((float(x), float(y)) for x, y in crop.quad) if crop else None,
            text_height_px=crop.text_height_px if crop else None,
            contrast=crop.contrast if crop else None,
            tilt_deg=crop.tilt_deg if crop else None,
            model_id=self.model_id,
            station_id=self.station.station_id,
            read_at=datetime.now(UTC),
            elapsed_ms=item.seconds * 1000,
        )


def _wait(lanes: _Lanes, task: _Task) -> None:
    lanes.setdefault(task.array.shape[2], []).append(task)
    task.item.waiting += 1


def ahead(pool: ThreadPoolExecutor, work: Callable[[A], B], items: Iterable[A], most: int) -> Iterator[B]:
    """Results of ``work`` in the order of the items, with at most ``most`` under way or waiting."""
    pending: deque[Future[B]] = deque()
    source = iter(items)
    while True:
        pending.extend(pool.submit(work, item) for item in islice(source, most - len(pending)))
        if not pending:
            return
        yield pending.popleft().result()


def _prepare(picture: Picture, view: View, geometry: CropGeometry) -> _Item:
    """Load, normalize, scale; in a thread beside others."""
    started = perf_counter()
    try:
        image = load_image(picture.path)
        crops = propose(image, view)
    except ImageError as error:
        reason = _reason(error, picture.path)
        return _Item(picture, digest(picture.path), (), (), reason, perf_counter() - started)
    arrays = tuple(to_array(crop.pixels, geometry) for crop in crops)
    return _Item(picture, image.sha256, crops, arrays, image.note, perf_counter() - started)


def _reason(error: ImageError, path: Path) -> str:
    """The error without the path: its record names it, and it differs from machine to machine."""
    return str(error).removeprefix(f"{path}: ")
