"""What a run came to, for the console."""

import heapq
from dataclasses import dataclass, field

from rich.console import Group
from rich.table import Table

from serialread.records import Decision, Record

_LEAST_SURE = 5


@dataclass(slots=True)
class RunSummary:
    """Counts of the records that passed by.

    Attributes:
        decisions: how many of each.
        read: records with at least one character.
        least_sure: the readings with the lowest confidences, as (-confidence, order, image, text).
    """

    decisions: dict[Decision, int] = field(default_factory=lambda: dict.fromkeys(Decision, 0))
    read: int = 0
    least_sure: list[tuple[float, int, str, str]] = field(default_factory=list)

    @property
    def images(self) -> int:
        """All records."""
        return sum(self.decisions.values())

    @property
    def not_accepted(self) -> int:
        """Records that someone has to look at."""
        return self.images - self.decisions[Decision.ACCEPT]

    def add(self, record: Record) -> None:
        """Count one more record."""
        self.decisions[record.decision] += 1
        if not (record.reading and record.reading.chars) or record.confidence is None:
            return
        self.read += 1
        entry = (-record.confidence, -self.images, record.image, record.reading.text)
        if len(self.least_sure) < _LEAST_SURE:
            heapq.heappush(self.least_sure, entry)
        else:
            heapq.heappushpop(self.least_sure, entry)


def console_view(tally: RunSummary, seconds: float) -> Group:
    """Two small tables: the counts, and the readings to look at first."""
    counts = Table(title="read", title_justify="left")
    cells = {"images": tally.images, "read": tally.read}
    cells |= {decision.lower(): tally.decisions[decision] for decision in Decision}
    for name in (*cells, "images/s"):
        counts.add_column(name, justify="right")
    speed = f"{tally.images / seconds:.0f}" if seconds > 0 else ""
    counts.add_row(*(str(value) for value in cells.values()), speed)
    if not tally.least_sure:
        return Group(counts)
    doubts = Table(title="least sure", title_justify="left")
    for name in ("image", "text"):
        doubts.add_column(name, overflow="fold")
    doubts.add_column("confidence", justify="right")
    for negative, _, image, text in sorted(tally.least_sure, reverse=True):
        doubts.add_row(image, text, f"{-negative:.3f}")
    return Group(counts, doubts)
