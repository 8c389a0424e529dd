"""An audit as a value: match, judge and count, nothing written."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from serialread.reporting.counting import BatchScore, count, judge, oddities
from serialread.reporting.findings import Finding, by_severity
from serialread.reporting.matching import pair, without_truth
from serialread.reporting.tables import Source

_ERROR_COLUMNS = {
    "image": "image",
    "batch": "batch",
    "truth": "truth",
    "text": "text",
    "edits": "strict_edits",
    "mpsc_right": "mpsc_right",
    "confidence": "confidence",
    "weakest_char": "weakest_char",
    "weakest_position": "weakest_position",
    "weakest_confidence": "weakest_confidence",
    "decision": "decision",
    "reason": "reason",
    "note": "note",
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
        inputs: readings.csv, then the truth table if there was one.
        total: all images.
        batches: each batch, in the order of its first image.
        findings: most serious first.
        errors: images that are not strictly right, the surest first.
        unmatched: images without truth and truths without image.
        models: ids of the models that read.
        stations: ids of the stations.
        read_at: first and last time of reading, as text.
    """

    inputs: tuple[Input, ...]
    total: BatchScore
    batches: tuple[BatchScore, ...]
    findings: tuple[Finding, ...]
    errors: pd.DataFrame
    unmatched: pd.DataFrame
    models: tuple[str, ...]
    stations: tuple[str, ...]
    read_at: tuple[str, str]

    @property
    def judged(self) -> bool:
        """Whether a truth was given."""
        return len(self.inputs) > 1


def examine(readings: Source, truth: Source | None) -> Audit:
    """Match readings with the truth, judge each and count them per batch."""
    pairing = without_truth(readings.rows) if truth is None else pair(readings.rows, truth.rows)
    judged = judge(pairing.rows)
    total, batches = count(judged)
    sources = [readings] if truth is None else [readings, truth]
    findings = [finding for source in sources for finding in source.findings]
    return Audit(
        inputs=tuple(Input(source.path.name, source.sha256, len(source.rows)) for source in sources),
        total=total,
        batches=batches,
        findings=by_severity([*findings, *pairing.findings, *oddities(judged)]),
        errors=_errors(judged),
        unmatched=pairing.unmatched,
        models=tuple(judged["model_id"].unique()),
        stations=tuple(judged["station_id"].unique()),
        read_at=(judged["read_at"].min(), judged["read_at"].max()),
    )


def _errors(judged: pd.DataFrame) -> pd.DataFrame:
    """Not strictly right, by confidence: a sure error is the one that nobody looks at again."""
    wrong = judged[judged["known"] & ~judged["strict_right"]]
    wrong = wrong.sort_values("sure", ascending=False, kind="stable", na_position="last")
    table = pd.DataFrame({name: wrong[origin] for name, origin in _ERROR_COLUMNS.items()})
    return table.assign(mpsc_right=np.where(table["mpsc_right"], "yes", "no")).reset_index(drop=True)
