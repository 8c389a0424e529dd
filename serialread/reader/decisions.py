"""Accept, review or reject a reading, and why."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from serialread.config import Calibration, Code, StationLimits
from serialread.records import Decision, FieldReading, Reading, SecondOpinion, Verdict

NOTHING_READ = "no character found"
NOT_CALIBRATED = "not calibrated: the station has no acceptance threshold"
NOT_FOUND = "not found"
GLYPH_WEIGHT = 0.2
"""Weight of the glyph evidence in the log-odds; chosen on rendered marks."""
MIN_GLYPH_EVIDENCE = -15.0
"""Lower evidence counts as this."""


def decide(
    reading: Reading, confidence: float, doubts: Sequence[str], limits: StationLimits
) -> tuple[Decision, str]:
    """Accept a reading that reaches the acceptance threshold; without a threshold every reading is REVIEW.

    Args:
        reading: the reading.
        confidence: as ``trust`` gives it, 0..1.
        doubts: as ``doubts_about`` gives them: with any of them, no confidence is enough.
        limits: thresholds of the station.

    Returns:
        The decision and its reason; "" for ACCEPT.
    """
    if not reading.chars:
        return Decision.REJECT, "; ".join((NOTHING_READ, *doubts))
    if limits.review_at is not None and confidence < limits.review_at:
        return Decision.REJECT, f"confidence {confidence:.3f} is below {limits.review_at:.3f}"
    if doubts:
        return Decision.REVIEW, "; ".join(doubts)
    if limits.accept_at is None:
        return Decision.REVIEW, NOT_CALIBRATED
    if confidence < limits.accept_at:
        return Decision.REVIEW, f"confidence {confidence:.3f} is below {limits.accept_at:.3f}"
    return Decision.ACCEPT, ""


_WORST = (Decision.REJECT, Decision.REVIEW, Decision.ACCEPT)


def decide_by_fields(fields: Mapping[str, FieldReading], doubts: Sequence[str]) -> tuple[Decision, str]:
    """The worst decision of all fields, and the reasons, each with the fields that it concerns.

    Args:
        fields: the fields of a picture.
        doubts: about the picture and its code.
    """
    reasons: dict[str, list[str]] = {}
    for name, field in fields.items():
        if field.reason:
            reasons.setdefault(field.reason, []).append(name)
    worst = min((field.decision for field in fields.values()), key=_WORST.index)
    if worst is Decision.ACCEPT and all(field.reading is None for field in fields.values()):
        return Decision.REJECT, "; ".join((NOTHING_READ, *doubts))
    words = [f"field {', '.join(names)}: {reason}" for reason, names in reasons.items()]
    if doubts and worst is Decision.ACCEPT:
        worst = Decision.REVIEW
    return worst, "; ".join((*doubts, *words))


def judge(reading: Reading, code: Code) -> Verdict:
    """Check a reading against the format of the code."""
    if not code.format or not reading.chars:
        return Verdict.NONE
    if reading.free is None:
        return Verdict.OBEYS
    return Verdict.MISPRINT if reading.free.margin > math.log(code.misprint_ratio) else Verdict.FITTED


def trust(reading: Reading, calibration: Calibration | None, second: SecondOpinion | None = None) -> float:
    """Probability that a reading is right, 0..1; the network's own without a calibration."""
    if calibration is None:
        return reading.confidence
    weights = calibration.evidence
    further = sum(getattr(weights, name) * value for name, value in evidence(reading, second).items())
    return calibrated(log_odds(reading), calibration.slope, calibration.offset + further)


def evidence(reading: Reading, second: SecondOpinion | None) -> dict[str, float]:
    """What speaks for a reading beside its log-odds, by the keys of ``EvidenceWeights``.

    Views that disagree are part of the log-odds; borders, length and a second reader that reads another text
    are doubts: with them no reading is accepted.
    """
    odds = [logit(char.confidence) for char in reading.chars]
    return {
        "length": math.log(max(len(odds), 1)),
        "mean_odds": sum(odds) / max(len(odds), 1),
        "glyphs": max(reading.glyph_evidence, MIN_GLYPH_EVIDENCE),
        "second_odds": min(max(logit(second.confidence), -_MAX_SECOND), _MAX_SECOND) if second else 0.0,
        "unasked": 0.0 if second else 1.0,
    }


def log_odds(reading: Reading) -> float:
    """The network's log-odds of a reading; -27 to 27 for a single view.

    Of models with CTC columns they are those of the posterior, lower if a character's glyph alone reads as
    another one. Of models with slots they are those of the
    weakest character, end included: it predicts errors better than the product over all, which is too low for
    long codes, as errors within a crop are correlated (docs/confidence.md). Fused ``joint_odds`` take
    precedence.
    """
    if reading.joint_odds is not None:
        return reading.joint_odds
    if reading.posterior is not None:
        return logit(reading.posterior) + GLYPH_WEIGHT * max(reading.glyph_evidence, MIN_GLYPH_EVIDENCE)
    return logit(min((reading.end_confidence, *(c.confidence for c in reading.chars))))


def weakened(reading: Reading, kept: Mapping[int, float]) -> Reading:
    """A reading of which some characters keep only a share of their confidence, and the code the smallest.

    Readings keep their order: the surer one stays the surer one.

    Args:
        reading: the reading.
        kept: the shares, 0..1, by the number of the character.
    """
    if not kept:
        return reading
    least, odds = min(kept.values()), reading.joint_odds
    chars = tuple(
        replace(char, confidence=char.confidence * kept[i]) if i in kept else char
        for i, char in enumerate(reading.chars)
    )
    return replace(
        reading,
        chars=chars,
        joint_odds=None if odds is None else logit(least * calibrated(odds, 1.0, 0.0)),
        posterior=None if reading.posterior is None else least * reading.posterior,
    )


def logit(probability: float) -> float:
    """Log-odds of a probability, -27 to 27."""
    inside = min(max(probability, _MIN_PROBABILITY), 1 - _MIN_PROBABILITY)
    return math.log(inside) - math.log1p(-inside)


def calibrated(odds: float, slope: float, offset: float) -> float:
    """Probability of log-odds after Platt scaling (1999), which preserves their order."""
    return 1 / (1 + math.exp(-min(max(slope * odds + offset, -_MAX_ODDS), _MAX_ODDS)))


_MIN_PROBABILITY = 2e-12
"""Limit of the network's numerical precision."""
_MAX_SECOND = 7.0
"""Limit of the second reader's log-odds: one in a thousand."""
_MAX_ODDS = 27.0
"""Log-odds of the same limit."""
