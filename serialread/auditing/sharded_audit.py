"""An audit of readings in Parquet shards, part by part: its memory does not grow with their number.

A part is some hundred thousand readings, which are judged as in any other audit. What is counted is then
summed over the parts; lists are cut. The figures are those of an audit of all readings at once.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from serialread.auditing.batch_scores import (
    QUANTILES,
    ConfidenceQuality,
    data_findings,
    judge,
    score_quantiles,
    score_sums,
    scores,
    sequence_failures,
    sequence_findings,
)
from serialread.auditing.characters import CharacterTables, character_tables
from serialread.auditing.field_scores import FIGURES, READ_AS, field_table
from serialread.auditing.input_tables import BARCODE_CHECK, MEASURES, POINTS, READING_COLUMNS, VERDICT
from serialread.auditing.matching import (
    Matches,
    conflicts,
    located,
    pair,
    truths_without_image,
    unknown_labels,
    without_truth,
)
from serialread.auditing.releases import NOT_GUARANTEED, MisreadLimit, release_sums, release_table
from serialread.auditing.sampling import LabelDraw
from serialread.auditing.sections import SECTIONS, Assessment
from serialread.auditing.trends import (
    MEASURES as CHARTED,
    Trend,
    per_batch,
    trend_findings,
    trends_of,
    worsened,
)
from serialread.auditing.truth_checks import truth_findings
from serialread.auditing.wording import Finding, note
from serialread.errors import RecordsError
from serialread.metrics import strict
from serialread.metrics.control_charts import ControlLimits
from serialread.metrics.intervals import rate_columns
from serialread.metrics.risk import Reliability, RiskCoverage
from serialread.storage import Storage

PLAN, TRUTH = "plan.json", "truth"
"""A file beside the shards, and the column with the label of a sample; ``serialread.scale`` writes them."""
PART = 200_000
"""Readings of a part; a part ends where a batch does, if there is such a place within twice as many."""
LISTED = 10_000
"""Lines of errors.csv, waiting.csv and unmatched.csv."""
_MOST_FINDINGS = 200
_TEXTS = (*READING_COLUMNS, VERDICT, BARCODE_CHECK)
_PER_READING = ("errors", "waiting", "unmatched")


def is_sharded(results: str | Path) -> bool:
    """Whether a folder or URL holds readings in shards."""
    return "://" in str(results) or (Path(results) / PLAN).is_file()


@dataclass(slots=True)
class SummedParts:
    """What is kept of the parts: sums by batch and by character, and the most important lines.

    Attributes:
        limits: frozen control limits, or None.
        sample: images to draw for labelling.
        allowed: the share of accepted readings that may be wrong.
    """

    limits: dict[str, ControlLimits] | None
    sample: int
    allowed: MisreadLimit = NOT_GUARANTEED
    images: int = 0
    sums: list[pd.DataFrame] = field(default_factory=list)
    quantiles: list[pd.DataFrame] = field(default_factory=list)
    releases: list[pd.DataFrame] = field(default_factory=list)
    charted: dict[str, list[pd.DataFrame]] = field(default_factory=lambda: defaultdict(list))
    values: dict[str, Counter[float]] = field(default_factory=lambda: defaultdict(Counter))
    sequences: Counter[str] = field(default_factory=Counter)
    first_read: dict[str, str] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    cut: Counter[str] = field(default_factory=Counter)
    quality: ConfidenceQuality | None = None
    findings: dict[Finding, None] = field(default_factory=dict)
    models: dict[str, None] = field(default_factory=dict)
    stations: dict[str, None] = field(default_factory=dict)
    read_at: tuple[str, str] = ("", "")
    draw: LabelDraw = field(init=False)

    def __post_init__(self) -> None:
        self.draw = LabelDraw(self.sample)

    def add(self, paired: pd.DataFrame, unmatched: pd.DataFrame) -> None:
        """Judge the readings of a part and sum them up."""
        judged = judge(paired)
        batch = judged["batch"]
        self.images += len(judged)
        self.sums.append(score_sums(judged, batch))
        self.quantiles.append(score_quantiles(judged, batch))
        self.releases.append(release_sums(judged))
        for measure in CHARTED:
            self.charted[measure.name].append(per_batch(measure, judged))
        for name in MEASURES:
            self._count(f"{name}_p50", judged[name])
        self._count("confidence", judged["confidence_value"][judged["read"]])
        for key, first in judged.groupby("batch", sort=False)["read_at"].min().items():
            self.first_read[str(key)] = min(first, self.first_read.get(str(key), first))
        failures = sequence_failures(judged)
        self.sequences.update({name: len(failed) for name, failed in failures.items()})
        self._note([*truth_findings(judged), *data_findings(judged), *sequence_findings(failures)])
        self.models |= dict.fromkeys(judged["model_id"].unique())
        self.stations |= dict.fromkeys(judged["station_id"].unique())
        times = [judged["read_at"].min(), judged["read_at"].max(), *filter(None, self.read_at)]
        self.read_at = min(times), max(times)
        self.draw.add(judged)
        self._add_tables(judged, unmatched)

    def add_unmatched(self, truths: pd.DataFrame) -> None:
        """Add truths without a reading."""
        if len(truths):
            both = pd.concat([self.tables["unmatched"], truths], ignore_index=True)
            self.tables["unmatched"] = self._reduced("unmatched", both)

    def _count(self, name: str, values: pd.Series) -> None:
        counts = values.value_counts()
        self.values[name].update(dict(zip(counts.index.to_numpy(), counts.to_numpy(), strict=True)))

    def _note(self, findings: list[Finding]) -> None:
        for one in findings:
            if len(self.findings) < _MOST_FINDINGS or one in self.findings:
                self.findings[one] = None
            else:
                self.cut["findings"] += 1

    def _add_tables(self, judged: pd.DataFrame, unmatched: pd.DataFrame) -> None:
        characters, quality = character_tables(judged), ConfidenceQuality.of(judged)
        self.quality = quality if self.quality is None else _merged_quality(self.quality, quality)
        none = judged[[]]
        found = Assessment(judged, none, unmatched, characters, quality, (), {}, self.sample)
        new = {one.name: one.table(found) for one in SECTIONS if one.table and one.name in _PER_READING}
        new |= {"fields": field_table(judged)}
        new |= {name: getattr(characters, name) for name in _CHARACTERS}
        for name, table in new.items():
            before = self.tables.get(name)
            both = table if before is None else pd.concat([before, table], ignore_index=True)
            self.tables[name] = self._reduced(name, both)

    def _reduced(self, name: str, table: pd.DataFrame) -> pd.DataFrame:
        if name in _CHARACTERS or name == "fields":
            return _summed(table, *_SUMMED[name])
        if name != "unmatched":
            rising = name == "waiting"
            value = pd.to_numeric(table["confidence"], errors="coerce")
            table = table.assign(_by=value).sort_values(
                "_by", ascending=rising, kind="stable", na_position="first" if rising else "last"
            )
            table = table.drop(columns="_by")
        self.cut[name] += max(0, len(table) - LISTED)
        return table.head(LISTED).reset_index(drop=True)

    def result(self) -> tuple[dict[str, pd.DataFrame], tuple[Trend, ...], ConfidenceQuality, list[Finding]]:
        """The tables of the audit, its trends, the quality of the confidence and the findings.

        Raises:
            RecordsError: there are no readings.
        """
        if self.quality is None:
            raise RecordsError("audit: no readings in these shards. Read the pictures first.")
        sums = pd.concat(self.sums).groupby(level=0, sort=False).sum()
        quantiles = pd.concat(self.quantiles)
        spread = quantiles.index.duplicated(keep=False)
        total = pd.DataFrame([self._quantiles()], index=["total"])
        lines = [scores(sums, quantiles[~spread]), scores(sums.groupby(lambda _: "total").sum(), total)]
        order = tuple(sorted(self.first_read, key=lambda name: self.first_read[name]))
        charted = {name: _summed_measure(parts) for name, parts in self.charted.items()}
        trends = trends_of(charted, order, self.limits)
        releases = pd.concat(self.releases).groupby(level=0, sort=False).sum()
        batches = pd.concat(lines, ignore_index=True)
        groups = batches.head(0).rename(columns={"batch": "value"})
        groups.insert(0, "column", "")
        tables = {
            **self._finished(),
            "sampling": self.draw.table(),
            "batches": batches,
            "groups": groups,
            "releases": release_table(releases, self.sequences, worsened(trends), self.allowed),
            "confidence": self.quality.reliability.table(),
            "coverage": self.quality.curve.table(),
        }
        built = Assessment(pd.DataFrame(), pd.DataFrame(), pd.DataFrame(), _NONE, self.quality, trends, {}, 0)
        tables |= {one.name: one.table(built) for one in SECTIONS if one.table and one.name == "trends"}
        findings = [*self.findings, *trend_findings(trends), *self._cuts(quantiles[spread])]
        return {one.name: tables[one.name] for one in SECTIONS if one.table}, trends, self.quality, findings

    def _finished(self) -> dict[str, pd.DataFrame]:
        found = {name: _as_texts(table) for name, table in self.tables.items()}
        chars, pairs = found["characters"].sort_values("character", ignore_index=True), found["confusions"]
        right, of = chars["right"].to_numpy(), chars["in_truth"].to_numpy()
        replaced = pairs[pairs["kind"] == "substituted"].drop_duplicates("truth").set_index("truth")["read"]
        chars = chars.assign(
            **rate_columns("accuracy", right, of),
            mostly_read_as=chars["character"].map(replaced).astype(object).fillna(""),
        )
        share = pairs["count"] / pairs["truth"].map(chars.set_index("character")["in_truth"])
        places = found["positions"].sort_values("position", ignore_index=True)
        fields = found["fields"]
        cer = fields["edits"] / fields["truth_chars"].where(fields["truth_chars"] > 0)
        return found | {
            "characters": chars,
            "confusions": pairs.assign(share_of_truth=share.astype(np.float64).round(6))[list(_CONFUSIONS)],
            "positions": places.assign(**rate_columns("accuracy", places["right"], places["in_truth"])),
            "fields": fields.assign(
                cer=cer.round(6), **rate_columns("accuracy", fields["right"], fields["known"])
            ),
        }

    def _quantiles(self) -> dict[str, float]:
        wanted = {f"{name}_p50": (f"{name}_p50", 0.5) for name in MEASURES}
        wanted |= {f"confidence_p{p}": ("confidence", q) for p, q in QUANTILES.items()}
        return {column: _quantile(self.values[name], q) for column, (name, q) in wanted.items()}

    def _cuts(self, spread: pd.DataFrame) -> Iterator[Finding]:
        for name in ("errors", "waiting", "unmatched"):
            if more := self.cut[name]:
                yield note(f"{name}.csv lists {LISTED:,} lines; {more:,} more are only counted.")
        if more := self.cut["findings"]:
            yield note(f"{more:,} more findings about single parts are not listed.")
        if names := spread.index.nunique():
            yield note(
                f"{names:,} batches have more than {PART:,} readings, or lie apart in the shards: their "
                "medians are left out, and their sequences are checked part by part."
            )


_CHARACTERS = ("characters", "confusions", "positions", "lengths")
_CONFUSIONS = ("kind", "truth", "read", "count", "share_of_truth", "example")
_EDITS = ("right", "substituted", "deleted", "inserted")
_SUMMED: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "characters": (("character",), ("in_truth", *_EDITS), ""),
    "confusions": (("truth", "read"), ("count",), "count"),
    "positions": (("position",), ("in_truth", *_EDITS), ""),
    "lengths": (("truth_length", "read_length"), ("images",), "images"),
    "fields": (("field",), (*FIGURES[1:], "edits", "truth_chars"), ""),
}
"""Of each table: the columns that name a line, those that are summed, and the one that orders it."""
_EMPTY = pd.DataFrame()
_NONE = CharacterTables(_EMPTY, _EMPTY, _EMPTY, _EMPTY, pd.Series(dtype=object))


def _summed(table: pd.DataFrame, keys: tuple[str, ...], sums: tuple[str, ...], by: str) -> pd.DataFrame:
    """Lines of equal keys as one; an example is that of the first."""
    how: dict[str, Any] = dict.fromkeys(sums, "sum")
    how |= {name: "first" for name in ("kind", "example") if name in table}
    merged = table.groupby(list(keys), sort=True, dropna=False).agg(how).reset_index()
    return merged.sort_values(by, ascending=False, kind="stable", ignore_index=True) if by else merged


def _as_texts(table: pd.DataFrame) -> pd.DataFrame:
    """A list of readings whose numbers are texts, as in readings.csv; what is missing is empty."""
    texts = {
        name: ["" if np.isnan(value) else f"{value:.6g}" for value in table[name]]
        for name in ("confidence", "weakest_position", "weakest_confidence")
        if name in table and table[name].dtype == np.float64
    }
    return table.assign(**texts)


def _summed_measure(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Counts of the parts of each batch, and the value of all: a share, or a mean weighted by the images."""
    table = pd.concat(parts)
    table["weighted"] = table["raw"].fillna(0) * table["total"]
    sums = table.groupby(level=0, sort=False)[["count", "total", "weighted"]].sum()
    return sums.assign(raw=sums["weighted"] / sums["total"].where(sums["total"] > 0))


