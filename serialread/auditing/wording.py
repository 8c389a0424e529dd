"""How findings and figures are worded: sentences by severity, rates as percentages with their intervals."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from serialread.metrics import Interval, clopper_pearson, wilson


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    """The inputs contradict each other: the figures leave something out."""
    WARNING = "warning"
    """The figures are correct, but may mislead."""
    NOTE = "note"
    """For information."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about the inputs or the process, with what to do."""

    severity: Severity
    text: str


def error(text: str) -> Finding:
    """A finding of severity error."""
    return Finding(Severity.ERROR, text)


def warning(text: str) -> Finding:
    """A finding of severity warning."""
    return Finding(Severity.WARNING, text)


def note(text: str) -> Finding:
    """A finding of severity note."""
    return Finding(Severity.NOTE, text)


def by_severity(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors first, then warnings, then notes; otherwise in the order given."""
    return tuple(sorted(findings, key=lambda finding: list(Severity).index(finding.severity)))


def first_names(names: Iterable[str], most: int = 5, separator: str = ", ") -> str:
    """The first few names, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return separator.join(listed[:most]) + more


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: 1 image, 2 images."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


_PLAIN = {
    "images": "pictures",
    "image": "picture",
    "in_truth": "in the truth",
    "one_minus_ned": "similarity",
    "cer": "wrong characters %",
    "no_read": "not read",
    "no_read_rate": "not read %",
    "accuracy": "correct %",
    "right": "correct",
    "misread": "accepted, wrong",
    "misread_rate": "accepted, wrong %",
    "review": "for review",
    "mark_grade_mean": "mark grade, 4 best",
    "confidence_p50": "median confidence",
    "text": "read as",
    "text_a": "read by A",
    "text_b": "read by B",
    "value": "figure",
    "centre": "usual",
    "low": "lower limit",
    "high": "upper limit",
    "signal": "out of control",
    "false_alarm_rate": "refused good parts %",
    "miss_rate": "passed bad parts %",
    "effectiveness": "effective %",
    "kappa_within": "kappa with oneself",
    "kappa_truth": "kappa with the truth",
}


def plain(column: str) -> str:
    """The name of a column in the words of the page."""
    return _PLAIN.get(column, column.replace("_", " "))


def percent(share: float) -> str:
    """A share in per cent with two decimals; only all of them is 100.00, and only none is 0.00."""
    if math.isnan(share):
        return "–"
    rounded = round(100 * share, 2)
    if share < 1:
        rounded = min(rounded, 99.99)
    if share > 0:
        rounded = max(rounded, 0.01)
    return f"{rounded:.2f}"


def ratio(value: float) -> str:
    """A figure from 0 to 1 with four decimals."""
    return "–" if math.isnan(value) else f"{value:.4f}"


def interval_words(interval: Interval) -> str:
    """An interval in per cent."""
    return "–".join(percent(bound) for bound in interval)


def rate_words(hits: int, total: int) -> tuple[str, str]:
    """A rate in per cent, and the counts behind it with both 95 % intervals."""
    if not total:
        return "–", "nothing to count"
    exact = interval_words(clopper_pearson(hits, total))
    intervals = f"(95 %: {interval_words(wilson(hits, total))}; exact {exact})"
    return f"{percent(hits / total)} %", f"{hits:,} of {total:,} {intervals}"
