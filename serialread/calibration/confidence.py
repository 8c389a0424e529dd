"""How sure is sure enough at a station: the confidence calibrated, and a limit that keeps a promise."""

from collections.abc import Iterable
from typing import Literal

from serialread.calibration.labelled import Labelled
from serialread.calibration.platt import fit_odds
from serialread.calibration.risk_control import Limit, find_limit, pictures_needed, promise_carried
from serialread.config import Calibration, Station
from serialread.errors import CalibrationError
from serialread.metrics import mpsc, strict
from serialread.reader import calibrated, log_odds, objection_to
from serialread.records import Record

ProtocolName = Literal["strict", "mpsc"]


def calibrate_confidence(
    records: Iterable[Record],
    labelled: Labelled,
    station: Station,
    misread: float,
    *,
    protocol: ProtocolName = "strict",
    certainty: float = 0.95,
) -> Station:
    """The station with a calibrated confidence and an acceptance limit.

    A picture that is there twice counts once. Readings that no confidence gets accepted, for their height or
    as likely misprints, take no part in the promise.

    Args:
        records: one of each labelled picture, in their order, read at this station.
        labelled: the pictures and their codes.
        station: where the pictures were read; limits and calibration that it has are replaced.
        misread: the share of accepted readings that may be wrong, 0..1.
        protocol: what counts as wrong.
        certainty: how sure the promise has to be, 0..1.

    Raises:
        CalibrationError: the pictures cannot carry the promise.
    """
    same = {"strict": strict, "mpsc": mpsc}[protocol]
    read = list(_distinct(zip(records, labelled.truths, strict=True)))
    odds, right = [], []
    for record, truth in read:
        if _may_be_accepted(record, station) and record.reading:
            odds.append(log_odds(record.reading))
            right.append(same(record.reading.text) == same(truth))
    _require_enough(labelled, len(odds), misread, certainty)
    slope, offset = fit_odds(odds, right)
    limit = find_limit([calibrated(x, slope, offset) for x in odds], right, misread, certainty)
    if limit is None or not limit.passed:
        raise _refused(labelled, limit, misread, certainty)
    calibration = Calibration(
        slope=slope,
        offset=offset,
        misread=misread,
        certainty=certainty,
        protocol=protocol,
        pictures=len(read),
        accepted=limit.accepted,
        wrong=limit.wrong,
    )
    limits = station.limits.model_copy(update={"accept_at": limit.at, "review_at": None})
    changes = {"model_id": read[0][0].model_id, "limits": limits, "calibration": calibration}
    return station.model_copy(update=changes)


def summary(station: Station) -> str:
    """What a calibrated station promises, in one line; "" for another."""
    made = station.calibration
    if made is None:
        return ""
    certainty, coverage = _percent(made.certainty), _percent(made.accepted / made.pictures)
    return (
        f"accepts from confidence {station.limits.accept_at:.4f} on; of {made.pictures:,} labelled pictures "
        f"{made.accepted:,} ({coverage}), {made.wrong:,} of them wrong; at most {_percent(made.misread)} "
        f"of accepted readings are wrong with {certainty} certainty, on pictures like these ({made.protocol})"
    )


def _distinct(read: Iterable[tuple[Record, str]]) -> Iterable[tuple[Record, str]]:
    """The first of every picture: one that was counted twice would seem two."""
    seen: set[str] = set()
    for record, truth in read:
        if record.image_sha256 not in seen:
            seen.add(record.image_sha256)
            yield record, truth


def _may_be_accepted(record: Record, station: Station) -> bool:
    if record.reading is None or record.text_height_px is None:
        return False
    return not objection_to(
        record.reading, record.verdict, record.text_height_px, station.limits, record.upside_down_text
    )


def _require_enough(labelled: Labelled, readings: int, misread: float, certainty: float) -> None:
    needed = pictures_needed(misread, certainty)
    if readings < needed:
        least = _percent(promise_carried(readings, certainty))
        raise CalibrationError(
            f"{_asked(labelled, misread, certainty)} needs {needed:,} labelled pictures that are all read "
            f"right, got {readings:,} that may be accepted. Label more, or promise no less than {least}."
        )


def _refused(labelled: Labelled, limit: Limit | None, misread: float, certainty: float) -> CalibrationError:
    counts = f"of the {limit.accepted:,} surest readings {limit.wrong:,} are wrong" if limit else "too few"
    return CalibrationError(
        f"{_asked(labelled, misread, certainty)} cannot be promised: {counts}. "
        "Correct the labels if they are to blame, label more pictures, or promise less."
    )


def _asked(labelled: Labelled, misread: float, certainty: float) -> str:
    return f"{labelled.folder}: at most {_percent(misread)} misread with {_percent(certainty)} certainty"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
