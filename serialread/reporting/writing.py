"""An audit on disk: tables, JSON and a page. The same inputs give the same bytes."""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from serialread import __version__
from serialread.errors import RecordsError
from serialread.reporting.auditing import Audit
from serialread.reporting.counting import BatchScore
from serialread.reporting.page import page
from serialread.scoring import Interval, Tally

FILES = ("batches.csv", "errors.csv", "unmatched.csv", "audit.json", "report.html")
"""What an audit writes."""

_NOTHING: Interval = (math.nan, math.nan)


def require_free(out: Path, inputs: Iterable[Path]) -> None:
    """Make the output folder; refuse one where writing would replace an input.

    Raises:
        RecordsError: the folder cannot be made, or holds an input under an output's name.
    """
    written = {(out / name).resolve() for name in FILES}
    for path in inputs:
        if path.resolve() in written:
            raise RecordsError(f"{path}: the audit would replace it. Give another --out folder.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(out, error) from None


def write_audit(audit: Audit, out: Path) -> None:
    """Write ``FILES`` into the folder.

    Raises:
        RecordsError: the folder cannot be written.
    """
    scores = pd.DataFrame([score_row(score) for score in (*audit.batches, audit.total)])
    try:
        _write_csv(scores, out / "batches.csv")
        _write_csv(audit.errors, out / "errors.csv")
        _write_csv(audit.unmatched, out / "unmatched.csv")
        text = json.dumps(_json(audit), indent=1, ensure_ascii=False, allow_nan=False)
        (out / "audit.json").write_text(text + "\n", encoding="utf-8", newline="\n")
        (out / "report.html").write_text(page(audit), encoding="utf-8", newline="\n")
    except OSError as error:
        raise _unwritable(out, error) from None


def score_row(score: BatchScore) -> dict[str, Any]:
    """One line of batches.csv; rates have six decimals, what is undefined is nan."""
    low, high = score.misread_interval if score.accepted_known else _NOTHING
    row = {
        "batch": score.batch,
        "images": score.images,
        "read": score.read,
        "accepted": score.accepted,
        "review": score.review,
        "rejected": score.rejected,
        "no_truth": score.no_truth,
        **_tally_row(score.strict, ""),
        **_tally_row(score.mpsc, "mpsc_"),
        "accepted_known": score.accepted_known,
        "misread": score.misread,
        "misread_rate": score.misread_rate,
        "misread_rate_low": low,
        "misread_rate_high": high,
        **dict(zip(("confidence_p05", "confidence_p50", "confidence_p95"), score.confidence, strict=True)),
    }
    return {name: round(cell, 6) if isinstance(cell, float) else cell for name, cell in row.items()}


def _tally_row(tally: Tally, prefix: str) -> dict[str, float]:
    low, high = tally.interval if tally.total else _NOTHING
    cells = {
        "right": tally.right,
        "wrong": tally.wrong,
        "accuracy": tally.accuracy,
        "accuracy_low": low,
        "accuracy_high": high,
        "edits": tally.edits,
        "truth_chars": tally.truth_chars,
        "cer": tally.cer,
        "one_minus_ned": tally.one_minus_ned,
    }
    return {prefix + name: cell for name, cell in cells.items()}


def _json(audit: Audit) -> dict[str, Any]:
    sides = audit.unmatched["side"]
    return {
        "serialread": __version__,
        "inputs": [asdict(source) for source in audit.inputs],
        "models": audit.models,
        "stations": audit.stations,
        "read_at": audit.read_at,
        "findings": [asdict(finding) for finding in audit.findings],
        "errors": len(audit.errors),
        "unmatched": {"images": int((sides == "image").sum()), "truths": int((sides == "truth").sum())},
        "total": _nulled(score_row(audit.total)),
        "batches": [_nulled(score_row(score)) for score in audit.batches],
    }


def _nulled(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(cell, float) and math.isnan(cell) else cell for name, cell in row.items()
    }


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")


def _unwritable(out: Path, error: OSError) -> RecordsError:
    return RecordsError(f"{out}: cannot be written: {error.strerror}. Give another --out folder.")
