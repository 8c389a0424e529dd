"""Attribute agreement analysis: people and readers compared with the truth and with each other.

Sources: AIAG, Measurement Systems Analysis, 4th edition, chapter III section C (effectiveness, miss and false
alarm rates and their limits: 90 / 2 / 5 % acceptable, 80 / 5 / 10 % marginal; effectiveness counts parts with
every trial right, as in its example of 42 of 50); Fleiss (Psychological Bulletin 1971) through
statsmodels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from serialread.metrics.intervals import ratio

Grade = Literal["acceptable", "marginal", "not acceptable", "unknown"]


@dataclass(frozen=True, slots=True)
class Appraisal:
    """The calls of one appraiser; a call is a text, or a refusal.

    Attributes:
        parts: parts appraised.
        effective: parts with every call right.
        calls: all calls.
        good: calls on parts that are to be read.
        misread: of these, calls of a wrong text.
        refused: of these, refusals: false alarms.
        bad: calls on parts that are to be refused.
        missed: of these, calls of any text.
        repeated: parts called more than once.
        consistent: of these, with the same call each time.
    """

    parts: int
    effective: int
    calls: int
    good: int
    misread: int
    refused: int
    bad: int
    missed: int
    repeated: int
    consistent: int

    @classmethod
    def of(cls, calls: Sequence[Sequence[str]], truths: Sequence[str]) -> "Appraisal":
        """Judge the calls of each part against its truth; "" is a refusal, on either side."""
        pairs = [(call, truth) for each, truth in zip(calls, truths, strict=True) for call in each]
        good = [(call, truth) for call, truth in pairs if truth]
        bad = [call for call, truth in pairs if not truth]
        repeated = [each for each in calls if len(each) > 1]
        return cls(
            parts=len(truths),
            effective=sum(all(c == truth for c in each) for each, truth in zip(calls, truths, strict=True)),
            calls=len(pairs),
            good=len(good),
            misread=sum(call not in ("", truth) for call, truth in good),
            refused=sum(call == "" for call, _ in good),
            bad=len(bad),
            missed=sum(call != "" for call in bad),
            repeated=len(repeated),
            consistent=sum(len(set(each)) == 1 for each in repeated),
        )

    @property
    def effectiveness(self) -> float:
        """Share of parts with every call right, 0..1."""
        return ratio(self.effective, self.parts)

    @property
    def miss_rate(self) -> float:
        """Share of calls that accept a part to be refused, 0..1; nan without such parts."""
        return ratio(self.missed, self.bad)

    @property
    def misread_rate(self) -> float:
        """Share of wrong texts among the calls on parts to be read, 0..1; nan without such parts."""
        return ratio(self.misread, self.good)

    @property
    def false_alarm_rate(self) -> float:
        """Share of refusals among the calls on parts to be read, 0..1; nan without such parts."""
        return ratio(self.refused, self.good)

    @property
    def grade(self) -> Grade:
        """AIAG's decision: 90 / 2 / 5 % is acceptable, 80 / 5 / 10 % marginal; a misread counts as a miss."""
        missed = float(np.nanmax([self.miss_rate, self.misread_rate])) if self.calls else math.nan
        rates = (1 - self.effectiveness, missed, self.false_alarm_rate)
        known = [(rate, limits) for rate, limits in zip(rates, _LIMITS, strict=True) if not math.isnan(rate)]
        if not known:
            return "unknown"
        if all(rate <= limits[0] + 1e-12 for rate, limits in known):
            return "acceptable"
        if all(rate <= limits[1] + 1e-12 for rate, limits in known):
            return "marginal"
        return "not acceptable"


_LIMITS = ((0.10, 0.20), (0.02, 0.05), (0.05, 0.10))
"""Upper limits of parts not effective, misses and false alarms: acceptable, marginal."""


def fleiss_kappa(ratings: NDArray[np.object_]) -> float:
    """Fleiss' kappa: agreement beyond chance of R raters on N subjects, [N, R] categories, -1..1.

    1 is full agreement; nan with fewer than two raters, no subject, or a single category.
    """
    subjects, raters = ratings.shape
    if subjects == 0 or raters < 2:
        return math.nan
    _, numbers = np.unique(ratings.astype(str), return_inverse=True)
    if numbers.max(initial=0) == 0:
        return math.nan
    from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa as kappa

    table, _ = aggregate_raters(numbers.reshape(subjects, raters))
    return float(kappa(table, method="fleiss"))
