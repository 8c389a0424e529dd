"""How a figure is written for people."""

import math

from serialread.metrics import Interval, clopper_pearson, wilson


def percent(share: float) -> str:
    """A share in per cent, two decimals; 100 stands for all of them only, and 0 for none."""
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


def span(interval: Interval) -> str:
    """An interval in per cent."""
    return "–".join(percent(bound) for bound in interval)


def rate_words(hits: int, total: int) -> str:
    """A rate with its counts and both intervals, in one phrase."""
    if not total:
        return "nothing to count"
    counts = f"{hits:,} of {total:,}, {percent(hits / total)} %"
    return f"{counts} (95 %: {span(wilson(hits, total))}; exact {span(clopper_pearson(hits, total))})"
