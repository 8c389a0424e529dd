"""How many of each batch were read, rejected, right and wrong."""

import math
import re
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serialread.auditing.findings import Finding, counted, note, some, warning
from serialread.auditing.tables import MARK_PARTS, MEASURES, POINTS, VERDICT
from serialread.metrics import AccuracyCounts, Interval, Marks, clopper_pearson, mpsc, strict
from serialread.metrics.intervals import ratio
from serialread.records import GRADES, Decision, Verdict

Array = NDArray[Any]

QUANTILES = (0.05, 0.5, 0.95)
"""Of the confidence over what was read."""

_SPREADSHEET_NUMBER = re.compile(r"\d([.,]\d+)?E\+?\d+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class BatchScore:
    """Counts of one batch, or of all.

    Attributes:
        batch: name of the batch.
        images: lines of readings.csv.
        read: images with a text.
        accepted: images decided ACCEPT.
        review: images decided REVIEW.
        rejected: images decided REJECT.
        strict: case and symbols count; over the images that have a truth, a rejected one is not right.
        mpsc: letters and digits only, lower-cased; otherwise the same.
        accepted_known: accepted images that have a truth.
        misread: accepted images that are strictly wrong.
        no_read: images without a text, or rejected.
        length_errors: images with a truth and a text of another length, strict.
        verdicts: images whose text was held against a format.
        misformed: of these, with a text that fails it.
        confidence: 5 %, 50 % and 95 % quantile over what was read, 0..1; nan if nothing was.
        text_height_px: median over the images where it was measured; nan if nowhere.
        contrast: the same.
        elapsed_ms: the same.
        grades: images with a mark of each of ``records.GRADES``, [5].
        mark_parts: medians of the parts of the grade, ``MARK_PARTS``, [5]; nan where there are none.
    """

    batch: str
    images: int
    read: int
    accepted: int
    review: int
    rejected: int
    strict: AccuracyCounts
    mpsc: AccuracyCounts
    accepted_known: int
    misread: int
    no_read: int
    length_errors: int
    verdicts: int
    misformed: int
    confidence: tuple[float, float, float]
    text_height_px: float
    contrast: float
    elapsed_ms: float
    grades: tuple[int, ...]
    mark_parts: tuple[float, ...]

    @property
    def mark_grade(self) -> float:
        """Mean grade of the marks, 4 for A to 0 for F; nan of none."""
        return ratio(sum(n * p for n, p in zip(self.grades, POINTS.values(), strict=True)), sum(self.grades))

    @property
    def no_truth(self) -> int:
        """Images without a truth."""
        return self.images - self.strict.total

    @property
    def misread_rate(self) -> float:
        """Share of wrong ones among the accepted images with a truth, 0..1; nan if there are none."""
        return self.misread / self.accepted_known if self.accepted_known else math.nan

    @property
    def misread_interval(self) -> Interval:
        """Exact interval of the misread rate at 95 %."""
        return clopper_pearson(self.misread, self.accepted_known)

    @property
    def no_read_rate(self) -> float:
        """Share of images that were not read, 0..1; nan if there are none."""
        return self.no_read / self.images if self.images else math.nan

    @property
    def no_read_interval(self) -> Interval:
        """Exact interval of the no-read rate at 95 %."""
        return clopper_pearson(self.no_read, self.images)


def judge(rows: pd.DataFrame) -> pd.DataFrame:
    """Add to readings with ``truth`` and ``known`` what is countable, and ``note`` on damaged truths.

    A rejected image is never right, whatever its text; edits are those of the text as it was read.
    """
    judged = rows.assign(
        sure=_confidences(rows["confidence"]), read=[strict(text) != "" for text in rows["text"]]
    )
    for name, decision in (
        ("accepted", Decision.ACCEPT),
        ("review", Decision.REVIEW),
        ("rejected", Decision.REJECT),
    ):
        judged[name] = judged["decision"] == decision
    known = judged["known"].to_numpy(bool)
    for prefix, protocol in (("strict", strict), ("mpsc", mpsc)):
        marks = Marks.of(judged["text"][known], judged["truth"][known], protocol)
        for column in ("edits", "read_chars", "truth_chars", "similarity"):
            judged[f"{prefix}_{column}"] = _spread(getattr(marks, column), known)
        judged[f"{prefix}_right"] = _spread(marks.edits == 0, known) & judged["read"] & ~judged["rejected"]
    for grade, points in POINTS.items():
        judged[_graded(grade)] = judged["mark_grade"] == points
    judged["no_read"] = ~judged["read"] | judged["rejected"]
    judged["verdicts"] = judged[VERDICT] != ""
    judged["misformed"] = judged["verdicts"] & (judged[VERDICT] == Verdict.MISPRINT.value)
    lengths = judged["strict_read_chars"] != judged["strict_truth_chars"]
    judged["length_errors"] = known & judged["read"] & lengths
    judged["accepted_known"] = judged["accepted"] & known
    judged["misread"] = judged["accepted_known"] & ~judged["strict_right"]
    return judged.assign(note=_notes(judged))


def _graded(grade: str) -> str:
    """Column that says whether a mark has this grade."""
    return f"mark_is_{grade}"


def count(judged: pd.DataFrame) -> BatchScore:
    """Sum judged readings up."""
    (total,) = _scores(judged, np.zeros(len(judged), np.int64), ["total"])
    return total


def count_by(judged: pd.DataFrame, batch: pd.Series) -> tuple[BatchScore, ...]:
    """Sum judged readings up by their batch, in the order of their first image."""
    numbers, names = pd.factorize(batch)
    return tuple(_scores(judged, numbers, list(names)))


def oddities(judged: pd.DataFrame) -> Iterator[Finding]:
    """What the cells themselves give away."""
    for text, advice in _NOTES.items():
        names = judged["image"][judged["note"] == text]
        if len(names):
            yield warning(f"{counted(len(names), 'image')}: {text}; counted wrong: {some(names)}. {advice}")
    unsure = judged["image"][judged["sure"].isna() & judged["read"]]
    if len(unsure):
        yield warning(f"{counted(len(unsure), 'image')} without a confidence of 0 to 1: {some(unsure)}.")
    for column, noun in (("model_id", "model"), ("station_id", "station")):
        distinct = judged[column].unique()
        if len(distinct) > 1:
            yield note(f"Read by {counted(len(distinct), noun)}: {some(distinct)}.")


_ZEROS = "the truth seems to have lost its leading zeros"
_NUMBER = "the truth seems to be a number that a spreadsheet rewrote"
_NOTES = {
    _ZEROS: "Make the column a text column before you save the table.",
    _NUMBER: "Make the column a text column and enter these again.",
}


def _notes(judged: pd.DataFrame) -> list[str]:
    suspects = (judged["known"] & ~judged["strict_right"]).to_numpy(bool)
    notes = np.full(len(judged), "", dtype=object)
    pairs = zip(judged["text"][suspects], judged["truth"][suspects], strict=True)
    notes[suspects] = np.array([_damage(strict(read), strict(truth)) for read, truth in pairs], dtype=object)
    return list(notes)


def _damage(read: str, truth: str) -> str:
    """What a spreadsheet may have done to a truth: 7 against 007, 1.23E+11 against 123456789012."""
    if not (read.isascii() and read.isdecimal()):
        return ""
    if truth.isascii() and truth.isdecimal():
        shorter = len(truth) < len(read) and truth.lstrip("0") == read.lstrip("0")
        return _ZEROS if shorter else ""
    return _NUMBER if _SPREADSHEET_NUMBER.fullmatch(truth) else ""


def _confidences(texts: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(texts, errors="coerce").astype(np.float64)
    return numbers.where((numbers >= 0) & (numbers <= 1))


def _spread(values: Array, known: NDArray[np.bool_]) -> Array:
    """Values of the known rows at their places, [N]; 0 elsewhere."""
    spread = np.zeros(len(known), values.dtype)
    spread[known] = values
    return spread


_COUNTS = (
    "read",
    "accepted",
    "review",
    "rejected",
    "accepted_known",
    "misread",
    "no_read",
    "length_errors",
    "verdicts",
    "misformed",
)
_SUMS = (*_COUNTS, "known", *map(_graded, GRADES))
_TALLY = ("right", "edits", "truth_chars", "similarity")


def _scores(judged: pd.DataFrame, numbers: NDArray[np.int64], names: list[str]) -> Iterator[BatchScore]:
    """One score a group; ``numbers`` [N] says which group a row is in."""
    tallies = [f"{prefix}_{column}" for prefix in ("strict", "mpsc") for column in _TALLY]
    groups = judged[[*_SUMS, *tallies]].groupby(numbers)
    sums, sizes = groups.sum().to_dict("records"), groups.size()
    sure = judged["sure"].where(judged["read"]).groupby(numbers).quantile(np.array(QUANTILES)).unstack()
    middle = judged[list(MEASURES)].groupby(numbers).median().to_dict("records")
    for name, row, images, quantiles, medians in zip(
        names, sums, sizes, sure.to_numpy(), middle, strict=True
    ):
        counts = {column: int(row[column]) for column in _COUNTS}
        yield BatchScore(
            batch=name,
            images=int(images),
            strict=_tally(row, "strict"),
            mpsc=_tally(row, "mpsc"),
            confidence=(float(quantiles[0]), float(quantiles[1]), float(quantiles[2])),
            text_height_px=float(medians["text_height_px"]),
            contrast=float(medians["contrast"]),
            elapsed_ms=float(medians["elapsed_ms"]),
            grades=tuple(int(row[_graded(grade)]) for grade in GRADES),
            mark_parts=tuple(float(medians[part]) for part in MARK_PARTS),
            **counts,
        )


def _tally(row: Mapping[Hashable, float], prefix: str) -> AccuracyCounts:
    right, edits, truth_chars, similarity = (row[f"{prefix}_{column}"] for column in _TALLY)
    return AccuracyCounts(int(right), int(row["known"]), int(edits), int(truth_chars), float(similarity))
