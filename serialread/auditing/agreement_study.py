"""Attribute agreement analysis: people and the reader as appraisers of the same parts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from serialread.auditing.charts import interval_chart
from serialread.auditing.html_page import PageChart, PageSection, page_table, study_page
from serialread.auditing.input_tables import read_readings
from serialread.auditing.matching import located, partners
from serialread.auditing.report_files import findings_lines, table_lines, write_study
from serialread.auditing.wording import Finding, by_severity, counted, first_names, percent, warning
from serialread.errors import RecordsError
from serialread.label_tables import TextTable, read_labels, read_table
from serialread.metrics import strict
from serialread.metrics.agreement import Appraisal, fleiss_kappa
from serialread.metrics.intervals import rate_columns
from serialread.records import Decision

READER = "reader"
"""Name of the reader as an appraiser."""

COLUMNS = ("filename", "appraiser", "trial", "text")
"""Of the table of calls; an empty text is a refusal."""

_LIMITS = "acceptable: 90 % effective, misses to 2 %, false alarms to 5 %; marginal: 80, 5, 10 % (AIAG)"
_RATES = (("misread", "misread_rate"), ("miss", "miss_rate"), ("false alarm", "false_alarm_rate"))
_MARKDOWN = (
    *("appraiser", "parts", "effectiveness", "misread_rate", "miss_rate", "false_alarm_rate"),
    *("kappa_within", "kappa_truth", "grade"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """How well the appraisers agree.

    Attributes:
        appraisers: one line per appraiser.
        kappa_between: Fleiss' kappa of all calls of all appraisers, -1..1; nan if it is undefined.
        parts: parts that all appraisers called in all trials: those in ``kappa_between``.
        findings: what was left out.
    """

    appraisers: pd.DataFrame
    kappa_between: float
    parts: int
    findings: tuple[Finding, ...]

    def summary(self) -> str:
        """The result in sentences, with the findings."""
        lines = [_sentence(line) for line in self.appraisers.to_dict("records")]
        findings = [f"{finding.severity}: {finding.text}" for finding in self.findings]
        return "\n".join([*lines, self._between(), *findings])

    def write(self, out: str | Path) -> tuple[Path, ...]:
        """Write agreement.csv, agreement.json, agreement.md and agreement.html; returns their paths.

        Raises:
            RecordsError: the folder cannot be written.
        """
        figures = {
            "appraisers": self.appraisers.to_dict("records"),
            "kappa_between": round(self.kappa_between, 6),
            "parts_between": self.parts,
        }
        return write_study(Path(out), "agreement", self.appraisers, figures, self._markdown(), self._page())

    def _page(self) -> str:
        lines = self.appraisers.to_dict("records")
        figures = [
            (
                line["appraiser"],
                line["grade"],
                f"{line['effective']:,} of {counted(line['parts'], 'part')} right in all trials",
            )
            for line in lines
        ]
        kappa = "–" if math.isnan(self.kappa_between) else f"{self.kappa_between:.3f}"
        words = f"Fleiss' kappa over {counted(self.parts, 'part')}; 1 is perfect, 0 is chance"
        figures.append(("agreement of all", kappa, words))
        shares = [
            (
                line["appraiser"],
                line["effectiveness"],
                (line["effectiveness_low"], line["effectiveness_high"]),
            )
            for line in lines
        ]
        chart = PageChart(interval_chart(shares, "Effectiveness of each appraiser, with its interval"))
        explanation = (
            "Share of the parts that an appraiser calls right in every trial, with its 95 % interval."
        )
        kappas = {name: self.appraisers[name].round(3) for name in ("kappa_within", "kappa_truth")}
        table = page_table(self.appraisers.assign(**kappas)[list(_SHOWN)], "agreement")
        sections = [
            PageSection("Effectiveness", explanation, charts=[chart]),
            PageSection("Appraisers", f"{_LIMITS}. agreement.csv has all figures.", table),
        ]
        answer = _answer([(line["appraiser"], line["grade"]) for line in lines])
        about = (
            f"{counted(len(lines), 'appraiser')}, judged by the truth, by their repetitions and by each other"
        )
        question = "Do the appraisers agree with the truth?"
        return study_page(
            "Agreement of appraisers", about, question, answer, figures, self.findings, sections
        )

    def _between(self) -> str:
        kappa = "–" if math.isnan(self.kappa_between) else f"{self.kappa_between:.3f}"
        return f"Fleiss' kappa between all: {kappa} over {counted(self.parts, 'part')}"

    def _markdown(self) -> list[str]:
        return [
            "# Agreement of appraisers\n",
            f"- {self._between()}",
            f"- {_LIMITS}",
            "\n## Appraisers\n",
            *table_lines(self.appraisers, _MARKDOWN),
            "\n## Findings\n",
            *findings_lines(self.findings),
        ]


_SHOWN = (
    *("appraiser", "grade", "parts"),
    *(name + end for name in ("effectiveness", *dict(_RATES).values()) for end in ("", "_low", "_high")),
    *("repeated", "consistent", "kappa_within", "kappa_truth"),
)
"""Columns on the page."""


def _answer(grades: Sequence[tuple[str, str]]) -> str:
    """The answer in a sentence, from the grade of each appraiser."""
    weak = [f"{name} is {grade}" for name, grade in grades if grade != "acceptable"]
    return f"Not all: {first_names(weak)}." if weak else "Yes: all are acceptable."


def _sentence(line: dict[Any, Any]) -> str:
    parts = [f"effective {percent(line['effectiveness'])} % of {counted(line['parts'], 'part')}"]
    parts += [f"{noun} {percent(line[name])} %" for noun, name in _RATES if not math.isnan(line[name])]
    return f"{line['appraiser']}: {', '.join(parts)}: {line['grade']}"


def agreement(calls: str | Path, truth: str | Path, results: str | Path | None = None) -> Agreement:
    """Judge appraisers by the truth, by their own repetitions and by each other.

    Args:
        calls: table with ``COLUMNS``.
        truth: table with the columns filename and text; an empty text means that the part is to be refused.
        results: readings that take part as the appraiser ``READER``; a rejected image is a refusal.

    Raises:
        RecordsError: inputs that are missing or damaged.
    """
    readings = None if results is None else read_readings(Path(results))
    return agreement_of_tables(read_calls(Path(calls)), read_labels(Path(truth)), readings)


def read_calls(path: Path) -> TextTable:
    """Read the appraisers' calls: a table with ``COLUMNS``.

    Raises:
        RecordsError: no such table, columns missing, a damaged line, or no line in it.
    """
    table = read_table(path, COLUMNS, wanted=COLUMNS)
    if table.rows.empty:
        raise RecordsError(f"{path}: no line in it. Add one: {','.join(COLUMNS)}.")
    return table


def agreement_of_tables(calls: TextTable, truth: TextTable, readings: TextTable | None = None) -> Agreement:
    """The same as ``agreement``, from tables that were read before.

    Raises:
        RecordsError: no call on a part that has a truth, or two calls of one appraiser, part and trial.
    """
    rows = calls.rows if readings is None else pd.concat([calls.rows, _as_calls(readings.rows)])
    rows = rows.apply(lambda cells: cells.str.strip()).reset_index(drop=True)
    settled, findings = _settled_truths(truth.rows)
    place = _places(rows["filename"], settled)
    if (place < 0).any():
        names = rows["filename"][place < 0].unique()
        parts = counted(len(names), "part")
        findings.append(warning(f"{parts} without truth, left out: {first_names(names)}."))
    rows = rows.assign(part=place, text=[strict(text) for text in rows["text"]])[place >= 0]
    _require_distinct_calls(rows, calls.path, truth.path)
    truths = np.array([strict(text) for text in settled["text"]], object)
    appraisals = [_appraised(str(name), each, truths) for name, each in rows.groupby("appraiser", sort=False)]
    whole = rows.pivot(index="part", columns=["appraiser", "trial"], values="text").dropna()
    missing = rows["part"].nunique() - len(whole)
    if missing:
        parts = counted(missing, "part")
        findings.append(
            warning(f"{parts} not called by all in all trials, left out of the kappa between all.")
        )
    return Agreement(
        _table(appraisals), fleiss_kappa(whole.to_numpy(object)), len(whole), by_severity(findings)
    )


def _settled_truths(truth: pd.DataFrame) -> tuple[pd.DataFrame, list[Finding]]:
    """Parts with one truth each, and a finding about those with several."""
    stated = truth.assign(path=located(truth["filename"])["path"]).drop_duplicates(["path", "text"])
    conflicting = stated["path"].duplicated(keep=False)
    names = stated["path"][conflicting].unique()
    text = f"{counted(len(names), 'part')} with several truths, left out: {first_names(names)}."
    return stated[~conflicting].reset_index(drop=True), [warning(text)] if len(names) else []


def _require_distinct_calls(rows: pd.DataFrame, calls: Path, truth: Path) -> None:
    if rows.empty:
        raise RecordsError(f"{calls}: no call on a part of {truth}. Use the same names.")
    twice = rows[rows.duplicated(["part", "appraiser", "trial"])]
    if len(twice):
        first = twice.iloc[0]
        what = f"{first['filename']}: {first['appraiser']} calls it twice in trial {first['trial']!r}"
        raise RecordsError(f"{calls}: {what}. Number the trials.")


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
            "consistent": of("consistent"),
            "kappa_within": np.round([each["kappa_within"] for each in appraisals], 6),
            "kappa_truth": np.round([each["kappa_truth"] for each in appraisals], 6),
            "grade": [appraisal.grade for appraisal in found],
        }
    )
