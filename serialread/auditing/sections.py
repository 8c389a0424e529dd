"""Every section of the audit report, in one list: its table, text and chart, and the formats it appears in.

To add a section, add a ``ReportSection`` to ``SECTIONS``. The page, Markdown, the workbook, JSON and the CSV
files follow from it.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
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
    PageChart,
    PageSection,
    PageTable,
    any_cell,
    differing_chunks,
    page_table,
    rate_cell,
)
from serialread.auditing.input_tables import POINTS
from serialread.auditing.releases import (
    NOT_GUARANTEED,
    MisreadLimit,
    Release,
    fates,
    release_sums,
    release_table,
)
from serialread.auditing.sampling import images_to_label
from serialread.auditing.trends import Trend, worsened
from serialread.auditing.wording import counted, first_names, plain
from serialread.metrics import strict
from serialread.records import Decision

if TYPE_CHECKING:
    from serialread.auditing.assessment import Audit

MAX_ERRORS = 500
"""Errors on the page; errors.csv holds all."""

MAX_BATCHES = 1000
"""Batches on the page; batches.csv holds all."""

DOUBT = 0.05
"""A character whose runner-up has a higher confidence is in doubt."""


@dataclass(frozen=True, slots=True, eq=False)
class Assessment:
    """What the tables of an audit are built from.

    Attributes:
        judged: one line per reading, judged by its truth.
        about: columns of the batch table for each reading.
        unmatched: images without a truth and truths without an image.
        trends: measures over the batches.
        sequences: what the sequence checks found in each batch.
        sample: number of images to draw for labelling.
        allowed: the share of accepted readings that may be wrong.
    """

    judged: pd.DataFrame
    about: pd.DataFrame
    unmatched: pd.DataFrame
    characters: CharacterTables
    confidence: ConfidenceQuality
    trends: tuple[Trend, ...]
    sequences: Mapping[str, Sequence[str]]
    sample: int
    allowed: MisreadLimit = NOT_GUARANTEED


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
        page: builds the sections of the page; None folds the whole table away, or shows nothing if it is
            empty.
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
        charts = [PageChart(self.chart(table))] if self.chart else []
        return [
            PageSection(
                self.title,
                self.explanation,
                page_table(table, self.name),
                charts,
                collapsed=bool(charts),
                folded=True,
                summary=counted(len(table), "line"),
            )
        ]


def build_tables(found: Assessment) -> dict[str, pd.DataFrame]:
    """The table of every section by its name."""
    return {section.name: section.table(found) for section in SECTIONS if section.table}


# --- batches and groups ---------------------------------------------------------------------------

_COLUMNS = (
    *("images", "accepted", "review", "rejected", "no_read_rate", "accuracy", "misread_rate", "cer"),
    *("mark_grade_mean", "confidence_p50"),
)
"""Columns of batches on the page; batches.csv holds all."""
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
    shown = f"The first {MAX_BATCHES} of {len(audit.batches) - 1} batches. " if more > 0 else ""
    truth = _ACCURACY if audit.judged else "No truth table: accuracy not computed. "
    table = _score_rows(audit.batches.iloc[:-1], "batch", "batches", audit.releases)
    (total,) = _score_rows(audit.batches, "batch", "batches", audit.releases, only_last=True).rows
    table = PageTable("batches", table.columns, table.rows, table.left_out, total)
    yield PageSection("Batches", f"{shown}{truth}batches.csv has all figures.", table)


_ACCURACY = (
    "Correct: of all pictures with a truth; a rejected one counts as incorrect. Small print: 95 % interval. "
)


def _groups_page(audit: "Audit") -> Iterable[PageSection]:
    for name, lines in audit.groups.groupby("column", sort=False):
        table = _score_rows(lines, "value", "groups")
        about = "The same figures by a column of the batch table."
        summary = counted(len(lines), "value")
        yield PageSection(f"By {name}", about, table, folded=True, summary=summary)


def _score_rows(
    table: pd.DataFrame, key: str, name: str, releases: pd.DataFrame | None = None, *, only_last: bool = False
) -> PageTable:
    """Scores on the page, without columns that are empty; with release and basis of each batch if given."""
    shown = [c for c in _COLUMNS if not table[c].isna().all()]
    columns = [("batch" if key == "batch" else "", False), *((plain(column), True) for column in shown)]
    released = {} if releases is None else releases.set_index("batch")[["release", "basis"]].T.to_dict("list")
    if releases is not None:
        columns[1:1] = [("release", False), ("basis", False)]
    lines = table.tail(1) if only_last else table.head(MAX_BATCHES)
    rows = []
    for line in lines.to_dict("records"):
        row = [any_cell(line[key] or "(no batch)")]
        if releases is not None:
            row += [Cell([])] * 2 if only_last else _release_cells(*released[line[key]])
        row += [rate_cell(line, c) if c in _RATES else _figure_cell(line[c]) for c in shown]
        rows.append(row)
    return PageTable(name, columns, rows, max(0, len(table) - MAX_BATCHES))


def _figure_cell(value: float) -> Cell:
    """A count, or a mean with two digits."""
    if isinstance(value, int) or math.isnan(value):
        return any_cell(value)
    return Cell([(f"{value:.2f}", False)], value)


_RATES = ("no_read_rate", "accuracy", "misread_rate", "cer")


def _release_cells(release: str, basis: str) -> list[Cell]:
    """A release as a badge, sorted by its severity, and its basis."""
    order = float(list(Release).index(Release(release)))
    return [Cell([(release.capitalize(), False)], order, badge=release), any_cell(basis)]


# --- releases -------------------------------------------------------------------------------------


def _releases(found: Assessment) -> pd.DataFrame:
    counts = {batch: len(found_) for batch, found_ in found.sequences.items()}
    return release_table(release_sums(found.judged), counts, worsened(found.trends), found.allowed)


def _waiting(found: Assessment) -> pd.DataFrame:
    """Readings that nobody has confirmed, by rising confidence."""
    waiting = found.judged[fates(found.judged)["open"] == 1]
    waiting = waiting.sort_values("confidence_value", kind="stable", na_position="first")
    columns = ["image", "batch", "text", "confidence", "decision", "reason", "sha256"]
    return waiting[columns].reset_index(drop=True)


def _waiting_page(audit: "Audit") -> Iterable[PageSection]:
    if len(audit.waiting):
        table = page_table(audit.waiting.drop(columns=["batch", "sha256"]), "waiting")
        about = "Neither accepted nor in the truth table, by rising confidence."
        summary = counted(len(audit.waiting), "picture")
        yield PageSection("Readings that wait for a person", about, table, folded=True, summary=summary)


# --- trends ---------------------------------------------------------------------------------------


def _trends(found: Assessment) -> pd.DataFrame:
    columns = ["measure", "batch", "order", "count", "images", "value", "charted"]
    columns += ["centre", "low", "high", "sigma", "signal"]
    tables = [trend.table() for trend in found.trends]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def _trends_page(audit: "Audit") -> Iterable[PageSection]:
    if not audit.control_charts:
        return
    charts = [_trend_panel(trend) for trend in audit.control_charts]
    frozen = any(trend.frozen for trend in audit.control_charts)
    about = (
        "Each dot is a batch, oldest first; dashed lines are the control limits "
        f"({'given by the baseline' if frozen else 'computed from these batches'}), a red dot is out of "
        "control. Means: the limits are for the line, a moving average."
    )
    names = {trend.measure.name: trend.measure.noun for trend in audit.control_charts}
    table = audit.trends.drop(columns=["order", "sigma", "charted"])
    table = table.assign(measure=table["measure"].map(names))
    yield PageSection("Trends", about, page_table(table, "trends", MAX_BATCHES), charts, collapsed=True)


def _trend_panel(trend: Trend) -> PageChart:
    """A measure as one of the small multiples, with what is to be seen in it."""
    out = [trend.batches[i] or "(no batch)" for i in np.flatnonzero(trend.chart.out)]
    worse = bool((trend.chart.out == trend.measure.worse).any())
    if not trend.is_judged:
        words = "too few batches for control limits"
    elif out:
        words = f"out of control: {first_names(out, 3)}"
    else:
        words = "in control"
    noun = trend.measure.noun
    return PageChart(trend_chart(trend), noun[0].upper() + noun[1:], words, alarm=trend.is_judged and worse)


# --- errors ---------------------------------------------------------------------------------------

_ERROR_COLUMNS = (
    *("image", "batch", "truth", "text", "edits", "difference", "mpsc_right", "confidence"),
    *("weakest_char", "weakest_position", "weakest_confidence", "decision", "reason", "mark_grade"),
    *("note", "sha256"),
)


def _errors(found: Assessment) -> pd.DataFrame:
    """Images that are not strictly right, by falling confidence: confident errors pass without review."""
    judged = found.judged
    wrong = judged[(judged["known"] & ~judged["right"]) | judged["misread"]]
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
        yield PageSection("Errors", "None.", folded=True, summary="none")
        return
    more = (
        f"; the first {MAX_ERRORS} of {len(errors):,}, errors.csv holds all"
        if len(errors) > MAX_ERRORS
        else ""
    )
    names = ("picture", "truth", "read as", "what differs", "confidence", "weakest character", "decision")
    columns = [(name, name == "confidence") for name in names]
    rows = [_error_row(line) for line in errors.head(MAX_ERRORS).to_dict("records")]
    explanation = f"Pictures that are not strictly right, by falling confidence{more}."
    table, summary = (
        PageTable("errors", columns, rows, len(errors) - len(rows)),
        counted(len(errors), "picture"),
    )
    yield PageSection("Errors", explanation, table, folded=True, summary=summary)


def _error_row(line: dict[Any, Any]) -> list[Cell]:
    truth, text = differing_chunks(strict(line["truth"]), strict(line["text"]))
    weakest = f"{line['weakest_char']} at {line['weakest_position']}: {line['weakest_confidence']}"
    decided = f"{line['decision']}: {line['reason']}" if line["reason"] else line["decision"]
    return [
        any_cell(line["image"]),
        Cell(truth, code=True),
        Cell(text, code=True),
        any_cell(line["difference"]),
        any_cell(line["confidence"]),
        any_cell(weakest if line["weakest_char"] else ""),
        Cell([(decided, False)], small=line["note"]),
    ]


def failure_cards(audit: "Audit") -> list[dict[str, Any]]:
    """What the page shows of each failure that was read again."""
    cards = []
    for case in audit.failures.shown:
        truth, text = differing_chunks(strict(case.truth), strict(case.text))
        chars = [
            {
                "char": char,
                "confidence": f"{100 * own:.0f} %",
                "other": f"or {other or 'none'} {100 * second:.0f}",
            }
            for char, own, other, second in case.chars
            if second > DOUBT
        ]
        fate = "misread" if case.decision == Decision.ACCEPT else "corrected"
        if not (case.truth or case.note):
            truth, text, fate = [], [(strict(case.text), False)], "open"
        batch = case.image.rpartition("/")[0]
        more = max(0, len(chars) - _CHIPS)
        cards.append(
            {
                "case": case,
                "truth": truth,
                "text": text,
                "chars": chars[:_CHIPS],
                "more": f"and {counted(more, 'other')} in doubt" if more else "" if chars else _SURE,
                "confidence": _confidence_words(case.confidence),
                "fate": fate,
                "batch": batch,
            }
        )
    return cards


def _confidence_words(cell: str) -> str:
    """The confidence of a reading in per cent, from its cell in readings.csv."""
    try:
        share = float(cell)
    except ValueError:
        return "no confidence"
    return "confidence below 0.1 %" if share < 0.001 else f"confidence {math.floor(1000 * share) / 10:.1f} %"


_CHIPS = 6
"""Characters in doubt that are shown of a failure, the first ones."""

_SURE = "no character in doubt"


def _failures_page(audit: "Audit") -> Iterable[PageSection]:
    failures = audit.failures
    if not (failures.shown or failures.incomplete):
        return
    explanation = (
        "Read again for this report: the crop, and below it the crop with the pixels of each character in a "
        "colour; then the characters in doubt, each with its confidence and its runner-up. "
        if failures.shown
        else "The pictures could not be read again for this report. "
    )
    cards = failure_cards(audit)[LOOK_FIRST:]
    yield PageSection("Pictures of failures", explanation + failures.incomplete, cases=cards)


LOOK_FIRST = 4
"""Failures on the first screen."""


def _unmatched_counts(unmatched: pd.DataFrame) -> dict[str, int]:
    sides = unmatched["side"]
    return {"images": int((sides == "image").sum()), "truths": int((sides == "truth").sum())}


_READ = "Over the pictures with a truth and a text"

SECTIONS = (
    ReportSection(
        "releases",
        "Can these batches ship?",
        "",
        _releases,
        page=lambda _: (),
        markdown=lambda _: ("batch", "release", "basis", "reason"),
    ),
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
    ReportSection("failures", "Pictures of failures", "", None, page=_failures_page),
    ReportSection("trends", "Trends", "", _trends, page=_trends_page),
    ReportSection(
        "fields",
        "Fields",
        "Values of the fields that the truth table has as columns; missing: not found.",
        lambda found: field_table(found.judged),
        markdown=lambda _: (*FIGURES, "accuracy"),
    ),
    ReportSection("groups", "Groups", "", _groups, page=_groups_page),
    ReportSection(
        "errors",
        "Errors, by falling confidence",
        "",
        _errors,
        page=_errors_page,
        markdown=lambda _: ("image", "truth", "text", "confidence", "difference"),
        json=len,
    ),
    ReportSection("waiting", "Readings that wait for a person", "", _waiting, page=_waiting_page, json=len),
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
        "Pictures to label next",
        "A stratified sample of the pictures without a truth. Fill in the texts in sampling.csv by eye, "
        "and give it as --truth.",
        lambda found: images_to_label(found.judged, found.sample),
        json=len,
    ),
    ReportSection(
        "unmatched",
        "Pictures without a truth, truths without a picture",
        "These are in no accuracy.",
        lambda found: found.unmatched,
        json=_unmatched_counts,
    ),
)
"""In the order of the page and of the sheets."""
