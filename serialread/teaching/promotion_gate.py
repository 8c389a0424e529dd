"""The gate of a taught model: better on held-out labels, and not worse on a golden set."""

from collections.abc import Sequence
from dataclasses import dataclass

from serialread import metrics

SIGNIFICANCE = 0.05
"""Largest one-sided p of McNemar's exact test at which a gain counts as proven."""
LEAST_WON = 2
"""Held-out pictures that must be won where there are too few errors for the test."""
MAX_GOLDEN_LOSS = 0.005
"""Share of the golden set that may be lost on balance: one in two hundred."""


@dataclass(frozen=True, slots=True)
class PairedCounts:
    """Two models on the same labelled pictures.

    Attributes:
        name: what the pictures are.
        pictures: how many.
        before: how many the parent reads right.
        won: read right by the taught model alone.
        lost: read right by the parent alone.
    """

    name: str
    pictures: int
    before: int
    won: int
    lost: int

    @classmethod
    def of(cls, name: str, before: Sequence[bool], after: Sequence[bool]) -> "PairedCounts":
        """Count two lists of right and wrong."""
        pairs = list(zip(before, after, strict=True))
        won, lost = (sum(pair == one for pair in pairs) for one in ((False, True), (True, False)))
        return cls(name, len(pairs), sum(before), won, lost)

    @property
    def after(self) -> int:
        """How many the taught model reads right."""
        return self.before + self.won - self.lost

    @property
    def p(self) -> float:
        """One-sided p of McNemar's exact test that the taught model is no better, 0..1."""
        if self.won <= self.lost:
            return 1.0
        first = [False] * self.won + [True] * self.lost
        return metrics.mcnemar(first, [not right for right in first]) / 2

    @property
    def is_better(self) -> bool:
        """Whether the gain is proven, or as clear as few errors allow: half of them gone, nothing lost."""
        few = self.lost == 0 and self.won >= max(LEAST_WON, (self.pictures - self.before) / 2)
        return self.p <= SIGNIFICANCE or few

    @property
    def is_no_worse(self) -> bool:
        """Whether at most one in two hundred is lost on balance."""
        return self.lost - self.won <= MAX_GOLDEN_LOSS * self.pictures

    def cells(self) -> list[str]:
        """Name, pictures, right before and after in percent, won, lost, p."""
        shares = (f"{n} ({100 * metrics.ratio(n, self.pictures):.1f} %)" for n in (self.before, self.after))
        return [self.name, str(self.pictures), *shares, str(self.won), str(self.lost), f"{self.p:.3f}"]


@dataclass(frozen=True, slots=True)
class PromotionGate:
    """Whether a taught model may replace its parent.

    Attributes:
        held_out: on labels that it has not learned.
        golden: on the golden set.
        job: failures of the station's golden pictures with the taught model, in words; () if none.
    """

    held_out: PairedCounts
    golden: PairedCounts
    job: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """Why it may not, in sentences; () if it may."""
        held, golden, found = self.held_out, self.golden, list[str]()
        errors = held.pictures - held.before
        if errors < LEAST_WON:
            found.append(
                f"the parent makes {errors} error(s) on held-out labels: there is too little to gain."
            )
        elif not held.is_better:
            found.append(
                f"not clearly better on held-out labels: {held.won} won, {held.lost} lost (p {held.p:.2f})."
            )
        if not golden.is_no_worse:
            found.append(
                f"worse on the golden set: {golden.lost} lost, {golden.won} won of {golden.pictures}; "
                f"{MAX_GOLDEN_LOSS * golden.pictures:.0f} may be lost on balance."
            )
        found += [f"job validation: {failure}." for failure in self.job]
        return tuple(found)

    @property
    def ok(self) -> bool:
        """Whether it may."""
        return not self.problems

    def to_text(self) -> str:
        """Both tables as Markdown."""
        names = ["set", "pictures", "right before", "right after", "won", "lost", "p"]
        rows = [names, ["---"] * len(names), self.held_out.cells(), self.golden.cells()]
        return "\n".join("| " + " | ".join(row) + " |" for row in rows)
