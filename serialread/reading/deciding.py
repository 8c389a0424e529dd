"""What to do with a reading, and why."""

from serialread.recipe import Limits
from serialread.records import Decision, Reading

NOTHING_READ = "no character found"
NOT_CALIBRATED = "not calibrated: no limit says how sure is sure enough"


def decide(reading: Reading, text_height_px: float, limits: Limits) -> tuple[Decision, str]:
    """Accept only what is sure by limits that were measured; without limits every reading is for review.

    Args:
        reading: what was read.
        text_height_px: height of the characters in the source picture.
        limits: the station's.

    Returns:
        The decision, and in plain words why it is not ACCEPT ("" if it is).
    """
    confidence = reading.confidence
    low, high = limits.text_height_px
    if not reading.chars:
        return Decision.REJECT, NOTHING_READ
    if limits.review_at is not None and confidence < limits.review_at:
        return Decision.REJECT, f"confidence {confidence:.3f} is below {limits.review_at:.3f}"
    if not low <= text_height_px <= high:
        return Decision.REVIEW, f"text is {text_height_px:.0f} px high, expected {low:.0f} to {high:.0f}"
    if limits.accept_at is None:
        return Decision.REVIEW, NOT_CALIBRATED
    if confidence < limits.accept_at:
        return Decision.REVIEW, f"confidence {confidence:.3f} is below {limits.accept_at:.3f}"
    return Decision.ACCEPT, ""
