"""An audit on disk: tables, JSON, Markdown, a page and a workbook. The same inputs give the same bytes."""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from serialread import __version__
from serialread.auditing.examination import Audit
from serialread.auditing.failures import Cases
from serialread.auditing.markdown import markdown
from serialread.auditing.page import page
from serialread.auditing.report_tables import TABLES, tables
from serialread.auditing.workbook import write_workbook
from serialread.errors import RecordsError

FILES = (*(f"{name}.csv" for name in TABLES), "audit.json", "audit.md", "report.html")
"""What an audit always writes."""

WORKBOOK = "audit.xlsx"
"""What it writes when asked."""


def require_free(out: Path, inputs: Iterable[Path]) -> None:
    """Make the output folder; refuse one where writing would replace an input.

    Raises:
        RecordsError: the folder cannot be made, or holds an input under an output's name.
    """
    written = {(out / name).resolve() for name in (*FILES, WORKBOOK)}
    for path in inputs:
        if path.resolve() in written:
            raise RecordsError(f"{path}: the audit would replace it. Give another --out folder.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(out, error) from None


def write_audit(audit: Audit, out: Path, cases: Cases, *, excel: bool = False) -> None:
    """Write ``FILES`` into the folder, and with ``excel`` the workbook.

    Raises:
        RecordsError: the folder cannot be written, or the workbook's library is not installed.
    """
    laid_out = tables(audit)
    try:
        for name, table in laid_out.items():
            table.to_csv(out / f"{name}.csv", index=False, lineterminator="\n", encoding="utf-8")
        text = json.dumps(_json(audit, laid_out), indent=1, ensure_ascii=False, allow_nan=False)
        _write_text(text + "\n", out / "audit.json")
        _write_text(markdown(audit, laid_out), out / "audit.md")
        _write_text(page(audit, laid_out, cases), out / "report.html")
        if excel:
            write_workbook(laid_out, out / WORKBOOK)
    except OSError as error:
        raise _unwritable(out, error) from None


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _json(audit: Audit, laid_out: dict[str, pd.DataFrame]) -> dict[str, Any]:
    sides, certainty = audit.unmatched["side"], audit.certainty
    *batches, total = _lines(laid_out["batches"])
    listed = ("characters", "confusions", "positions", "lengths", "confidence", "coverage", "trends")
    return {
        "serialread": __version__,
        "inputs": [asdict(source) for source in audit.inputs],
        "models": audit.models,
        "stations": audit.stations,
        "read_at": audit.read_at,
        "findings": [asdict(finding) for finding in audit.findings],
        "errors": len(audit.errors),
        "unmatched": {"images": int((sides == "image").sum()), "truths": int((sides == "truth").sum())},
        "sampling": len(audit.sampling),
        "calibration": {
            "images": certainty.images,
            **{name: _nulled(round(getattr(certainty, name), 6)) for name in ("brier", "ece", "aurc")},
        },
        "total": total,
        "batches": batches,
        "groups": _lines(laid_out["groups"]),
        **{name: _lines(laid_out[name]) for name in listed},
    }


def _lines(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): _nulled(cell) for name, cell in line.items()} for line in table.to_dict("records")]


def _nulled(cell: Any) -> Any:
    return None if isinstance(cell, float) and math.isnan(cell) else cell


def _unwritable(out: Path, error: OSError) -> RecordsError:
    return RecordsError(f"{out}: cannot be written: {error.strerror}. Give another --out folder.")
