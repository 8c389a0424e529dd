"""A share with its reach: how every rate stands in a table."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from statsmodels.stats.proportion import proportion_confint

Floats = NDArray[np.float64]

BOUNDS = ("low", "high", "exact_low", "exact_high")
"""Of a rate, at 95 %: Wilson's, which is shown, and Clopper and Pearson's, which is claimed."""


def rate_columns(name: str, hits: ArrayLike, totals: ArrayLike) -> dict[str, Floats]:
    """K rates and their four bounds, rounded to six decimals; nan of nothing.

    Args:
        name: of the rate; the bounds add theirs to it.
        hits: what is counted, [K].
        totals: out of how many, [K].
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
