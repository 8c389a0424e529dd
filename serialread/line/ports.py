"""What a source, a sink and a camera are to the service, and what the service gives them.

To add a kind: a section in ``serialread/config/line_sources.py`` or ``line_sinks.py`` with a ``kind`` of its
own, named in the union; a class here implements the protocol; a case of ``open_*`` in ``registry.py``.
Constructors check their settings and touch nothing outside: a broker that is down is no error of the file.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from importlib.util import find_spec
from typing import Protocol, runtime_checkable

from serialread.config.section import Section
from serialread.errors import LineError, RecipeError
from serialread.line.events import Result, Trigger, TriggerPicture


class SinkDown(LineError):  # noqa: N818 - says what happened
    """A sink cannot take results now; they are delivered later."""


class NotAcknowledged(SinkDown):
    """The receiver must acknowledge a result first; delivery asks again after the shortest pause."""


class LineBusy(LineError):  # noqa: N818 - says what happened
    """The queue is full, or the service stops: the trigger was not accepted; send it again later."""


class BadTrigger(LineError):  # noqa: N818 - says what happened
    """A trigger that cannot be accepted: no such station, format or expected code. Nothing was stored."""


class CameraDown(LineError):  # noqa: N818 - says what happened
    """A camera has no picture."""


Accept = Callable[[Trigger], "Future[Result]"]
"""Takes a trigger. When it returns, the trigger is durable and may be acknowledged: its result will come,
also after a crash. A trigger whose id is known is not read again; its future gives the result of the first.

Raises ``BadTrigger`` or ``LineBusy``: nothing was accepted. May be called from any thread.
"""


@runtime_checkable
class Source(Protocol):
    """Where triggers come from."""

    def run(self, accept: Accept, stop: threading.Event) -> None:
        """Send triggers until ``stop`` is set; the service calls it in a thread of its own.

        An exception is logged, and ``run`` is called again after a pause.
        """


@runtime_checkable
class Sink(Protocol):
    """Where results go.

    Attributes:
        name: by which the journal remembers what was delivered.
    """

    name: str

    def deliver(self, results: Sequence[Result]) -> None:
        """Deliver results, in order; return when the receiver has them.

        Results may come again after a crash or a ``SinkDown``, with the same trigger ids. Called from one
        thread; must not wait for longer than some seconds.

        Raises:
            SinkDown: the receiver cannot take them now; all of them come again.
        """

    def close(self) -> None:
        """Release connections and files."""


@runtime_checkable
class FrameGrabber(Protocol):
    """A camera that takes the pictures of triggers without pictures."""

    def grab(self) -> tuple[TriggerPicture, ...]:
        """Take the frames of one part, now; called by one thread at a time.

        Raises:
            CameraDown: there are none.
        """

    def close(self) -> None:
        """Release the camera."""


@dataclass(frozen=True, slots=True)
class SinkHealth:
    """State of a sink: ``error`` is "" while it takes results; ``waiting`` results are not delivered."""

    error: str
    waiting: int


@dataclass(frozen=True, slots=True)
class StationHealth:
    """State of a station: triggers that wait, results so far, time of the last one (UTC)."""

    waiting: int
    results: int
    last_result_at: datetime | None


@dataclass(frozen=True, slots=True)
class LineHealth:
    """State of the service.

    Attributes:
        ready: whether triggers are accepted.
        stations: by name.
        sinks: by name.
        problems: stations, sources and other parts that do not work, one sentence each.
    """

    ready: bool
    stations: Mapping[str, StationHealth]
    sinks: Mapping[str, SinkHealth]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LineContext:
    """What the service gives to its sources and sinks.

    Attributes:
        stations: names of all stations.
        health: asks for the state of the service; cheap enough for once a second.
        reload: reads stations and model again; raises SerialreadError and keeps the old ones if they are not
            valid.
        picture: a kept picture by the id of its trigger and the number of its frame, from 0; None if there
            is none.
        owed: ids of the triggers that a sink, by its name, sent itself to a station, and whose results it has
            not received; after a restart it waits for them.
        fields: names of the fields of each station.
    """

    stations: tuple[str, ...]
    health: Callable[[], LineHealth]
    reload: Callable[[], None]
    picture: Callable[[str, int], bytes | None]
    owed: Callable[[str, str], Sequence[str]]
    fields: Mapping[str, Sequence[str]] = field(default_factory=dict)


def require_files(settings: Section, *keys: str) -> None:
    """Check that the files that settings name exist.

    Args:
        settings: the settings.
        keys: theirs, each with a path or None.

    Raises:
        RecipeError: one is missing.
    """
    for key in keys:
        path = getattr(settings, key)
        if path is not None and not path.is_file():
            raise RecipeError(f"{key}: {path}: no such file. Create it, or correct the path.")


def require_extra(what: str, extra: str, *modules: str) -> None:
    """Check that the libraries of an extra are installed.

    Raises:
        RecipeError: one is missing.
    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise RecipeError(
            f"{what}: {missing[0]} is not installed. Install it: pip install 'serialread[{extra}]'"
        )
