"""How good readings are: texts beside their truths, shares and their reach, confidences, trends, people."""

from serialread.scoring.proportions import (
    Interval,
    clopper_pearson,
    mcnemar,
    paired_difference,
    ratio,
    wilson,
)
from serialread.scoring.texts import (
    AccuracyCounts,
    Marks,
    Protocol,
    cer,
    edits,
    edits_each,
    mpsc,
    one_minus_ned,
    strict,
)

__all__ = [
    "AccuracyCounts",
    "Interval",
    "Marks",
    "Protocol",
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
