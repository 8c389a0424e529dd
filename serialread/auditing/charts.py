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
from serialread.metrics import Interval

Point = tuple[float, float]
Span = tuple[float, float]

LEFT, RIGHT, TOP = 62, 14, 12

MOST_CELLS = 16
"""Rows and columns of the confusion chart, for the most frequent confusions."""


@dataclass(slots=True)
class Plot:
    """A frame with two axes; ``svg`` gives the finished drawing.

    Attributes:
        x: range of the values across.
        y: range of the values up.
        size: width and height in px.
        bottom: room for the labels below, in px.
        ticks: about as many labels on an axis.
    """

    x: Span
    y: Span
    size: tuple[int, int] = (480, 230)
    bottom: int = 40
    ticks: int = 5
    parts: list[str] = field(default_factory=list)

    def at(self, point: Point) -> Point:
        """Position of a value, in px of the drawing."""
        (x0, x1), (y0, y1) = self.x, self.y
        across = (point[0] - x0) / ((x1 - x0) or 1)
        up = (point[1] - y0) / ((y1 - y0) or 1)
        width, height = self.size
        return LEFT + across * (width - LEFT - RIGHT), height - self.bottom - up * (
            height - TOP - self.bottom
        )

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
        width, height = self.size
        across = x_ticks or [(value, _tick(value, self.x)) for value in ticks(self.x, self.ticks)]
        for number, (value, words) in enumerate(across):
            x, y = self.at((value, self.y[0]))
            last = len(words) > 4 and number == len(across) - 1 > 0
            self.text(min(x, width - 2) if last else x, y + 15, words, "end" if last else "middle")
        for value in ticks(self.y, self.ticks):
            x, y = self.at((self.x[0], value))
            self.parts.append(
                f'<line class="grid" x1="{x:.1f}" x2="{width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
            self.text(x - 6, y + 4, _tick(value, self.y), "end")
        if x_name:
            self.text((LEFT + width - RIGHT) / 2, height - 6, x_name)
        if y_name:
            middle = (TOP + height - self.bottom) / 2
            self.parts.append(
                f'<text transform="translate(13 {middle}) rotate(-90)" text-anchor="middle">'
                f"{escape(y_name)}</text>"
            )

    def svg(self, title: str) -> str:
        """The finished drawing; ``title`` is its label for screen readers."""
        inside, (width, height) = "".join(self.parts), self.size
        return (
            f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
            f"{inside}</svg>"
        )


def ticks(span: Span, count: int = 5) -> list[float]:
    """Round values within a range, about ``count`` of them."""
    low, high = span
    if not high > low:
        return [low]
    raw = (high - low) / count
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
    every = max(1, math.ceil(len(positions) / 20))
    labels = [(p, str(p)) for p in positions["position"][::every]]
    plot.axes("position in the truth", "accuracy", x_ticks=labels)
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
    span = (max(0.0, low - margin) if low >= 0 else low - margin, top)
    plot = Plot((0.5, count + 0.5), span, size=(320, 130), bottom=22, ticks=4)
    ends = sorted({1, count})
    plot.axes("", "", x_ticks=[(end, _short(trend.batches[end - 1])) for end in ends])
    dots = "dot" if trend.measure.kind == "share" else "faint"  # the limits are not for them
    for kind, side in (("limit", chart.low), ("limit", chart.high), ("guide", [chart.limits.centre] * count)):
        plot.line(zip(range(1, count + 1), side, strict=True), kind)
    plot.line(zip(range(1, count + 1), chart.value, strict=True), "main")
    for i, name in enumerate(trend.batches):
        words = f"{name}: {trend.raw[i]:.4g} ({trend.total[i]:,} images) {trend.signals[i]}".strip()
        plot.dot((i + 1, trend.raw[i]), words, "out" if chart.out[i] else dots)
    return plot.svg(f"{trend.measure.noun} of each batch between its control limits")


def interval_chart(lines: Sequence[tuple[str, float, Interval]], title: str) -> str:
    """Shares with their intervals, one below the other."""
    least = min((low for _, share, (low, _) in lines if not math.isnan(share)), default=0.0)
    left, width, step = 150, 480, 34
    low, height = max(0.0, math.floor(10 * least) / 10), step * len(lines) + 26

    def x(share: float) -> float:
        return left + (share - low) / ((1 - low) or 1) * (width - left - 20)

    parts = [
        f'<line class="grid" x1="{x(value):.1f}" x2="{x(value):.1f}" y1="4" y2="{height - 22}"/>'
        + _label(x(value), height - 6, f"{100 * value:.4g} %", "middle")
        for value in ticks((low, 1.0))
    ]
    for number, (name, share, (first, last)) in enumerate(lines):
        y = step * (number + 0.5) + 4
        parts.append(_label(left - 10, y + 4, _short(name), "end"))
        if not math.isnan(share):
            words = f"{name}: {percent(share)} % ({percent(first)} to {percent(last)})"
            parts.append(
                f'<line class="interval" x1="{x(first):.1f}" x2="{x(last):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<circle class="dot" cx="{x(share):.1f}" cy="{y:.1f}" r="5">'
                f"<title>{escape(words)}</title></circle>"
            )
    return (
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def confusion_chart(confusions: pd.DataFrame) -> str:
    """Truths as rows, readings as columns; the most frequent confusions, the darker the more frequent."""
    rows, columns = _involved(confusions)
    counts = {(t, r): n for t, r, n in confusions[["truth", "read", "count"]].itertuples(index=False)}
    most, size = max(counts.values()), 26
    width, height = 96 + size * len(columns), 40 + size * len(rows)
    parts = ['<text x="4" y="14">truth ↓ read as →</text>']
    for j, read in enumerate(columns):
        parts.append(_label(96 + size * (j + 0.5), 34, read or "none", "middle"))
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
    return name if len(name) <= 18 else name[:17] + "…"
