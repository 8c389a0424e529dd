"""The readings of characters: confidence, runner-up, status and box.

Letters: T positions, N attention columns.
"""

from collections.abc import Iterable, Sequence
from itertools import repeat

import numpy as np

from serialread.config import Code
from serialread.records import Box, CharReading, CharStatus, Floats

BOX_QUANTILES = (0.1, 0.9)
"""A character's box spans these quantiles of its attention, left to right."""


def char_readings(
    texts: Iterable[str],
    firsts: Iterable[float],
    runners_up: Iterable[str],
    seconds: Iterable[float],
    boxes: Sequence[Box] | None,
    code: Code,
) -> tuple[CharReading, ...]:
    """The characters of a text with their probabilities, and their runners-up with theirs."""
    chars = zip(texts, firsts, runners_up, seconds, strict=True)
    places: Iterable[Box | None] = repeat(None) if boxes is None else boxes
    return tuple(
        CharReading(text, min(p, 1.0), (other, min(q, 1.0)), box, status_of(p, q, code))
        for (text, p, other, q), box in zip(chars, places, strict=False)
    )


def status_of(first: float, second: float, code: Code) -> CharStatus:
    """Status of a character, from its probability and that of the most likely other one, 0..1."""
    if max(first, second) < code.unread_below:
        return CharStatus.UNREAD
    if second - first >= code.confused_gap:
        return CharStatus.MISMATCH
    if first - second < code.confused_gap:
        return CharStatus.CONFUSED
    return CharStatus.READ


def boxes_of(attention: Floats, crop_size: tuple[int, int], filled: float) -> list[Box]:
    """Boxes around most of each position's attention [T, N]; crop px, full height."""
    height, width = crop_size
    columns = attention.shape[1]
    mass = np.cumsum(attention, axis=1)
    mass /= np.maximum(mass[:, -1:], 1e-9)
    left = (mass <= BOX_QUANTILES[0]).sum(axis=1)
    right = (mass < BOX_QUANTILES[1]).sum(axis=1) + 1
    px = width / max(columns * filled, 1e-6)
    x0, x1 = np.minimum(left * px, width - 1), np.minimum(right * px, width)
    return [(a, 0.0, b, float(height)) for a, b in zip(x0.tolist(), x1.tolist(), strict=True)]
