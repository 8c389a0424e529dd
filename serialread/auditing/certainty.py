"""What the confidence is worth: does it come true, and what stays wrong above each threshold.

Over the images that have a truth and were read; right is the text, strict, whatever was decided.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from serialread.auditing.rates import rate_columns
from serialread.metrics.risk import Reliability, RiskCoverage

BINS = 10
"""Of the reliability table, of equal width."""

MOST_POINTS = 200
"""Of the risk-coverage table, spread evenly over the coverage."""


@dataclass(frozen=True, slots=True, eq=False)
class Certainty:
    """Calibration and selection by confidence.

    Attributes:
        images: images with a truth, a text and a confidence.
        brier: mean squared error of the confidence, 0..1; nan without images.
        ece: expected calibration error in ``BINS`` bins, 0..1; nan without images.
        aurc: area under the risk-coverage curve, 0..1; nan without images.
        reliability: one line a bin of the confidence.
        coverage: one line a threshold, from the surest on.
    """

    images: int
    brier: float
    ece: float
    aurc: float
    reliability: pd.DataFrame
    coverage: pd.DataFrame


def weigh_confidence(judged: pd.DataFrame) -> Certainty:
    """Hold confidences against what came true."""
    known = judged[judged["known"]]
    right = (known["read"] & (known["strict_edits"] == 0)).to_numpy(bool)
    sure = known["sure"].where(known["read"]).to_numpy(np.float64)
    given = ~np.isnan(sure)
    bins = Reliability.of(sure[given], right[given], BINS)
    curve = RiskCoverage.of(sure, right)
    return Certainty(int(given.sum()), bins.brier, bins.ece, curve.aurc, _reliability(bins), _coverage(curve))


def _reliability(bins: Reliability) -> pd.DataFrame:
    edges = np.linspace(0, 1, len(bins.images) + 1).round(6)
    return pd.DataFrame(
        {
            "confidence_from": edges[:-1],
            "confidence_to": edges[1:],
            "images": bins.images,
            "mean_confidence": bins.confidence.round(6),
            "right": bins.right,
            **rate_columns("accuracy", bins.right, bins.images),
        }
    )


def _coverage(curve: RiskCoverage) -> pd.DataFrame:
    points = curve.thinned(MOST_POINTS)
    return pd.DataFrame(
        {
            "threshold": curve.threshold[points].round(6),
            "kept": curve.kept[points],
            "coverage": curve.coverage[points].round(6),
            "wrong": curve.wrong[points],
            **rate_columns("risk", curve.wrong[points], curve.kept[points]),
        }
    )
