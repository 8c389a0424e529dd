"""Drawing by weights: what numpy's choice does, without its checks on every draw."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


def weighted(weights: Sequence[float], rng: np.random.Generator) -> int:
    """Draw an index by weights of 0 or more, of which one at least is above 0."""
    return int(np.searchsorted(_ends(tuple(weights)), rng.random(), side="right"))


@lru_cache(maxsize=1024)
def _ends(weights: tuple[float, ...]) -> NDArray[np.float64]:
    """Upper ends of the shares of 0..1, all but the last that can be drawn."""
    shares = np.cumsum(weights) / np.sum(weights)
    return np.asarray(shares[: max(i for i, w in enumerate(weights) if w > 0)], np.float64)
