"""The summary of a run, for the console."""

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from serialread.records import Decision, Record

if TYPE_CHECKING:
    from rich.console import Group

_MAX_LISTED = 5


@dataclass(slots=True)
class RunSummary:
    """Running counts of a run's records.

    Attributes:
        decisions: number of records per decision.
        read: number of records with at least one character.
        least_confident: the readings with the lowest confidences, as (-confidence, order, image, text).
    """

    decisions: dict[Decision, int] = field(default_factory=lambda: dict.fromkeys(Decision, 0))
    read: int = 0
    least_confident: list[tuple[float, int, str, str]] = field(default_factory=list)

    @property
    def images(self) -> int:
        """Number of records."""
        return sum(self.decisions.values())

    @property
    def not_accepted(self) -> int:
        """Number of records that are not ACCEPT."""
        return self.images - self.decisions[Decision.ACCEPT]

    def add(self, record: Record) -> None:
        """Count a record."""
        self.decisions[record.decision] += 1
        if not (record.reading and record.reading.chars) or record.confidence is None:
            return
        self.read += 1
        entry = (-record.confidence, -self.images, record.image, record.reading.text)
        if len(self.least_confident) < _MAX_LISTED:
            heapq.heappush(self.least_confident, entry)
        else:
            heapq.heappushpop(self.least_confident, entry)


def console_view(summary: RunSummary, seconds: float) -> "Group":
    """Two tables: the counts, and the readings with the lowest confidences."""
    from rich.console import Group  # processes that only read need no tables
    from rich.table import Table

    counts = Table(title="read", title_justify="left")
    cells = {"images": summary.images, "read": summary.read}
    cells |= {decision.lower(): summary.decisions[decision] for decision in Decision}
    for name in (*cells, "images/s"):
        counts.add_column(name, justify="right")
    speed = f"{summary.images / seconds:.0f}" if seconds > 0 else ""
    counts.add_row(*(str(value) for value in cells.values()), speed)
    if not summary.least_confident:
        return Group(counts)
    lowest = Table(title="lowest confidence", title_justify="left")
    for name in ("image", "text"):
        lowest.add_column(name, overflow="fold")
    lowest.add_column("confidence", justify="right")
    for negative, _, image, text in sorted(summary.least_confident, reverse=True):
        lowest.add_row(image, text, f"{-negative:.3f}")
    return Group(counts, lowest)
