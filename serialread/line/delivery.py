"""Delivery of results to one sink: in order, at least once, later if the sink is down."""

import logging
import random
import threading
from collections.abc import Sequence
from time import monotonic

from serialread.errors import LineError
from serialread.line.journal import Journal
from serialread.line.ports import NotAcknowledged, Sink, SinkDown

log = logging.getLogger(__name__)

BATCH = 100
"""Results delivered at once."""
BACKOFF_S = (0.25, 30.0)
"""First and longest pause before a sink that is down is tried again."""


class Delivery:
    """A thread that delivers the journal's results to a sink.

    Attributes:
        sink: the sink.
        stations: whose results it gets; empty: all.
        error: why it does not take results; "" while it does.
    """

    def __init__(self, sink: Sink, stations: Sequence[str], journal: Journal) -> None:
        """Make the thread; ``start`` starts it.

        Args:
            sink: the sink.
            stations: whose results it gets; empty: all.
            journal: the journal.
        """
        self.sink, self.error = sink, ""
        self.stations, self._journal = tuple(stations), journal
        self._wake = threading.Event()
        self._until: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"sink {sink.name}", daemon=True)

    def start(self) -> None:
        """Begin to deliver what was not delivered before."""
        self._journal.add_sink(self.sink.name)
        self._thread.start()

    def wake(self) -> None:
        """Say that there are new results."""
        self._wake.set()

    def stop(self, until: float) -> None:
        """Deliver the rest until a time (monotonic), then end; what remains comes after the next start."""
        self._until = until
        self.wake()

    def join(self) -> None:
        """Wait for the thread and close the sink."""
        if self._thread.ident:
            self._thread.join()
        self.sink.close()

    @property
    def waiting(self) -> int:
        """Number of results that are not delivered."""
        return self._journal.backlog(self.sink.name, self.stations)

    def _run(self) -> None:
        pause = BACKOFF_S[0]
        while self._until is None or monotonic() < self._until:
            self._wake.clear()
            try:
                if self._deliver():
                    pause = BACKOFF_S[0]
                    continue
                if self._until is not None:
                    return
                self._wake.wait()
            except Exception as error:
                self._failed(error)
                if isinstance(error, NotAcknowledged):
                    pause = BACKOFF_S[0]
                self._pause(pause * random.uniform(0.8, 1.2))
                pause = min(2 * pause, BACKOFF_S[1])

    def _deliver(self) -> bool:
        """Deliver the next results; False if there are none."""
        results, place = self._journal.undelivered(self.sink.name, self.stations, BATCH)
        if not results:
            return False
        self.sink.deliver(results)
        self._journal.delivered(self.sink.name, place)
        if self.error:
            log.info("sink %s takes results again", self.sink.name)
        self.error = ""
        return True

    def _failed(self, error: Exception) -> None:
        message = str(error) or type(error).__name__
        if not isinstance(error, SinkDown | LineError):
            log.exception("sink %s: a defect", self.sink.name)
        elif message != self.error:
            log.warning("sink %s is down: %s", self.sink.name, message)
        self.error = message

    def _pause(self, seconds: float) -> None:
        """Wait; new results do not end it. A stop does, and shortens those after it."""
        stopping = self._until is not None
        end = monotonic() + (min(seconds, BACKOFF_S[0]) if stopping else seconds)
        while (left := end - monotonic()) > 0 and (stopping or self._until is None):
            self._wake.wait(left)
            self._wake.clear()
