"""Control charts: limits of a stable process, and the rules that detect a change.

Sources: Shewhart's p-chart and the exponentially weighted moving average (Roberts, Technometrics 1959) as in
Montgomery, Introduction to Statistical Quality Control, chapters 7 and 9; Laney's p' (Quality Engineering
2002) for large batches whose rates vary more than binomially; runs after Nelson (Journal of Quality
Technology 1984).
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binom, norm

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SIGMAS = 3.0
"""Half width of the limits, in standard deviations."""

EWMA_WEIGHT = 0.2
"""Weight of the newest batch: detects a shift of one sigma within about ten batches (Montgomery)."""

RUN = 9
"""Consecutive batches on one side of the centre that signal a shift (Nelson's rule 2)."""

RISE = 6
"""Consecutive batches that rise, or fall, and so signal a trend (Nelson's rule 3)."""

_TAIL = float(norm.sf(SIGMAS))
_D2 = 1.128  # expected range of two normal values, in sigmas, as tabulated


@dataclass(frozen=True, slots=True)
class ControlLimits:
    """Centre and spread of a stable process, from which the limits of later batches follow.

    Attributes:
        kind: "share" for a p' chart, "mean" for an EWMA.
        centre: mean share 0..1, or mean of the batches' means.
        sigma: for a share, its overdispersion (1 is binomial); for a mean, the standard deviation of the
            means of the batches.
        batches: batches it was computed from.
    """

    kind: Literal["share", "mean"]
    centre: float
    sigma: float
    batches: int


@dataclass(frozen=True, slots=True)
class Chart:
    """The charted value of each of K batches, with its limits.

    Attributes:
        limits: centre and spread that the limits follow from.
        value: the share, or the moving average, [K].
        out: -1 below the lower limit, 1 above the upper, 0 between, [K].
    """

    limits: ControlLimits
    value: Floats
    low: Floats
    high: Floats
    out: Ints


def share_limits(hits: Ints, totals: Ints) -> ControlLimits:
    """Centre and overdispersion of K batches with ``hits`` of ``totals`` (at least 1 each).

    Laney's sigma_z is the mean moving range of the standardized shares divided by 1.128, and at least 1.
    """
    centre = float(hits.sum() / totals.sum())
    spread = np.sqrt(centre * (1 - centre) / totals)
    if len(hits) < 2 or not spread.all():
        return ControlLimits("share", centre, 1.0, len(hits))
    z = (hits / totals - centre) / spread
    return ControlLimits("share", centre, max(1.0, float(np.abs(np.diff(z)).mean()) / _D2), len(hits))


def share_chart(hits: Ints, totals: Ints, limits: ControlLimits) -> Chart:
    """Laney's p' chart of K batches; with a sigma of 1 it is the p-chart.

    A share beyond a limit counts as out only if its binomial probability is below the normal tail, too:
    with few expected hits, chance alone exceeds three sigma far too often.
    """
    value = hits / totals
    half_width = SIGMAS * limits.sigma * np.sqrt(limits.centre * (1 - limits.centre) / totals)
    low, high = np.clip(limits.centre - half_width, 0, 1), np.clip(limits.centre + half_width, 0, 1)
    above = (value > high) & (binom.sf(hits - 1, totals, limits.centre) < _TAIL)
    below = (value < low) & (binom.cdf(hits, totals, limits.centre) < _TAIL)
    return Chart(limits, value, low, high, above.astype(np.int64) - below)


def mean_limits(means: Floats) -> ControlLimits:
    """Centre and spread of the means of K batches; the spread is their mean moving range over 1.128."""
    spread = float(np.abs(np.diff(means)).mean()) / _D2 if len(means) > 1 else 0.0
    return ControlLimits("mean", float(means.mean()), spread, len(means))


def ewma_chart(means: Floats, limits: ControlLimits, weight: float = EWMA_WEIGHT) -> Chart:
    """Exponentially weighted moving average of the means of K batches, started at the centre.

    Args:
        means: one per batch, [K].
        limits: centre and spread.
        weight: of the newest batch, 0..1.
    """
    started = pd.Series([limits.centre, *means])
    value = started.ewm(alpha=weight, adjust=False).mean().to_numpy(np.float64)[1:]
    steps = np.arange(1, len(means) + 1)
    half_width = SIGMAS * limits.sigma * np.sqrt(weight / (2 - weight) * (1 - (1 - weight) ** (2 * steps)))
    low, high = limits.centre - half_width, limits.centre + half_width
    slack = 1e-12 * max(1.0, abs(limits.centre))  # equal means are not out of limits of no width
    return Chart(limits, value, low, high, (value > high + slack).astype(np.int64) - (value < low - slack))


def runs(value: Floats, centre: float, length: int = RUN) -> Ints:
    """Where a run of ``length`` on one side of the centre is complete: 1 above, -1 below, else 0, [K]."""
    return _streaks(np.sign(value - centre).astype(np.int64), length)


def rises(value: Floats, length: int = RISE) -> Ints:
    """Where ``length`` consecutive values have risen (1) or fallen (-1); else 0, [K]."""
    steps = np.sign(np.diff(value, prepend=math.nan))
    return _streaks(np.nan_to_num(steps).astype(np.int64), length - 1)


def _streaks(sides: Ints, length: int) -> Ints:
    """The side from the ``length``-th consecutive equal value on, until it changes."""
    found, streak = np.zeros(len(sides), np.int64), 0
    for i, side in enumerate(sides):
        streak = streak + 1 if i and side == sides[i - 1] else 1
        found[i] = side if streak >= length else 0
    return found
