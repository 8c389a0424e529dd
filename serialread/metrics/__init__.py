"""Statistics of readings: accuracy, intervals, calibration, control charts, agreement, sampling plans."""

from serialread.metrics.accuracy import (
    AccuracyCounts,
    Protocol,
    TextDistances,
    cer,
    edits,
    edits_each,
    mpsc,
    one_minus_ned,
    strict,
)
from serialread.metrics.intervals import (
    Interval,
    clopper_pearson,
    mcnemar,
    paired_difference,
    ratio,
    wilson,
)

__all__ = [
    "AccuracyCounts",
    "Interval",
    "Protocol",
    "TextDistances",
    "cer",
    "clopper_pearson",
    "edits",
    "edits_each",
    "mcnemar",
    "mpsc",
    "one_minus_ned",
    "paired_difference",
    "ratio",
    "strict",
    "wilson",
]
