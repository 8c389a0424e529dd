"""Every section of the audit report, in one list: its table, text and chart, and the formats it appears in.

To add a section, add a ``ReportSection`` to ``SECTIONS``. The page, Markdown, the workbook, JSON and the CSV
files follow from it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from serialread.auditing.batch_scores import ConfidenceQuality, score_table
from serialread.auditing.characters import CharacterTables
from serialread.auditing.charts import (
    confusion_chart,
    coverage_chart,
    positions_chart,
    reliability_chart,
    trend_chart,
)
from serialread.auditing.field_scores import FIGURES, field_table
from serialread.auditing.html_page import (
    Cell,
    PageSection,
    PageTable,
    any_cell,
    differing_chunks,
    page_table,
    rate_cell,
)
from serialread.auditing.input_tables import POINTS
from serialread.auditing.sampling import images_to_label
from serialread.auditing.trends import Trend
from serialread.metrics import strict

if TYPE_CHECKING:
    from serialread.auditing.assessment import Audit

MAX_ERRORS = 500
"""Errors on the page; errors.csv holds all."""

MAX_BATCHES = 1000
"""Batches on the page; batches.csv holds all."""

DOUBT = 0.05
"""A runner-up with a higher confidence is highlighted."""


@dataclass(frozen=True, slots=True, eq=False)
class Assessment:
    """What the tables of an audit are built from.

    Attributes:
        judged: one line per reading, judged by its truth.
        about: columns of the batch table for each reading.
        unmatched: images without a truth and truths without an image.
        trends: measures over the batches.
        sample: number of images to draw for labelling.
    """

    judged: pd.DataFrame
    about: pd.DataFrame
    unmatched: pd.DataFrame
    characters: CharacterTables
    confidence: ConfidenceQuality
    trends: tuple[Trend, ...]
    sample: int


def json_lines(table: pd.DataFrame) -> list[dict[Any, Any]]:
    """Every line of a table as a dict."""
    return table.to_dict("records")


@dataclass(frozen=True, slots=True)
class ReportSection:
    """A section of the report, in every format.

    Attributes:
        name: of its table: the CSV file, the sheet, the key in audit.json and the attribute of ``Audit``.
        table: builds the table; None for a section of the page alone.
        chart: draws the table; the page then collapses the table below its chart.
        page: builds the sections of the page; None shows the whole table, or nothing if it is empty.
        markdown: gives the columns of the table in Markdown; None leaves it out there.
        total_line: whether the last line is a total, which Markdown always shows.
        json: what audit.json says about the table.
    """

    name: str
    title: str
    explanation: str
    table: Callable[[Assessment], pd.DataFrame] | None
    chart: Callable[[pd.DataFrame], str] | None = None
    page: "Callable[[Audit], Iterable[PageSection]] | None" = None
    markdown: "Callable[[Audit], Sequence[str]] | None" = None
    total_line: bool = False
    json: Callable[[pd.DataFrame], Any] = json_lines

    def on_page(self, audit: "Audit") -> Iterable[PageSection]:
        """The sections of the page."""
        if self.page is not None:
            return self.page(audit)
        table = audit.tables[self.name]
        if table.empty:
            return ()
        charts = [self.chart(table)] if self.chart else []
        shown = page_table(table, self.name)
        return [PageSection(self.title, self.explanation, shown, charts, collapsed=bool(charts))]


def build_tables(found: Assessment) -> dict[str, pd.DataFrame]:
    """The table of every section by its name."""
    return {section.name: section.table(found) for section in SECTIONS if section.table}


# --- batches and groups ---------------------------------------------------------------------------

_COUNTS = ("images", "read", "accepted", "review", "rejected", "no_truth", "right", "wrong")
_RATES = {
    "no-read %": "no_read_rate",
    "accuracy %": "accuracy",
    "MPSC %": "mpsc_accuracy",
    "misread %": "misread_rate",
    "CER %": "cer",
}
_FIGURES = {
    "1-NED": "one_minus_ned",
    "median confidence": "confidence_p50",
    "mark grade": "mark_grade_mean",
}
_MARKDOWN = ("batch", "images", "no_read", "rejected", "right", "wrong", "accuracy", "misread")


def _batches(found: Assessment) -> pd.DataFrame:
    judged = found.judged
    total = pd.Series("total", index=judged.index)
    return pd.concat([score_table(judged, judged["batch"]), score_table(judged, total)], ignore_index=True)


def _groups(found: Assessment) -> pd.DataFrame:
    """One line per column of the batch table and value; the other columns are those of batches.csv."""
    parts = [
        score_table(found.judged, about, "value").assign(column=str(name))
        for name, about in found.about.items()
    ]
    if not parts:
        none = found.judged.head(0)
        parts = [score_table(none, none["batch"], "value").assign(column="")]
    joined = pd.concat(parts, ignore_index=True)
    return joined[["column", *joined.columns.drop("column")]]


def _batches_page(audit: "Audit") -> Iterable[PageSection]:
    more = len(audit.batches) - 1 - MAX_BATCHES
    shown = (
        f"The first {MAX_BATCHES} of {len(audit.batches) - 1} batches; batches.csv holds all. "
        if more > 0
        else ""
    )
    truth = _ACCURACY if audit.judged else "No truth table: accuracy not computed."
    table = _score_rows(audit.batches.iloc[:-1], "batch", "batches")
    (total,) = _score_rows(audit.batches.tail(1), "batch", "batches").rows
    table = PageTable("batches", table.columns, table.rows, table.left_out, total)
    yield PageSection("Batches", shown + truth, table)


_ACCURACY = (
    "Accuracy is the share of right images among all images with a truth; a rejected image counts "
    "as incorrect. Small print: 95 % Wilson interval."
)


def _groups_page(audit: "Audit") -> Iterable[PageSection]:
    for name, lines in audit.groups.groupby("column", sort=False):
        table = _score_rows(lines, "value", "groups")
        yield PageSection(f"By {name}", "The same figures by a column of the batch table.", table)


def _score_rows(table: pd.DataFrame, key: str, name: str) -> PageTable:
    columns = [(key, False), *((head.replace("_", " "), True) for head in (*_COUNTS, *_RATES, *_FIGURES))]
    rows = [
        [
            any_cell(line[key] or "(no batch)"),
            *(any_cell(line[column]) for column in _COUNTS),
            *(rate_cell(line, column) for column in _RATES.values()),
            *(any_cell(line[column]) for column in _FIGURES.values()),
        ]
        for line in table.head(MAX_BATCHES).to_dict("records")
    ]
    return PageTable(name, columns, rows, max(0, len(table) - MAX_BATCHES))


# --- trends ---------------------------------------------------------------------------------------


def _trends(found: Assessment) -> pd.DataFrame:
    columns = ["measure", "batch", "order", "count", "images", "value", "charted"]
    columns += ["centre", "low", "high", "sigma", "signal"]
    tables = [trend.table() for trend in found.trends]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def _trends_page(audit: "Audit") -> Iterable[PageSection]:
    for trend in audit.control_charts:
        limits = "frozen limits" if trend.frozen else "limits computed from these batches"
        kind = (
            f"Laney p' chart, sigma_z {trend.chart.limits.sigma:.3g}"
            if trend.measure.kind == "share"
            else "dots show the batches, the line their exponentially weighted moving average"
        )
        yield PageSection(
            f"Trend: {trend.measure.noun}",
            f"{len(trend.batches)} batches, oldest first; {kind}; {limits}.",
            page_table(trend.table().drop(columns=["measure", "order"]), "trends", most=MAX_BATCHES),
            [trend_chart(trend)],
            collapsed=True,
        )


# --- errors ---------------------------------------------------------------------------------------

_ERROR_COLUMNS = (
    *("image", "batch", "truth", "text", "edits", "difference", "mpsc_right", "confidence"),
    *("weakest_char", "weakest_position", "weakest_confidence", "decision", "reason", "mark_grade"),
    *("note", "sha256"),
)


def _errors(found: Assessment) -> pd.DataFrame:
    """Images that are not strictly right, by falling confidence: confident errors pass without review."""
    wrong = found.judged[found.judged["known"] & ~found.judged["right"]]
    letters = {points: grade for grade, points in POINTS.items()}
    wrong = wrong.assign(
        difference=found.characters.edits.reindex(wrong.index).fillna(""),
        mpsc_right=np.where(wrong["mpsc_right"], "yes", "no"),
        mark_grade=wrong["mark_grade"].map(letters).fillna("").astype(object),
    )
    wrong = wrong.sort_values("confidence_value", ascending=False, kind="stable", na_position="last")
    return wrong[list(_ERROR_COLUMNS)].reset_index(drop=True)


def _errors_page(audit: "Audit") -> Iterable[PageSection]:
    errors = audit.errors
    if not audit.judged:
        return
    if errors.empty:
        yield PageSection("Errors", "None.")
        return
    more = (
        f"; the first {MAX_ERRORS} of {len(errors):,}, errors.csv holds all"
        if len(errors) > MAX_ERRORS
        else ""
    )
    names = ("image", "truth", "text", "difference", "edits", "confidence", "weakest character", "decision")
    columns = [(name, name in ("edits", "confidence")) for name in names]
    rows = [_error_row(line) for line in errors.head(MAX_ERRORS).to_dict("records")]
    explanation = f"Images that are not strictly right, by falling confidence{more}."
    yield PageSection("Errors", explanation, PageTable("errors", columns, rows, len(errors) - len(rows)))


def _error_row(line: dict[Any, Any]) -> list[Cell]:
    truth, text = differing_chunks(strict(line["truth"]), strict(line["text"]))
    weakest = f"{line['weakest_char']} at {line['weakest_position']}: {line['weakest_confidence']}"
    decided = f"{line['decision']}: {line['reason']}" if line["reason"] else line["decision"]
    return [
        any_cell(line["image"]),
        Cell(truth),
        Cell(text),
        any_cell(line["difference"]),
        any_cell(line["edits"]),
        any_cell(line["confidence"]),
        any_cell(weakest if line["weakest_char"] else ""),
        Cell([(decided, False)], small=line["note"]),
    ]


def _failures_page(audit: "Audit") -> Iterable[PageSection]:
    failures = audit.failures
    if not (failures.shown or failures.incomplete):
        return
    explanation = (
        "Read again for this report: the crop, and below it the crop with the pixels of each character in a "
        "colour. Each character has its confidence and its runner-up. Accepted images come first, then by "
        "falling confidence. "
        if failures.shown
        else "The pictures could not be read again for this report. "
    )
    cases = []
    for case in failures.shown:
        truth, text = differing_chunks(strict(case.truth), strict(case.text))
        chars = [
            {
                "char": char,
                "confidence": f"{confidence:.2f}",
                "runner_up": runner_up or "none",
                "second": f"{second:.2f}",
                "doubtful": second > DOUBT,
            }
            for char, confidence, runner_up, second in case.chars
        ]
        cases.append({"case": case, "truth": truth, "text": text, "chars": chars})
    yield PageSection("Pictures of failures", explanation + failures.incomplete, cases=cases)


def _unmatched_counts(unmatched: pd.DataFrame) -> dict[str, int]:
    sides = unmatched["side"]
    return {"images": int((sides == "image").sum()), "truths": int((sides == "truth").sum())}


_READ = "Over the images with a truth and a text"

SECTIONS = (
    ReportSection(
        "batches",
        "Batches",
        "",
        _batches,
        page=_batches_page,
        markdown=lambda audit: _MARKDOWN if audit.judged else _MARKDOWN[:4],
        total_line=True,
        json=lambda table: json_lines(table)[:-1],
    ),
    ReportSection(
        "fields",
        "Fields",
        "Values of the fields that the truth table has as columns; missing: not found.",
        lambda found: field_table(found.judged),
        markdown=lambda _: (*FIGURES, "accuracy"),
    ),
    ReportSection("groups", "Groups", "", _groups, page=_groups_page),
    ReportSection("trends", "Trends", "", _trends, page=_trends_page),
    ReportSection(
        "errors",
        "Errors, by falling confidence",
        "",
        _errors,
        page=_errors_page,
        markdown=lambda _: ("image", "truth", "text", "confidence", "difference"),
        json=len,
    ),
    ReportSection("failures", "Pictures of failures", "", None, page=_failures_page),
    ReportSection(
        "confusions",
        "Confused characters",
        f"{_READ}, aligned with the fewest edits.",
        lambda found: found.characters.confusions,
        chart=confusion_chart,
        markdown=lambda _: ("kind", "truth", "read", "count", "example"),
    ),
    ReportSection("characters", "Characters", f"{_READ}.", lambda found: found.characters.characters),
    ReportSection(
        "positions",
        "Positions",
        f"{_READ}, by position in the truth.",
        lambda found: found.characters.positions,
        chart=positions_chart,
    ),
    ReportSection(
        "lengths",
        "Lengths",
        "Texts longer or shorter than their truth.",
        lambda found: found.characters.lengths,
    ),
    ReportSection(
        "confidence",
        "Calibration of the confidence",
        "On the diagonal the confidence is calibrated; below it the reader is overconfident.",
        lambda found: found.confidence.reliability.table(),
        chart=reliability_chart,
    ),
    ReportSection(
        "coverage",
        "Risk and coverage",
        "The share of wrong images among those above each confidence threshold. Choose the accept threshold "
        "where this risk is low enough.",
        lambda found: found.confidence.curve.table(),
        chart=coverage_chart,
    ),
    ReportSection(
        "sampling",
        "Images to label next",
        "A stratified sample of the images without a truth. Fill in the texts in sampling.csv by eye, "
        "and give it as --truth.",
        lambda found: images_to_label(found.judged, found.sample),
        json=len,
    ),
    ReportSection(
        "unmatched",
        "Images without a truth, truths without an image",
        "These are in no accuracy.",
        lambda found: found.unmatched,
        json=_unmatched_counts,
    ),
)
"""In the order of the page and of the sheets."""
