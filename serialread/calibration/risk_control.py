"""Risk control: the lowest threshold of the confidence that keeps a misread guarantee.

Learn then test (Angelopoulos et al., arXiv 2110.01052): thresholds are tested from strict to lax, each by an
exact binomial test of "more than the allowed share above this threshold is wrong". The readings above a
threshold are independent trials of its misread rate. Thresholds are placed at ranks of the labelled readings;
for the certainty to hold, readings of higher confidence must not be wrong more often.

A threshold that fails ends the sequence, or, with a share of the error probability reserved, leaves the lax
ones to stricter bounds: the number of wrong readings is a random walk whose bounds are computed together, as
in group sequential trials (Pocock, Biometrika 1977).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr
from scipy.stats import binom

from serialread.metrics.sampling_plans import pictures_needed

STEPS = 20
"""Thresholds that are tested; finer ones stop earlier at a random error, coarser ones reach less far."""
FIRST, MOST_FIRST = 0.2, 0.5
"""The strictest threshold accepts at least the first share of the pictures, and as many as the guarantee
needs with one of them wrong, so that no single error decides. If that is more than the second share, it
accepts as many as the guarantee needs with none wrong: where few readings are confident, more would fail.
Simulated: docs/confidence.md."""
RESERVED = 0.9
"""Share of the error probability that is reserved for lax thresholds where a second reader confirms the
readings: the few wrong ones among them are then as likely at a high confidence as at a low one."""


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
    confidences: Sequence[float],
    right: Sequence[bool],
    misread: float,
    certainty: float,
    reserved: float = 0.0,
) -> AcceptanceThreshold | None:
    """The lowest threshold that keeps a guarantee.

    Args:
        confidences: of the labelled readings that may be accepted, 0..1, in any order.
        right: whether each is right.
        misread: the share of accepted readings that may be wrong, 0..1.
        certainty: the probability that the guarantee holds, 0..1.
        reserved: share of the error probability for thresholds after one that failed; 0: none is tested.

    Returns:
        The threshold; the strictest one if none passes; None if there are too few readings.
    """
    ranked = np.asarray(confidences, np.float64)
    order = np.argsort(-ranked, kind="stable")
    ranked, wrong = ranked[order], np.cumsum(~np.asarray(right, bool)[order])
    fewest = pictures_needed(1 - misread, confidence=certainty)
    if len(ranked) < fewest:
        return None
    if not reserved:
        fewest = _needed_with_one_error(len(ranked), misread, certainty) or fewest
    ranks = np.unique(np.linspace(max(fewest, FIRST * len(ranked)), len(ranked), STEPS).astype(int))
    # with all of equal confidence
    looks = np.unique([np.count_nonzero(ranked >= ranked[rank - 1]) for rank in ranks]).tolist()
    entering, continuing = _bounds(tuple(looks), misread, 1 - certainty, reserved)
    best, passed = 0, True
    for look, enter, go_on in zip(looks, entering, continuing, strict=True):
        passed = bool(wrong[look - 1] <= (go_on if passed else enter))
        best = look if passed else best
    at = best or looks[0]
    return AcceptanceThreshold(float(ranked[at - 1]), at, int(wrong[at - 1]), passed=best > 0)


def _needed_with_one_error(pictures: int, misread: float, certainty: float) -> int:
    """How many accepted readings a guarantee needs with one of them wrong; 0 if that is too many."""
    counts = np.arange(2, int(MOST_FIRST * pictures) + 1)
    return int(next(iter(counts[bdtr(1, counts, misread) <= 1 - certainty]), 0))


@lru_cache(maxsize=64)
def _bounds(
    looks: tuple[int, ...], misread: float, error: float, reserved: float
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Most wrong readings with which each threshold passes: after one that failed, and else; -1: it fails.

    Whatever the first threshold that must not pass: it or a later one passes with probability ``error`` at
    most.

    Args:
        looks: numbers of readings that the thresholds accept, rising.
        misread: misread rate at which no threshold may pass.
        error: 1 - certainty.
        reserved: see ``find_threshold``.
    """
    alone = [_most_wrong(look, misread, error) for look in looks]
    entering = [-1] * len(looks)
    if reserved:
        low, high = 0.0, error * reserved
        for _ in range(20):
            level = (low + high) / 2
            tried = [_most_wrong(look, misread, level) for look in looks]
            if _crossing(looks, tried, misread) <= error * reserved:
                low, entering = level, tried
            else:
                high = level
    continuing = []
    for at, most in enumerate(alone):
        while most > entering[at] and _crossing(looks[at:], [most, *entering[at + 1 :]], misread) > error:
            most -= 1
        continuing.append(max(most, entering[at]))
    return tuple(entering), tuple(continuing)


def _most_wrong(look: int, misread: float, level: float) -> int:
    """Most wrong readings of a number of them at which a single test of this level passes; -1 for none."""
    count = int(binom.ppf(level, look, misread))
    return count if bdtr(count, look, misread) <= level else count - 1


def _crossing(looks: Sequence[int], bounds: Sequence[int], misread: float) -> float:
    """Probability that the number of wrong readings is within the bound at one of the looks."""
    kept = np.arange(max(bounds) + 2)  # more wrong ones than any bound: never within one again
    chances: NDArray[np.float64] = np.ones(1)
    total, before = 0.0, 0
    for look, bound in zip(looks, bounds, strict=True):
        step = binom.pmf(kept, look - before, misread)
        chances = np.convolve(chances, step)[: len(kept)]
        total += float(chances[: bound + 1].sum())
        chances[: bound + 1] = 0
        before = look
    return total
