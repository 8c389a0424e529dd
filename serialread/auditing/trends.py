"""Control charts over the batches: whether the process is stable, and what to do where it is not."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serialread.auditing.wording import Finding, counted, first_names, note, percent, warning
from serialread.errors import RecordsError, writing_errors
from serialread.metrics.control_charts import (
    RISE,
    RUN,
    Chart,
    ControlLimits,
    ewma_chart,
    mean_limits,
    rises,
    runs,
    share_chart,
    share_limits,
)

MIN_BATCHES = 8
"""Batches from which control limits can be computed; frozen limits need none."""

STABLE_BATCHES = 20
"""Batches from which the limits are reliable; with fewer a note says that they are provisional."""

_MAX_FINDINGS = 5
"""Findings listed for each measure; trends.csv holds all."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure that is charted from batch to batch.

    Attributes:
        name: in trends.csv and in frozen limits.
        noun: in sentences.
        kind: a share of images, or a mean over them.
        worse: 1 if higher is worse, -1 if lower is.
        advice: what to check where it got worse.
        hits: column of judged readings that is counted, or averaged.
        total: column that gives the denominator of a share; "" for all images.
    """

    name: str
    noun: str
    kind: Literal["share", "mean"]
    worse: Literal[1, -1]
    advice: str
    hits: str
    total: str = ""


_OPTICS = "check the mark, the lens and the light"
_HOLD = "hold these parts, read them by eye and find out what changed"
_DATA = "check the data of the marking machine"
_LIGHT = "check the light and the depth of the mark"
_TOOL = "check the tool and the force of the marking machine; batches.csv shows which part of the grade fell"
_HEIGHT = "check the distance of the camera and the character height of the marking machine"
_FORMAT = "share of codes that fail their format"

MEASURES = (
    Measure("no_read", "no-read rate", "share", 1, _OPTICS, "no_read"),
    Measure("misread", "misread rate", "share", 1, _HOLD, "misread", "accepted_known"),
    Measure("format_failed", _FORMAT, "share", 1, _DATA, "format_failed", "format_checked"),
    Measure("confidence", "mean confidence", "mean", -1, _OPTICS, "confidence_value"),
    Measure("contrast", "mean contrast", "mean", -1, _LIGHT, "contrast"),
    Measure("mark_grade", "mean mark grade", "mean", -1, _TOOL, "mark_grade"),
    Measure("text_height_px", "mean text height", "mean", -1, _HEIGHT, "text_height_px"),
)
"""Every measure, in the order of the findings."""


@dataclass(frozen=True, slots=True, eq=False)
class Trend:
    """One measure over the batches, oldest first.

    Attributes:
        batches: those for which it is defined, [K].
        count: numerators of a share; images of a mean, [K].
        total: images that count, [K].
        raw: the share or mean of each batch, [K].
        chart: the charted value and its limits; for a mean, the moving average.
        signals: the rules that each batch violates, in words, "" for none, [K].
        frozen: whether the limits were given.
    """

    measure: Measure
    batches: tuple[str, ...]
    count: NDArray[np.int64]
    total: NDArray[np.int64]
    raw: NDArray[np.float64]
    chart: Chart
    signals: tuple[str, ...]
    frozen: bool

    @property
    def is_judged(self) -> bool:
        """Whether limits can be exceeded: they were given, or come from enough batches."""
        return self.frozen or len(self.batches) >= MIN_BATCHES

    def table(self) -> pd.DataFrame:
        """One line per batch: the columns of trends.csv."""
        limits = self.chart.limits
        return pd.DataFrame(
            {
                "measure": self.measure.name,
                "batch": self.batches,
                "order": np.arange(1, len(self.batches) + 1),
                "count": self.count,
                "images": self.total,
                "value": self.raw.round(6),
                "charted": self.chart.value.round(6),
                "centre": round(limits.centre, 6),
                "low": self.chart.low.round(6),
                "high": self.chart.high.round(6),
                "sigma": round(limits.sigma, 6),
                "signal": self.signals,
            }
        )


def compute_trends(
    judged: pd.DataFrame, order: Sequence[str], frozen: dict[str, ControlLimits] | None
) -> tuple[Trend, ...]:
    """Chart every measure that is defined for two batches or more.

    Args:
        judged: judged readings.
        order: all batches, oldest first.
        frozen: limits by the names of the measures; None computes them from these batches.
    """
    return trends_of({measure.name: per_batch(measure, judged) for measure in MEASURES}, order, frozen)


def trends_of(
    tables: Mapping[str, pd.DataFrame], order: Sequence[str], frozen: dict[str, ControlLimits] | None
) -> tuple[Trend, ...]:
    """The same, from what ``per_batch`` gives for each measure, by its name."""
    trends = (_trend(measure, tables[measure.name], order, frozen) for measure in MEASURES)
    return tuple(trend for trend in trends if trend is not None)


def trend_findings(trends: Sequence[Trend]) -> Iterator[Finding]:
    """What is out of control; without frozen limits only if there are ``MIN_BATCHES`` batches."""
    young = [
        trend for trend in trends if not trend.frozen and MIN_BATCHES <= len(trend.batches) < STABLE_BATCHES
    ]
    if young:
        most = max(len(trend.batches) for trend in young)
        yield note(f"Control limits come from {most} batches: provisional until there are {STABLE_BATCHES}.")
    for trend in trends:
        if trend.is_judged:
            yield from _trend_findings(trend)


def worsened(trends: Sequence[Trend]) -> dict[str, list[str]]:
    """The batches in which a measure is out of control for the worse: which, and what to check."""
    found: dict[str, list[str]] = {}
    for trend in trends:
        measure = trend.measure
        if trend.is_judged and measure.name != "misread":  # a misread counts by itself
            side = "above" if measure.worse > 0 else "below"
            for i in np.flatnonzero(trend.chart.out == measure.worse):
                words = f"{measure.noun} {side} its limit ({measure.advice.partition(';')[0]})"
                found.setdefault(trend.batches[i], []).append(words)
    return found


def freeze_limits(trends: Sequence[Trend], path: Path) -> None:
    """Write the control limits of these batches, as a baseline for later audits.

    Raises:
        RecordsError: too few batches, or a file that cannot be written.
    """
    firm = [trend for trend in trends if len(trend.batches) >= MIN_BATCHES]
    if not firm:
        most = max((len(trend.batches) for trend in trends), default=0)
        raise RecordsError(
            f"{path}: control limits need {MIN_BATCHES} batches, here are {most}. "
            "Audit more batches together."
        )
    text = json.dumps({trend.measure.name: asdict(trend.chart.limits) for trend in firm}, indent=1)
    with writing_errors(path, RecordsError, "Name another file."):
        path.write_text(text + "\n", encoding="utf-8", newline="\n")


def read_limits(path: Path) -> dict[str, ControlLimits]:
    """Read control limits that ``freeze_limits`` wrote.

    Raises:
        RecordsError: no such file, or no limits in it.
    """
    kinds = {measure.name: measure.kind for measure in MEASURES}
    try:
        limits = {
            name: ControlLimits(**cells)
            for name, cells in json.loads(path.read_text(encoding="utf-8")).items()
        }
        for name, each in limits.items():
            if kinds[name] != each.kind or not (math.isfinite(each.centre) and each.sigma >= 0):
                raise ValueError
    except OSError as error:
        raise RecordsError(
            f"{path}: cannot be read: {error.strerror}. Write one: serialread audit --freeze FILE."
        ) from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise RecordsError(
            f"{path}: no control limits in it. Write one: serialread audit --freeze FILE."
        ) from None
    return limits


def _trend(
    measure: Measure, table: pd.DataFrame, order: Sequence[str], frozen: dict[str, ControlLimits] | None
) -> Trend | None:
    table = table.reindex(list(order)).dropna()
    table = table[table["total"] > 0]
    limits = (frozen or {}).get(measure.name)
    if len(table) < (1 if limits else 2):
        return None
    count, total = table["count"].to_numpy(np.int64), table["total"].to_numpy(np.int64)
    raw = table["raw"].to_numpy(np.float64)
    if measure.kind == "share":
        chart = share_chart(count, total, limits or share_limits(count, total))
    else:
        chart = ewma_chart(raw, limits or mean_limits(raw))
    batches = tuple(table.index)
    return Trend(measure, batches, count, total, raw, chart, _signals(chart, raw), limits is not None)


def per_batch(measure: Measure, judged: pd.DataFrame) -> pd.DataFrame:
    """Numerator ``count``, denominator ``total`` and value ``raw`` of a measure in each batch."""
    by = judged["batch"]
    if measure.kind == "share":
        out_of = judged[measure.total] if measure.total else pd.Series(True, index=judged.index)
        total = out_of.groupby(by, sort=False).sum()
        count = judged[measure.hits].groupby(by, sort=False).sum()
        return pd.DataFrame({"count": count, "total": total, "raw": count / total.where(total > 0)})
    seen = judged[measure.hits].where(judged["read"]).groupby(by, sort=False)
    return pd.DataFrame({"count": seen.count(), "total": seen.count(), "raw": seen.mean()})


def _signals(chart: Chart, raw: NDArray[np.float64]) -> tuple[str, ...]:
    side, rise = runs(raw, chart.limits.centre), rises(raw)
    return tuple(map(_signal, chart.out.tolist(), side.tolist(), rise.tolist()))


def _signal(out: int, side: int, rise: int) -> str:
    rules = []
    if out:
        rules.append("above the limit" if out > 0 else "below the limit")
    if side:
        rules.append(f"{RUN} in a row {'above' if side > 0 else 'below'} the centre")
    if rise:
        rules.append(f"{RISE} in a row {'rising' if rise > 0 else 'falling'}")
    return ", ".join(rules)


def _trend_findings(trend: Trend) -> Iterator[Finding]:
    chart, measure = trend.chart, trend.measure
    worse = np.flatnonzero(chart.out == measure.worse)
    for i in worse[:_MAX_FINDINGS]:
        yield warning(f"{_sentence(trend, int(i))}: {measure.advice}.")
    if len(worse) > _MAX_FINDINGS:
        more = counted(len(worse) - _MAX_FINDINGS, "more batch", "more batches")
        yield warning(f"{measure.noun}: {more} beyond the limit: see trends.csv.")
    better = [trend.batches[i] for i in np.flatnonzero(chart.out == -measure.worse)]
    if better:
        yield note(f"{measure.noun} is better than its other limit in {first_names(better)}: find out why.")
    side, rise = runs(trend.raw, chart.limits.centre), rises(trend.raw)
    for found, length, how in (
        (side, RUN, "on the wrong side of the mean"),
        (rise, RISE, "each worse than the one before"),
    ):
        first = np.flatnonzero(found == measure.worse)
        if len(first):
            names = f"{trend.batches[first[0] - length + 1]} to {trend.batches[first[0]]}"
            yield warning(f"{measure.noun}: {length} batches in a row {how} ({names}): {measure.advice}.")


def _sentence(trend: Trend, i: int) -> str:
    chart, measure, name = trend.chart, trend.measure, trend.batches[i] or "(no batch)"
    over = "above" if chart.out[i] > 0 else "below"
    limit = chart.high[i] if chart.out[i] > 0 else chart.low[i]
    if measure.kind == "share":
        counts = f"{trend.count[i]:,} of {trend.total[i]:,}"
        return (
            f"batch {name}: {measure.noun} {percent(chart.value[i])} % ({counts}) is {over} the limit "
            f"{percent(limit)} %"
        )
    average = f"moving average {chart.value[i]:.4g}"
    return f"batch {name}: {measure.noun} {trend.raw[i]:.4g}, {average}, is {over} the limit {limit:.4g}"
