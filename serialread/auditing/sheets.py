"""Sections of words, charts and tables as one HTML page that fetches nothing."""

import base64
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import jinja2
import pandas as pd
from rapidfuzz.distance import Levenshtein

from serialread import __version__
from serialread.auditing.findings import Finding
from serialread.auditing.wording import percent

MOST_LINES = 200
"""Lines of a table on the page unless said otherwise; its file holds all."""

Chunk = tuple[str, bool]
"""A piece of text, and whether it differs from the other side."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell as it is shown and as it is sorted.

    Attributes:
        chunks: the text in pieces.
        value: what the column is sorted by; "" sorts by the text.
        small: a second, small line.
    """

    chunks: Sequence[Chunk]
    value: float | str = ""
    small: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table on the page.

    Attributes:
        name: of the file that holds all of it, without its suffix.
        columns: names, and whether each holds numbers.
        rows: its cells.
        left_out: lines that are not shown.
        total: cells of a last line that stays last.
    """

    name: str
    columns: Sequence[tuple[str, bool]]
    rows: Sequence[Sequence[Cell]]
    left_out: int = 0
    total: Sequence[Cell] = ()


@dataclass(frozen=True, slots=True)
class ReportSection:
    """A heading with words, charts and their table.

    Attributes:
        title: the heading.
        words: one paragraph.
        sheet: the figures; None where there are none.
        charts: SVG drawings.
        folded: whether the table is folded away under its charts.
        cases: failures with their pictures, a few at a time.
    """

    title: str
    words: str
    sheet: Sheet | None = None
    charts: Sequence[str] = field(default=())
    folded: bool = False
    cases: Sequence[dict[str, Any]] = field(default=())


def rendered(template: str, **context: Any) -> str:
    """A page; every value is escaped, and only the page's own script may run."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_resource),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    script = _resource("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    known = {"version": __version__, "script": script, "style": _resource("report.css")}
    return environment.get_template(template).render(**known, script_hash=digest, **context)


def study_page(
    title: str, said: Sequence[str], findings: Sequence[Finding], sections: Sequence[ReportSection]
) -> str:
    """A page of what was said, what was odd, and its tables."""
    return rendered("study.html.j2", title=title, said=said, findings=findings, sections=sections)


def _resource(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def table_sheet(table: pd.DataFrame, name: str, most: int = MOST_LINES) -> Sheet:
    """A table as it is; rates stand in one cell with their Wilson interval."""
    bounds = {c for c in table.columns if c.endswith(("_low", "_high")) and c not in ("low", "high")}
    columns = [str(c) for c in table.columns if c not in bounds]
    numbers = [(c.replace("_", " "), pd.api.types.is_numeric_dtype(table[c])) for c in columns]
    rows = [
        [rate_cell(line, c) if f"{c}_low" in bounds else any_cell(line[c]) for c in columns]
        for line in table.head(most).to_dict("records")
    ]
    return Sheet(name, numbers, rows, max(0, len(table) - most))


def any_cell(cell: Any) -> Cell:
    """A cell of whatever a table holds."""
    if isinstance(cell, str):
        return plain(cell)
    return number(cell) if isinstance(cell, int) else ratio_cell(cell)


def plain(text: str) -> Cell:
    """A text as it is."""
    return Cell([(text, False)])


def number(value: int) -> Cell:
    """A count."""
    return Cell([(f"{value:,}", False)], value)


def ratio_cell(value: float) -> Cell:
    """A figure in six digits."""
    return Cell([("–" if math.isnan(value) else f"{value:.6g}", False)], sortable(value))


def rate_cell(line: dict[Any, Any], name: str) -> Cell:
    """A rate of a line in per cent, its Wilson interval below."""
    value = line[name]
    if math.isnan(value):
        return Cell([("–", False)], -1)
    reach = f"{percent(line[f'{name}_low'])}–{percent(line[f'{name}_high'])}"
    return Cell([(percent(value), False)], value, reach)


def sortable(value: float) -> float:
    """What a figure is sorted by: nothing comes first."""
    return -1 if math.isnan(value) else value


def marked(truth: str, text: str) -> tuple[list[Chunk], list[Chunk]]:
    """Cut both sides where they differ; joined again they are what they were."""
    steps = Levenshtein.opcodes(truth, text)
    truth_chunks = [
        (truth[s.src_start : s.src_end], s.tag != "equal") for s in steps if s.src_end > s.src_start
    ]
    text_chunks = [
        (text[s.dest_start : s.dest_end], s.tag != "equal") for s in steps if s.dest_end > s.dest_start
    ]
    return truth_chunks, text_chunks
