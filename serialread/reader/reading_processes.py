"""Read pictures in several processes: Python runs one thread at a time, so that one process fills 1.5 cores.

Each process has a reader of its own and takes the next few pictures whenever it has room for them. The
calling process is one of them: it has opened a reader already. Results do not depend on which of them reads a
picture.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from enum import Enum, auto
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar, cast

from serialread.errors import RecordsError, SerialreadError
from serialread.imaging.loading import header_px
from serialread.worker_processes import one_thread_each, return_freed_memory, start_worker

MANY = 400
"""Crops from which more than one process pays: each takes a second to start."""
PHOTOGRAPH_PX, PHOTOGRAPH_CROPS = 200_000, 10
"""Pictures of more px are photographs; each counts as so many crops, as it takes at least as long to read."""
MAX_PROCESSES = 8
"""Unless more are asked for."""
PROCESS_BYTES = 2_000_000_000
"""The machine's memory per process, of which each takes about a quarter."""
BLOCK = 8
"""Pictures that a process takes at once."""

S = TypeVar("S")
R = TypeVar("R")
Work = Callable[[Iterator[S]], Iterator[R]]
"""One result per item, in their order; it may take many items before the first result."""


def processes_for(pictures: Sequence[Path]) -> int:
    """Processes that read these pictures fastest on this machine, without taking most of its memory."""
    if len(pictures) < MANY:
        photographs = sum(header_px(path) > PHOTOGRAPH_PX for path in pictures)
        if len(pictures) + (PHOTOGRAPH_CROPS - 1) * photographs < MANY:
            return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(min(cores, MAX_PROCESSES, _memory_bytes() // PROCESS_BYTES), 1)


def _memory_bytes() -> int:
    """Of the machine; as much as all processes may take where it is not known."""
    if not hasattr(os, "sysconf"):
        return MAX_PROCESSES * PROCESS_BYTES
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def work_in_processes(
    setup: Callable[[], Work[S, R]], own: Work[S, R], items: Iterable[S], processes: int
) -> Iterator[R]:
    """Results of all items in their order.

    Args:
        setup: called once in each other process; can be pickled.
        own: of this process, done in a thread beside the caller's.
        items: can be pickled, too.
        processes: their number, with this one. The others import the calling script, which must guard its
            code by ``if __name__ == "__main__"``.

    Raises:
        SerialreadError: of ``setup`` or ``own``, or a process has died.
    """
    context, numbered = get_context("spawn"), enumerate(items)
    ours, theirs = context.Pipe()
    workers, connections, every = list[Any](), [ours], [ours]
    thread = Thread(target=_work, args=(lambda: own, theirs), daemon=True)
    done, following = dict[int, R](), 0
    try:
        for _ in range(processes - 1):
            ours, theirs = context.Pipe()
            workers.append(context.Process(target=_work_in_process, args=(setup, theirs), daemon=True))
            connections.append(ours)
            every.append(ours)
            with one_thread_each():
                workers[-1].start()
            theirs.close()
        thread.start()
        while connections:
            for ready in wait(connections):
                connection = cast("Connection", ready)  # another class where pipes are not sockets
                match _received(connection):
                    case SerialreadError() as error:
                        raise error
                    case _Said.MORE:
                        _send(connection, [*islice(numbered, BLOCK)])
                    case _Said.ENDED:
                        connections.remove(connection)
                    case number, result:
                        done[number] = result
            while following in done:
                yield done.pop(following)
                following += 1
    finally:
        for connection in every:
            connection.close()  # the thread then ends with what it is reading
        for worker in workers:
            worker.terminate()
            worker.join()
        if thread.ident is not None:
            thread.join()


class _Said(Enum):
    """What a process says beside its results."""

    MORE = auto()
    ENDED = auto()


_DIED = RecordsError(
    "a process that reads pictures has died, perhaps for lack of memory. What is written is kept: add "
    "--resume, and give fewer --workers."
)


def _received(connection: Connection) -> Any:
    try:
        return connection.recv()
    except (EOFError, OSError):
        raise _DIED from None


def _send(connection: Connection, message: object) -> None:
    try:
        connection.send(message)
    except OSError:
        raise _DIED from None


def _work_in_process(setup: Callable[[], Work[S, R]], connection: Connection) -> None:
    """Work in a process of its own."""
    start_worker()
    return_freed_memory()
    _work(setup, connection)


def _work(setup: Callable[[], Work[S, R]], connection: Connection) -> None:
    """Work on what is given until nothing is left, or nobody listens any more."""
    taken = deque[int]()

    def given() -> Iterator[S]:
        while True:
            _say(connection, _Said.MORE)
            if not (block := _heard(connection)):
                return
            for number, item in block:
                taken.append(number)
                yield item

    with connection, suppress(_NobodyListensError):
        try:
            for result in setup()(given()):
                _say(connection, (taken.popleft(), result))
            _say(connection, _Said.ENDED)
        except SerialreadError as error:
            _say(connection, error)


class _NobodyListensError(Exception):
    """The caller has stopped before the end."""


def _say(connection: Connection, message: object) -> None:
    try:
        connection.send(message)
    except OSError:
        raise _NobodyListensError from None


def _heard(connection: Connection) -> Any:
    try:
        return connection.recv()
    except (EOFError, OSError):
        raise _NobodyListensError from None
