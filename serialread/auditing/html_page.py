"""HTML pages of text, charts and tables that load nothing from the network."""

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
from serialread.auditing.wording import Finding, percent, plain

MAX_LINES = 200
"""Lines of a table on the page unless stated otherwise; its CSV file holds all."""

Chunk = tuple[str, bool]
"""A piece of text, and whether it differs from the other side."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A table cell.

    Attributes:
        chunks: the text in pieces.
        value: what the column is sorted by; "" sorts by the text.
        small: a second line in small print.
        badge: the text is a state with this name, shown by shape and colour.
        code: the text is one of a mark.
    """

    chunks: Sequence[Chunk]
    value: float | str = ""
    small: str = ""
    badge: str = ""
    code: bool = False


@dataclass(frozen=True, slots=True)
class PageTable:
    """A table on the page.

    Attributes:
        name: of the CSV file that holds all of it, without its suffix.
        left_out: lines that are not shown.
        total: cells of a last line that sorting does not move.
    """

    name: str
    columns: Sequence[tuple[str, bool]]
    rows: Sequence[Sequence[Cell]]
    left_out: int = 0
    total: Sequence[Cell] = ()


@dataclass(frozen=True, slots=True)
class PageChart:
    """A drawing with its caption.

    Attributes:
        svg: the drawing.
        title: what it shows.
        words: what is to be seen in it.
        alarm: whether this needs attention.
    """

    svg: str
    title: str = ""
    words: str = ""
    alarm: bool = False


@dataclass(frozen=True, slots=True)
class PageSection:
    """A heading with an explanation, charts and a table.

    Attributes:
        collapsed: the table is behind a click, below the charts.
        folded: the whole section is behind a click, among the details.
        summary: what a folded section says in a few words.
    """

    title: str
    explanation: str
    table: PageTable | None = None
    charts: Sequence[PageChart] = field(default=())
    collapsed: bool = False
    cases: Sequence[dict[str, Any]] = field(default=())
    folded: bool = False
    summary: str = ""


def render(template: str, **context: Any) -> str:
    """Fill a template; every value is escaped, and only the page's own script may run."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_resource),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    script = _resource("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    style = _resource("tokens.css") + _resource("report.css")
    known = {"version": __version__, "script": script, "style": style}
    return environment.get_template(template).render(**known, script_hash=digest, **context)


def study_page(
    title: str,
    about: str,
    question: str,
    answer: str,
    figures: Sequence[tuple[str, str, str]],
    findings: Sequence[Finding],
    sections: Sequence[PageSection],
) -> str:
    """The page of a study: its question with the answer, the figures behind it, findings and tables.

    Args:
        title: of the page.
        about: what was studied, in a line.
        question: that the study answers.
        answer: to it, in a sentence.
        figures: plain name, figure, and what it counts.
        findings: what was left out.
        sections: charts and tables.
    """
    return render(
        "study.html.j2",
        title=title,
        about=about,
        question=question,
        answer=answer,
        figures=figures,
        findings=findings,
        sections=sections,
    )


def _resource(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def page_table(table: pd.DataFrame, name: str, most: int = MAX_LINES) -> PageTable:
    """Show a table in plain words; a rate and its Wilson interval share one cell."""
    bounds = {c for c in table.columns if c.endswith(("_low", "_high")) and c not in ("low", "high")}
    columns = [str(c) for c in table.columns if c not in bounds]
    heads = [(plain(c), pd.api.types.is_numeric_dtype(table[c])) for c in columns]
    rows = [
        [rate_cell(line, c) if f"{c}_low" in bounds else any_cell(line[c]) for c in columns]
        for line in table.head(most).to_dict("records")
    ]
    return PageTable(name, heads, rows, max(0, len(table) - most))


def any_cell(value: Any) -> Cell:
    """A text, a count, or a figure with six digits."""
    if isinstance(value, str):
        return Cell([(value, False)])
    if isinstance(value, int):
        return Cell([(f"{value:,}", False)], value)
    return Cell([("–", False)], -1) if math.isnan(value) else Cell([(f"{value:.6g}", False)], value)


def rate_cell(line: dict[Any, Any], name: str) -> Cell:
    """A rate of a line in per cent, with its Wilson interval in small print if the line has one."""
    value = line[name]
    if math.isnan(value):
        return Cell([("–", False)], -1)
    bounds = [percent(line[f"{name}_{side}"]) for side in ("low", "high") if f"{name}_{side}" in line]
    return Cell([(percent(value), False)], value, "–".join(bounds))


def differing_chunks(truth: str, text: str) -> tuple[list[Chunk], list[Chunk]]:
    """Cut both texts where they differ; joined again they are unchanged."""
    steps = Levenshtein.opcodes(truth, text)
    truth_chunks = [
        (truth[s.src_start : s.src_end], s.tag != "equal") for s in steps if s.src_end > s.src_start
    ]
    text_chunks = [
        (text[s.dest_start : s.dest_end], s.tag != "equal") for s in steps if s.dest_end > s.dest_start
    ]
    return truth_chunks, text_chunks
