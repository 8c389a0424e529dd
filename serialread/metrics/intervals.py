"""Proportions: their confidence intervals, and tests whether two of them differ.

Sources: Wilson (JASA 1927) and Clopper & Pearson (Biometrika 1934) for intervals of a proportion, compared by
Newcombe (Statistics in Medicine 1998); McNemar (Psychometrika 1947) in its exact form; Bonett & Price
(J. of Educational and Behavioral Statistics 2012) for the difference of two paired proportions.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Interval = tuple[float, float]
"""Low and high bound of a proportion, 0..1."""


def wilson(right: int, total: int, confidence: float = 0.95) -> Interval:
    """Score interval of a proportion (Wilson 1927), for display; (0, 1) if nothing was counted."""
    return _interval("wilson", right, total, confidence)


def clopper_pearson(right: int, total: int, confidence: float = 0.95) -> Interval:
    """Exact interval of a proportion (Clopper & Pearson 1934), for claims: never too narrow."""
    return _interval("beta", right, total, confidence)


def _interval(method: Literal["wilson", "beta"], right: int, total: int, confidence: float) -> Interval:
    _require_counts(right, total, confidence)
    if total == 0:
        return 0.0, 1.0
    from statsmodels.stats.proportion import proportion_confint  # its import takes half a second

    low, high = proportion_confint(right, total, alpha=1 - confidence, method=method)
    return (0.0 if right == 0 else float(low)), (1.0 if right == total else float(high))


def mcnemar(a_right: Sequence[bool], b_right: Sequence[bool]) -> float:
    """McNemar's exact test that readers A and B are equally good.

    Args:
        a_right: whether A is right on each image.
        b_right: the same for B, on the same images in the same order.

    Returns:
        Two-sided p, 0..1; 1 if no image is right for one reader alone.
    """
    if len(a_right) != len(b_right):
        raise ValueError(f"mcnemar: {len(a_right)} against {len(b_right)} images. Compare the same images.")
    from scipy.stats import binomtest  # its import takes half a second

    a, b = np.asarray(a_right, bool), np.asarray(b_right, bool)
    only_a, only_b = int(np.count_nonzero(a & ~b)), int(np.count_nonzero(b & ~a))
    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def paired_difference(only_a: int, only_b: int, total: int, confidence: float = 0.95) -> Interval:
    """Interval of the accuracy of B minus that of A, -1..1, on the same images (Bonett & Price 2012).

    Args:
        only_a: images right for A alone.
        only_b: images right for B alone.
        total: all images, with those right for both or neither.
        confidence: of the interval, 0..1.
    """
    _require_counts(only_a + only_b, total, confidence)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    a, b = (only_a + 1) / (total + 2), (only_b + 1) / (total + 2)
    half_width = z * math.sqrt((a + b - (b - a) ** 2) / (total + 2))
    return max(-1.0, b - a - half_width), min(1.0, b - a + half_width)


def ratio(part: float, whole: float) -> float:
    """Part divided by whole; nan if the whole is 0."""
    return part / whole if whole else math.nan


def _require_counts(right: int, total: int, confidence: float) -> None:
    if not 0 <= right <= total:
        raise ValueError(f"interval: {right} of {total} is no proportion. Give 0 <= right <= total.")
    if not 0 < confidence < 1:
        raise ValueError(f"interval: confidence {confidence} is not between 0 and 1. Give 0.95 for 95 %.")


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
        from statsmodels.stats.proportion import proportion_confint

        k, n = k[some], n[some]
        bounds = (proportion_confint(k, n, alpha=0.05, method=method) for method in ("wilson", "beta"))
        columns[:, some] = [k / n, *(np.clip(side, 0, 1) for pair in bounds for side in pair)]
    names = (name, *(f"{name}_{bound}" for bound in BOUNDS))
    return dict(zip(names, columns.round(6), strict=True))
