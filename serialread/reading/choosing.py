"""Which of several readings of one picture to believe, and whether it reads as well the other way up."""

from collections.abc import Sequence

import numpy as np

from serialread.records import Crop, Reading

ODDLY = 6.0
"""Characters by which a line that lies upside down has to be better, where pictures mostly lie right: its
characters are read as others, and fluently."""


def surest(crops: Sequence[Crop], readings: Sequence[Reading], *, mostly_right: bool = False) -> int:
    """Number of the line with most characters surely read, and others beside it that run the same way.

    A character that is as likely wrong as right counts nothing, one that is likelier wrong counts against; of
    other lines the half. The first is the whole picture; a part of it has to be better by a character.

    Args:
        crops: the lines, each as read.
        readings: of the lines.
        mostly_right: whether a picture mostly lies the right way up.
    """
    ways = [_way(crop) for crop in crops]
    worth = [_worth(reading) for reading in readings]
    lines = [max(one - 1, 0) if number else 0.0 for number, one in enumerate(worth)]
    along = [
        sum(line for line, way in zip(lines, ways, strict=True) if way == quarter) for quarter in range(4)
    ]

    def merit(number: int) -> float:
        others = (along[ways[number]] - lines[number]) / 2 if lines[number] else 0.0
        odd = ODDLY if mostly_right and ways[number] == 2 else 0.0
        return worth[number] + others - odd + (number == 0)

    return max(range(len(readings)), key=merit)


def turned_over(crops: Sequence[Crop], readings: Sequence[Reading], best: int) -> str:
    """What the best reading's line reads when turned over, if that is another code and good to a character.

    Turned over, most codes are read without conviction; 69 and 1008 are codes either way.
    """
    for crop, reading in zip(crops, readings, strict=True):
        if (
            _opposite(crop, crops[best])
            and reading.text != readings[best].text
            and _worth(reading) > max(_worth(readings[best]) - 1, 0)
        ):
            return reading.text
    return ""


def _worth(reading: Reading) -> float:
    """Characters surely read, less those surely wrong."""
    return sum(2 * c.confidence - 1 for c in reading.chars)


def _way(crop: Crop) -> int:
    """Quarter turns, clockwise, from lying right to the way that the line runs in its picture."""
    x, y = (crop.quad[1] - crop.quad[0]).tolist()
    return round(float(np.arctan2(y, x)) / (np.pi / 2)) % 4


def _opposite(one: Crop, other: Crop) -> bool:
    """Whether two crops are one line, the one way up and the other."""
    apart = np.linalg.norm(one.quad.mean(axis=0) - other.quad.mean(axis=0))
    along = np.dot(one.quad[1] - one.quad[0], other.quad[1] - other.quad[0])
    return bool(along < 0 and apart < max(one.text_height_px, other.text_height_px) / 2)