def _merged_quality(one: ConfidenceQuality, other: ConfidenceQuality) -> ConfidenceQuality:
    return ConfidenceQuality(
        one.images + other.images,
        Reliability.merged([one.reliability, other.reliability]),
        RiskCoverage.merged([one.curve, other.curve]),
    )


def _quantile(counts: Mapping[float, int], q: float) -> float:
    """The quantile of values with their counts, interpolated as by numpy; nan without values."""
    if not counts:
        return float("nan")
    values = np.array(sorted(counts))
    ends = np.cumsum([counts[value] for value in values])
    place = q * (ends[-1] - 1)
    low, high = values[np.searchsorted(ends, [np.floor(place), np.ceil(place)], side="right")]
    return float(low + (high - low) * (place - np.floor(place)))


# --- reading the shards -----------------------------------------------------------------------------


def parts_of(results: Storage, fields: list[str], by: str | None) -> Iterator[pd.DataFrame]:
    """The readings in parts, as ``read_readings`` gives them, and the column ``truth`` of samples.

    Args:
        results: the folder of the shards.
        fields: names of the station's fields.
        by: column whose values are the batches; None keeps the folders.

    Raises:
        RecordsError: a shard cannot be read, or there is no column ``by``.
    """
    waiting: list[pd.DataFrame] = []
    names = {file.name for file in results.files()}
    for name in sorted(one for one in names if one.endswith(".parquet")):
        if f"{name.removesuffix('parquet')}json" in names:  # its marker
            waiting.append(_readings(results, name, fields, by))
        if sum(map(len, waiting)) >= PART:
            rows = pd.concat(waiting, ignore_index=True)
            last = rows["batch"].to_numpy() == rows["batch"].iloc[-1]
            cut = len(rows) if last.all() or len(rows) >= 2 * PART else int(np.flatnonzero(~last)[-1]) + 1
            yield rows.iloc[:cut].reset_index(drop=True)
            waiting = [rows.iloc[cut:]] if cut < len(rows) else []
    if waiting:
        yield pd.concat(waiting, ignore_index=True)


