"""Who works on the shards: processes of this machine, or the actors of a Ray cluster.

Both call the same function with the same shards, so that results do not depend on who made them. A shard
whose process dies is given to another one.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import get_context
from typing import Any, Generic, TypeVar

from serialread.errors import RecordsError, SerialreadError
from serialread.worker_processes import one_thread_each, start_worker

MAX_DEATHS = 3
"""Processes that may die in a row, with no shard finished between, before the work is given up."""
STARTS = 3
"""Attempts to start a cluster on this machine: Ray gives a node 30 s, which a busy machine may exceed."""
AHEAD = 2
"""Shards per worker that are handed out at once, so that no worker waits for the next."""

_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""At 0, when Ray is imported, a cluster that is started here listens to this machine alone, on any system."""

S = TypeVar("S")
R = TypeVar("R")
Setup = Callable[[], Callable[[S], R]]
"""Called once in each process, such as to load a model; returns the function that works on a shard. It can be
pickled, and the function may be called twice with a shard: the results must be the same."""


@dataclass(frozen=True, slots=True)
class Processes(Generic[S, R]):
    """Processes of this machine.

    Args:
        workers: their number; 1 works in this process.
    """

    workers: int = 1

    def run(self, setup: Setup[S, R], shards: Iterable[S]) -> Iterator[R]:
        """The result of every shard, in the order in which they are finished.

        Raises:
            SerialreadError: of a shard; or processes died again and again.
        """
        if self.workers == 1:
            work = setup()
            yield from map(work, shards)
            return
        left, deaths = deque(shards), 0
        while left:
            with closing(self._until_death(setup, left)) as results:
                for result in results:
                    deaths = 0
                    yield result
            deaths += bool(left)
            if deaths >= MAX_DEATHS:
                raise _died("processes of this machine")

    def _until_death(self, setup: Setup[S, R], left: deque[S]) -> Generator[R, None, None]:
        """Work until a process dies; then ``left`` holds what is not finished."""
        with one_thread_each():
            pool = ProcessPoolExecutor(self.workers, get_context("spawn"), _start, (setup,))
        running: dict[Future[R], S] = {}
        try:
            while left or running:
                while left and len(running) < AHEAD * self.workers:
                    with one_thread_each():
                        running[pool.submit(_call, left[0])] = left[0]
                    left.popleft()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    result = future.result()
                    del running[future]
                    yield result
        except BrokenProcessPool:
            left.extendleft(reversed([*running.values()]))
        finally:
            pool.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class RayActors(Generic[S, R]):
    """Actors of a Ray cluster, one per worker; one that dies is started again, on any machine.

    Args:
        workers: actors; each takes one core.
        address: of the cluster, as ``ray.init`` takes it; "" starts one on this machine and stops it.
        memory: bytes of Ray's object store of a cluster that is started; shards travel by name, not by value.
    """

    workers: int = 1
    address: str = ""
    memory: int = 100_000_000

    def run(self, setup: Setup[S, R], shards: Iterable[S]) -> Iterator[R]:
        """The result of every shard, in the order in which they are finished.

        Raises:
            SerialreadError: of a shard; Ray is not installed, or actors died again and again.
        """
        if find_spec("ray") is None:
            raise RecordsError("ray: not installed. Install it: pip install 'serialread[scale]'")
        if not self.address:
            os.environ.setdefault(_LOOPBACK, "0")
        import ray

        ours = not ray.is_initialized()
        if ours:
            try:
                self._connect(ray)
            except Exception as error:  # Ray raises Exception itself where a node does not start in time
                raise RecordsError(
                    f"ray: no cluster at {self.address or 'this machine'}: {error}. Check the address; on a "
                    "busy machine try again."
                ) from error
        try:
            yield from self._results(ray, setup, shards)
        except (ray.exceptions.RayTaskError, ray.exceptions.RayActorError) as error:
            cause = getattr(error, "cause", None)
            raise cause if isinstance(cause, SerialreadError) else _died(f"Ray: {error}") from error
        finally:
            if ours:
                ray.shutdown()

    def _connect(self, ray: Any) -> None:
        quiet = {"logging_level": "warning", "log_to_driver": False}
        if self.address:
            ray.init(self.address, **quiet)
            return
        for tries_left in reversed(range(STARTS)):
            try:
                ray.init(
                    "local",
                    num_cpus=self.workers,
                    object_store_memory=self.memory,
                    include_dashboard=False,
                    **quiet,
                )
                return
            except Exception:  # a node that does not start within 30 s, which Ray fixes, raises Exception
                ray.shutdown()
                if not tries_left:
                    raise

    def _results(self, ray: Any, setup: Setup[S, R], shards: Iterable[S]) -> Iterator[R]:
        remote = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=MAX_DEATHS)(_Actor)
        actors, left = [remote.remote(setup) for _ in range(self.workers)], iter(shards)
        running: dict[Any, Any] = {}
        try:
            for actor in actors * AHEAD:
                _hand_out(left, actor, running)
            while running:
                done, _ = ray.wait(list(running), num_returns=1)
                actor = running.pop(done[0])
                result = ray.get(done[0])
                _hand_out(left, actor, running)
                yield result
        finally:
            for actor in actors:
                ray.kill(actor)


def runner_of(name: str, workers: int, address: str = "") -> Processes[Any, Any] | RayActors[Any, Any]:
    """Processes of this machine, or for the name ``ray`` actors of a cluster."""
    return RayActors(workers, address) if name == "ray" else Processes(workers)


class _Actor:
    """A process of a cluster; prepared by its first shard, so that an error of the setup is a shard's."""

    def __init__(self, setup: Setup[Any, Any]) -> None:
        _start(setup)

    def work(self, shard: Any) -> Any:
        return _call(shard)


def _hand_out(left: Iterator[Any], actor: Any, running: dict[Any, Any]) -> None:
    for shard in left:
        running[actor.work.remote(shard)] = actor
        return


_setup: Setup[Any, Any] | None = None
_work: Callable[[Any], Any] | None = None


def _start(setup: Setup[Any, Any]) -> None:
    global _setup, _work
    start_worker()
    _setup, _work = setup, None


def _call(shard: Any) -> Any:
    global _work
    if _work is None and _setup is not None:
        _work = _setup()
    return _work(shard) if _work else None


def _died(who: str) -> RecordsError:
    return RecordsError(
        f"{who}: {MAX_DEATHS} died in a row, perhaps because memory ran out. What is finished is kept: take "
        "fewer workers or smaller shards, and add --resume."
    )
