"""People and the reader as appraisers of the same parts: with the truth, with themselves, with each other."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from serialread.auditing.findings import Finding, by_severity, counted, some, warning
from serialread.auditing.markdown import findings_lines, table_lines
from serialread.auditing.matching import located, partners
from serialread.auditing.rates import rate_columns
from serialread.auditing.sheets import ReportSection, study_page, table_sheet
from serialread.auditing.tables import read_readings
from serialread.auditing.wording import percent
from serialread.errors import RecordsError
from serialread.label_tables import TextTable, read_labels, read_table
from serialread.metrics import strict
from serialread.metrics.agreement import Appraisal, fleiss_kappa
from serialread.records import Decision

FILES = ("agreement.csv", "agreement.json", "agreement.md", "agreement.html")
"""What a study of agreement writes."""

READER = "reader"
"""Name of the readings as an appraiser."""

COLUMNS = ("filename", "appraiser", "trial", "text")
"""Of the table of calls; an empty text is a refusal."""


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """What the appraisers did.

    Attributes:
        table: one line an appraiser.
        between: Fleiss' kappa of all calls of all appraisers, -1..1; nan if there is nothing to compare.
        parts: parts of which all appraisers made all calls: what ``between`` is over.
        findings: what was left out.
    """

    table: pd.DataFrame
    between: float
    parts: int
    findings: tuple[Finding, ...]


def agree(calls: Path, truth: Path, out: Path, results: Path | None = None) -> str:
    """Judge appraisers, write ``FILES``, and give the outcome in words.

    Args:
        calls: table with ``COLUMNS``.
        truth: table with the columns filename and text; an empty text says that the part is to be refused.
        out: folder for ``FILES``.
        results: readings that take part as ``READER``; a rejected one is a refusal.

    Raises:
        RecordsError: inputs that are missing or broken, or a folder that cannot be written.
    """
    readings = None if results is None else read_readings(results)
    done = examine_calls(read_calls(calls), read_labels(truth), readings)
    figures = {
        "appraisers": [
            {str(k): None if isinstance(v, float) and math.isnan(v) else v for k, v in line.items()}
            for line in done.table.to_dict("records")
        ],
        "kappa_between": None if math.isnan(done.between) else round(done.between, 6),
        "parts_between": done.parts,
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        done.table.to_csv(out / FILES[0], index=False, lineterminator="\n", encoding="utf-8")
        text = json.dumps(figures, indent=1, ensure_ascii=False)
        (out / FILES[1]).write_text(text + "\n", encoding="utf-8", newline="\n")
        (out / FILES[2]).write_text("\n".join(_markdown(done)) + "\n", encoding="utf-8", newline="\n")
        (out / FILES[3]).write_text(_page(done), encoding="utf-8", newline="\n")
    except OSError as error:
        raise RecordsError(
            f"{out}: cannot be written: {error.strerror}. Give another --out folder."
        ) from None
    said = [_sentence(line) for line in done.table.to_dict("records")]
    said += [_between(done)]
    return "\n".join([*said, *(f"{finding.severity}: {finding.text}" for finding in done.findings)])


def read_calls(path: Path) -> TextTable:
    """Read the appraisers' calls: a table with ``COLUMNS``.

    Raises:
        RecordsError: no such table, columns missing, a damaged line, or no line in it.
    """
    table = read_table(path, COLUMNS, wanted=COLUMNS)
    if table.rows.empty:
        raise RecordsError(f"{path}: no line in it. Add one: {','.join(COLUMNS)}.")
    return table


def examine_calls(calls: TextTable, truth: TextTable, readings: TextTable | None = None) -> Agreement:
    """Hold every call against the truth of its part.

    Raises:
        RecordsError: no call on a part that has a truth, or two calls of one appraiser, part and trial.
    """
    rows = calls.rows if readings is None else pd.concat([calls.rows, _as_calls(readings.rows)])
    rows = rows.apply(lambda cells: cells.str.strip()).reset_index(drop=True)
    settled = truth.rows.assign(path=located(truth.rows["filename"])["path"]).drop_duplicates(
        ["path", "text"]
    )
    findings = []
    conflicting = settled["path"].duplicated(keep=False)
    if conflicting.any():
        names = settled["path"][conflicting].unique()
        findings.append(
            warning(f"{counted(len(names), 'part')} with several truths, left out: {some(names)}.")
        )
    settled = settled[~conflicting].reset_index(drop=True)
    place = _places(rows["filename"], settled)
    if (place < 0).any():
        names = rows["filename"][place < 0].unique()
        findings.append(warning(f"{counted(len(names), 'part')} without truth, left out: {some(names)}."))
    rows, place = rows[place >= 0], place[place >= 0]
    if rows.empty:
        raise RecordsError(f"{calls.path}: no call on a part of {truth.path}. Name the parts as it does.")
    rows = rows.assign(part=place, text=[strict(text) for text in rows["text"]])
    twice = rows.duplicated(["part", "appraiser", "trial"])
    if twice.any():
        first = rows[twice].iloc[0]
        said = f"{first['filename']}: {first['appraiser']} calls it twice in trial {first['trial']!r}"
        raise RecordsError(f"{calls.path}: {said}. Number the trials.")
    truths = np.array([strict(text) for text in settled["text"]], object)
    appraisals = [_appraised(str(name), each, truths) for name, each in rows.groupby("appraiser", sort=False)]
    whole = rows.pivot(index="part", columns=["appraiser", "trial"], values="text").dropna()
    missing = rows["part"].nunique() - len(whole)
    if missing:
        words = counted(missing, "part")
        findings.append(warning(f"{words} not called by all in all trials: not in the kappa between them."))
    return Agreement(
        _table(appraisals), fleiss_kappa(whole.to_numpy(object)), len(whole), by_severity(findings)
    )


def _as_calls(rows: pd.DataFrame) -> pd.DataFrame:
    text = rows["text"].where(rows["decision"] != Decision.REJECT, "")
    return pd.DataFrame({"filename": rows["image"], "appraiser": READER, "trial": "1", "text": text})


def _places(names: pd.Series, settled: pd.DataFrame) -> np.ndarray:
    """Row of each call's truth, [N]; -1 for none."""
    distinct = located(pd.Series(names.unique()))
    place = partners(distinct, located(settled["filename"]))
    return names.map(dict(zip(names.unique(), place, strict=True))).to_numpy(np.int64)


