"""Triggers at regular times."""

import logging
import threading
from time import monotonic

from serialread.config.line_sources import IntervalConfig
from serialread.line.events import Trigger
from serialread.line.ports import Accept, CameraDown, LineBusy

log = logging.getLogger(__name__)


class IntervalTrigger:
    """Source that triggers the station's camera every few seconds; what is missed is not made up for."""

    def __init__(self, settings: IntervalConfig) -> None:
        self._settings = settings

    def run(self, accept: Accept, stop: threading.Event) -> None:
        """Trigger until ``stop`` is set."""
        due = monotonic()
        while not stop.wait(max(0, due - monotonic())):
            try:
                accept(Trigger(self._settings.station, source="interval"))
            except (CameraDown, LineBusy) as error:
                log.warning("station %s: no trigger: %s", self._settings.station, error)
            due = max(due + self._settings.every_s, monotonic())
