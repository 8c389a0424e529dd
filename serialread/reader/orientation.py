"""Choose the line of a picture that contains the code, and the orientation of each line.

The reading of a line is None if it was not read: the upside-down twin of a line that is surely upright.
"""

from collections.abc import Sequence

import numpy as np

from serialread.codes import reads_upside_down
from serialread.records import Crop, Reading

FLIP_PENALTY = 6.0
"""Penalty, in characters, of a line that is upside down and was not detected so, if pictures are mostly
upright and the network is not sure of the orientation of any line: upside-down text is often read confidently
as other characters."""
SURE_ODDS = 2.0
"""Log-odds, or difference of log-odds between both orientations, from which the network is certain."""
CONTRADICTED_ODDS = 4.0
"""The same where the line is read more clearly, by a character, in the other orientation."""
CLEAR_ODDS, CLEAR_SHARE, CLEAR_LENGTH = 0.5, 0.85, 4
"""Log-odds from which the network is certain of a line of so many characters or more with so many
``clear_chars`` a character: of 134 such lines of photographs and rendered scenes none reads better upside
down."""


def choose_line(
    crops: Sequence[Crop], readings: Sequence[Reading | None], *, mostly_upright: bool = False
) -> int:
    """The number of the line that contains the code: the one with the most ``clear_chars``.

    Half the clear characters of other lines in the same direction are added. The first line is the whole
    picture; if a letter or a digit is read in it, a part of it must be better by one character. Of a line and
    its upside-down twin only the upright one counts, if the network is sure of the orientation.

    Args:
        crops: the lines.
        readings: of the lines.
        mostly_upright: whether pictures are mostly upright.
    """
    if len(crops) == 1:
        return 0
    quarters = [_quarter(crop) for crop in crops]
    bonus = float(any(char.char.isalnum() for char in readings[0].chars)) if readings[0] else 0.0
    upright = [_is_upright(number, crops, readings) for number in range(len(crops))]
    turned = [number for number, quarter in enumerate(quarters) if quarter == 2]
    unlikely = upside_down_twins(crops) & set(turned) if not any(upright[n] for n in turned) else set[int]()
    scores = [
        0.0 if reading is None or right is False else clear_chars(reading)
        for reading, right in zip(readings, upright, strict=True)
    ]
    lines = [max(score - 1, 0) if number else 0.0 for number, score in enumerate(scores)]
    along = [
        sum(line for line, other in zip(lines, quarters, strict=True) if other == quarter)
        for quarter in range(4)
    ]

    def score(number: int) -> float:
        others = (along[quarters[number]] - lines[number]) / 2 if lines[number] else 0.0
        is_odd = mostly_upright and number in unlikely and upright[number] is None
        return scores[number] + others - FLIP_PENALTY * is_odd + bonus * (number == 0)

    return max((number for number, reading in enumerate(readings) if reading is not None), key=score)


def upside_down_text(crops: Sequence[Crop], readings: Sequence[Reading | None], best: int) -> str:
    """Another code that the line reads upside down, at most one clear character worse; "" if none.

    Most codes have a low confidence upside down; codes such as 69 and 1008 do not.
    """
    own = readings[best]
    if len(crops) == 1 or own is None or _is_upright(best, crops, readings):
        return ""
    for crop, reading in zip(crops, readings, strict=True):
        if (
            reading is not None
            and is_upside_down_twin(crop, crops[best])
            and reading.text != own.text
            and clear_chars(reading) > max(clear_chars(own) - 1, 0)
        ):
            return reading.text
    return ""


def upside_down_twins(crops: Sequence[Crop]) -> set[int]:
    """Numbers of the crops that are the line before them upside down."""
    found: set[int] = set()
    for number in range(1, len(crops)):
        if number - 1 not in found and is_upside_down_twin(crops[number - 1], crops[number]):
            found.add(number)
    return found


def is_upside_down_twin(one: Crop, other: Crop) -> bool:
    """Whether two crops are one line in opposite directions."""
    high, other_high = (float(np.linalg.norm(crop.quad[3] - crop.quad[0])) for crop in (one, other))
    along = np.dot(one.quad[1] - one.quad[0], other.quad[1] - other.quad[0])
    return bool(along < 0) and max(high, other_high) < 2 * min(high, other_high) and is_same_line(one, other)


def _twins_of(one: Crop, crops: Sequence[Crop]) -> list[int]:
    """Numbers of the crops that show the line of one crop in the opposite direction."""
    quads = np.stack([crop.quad for crop in crops])
    apart = np.linalg.norm(quads.mean(axis=1) - one.quad.mean(axis=0), axis=1)
    against = (quads[:, 1] - quads[:, 0]) @ (one.quad[1] - one.quad[0]) < 0
    highest = max(crop.text_height_px for crop in crops)
    near = np.flatnonzero(against & (apart < highest / 2))
    return [n for n in near.tolist() if is_upside_down_twin(crops[n], one)]


def is_same_line(one: Crop, other: Crop) -> bool:
    """Whether two crops show the same line, in any direction."""
    distance = np.linalg.norm(one.quad.mean(axis=0) - other.quad.mean(axis=0))
    return bool(distance < max(one.text_height_px, other.text_height_px) / 2)


def surely_upright(reading: Reading) -> bool:
    """Whether a line is upright, and not legible in both orientations."""
    length = len(reading.chars)
    is_clear = length >= CLEAR_LENGTH and clear_chars(reading) >= CLEAR_SHARE * length
    least = CLEAR_ODDS if is_clear else SURE_ODDS
    return reading.upright is not None and reading.upright >= least and not reads_upside_down(reading.text)


def surely_upside_down(reading: Reading) -> bool:
    """Whether a line is upside down, and not legible in both orientations."""
    return (
        reading.upright is not None and reading.upright <= -SURE_ODDS and not reads_upside_down(reading.text)
    )


def clear_chars(reading: Reading) -> float:
    """Expected number of right characters minus that of wrong ones: the sum of 2 * confidence - 1."""
    return sum(2 * c.confidence - 1 for c in reading.chars)


def _is_upright(number: int, crops: Sequence[Crop], readings: Sequence[Reading | None]) -> bool | None:
    """Whether a line is upright rather than its upside-down twin; None if that is unknown or uncertain."""
    own = readings[number]
    for twin in _twins_of(crops[number], crops):
        reading = readings[twin]
        if reading is None or own is None:
            return reading is None
        if own.upright is None or reading.upright is None or abs(own.upright - reading.upright) < SURE_ODDS:
            return None
        right = own.upright > reading.upright
        better, worse = (own, reading) if right else (reading, own)
        doubtful = abs(own.upright - reading.upright) < CONTRADICTED_ODDS
        if doubtful and clear_chars(worse) >= clear_chars(better) + 1:
            return None
        return None if reads_upside_down(better.text) else right
    return None


def _quarter(crop: Crop) -> int:
    """Quarter turns, clockwise, from upright to the direction of the line in its picture as it is read."""
    (x, y), (down_x, down_y) = (crop.quad[1] - crop.quad[0]).tolist(), (crop.quad[3] - crop.quad[0]).tolist()
    if x * down_y < y * down_x:  # the picture is read mirrored
        x = -x
    return round(float(np.arctan2(y, x)) / (np.pi / 2)) % 4
