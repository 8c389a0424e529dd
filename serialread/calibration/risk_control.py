"""The acceptance threshold above which at most a given share of readings is wrong, with a given certainty.

Learn then test (Angelopoulos et al., arXiv 2110.01052): thresholds are tested in sequence, from strict to
lax, each by an exact binomial test, up to the first that fails; the last one that passed keeps the guarantee.
The readings above a threshold are independent trials of its misread rate. Thresholds are placed at ranks of
the labelled readings; for the certainty to hold, readings of higher confidence must not be wrong more often.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr

from serialread.metrics.sampling_plans import pictures_needed

STEPS = 20
"""Thresholds that are tested; finer ones stop earlier at a random error, coarser ones reach less far."""
FIRST, MOST_FIRST = 0.2, 0.5
"""The strictest threshold accepts at least the first share of the pictures, and as many as the guarantee
needs with one of them wrong, so that no single error decides. If that is more than the second share, it
accepts as many as the guarantee needs with none wrong: where few readings are confident, more would fail.
Simulated: docs/confidence.md."""


@dataclass(frozen=True, slots=True)
class AcceptanceThreshold:
    """A threshold of the confidence, and the labelled readings above it.

    Attributes:
        at: readings of this confidence or more are accepted.
        accepted: labelled readings at or above the threshold.
        wrong: how many of these are wrong.
        passed: whether the guarantee holds; if not, this is the first threshold that failed.
    """

    at: float
    accepted: int
    wrong: int
    passed: bool


def smallest_misread_rate(pictures: int, certainty: float) -> float:
    """The smallest misread rate, 0..1, that this many pictures, all read right, can guarantee."""
    return -math.expm1(math.log1p(-certainty) / pictures) if pictures else 1.0


def find_threshold(
    confidences: Sequence[float], right: Sequence[bool], misread: float, certainty: float
) -> AcceptanceThreshold | None:
    """The lowest threshold that keeps a guarantee.

    Args:
        confidences: of the labelled readings that may be accepted, 0..1, in any order.
        right: whether each is right.
        misread: the share of accepted readings that may be wrong, 0..1.
        certainty: the probability that the guarantee holds, 0..1.

    Returns:
        The threshold; the strictest one if already that one fails; None if there are too few readings.
    """
    ranked = np.asarray(confidences, np.float64)
    order = np.argsort(-ranked, kind="stable")
    ranked, wrong = ranked[order], np.cumsum(~np.asarray(right, bool)[order])
    fewest = pictures_needed(1 - misread, confidence=certainty)
    if len(ranked) < fewest:
        return None
    best = None
    first = max(_needed_with_one_error(len(ranked), misread, certainty) or fewest, FIRST * len(ranked))
    for rank in np.unique(np.linspace(first, len(ranked), STEPS).astype(int)):
        at = float(ranked[rank - 1])
        accepted = int(np.count_nonzero(ranked >= at))  # with all of equal confidence
        tested = AcceptanceThreshold(at, accepted, int(wrong[accepted - 1]), passed=True)
        if bdtr(tested.wrong, tested.accepted, misread) > 1 - certainty:
            return best or AcceptanceThreshold(at, accepted, tested.wrong, passed=False)
        best = tested
    return best


def _needed_with_one_error(pictures: int, misread: float, certainty: float) -> int:
    """How many accepted readings a guarantee needs with one of them wrong; 0 if that is too many."""
    counts = np.arange(2, int(MOST_FIRST * pictures) + 1)
    return int(next(iter(counts[bdtr(1, counts, misread) <= 1 - certainty]), 0))
