"""Accept, review or reject a reading, and why."""

import math

from serialread.config import Calibration, Code, StationLimits
from serialread.records import Decision, Reading, Verdict

NOTHING_READ = "no character found"
NOT_CALIBRATED = "not calibrated: the station has no acceptance threshold"


def decide(
    reading: Reading,
    confidence: float,
    verdict: Verdict,
    text_height_px: float,
    limits: StationLimits,
    upside_down_text: str = "",
) -> tuple[Decision, str]:
    """Accept a reading that reaches the acceptance threshold; without a threshold every reading is REVIEW.

    Args:
        reading: what was read.
        confidence: as ``trust`` gives it, 0..1.
        verdict: as ``judge`` gives it.
        text_height_px: height of the characters in the source picture.
        limits: the station's.
        upside_down_text: what the line reads upside down nearly as surely; "" if nothing else.

    Returns:
        The decision, and in plain words why it is not ACCEPT ("" if it is).
    """
    if not reading.chars:
        return Decision.REJECT, NOTHING_READ
    if limits.review_at is not None and confidence < limits.review_at:
        return Decision.REJECT, f"confidence {confidence:.3f} is below {limits.review_at:.3f}"
    if objection := objection_to(reading, verdict, text_height_px, limits, upside_down_text):
        return Decision.REVIEW, objection
    if limits.accept_at is None:
        return Decision.REVIEW, NOT_CALIBRATED
    if confidence < limits.accept_at:
        return Decision.REVIEW, f"confidence {confidence:.3f} is below {limits.accept_at:.3f}"
    return Decision.ACCEPT, ""


def objection_to(
    reading: Reading, verdict: Verdict, text_height_px: float, limits: StationLimits, upside_down_text: str
) -> str:
    """Why a reading cannot be accepted, however sure it is; "" where nothing speaks against it."""
    low, high = limits.text_height_px
    if not reading.chars:
        return NOTHING_READ
    if not low <= text_height_px <= high:
        return f"text is {text_height_px:.0f} px high, expected {low:.0f} to {high:.0f}"
    if verdict is Verdict.MISPRINT:
        return f"{verdict.value}: looks like {reading.free_text}"
    if upside_down_text:
        return f"reads {upside_down_text} upside down"
    return ""


def judge(reading: Reading, code: Code) -> Verdict:
    """How a reading and the format that it should obey agree."""
    if not code.format or not reading.chars:
        return Verdict.NONE
    if reading.free is None:
        return Verdict.OBEYS
    return Verdict.MISPRINT if reading.free.margin > math.log(code.misprint_ratio) else Verdict.FITTED


def trust(reading: Reading, calibration: Calibration | None) -> float:
    """Probability that a reading is right, 0..1; the network's own where nothing was calibrated."""
    if calibration is None:
        return reading.confidence
    return calibrated(log_odds(reading), calibration.slope, calibration.offset)


def log_odds(reading: Reading) -> float:
    """The network's log-odds of the place in the string that it is least sure of, -27 to 27 of one look.

    The end is a place, too. Whether a string is right hangs on its weakest place more than on the product of
    all, which doubts long codes too much: places of one crop are wrong together (docs/confidence.md). What
    several looks or rows say together goes first.
    """
    if reading.joint_odds is not None:
        return reading.joint_odds
    least = min((reading.end_confidence, *(c.confidence for c in reading.chars)))
    least = min(max(least, _LEAST), 1 - _LEAST)
    return math.log(least) - math.log1p(-least)


def calibrated(odds: float, slope: float, offset: float) -> float:
    """Probability of calibrated log-odds (Platt 1999: one slope and one offset keep the order)."""
    return 1 / (1 + math.exp(-min(max(slope * odds + offset, -_MOST), _MOST)))


_LEAST = 2e-12
"""Beyond this the network's arithmetic says nothing."""
_MOST = 27.0
"""Log-odds of the same."""