def _readings(results: Storage, name: str, fields: list[str], by: str | None) -> pd.DataFrame:
    from pyarrow import ArrowException, parquet

    try:
        with results.filesystem.open_input_file(results.path(name)) as file:
            shard = parquet.ParquetFile(file)
            there = [*_TEXTS, *MEASURES, *fields, TRUTH]
            there = [column for column in there if column in shard.schema_arrow.names]
            rows = shard.read(columns=there).to_pandas()
    except (OSError, ArrowException) as error:
        raise RecordsError(f"{results.url}/{name}: cannot be read: {error}. Read the shard again.") from None
    texts = [column for column in (*_TEXTS, *fields) if column in rows and rows[column].dtype != np.float64]
    rows[texts] = rows[texts].fillna("")
    rows = rows.assign(**{one: "" for one in _TEXTS if one not in rows})
    rows["mark_grade"] = rows["mark_grade"].map(POINTS).astype(np.float64)
    if by is not None:
        if by not in rows:
            raise RecordsError(f"--by {by}: no such column. Give one of {', '.join(READING_COLUMNS)}.")
        rows["batch"] = rows[by]
    renamed: pd.DataFrame = rows.rename(columns={one: f"{READ_AS}{one}" for one in fields})
    return renamed


class Truths:
    """The truths of the readings of each part: those of a table, by path, or the labels of samples."""

    def __init__(self, table: pd.DataFrame | None) -> None:
        self.table = table
        self.index = pd.Index(located(table["filename"])["path"] if table is not None else [])
        self.used = np.zeros(len(self.index), bool)
        self.given = table is not None
        self.matches = Matches()

    def paired(self, rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Readings with their truths, and what is unmatched."""
        labels = rows.pop(TRUTH) if TRUTH in rows else None
        if self.table is not None:
            wanted = self.index.isin(located(rows["image"])["path"])
            self.used |= wanted
            found = pair(rows, self.table[wanted].reset_index(drop=True))
            self.matches.add(found.matches)
            return found.rows, found.unmatched
        if labels is not None and labels.notna().any():
            self.given = True
            known = np.array([strict(text) != "" for text in labels.fillna("")])
            rows = rows.assign(
                truth=labels.fillna(""), known=known, why=np.where(known, "", "truth is empty"), label=""
            )
            return rows, without_truth(rows.head(0)).unmatched
        found = without_truth(rows)
        return found.rows, found.unmatched

    def unused(self) -> pd.DataFrame:
        """Truths without a reading, as lines of unmatched.csv; call it once, after all parts."""
        if self.table is None:
            return pd.DataFrame(columns=["side", "name", "text", "reason"])
        lines, left = truths_without_image(self.table[~self.used])
        self.matches.add(left)
        return lines

    def findings(self, fields: Collection[str]) -> list[Finding]:
        """Findings about the truths and their readings, those of an audit of all readings at once.

        Args:
            fields: names of the station's fields.
        """
        if self.table is None:
            return []
        strange = [] if "label" in fields else unknown_labels(self.table)
        return list(self.matches.findings([*conflicts(self.table), *strange]))
