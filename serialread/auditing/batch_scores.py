"""Judge every reading by its truth, and sum the readings up by batch."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serialread.auditing.input_tables import BARCODE_CHECK, MARK_PARTS, MEASURES, POINTS, VERDICT
from serialread.auditing.wording import Finding, counted, first_names, note, warning
from serialread.codes import SequenceChecker
from serialread.label_tables import PictureLabel
from serialread.metrics import TextDistances, mpsc, strict
from serialread.metrics.intervals import rate_columns
from serialread.metrics.risk import Reliability, RiskCoverage
from serialread.records import BarcodeCheck, Decision, Verdict

Array = NDArray[Any]

QUANTILES = {"05": 0.05, "50": 0.5, "95": 0.95}
"""Quantiles of the confidence of the images with a text."""

_SPREADSHEET_NUMBER = re.compile(r"\d([.,]\d+)?E\+?\d+", re.IGNORECASE)


def judge(rows: pd.DataFrame) -> pd.DataFrame:
    """Add what is countable to readings with ``truth``, ``known`` and ``label``, and a ``note`` on truths.

    A rejected image is never right, whatever its text; edits are those of the text as it was read. A picture
    without a code is right if nothing was read or it was rejected, a reading from the wrong place never; both
    have no edits. An image that nobody can read is wrong if it was accepted, and in no accuracy.
    """
    judged = rows.assign(
        confidence_value=_confidences(rows["confidence"]), read=[strict(text) != "" for text in rows["text"]]
    )
    for name, decision in _DECISIONS.items():
        judged[name] = judged["decision"] == decision
    known, label = judged["known"].to_numpy(bool), judged["label"]
    judged["compared"] = compared = known & (label == "").to_numpy(bool)
    nothing = (
        known & (label == PictureLabel.NO_CODE) & ~judged["accepted"] & (~judged["read"] | judged["rejected"])
    )
    for prefix, protocol in (("", strict), ("mpsc_", mpsc)):
        marks = TextDistances.of(judged["text"][compared], judged["truth"][compared], protocol)
        for column in ("edits", "read_chars", "truth_chars", "similarity"):
            judged[prefix + column] = _spread(getattr(marks, column), compared)
        same = _spread(marks.edits == 0, compared) & judged["read"] & ~judged["rejected"]
        judged[f"{prefix}right"] = same | nothing
        judged[f"{prefix}similarity"] += nothing
    for grade, points in POINTS.items():
        judged[f"mark_{grade}"] = judged["mark_grade"] == points
    judged["no_read"] = ~judged["read"] | judged["rejected"]
    judged["format_checked"] = judged[VERDICT] != ""
    judged["format_failed"] = judged["format_checked"] & (judged[VERDICT] == Verdict.MISPRINT.value)
    judged["barcode_checked"] = judged[BARCODE_CHECK].isin([BarcodeCheck.AGREES, BarcodeCheck.DIFFERS])
    judged["barcode_differs"] = judged[BARCODE_CHECK] == BarcodeCheck.DIFFERS
    judged["length_errors"] = compared & judged["read"] & (judged["read_chars"] != judged["truth_chars"])
    judged["accepted_known"] = judged["accepted"] & (known | (label == PictureLabel.UNREADABLE))
    judged["misread"] = judged["accepted_known"] & ~judged["right"]
    return judged.assign(note=_notes(judged))


_DECISIONS = {"accepted": Decision.ACCEPT, "review": Decision.REVIEW, "rejected": Decision.REJECT}
_PROTOCOL_SUMS = ("right", "edits", "truth_chars", "similarity")
_SUMS = (
    *("read", *_DECISIONS, "no_read", "known", "length_errors", "accepted_known", "misread"),
    *("format_checked", "format_failed", "barcode_checked", "barcode_differs"),
    *(f"mark_{grade}" for grade in POINTS),
    *_PROTOCOL_SUMS,
    *(f"mpsc_{name}" for name in _PROTOCOL_SUMS),
)


def score_table(judged: pd.DataFrame, by: pd.Series, name: str = "batch") -> pd.DataFrame:
    """One line per value of ``by``, in the order of their first images: the columns of batches.csv.

    Rates have six decimals; what is undefined is nan.

    Args:
        judged: result of ``judge``.
        by: the batch of each reading, or another value to group by.
        name: column for the values of ``by``.
    """
    return scores(score_sums(judged, by), score_quantiles(judged, by), name)


def score_sums(judged: pd.DataFrame, by: pd.Series) -> pd.DataFrame:
    """What is counted, by the values of ``by``, and ``images``; sums of parts are those of the whole."""
    groups = judged.groupby(by, sort=False)
    return groups[list(_SUMS)].sum().assign(images=groups.size())


def score_quantiles(judged: pd.DataFrame, by: pd.Series) -> pd.DataFrame:
    """Medians of ``MEASURES`` and ``QUANTILES`` of the confidence of the images with a text, by ``by``."""
    medians = judged.groupby(by, sort=False)[list(MEASURES)].median().add_suffix("_p50")
    confidence = judged["confidence_value"].where(judged["read"]).groupby(by, sort=False)
    return medians.assign(**{f"confidence_p{p}": confidence.quantile(q) for p, q in QUANTILES.items()})


def scores(sums: pd.DataFrame, quantiles: pd.DataFrame, name: str = "batch") -> pd.DataFrame:
    """The columns of batches.csv from ``score_sums`` and ``score_quantiles`` of the same groups."""
    images, quantiles = sums["images"], quantiles.reindex(sums.index).round(6)
    grades = sums[[f"mark_{grade}" for grade in POINTS]]
    points = grades.to_numpy() @ np.array(list(POINTS.values()))
    table = {
        name: sums.index.to_numpy(object),
        "images": images,
        **{column: sums[column] for column in ("read", *_DECISIONS, "no_read")},
        **rate_columns("no_read_rate", sums["no_read"], images),
        "no_truth": images - sums["known"],
        **_protocol_columns(sums, ""),
        **_protocol_columns(sums, "mpsc_"),
        "length_errors": sums["length_errors"],
        **rate_columns("length_error_rate", sums["length_errors"], sums["known"]),
        "accepted_known": sums["accepted_known"],
        "misread": sums["misread"],
        **rate_columns("misread_rate", sums["misread"], sums["accepted_known"]),
        "format_checked": sums["format_checked"],
        "format_failed": sums["format_failed"],
        **rate_columns("format_failure_rate", sums["format_failed"], sums["format_checked"]),
        "barcode_checked": sums["barcode_checked"],
        "barcode_differs": sums["barcode_differs"],
        **rate_columns("barcode_difference_rate", sums["barcode_differs"], sums["barcode_checked"]),
        **{name: quantiles[name] for name in (f"confidence_p{p}" for p in QUANTILES)},
        **{f"{m}_p50": quantiles[f"{m}_p50"] for m in ("text_height_px", "contrast", "elapsed_ms")},
        **grades,
        "mark_grade_mean": _ratios(points, grades.sum(axis=1)),
        **{f"{part}_p50": quantiles[f"{part}_p50"] for part in MARK_PARTS},
    }
    return pd.DataFrame({column: np.asarray(cells) for column, cells in table.items()})


def _protocol_columns(sums: pd.DataFrame, prefix: str) -> dict[str, Any]:
    right, edits, chars, similarity = (sums[prefix + name] for name in _PROTOCOL_SUMS)
    return {
        f"{prefix}right": right,
        f"{prefix}wrong": sums["known"] - right,
        **rate_columns(f"{prefix}accuracy", right, sums["known"]),
        f"{prefix}edits": edits,
        f"{prefix}truth_chars": chars,
        f"{prefix}cer": _ratios(edits, chars),
        f"{prefix}one_minus_ned": _ratios(similarity, sums["known"]),
    }


def _ratios(parts: Any, wholes: pd.Series) -> Array:
    return np.asarray(parts / wholes.where(wholes > 0).to_numpy(np.float64)).round(6)


@dataclass(frozen=True, slots=True, eq=False)
class ConfidenceQuality:
    """Calibration of the confidence, and selection by it, over the images with a truth.

    An image counts as right if its text is, whatever was decided.

    Attributes:
        images: images with a truth, a text and a confidence.
        reliability: confidence and accuracy in ten bins.
        curve: risk and coverage at every threshold; images without a text are never kept.
    """

    images: int
    reliability: Reliability
    curve: RiskCoverage

    @classmethod
    def of(cls, judged: pd.DataFrame) -> "ConfidenceQuality":
        """Compare the confidences of judged readings with the outcomes."""
        known = judged[judged["known"]]
        right = (known["compared"] & known["read"] & (known["edits"] == 0)).to_numpy(bool)
        confidence = known["confidence_value"].where(known["read"]).to_numpy(np.float64)
        given = ~np.isnan(confidence)
        reliability = Reliability.of(confidence[given], right[given])
        return cls(int(given.sum()), reliability, RiskCoverage.of(confidence, right))

    def summary(self) -> dict[str, float]:
        """Brier score, expected calibration error and area under the risk-coverage curve."""
        return {"brier": self.reliability.brier, "ece": self.reliability.ece, "aurc": self.curve.aurc}


def data_findings(judged: pd.DataFrame) -> Iterator[Finding]:
    """What the cells themselves show: damaged truths, missing confidences, several models."""
    for text, advice in _NOTES.items():
        names = judged["image"][judged["note"] == text]
        if len(names):
            images = counted(len(names), "image")
            yield warning(f"{images}: {text}; counted as wrong: {first_names(names)}. {advice}")
    differing = judged["image"][judged["barcode_differs"]]
    if len(differing):
        images = counted(len(differing), "image")
        yield warning(
            f"{images} whose barcode says something else than the reading: {first_names(differing)}."
        )
    undefined = judged["image"][judged["confidence_value"].isna() & judged["read"]]
    if len(undefined):
        images = counted(len(undefined), "image")
        yield warning(f"{images} without a confidence between 0 and 1: {first_names(undefined)}.")
    for column, noun in (("model_id", "model"), ("station_id", "station")):
        distinct = judged[column].unique()
        if len(distinct) > 1:
            yield note(f"Read by {counted(len(distinct), noun)}: {first_names(distinct)}.")


def sequence_failures(judged: pd.DataFrame) -> dict[str, list[str]]:
    """What the sequence checks find in the codes of each batch: duplicates, gaps, order, other form."""
    found = {}
    for name, rows in judged.groupby("batch", sort=False):
        checker, pairs = SequenceChecker(), zip(rows["image"], rows["text"], strict=True)
        found[str(name)] = [f"{image} {what}" for image, code in pairs for what in checker.check(code, image)]
    return found


def sequence_findings(failures: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """One sentence per batch whose codes fail the sequence checks."""
    for name, failed in failures.items():
        if failed:
            place = f"Batch {name}" if name else "Batch without a name"
            listed = first_names(failed, separator="; ")
            yield warning(f"{place}: {counted(len(failed), 'sequence finding')}: {listed}.")


_ZEROS = "the truth seems to have lost its leading zeros"
_NUMBER = "a spreadsheet seems to have rewritten the truth as a number"
_LABELLED = {
    PictureLabel.NO_CODE: "the picture has no code, by its label",
    PictureLabel.WRONG_CROP: "read from the wrong place, by its label",
    PictureLabel.UNREADABLE: "accepted, and nobody can read the mark, by its label",
}
_NOTES = {
    _LABELLED[PictureLabel.NO_CODE]: "Take these codes off the record.",
    _LABELLED[PictureLabel.WRONG_CROP]: "Correct their records, and the place where the station looks.",
    _LABELLED[PictureLabel.UNREADABLE]: "Look at the parts.",
    _ZEROS: "Format the column as text before you save the table.",
    _NUMBER: "Format the column as text and enter these truths again.",
}


def _notes(judged: pd.DataFrame) -> list[str]:
    suspects = (judged["compared"] & ~judged["right"]).to_numpy(bool)
    labelled = judged["label"].where(judged["misread"] | (judged["known"] & ~judged["right"]), "")
    notes = np.array([_LABELLED.get(label, "") for label in labelled], dtype=object)
    pairs = zip(judged["text"][suspects], judged["truth"][suspects], strict=True)
    notes[suspects] = np.array([_damage(strict(read), strict(truth)) for read, truth in pairs], dtype=object)
    return list(notes)


def _damage(read: str, truth: str) -> str:
    """What a spreadsheet may have done to a truth: 7 instead of 007, 1.23E+11 instead of 123456789012."""
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
