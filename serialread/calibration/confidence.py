"""Calibrate the confidence at a station: what its readings' log-odds are worth, and which are accepted."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

from serialread.calibration.risk_control import RESERVED, find_threshold, smallest_misread_rate
from serialread.calibration.station_files import (
    CalibratedStation,
    LabelledPictures,
    load_labelled,
)
from serialread.config import Calibration, Station
from serialread.config.station import EvidenceWeights, StationSource, load_station
from serialread.errors import CalibrationError
from serialread.metrics import mpsc, strict
from serialread.metrics.sampling_plans import pictures_needed
from serialread.reader import Reader, SecondReader, calibrated, evidence, log_odds
from serialread.reader.second_reader import name_of, version_of
from serialread.records import Record

ProtocolName = Literal["strict", "mpsc"]

Floats64 = NDArray[np.float64]

_SHOWN = 5
"""Wrong readings, or doubts, that a refusal names."""
_LARGEST_OFFER = 0.5
"""No refusal offers a larger misread rate: ``serialread station confidence`` takes none."""
LENGTH_WEIGHT = 1.2
"""Weight of the logarithm of the number of characters, per weight of the log-odds. Fitted to rendered crops:
no labelled picture has to teach it (docs/confidence.md)."""
_MIN_READINGS, _MIN_EACH = 100, 10
"""Labelled readings that further evidence needs, and right and wrong ones per weight."""
_FOLDS = 10
_RIDGE, _LEAST_RIDGE = 10.0, 0.01
_ITERATIONS, _MAX_STEP = 30, 3.0
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
    second_reader: str | SecondReader = "",
    second_reader_below: float | None = None,
    track: Track | None = None,
) -> CalibratedStation:
    """Read labelled pictures, and calibrate the confidence of the readings.

    Every crop is read in at least two views, also at the calibrated station, unless the station sets
    ``view.retry_below``.

    Args:
        labelled: a folder with ``labels.csv`` and the pictures.
        misread: the share of accepted readings that may be wrong, 0..1.
        station: where the pictures come from; its limits and calibration are replaced.
        model: a model file; the shipped one by default.
        protocol: what counts as wrong: any character, or letters and digits in any case only.
        certainty: the probability that the guarantee holds, 0..1.
        second_reader: another reader that confirms the readings, as for ``Reader``; "" keeps the station's.
        second_reader_below: network confidence, 0..1, below which it is asked; None keeps the station's.
        track: shows the progress.

    Returns:
        The station with calibrated confidence and acceptance threshold.

    Raises:
        CalibrationError: the pictures cannot support the guarantee, the labels are unusable, or a share is
            not between 0 and 1.
    """
    for name, share in (("misread", misread), ("certainty", certainty)):
        if not 0 < share < 1:
            raise CalibrationError(f"{name} {share}: not a share. Give a number between 0 and 1.")
    known = load_labelled(Path(labelled))
    place = load_station(station).uncalibrated()
    if "retry_below" not in place.view.model_fields_set:
        place = place.with_view(retry_below=1.0)
    place = place.with_second_reader(name_of(second_reader), second_reader_below)
    compare = {"second_reader": place.second_reader.model_copy(update={"compare": protocol})}
    reader = Reader(model, place.model_copy(update=compare), second_reader=second_reader or None)
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
    eligible = [(r, truth) for r, truth in read if r.reading and r.reading.chars and not r.doubts]
    right = [same(record.text) == same(truth) for record, truth in eligible]
    goal = f"{labelled.folder}: at most {_percent(misread)} misread with {_percent(certainty)} certainty"
    _require_enough(goal, [record for record, _ in read], len(eligible), misread, certainty)
    ranking = fit_ranking([record for record, _ in eligible], right)
    reserved = RESERVED if station.second_reader.use else 0.0
    threshold = find_threshold(ranking.confidences, right, misread, certainty, reserved)
    if threshold is None or not threshold.passed:
        raise CalibrationError(_refusal(goal, eligible, ranking, right, certainty, reserved))
    calibration = Calibration(
        slope=ranking.slope,
        offset=ranking.offset,
        misread=misread,
        certainty=certainty,
        protocol=protocol,
        pictures=len(read),
        accepted=threshold.accepted,
        wrong=threshold.wrong,
        second_reader=version_of(station.second_reader.use),
        evidence=ranking.evidence,
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


@dataclass(frozen=True, slots=True)
class Ranking:
    """The order in which labelled readings are accepted, as calibrated confidences.

    Attributes:
        slope: weight of the log-odds.
        offset: added to the weighted sum.
        evidence: weights of further evidence.
        confidences: of the labelled readings, 0..1; those of further evidence are cross-fitted.
    """

    slope: float
    offset: float
    evidence: EvidenceWeights
    confidences: tuple[float, ...]


def fit_ranking(records: Sequence[Record], right: Sequence[bool]) -> Ranking:
    """The ranking of readings by log-odds and length, and by further evidence if that predicts better.

    Further evidence takes 100 readings, and ten wrong ones per weight. Each tenth of the readings gets its
    confidence from a fit to the others, so that the risk control sees readings that the weights do not know.

    Args:
        records: of the readings.
        right: whether each is right.
    """
    known = np.asarray(right, bool)
    network = [log_odds(record.reading) for record in records if record.reading]
    found = [evidence(record.reading, record.second) for record in records if record.reading]
    odds = np.array([x + LENGTH_WEIGHT * one["length"] for x, one in zip(network, found, strict=True)])
    slope, offset = fit_platt(odds.tolist(), right)
    prior = EvidenceWeights(length=LENGTH_WEIGHT * slope)
    alone = tuple(
        calibrated(x, slope, offset + prior.length * one["length"])
        for x, one in zip(network, found, strict=True)
    )
    fields = [name for name in EvidenceWeights.model_fields if name != "length"]
    names = [name for name in fields if len({one[name] for one in found}) > 1]
    columns = np.column_stack((odds, *([one[name] for one in found] for name in names)))
    weights = _fit_logistic(columns, known)
    enough = len(known) >= _MIN_READINGS and min(known.sum(), (~known).sum()) >= _MIN_EACH * len(weights)
    if enough and weights[0] > _MIN_SLOPE:
        folds = np.argsort(np.argsort([record.image_sha256 for record in records])) % _FOLDS
        fitted = _cross_fitted(columns, known, folds)
        gain = _losses(_cross_fitted(columns[:, :1], known, folds), known) - _losses(fitted, known)
        if gain.sum() > gain.std() * len(gain) ** 0.5:  # by more than its standard error
            fitted_weights = dict(zip(names, weights[1:-1].tolist(), strict=True))
            further = EvidenceWeights(length=LENGTH_WEIGHT * float(weights[0]), **fitted_weights)
            confidences = tuple(calibrated(x, 1.0, 0.0) for x in fitted.tolist())
            return Ranking(float(weights[0]), float(weights[-1]), further, confidences)
    return Ranking(slope, offset, prior, alone)


def _cross_fitted(columns: Floats64, right: NDArray[np.bool_], folds: NDArray[np.intp]) -> Floats64:
    """Log-odds of every reading by the fit to all other folds."""
    odds = np.zeros(len(right))
    for fold in range(_FOLDS):
        inside = folds == fold
        weights = _fit_logistic(columns[~inside], right[~inside])
        odds[inside] = columns[inside] @ weights[:-1] + weights[-1]
    return odds


def _losses(odds: Floats64, right: NDArray[np.bool_]) -> Floats64:
    """Negative log-likelihood of each reading."""
    return np.logaddexp(0, np.where(right, -odds, odds))


def _fit_logistic(columns: Floats64, right: NDArray[np.bool_]) -> Floats64:
    """Weights of columns [N, K] and the offset, [K + 1], by iteratively reweighted least squares.

    All weights but the first and the offset are held near 0 by a ridge on the standardized columns.
    """
    mean, spread = columns.mean(axis=0), columns.std(axis=0)
    spread[spread == 0] = 1
    inputs = np.column_stack(((columns - mean) / spread, np.ones(len(columns))))
    ridge = np.diag([_LEAST_RIDGE, *[_RIDGE] * (columns.shape[1] - 1), _LEAST_RIDGE])
    weights = np.zeros(inputs.shape[1])
    for _ in range(_ITERATIONS):
        p = expit(inputs @ weights)
        gradient = inputs.T @ (p - right) + ridge @ weights
        step = np.linalg.solve((inputs * (p * (1 - p))[:, None]).T @ inputs + ridge, gradient)
        weights -= step / max(float(np.abs(step).max()) / _MAX_STEP, 1.0)
    weights[:-1] /= spread
    weights[-1] -= weights[:-1] @ mean
    return weights


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


def _require_enough(
    goal: str, read: Sequence[Record], eligible: int, misread: float, certainty: float
) -> None:
    needed = pictures_needed(1 - misread, confidence=certainty)
    if eligible >= needed:
        return
    needs = f"{goal} needs {needed:,} labelled pictures, all read correctly"
    if not eligible:
        raise CalibrationError(f"{needs}; none of {len(read):,} is eligible: {_why_none(read)}.")
    least = _rounded_up(smallest_misread_rate(eligible, certainty))
    instead = f", or allow {_percent(least)} misread" if least < _LARGEST_OFFER else ""
    raise CalibrationError(f"{needs}; {eligible:,} are eligible. Label more{instead}.")


def _why_none(read: Sequence[Record]) -> str:
    """Why no picture is eligible, and what to do."""
    with_text = [record for record in read if record.reading and record.reading.chars]
    doubts, textless = (
        Counter(doubt for record in with_text for doubt in record.doubts),
        len(read) - len(with_text),
    )
    found = [f"no text was read in {textless:,}"] if textless else []
    found += [f'{count:,} have the doubt "{doubt}"' for doubt, count in doubts.most_common(_SHOWN)]
    return f"{', '.join(found)}. Correct the station or the pictures, and calibrate again"


def _refusal(
    goal: str,
    eligible: Sequence[tuple[Record, str]],
    ranking: "Ranking",
    right: Sequence[bool],
    certainty: float,
    reserved: float,
) -> str:
    """Why no threshold keeps the guarantee: the surest wrong readings, and the guarantee that can be kept."""
    order = np.argsort(-np.asarray(ranking.confidences), kind="stable").tolist()
    in_the_way = [eligible[i] for i in order if not right[i]][:_SHOWN]
    named = ", ".join(f"{record.image} ({record.text}, label {truth})" for record, truth in in_the_way)
    for rate in np.geomspace(smallest_misread_rate(len(right), certainty), _LARGEST_OFFER, 60).tolist():
        least = _rounded_up(rate)
        kept = find_threshold(ranking.confidences, right, least, certainty, reserved)
        if kept and kept.passed:
            instead = f", or allow {_percent(least)} misread"
            break
    else:
        instead = ""
    return (
        f"{goal} cannot be guaranteed: among the readings of highest confidence these are wrong: {named}. "
        f"Check their labels, label more pictures{instead}."
    )


def _rounded_up(share: float) -> float:
    """The next share of two digits: a message names it in full, and what it names is accepted."""
    digits = 1 - math.floor(math.log10(share))
    return float(round(math.ceil(share * 10**digits) / 10**digits, digits))


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
