"""The values of the REST interface, from which the OpenAPI document is written."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from serialread.line.events import Outcome

Moment = Annotated[
    AwareDatetime, Field(ge=datetime(1970, 1, 1, tzinfo=UTC), le=datetime(9000, 1, 1, tzinfo=UTC))
]


class RestModel(BaseModel):
    """A value of the interface; unknown names are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ReadRequest(RestModel):
    """What a trigger says besides its pictures: fields of a form, or of the query with a raw body."""

    station: str = ""
    """Name of the station; not needed if there is only one."""
    expected: str = ""
    """The code that the part should have."""
    format: str = ""
    """Name or pattern of a format, for this code alone."""
    id: str = ""
    """Id of the trigger. A repeated id is the same trigger: it is not read again, and its result is
    answered."""
    wait: float | None = Field(default=None, ge=0)
    """Seconds to wait for the result, up to ``result_timeout_s``; 0 answers 202 at once."""


class ReadingsRequest(RestModel):
    """Which results to list, the newest first."""

    station: str = ""
    """Of this station."""
    outcome: Literal["", "PASS", "FAIL", "REVIEW"] = ""
    """With this outcome."""
    text: str = ""
    """With this code."""
    since: Moment | None = None
    """From this time on; ISO 8601 with a time zone."""
    until: Moment | None = None
    """Before this time."""
    before: int = Field(default=0, ge=0, le=2**62)
    """``next`` of the page before."""
    limit: int = Field(default=100, ge=1, le=1000)
    """Number of results at most."""


class ReadingsResult(RestModel):
    """The result of a trigger."""

    trigger: str
    """Id of the trigger."""
    station: str
    number: int
    """1, 2, ... within the station, without gaps."""
    outcome: Outcome
    """PASS: accepted, every check holds. FAIL: not read, or a check failed. REVIEW: a person must look."""
    text: str
    """The code; "" if none was read."""
    reasons: list[str]
    """Why it is not PASS."""
    expected: str
    """The code that was expected; "" if not known."""
    distance: int | None
    """Edit distance from the reading to the expected code."""
    source: str
    """What sent the trigger."""
    accepted_at: datetime
    finished_at: datetime
    latency_s: float
    """Seconds between the two."""
    record: dict[str, Any]
    """The reading, as a line of readings.jsonl (docs/results.md)."""


class ReadingsPage(RestModel):
    """A list of results."""

    readings: list[ReadingsResult]
    next: int | None
    """``before`` of the next page; null on the last."""


class TriggerAccepted(RestModel):
    """A trigger whose result is not there yet."""

    trigger: str
    """Its id, for ``/v1/readings/{trigger}``."""


class StationState(RestModel):
    """A station."""

    name: str
    waiting: int
    """Triggers that wait."""
    results: int
    """Results so far."""
    last_result_at: datetime | None
    shift_began_at: datetime
    shift: Annotated[dict[str, int], Field(description="Results of this shift by outcome.")]


class StationStates(RestModel):
    """All stations."""

    model_id: str
    stations: list[StationState]


class HealthState(RestModel):
    """State of the service."""

    status: str
    """``ok``, or what is wrong."""


class RefusedRequest(RestModel):
    """Why a request was refused."""

    error: str
