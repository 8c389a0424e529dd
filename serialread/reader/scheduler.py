"""On the way through the network: full batches of one width, several beside each other, in a fixed order."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from serialread.records import Floats

BATCH = 16
"""Crops that the network sees at once; twice as many are a tenth faster and cost 100 MB."""

AHEAD = 8
"""Batches that run or wait to run: no thread idles between two of them."""


class HasArray(Protocol):
    """Whatever goes through the network."""

    @property
    def array(self) -> Floats:
        """As the network takes it [1, H, W]; only equal widths share a batch."""


T = TypeVar("T", bound=HasArray)
R = TypeVar("R")


class BatchScheduler(Generic[T, R]):
    """Tasks that wait, by the width of their arrays, and batches that run beside each other.

    Which tasks share a batch hangs on the order of the calls alone, not on which batch is done first, nor on
    how many run: a folder is read in the same batches on any machine.
    """

    def __init__(self, work: Callable[[list[T]], R], beside: int) -> None:
        """Make ready to run ``work`` on batches, ``beside`` of them at a time."""
        self._work = work
        self._pool = ThreadPoolExecutor(beside, thread_name_prefix="network")
        self._lanes: dict[int, list[T]] = {}
        self._running: deque[tuple[list[T], Future[R]]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    @property
    def is_full(self) -> bool:
        """Whether no more batches should be started before one is finished."""
        return len(self._running) >= AHEAD

    @property
    def is_running(self) -> bool:
        """Whether there is a batch to finish."""
        return bool(self._running)

    @property
    def is_waiting(self) -> bool:
        """Whether any task is in no batch yet."""
        return any(self._lanes.values())

    def add(self, task: T) -> None:
        """Let a task wait for others of its width."""
        self._lanes.setdefault(task.array.shape[2], []).append(task)

    def start(self, least: int, wanted: Callable[[T], bool] | None = None) -> None:
        """Start batches of every width that has so many tasks waiting, or a wanted one among them."""
        for lane in self._lanes.values():
            while len(lane) >= least and (wanted is None or any(map(wanted, lane))):
                batch, lane[:] = lane[:BATCH], lane[BATCH:]
                self._running.append((batch, self._pool.submit(self._work, batch)))

    def finish(self) -> tuple[list[T], R]:
        """The batch that was started first, and what ``work`` made of it."""
        batch, future = self._running.popleft()
        return batch, future.result()
