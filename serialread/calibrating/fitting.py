"""How the network's log-odds become probabilities: one slope and one offset (Platt 1999)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

_MOST = 20.0
"""Of slope's logarithm and offset: beyond, all readings are right or all wrong, and a step is as good."""


def fit_odds(odds: Sequence[float], right: Sequence[bool]) -> tuple[float, float]:
    """Slope (above 0, so that the order stays) and offset of the likeliest logistic curve.

    With Platt's targets, which believe no finite number of pictures wholly: (right + 1) / (right + 2) and
    1 / (wrong + 2) in place of 1 and 0.

    Args:
        odds: log-odds of each reading by the network.
        right: whether each is right.
    """
    x, y = np.asarray(odds, np.float64), np.asarray(right, bool)
    sure, unsure = (y.sum() + 1) / (y.sum() + 2), 1 / ((~y).sum() + 2)
    targets = np.where(y, sure, unsure)

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        slope = np.exp(parameters[0])
        z = slope * x + parameters[1]
        off = 1 / (1 + np.exp(-np.clip(z, -500, 500))) - targets
        value = float(np.sum(np.logaddexp(0, z) - targets * z))
        return value, np.array([np.sum(off * x) * slope, np.sum(off)])

    found = minimize(loss, np.zeros(2), jac=True, method="L-BFGS-B", bounds=[(-_MOST, _MOST)] * 2)
    return float(np.exp(found.x[0])), float(found.x[1])
