"""An audit as one HTML page: no network, one script of its own, prints as it stands."""

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
from serialread.records import GRADES
from serialread.reporting.auditing import Audit
from serialread.reporting.cases import Case, Cases
from serialread.reporting.charts import (
    confusion_chart,
    coverage_chart,
    positions_chart,
    reliability_chart,
    trend_chart,
)
from serialread.reporting.layout import score_table
from serialread.reporting.trending import trends_table
from serialread.reporting.wording import percent, rate_words, ratio
from serialread.scoring import strict

MOST_ERRORS = 500
"""Errors on the page; errors.csv holds all."""

MOST_BATCHES = 1000
"""Batches on the page; batches.csv holds all."""

MOST_LINES = 200
"""Lines of any other table on the page; its file holds all."""

DOUBT = 0.05
"""A runner-up that is likelier stands out."""

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
class Section:
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


def page(audit: Audit, tables: dict[str, pd.DataFrame], cases: Cases) -> str:
    """Lay an audit out as HTML; every cell is escaped, and only the page's own script may run."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    script, style = _resource("report.js"), _resource("report.css")
    return environment.from_string(_resource("report.html.j2")).render(
        audit=audit,
        version=__version__,
        script=script,
        style=style,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        headline=_headline(audit),
        sections=[section for section in _sections(audit, tables, cases) if section is not None],
    )


def _resource(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _headline(audit: Audit) -> list[tuple[str, str, str]]:
    """What the page says first: name, figure, counts with intervals."""
    total, certainty = audit.total, audit.certainty
    cards = [("no-read", percent(total.no_read_rate) + " %", rate_words(total.no_read, total.images))]
    if audit.judged:
        known = total.strict.total
        cards = [
            ("right, strict", percent(total.strict.accuracy) + " %", rate_words(total.strict.right, known)),
            ("right, MPSC", percent(total.mpsc.accuracy) + " %", rate_words(total.mpsc.right, known)),
            (
                "misread of accepted",
                percent(total.misread_rate) + " %",
                rate_words(total.misread, total.accepted_known),
            ),
            *cards,
            (
                "characters",
                f"CER {percent(total.strict.cer)} %",
                f"{total.strict.edits:,} edits in {total.strict.truth_chars:,} characters; "
                f"1-NED {ratio(total.strict.one_minus_ned)}",
            ),
            (
                "confidence",
                f"ECE {ratio(certainty.ece)}",
                f"Brier {ratio(certainty.brier)}, AURC {ratio(certainty.aurc)}; {certainty.images:,} images",
            ),
        ]
    if any(total.grades):
        words = ", ".join(f"{grade} {n:,}" for grade, n in zip(GRADES, total.grades, strict=True))
        cards.append(("mark grade, mean", f"{total.mark_grade:.2f} of 4", words))
    if not math.isnan(total.elapsed_ms):
        cards.append(("time an image", f"{total.elapsed_ms:.1f} ms", "median"))
    return cards


def _sections(audit: Audit, tables: dict[str, pd.DataFrame], cases: Cases) -> list[Section | None]:
    return [
        Section("Batches", _batch_words(audit), _batch_sheet(audit)),
        *(
            Section(
                f"By {name}", "The same figures by a column of the batch table.", _score_sheet(scores, name)
            )
            for name, scores in audit.groups.items()
        ),
        *_trend_sections(audit),
        _errors_section(audit),
        _cases_section(cases),
        *(_character_sections(tables) if audit.judged else ()),
        *(_confidence_sections(tables) if audit.certainty.images else ()),
        _sampling_section(tables["sampling"]),
    ]


def _batch_words(audit: Audit) -> str:
    more = len(audit.batches) - MOST_BATCHES
    shown = (
        f"The first {MOST_BATCHES} of {len(audit.batches)} batches; batches.csv holds all. "
        if more > 0
        else ""
    )
    if not audit.judged:
        return shown + "No truth given: nothing was judged."
    return shown + (
        "Accuracy is the share of right ones out of all images with a truth; a rejected one is not right. "
        "Small figures: 95 % Wilson interval."
    )


def _batch_sheet(audit: Audit) -> Sheet:
    sheet = _score_sheet(audit.batches[:MOST_BATCHES], "batch")
    (total,) = _score_rows((audit.total,))
    return Sheet("batches", sheet.columns, sheet.rows, len(audit.batches) - len(sheet.rows), total)


_COUNTS = ("images", "read", "accepted", "review", "rejected")
_JUDGED = ("no_truth", "right", "wrong")


def _score_sheet(scores: Sequence[Any], name: str) -> Sheet:
    shown = scores[:MOST_BATCHES]
    counts = [(column.replace("_", " "), True) for column in (*_COUNTS, *_JUDGED)]
    rates = [
        "no-read %",
        "accuracy %",
        "MPSC %",
        "misread %",
        "CER %",
        "1-NED",
        "confidence, median",
        "mark grade",
    ]
    columns = [(name, False), *counts, *((rate, True) for rate in rates)]
    return Sheet("groups", columns, _score_rows(shown), len(scores) - len(shown))


def _score_rows(scores: Sequence[Any]) -> list[list[Cell]]:
    table = score_table(scores)
    rates = ("no_read_rate", "accuracy", "mpsc_accuracy", "misread_rate")
    return [
        [
            _plain(line["batch"] or "(no batch)"),
            *(_number(line[column]) for column in (*_COUNTS, *_JUDGED)),
            *(_rate(line, name) for name in rates),
            Cell([(percent(line["cer"]), False)], _sorted(line["cer"])),
            _ratio(line["one_minus_ned"]),
            _ratio(line["confidence_p50"]),
            _ratio(line["mark_grade_mean"]),
        ]
        for line in table.to_dict("records")
    ]


def _trend_sections(audit: Audit) -> list[Section]:
    sections = []
    for trend in audit.trends:
        limits = "frozen limits" if trend.frozen else "limits drawn from these batches"
        kind = (
            f"p' chart after Laney, sigma_z {trend.chart.limits.sigma:.3g}"
            if trend.measure.kind == "share"
            else "dots are the batches, the line their exponentially weighted moving average"
        )
        table = trends_table([trend]).drop(columns=["measure", "order"])
        sections.append(
            Section(
                f"Trend: {trend.measure.noun}",
                f"{len(trend.batches)} batches, oldest first; {kind}; {limits}.",
                _sheet(table, "trends", most=MOST_BATCHES),
                [trend_chart(trend)],
                folded=True,
            )
        )
    return sections


def _errors_section(audit: Audit) -> Section | None:
    if not audit.judged:
        return None
    if audit.errors.empty:
        return Section("Errors", "None.")
    shown = audit.errors.head(MOST_ERRORS)
    more = len(audit.errors) > MOST_ERRORS
    held = f"; the first {MOST_ERRORS} of {len(audit.errors):,}, errors.csv holds all" if more else ""
    names = ("image", "truth", "read", "what", "edits", "confidence", "weakest", "decision")
    columns = [(name, name in ("edits", "confidence")) for name in names]
    rows = [_error_row(cells) for cells in shown.to_dict("records")]
    words = f"Images that are not strictly right, the surest first{held}."
    return Section("Errors", words, Sheet("errors", columns, rows, len(audit.errors) - len(shown)))


def _cases_section(cases: Cases) -> Section | None:
    if not (cases.shown or cases.why_not):
        return None
    words = (
        "Read again for this report: the crop, below it what each character was read from, in a colour of "
        "its own; each character with its confidence, and what it nearly was. The accepted ones first, then "
        "the surest. "
        if cases.shown
        else "The pictures could not be read again for this report. "
    )
    return Section(
        "Failures, looked at again", words + cases.why_not, cases=[_case(case) for case in cases.shown]
    )


def _case(case: Case) -> dict[str, Any]:
    truth, text = marked(strict(case.truth), strict(case.text))
    chars = [
        {
            "char": char,
            "sure": f"{sure:.2f}",
            "rival": rival or "none",
            "near": f"{near:.2f}",
            "doubt": near > DOUBT,
        }
        for char, sure, rival, near in case.chars
    ]
    return {"case": case, "truth": truth, "text": text, "chars": chars}


def _error_row(cells: dict[Any, Any]) -> list[Cell]:
    truth, text = marked(strict(cells["truth"]), strict(cells["text"]))
    weakest = f"{cells['weakest_char']} at {cells['weakest_position']}: {cells['weakest_confidence']}"
    decided = f"{cells['decision']}: {cells['reason']}" if cells["reason"] else cells["decision"]
    return [
        _plain(cells["image"]),
        Cell(truth),
        Cell(text),
        _plain(cells["what"]),
        _number(cells["edits"]),
        _plain(cells["confidence"]),
        _plain(weakest if cells["weakest_char"] else ""),
        Cell([(decided, False)], small=cells["note"]),
    ]


def _character_sections(tables: dict[str, pd.DataFrame]) -> list[Section | None]:
    confusions, positions = tables["confusions"], tables["positions"]
    over = "Over the images that have a truth and were read"
    return [
        Section(
            "Characters taken for others",
            f"{over}, laid beside their truth with the fewest edits.",
            _sheet(confusions, "confusions"),
            [confusion_chart(confusions)],
            folded=True,
        )
        if len(confusions)
        else None,
        Section("Characters", f"{over}.", _sheet(tables["characters"], "characters")),
        Section(
            "Places", f"{over}.", _sheet(positions, "positions"), [positions_chart(positions)], folded=True
        )
        if len(positions)
        else None,
        Section(
            "Lengths",
            "Texts that are longer or shorter than their truth.",
            _sheet(tables["lengths"], "lengths"),
        )
        if len(tables["lengths"])
        else None,
    ]


def _confidence_sections(tables: dict[str, pd.DataFrame]) -> list[Section]:
    return [
        Section(
            "Confidence",
            "On the diagonal the confidence comes true; below it, the reader is too sure of itself.",
            _sheet(tables["confidence"], "confidence"),
            [reliability_chart(tables["confidence"])],
            folded=True,
        ),
        Section(
            "Risk and coverage",
            "What stays wrong when only the surest are kept: choose the threshold where it is low enough.",
            _sheet(tables["coverage"], "coverage"),
            [coverage_chart(tables["coverage"])],
            folded=True,
        ),
    ]


def _sampling_section(sampling: pd.DataFrame) -> Section | None:
    if sampling.empty:
        return None
    words = "A fair draw of images without truth: fill in sampling.csv by eye and give it as --truth."
    return Section("Label these", words, _sheet(sampling[["filename", "batch"]], "sampling"))


def _sheet(table: pd.DataFrame, name: str, most: int = MOST_LINES) -> Sheet:
    """A table as it is; rates stand in one cell with their Wilson interval."""
    bounds = {c for c in table.columns if c.endswith(("_low", "_high")) and c not in ("low", "high")}
    columns = [str(c) for c in table.columns if c not in bounds]
    numbers = [(c.replace("_", " "), pd.api.types.is_numeric_dtype(table[c])) for c in columns]
    rows = [
        [_rate(line, c) if f"{c}_low" in bounds else _any(line[c]) for c in columns]
        for line in table.head(most).to_dict("records")
    ]
    return Sheet(name, numbers, rows, max(0, len(table) - most))


def _any(cell: Any) -> Cell:
    if isinstance(cell, str):
        return _plain(cell)
    return _number(cell) if isinstance(cell, int) else _ratio(cell)


def _plain(text: str) -> Cell:
    return Cell([(text, False)])


def _number(value: int) -> Cell:
    return Cell([(f"{value:,}", False)], value)


def _ratio(value: float) -> Cell:
    return Cell([("–" if math.isnan(value) else f"{value:.6g}", False)], _sorted(value))


def _rate(line: dict[Any, Any], name: str) -> Cell:
    value = line[name]
    if math.isnan(value):
        return Cell([("–", False)], -1)
    reach = f"{percent(line[f'{name}_low'])}–{percent(line[f'{name}_high'])}"
    return Cell([(percent(value), False)], value, reach)


def _sorted(value: float) -> float:
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
