"""Calling a function of an index in several processes, with the results in order."""

import os
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

import cv2

T = TypeVar("T")

PIECE = 16
"""Indices handed to a worker at a time."""
IN_HAND = 2
"""Pieces a worker holds, so that it never waits for its next one."""
AHEAD = 8
"""Pieces, times workers, that may be out before the awaited one is back; bounds the memory."""

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class WorkError(Exception):
    """The work cannot go on; the message says at which index, and why."""


def in_order(call: Callable[[int], T], indices: range, workers: int) -> Generator[T, None, None]:
    """Yield ``call(index)`` for every index, in order, made by ``workers`` processes of one thread each.

    Raises:
        WorkError: the call raised (results before that index were yielded), or a worker died.
    """
    pieces = [indices[start : start + PIECE] for start in range(0, len(indices), PIECE)]
    processes, connections = _started(call, min(workers, len(pieces)))
    try:
        yield from _collected(pieces, connections)
    finally:
        for connection in connections:
            connection.close()
        for process in processes:
            process.terminate()
            process.join()


def _started(call: Callable[[int], T], workers: int) -> tuple[list[BaseProcess], list[Connection]]:
    # Spawned, not forked: a lock held by a thread of the parent would stay locked in a fork, and numpy reads
    # the number of threads once, when it loads.
    context = get_context("spawn")
    processes: list[BaseProcess] = []
    connections: list[Connection] = []
    with _set_environment(_ONE_THREAD):
        for _ in range(workers):
            here, there = context.Pipe()
            process = context.Process(target=_work, args=(call, there), daemon=True)
            process.start()
            there.close()
            processes.append(process)
            connections.append(here)
    return processes, connections


def _collected(pieces: list[range], connections: list[Connection]) -> Iterator[Any]:
    """Hand pieces out in order, take results in any order, pass them on in order."""
    free = connections * IN_HAND
    waiting: dict[int, tuple[list[Any], str]] = {}
    handed = passed = 0
    while passed < len(pieces):
        while free and handed < min(len(pieces), passed + AHEAD * len(connections)):
            free.pop(0).send((handed, pieces[handed]))
            handed += 1
        for connection in wait(connections):
            assert isinstance(connection, Connection)
            number, results, failure = _received(connection)
            waiting[number] = results, failure
            free.append(connection)
        while passed in waiting:
            results, failure = waiting.pop(passed)
            yield from results
            if failure:
                raise WorkError(failure)
            passed += 1


def _received(connection: Connection) -> tuple[int, list[Any], str]:
    try:
        number, results, failure = connection.recv()
    except (EOFError, ConnectionError):
        raise WorkError("a worker process died, perhaps for want of memory") from None
    return number, results, failure


def _work(call: Callable[[int], Any], connection: Connection) -> None:
    """A worker's life: it ends when the parent goes away, however that happens."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    cv2.setNumThreads(1)
    try:
        while True:
            number, indices = connection.recv()
            connection.send((number, *_piece(call, indices)))
    except (EOFError, ConnectionError):
        return


def _piece(call: Callable[[int], Any], indices: range) -> tuple[list[Any], str]:
    results = []
    for index in indices:
        try:
            results.append(call(index))
        except Exception as error:  # whatever it was, the parent has to hear at which index
            return results, f"sample {index} could not be made: {type(error).__name__}: {error}"
    return results, ""


@contextmanager
def _set_environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
