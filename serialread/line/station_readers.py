"""The stations of a line, opened: a shared model, a reader and the checks of each."""

import logging
from functools import lru_cache, partial

from serialread.codes import without_blanks
from serialread.config import LineConfig, LineStation, Station, load
from serialread.errors import CalibrationError, RecipeError, SerialreadError
from serialread.line.checks import StationChecks
from serialread.line.events import Result, Trigger, utc_now
from serialread.line.journal import MAX_ATTEMPTS, Journal
from serialread.line.ports import BadTrigger
from serialread.reader import Reader
from serialread.reader.serialization import json_line
from serialread.records import Record

log = logging.getLogger(__name__)

MAX_EXPECTED, MAX_ID = 200, 128
"""Longest expected code or format, and longest id of a trigger, in characters."""
_FORMATS = 64
"""Readers of formats of single triggers that stay open."""


class StationReaders:
    """Readers and checks of all stations, as their files are now; a reload makes new ones."""

    def __init__(self, config: LineConfig, journal: Journal) -> None:
        """Open model and stations.

        Raises:
            SerialreadError: the model cannot be used, or all that is wrong with the stations.
        """
        shared = Reader(config.model, engine=config.engine)
        self._readers: dict[str, Reader] = {}
        self._checks: dict[str, StationChecks] = {}
        problems: list[str] = []
        for station in config.stations:
            name = station.name
            try:
                self._readers[name] = shared.at(_settings(station))
                self._checks[name] = StationChecks(station.checks, partial(journal.codes_since, name))
            except SerialreadError as error:
                problems.append(f"station {name}: {error}")
        if problems:
            raise RecipeError(" ".join(problems))
        self._with_format = lru_cache(_FORMATS)(self._of_format)

    @property
    def model_id(self) -> str:
        """The model of all stations."""
        return next(iter(self._readers.values())).model_id

    @property
    def fields(self) -> dict[str, tuple[str, ...]]:
        """Names of the fields of each station."""
        return {
            name: tuple(field.name for field in reader.station.fields)
            for name, reader in self._readers.items()
        }

    def check(self, trigger: Trigger) -> None:
        """Check what a trigger asks for.

        Raises:
            BadTrigger: no such station, or its format, expected code or id cannot be used.
        """
        if trigger.station not in self._readers:
            raise BadTrigger(f"station {trigger.station:.80}: not known. Use {', '.join(self._readers)}.")
        if not 0 < len(trigger.id) <= MAX_ID or not trigger.id.isprintable():
            raise BadTrigger(f"id: not 1 to {MAX_ID} printable characters. Send a shorter one.")
        if "/" in trigger.id:
            raise BadTrigger("id: holds a slash, which cannot be part of /v1/readings/ID. Send another id.")
        expected = trigger.expected
        if len(expected) > MAX_EXPECTED or not expected.isprintable() or expected != without_blanks(expected):
            raise BadTrigger(
                f"expected code: not at most {MAX_EXPECTED} printable characters without blanks. Correct it."
            )
        if len(trigger.format) > MAX_EXPECTED:
            raise BadTrigger(f"format: longer than {MAX_EXPECTED} characters. Shorten it.")
        try:
            self._with_format(trigger.station, trigger.format)
        except (RecipeError, CalibrationError) as error:
            raise BadTrigger(str(error)) from None

    def read(self, trigger: Trigger, interruptions: int = 0) -> tuple[Result, Record]:
        """Read and check a trigger; whatever goes wrong is a reason of its result.

        Args:
            trigger: an accepted trigger, with pictures.
            interruptions: how often the process was killed, perhaps by this trigger.

        Returns:
            The result, without a number, and the record of the reading.
        """
        reader = self._with_format(trigger.station, "")
        name = trigger.pictures[0].name if trigger.pictures else ""
        try:
            if interruptions >= MAX_ATTEMPTS:
                record = reader.rejected(name, f"reading it was interrupted {interruptions} times")
            elif not trigger.pictures:
                record = reader.rejected(name, "the trigger has no picture")
            else:
                reader = self._with_format(trigger.station, trigger.format)
                record = reader.read_frames([picture.data for picture in trigger.pictures], name)
        except Exception as error:  # a defect must not stop the line
            log.exception("trigger %s cannot be read", trigger.id)
            record = reader.rejected(name, f"internal error: {error}")
        finished = utc_now()
        verdict = self._checks[trigger.station].assess(record, trigger.expected, trigger.id, finished)
        result = Result(
            trigger=trigger.id,
            station=trigger.station,
            number=0,
            outcome=verdict.outcome,
            reasons=verdict.reasons,
            record=json_line(record),
            expected=trigger.expected,
            distance=verdict.distance,
            source=trigger.source,
            accepted_at=trigger.accepted_at or finished,
            finished_at=finished,
        )
        return result, record

    def _of_format(self, station: str, code_format: str) -> Reader:
        reader = self._readers[station]
        return reader.at(reader.station.with_format(code_format)) if code_format else reader


def _settings(station: LineStation) -> Station:
    """The station's own file, with the name and the format that the line gives it."""
    settings = load(station.file, Station) if station.file else Station()
    return settings.with_format(station.format) if station.format else settings
