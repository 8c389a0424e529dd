"""Calibrate the confidence at a station, and find the acceptance threshold that keeps a misread guarantee.

Learn then test (Angelopoulos et al., arXiv 2110.01052): thresholds are tested in sequence, from strict to
lax, each by an exact binomial test, up to the first that fails; the last one that passed keeps the guarantee.
The readings above a threshold are independent trials of its misread rate. Thresholds are placed at ranks of
the labelled readings; for the certainty to hold, readings of higher confidence must not be wrong more often.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import bdtr, expit, logit

from serialread.calibration.station_files import (
    CalibratedStation,
    LabelledPictures,
    StationSource,
    load_labelled,
    load_station,
)
from serialread.config import Calibration, Station
from serialread.errors import CalibrationError
from serialread.metrics import mpsc, strict
from serialread.metrics.sampling_plans import pictures_needed
from serialread.reader import Reader, calibrated, log_odds
from serialread.records import Record

ProtocolName = Literal["strict", "mpsc"]

_MIN_SLOPE = 1e-9
"""Keeps the order of the readings where the labels say that confidence means nothing, or the contrary."""


class Track(Protocol):
    """Passes records on and shows the progress, such as ``tqdm.tqdm``."""

    def __call__(self, records: Iterable[Record], /, *, total: int) -> Iterable[Record]:
        """Pass on ``total`` records."""


def calibrate_confidence(
    labelled: str | Path,
    misread: float,
    station: StationSource = None,
    model: str | Path | None = None,
    *,
    protocol: ProtocolName = "strict",
    certainty: float = 0.95,
    track: Track | None = None,
) -> CalibratedStation:
    """Read labelled pictures, and calibrate the confidence of the readings.

    Args:
        labelled: a folder with ``labels.csv`` and the pictures.
        misread: the share of accepted readings that may be wrong, 0..1.
        station: where the pictures come from; its limits and calibration are replaced.
        model: a model file; the shipped one by default.
        protocol: what counts as wrong: any character, or letters and digits in any case only.
        certainty: the probability that the guarantee holds, 0..1.
        track: shows the progress.

    Returns:
        The station with calibrated confidence and acceptance threshold.

    Raises:
        CalibrationError: the pictures cannot support the guarantee, or the labels are unusable.
    """
    known = load_labelled(Path(labelled))
    reader = Reader(model, load_station(station).uncalibrated())
    records: Iterable[Record] = reader.read_many(known.pictures)
    if track:
        records = track(records, total=len(known.pictures))
    fitted = fit_acceptance(records, known, reader.station, misread, protocol=protocol, certainty=certainty)
    return CalibratedStation(fitted, guarantee_of(fitted))


def fit_acceptance(
    records: Iterable[Record],
    labelled: LabelledPictures,
    station: Station,
    misread: float,
    *,
    protocol: ProtocolName = "strict",
    certainty: float = 0.95,
) -> Station:
    """The station with calibrated confidence and acceptance threshold.

    Identical pictures count once. Readings with doubts, which are never accepted whatever their confidence,
    do not count.

    Args:
        records: one per labelled picture, in their order, read at this station.
        labelled: the pictures and their codes.
        station: where the pictures were read; its limits and calibration are replaced.
        misread: the share of accepted readings that may be wrong, 0..1.
        protocol: what counts as wrong.
        certainty: the probability that the guarantee holds, 0..1.

    Raises:
        CalibrationError: the pictures cannot support the guarantee.
    """
    same = {"strict": strict, "mpsc": mpsc}[protocol]
    read = list(_distinct(zip(records, labelled.truths, strict=True)))
    odds, right = [], []
    for record, truth in read:
        if record.reading and record.reading.chars and not record.doubts:
            odds.append(log_odds(record.reading))
            right.append(same(record.reading.text) == same(truth))
    goal = f"{labelled.folder}: at most {_percent(misread)} misread with {_percent(certainty)} certainty"
    _require_enough(goal, len(odds), misread, certainty)
    slope, offset = fit_platt(odds, right)
    threshold = find_threshold([calibrated(x, slope, offset) for x in odds], right, misread, certainty)
    if threshold is None or not threshold.passed:
        raise _refused(goal, threshold)
    calibration = Calibration(
        slope=slope,
        offset=offset,
        misread=misread,
        certainty=certainty,
        protocol=protocol,
        pictures=len(read),
        accepted=threshold.accepted,
        wrong=threshold.wrong,
    )
    limits = station.limits.model_copy(update={"accept_at": threshold.at, "review_at": None})
    changes = {"model_id": read[0][0].model_id, "limits": limits, "calibration": calibration}
    return station.model_copy(update=changes)


def guarantee_of(station: Station) -> str:
    """The misread guarantee of a calibrated station, in one line; "" of another station."""
    made = station.calibration
    if made is None:
        return ""
    certainty, coverage = _percent(made.certainty), _percent(made.accepted / made.pictures)
    return (
        f"accepts readings of confidence {station.limits.accept_at:.4f} or more: {made.accepted:,} of "
        f"{made.pictures:,} labelled pictures ({coverage}), {made.wrong:,} of them wrong; at most "
        f"{_percent(made.misread)} of accepted readings are wrong with {certainty} certainty, on pictures "
        f"like these ({made.protocol})"
    )


def fit_platt(odds: Sequence[float], right: Sequence[bool]) -> tuple[float, float]:
    """Slope (above 0, so that the order stays) and offset of the most likely logistic curve (Platt 1999).

    With Platt's targets, which take no finite number of pictures as proof: (right + 1) / (right + 2) and
    1 / (wrong + 2) in place of 1 and 0.

    Args:
        odds: the network's log-odds of each reading.
        right: whether each is right.
    """
    x, y = np.asarray(odds, np.float64), np.asarray(right, bool)
    targets = np.where(y, (y.sum() + 1) / (y.sum() + 2), 1 / ((~y).sum() + 2))

    def loss(weights: NDArray[np.float64]) -> float:
        z = weights[0] * x + weights[1]
        return float(np.sum(np.logaddexp(0, z) - targets * z))

    def gradient(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        off = expit(weights[0] * x + weights[1]) - targets
        return np.array([off @ x, off.sum()])

    def hessian(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        p = expit(weights[0] * x + weights[1])
        w = p * (1 - p)
        return np.array([[w @ (x * x), w @ x], [w @ x, w.sum()]])

    # convex in slope and offset, so that there is one minimum; it is not in the logarithm of the slope
    found = minimize(loss, np.zeros(2), jac=gradient, hess=hessian, method="trust-exact", tol=1e-8)
    slope, offset = (float(value) for value in found.x)
    return (slope, offset) if slope > _MIN_SLOPE else (_MIN_SLOPE, float(logit(targets.mean())))


def _distinct(read: Iterable[tuple[Record, str]]) -> Iterator[tuple[Record, str]]:
    """The first of identical pictures: counted twice, one would seem to be two independent ones."""
    seen: set[str] = set()
    for record, truth in read:
        if record.image_sha256 not in seen:
            seen.add(record.image_sha256)
            yield record, truth


def _require_enough(goal: str, readings: int, misread: float, certainty: float) -> None:
    needed = pictures_needed(1 - misread, confidence=certainty)
    if readings < needed:
        least = _percent(smallest_misread_rate(readings, certainty))
        raise CalibrationError(
            f"{goal} needs {needed:,} labelled pictures, all read correctly; {readings:,} are eligible. "
            f"Label more, or allow {least} misread."
        )


def _refused(goal: str, threshold: "AcceptanceThreshold | None") -> CalibrationError:
    counts = (
        f"of the {threshold.accepted:,} readings of highest confidence {threshold.wrong:,} are wrong"
        if threshold
        else "too few readings"
    )
    return CalibrationError(
        f"{goal} cannot be guaranteed: {counts}. "
        "Check the labels, label more pictures, or allow more misread."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


STEPS = 20
"""Thresholds that are tested; finer ones stop earlier at a random error, coarser ones reach less far."""
FIRST, MOST_FIRST = 0.2, 0.5
"""The strictest threshold accepts at least the first share of the pictures, and as many as the guarantee
needs with one of them wrong, so that no single error decides. If that is more than the second share, it
accepts as many as the guarantee needs with none wrong: where few readings are confident, more would fail.
Simulated: docs/confidence.md."""


@dataclass(frozen=True, slots=True)
class AcceptanceThreshold:
    """A threshold of the confidence, and the labelled readings above it.

    Attributes:
        at: readings of this confidence or more are accepted.
        accepted: labelled readings at or above the threshold.
        wrong: how many of these are wrong.
        passed: whether the guarantee holds; if not, this is the first threshold that failed.
    """

    at: float
    accepted: int
    wrong: int
    passed: bool


def smallest_misread_rate(pictures: int, certainty: float) -> float:
    """The smallest misread rate, 0..1, that this many pictures, all read right, can guarantee."""
    return -math.expm1(math.log1p(-certainty) / pictures) if pictures else 1.0


def find_threshold(
    confidences: Sequence[float], right: Sequence[bool], misread: float, certainty: float
) -> AcceptanceThreshold | None:
    """The lowest threshold that keeps a guarantee.

    Args:
        confidences: of the labelled readings that may be accepted, 0..1, in any order.
        right: whether each is right.
        misread: the share of accepted readings that may be wrong, 0..1.
        certainty: the probability that the guarantee holds, 0..1.

    Returns:
        The threshold; the strictest one if already that one fails; None if there are too few readings.
    """
    ranked = np.asarray(confidences, np.float64)
    order = np.argsort(-ranked, kind="stable")
    ranked, wrong = ranked[order], np.cumsum(~np.asarray(right, bool)[order])
    fewest = pictures_needed(1 - misread, confidence=certainty)
    if len(ranked) < fewest:
        return None
    best = None
    first = max(_needed_with_one_error(len(ranked), misread, certainty) or fewest, FIRST * len(ranked))
    for rank in np.unique(np.linspace(first, len(ranked), STEPS).astype(int)):
        at = float(ranked[rank - 1])
        accepted = int(np.count_nonzero(ranked >= at))  # with all of equal confidence
        tested = AcceptanceThreshold(at, accepted, int(wrong[accepted - 1]), passed=True)
        if bdtr(tested.wrong, tested.accepted, misread) > 1 - certainty:
            return best or AcceptanceThreshold(at, accepted, tested.wrong, passed=False)
        best = tested
    return best


def _needed_with_one_error(pictures: int, misread: float, certainty: float) -> int:
    """How many accepted readings a guarantee needs with one of them wrong; 0 if that is too many."""
    counts = np.arange(2, int(MOST_FIRST * pictures) + 1)
    return int(next(iter(counts[bdtr(1, counts, misread) <= 1 - certainty]), 0))