def _appraised(name: str, rows: pd.DataFrame, truths: np.ndarray) -> dict[str, Any]:
    by_part = rows.groupby("part", sort=True)["text"].agg(list)
    found = Appraisal.of(list(by_part), list(truths[by_part.index]))
    trials = rows.pivot(index="part", columns="trial", values="text").dropna()
    stated = truths[trials.index]
    with_truth = [fleiss_kappa(np.column_stack([trials[trial], stated])) for trial in trials.columns]
    return {
        "appraiser": name,
        "found": found,
        "kappa_within": fleiss_kappa(trials.to_numpy(object)),
        "kappa_truth": float(np.mean(with_truth)) if with_truth else math.nan,
    }


def _table(appraisals: list[dict[str, Any]]) -> pd.DataFrame:
    found: list[Appraisal] = [each["found"] for each in appraisals]

    def of(name: str) -> list[int]:
        return [getattr(appraisal, name) for appraisal in found]

    return pd.DataFrame(
        {
            "appraiser": [each["appraiser"] for each in appraisals],
            "parts": of("parts"),
            "calls": of("calls"),
            "effective": of("effective"),
            **rate_columns("effectiveness", of("effective"), of("parts")),
            "good_calls": of("good"),
            "misread": of("misread"),
            **rate_columns("misread_rate", of("misread"), of("good")),
            "refused": of("refused"),
            **rate_columns("false_alarm_rate", of("refused"), of("good")),
            "bad_calls": of("bad"),
            "missed": of("missed"),
            **rate_columns("miss_rate", of("missed"), of("bad")),
            "repeated": of("repeated"),
            "steady": of("steady"),
            "kappa_within": np.round([each["kappa_within"] for each in appraisals], 6),
            "kappa_truth": np.round([each["kappa_truth"] for each in appraisals], 6),
            "grade": [appraisal.grade for appraisal in found],
        }
    )


_LIMITS = "acceptable: 90 % effective, misses to 2 %, false alarms to 5 %; marginal: 80, 5, 10 % (AIAG)"
_RATES = (("misread", "misread_rate"), ("miss", "miss_rate"), ("false alarm", "false_alarm_rate"))


def _sentence(line: dict[Any, Any]) -> str:
    parts = [f"effective {percent(line['effectiveness'])} % of {line['parts']} parts"]
    parts += [f"{noun} {percent(line[name])} %" for noun, name in _RATES if not math.isnan(line[name])]
    return f"{line['appraiser']}: {', '.join(parts)}: {line['grade']}"


def _between(done: Agreement) -> str:
    kappa = "–" if math.isnan(done.between) else f"{done.between:.3f}"
    return f"Fleiss' kappa between all: {kappa} over {counted(done.parts, 'part')}"


def _page(done: Agreement) -> str:
    sections = [ReportSection("Appraisers", f"{_LIMITS}.", table_sheet(done.table, "agreement"))]
    return study_page("Agreement of appraisers", [_between(done)], done.findings, sections)


def _markdown(done: Agreement) -> list[str]:
    shown = ["appraiser", "parts", "effectiveness", "misread_rate", "miss_rate", "false_alarm_rate"]
    return [
        "# Agreement of appraisers\n",
        f"- {_between(done)}",
        f"- {_LIMITS}",
        "\n## Appraisers\n",
        *table_lines(done.table, [*shown, "kappa_within", "kappa_truth", "grade"]),
        "\n## Findings\n",
        *findings_lines(done.findings),
    ]
