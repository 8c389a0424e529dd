"""From picture files to records: many at a time, in their order, in bounded memory."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Self, TypeVar

import cv2
import numpy as np

from serialread.config import Station, StationView
from serialread.errors import CalibrationError, ImageError
from serialread.imaging import Extent, Look, digest, load_image, propose, to_array, turned_180
from serialread.inference import Search
from serialread.inference.session import Engine, EngineKind
from serialread.reader.barcodes import barcodes_in, check_barcodes, require_barcodes
from serialread.reader.decisions import decide, judge, trust
from serialread.reader.fusion import next_look, vote
from serialread.reader.grading import grade_mark
from serialread.reader.line_search import find_text_lines
from serialread.reader.orientation import NOT_NEEDED, overs, surely_over, surely_upright, surest, turned_over
from serialread.reader.outputs import Outputs, looked_at, reading_of, where
from serialread.reader.picture_files import Picture
from serialread.reader.rows import join, rows_of
from serialread.reader.scheduler import BATCH, BatchScheduler
from serialread.records import BarcodeCheck, Crop, Decision, Floats, Pixels, Reading, Record, Verdict

WINDOW = 256
"""Pictures under way: enough of every width to fill its batches."""
STREAMS = 2
"""Batches that run at a time, at most; each stream keeps kernels of its own, some 140 MB."""

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
        barcodes: what those beside the text say; None where nobody asked.
        readings: of the proposals, by their number.
        extents: where their text stands, of those that are in doubt.
        best: the number of the proposal that counts; None until all are read.
        looks: further readings of that proposal, boxes in the proposal's px.
        waiting: how many arrays the network has yet to see.
        over: numbers of proposals that are the one before turned over, and are read only if that is in doubt.
    """

    picture: Picture
    sha256: str
    crops: tuple[Crop, ...]
    arrays: tuple[Floats, ...]
    note: str
    seconds: float
    barcodes: tuple[str, ...] | None = None
    readings: dict[int, Reading] = field(default_factory=dict)
    extents: dict[int, Extent] = field(default_factory=dict)
    best: int | None = None
    looks: list[Reading] = field(default_factory=list)
    waiting: int = 0
    over: set[int] = field(default_factory=set)

    @property
    def proposals(self) -> list[Reading]:
        """Readings of all proposals, in their order."""
        return [self.readings[number] for number in range(len(self.crops))]

    def told(self, number: int, look: Look | None, reading: Reading, extent: Extent | None) -> None:
        """Take what the network read in a proposal, at a look if one is given."""
        self.waiting -= 1
        if look is not None:
            self.looks.append(reading)
            return
        self.readings[number] = reading
        if extent is not None:
            self.extents[number] = extent

    def choose(self, *, mostly_right: bool) -> int:
        """The proposal that counts, now that all are read."""
        if self.best is None:
            self.best = surest(self.crops, self.proposals, mostly_right=mostly_right)
        return self.best


@dataclass(frozen=True, slots=True)
class _Task:
    """One array that waits for the network: a proposal of a picture, as it is or at another look."""

    item: _Item
    number: int
    pixels: Pixels
    array: Floats
    look: Look | None = None


