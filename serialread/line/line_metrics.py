"""What Prometheus scrapes from a line: counts, latencies, queues, and drift of confidence and mark grades."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from serialread.line.events import Result
from serialread.line.ports import LineHealth
from serialread.records import GRADES, Record

LATENCIES_S = (0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0)
CONFIDENCES = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0)
DRIFT_WEIGHT = 0.02
"""Weight of the newest reading in the moving averages: about the last fifty readings."""


class LineMetrics:
    """The metrics of one line; names begin with ``serialread_``."""

    def __init__(self, health: Callable[[], LineHealth]) -> None:
        """Make the metrics.

        Args:
            health: asks for queues and sinks when Prometheus scrapes.
        """
        self._health = health
        self._registry = registry = CollectorRegistry()
        station = ("station",)
        self._results = Counter(
            "serialread_results", "Results by outcome.", ("station", "outcome"), registry=registry
        )
        self._decisions = Counter(
            "serialread_decisions", "Readings by decision.", ("station", "decision"), registry=registry
        )
        self._latency = Histogram(
            "serialread_latency_seconds",
            "Time from the acceptance of a trigger to its result.",
            station,
            buckets=LATENCIES_S,
            registry=registry,
        )
        self._confidence = Histogram(
            "serialread_confidence", "Confidences.", station, buckets=CONFIDENCES, registry=registry
        )
        self._grades = Counter(
            "serialread_mark_grades", "Marks by grade.", ("station", "grade"), registry=registry
        )
        self._mean_confidence = Gauge(
            "serialread_confidence_recent", "Moving average of the confidence.", station, registry=registry
        )
        self._mean_grade = Gauge(
            "serialread_mark_grade_recent",
            "Moving average of the mark grade, 4 (A) to 0 (F).",
            station,
            registry=registry,
        )
        self._recent: dict[tuple[str, str], float] = {}
        registry.register(self)

    def observe(self, result: Result, record: Record) -> None:
        """Count a result."""
        station = result.station
        self._results.labels(station, result.outcome).inc()
        self._decisions.labels(station, record.decision).inc()
        self._latency.labels(station).observe(result.latency_s)
        if record.confidence is not None:
            self._confidence.labels(station).observe(record.confidence)
            self._mean_confidence.labels(station).set(self._moved(station, "confidence", record.confidence))
        if record.quality:
            self._grades.labels(station, record.quality.grade).inc()
            points = len(GRADES) - 1 - GRADES.index(record.quality.grade)
            self._mean_grade.labels(station).set(self._moved(station, "grade", points))

    def collect(self) -> Iterator[Metric]:
        """Queues and sinks, as they are now."""
        health = self._health()
        yield _gauge(
            "serialread_queue", "Triggers that wait.", "station", health.stations, lambda one: one.waiting
        )
        yield _gauge(
            "serialread_spool", "Results that wait for a sink.", "sink", health.sinks, lambda one: one.waiting
        )
        yield _gauge(
            "serialread_sink_up", "1 if the sink takes results.", "sink", health.sinks, lambda o: not o.error
        )
        yield GaugeMetricFamily("serialread_problems", "Sources that do not work.", len(health.problems))

    def describe(self) -> Iterator[Metric]:
        """Nothing: the line may not run yet when this is registered."""
        return iter(())

    def exposition(self) -> bytes:
        """All metrics in the text format of Prometheus."""
        return generate_latest(self._registry)

    def _moved(self, station: str, name: str, value: float) -> float:
        mean = self._recent.get((station, name), value)
        self._recent[station, name] = mean = mean + DRIFT_WEIGHT * (value - mean)
        return mean


def _gauge(
    name: str, text: str, label: str, states: object, value: Callable[..., float]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, state in dict(states).items():  # type: ignore[call-overload]
        family.add_metric([key], float(value(state)))
    return family
