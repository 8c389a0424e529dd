"""Fast scalar draws from a numpy generator, without its checks on every draw."""

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import TypeVar

import numpy as np

T = TypeVar("T")
Rng = np.random.Generator


def within(span: tuple[float, float], rng: Rng) -> float:
    """Draw uniformly between the two ends of a span."""
    low, high = span
    return low + (high - low) * rng.random()


def below(count: int, rng: Rng) -> int:
    """Draw an index of ``count`` items, uniformly."""
    return int(count * rng.random())


def one_of(items: Sequence[T], rng: Rng) -> T:
    """Draw one item, uniformly."""
    return items[int(len(items) * rng.random())]


def weighted(weights: Sequence[float], rng: Rng) -> int:
    """Draw an index by weights of 0 or more, at least one above 0."""
    return bisect_right(_ends(tuple(weights)), rng.random())


@lru_cache(maxsize=1024)
def _ends(weights: tuple[float, ...]) -> tuple[float, ...]:
    """Upper ends of the intervals of 0..1, all but the last that can be drawn."""
    last = max(i for i, w in enumerate(weights) if w > 0)
    whole = sum(weights)
    return tuple(end / whole for end in accumulate(weights[:last]))
