"""From the network's scores to characters with their doubts: greedy, position by position.

Letters: T positions, C classes (0 is the end), N attention columns.
"""

import numpy as np

from serialread.codes import Alphabet
from serialread.records import Box, CharReading, Floats, Reading

SEEN = (0.1, 0.9)
"""A character's box spans these shares of its attention, left to right."""


def decode(
    scores: Floats,
    alphabet: Alphabet,
    attention: Floats | None = None,
    crop_size: tuple[int, int] = (1, 1),
    filled: float = 1.0,
) -> Reading:
    """The most likely string: positions are read apart, so the best class of each makes the best string.

    Args:
        scores: log-probabilities [T, C].
        alphabet: characters of the classes 1..C-1.
        attention: where each position looked [T, N], or None.
        crop_size: height and width of the crop, px, for the boxes.
        filled: share of the N columns that the crop fills, 0..1; the rest is padding.
    """
    best = scores.argmax(axis=1)
    ends = np.flatnonzero(best == 0)
    length = int(ends[0]) if ends.size else len(best) - 1  # the last position has only the end to say
    probabilities = np.exp(scores[: length + 1])
    end_confidence = float(probabilities[length, 0])
    if length == 0:
        return Reading((), end_confidence)
    firsts = best[:length]
    steps = np.arange(length)
    rivals = probabilities[:length].copy()
    rivals[steps, firsts] = -1
    seconds = rivals.argmax(axis=1)
    names = ["", *alphabet.chars]
    boxes = [None] * length if attention is None else boxes_of(attention[:length], crop_size, filled)
    chars = zip(
        firsts.tolist(),
        probabilities[steps, firsts].tolist(),
        seconds.tolist(),
        rivals[steps, seconds].tolist(),
        boxes,
        strict=True,
    )
    return Reading(
        tuple(CharReading(names[a], min(p, 1.0), (names[b], min(q, 1.0)), box) for a, p, b, q, box in chars),
        min(end_confidence, 1.0),
    )


def boxes_of(attention: Floats, crop_size: tuple[int, int], filled: float) -> list[Box]:
    """Boxes of the columns that hold most of each position's attention [T, N]; crop px, full height."""
    height, width = crop_size
    columns = attention.shape[1]
    mass = np.cumsum(attention, axis=1)
    mass /= np.maximum(mass[:, -1:], 1e-9)
    left = (mass <= SEEN[0]).sum(axis=1)
    right = (mass < SEEN[1]).sum(axis=1) + 1
    px = width / max(columns * filled, 1e-6)
    x0, x1 = np.minimum(left * px, width - 1), np.minimum(right * px, width)
    return [(a, 0.0, b, float(height)) for a, b in zip(x0.tolist(), x1.tolist(), strict=True)]
