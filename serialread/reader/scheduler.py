"""Read many pictures concurrently: the crops of all pictures in progress share batches of one width.

Batches depend only on the order and the sizes of the pictures, never on timing: results of other threads are
collected in the order in which they were started.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Generic, TypeVar

from serialread.imaging import content_width
from serialread.inference.session import Engine, full_batch
from serialread.reader.outputs import Outputs, Steps, recognize
from serialread.records import Pixels

MAX_QUEUED = 4
"""Maximum number of full batches that run or wait."""
MAX_COST = 256
"""Maximum cost of the pictures in progress; it bounds memory and the work that a killed run loses."""
COST_PX = 32_768
"""A picture costs 1, and 1 more per this many px: the limit is 256 small or about 80 large crops."""
PHOTO_PX = 250_000
"""Larger pictures mostly need line detection, with hundreds of crops: the limit is two of them."""

T = TypeVar("T")


def recognize_alone(
    engine: Engine, crops: Sequence[Pixels], pool: ThreadPoolExecutor | None = None
) -> list[Outputs]:
    """The network's outputs for the crops of one picture, in their order.

    Args:
        engine: the network.
        crops: grey [H, W].
        pool: threads that run batches side by side; None: one batch after another.
    """
    lanes: dict[int, list[int]] = {}
    for number, crop in enumerate(crops):
        lanes.setdefault(_bucket(crop, engine), []).append(number)
    batches = list[list[int]]()
    for width, lane in lanes.items():
        full = full_batch(width)
        batches += (lane[start : start + full] for start in range(0, len(lane), full))
    side_by_side = pool.map if pool is not None and len(batches) > 1 else map
    outputs = side_by_side(lambda numbers: recognize(engine, [crops[n] for n in numbers]), batches)
    found: dict[int, Outputs] = {}
    for numbers, some in zip(batches, outputs, strict=True):
        found |= zip(numbers, some, strict=True)
    return [found[number] for number in range(len(crops))]


@dataclass(slots=True, eq=False)
class Job(Generic[T]):
    """A picture in progress.

    Attributes:
        steps: generator that reads it.
        crops: crops it waits for, grey [H, W].
        outputs: their outputs so far, by number; None before the first step.
        results: the result of its steps; empty until they end.
    """

    steps: Steps[T]
    size_px: int = 0
    number: int = 0
    crops: Sequence[Pixels] = ()
    outputs: dict[int, Outputs] | None = None
    seconds: float = 0.0
    results: list[T] = field(default_factory=list)

    @property
    def cost(self) -> int:
        """Its share of ``MAX_COST``."""
        return 1 + self.size_px // COST_PX if self.size_px < PHOTO_PX else MAX_COST // 2


_Place = tuple[Job[T], int]
"""One of the crops that a job waits for, by its number."""


@dataclass(slots=True, eq=False)
class _Lane(Generic[T]):
    """Pending crops of one width.

    Attributes:
        full: crops of a full batch.
        places: the crops.
    """

    full: int
    places: list[_Place[T]] = field(default_factory=list)

    @property
    def oldest(self) -> int:
        """Number of the first picture with a crop here."""
        return min(map(_number, self.places))

    def take(self) -> list[_Place[T]]:
        """Crops of the oldest pictures: a full batch if there are enough. They are no longer pending."""
        self.places.sort(key=_number)
        taken, self.places = self.places[: self.full], self.places[self.full :]
        return taken


class Scheduler(Generic[T]):
    """Drives the steps of many pictures and recognizes their crops in batches. Serves one run."""

    def __init__(self, engine: Engine, workers: int, streams: int) -> None:
        """Make a scheduler.

        Args:
            engine: the network.
            workers: threads that run steps between two requests.
            streams: batches that run in parallel.
        """
        self._engine, self._streams = engine, streams
        self._step_pool = ThreadPoolExecutor(workers, thread_name_prefix="steps")
        self._network_pool = ThreadPoolExecutor(streams, thread_name_prefix="network")
        self._order: deque[Job[T]] = deque()
        self._started: deque[tuple[Future[Any], Callable[[Any], None]]] = deque()
        self._lanes: dict[int, _Lane[T]] = {}
        self._last: _Lane[T] | None = None
        self._steps_running = self._batches_running = self._cost = 0

    def run(self, jobs: Iterable[Job[T]]) -> Iterator[tuple[T, float]]:
        """Results of the jobs in their order, each with the seconds spent on it."""
        source = iter(jobs)
        try:
            while True:
                self._admit(source)
                if not self._order:
                    return
                if self._order[0].results:
                    done = self._order.popleft()
                    self._cost -= done.cost
                    yield done.results[0], done.seconds
                    continue
                self._start_batches()
                future, settle = self._started.popleft()
                settle(future.result())
        finally:  # a caller that stops early waits only for what is running
            self._step_pool.shutdown(cancel_futures=True)
            self._network_pool.shutdown(cancel_futures=True)

    def _admit(self, source: Iterator[Job[T]]) -> None:
        """Start pictures up to ``MAX_COST``."""
        while self._cost < MAX_COST and (job := next(source, None)) is not None:
            job.number = self._order[-1].number + 1 if self._order else 0
            self._order.append(job)
            self._advance(job)
            self._cost += job.cost

    def _advance(self, job: Job[T]) -> None:
        self._steps_running += 1
        self._started.append((self._step_pool.submit(self._step, job), self._stepped))

    def _step(self, job: Job[T]) -> tuple[Job[T], Sequence[Pixels], list[T], float]:
        """Run a job's steps to their next request or their end; in a thread."""
        begun = perf_counter()
        # a generator is started by sending it None
        outputs: Any = None if job.outputs is None else [job.outputs[n] for n in range(len(job.crops))]
        try:
            return job, job.steps.send(outputs), [], perf_counter() - begun
        except StopIteration as end:
            return job, (), [end.value], perf_counter() - begun

    def _stepped(self, found: tuple[Job[T], Sequence[Pixels], list[T], float]) -> None:
        job, crops, results, seconds = found
        job.crops, job.results = crops, results
        self._steps_running -= 1
        job.seconds += seconds
        job.outputs = {}
        for number, crop in enumerate(crops):
            width = _bucket(crop, self._engine)
            lane = self._lanes.setdefault(width, _Lane(full_batch(width)))
            lane.places.append((job, number))

    def _start_batches(self) -> None:
        """Start full batches, those of the last one's width first; a partial one only if nothing runs.

        A partial one has the oldest picture: the later ones wait for it.
        """
        while self._batches_running < MAX_QUEUED and (full := self._lanes_with(full=True)):
            self._start(min(full, key=lambda lane: (lane is not self._last, lane.oldest)))
        if not self._steps_running and not self._batches_running and (some := self._lanes_with()):
            self._start(min(some, key=lambda lane: lane.oldest))

    def _lanes_with(self, *, full: bool = False) -> list[_Lane[T]]:
        """Lanes with at least one pending crop, or a full batch."""
        return [lane for lane in self._lanes.values() if len(lane.places) >= (lane.full if full else 1)]

    def _start(self, lane: _Lane[T]) -> None:
        """Start a batch of a lane."""
        self._last = lane
        self._batches_running += 1
        self._started.append((self._network_pool.submit(self._recognize, lane.take()), self._recognized))

    def _recognize(self, places: list[_Place[T]]) -> tuple[list[_Place[T]], list[Outputs], float]:
        """Recognize crops of one width; in a thread."""
        begun = perf_counter()
        outputs = recognize(self._engine, [job.crops[number] for job, number in places])
        return places, outputs, perf_counter() - begun

    def _recognized(self, found: tuple[list[_Place[T]], list[Outputs], float]) -> None:
        places, outputs, seconds = found
        self._batches_running -= 1
        for (job, number), output in zip(places, outputs, strict=True):
            job.seconds += seconds / len(places)
            if job.outputs is not None:
                job.outputs[number] = output
                if len(job.outputs) == len(job.crops):
                    self._advance(job)


def _number(place: _Place[T]) -> int:
    return place[0].number


def _bucket(crop: Pixels, engine: Engine) -> int:
    """Width of a crop's array, px; only equal widths share a batch."""
    geometry = engine.card.geometry
    return geometry.bucket(content_width(crop, geometry))
