"""Scores become a reading: the likeliest string, and the likeliest that obeys a format.

Letters: T positions, C classes (0 is the end), N attention columns, L characters.
"""

import math

import numpy as np

from serialread.codes import Alphabet
from serialread.config import Code
from serialread.inference.format_search import FormatSearch
from serialread.records import Box, CharReading, CharStatus, Floats, FreeReading, Reading

SEEN = (0.1, 0.9)
"""A character's box spans these shares of its attention, left to right."""

_ANY = Code()


def decode(
    scores: Floats,
    alphabet: Alphabet,
    attention: Floats | None = None,
    crop_size: tuple[int, int] = (1, 1),
    filled: float = 1.0,
    code: Code = _ANY,
    search: FormatSearch | None = None,
) -> Reading:
    """The most likely string, or with ``search`` the most likely one of those that obey its format.

    Positions are read apart, so the best class of each makes the best string. If it obeys the format it is
    the best of those that do; if not, ``free`` of the result keeps it. Where nothing was read, no format
    makes a code of it.

    Args:
        scores: log-probabilities [T, C].
        alphabet: characters of the classes 1..C-1.
        attention: where each position looked [T, N], or None.
        crop_size: height and width of the crop, px, for the boxes.
        filled: share of the N columns that the crop fills, 0..1; the rest is padding.
        code: when a character is in doubt.
        search: of the format that the code should obey.
    """
    best = scores.argmax(axis=1)
    ends = np.flatnonzero(best == 0)
    length = int(ends[0]) if ends.size else len(best) - 1  # the last position has only the end to say
    classes, free = best[:length].tolist(), None
    if search is not None and classes:
        text = alphabet.decode(classes)
        if not search.holds(text):
            fitted = search.best(scores)
            seen = _likelihood(scores, classes)
            free = FreeReading(text, seen - _likelihood(scores, fitted), min(math.exp(seen), 1.0))
            classes = fitted
    boxes = None if attention is None else boxes_of(attention[: len(classes)], crop_size, filled)
    return _reading(scores, alphabet, classes, boxes, code, free)


def _reading(
    scores: Floats,
    alphabet: Alphabet,
    classes: list[int],
    boxes: list[Box] | None,
    code: Code,
    free: FreeReading | None,
) -> Reading:
    """The characters of given classes [L], each beside the likeliest other."""
    length = len(classes)
    end_confidence = min(float(np.exp(scores[length, 0])), 1.0)
    if not length:
        return Reading((), end_confidence, free)
    probabilities = np.exp(scores[:length])
    steps = np.arange(length)
    firsts = probabilities[steps, classes].tolist()
    probabilities[steps, classes] = -1
    rivals = probabilities.argmax(axis=1)
    seconds = probabilities[steps, rivals].tolist()
    names = ["", *alphabet.chars]
    places: list[Box] | list[None] = boxes or [None] * length
    chars = zip(classes, firsts, rivals.tolist(), seconds, places, strict=True)
    return Reading(
        tuple(
            CharReading(names[a], min(p, 1.0), (names[b], min(q, 1.0)), box, status_of(p, q, code))
            for a, p, b, q, box in chars
        ),
        end_confidence,
        free,
    )


def _likelihood(scores: Floats, classes: list[int]) -> float:
    """Logarithm of the probability of a whole string [L] and the end after it."""
    return float(scores[np.arange(len(classes) + 1), [*classes, 0]].sum())


def status_of(first: float, second: float, code: Code) -> CharStatus:
    """What became of a character, by its probability and that of the likeliest other, 0..1."""
    if max(first, second) < code.unread_below:
        return CharStatus.UNREAD
    if second - first >= code.confused_gap:
        return CharStatus.MISMATCH
    if first - second < code.confused_gap:
        return CharStatus.CONFUSED
    return CharStatus.READ


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
