"""An audit as one HTML page: no network, one script of its own, prints as it stands."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from serialread.auditing.charts import (
    confusion_chart,
    coverage_chart,
    positions_chart,
    reliability_chart,
    trend_chart,
)
from serialread.auditing.examination import Audit
from serialread.auditing.failures import Cases, FailureCase
from serialread.auditing.report_tables import score_table
from serialread.auditing.sheets import (
    Cell,
    ReportSection,
    Sheet,
    marked,
    number,
    plain,
    rate_cell,
    ratio_cell,
    rendered,
    sortable,
    table_sheet,
)
from serialread.auditing.trending import trends_table
from serialread.auditing.wording import percent, rate_words, ratio
from serialread.metrics import strict
from serialread.records import GRADES

MOST_ERRORS = 500
"""Errors on the page; errors.csv holds all."""

MOST_BATCHES = 1000
"""Batches on the page; batches.csv holds all."""

DOUBT = 0.05
"""A runner-up that is likelier stands out."""


def page(audit: Audit, tables: dict[str, pd.DataFrame], cases: Cases) -> str:
    """Lay an audit out as HTML; every cell is escaped, and only the page's own script may run."""
    sections = [section for section in _sections(audit, tables, cases) if section is not None]
    return rendered("report.html.j2", audit=audit, headline=_headline(audit), sections=sections)


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


def _sections(audit: Audit, tables: dict[str, pd.DataFrame], cases: Cases) -> list[ReportSection | None]:
    return [
        ReportSection("Batches", _batch_words(audit), _batch_sheet(audit)),
        *(
            ReportSection(
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
            plain(line["batch"] or "(no batch)"),
            *(number(line[column]) for column in (*_COUNTS, *_JUDGED)),
            *(rate_cell(line, name) for name in rates),
            Cell([(percent(line["cer"]), False)], sortable(line["cer"])),
            ratio_cell(line["one_minus_ned"]),
            ratio_cell(line["confidence_p50"]),
            ratio_cell(line["mark_grade_mean"]),
        ]
        for line in table.to_dict("records")
    ]


def _trend_sections(audit: Audit) -> list[ReportSection]:
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
            ReportSection(
                f"Trend: {trend.measure.noun}",
                f"{len(trend.batches)} batches, oldest first; {kind}; {limits}.",
                table_sheet(table, "trends", most=MOST_BATCHES),
                [trend_chart(trend)],
                folded=True,
            )
        )
    return sections


def _errors_section(audit: Audit) -> ReportSection | None:
    if not audit.judged:
        return None
    if audit.errors.empty:
        return ReportSection("Errors", "None.")
    shown = audit.errors.head(MOST_ERRORS)
    more = len(audit.errors) > MOST_ERRORS
    held = f"; the first {MOST_ERRORS} of {len(audit.errors):,}, errors.csv holds all" if more else ""
    names = ("image", "truth", "read", "what", "edits", "confidence", "weakest", "decision")
    columns = [(name, name in ("edits", "confidence")) for name in names]
    rows = [_error_row(cells) for cells in shown.to_dict("records")]
    words = f"Images that are not strictly right, the surest first{held}."
    return ReportSection("Errors", words, Sheet("errors", columns, rows, len(audit.errors) - len(shown)))


def _cases_section(cases: Cases) -> ReportSection | None:
    if not (cases.shown or cases.why_not):
        return None
    words = (
        "Read again for this report: the crop, below it what each character was read from, in a colour of "
        "its own; each character with its confidence, and what it nearly was. The accepted ones first, then "
        "the surest. "
        if cases.shown
        else "The pictures could not be read again for this report. "
    )
    return ReportSection(
        "Failures, looked at again", words + cases.why_not, cases=[_case(case) for case in cases.shown]
    )


def _case(case: FailureCase) -> dict[str, Any]:
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
        plain(cells["image"]),
        Cell(truth),
        Cell(text),
        plain(cells["what"]),
        number(cells["edits"]),
        plain(cells["confidence"]),
        plain(weakest if cells["weakest_char"] else ""),
        Cell([(decided, False)], small=cells["note"]),
    ]


def _character_sections(tables: dict[str, pd.DataFrame]) -> list[ReportSection | None]:
    confusions, positions = tables["confusions"], tables["positions"]
    over = "Over the images that have a truth and were read"
    return [
        ReportSection(
            "Characters taken for others",
            f"{over}, laid beside their truth with the fewest edits.",
            table_sheet(confusions, "confusions"),
            [confusion_chart(confusions)],
            folded=True,
        )
        if len(confusions)
        else None,
        ReportSection("Characters", f"{over}.", table_sheet(tables["characters"], "characters")),
        ReportSection(
            "Places",
            f"{over}.",
            table_sheet(positions, "positions"),
            [positions_chart(positions)],
            folded=True,
        )
        if len(positions)
        else None,
        ReportSection(
            "Lengths",
            "Texts that are longer or shorter than their truth.",
            table_sheet(tables["lengths"], "lengths"),
        )
        if len(tables["lengths"])
        else None,
    ]


def _confidence_sections(tables: dict[str, pd.DataFrame]) -> list[ReportSection]:
    return [
        ReportSection(
            "Confidence",
            "On the diagonal the confidence comes true; below it, the reader is too sure of itself.",
            table_sheet(tables["confidence"], "confidence"),
            [reliability_chart(tables["confidence"])],
            folded=True,
        ),
        ReportSection(
            "Risk and coverage",
            "What stays wrong when only the surest are kept: choose the threshold where it is low enough.",
            table_sheet(tables["coverage"], "coverage"),
            [coverage_chart(tables["coverage"])],
            folded=True,
        ),
    ]


def _sampling_section(sampling: pd.DataFrame) -> ReportSection | None:
    if sampling.empty:
        return None
    words = "A fair draw of images without truth: fill in sampling.csv by eye and give it as --truth."
    return ReportSection("Label these", words, table_sheet(sampling[["filename", "batch"]], "sampling"))
