"""Whether the batches, in their order, are still the same process; and what to do where they are not."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serialread.auditing.findings import Finding, counted, note, some, warning
from serialread.auditing.wording import percent
from serialread.errors import RecordsError
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

FEWEST = 8
"""Batches that limits of their own can be drawn from; frozen limits need none."""

STEADY = 20
"""Batches from which limits are firm; with fewer a note says that they are provisional."""

_MOST_FINDINGS = 5
"""Named one by one for each measure; trends.csv holds all."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure that is followed from batch to batch.

    Attributes:
        name: in trends.csv and in frozen limits.
        noun: in sentences.
        kind: a share of images, or a mean over them.
        worse: 1 if more is worse, -1 if less is.
        advice: what to look at where it got worse.
        hits: column of judged readings that is counted, or averaged.
        total: column that says out of which; "" for all.
    """

    name: str
    noun: str
    kind: Literal["share", "mean"]
    worse: Literal[1, -1]
    advice: str
    hits: str
    total: str = ""


MEASURES = (
    Measure("no_read", "no-read rate", "share", 1, "look at the mark, the lens and the light", "no_read"),
    Measure(
        "misread",
        "misread rate",
        "share",
        1,
        "hold these parts, read them by eye and look for what changed",
        "misread",
        "accepted_known",
    ),
    Measure(
        "misformed",
        "share of codes that fail their format",
        "share",
        1,
        "look at the marking machine's data",
        "misformed",
        "verdicts",
    ),
    Measure("confidence", "mean confidence", "mean", -1, "look at the mark, the lens and the light", "sure"),
    Measure(
        "contrast", "mean contrast", "mean", -1, "look at the light and the depth of the mark", "contrast"
    ),
    Measure(
        "mark_grade",
        "mean mark grade",
        "mean",
        -1,
        "look at the marker's tool and force; batches.csv shows which part of the grade fell",
        "mark_grade",
    ),
    Measure(
        "text_height_px",
        "mean text height",
        "mean",
        -1,
        "look at the camera's distance and the character height of the marker",
        "text_height_px",
    ),
)
"""In the order of their findings."""


@dataclass(frozen=True, slots=True, eq=False)
class Trend:
    """One measure over the batches, oldest first.

    Attributes:
        measure: what is followed.
        batches: those that have the figure, [K].
        count: hits of a share; images of a mean, [K].
        total: images that count, [K].
        raw: the batch's own share or mean, [K].
        chart: the figure between its limits; of a mean, the moving average.
        signals: in words what is out, "" where nothing is, [K].
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


def follow(
    judged: pd.DataFrame, order: Sequence[str], frozen: dict[str, ControlLimits] | None
) -> tuple[Trend, ...]:
    """Chart every measure that two batches have.

    Args:
        judged: judged readings.
        order: all batches, oldest first.
        frozen: limits by the measures' names; None draws them from these batches.
    """
    trends = (_trend(measure, judged, order, frozen) for measure in MEASURES)
    return tuple(trend for trend in trends if trend is not None)


def trend_findings(trends: Sequence[Trend]) -> Iterator[Finding]:
    """What left its limits, in plain words; without frozen limits only if there are ``FEWEST`` batches."""
    young = [trend for trend in trends if not trend.frozen and FEWEST <= len(trend.batches) < STEADY]
    if young:
        most = max(len(trend.batches) for trend in young)
        yield note(f"Control limits come from {most} batches: provisional until there are {STEADY}.")
    for trend in trends:
        if trend.frozen or len(trend.batches) >= FEWEST:
            yield from _trend_findings(trend)


def trends_table(trends: Sequence[Trend]) -> pd.DataFrame:
    """One line a measure and batch."""
    columns = ["measure", "batch", "order", "count", "images", "value", "charted"]
    columns += ["centre", "low", "high", "sigma", "signal"]
    parts = [
        pd.DataFrame(
            {
                "measure": trend.measure.name,
                "batch": trend.batches,
                "order": np.arange(1, len(trend.batches) + 1),
                "count": trend.count,
                "images": trend.total,
                "value": trend.raw.round(6),
                "charted": trend.chart.value.round(6),
                "centre": round(trend.chart.limits.centre, 6),
                "low": trend.chart.low.round(6),
                "high": trend.chart.high.round(6),
                "sigma": round(trend.chart.limits.sigma, 6),
                "signal": trend.signals,
            }
        )
        for trend in trends
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def freeze(trends: Sequence[Trend], path: Path) -> None:
    """Write the limits of these batches, for later audits to be held against.

    Raises:
        RecordsError: too few batches, or a file that cannot be written.
    """
    firm = [trend for trend in trends if len(trend.batches) >= FEWEST]
    if not firm:
        most = max((len(trend.batches) for trend in trends), default=0)
        raise RecordsError(
            f"{path}: limits need {FEWEST} batches, here are {most}. Audit more of them together."
        )
    text = json.dumps({trend.measure.name: asdict(trend.chart.limits) for trend in firm}, indent=1)
    try:
        path.write_text(text + "\n", encoding="utf-8", newline="\n")
    except OSError as error:
        raise RecordsError(f"{path}: cannot be written: {error.strerror}. Name another file.") from None


def read_frozen(path: Path) -> dict[str, ControlLimits]:
    """Read limits that ``freeze`` wrote.

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
        raise RecordsError(f"{path}: cannot be read: {error.strerror}. Make it: audit --freeze.") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise RecordsError(f"{path}: holds no frozen limits. Make it: audit --freeze.") from None
    return limits


def _trend(
    measure: Measure, judged: pd.DataFrame, order: Sequence[str], frozen: dict[str, ControlLimits] | None
) -> Trend | None:
    table = _per_batch(measure, judged).reindex(list(order)).dropna()
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


def _per_batch(measure: Measure, judged: pd.DataFrame) -> pd.DataFrame:
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
    said = []
    if out:
        said.append("above the limit" if out > 0 else "below the limit")
    if side:
        said.append(f"{RUN} in a row {'above' if side > 0 else 'below'} the centre")
    if rise:
        said.append(f"{RISE} in a row {'rising' if rise > 0 else 'falling'}")
    return ", ".join(said)


def _trend_findings(trend: Trend) -> Iterator[Finding]:
    chart, measure = trend.chart, trend.measure
    worse = np.flatnonzero(chart.out == measure.worse)
    for i in worse[:_MOST_FINDINGS]:
        yield warning(f"{_sentence(trend, int(i))}: {measure.advice}.")
    if len(worse) > _MOST_FINDINGS:
        more = counted(len(worse) - _MOST_FINDINGS, "more batch", "more batches")
        yield warning(f"{measure.noun}: {more} beyond the limit: see trends.csv.")
    better = [trend.batches[i] for i in np.flatnonzero(chart.out == -measure.worse)]
    if better:
        yield note(f"{measure.noun} is beyond its other limit in {some(better)}: find out what went well.")
    side, rise = runs(trend.raw, chart.limits.centre), rises(trend.raw)
    for found, length, how in ((side, RUN, "on the wrong side of the mean"), (rise, RISE, "ever worse")):
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
