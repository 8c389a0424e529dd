"""Whether the confidence is calibrated, and the risk that remains at each threshold.

Over the images with a truth and a text. An image counts as right if its text is, whatever was decided.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from serialread.auditing.figures import rate_columns
from serialread.metrics.risk import Reliability, RiskCoverage

BINS = 10
"""Bins of the reliability table, of equal width."""

MAX_THRESHOLDS = 200
"""Lines of the risk-coverage table, spread evenly over the coverage."""


@dataclass(frozen=True, slots=True, eq=False)
class ConfidenceTables:
    """Calibration of the confidence, and selection by it.

    Attributes:
        images: images with a truth, a text and a confidence.
        brier: mean squared error of the confidence, 0..1; nan without images.
        ece: expected calibration error in ``BINS`` bins, 0..1; nan without images.
        aurc: area under the risk-coverage curve, 0..1; nan without images.
        reliability: one line per bin of the confidence.
        coverage: one line per threshold, falling.
    """

    images: int
    brier: float
    ece: float
    aurc: float
    reliability: pd.DataFrame
    coverage: pd.DataFrame


def confidence_tables(judged: pd.DataFrame) -> ConfidenceTables:
    """Compare the confidences with the outcomes."""
    known = judged[judged["known"]]
    right = (known["read"] & (known["edits"] == 0)).to_numpy(bool)
    sure = known["sure"].where(known["read"]).to_numpy(np.float64)
    given = ~np.isnan(sure)
    bins = Reliability.of(sure[given], right[given], BINS)
    curve = RiskCoverage.of(sure, right)
    images = int(given.sum())
    return ConfidenceTables(images, bins.brier, bins.ece, curve.aurc, _reliability(bins), _coverage(curve))


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
    points = curve.thinned(MAX_THRESHOLDS)
    return pd.DataFrame(
        {
            "threshold": curve.threshold[points].round(6),
            "kept": curve.kept[points],
            "coverage": curve.coverage[points].round(6),
            "wrong": curve.wrong[points],
            **rate_columns("risk", curve.wrong[points], curve.kept[points]),
        }
    )
