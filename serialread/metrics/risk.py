"""Quality of a confidence: its calibration, and the risk that remains above each threshold.

Sources: Brier (Monthly Weather Review 1950); expected calibration error as in Naeini et al. (AAAI 2015), with
bins of equal width; risk-coverage curve and AURC as in Geifman & El-Yaniv (NeurIPS 2017, ICLR 2019).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serialread.metrics.intervals import rate_columns

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Reliability:
    """Confidences in bins of equal width, with the outcomes.

    Attributes:
        images: readings in each bin, [bins].
        right: how many of them are right, [bins].
        confidence: their mean confidence, [bins], 0..1; nan in an empty bin.
        brier: mean squared error of the confidence, 0..1; nan without readings.
    """

    images: Ints
    right: Ints
    confidence: Floats
    brier: float

    @classmethod
    def merged(cls, parts: "Sequence[Reliability]") -> "Reliability":
        """Of all readings, from those of parts of them."""
        images = np.sum([part.images for part in parts], axis=0)
        sums = np.sum([np.nan_to_num(part.confidence) * part.images for part in parts], axis=0)
        means = np.divide(sums, images, out=np.full(len(images), math.nan), where=images > 0)
        squares = sum(part.brier * int(part.images.sum()) for part in parts if part.images.any())
        brier = float(squares / images.sum()) if images.any() else math.nan
        return cls(images, np.sum([part.right for part in parts], axis=0), means, brier)

    @classmethod
    def of(cls, confidence: Floats, right: Bools, bins: int = 10) -> "Reliability":
        """Sort N readings into bins; a confidence on an edge belongs to the bin below it, 0 to the first."""
        place = np.clip(np.ceil((confidence * bins).round(9)).astype(np.int64) - 1, 0, bins - 1)
        images = np.bincount(place, minlength=bins)
        sums = np.bincount(place, weights=confidence, minlength=bins)
        means = np.divide(sums, images, out=np.full(bins, math.nan), where=images > 0)
        brier = float(np.mean((confidence - right) ** 2)) if len(confidence) else math.nan
        return cls(images, np.bincount(place[right], minlength=bins), means, brier)

    def table(self) -> pd.DataFrame:
        """One line per bin."""
        edges = np.linspace(0, 1, len(self.images) + 1).round(6)
        return pd.DataFrame(
            {
                "confidence_from": edges[:-1],
                "confidence_to": edges[1:],
                "images": self.images,
                "mean_confidence": self.confidence.round(6),
                "right": self.right,
                **rate_columns("accuracy", self.right, self.images),
            }
        )

    @property
    def ece(self) -> float:
        """Expected calibration error, 0..1: mean gap between confidence and accuracy; nan if empty."""
        filled = self.images > 0
        if not filled.any():
            return math.nan
        gaps = np.abs(self.confidence[filled] - self.right[filled] / self.images[filled])
        return float((gaps * self.images[filled]).sum() / self.images.sum())


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """Risk among the readings at or above each confidence threshold.

    Readings of equal confidence are kept or left out together.

    Attributes:
        threshold: lowest confidence kept, falling, [K].
        kept: readings with at least that confidence, [K].
        wrong: wrong ones among them, [K].
        total: all readings, those without a confidence included.
        aurc: mean risk over the readings as they are added one by one, 0..1; nan without readings.
    """

    threshold: Floats
    kept: Ints
    wrong: Ints
    total: int
    aurc: float

    @classmethod
    def of(cls, confidence: Floats, right: Bools) -> "RiskCoverage":
        """Order N readings by confidence; nan is never kept."""
        known = ~np.isnan(confidence)
        ones = np.ones(int(known.sum()), np.int64)
        return cls._counted(confidence[known], ones, (~right[known]).astype(np.int64), len(confidence))

    @classmethod
    def merged(cls, parts: "Sequence[RiskCoverage]") -> "RiskCoverage":
        """Of all readings, from those of parts of them."""
        confidence = np.concatenate([part.threshold for part in parts])
        images = np.concatenate([np.diff(part.kept, prepend=0) for part in parts])
        wrong = np.concatenate([np.diff(part.wrong, prepend=0) for part in parts])
        return cls._counted(confidence, images, wrong, sum(part.total for part in parts))

    @classmethod
    def _counted(cls, confidence: Floats, images: Ints, wrong: Ints, total: int) -> "RiskCoverage":
        """From numbers of images and of wrong ones among them, by confidence, in any order."""
        order = np.argsort(-confidence, kind="stable")
        falling, count, lost = confidence[order], np.cumsum(images[order]), np.cumsum(wrong[order])
        last = np.flatnonzero(np.append(falling[1:] != falling[:-1], True)[: len(falling)])
        kept, lost = count[last], lost[last]
        weights = np.diff(kept, prepend=0)  # ties share one risk
        aurc = float((lost / kept * weights).sum() / kept[-1]) if len(kept) else math.nan
        return cls(falling[last], kept, lost.astype(np.int64), total, aurc)

    @property
    def coverage(self) -> Floats:
        """Share of all readings that is kept, [K], 0..1."""
        return self.kept / max(self.total, 1)

    def thinned(self, most: int) -> Ints:
        """Indices of at most ``most`` points, spread evenly over the coverage, first and last included."""
        if len(self.kept) <= most:
            return np.arange(len(self.kept))
        wanted = np.linspace(self.kept[0], self.kept[-1], most)
        return np.unique(np.searchsorted(self.kept, wanted).clip(0, len(self.kept) - 1))

    def table(self, most: int = 200) -> pd.DataFrame:
        """One line per threshold, falling; at most ``most`` lines, spread evenly over the coverage."""
        points = self.thinned(most)
        return pd.DataFrame(
            {
                "threshold": self.threshold[points].round(6),
                "kept": self.kept[points],
                "coverage": self.coverage[points].round(6),
                "wrong": self.wrong[points],
                **rate_columns("risk", self.wrong[points], self.kept[points]),
            }
        )
