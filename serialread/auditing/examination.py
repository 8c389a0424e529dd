"""An audit as a value: match, judge and count, nothing written."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from serialread.auditing.certainty import Certainty, weigh_confidence
from serialread.auditing.characters import Characters, count_characters
from serialread.auditing.code_sequences import serial_findings
from serialread.auditing.counting import BatchScore, count, count_by, judge, oddities
from serialread.auditing.findings import Finding, by_severity, warning
from serialread.auditing.grouping import group
from serialread.auditing.matching import pair, without_truth
from serialread.auditing.sampling import SAMPLE, sampling_list
from serialread.auditing.tables import POINTS
from serialread.auditing.trending import Trend, follow, trend_findings
from serialread.label_tables import TextTable
from serialread.metrics.control_charts import ControlLimits

_ERROR_COLUMNS = {
    "image": "image",
    "batch": "batch",
    "truth": "truth",
    "text": "text",
    "edits": "strict_edits",
    "what": "what",
    "mpsc_right": "mpsc_right",
    "confidence": "confidence",
    "weakest_char": "weakest_char",
    "weakest_position": "weakest_position",
    "weakest_confidence": "weakest_confidence",
    "decision": "decision",
    "reason": "reason",
    "mark_grade": "mark_grade",
    "note": "note",
    "sha256": "sha256",
}
"""Columns of errors.csv, and where each comes from."""


@dataclass(frozen=True, slots=True)
class Input:
    """A table that was audited: file name, SHA-256 of its bytes, lines that count."""

    name: str
    sha256: str
    lines: int


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """What an audit found.

    Attributes:
        inputs: readings.csv, then the truth table and the batch table where there were any.
        judged: whether a truth was given.
        total: all images.
        batches: each batch, in the order of its first image.
        groups: by column of the batch table, each of its values as a batch.
        findings: most serious first.
        errors: images that are not strictly right, the surest first.
        unmatched: images without truth and truths without image.
        sampling: images without truth to label next.
        characters: which characters were taken for which.
        certainty: what the confidence is worth.
        trends: measures over the batches, oldest first.
        models: ids of the models that read.
        stations: ids of the stations.
        read_at: first and last time of reading, as text.
    """

    inputs: tuple[Input, ...]
    judged: bool
    total: BatchScore
    batches: tuple[BatchScore, ...]
    groups: dict[str, tuple[BatchScore, ...]]
    findings: tuple[Finding, ...]
    errors: pd.DataFrame
    unmatched: pd.DataFrame
    sampling: pd.DataFrame
    characters: Characters
    certainty: Certainty
    trends: tuple[Trend, ...]
    models: tuple[str, ...]
    stations: tuple[str, ...]
    read_at: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of readings beside the truth.

    Attributes:
        batches: what else is known about batches or images.
        by: column that makes the batches; None takes the pictures' folders.
        frozen: control limits to hold the batches against; None draws them from these batches.
        sample: images to draw for labelling.
    """

    batches: TextTable | None = None
    by: str | None = None
    frozen: dict[str, ControlLimits] | None = None
    sample: int = SAMPLE


def examine(readings: TextTable, truth: TextTable | None, question: Question | None = None) -> Audit:
    """Match readings with the truth, judge each, count them per batch and follow the batches.

    Raises:
        RecordsError: batches by a column that is not there.
    """
    asked = question or Question()
    grouping = group(readings.rows, asked.batches, asked.by)
    pairing = without_truth(grouping.rows) if truth is None else pair(grouping.rows, truth.rows)
    judged = judge(pairing.rows)
    trends = follow(judged, grouping.order, asked.frozen)
    characters = count_characters(judged)
    sources = [source for source in (readings, truth, asked.batches) if source is not None]
    findings = [warning(text) for source in sources for text in source.warnings]
    return Audit(
        inputs=tuple(Input(source.path.name, source.sha256, len(source.rows)) for source in sources),
        judged=truth is not None,
        total=count(judged),
        batches=count_by(judged, judged["batch"]),
        groups={str(name): count_by(judged, column) for name, column in grouping.about.items()},
        findings=by_severity(
            [
                *findings,
                *grouping.findings,
                *pairing.findings,
                *oddities(judged),
                *serial_findings(judged),
                *trend_findings(trends),
            ]
        ),
        errors=_errors(judged, characters.what),
        unmatched=pairing.unmatched,
        sampling=sampling_list(judged, asked.sample),
        characters=characters,
        certainty=weigh_confidence(judged),
        trends=trends,
        models=tuple(judged["model_id"].unique()),
        stations=tuple(judged["station_id"].unique()),
        read_at=(judged["read_at"].min(), judged["read_at"].max()),
    )


def _errors(judged: pd.DataFrame, what: pd.Series) -> pd.DataFrame:
    """Not strictly right, by confidence: a sure error is the one that nobody looks at again."""
    wrong = judged[judged["known"] & ~judged["strict_right"]]
    wrong = wrong.assign(what=what.reindex(wrong.index).fillna(""))
    wrong = wrong.sort_values("sure", ascending=False, kind="stable", na_position="last")
    table = pd.DataFrame({name: wrong[origin] for name, origin in _ERROR_COLUMNS.items()})
    letters = {points: grade for grade, points in POINTS.items()}
    return table.assign(
        mpsc_right=np.where(table["mpsc_right"], "yes", "no"),
        mark_grade=table["mark_grade"].map(letters).fillna("").astype(object),
    ).reset_index(drop=True)
