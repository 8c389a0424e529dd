"""How the network's log-odds become probabilities: one slope and one offset (Platt 1999)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

_LEAST_SLOPE = 1e-9
"""The order of the readings stays, though the pictures say that confidence means nothing, or the contrary."""


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

    def loss(parameters: NDArray[np.float64]) -> float:
        z = parameters[0] * x + parameters[1]
        return float(np.sum(np.logaddexp(0, z) - targets * z))

    def gradient(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        off = expit(parameters[0] * x + parameters[1]) - targets
        return np.array([off @ x, off.sum()])

    def curvature(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        p = expit(parameters[0] * x + parameters[1])
        weights = p * (1 - p)
        return np.array([[weights @ (x * x), weights @ x], [weights @ x, weights.sum()]])

    # convex in slope and offset, so that there is one minimum; it is not in the logarithm of the slope
    found = minimize(loss, np.zeros(2), jac=gradient, hess=curvature, method="trust-exact", tol=1e-8)
    slope, offset = (float(value) for value in found.x)
    return (slope, offset) if slope > _LEAST_SLOPE else (_LEAST_SLOPE, float(logit(targets.mean())))
