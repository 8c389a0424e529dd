"""How a figure is written: in tables with its confidence interval, in sentences as a percentage."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from statsmodels.stats.proportion import proportion_confint

from serialread.metrics import Interval, clopper_pearson, wilson

BOUNDS = ("low", "high", "exact_low", "exact_high")
"""Suffixes of a rate's bounds at 95 %: Wilson's, shown in reports, and Clopper-Pearson's, for claims."""


def rate_columns(name: str, hits: ArrayLike, totals: ArrayLike) -> dict[str, NDArray[np.float64]]:
    """K rates and their four bounds, rounded to six decimals; nan where the total is 0.

    Args:
        name: column of the rate; the bounds append ``BOUNDS`` to it.
        hits: numerators, [K].
        totals: denominators, [K].
    """
    k, n = np.asarray(hits, np.float64), np.asarray(totals, np.float64)
    some = n > 0
    columns = np.full((1 + len(BOUNDS), len(n)), math.nan)
    if some.any():
        k, n = k[some], n[some]
        bounds = (proportion_confint(k, n, alpha=0.05, method=method) for method in ("wilson", "beta"))
        columns[:, some] = [k / n, *(np.clip(side, 0, 1) for pair in bounds for side in pair)]
    names = (name, *(f"{name}_{bound}" for bound in BOUNDS))
    return dict(zip(names, columns.round(6), strict=True))


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


def rate_words(hits: int, total: int) -> str:
    """A rate with its counts and both intervals, in one phrase."""
    if not total:
        return "nothing to count"
    counts = f"{hits:,} of {total:,}, {percent(hits / total)} %"
    wilson_, exact = interval_words(wilson(hits, total)), interval_words(clopper_pearson(hits, total))
    return f"{counts} (95 %: {wilson_}; exact {exact})"
