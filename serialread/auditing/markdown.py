"""An audit in a page of Markdown, for a ticket."""

from collections.abc import Iterable, Sequence

import pandas as pd

from serialread import __version__
from serialread.auditing.examination import Audit
from serialread.auditing.findings import Finding
from serialread.auditing.wording import percent, rate_words, ratio

MOST_LINES = 30
"""Batches, confusions and errors shown; the tables hold all."""


def markdown(audit: Audit, tables: dict[str, pd.DataFrame]) -> str:
    """Headline, findings, batches, confusions and the surest errors."""
    return "\n".join(_lines(audit, tables)) + "\n"


def _lines(audit: Audit, tables: dict[str, pd.DataFrame]) -> Iterable[str]:
    total = audit.total
    yield "# Audit of serial number readings\n"
    yield f"- images: {total.images:,}"
    yield f"- no-read: {rate_words(total.no_read, total.images)}"
    if audit.judged:
        yield f"- right, strict: {rate_words(total.strict.right, total.strict.total)}"
        yield f"- right, MPSC: {rate_words(total.mpsc.right, total.mpsc.total)}"
        yield f"- misread of accepted: {rate_words(total.misread, total.accepted_known)}"
        yield f"- CER {percent(total.strict.cer)} %, 1-NED {ratio(total.strict.one_minus_ned)}"
        certainty = audit.certainty
        yield f"- confidence: Brier {ratio(certainty.brier)}, ECE {ratio(certainty.ece)}, " + (
            f"AURC {ratio(certainty.aurc)}"
        )
    else:
        yield f"- no truth given; label the {len(audit.sampling):,} images of sampling.csv to judge them"
    yield "\n## Findings\n"
    yield from findings_lines(audit.findings)
    yield "\n## Batches\n"
    shown = ["batch", "images", "no_read", "rejected", "right", "wrong", "accuracy", "misread"]
    yield from table_lines(tables["batches"], shown if audit.judged else shown[:4], keep_last=True)
    if len(audit.characters.confusions):
        yield "\n## Characters taken for others\n"
        yield from table_lines(tables["confusions"], ["kind", "truth", "read", "count", "example"])
    if len(audit.errors):
        yield "\n## Errors, the surest first\n"
        yield from table_lines(tables["errors"], ["image", "truth", "text", "confidence", "what"])
    yield "\n## What was audited\n"
    yield from (
        f"- {source.name}: {source.lines:,} lines, SHA-256 {source.sha256}" for source in audit.inputs
    )
    yield f"- model {', '.join(audit.models) or 'not named'}; serialread {__version__}"


def findings_lines(findings: Sequence[Finding]) -> list[str]:
    """A list item a finding."""
    return [f"- **{finding.severity}**: {_cell(finding.text)}" for finding in findings] or ["None."]


def table_lines(table: pd.DataFrame, columns: Sequence[str], *, keep_last: bool = False) -> Iterable[str]:
    """The named columns of the first ``MOST_LINES`` lines; with ``keep_last`` the last line too."""
    yield "| " + " | ".join(columns) + " |"
    yield "|" + " --- |" * len(columns)
    left_out = len(table) - MOST_LINES - keep_last
    shown = table if left_out <= 0 else pd.concat([table.head(MOST_LINES), table.tail(int(keep_last))])
    for line in shown[list(columns)].itertuples(index=False):
        yield "| " + " | ".join(_cell(cell) for cell in line) + " |"
    if left_out > 0:
        yield f"\n{left_out:,} more in the table of this name."


def _cell(cell: object) -> str:
    """Literally, whatever it holds: nothing in a cell can end it or become markup."""
    if isinstance(cell, float):
        return "–" if pd.isna(cell) else f"{cell:.4f}"
    text = str(cell).replace("\n", " ").replace("\r", " ")
    return "".join(f"&#{ord(char)};" if char in "|<>&*_`[]\\" else char for char in text)
