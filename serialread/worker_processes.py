"""What all processes that work for another one have in common."""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import parent_process
from threading import Thread

import cv2

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_M_TRIM_THRESHOLD = -1
"""Of ``mallopt`` in glibc's malloc.h."""


def start_worker() -> None:
    """Prepare a worker process: one thread, no Ctrl-C of its own, and an end when the parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles it
    cv2.setNumThreads(1)
    Thread(target=_end_with_parent, daemon=True).start()


def return_freed_memory() -> None:
    """Let glibc return the memory of freed arrays to the system at once; elsewhere nothing changes.

    Unless told so, it keeps more, the larger the arrays that have been freed: 60 MB of a process that reads.
    """
    if sys.platform == "linux":
        with suppress(AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(_M_TRIM_THRESHOLD, 128 * 1024)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Processes that are started in this block compute with one thread each."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(_ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