_Results = tuple[list[tuple[Reading, Extent | None]], float]
"""Readings of a batch's tasks, boxes in px of their proposals; where the text of a proposal in doubt stands;
and the seconds that each took."""


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
        *,
        barcodes: bool = False,
    ) -> None:
        """Open a model.

        Args:
            model: a model file.
            station: the station whose pictures come; None for pictures of anywhere.
            engine: the library that runs the network.
            workers: threads that load and normalize, and batches that run at a time; 0 takes one a core.
            barcodes: whether to read barcodes and matrix codes beside the text, too.

        Raises:
            CheckpointError: the model cannot be used.
            RecipeError: the model's alphabet spells no code of the station's format, or barcodes are asked
                for and what reads them is not installed.
            CalibrationError: the station was measured with another model.
        """
        self.station = station or Station()
        self._workers = workers or os.cpu_count() or 1
        self._barcodes = barcodes
        if barcodes:
            require_barcodes()
        self._streams = min(self._workers, STREAMS)
        self._engine = Engine(model, engine, streams=self._streams, outputs=None)
        self.model_id = self._engine.card.model_id
        self._search = Search.of(self.station.code, self._engine.card.alphabet)
        cv2.setNumThreads(1)  # pictures go side by side: threads within one would get in their way
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
                f"got {self.model_id}. Calibrate it anew, or give that model and engine."
            )

    def read(self, images: Iterable[Picture | Path]) -> Iterator[Record]:
        """One record per picture, in their order; one that cannot be read gives the reason.

        A few hundred pictures are under way at a time, however many there are.
        """
        pictures = (image if isinstance(image, Picture) else Picture(image, image.name) for image in images)
        view = self.station.view
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="prepare")
        try:
            yield from self._records(
                ahead(pool, lambda p: _prepare(p, view, self._engine, self._barcodes), pictures, WINDOW // 4)
            )
        finally:  # whoever stops early waits for no more than what is under way
            pool.shutdown(cancel_futures=True)

    def _records(self, items: Iterable[_Item]) -> Iterator[Record]:
        """Records in the order of the items; the network sees full batches of one width each."""
        queue: deque[_Item] = deque()
        with BatchScheduler(self._read, self._streams) as batches:
            for item in items:
                queue.append(item)
                if "upright" in self._engine.outputs:
                    item.over = overs(item.crops)
                for number in range(len(item.crops)):
                    if number not in item.over:
                        _send(_proposed(item, number), batches)
                batches.start(BATCH)
                while batches.is_full:
                    self._settle(batches)
                while len(queue) > WINDOW and queue[0].waiting:  # the first has waited long enough
                    batches.start(1, lambda task: task.item is queue[0])
                    self._settle(batches)
                while queue and not queue[0].waiting:
                    yield self._record(queue.popleft())
            while batches.is_running or batches.is_waiting:
                if not batches.is_running:
                    batches.start(1)
                self._settle(batches)
        yield from map(self._record, queue)

    def _read(self, tasks: list[_Task]) -> _Results:
        """Read tasks of one width; in a thread beside others."""
        started = perf_counter()
        each = Outputs.of_each(self._engine, np.stack([task.array for task in tasks]))
        found = [self._seen(task, outputs) for task, outputs in zip(tasks, each, strict=True)]
        return found, (perf_counter() - started) / len(tasks)

    def _settle(self, batches: BatchScheduler[_Task, _Results]) -> None:
        """Take the readings of the earliest batch; what stays in doubt is looked at again."""
        tasks, (found, seconds) = batches.finish()
        for task, (reading, extent) in zip(tasks, found, strict=True):
            task.item.told(task.number, task.look, reading, extent)
            task.item.seconds += seconds
            if task.look is None:
                self._other_way(task.item, task.number, reading, batches)
        for task in tasks:
            if not task.item.waiting:
                self._look_again(task.item, batches)
        batches.start(BATCH)

    def _other_way(
        self, item: _Item, number: int, reading: Reading, batches: BatchScheduler[_Task, _Results]
    ) -> None:
        """Read a line turned over, too, if it may lie upside down; a whole picture only if it surely does."""
        if number + 1 in item.over:
            if surely_upright(reading):
                item.readings[number + 1] = NOT_NEEDED
            else:
                _send(_proposed(item, number + 1), batches)
        elif number == 0 and self.station.view.upside_down == "found" and surely_over(reading):
            over = turned_180(item.crops[0])
            item.crops = (*item.crops, over)
            item.arrays = (*item.arrays, to_array(over.pixels, self._engine.card.geometry))
            _send(_proposed(item, len(item.crops) - 1), batches)

    def _look_again(self, item: _Item, batches: BatchScheduler[_Task, _Results]) -> None:
        best = item.choose(mostly_right=self.station.view.upside_down == "found")
        crop = item.crops[best]
        if closer := next_look([item.readings[best], *item.looks], crop.tilt_deg):
            look = closer.look(item.extents[best], crop.pixels.shape)
            seen = look.at(crop.pixels)
            _send(_Task(item, best, seen, to_array(seen, self._engine.card.geometry), look), batches)

    def _seen(self, task: _Task, outputs: Outputs) -> tuple[Reading, Extent | None]:
        card = self._engine.card
        reading = reading_of(outputs, task.pixels, card, self.station.code, self._search)
        if task.look:
            height, width = task.item.crops[task.number].pixels.shape
            return task.look.placed(reading, (height, width)), None
        if next_look([reading]) is None:
            return reading, None
        seen = len(reading.free_text)  # the same further looks with a format and without
        return reading, where(looked_at(outputs, task.pixels, card, seen), task.pixels)

    def _joined(self, item: _Item, best: int, line: Reading) -> Reading:
        """The best line's reading, with the other rows of the code where it is set in several."""
        if len(item.crops) < 3 or self.station.view.rows == "surest" or self.station.code.format:
            return line  # a format says what one line is
        readings = [line if number == best else one for number, one in enumerate(item.proposals)]
        rows = rows_of(item.crops, readings, best)
        if len(rows) == 1:
            return line
        return join([item.crops[n] for n in rows], [readings[n] for n in rows], rows.index(best))

    def _record(self, item: _Item) -> Record:
        crop = reading = confidence = quality = None
        verdict, decision, reason, upside_down_text = Verdict.NONE, Decision.REJECT, item.note, ""
        if item.best is not None:
            crop = item.crops[item.best]
            line = vote([item.readings[item.best], *item.looks], self.station.code)
            reading, quality = self._joined(item, item.best, line), grade_mark(crop, line)
            upside_down_text = turned_over(item.crops, item.proposals, item.best)
            confidence = trust(reading, self.station.calibration)
            verdict = judge(reading, self.station.code)
            decision, reason = decide(
                reading, confidence, verdict, crop.text_height_px, self.station.limits, upside_down_text
            )
            reason = "; ".join(filter(None, (reason, item.note)))
        text = reading.text if reading else ""
        return Record(
            image=item.picture.image,
            image_sha256=item.sha256,
            batch=item.picture.batch,
            reading=reading,
            upside_down_text=upside_down_text,
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
            barcodes=item.barcodes or (),
            barcode_check=BarcodeCheck.NOT_ASKED
            if item.barcodes is None
            else check_barcodes(text, item.barcodes),
            quality=quality,
        )


def _proposed(item: _Item, number: int) -> _Task:
    return _Task(item, number, item.crops[number].pixels, item.arrays[number])


def _send(task: _Task, batches: BatchScheduler[_Task, _Results]) -> None:
    task.item.waiting += 1
    batches.add(task)


def ahead(pool: ThreadPoolExecutor, work: Callable[[A], B], items: Iterable[A], most: int) -> Iterator[B]:
    """Results of ``work`` in the order of the items, with at most ``most`` under way or waiting."""
    pending: deque[Future[B]] = deque()
    source = iter(items)
    while True:
        pending.extend(pool.submit(work, item) for item in islice(source, most - len(pending)))
        if not pending:
            return
        yield pending.popleft().result()


def _prepare(picture: Picture, view: StationView, engine: Engine, with_barcodes: bool) -> _Item:
    """Load, normalize, scale; in a thread beside others."""
    started = perf_counter()
    try:
        image = load_image(picture.path)
        crops = propose(image, view, partial(find_text_lines, engine))
    except ImageError as error:
        reason = _reason(error, picture.path)
        return _Item(picture, digest(picture.path), (), (), reason, perf_counter() - started)
    arrays = tuple(to_array(crop.pixels, engine.card.geometry) for crop in crops)
    barcodes = barcodes_in(image.pixels) if with_barcodes else None
    return _Item(picture, image.sha256, crops, arrays, image.note, perf_counter() - started, barcodes)


def _reason(error: ImageError, path: Path) -> str:
    """The error without the path: its record names it, and it differs from machine to machine."""
    return str(error).removeprefix(f"{path}: ")
