"""Write reports: CSV tables, JSON, Markdown, an HTML page and a workbook. Equal inputs give equal bytes."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from serialread import __version__
from serialread.auditing.html_page import render
from serialread.auditing.releases import FATES, Release, releases_in_words
from serialread.auditing.sections import LOOK_FIRST, SECTIONS, failure_cards
from serialread.auditing.wording import Finding
from serialread.errors import RecordsError, writing_errors
from serialread.reader.workbooks import require_excel, write_workbook

if TYPE_CHECKING:
    from serialread.auditing.assessment import Audit

FILES = (
    *(f"{section.name}.csv" for section in SECTIONS if section.table),
    *("audit.json", "audit.md", "report.html"),
)
"""What ``Audit.write`` always writes."""

REVIEW_PAGE = "http://127.0.0.1:8400/"
"""Where ``serialread review`` serves its page unless told otherwise; failures link to it."""

WORKBOOK = "audit.xlsx"
"""What it writes on request."""

MAX_MARKDOWN_LINES = 30
"""Lines of each table in Markdown; the CSV files hold all."""


def write_audit(audit: "Audit", out: Path, *, excel: bool = False) -> tuple[Path, ...]:
    """Write ``FILES`` into a folder, and with ``excel`` the workbook; returns what was written.

    Raises:
        RecordsError: the folder cannot be written, an input would be replaced, or XlsxWriter is missing.
    """
    if excel:
        require_excel(WORKBOOK)
    require_free(out, [source.path for source in audit.inputs])
    files: dict[str, str | pd.DataFrame] = {f"{name}.csv": table for name, table in audit.tables.items()}
    files["audit.json"] = json_text(_document(audit))
    files["audit.md"] = "\n".join(_markdown(audit)) + "\n"
    files["report.html"] = _page(audit)
    written = write_files(out, files)
    if not excel:
        return written
    with writing_errors(out, RecordsError, "Give another --out folder."):
        write_workbook(audit.tables, out / WORKBOOK, title="serialread audit")
    return (*written, out / WORKBOOK)


def _page(audit: "Audit") -> str:
    sections = [shown for section in SECTIONS for shown in section.on_page(audit)]
    releases = audit.releases
    count = releases["release"].value_counts()
    return render(
        "report.html.j2",
        audit=audit,
        answer=releases_in_words(releases),
        releases=releases[releases["release"] != Release.SHIP].to_dict("records"),
        tally=[(each, int(count.get(each, 0)), _RULES[each]) for each in Release],
        fates=FATES,
        look_first=failure_cards(audit)[:LOOK_FIRST],
        review_page=REVIEW_PAGE,
        sections=[section for section in sections if not section.folded],
        details=[section for section in sections if section.folded],
    )


_RULES = {
    Release.HOLD: "An accepted reading is wrong.",
    Release.CHECK: "Readings wait for a person, lack a proof, or a check speaks against some.",
    Release.SHIP: "Every code is known, by the truth, an audited sample or the calibration.",
}


def require_free(out: Path, inputs: Iterable[Path]) -> None:
    """Refuse a folder where the report would replace one of its inputs.

    Raises:
        RecordsError: the folder holds an input under the name of an output.
    """
    outputs = {(out / name).resolve() for name in (*FILES, WORKBOOK)}
    for path in inputs:
        if path.resolve() in outputs:
            raise RecordsError(f"{path}: the audit would replace it. Give another --out folder.")


def write_files(out: Path, files: dict[str, str | pd.DataFrame]) -> tuple[Path, ...]:
    """Write texts and tables (as CSV) into a folder, which is created; returns their paths.

    Raises:
        RecordsError: the folder or a file cannot be written.
    """
    with writing_errors(out, RecordsError, "Give another --out folder."):
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            if isinstance(content, str):
                (out / name).write_text(content, encoding="utf-8", newline="\n")
            else:
                content.to_csv(out / name, index=False, lineterminator="\n", encoding="utf-8")
    return tuple(out / name for name in files)


def write_study(
    out: Path, name: str, table: pd.DataFrame, figures: dict[str, Any], markdown: Iterable[str], page: str
) -> tuple[Path, ...]:
    """Write a study's files, ``name`` with the suffixes .csv, .json, .md and .html; returns their paths."""
    text = "\n".join(markdown) + "\n"
    contents: dict[str, str | pd.DataFrame] = {
        "csv": table,
        "json": json_text(figures),
        "md": text,
        "html": page,
    }
    return write_files(out, {f"{name}.{suffix}": content for suffix, content in contents.items()})


