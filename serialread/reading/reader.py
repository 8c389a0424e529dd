"""From picture files to records: many at a time, in their order, in bounded memory."""

import os
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import TypeVar

import numpy as np

from serialread.decoding import decode
from serialread.engine import Engine, EngineKind
from serialread.errors import CalibrationError, ImageError
from serialread.imaging import content_width, digest, load_image, propose, to_array
from serialread.reading.deciding import decide
from serialread.reading.finding import Picture
from serialread.recipe import CropGeometry, Station, View
from serialread.records import Crop, Decision, Floats, Reading, Record

WINDOW = 64
"""Pictures that are read together: enough of one width to fill batches, few enough to show progress."""
BATCH = 16
"""Crops that the network sees at once; more are no faster on a processor and cost memory."""

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A picture up to the network's door: its proposals as crops and arrays, or why there are none."""

    picture: Picture
    sha256: str
    crops: tuple[Crop, ...]
    arrays: tuple[Floats, ...]
    note: str
    seconds: float


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
            CalibrationError: the station was measured with another model.
        """
        self.station = station or Station()
        self._engine = Engine(model, engine)
        self.model_id = self._engine.card.model_id
        self._workers = workers or os.cpu_count() or 1
        if self.station.model_id not in ("", self.model_id):
            raise CalibrationError(
                f"station {self.station.name}: measured with model {self.station.model_id}, "
                f"got {self.model_id}. Give that model, or take model_id and limits out of the file."
            )

    def read(self, images: Iterable[Picture | Path]) -> Iterator[Record]:
        """One record per picture, in their order; one that cannot be read gives the reason.

        At most a few windows of pictures are held at a time, however many there are.
        """
        pictures = (image if isinstance(image, Picture) else Picture(image, image.name) for image in images)
        geometry, view = self._engine.card.geometry, self.station.view
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="prepare")
        try:
            prepared = ahead(pool, lambda picture: _prepare(picture, view, geometry), pictures, 2 * WINDOW)
            while window := list(islice(prepared, WINDOW)):
                yield from self._read_window(window)
        finally:  # whoever stops early waits for no more than what is under way
            pool.shutdown(cancel_futures=True)

    def _read_window(self, window: list[_Prepared]) -> list[Record]:
        started = perf_counter()
        readings = self._readings(window)
        shared = (perf_counter() - started) / len(window)
        return [self._record(item, read, shared) for item, read in zip(window, readings, strict=True)]

    def _readings(self, window: list[_Prepared]) -> list[list[Reading]]:
        """Readings of every proposal of every picture; the network sees batches of one width each."""
        readings: list[list[Reading]] = [[_UNREAD] * len(item.arrays) for item in window]
        by_width: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for i, item in enumerate(window):
            for j, array in enumerate(item.arrays):
                by_width[array.shape[2]].append((i, j))
        for places in by_width.values():
            for start in range(0, len(places), BATCH):
                some = places[start : start + BATCH]
                scores, attention = self._engine.run(np.stack([window[i].arrays[j] for i, j in some]))
                for (i, j), s, a in zip(some, scores, attention, strict=True):
                    readings[i][j] = self._decoded(window[i].crops[j], s, a)
        return readings

    def _decoded(self, crop: Crop, scores: Floats, attention: Floats) -> Reading:
        geometry = self._engine.card.geometry
        content = content_width(crop.pixels, geometry)
        height, width = crop.pixels.shape
        filled = content / geometry.bucket(content)
        return decode(scores, self._engine.card.alphabet, attention, (height, width), filled)

    def _record(self, item: _Prepared, readings: list[Reading], shared_seconds: float) -> Record:
        crop = reading = None
        decision, reason = Decision.REJECT, item.note
        if readings:
            best = surest(readings)
            crop, reading = item.crops[best], readings[best]
            decision, reason = decide(reading, crop.text_height_px, self.station.limits)
            reason = "; ".join(filter(None, (reason, item.note)))
        return Record(
            image=item.picture.image,
            image_sha256=item.sha256,
            batch=item.picture.batch,
            reading=reading,
            decision=decision,
            reason=reason,
            quad=tuple((float(x), float(y)) for x, y in crop.quad) if crop else None,
            text_height_px=crop.text_height_px if crop else None,
            contrast=crop.contrast if crop else None,
            tilt_deg=crop.tilt_deg if crop else None,
            model_id=self.model_id,
            station_id=self.station.station_id,
            read_at=datetime.now(UTC),
            elapsed_ms=(item.seconds + shared_seconds) * 1000,
        )


_UNREAD = Reading((), 0.0)


def surest(readings: list[Reading]) -> int:
    """Which of several readings of one picture to believe: the one with most characters surely read.

    A character that is as likely wrong as right counts nothing, one that is likelier wrong counts against.
    The first reading is that of the whole picture; a part of it has to be better by a character.
    """
    worth = [sum(2 * c.confidence - 1 for c in reading.chars) for reading in readings]
    worth[0] += 1
    return max(range(len(readings)), key=worth.__getitem__)


def ahead(pool: ThreadPoolExecutor, work: Callable[[A], B], items: Iterable[A], most: int) -> Iterator[B]:
    """Results of ``work`` in the order of the items, with at most ``most`` under way or waiting."""
    pending: deque[Future[B]] = deque()
    source = iter(items)
    while True:
        pending.extend(pool.submit(work, item) for item in islice(source, most - len(pending)))
        if not pending:
            return
        yield pending.popleft().result()


def _prepare(picture: Picture, view: View, geometry: CropGeometry) -> _Prepared:
    """Load, normalize, scale; in a thread beside others."""
    started = perf_counter()
    try:
        image = load_image(picture.path)
    except ImageError as error:
        reason = _reason(error, picture.path)
        return _Prepared(picture, digest(picture.path), (), (), reason, perf_counter() - started)
    crops = propose(image, view)
    arrays = tuple(to_array(crop.pixels, geometry) for crop in crops)
    return _Prepared(picture, image.sha256, crops, arrays, image.note, perf_counter() - started)


def _reason(error: ImageError, path: Path) -> str:
    """The error without the path: its record names it, and it differs from machine to machine."""
    return str(error).removeprefix(f"{path}: ")
