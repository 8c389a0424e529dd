"""Which of several readings of one picture to believe, and whether it reads as well the other way up."""

from collections.abc import Sequence

import numpy as np

from serialread.codes import either_way
from serialread.records import Crop, Reading

ODDLY = 6.0
"""Characters by which a line that lies upside down has to be better, where pictures mostly lie right and the
network does not tell which way up it lies: its characters are read as others, and fluently."""
SURE_WAY = 2.0
"""Log-odds, or how much one way has more than the other, from which on the network tells which is upright."""
NOT_NEEDED = Reading((), 0.0)
"""Of a line the other way up, where the network is sure that it lies right."""


def surest(crops: Sequence[Crop], readings: Sequence[Reading], *, mostly_right: bool = False) -> int:
    """Number of the line with most characters surely read, and others beside it that run the same way.

    A character that is as likely wrong as right counts nothing, one that is likelier wrong counts against; of
    other lines the half. The first is the whole picture; a part of it has to be better by a character. Of a
    line and the same turned over only the one counts that the network takes for upright, if it is sure.

    Args:
        crops: the lines, each as read.
        readings: of the lines.
        mostly_right: whether a picture mostly lies the right way up.
    """
    ways = [_way(crop) for crop in crops]
    told = [_told(number, crops, readings) for number in range(len(crops))]
    merits = [0.0 if right is False else worth(r) for r, right in zip(readings, told, strict=True)]
    lines = [max(one - 1, 0) if number else 0.0 for number, one in enumerate(merits)]
    along = [
        sum(line for line, way in zip(lines, ways, strict=True) if way == quarter) for quarter in range(4)
    ]

    def merit(number: int) -> float:
        others = (along[ways[number]] - lines[number]) / 2 if lines[number] else 0.0
        odd = ODDLY if mostly_right and ways[number] == 2 and told[number] is None else 0.0
        return merits[number] + others - odd + (number == 0)

    return max(range(len(readings)), key=merit)


def turned_over(crops: Sequence[Crop], readings: Sequence[Reading], best: int) -> str:
    """What the best reading's line reads when turned over, if that is another code and good to a character.

    Turned over, most codes are read without conviction; 69 and 1008 are codes either way.
    """
    if _told(best, crops, readings):
        return ""
    for crop, reading in zip(crops, readings, strict=True):
        if (
            is_turned_over(crop, crops[best])
            and reading.text != readings[best].text
            and worth(reading) > max(worth(readings[best]) - 1, 0)
        ):
            return reading.text
    return ""


def read_where_needed(crops: Sequence[Crop], readings: Sequence[Reading]) -> list[Reading]:
    """The readings, without those of lines turned over that surely lie right: as if nobody had read them."""
    over = overs(crops)
    return [
        NOT_NEEDED if number in over and surely_upright(readings[number - 1]) else reading
        for number, reading in enumerate(readings)
    ]


def overs(crops: Sequence[Crop]) -> set[int]:
    """Numbers of crops that are the line before them turned over."""
    found: set[int] = set()
    for number in range(1, len(crops)):
        if number - 1 not in found and is_turned_over(crops[number - 1], crops[number]):
            found.add(number)
    return found


def surely_upright(reading: Reading) -> bool:
    """Whether nobody has to read a line turned over, too: it is upright, and no code of either way."""
    return reading.upright is not None and reading.upright >= SURE_WAY and not either_way(reading.text)


def surely_over(reading: Reading) -> bool:
    """Whether a line that nobody expects upside down lies so: it has to be read turned over, too."""
    return reading.upright is not None and reading.upright <= -SURE_WAY and not either_way(reading.text)


def is_turned_over(one: Crop, other: Crop) -> bool:
    """Whether two crops are one line, the one way up and the other."""
    apart = np.linalg.norm(one.quad.mean(axis=0) - other.quad.mean(axis=0))
    along = np.dot(one.quad[1] - one.quad[0], other.quad[1] - other.quad[0])
    return bool(along < 0 and apart < max(one.text_height_px, other.text_height_px) / 2)


def _told(number: int, crops: Sequence[Crop], readings: Sequence[Reading]) -> bool | None:
    """Whether the network takes a line for upright rather than the same turned over; None if not sure."""
    own = readings[number].upright
    for crop, reading in zip(crops, readings, strict=True):
        if not is_turned_over(crop, crops[number]):
            continue
        if reading is NOT_NEEDED:
            return True
        if readings[number] is NOT_NEEDED:
            return False
        if own is None or reading.upright is None or abs(own - reading.upright) < SURE_WAY:
            return None
        right = own > reading.upright
        return None if either_way((readings[number] if right else reading).text) else right
    return None


def worth(reading: Reading) -> float:
    """Characters surely read, less those surely wrong."""
    return sum(2 * c.confidence - 1 for c in reading.chars)


def _way(crop: Crop) -> int:
    """Quarter turns, clockwise, from lying right to the way that the line runs in its picture."""
    x, y = (crop.quad[1] - crop.quad[0]).tolist()
    return round(float(np.arctan2(y, x)) / (np.pi / 2)) % 4