# --- JSON -----------------------------------------------------------------------------------------


def json_text(document: dict[str, Any]) -> str:
    """A JSON document; nan becomes null."""
    return json.dumps(_nulled(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _nulled(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _nulled(cell) for name, cell in value.items()}
    if isinstance(value, list | tuple):
        return [_nulled(cell) for cell in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _document(audit: "Audit") -> dict[str, Any]:
    quality = audit.confidence_quality
    return {
        "serialread": __version__,
        "inputs": [{"name": s.path.name, "sha256": s.sha256, "lines": s.lines} for s in audit.inputs],
        "models": audit.models,
        "stations": audit.stations,
        "read_at": audit.read_at,
        "findings": [asdict(finding) for finding in audit.findings],
        "calibration": {
            "images": quality.images,
            **{name: round(figure, 6) for name, figure in quality.summary().items()},
        },
        "total": audit.total,
        **{s.name: s.json(audit.tables[s.name]) for s in SECTIONS if s.table},
    }


# --- Markdown -------------------------------------------------------------------------------------


def _markdown(audit: "Audit") -> Iterator[str]:
    yield "# Audit of serial number readings\n"
    yield f"- images: {audit.total['images']:,}"
    yield from (f"- {name}: {figure}, {details}" for name, figure, details in audit.headline())
    if not audit.judged:
        yield f"- no truth given; label the {len(audit.sampling):,} images of sampling.csv to judge them"
    yield f"- can these batches ship? {releases_in_words(audit.releases)}"
    yield "\n## Findings\n"
    yield from findings_lines(audit.findings)
    for section in SECTIONS:
        if section.markdown is not None and len(audit.tables[section.name]):
            yield f"\n## {section.title}\n"
            columns, table = section.markdown(audit), audit.tables[section.name]
            yield from table_lines(table, columns, total_line=section.total_line)
    yield "\n## Inputs\n"
    yield from (f"- {s.path.name}: {s.lines:,} lines, SHA-256 {s.sha256}" for s in audit.inputs)
    yield f"- model {', '.join(audit.models) or 'not named'}; serialread {__version__}"


def findings_lines(findings: Sequence[Finding]) -> list[str]:
    """One list item per finding."""
    return [f"- **{finding.severity}**: {_escaped(finding.text)}" for finding in findings] or ["None."]


def table_lines(table: pd.DataFrame, columns: Sequence[str], *, total_line: bool = False) -> Iterator[str]:
    """The named columns of the first ``MAX_MARKDOWN_LINES`` lines, and of the last if it is a total."""
    yield "| " + " | ".join(columns) + " |"
    yield "|" + " --- |" * len(columns)
    left_out = len(table) - MAX_MARKDOWN_LINES - total_line
    shown = table
    if left_out > 0:
        shown = pd.concat([table.head(MAX_MARKDOWN_LINES), table.tail(int(total_line))])
    for line in shown[list(columns)].itertuples(index=False):
        yield "| " + " | ".join(_escaped(cell) for cell in line) + " |"
    if left_out > 0:
        yield f"\n{left_out:,} more lines in the CSV file."


def _escaped(cell: object) -> str:
    """A cell as plain text: nothing in it can end the cell or become markup."""
    if isinstance(cell, float):
        return "–" if pd.isna(cell) else f"{cell:.4f}"
    text = str(cell).replace("\n", " ").replace("\r", " ")
    return "".join(f"&#{ord(char)};" if char in "|<>&*_`[]\\" else char for char in text)
