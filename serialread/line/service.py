"""The service: sources bring triggers, stations read and check them, sinks get the results."""

import gc
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import TypeVar

from serialread.config import LineConfig
from serialread.config.line_sources import HotFolderConfig
from serialread.errors import RecipeError, SerialreadError
from serialread.line.delivery import Delivery
from serialread.line.events import Outcome, Result, Trigger
from serialread.line.hot_folder import conflicts
from serialread.line.journal import Journal
from serialread.line.ports import (
    BadTrigger,
    FrameGrabber,
    LineBusy,
    LineContext,
    LineHealth,
    Sink,
    SinkHealth,
    Source,
    StationHealth,
)
from serialread.line.registry import open_camera, open_sink, open_source
from serialread.line.station_readers import StationReaders
from serialread.records import Record

log = logging.getLogger(__name__)

RESTART_S = (0.5, 30.0)
"""First and longest pause before a source that failed is started again."""
PAUSE_S = 1.0
"""Pause of a station after an error, such as a full disk."""
PRUNE_S = 60.0
"""Time between two deletions of what is older than the retention."""

Listener = Callable[[Result, Record], None]
T = TypeVar("T")


class LineService:
    """A production line.

    Attributes:
        config: what it is made of.
        journal: accepted triggers and results.
        listeners: functions that are called with every result, in the station's thread; must be quick.
    """

    def __init__(self, config: LineConfig) -> None:
        """Check everything and open the journal; nothing runs before ``start``.

        Args:
            config: the line; its paths are absolute, as ``load_line`` makes them.

        Raises:
            RecipeError: all that is wrong with its stations, sources, cameras and sinks.
            LineError: the journal cannot be opened.
        """
        self.config = config
        self.listeners: list[Listener] = []
        self._accepting = False
        self._stop_sources, self._stop = threading.Event(), threading.Event()
        self._read_until = float("inf")
        self._mutex = threading.Lock()
        self._futures: dict[str, list[Future[Result]]] = {}
        self._wakes = {station.name: threading.Event() for station in config.stations}
        self._problems: dict[str, str] = {}
        self._threads: list[threading.Thread] = []
        self.journal = Journal(config.folder)
        try:
            self._open()
        except BaseException:
            self.journal.close()
            raise

    def _open(self) -> None:
        config, problems = self.config, list[str]()

        def checked(place: str, make: Callable[[], T]) -> tuple[T, ...]:
            try:
                return (make(),)
            except SerialreadError as error:
                problems.append(f"{place}: {error}")
                return ()

        for name in sorted(self.journal.waiting_stations().keys() - self._wakes.keys()):
            problems.append(
                f"{config.folder}: triggers wait for station {name}, which the line does not have. "
                "Add the station, or set another folder."
            )
        readers = checked("stations", partial(StationReaders, config, self.journal))
        context = LineContext(
            tuple(self._wakes),
            self.health,
            self.reload,
            self.journal.picture,
            self.journal.owed,
            readers[0].fields if readers else {},
        )
        ends: list[tuple[str, Source | Sink, tuple[str, ...]]] = []
        sources = {f"source {number} ({one.kind})": one for number, one in enumerate(config.sources, 1)}
        problems += conflicts({at: one for at, one in sources.items() if isinstance(one, HotFolderConfig)})
        for place, source in sources.items():
            found = checked(place, partial(open_source, source, context))
            ends += [(place, one, (source.station,)) for one in found]
        for sink in config.sinks:
            place = f"sink {sink.name}"
            ends += [(place, one, sink.stations) for one in checked(place, partial(open_sink, sink, context))]
        self._cameras: dict[str, tuple[FrameGrabber, threading.Lock]] = {}
        for camera in config.cameras:
            for one in checked(f"camera of {camera.station}", partial(open_camera, camera)):
                self._cameras[camera.station] = (one, threading.Lock())
        if problems:
            raise RecipeError(" ".join(problems))
        (self._readers,) = readers
        self._sources = {place: one for place, one, _ in ends if isinstance(one, Source)}
        self._deliveries = [
            Delivery(one, stations, self.journal) for _, one, stations in ends if isinstance(one, Sink)
        ]

    @property
    def model_id(self) -> str:
        """The model that reads."""
        return self._readers.model_id

    def start(self) -> None:
        """Start to read what waits, to deliver, and to accept triggers."""
        for delivery in self._deliveries:
            delivery.start()
        self._accepting = True
        work: list[tuple[str, Callable[[], None]]] = [("retention", self._prune)]
        work += [(f"station {name}", partial(self._work, name)) for name in self._wakes]
        work += [(name, partial(self._run_source, name, one)) for name, one in self._sources.items()]
        self._threads = [threading.Thread(target=run, name=name, daemon=True) for name, run in work]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Accept no more, read and deliver the rest as long as ``stop_timeout_s`` allows, and close."""
        until = monotonic() + self.config.stop_timeout_s
        self._accepting = False
        self._stop_sources.set()
        self._read_until = until
        self._stop.set()
        for wake in self._wakes.values():
            wake.set()
        for thread in self._threads:
            thread.join(max(until - monotonic(), 0) + 5)
        for delivery in self._deliveries:
            delivery.stop(until)
        self.close()

    def accept(self, trigger: Trigger) -> "Future[Result]":
        """Accept a trigger; see ``ports.Accept``.

        Raises:
            BadTrigger: its station, format, expected code or id cannot be used, or it has no picture and its
                station no camera.
            CameraDown: the station's camera has no picture.
            LineBusy: too many triggers wait, or the service stops.
            LineError: the journal cannot be written.
        """
        if not self._accepting:
            raise LineBusy("the service does not run. Send the trigger again later.")
        self._readers.check(trigger)
        if self.journal.waiting() >= self.config.max_queue:
            raise LineBusy(f"{self.config.max_queue} triggers wait. Send the trigger again later.")
        future: Future[Result] = Future()
        future.set_running_or_notify_cancel()  # whoever stops waiting must not cancel it
        with self._mutex:
            self._futures.setdefault(trigger.id, []).append(future)
        try:
            self.journal.accept(trigger if trigger.pictures else self._with_pictures(trigger))
            known = self.journal.result_of(trigger.id)
        except BaseException:
            self._forget(trigger.id, future)
            raise
        if known:
            self._resolve(known)
        self._wakes[trigger.station].set()
        return future

    def reload(self) -> None:
        """Read the model, the station files and the lists of codes again; triggers go on waiting meanwhile.

        Raises:
            SerialreadError: one of them cannot be used; the old ones stay.
        """
        self._readers = StationReaders(self.config, self.journal)
        gc.collect()  # readers refer to themselves: the old model would stay for a while
        log.info("stations and model %s are read again", self.model_id)

    def health(self) -> LineHealth:
        """The state of the service."""
        stations = {}
        for name in self._wakes:
            results, last = self.journal.station_state(name)
            stations[name] = StationHealth(self.journal.waiting(name), results, last)
        sinks = {one.sink.name: SinkHealth(one.error, one.waiting) for one in self._deliveries}
        return LineHealth(self._accepting, stations, sinks, tuple(self._problems.values()))

    def close(self) -> None:
        """Close sinks, cameras and the journal; called by ``stop``."""
        for delivery in self._deliveries:
            delivery.join()
        for camera, _ in self._cameras.values():
            camera.close()
        self.journal.close()

    def alive(self) -> bool:
        """Whether all its threads run, and the journal answers."""
        self.journal.waiting()
        return all(thread.is_alive() for thread in self._threads)

    def _with_pictures(self, trigger: Trigger) -> Trigger:
        if self.journal.knows(trigger.id):
            return trigger
        if trigger.station not in self._cameras:
            raise BadTrigger(f"station {trigger.station}: has no camera. Send a picture with the trigger.")
        camera, mutex = self._cameras[trigger.station]
        with mutex:
            return replace(trigger, pictures=camera.grab())

    def _work(self, station: str) -> None:
        """Read the station's triggers, oldest first."""
        wake = self._wakes[station]
        while not self._stop.is_set() or monotonic() < self._read_until:
            wake.clear()
            try:
                found = self.journal.next_waiting(station)
                if found:
                    self._finish(*self._readers.read(*found))
                elif self._stop.is_set():
                    return
                else:
                    wake.wait()
                self._problems.pop(station, None)
            except Exception as error:  # a defect must not end the thread: triggers would wait for ever
                self._problem(station, f"station {station}", error)
                if self._stop.wait(PAUSE_S):
                    return

    def _finish(self, draft: Result, record: Record) -> None:
        kept = {"none": (), "not_passed": (Outcome.FAIL, Outcome.REVIEW), "all": tuple(Outcome)}
        keep = draft.outcome in kept[self.config.retention.pictures]
        result = self.journal.finish(draft, keep_pictures=keep)
        self._resolve(result)
        for delivery in self._deliveries:
            delivery.wake()
        for listener in self.listeners:
            try:
                listener(result, record)
            except Exception as error:  # the station reads on whatever becomes of its listeners
                self.listeners = [one for one in self.listeners if one is not listener]
                self._problem("listener", "results are no longer shown", error)
        log.debug("trigger %s: %s %s", result.trigger, result.outcome, result.text)

    def _resolve(self, result: Result) -> None:
        with self._mutex:
            futures = self._futures.pop(result.trigger, [])
        for future in futures:
            future.set_result(result)

    def _forget(self, trigger: str, future: "Future[Result]") -> None:
        with self._mutex:
            left = [one for one in self._futures.get(trigger, []) if one is not future]
            self._futures |= {trigger: left}
            if not left:
                del self._futures[trigger]

    def _run_source(self, name: str, source: Source) -> None:
        pause = RESTART_S[0]
        while not self._stop_sources.is_set():
            begun = monotonic()
            self._problems.pop(name, None)
            try:
                source.run(self.accept, self._stop_sources)
            except Exception as error:
                self._problem(name, name, error)
            if monotonic() - begun > RESTART_S[1]:
                pause = RESTART_S[0]
            self._stop_sources.wait(pause)
            pause = min(2 * pause, RESTART_S[1])

    def _problem(self, place: str, what: str, error: Exception) -> None:
        """Note a problem; the log gets it once, and the traceback of a defect with it."""
        message = f"{what}: {str(error) or type(error).__name__}"
        if self._problems.get(place) != message:
            log.error("%s", message, exc_info=None if isinstance(error, SerialreadError | OSError) else error)
        self._problems[place] = message

    def _prune(self) -> None:
        kept = self.config.retention
        sinks = {delivery.sink.name: delivery.stations for delivery in self._deliveries}
        while not self._stop.is_set():
            try:
                self.journal.prune(sinks, kept.days, kept.pictures_mb * 1e6)
                self._problems.pop("retention", None)
            except Exception as error:  # it is tried again
                self._problem("retention", "retention", error)
            self._stop.wait(PRUNE_S)
