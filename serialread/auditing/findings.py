"""What an auditor must know besides the figures: one sentence each, the most serious first."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


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
