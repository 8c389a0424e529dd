"""Checks of a code against what the line knows: the expected code, lists and patterns, the shift so far."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from serialread.codes import SequenceChecker, format_of, without_blanks
from serialread.config import LineChecks
from serialread.errors import LineError
from serialread.line.events import Outcome
from serialread.records import Decision, Record


@dataclass(frozen=True, slots=True)
class LineVerdict:
    """What the checks say about a reading.

    Attributes:
        outcome: PASS, FAIL or REVIEW.
        reasons: why it is not PASS, one sentence each.
        distance: edit distance from the reading to the expected code; None if none was expected or read.
    """

    outcome: Outcome
    reasons: tuple[str, ...]
    distance: int | None


CodesSince = Callable[[datetime], Iterable[tuple[str, str]]]
"""Codes and triggers of the station's results since a time, in order."""


class StationChecks:
    """The checks of one station; used by the station's thread alone."""

    def __init__(self, checks: LineChecks, codes_since: CodesSince) -> None:
        """Make the checks.

        Args:
            checks: their settings.
            codes_since: what the journal knows of the shift, after a restart too.

        Raises:
            LineError: the list of codes cannot be read.
        """
        self._checks, self._codes_since = checks, codes_since
        self._codes = _listed(checks.codes) if checks.codes else None
        self._pattern = format_of(checks.pattern) if checks.pattern else None
        self._shift: datetime | None = None
        self._seen: dict[str, str] = {}
        self._sequence = SequenceChecker()

    def assess(self, record: Record, expected: str, trigger: str, at: datetime) -> LineVerdict:
        """Check a reading, and remember its code for those after it.

        Args:
            record: the reading.
            expected: the code that the trigger expects; "" if it does not know.
            trigger: id of the trigger.
            at: time of the result.
        """
        text = record.text
        distance = Levenshtein.distance(text, expected) if expected and text else None
        failures = [*self._mismatches(text, expected, distance)] if text else self._missing(record, expected)
        failures += self._duplicate(text, trigger, at)
        doubts = self._out_of_sequence(text, trigger, at)
        if record.decision is Decision.ACCEPT or self._confirmed(record, distance):
            if failures:
                return LineVerdict(Outcome.FAIL, (*failures, *doubts), distance)
            return LineVerdict(Outcome.REVIEW if doubts else Outcome.PASS, tuple(doubts), distance)
        outcome = Outcome.FAIL if record.decision is Decision.REJECT else Outcome.REVIEW
        return LineVerdict(outcome, (record.reason, *failures, *doubts), distance)

    def _confirmed(self, record: Record, distance: int | None) -> bool:
        """Whether only the confidence is missing, and the expected code makes up for it."""
        low = record.decision is Decision.REVIEW and not record.doubts and not record.fields
        return self._checks.match_passes and distance == 0 and low

    def _mismatches(self, text: str, expected: str, distance: int | None) -> Iterator[str]:
        if distance:
            yield f"expected {expected}, read {text}: distance {distance}"
        if self._codes is not None and text not in self._codes:
            nearest, away, _ = process.extractOne(text, self._codes, scorer=Levenshtein.distance)
            yield f"{text} is not in the list; nearest {nearest}: distance {away}"
        if self._pattern is not None and not self._pattern.matches(text):
            yield f"{text} does not match {self._checks.pattern}"

    def _missing(self, record: Record, expected: str) -> list[str]:
        """What is wrong with a picture that is accepted for its fields and has no code."""
        wanted = expected or self._codes is not None or self._pattern is not None
        if not wanted or record.decision is not Decision.ACCEPT:
            return []
        return [f"expected {expected}, read no code" if expected else "no code was read"]

    def _duplicate(self, text: str, trigger: str, at: datetime) -> list[str]:
        if not text or not self._checks.duplicates:
            return []
        self._begin_shift(at)
        first = self._seen.setdefault(text, trigger)
        return [] if first == trigger else [f"{text} was read before in this shift: trigger {first}"]

    def _out_of_sequence(self, text: str, trigger: str, at: datetime) -> list[str]:
        if not text or not self._checks.sequence:
            return []
        self._begin_shift(at)
        found = self._sequence.check(text, trigger)
        return [one for one in found if not one.startswith("same code")]

    def _begin_shift(self, at: datetime) -> None:
        """Forget the shift before; after a restart, remember what was read in this one."""
        begun = shift_start(self._checks.shifts, at)
        if begun == self._shift:
            return
        self._shift, self._seen, self._sequence = begun, {}, SequenceChecker()
        for code, trigger in self._codes_since(begun):
            self._seen.setdefault(code, trigger)
            self._sequence.check(code, trigger)


def shift_start(shifts: Iterable[str], at: datetime) -> datetime:
    """When the shift of a time began.

    Args:
        shifts: local times at which shifts begin, such as ``06:00``.
        at: the time.
    """
    local = at.astimezone()
    days = (local.date(), local.date() - timedelta(days=1))
    starts = [datetime.combine(day, time.fromisoformat(one)).astimezone() for day in days for one in shifts]
    return max(start for start in starts if start <= local)


def _listed(path: Path) -> frozenset[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()  # some editors write a byte order mark
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file in UTF-8"
        raise LineError(f"{path}: cannot be read: {reason}. Give a text file, one code per line.") from None
    codes = frozenset(filter(None, map(without_blanks, lines)))
    if not codes:
        raise LineError(f"{path}: holds no code. Give a text file, one code per line.")
    return codes
