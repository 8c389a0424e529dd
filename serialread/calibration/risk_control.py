"""From which confidence on at most a given share of readings is wrong, with a given certainty.

Learn then test (Angelopoulos et al., arXiv 2110.01052): limits are tested one after the other, from a strict
one to laxer ones, each by an exact binomial test, up to the first that fails; the last that passed keeps the
promise. The readings above a limit are as many independent trials of its misread rate. Limits stand at ranks
of the labelled readings; that this costs no certainty needs that surer readings are not more often wrong.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr

STEPS = 20
"""Limits that are tested; finer ones stop earlier at a chance error, coarser ones reach less far."""
FIRST, MOST_FIRST = 0.2, 0.5
"""The strictest limit accepts at least the first share of the pictures, and as many as carry the promise with
one of them wrong, so that no single error decides; if that is more than the second share, as many as carry it
with none wrong, for where few readings are sure more would fail. Simulated: docs/confidence.md."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of the confidence, and what it did to the labelled readings.

    Attributes:
        at: a reading of this confidence or more is accepted.
        accepted: labelled readings above the limit.
        wrong: of these, the wrong ones.
        passed: whether the promise holds here; if not, this is the first limit that failed.
    """

    at: float
    accepted: int
    wrong: int
    passed: bool


def pictures_needed(misread: float, certainty: float) -> int:
    """How many accepted readings must all be right, for a promise to be kept with a certainty."""
    return math.ceil(math.log1p(-certainty) / math.log1p(-misread) - 1e-9)


def promise_carried(pictures: int, certainty: float) -> float:
    """The least misread rate that so many pictures, all read right, can promise; 0..1."""
    return -math.expm1(math.log1p(-certainty) / pictures) if pictures else 1.0


def find_limit(
    confidences: Sequence[float], right: Sequence[bool], misread: float, certainty: float
) -> Limit | None:
    """The laxest limit that keeps a promise.

    Args:
        confidences: of the labelled readings that may be accepted, 0..1, in any order.
        right: whether each is right.
        misread: the share of accepted readings that may be wrong, 0..1.
        certainty: how sure the promise has to be, 0..1.

    Returns:
        The limit, or the one that failed if already the strictest does; None if there are too few readings.
    """
    sure = np.asarray(confidences, np.float64)
    order = np.argsort(-sure, kind="stable")
    sure, wrong = sure[order], np.cumsum(~np.asarray(right, bool)[order])
    fewest = pictures_needed(misread, certainty)
    if len(sure) < fewest:
        return None
    best = None
    first = max(_robust(len(sure), misread, certainty) or fewest, FIRST * len(sure))
    for rank in np.unique(np.linspace(first, len(sure), STEPS).astype(int)):
        at = float(sure[rank - 1])
        accepted = int(np.count_nonzero(sure >= at))  # all that are equally sure
        tried = Limit(at, accepted, int(wrong[accepted - 1]), passed=True)
        if bdtr(tried.wrong, tried.accepted, misread) > 1 - certainty:
            return best or Limit(at, accepted, tried.wrong, passed=False)
        best = tried
    return best


def _robust(pictures: int, misread: float, certainty: float) -> int:
    """How many accepted readings carry a promise with one of them wrong; 0 if these are too many."""
    counts = np.arange(2, int(MOST_FIRST * pictures) + 1)
    return int(next(iter(counts[bdtr(1, counts, misread) <= 1 - certainty]), 0))
