"""What travels on a line: triggers in, results out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import uuid4

from serialread.reader.serialization import RecordJson


def utc_now() -> datetime:
    """Now, to the millisecond: results are equal before and after they are stored."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


@dataclass(frozen=True, slots=True)
class TriggerPicture:
    """A picture of a trigger.

    Attributes:
        name: what the record calls it.
        data: bytes of a picture file, such as PNG or JPEG.
    """

    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Trigger:
    """A request to read the code of one part.

    Attributes:
        station: name of the station that reads it.
        pictures: frames of the same part, whose readings are fused; (): the station's camera takes them.
        expected: the code that the part should have; "" if not known.
        format: name or pattern of a format, of this code alone; "": the station's.
        source: what sent it, such as ``rest`` or ``folder in``.
        id: unique; a trigger with a known id is the same trigger, and is not read again.
        accepted_at: when it became durable, UTC; None before. The journal sets it.
    """

    station: str
    pictures: tuple[TriggerPicture, ...] = ()
    expected: str = ""
    format: str = ""
    source: str = ""
    id: str = field(default_factory=lambda: uuid4().hex)
    accepted_at: datetime | None = None


class Outcome(StrEnum):
    """What the line does with a part."""

    PASS = "PASS"
    """The reading is accepted and every check holds."""
    FAIL = "FAIL"
    """Nothing was read, or a check found an error in an accepted reading."""
    REVIEW = "REVIEW"
    """A person must look."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a trigger; every accepted trigger has exactly one.

    Attributes:
        trigger: its id; receivers drop a result whose trigger they know.
        station: its station.
        number: 1, 2, ... within the station, without gaps, in the order of acceptance.
        outcome: PASS, FAIL or REVIEW.
        reasons: why it is not PASS, one sentence each; () if it is.
        record: the reading, as a line of readings.jsonl.
        expected: the code that was expected; "" if not known.
        distance: edit distance from the reading to it; None if none was expected or nothing was read.
        source: what sent the trigger.
        accepted_at: UTC.
        finished_at: when the result was made, UTC.
    """

    trigger: str
    station: str
    number: int
    outcome: Outcome
    reasons: tuple[str, ...]
    record: RecordJson = field(repr=False)
    expected: str
    distance: int | None
    source: str
    accepted_at: datetime
    finished_at: datetime

    @property
    def text(self) -> str:
        """The code that was read; "" for none."""
        return str(self.record["text"])

    @property
    def latency_s(self) -> float:
        """Seconds from the acceptance of the trigger to the result."""
        return (self.finished_at - self.accepted_at).total_seconds()

    def to_json(self) -> dict[str, Any]:
        """All fields as JSON values."""
        return {
            "trigger": self.trigger,
            "station": self.station,
            "number": self.number,
            "outcome": self.outcome.value,
            "text": self.text,
            "reasons": list(self.reasons),
            "expected": self.expected,
            "distance": self.distance,
            "source": self.source,
            "accepted_at": self.accepted_at.isoformat(timespec="milliseconds"),
            "finished_at": self.finished_at.isoformat(timespec="milliseconds"),
            "latency_s": round(self.latency_s, 4),
            "record": self.record,
        }

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> "Result":
        """The result of ``to_json``."""
        return cls(
            trigger=values["trigger"],
            station=values["station"],
            number=values["number"],
            outcome=Outcome(values["outcome"]),
            reasons=tuple(values["reasons"]),
            record=values["record"],
            expected=values["expected"],
            distance=values["distance"],
            source=values["source"],
            accepted_at=datetime.fromisoformat(values["accepted_at"]),
            finished_at=datetime.fromisoformat(values["finished_at"]),
        )
