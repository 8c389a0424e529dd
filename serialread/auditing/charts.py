"""Charts as inline SVG; their colours are CSS variables of the page, so that they follow light and dark mode.

A chart takes 1 to 5 kB and no time, has tooltips, and a label for screen readers. A plotting library would
take ten times as much and could do neither.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

import pandas as pd

from serialread.auditing.trends import Trend
from serialread.auditing.wording import percent

Point = tuple[float, float]
Span = tuple[float, float]

WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 12, 40
_TICKS = 5

MOST_CELLS = 16
"""Rows and columns of the confusion chart, for the most frequent confusions."""


@dataclass(slots=True)
class Plot:
    """A frame with two axes; ``svg`` gives the finished drawing."""

    x: Span
    y: Span
    parts: list[str] = field(default_factory=list)

    def at(self, point: Point) -> Point:
        """Position of a value, in px of the drawing."""
        (x0, x1), (y0, y1) = self.x, self.y
        across = (point[0] - x0) / ((x1 - x0) or 1)
        up = (point[1] - y0) / ((y1 - y0) or 1)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    def line(self, points: Iterable[Point], kind: str) -> None:
        """A line through values; ``kind`` is its class in the style sheet."""
        places = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(self.at, points))
        self.parts.append(f'<polyline class="{kind}" points="{places}"/>')

    def dot(self, point: Point, words: str, kind: str = "dot") -> None:
        """A dot with a tooltip."""
        x, y = self.at(point)
        self.parts.append(
            f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="3.5">'
            f"<title>{escape(words)}</title></circle>"
        )

    def text(self, x: float, y: float, words: str, anchor: str = "middle") -> None:
        """Text at a position in px."""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>')

    def axes(self, x_name: str, y_name: str, *, x_ticks: Sequence[tuple[float, str]] = ()) -> None:
        """Grid lines and labels; shares are in per cent."""
        across = x_ticks or [(value, _tick(value, self.x)) for value in ticks(self.x)]
        for value, words in across:
            x, y = self.at((value, self.y[0]))
            self.text(x, y + 15, words)
        for value in ticks(self.y):
            x, y = self.at((self.x[0], value))
            self.parts.append(
                f'<line class="grid" x1="{x:.1f}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
            self.text(x - 6, y + 4, _tick(value, self.y), "end")
        self.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, x_name)
        self.parts.append(
            f'<text transform="translate(13 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">'
            f"{escape(y_name)}</text>"
        )

    def svg(self, title: str) -> str:
        """The finished drawing; ``title`` is its label for screen readers."""
        inside = "".join(self.parts)
        return (
            f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
            f"{inside}</svg>"
        )


def ticks(span: Span) -> list[float]:
    """Round values within a range, about ``_TICKS`` of them."""
    low, high = span
    if not high > low:
        return [low]
    raw = (high - low) / _TICKS
    unit = 10 ** math.floor(math.log10(raw))
    step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _tick(value: float, span: Span) -> str:
    if span[0] >= 0 and span[1] <= 1 + 1e-9:
        return f"{100 * value:.4g} %"
    return f"{value:.6g}"


def reliability_chart(bins: pd.DataFrame) -> str:
    """Accuracy against confidence, with Wilson intervals; on the diagonal the confidence is calibrated."""
    plot = Plot((0, 1), (0, 1))
    plot.axes("mean confidence of the bin", "accuracy")
    plot.line([(0, 0), (1, 1)], "guide")
    for row in bins[bins["images"] > 0].to_dict("records"):
        plot.line(
            [(row["mean_confidence"], row["accuracy_low"]), (row["mean_confidence"], row["accuracy_high"])],
            "interval",
        )
        words = f"{row['right']:,} of {row['images']:,} right, {percent(row['accuracy'])} %"
        plot.dot((row["mean_confidence"], row["accuracy"]), words)
    return plot.svg("Reliability: accuracy against mean confidence")


def coverage_chart(curve: pd.DataFrame) -> str:
    """Risk against coverage, over falling thresholds."""
    plot = Plot((0, 1), (0, max(0.01, min(1.0, 1.15 * float(curve["risk"].max())))))
    plot.axes("coverage: share of images kept", "risk: share of these wrong")
    plot.line(zip(curve["coverage"], curve["risk"], strict=True), "main")
    for row in curve.iloc[:: max(1, len(curve) // 40)].to_dict("records"):
        words = f"confidence from {row['threshold']}: {row['kept']:,} kept, {row['wrong']:,} wrong"
        plot.dot((row["coverage"], row["risk"]), words)
    return plot.svg("Risk against coverage")


def positions_chart(positions: pd.DataFrame) -> str:
    """Accuracy of the characters at each position, with Wilson intervals."""
    positions = positions[positions["in_truth"] > 0]
    least = float(positions["accuracy_low"].min())
    plot = Plot((0.5, len(positions) + 0.5), (max(0.0, math.floor(10 * least) / 10), 1.0))
    plot.axes("position in the truth", "accuracy", x_ticks=[(p, str(p)) for p in positions["position"]])
    for row in positions.to_dict("records"):
        plot.line(
            [(row["position"], row["accuracy_low"]), (row["position"], row["accuracy_high"])], "interval"
        )
        plot.dot(
            (row["position"], row["accuracy"]),
            f"place {row['position']}: {row['right']:,} of {row['in_truth']:,}",
        )
    return plot.svg("Accuracy of characters by their place in the code")


def trend_chart(trend: Trend) -> str:
    """A measure over the batches with its control limits; batches out of control are highlighted."""
    chart, count = trend.chart, len(trend.batches)
    values = [*trend.raw, *chart.value, *chart.low, *chart.high, chart.limits.centre]
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) or 0.05 * (abs(high) or 1)
    top = min(1.0, high + margin) if trend.measure.kind == "share" else high + margin
    plot = Plot((0.5, count + 0.5), (max(0.0, low - margin) if low >= 0 else low - margin, top))
    every = max(1, math.ceil(count / 12))
    names = [(i + 1, _short(trend.batches[i])) for i in range(0, count, every)]
    plot.axes("batches, oldest first", trend.measure.noun, x_ticks=names)
    for kind, side in (("limit", chart.low), ("limit", chart.high), ("guide", [chart.limits.centre] * count)):
        plot.line(zip(range(1, count + 1), side, strict=True), kind)
    plot.line(zip(range(1, count + 1), chart.value, strict=True), "main")
    for i, name in enumerate(trend.batches):
        words = f"{name}: {trend.raw[i]:.4g} ({trend.total[i]:,} images) {trend.signals[i]}".strip()
        plot.dot((i + 1, trend.raw[i]), words, "out" if chart.out[i] else "dot")
    return plot.svg(f"{trend.measure.noun} of each batch between its control limits")


def confusion_chart(confusions: pd.DataFrame) -> str:
    """Truths as rows, readings as columns; the most frequent confusions, the darker the more frequent."""
    rows, columns = _involved(confusions)
    counts = {(t, r): n for t, r, n in confusions[["truth", "read", "count"]].itertuples(index=False)}
    most, size = max(counts.values()), 26
    width, height = 96 + size * len(columns), 40 + size * len(rows)
    parts = ['<text x="4" y="14">truth ↓ read as →</text>']
    for j, read in enumerate(columns):
        parts.append(_label(96 + size * (j + 0.5), 34, read or "deleted", "middle"))
    for i, truth in enumerate(rows):
        parts.append(_label(90, 40 + size * (i + 0.68), truth or "inserted", "end"))
        for j, read in enumerate(columns):
            count = counts.get((truth, read), 0)
            words = f"{count:,} times {_named(truth, read)}"
            shade = f"{0.12 + 0.88 * count / most:.2f}" if count else "0.03"
            parts.append(
                f'<rect class="cell" x="{96 + size * j}" y="{40 + size * i}" width="{size - 2}" '
                f'height="{size - 2}" fill-opacity="{shade}"><title>{escape(words)}</title></rect>'
            )
    return (
        f'<svg class="chart" viewBox="0 0 {width} {height}" style="max-width:{width}px" role="img" '
        f'aria-label="Confused characters">{"".join(parts)}</svg>'
    )


def _involved(confusions: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Truths and readings of the most frequent pairs, in the order of their code points; "" last."""
    rows: set[str] = set()
    columns: set[str] = set()
    for truth, read in confusions[["truth", "read"]].itertuples(index=False):
        if len(rows | {truth}) <= MOST_CELLS and len(columns | {read}) <= MOST_CELLS:
            rows.add(truth)
            columns.add(read)
    return _last_empty(rows), _last_empty(columns)


def _last_empty(chars: set[str]) -> list[str]:
    return sorted(chars, key=lambda char: (char == "", char))


def _named(truth: str, read: str) -> str:
    if not truth:
        return f"{read} inserted"
    return f"{truth} read as {read}" if read else f"{truth} deleted"


def _label(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _short(name: str) -> str:
    return name if len(name) <= 9 else name[:4] + "…" + name[-4:]
