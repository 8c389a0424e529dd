"""Decode scores to a reading: the most likely string, free or within a format.

Letters: T positions, C classes (0 ends the string), N attention columns, L characters.
"""

import math
from dataclasses import replace

import numpy as np

from serialread.codes import Alphabet, format_of
from serialread.config import Code
from serialread.inference.char_readings import boxes_of, char_readings
from serialread.inference.ctc_decoding import decode_columns
from serialread.inference.ctc_format_search import CtcFormatSearch
from serialread.inference.format_search import FormatSearch
from serialread.records import Box, Floats, FreeReading, Reading, Topology

_ANY = Code()


def search_of(code: Code, alphabet: Alphabet, topology: Topology) -> FormatSearch | None:
    """The search for a station's format; None if it has no format.

    Raises:
        RecipeError: the alphabet has no code of this format.
    """
    if not code.format:
        return None
    kind = CtcFormatSearch if topology == "ctc" else FormatSearch
    return kind(format_of(code.format), alphabet)


def decode(
    scores: Floats,
    alphabet: Alphabet,
    attention: Floats | None = None,
    crop_size: tuple[int, int] = (1, 1),
    filled: float = 1.0,
    code: Code = _ANY,
    search: FormatSearch | None = None,
    topology: Topology = "slots",
    strings: int = 1,
) -> Reading:
    """Decode the most likely string; with ``search``, the most likely string that matches its format.

    Positions are independent, so the best class of each gives the best string. If that string does not match
    the format, ``free`` of the result keeps it. An empty string stays empty with any format.

    Args:
        scores: log-probabilities [T, C]; of CTC topology [N, C].
        alphabet: characters of the classes 1..C-1.
        attention: attention [T, N] for the boxes; None: no boxes.
        crop_size: height and width of the crop, px.
        filled: share of the N columns that the crop fills, 0..1; the rest is padding.
        code: thresholds of the character status.
        search: for the format that the code must match; None: no format.
        topology: what the scores describe, as the model's card says.
        strings: with CTC topology, number of most likely strings to look for; see ``Reading.alternatives``.
    """
    if topology == "ctc":
        return decode_columns(scores, alphabet, attention, crop_size, filled, code, search, strings)
    best = scores.argmax(axis=1)
    ends = np.flatnonzero(best == 0)
    length = int(ends[0]) if ends.size else len(best) - 1  # the last position can only end the string
    classes, free = best[:length].tolist(), None
    if search is not None and classes:
        text = alphabet.decode(classes)
        if not search.matches(text):
            fitted = search.best(scores)
            log_likelihood = _log_likelihood(scores, classes)
            margin = log_likelihood - _log_likelihood(scores, fitted)
            free = FreeReading(text, margin, min(math.exp(log_likelihood), 1.0))
            classes = fitted
    boxes = None if attention is None else boxes_of(attention[: len(classes)], crop_size, filled)
    reading = _reading(scores, alphabet, classes, boxes, code, free)
    # the last position always ends a string, also a longer one; only a format says how long a code is
    is_full = length == len(best) - 1 and free is None and (search is None or not ends.size)
    return replace(reading, longer_than=length) if is_full else reading


def _reading(
    scores: Floats,
    alphabet: Alphabet,
    classes: list[int],
    boxes: list[Box] | None,
    code: Code,
    free: FreeReading | None,
) -> Reading:
    """The characters of given classes [L], each with its runner-up."""
    length = len(classes)
    end_confidence = min(float(np.exp(scores[length, 0])), 1.0)
    if not length:
        return Reading((), end_confidence, free)
    probabilities = np.exp(scores[:length])
    steps = np.arange(length)
    firsts = probabilities[steps, classes].tolist()
    probabilities[steps, classes] = -1
    runners_up = probabilities.argmax(axis=1)
    seconds = probabilities[steps, runners_up].tolist()
    names = ["", *alphabet.chars]
    texts, others = [names[a] for a in classes], [names[b] for b in runners_up.tolist()]
    return Reading(char_readings(texts, firsts, others, seconds, boxes, code), end_confidence, free)


def _log_likelihood(scores: Floats, classes: list[int]) -> float:
    """Log-probability of a whole string [L], its end included."""
    return float(scores[np.arange(len(classes) + 1), [*classes, 0]].sum())
