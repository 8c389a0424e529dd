"""Decode the scores of CTC columns to a reading.

Letters: N columns, C classes (0 is the blank), T characters with attention, L characters.
"""

import math
from collections.abc import Collection
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from serialread.codes import CTC_CAPACITY, Alphabet
from serialread.config import Code
from serialread.inference.char_readings import boxes_of, char_readings
from serialread.inference.ctc_paths import (
    NEGLIGIBLE,
    CtcPath,
    align,
    best_path,
    best_strings,
    likelihood,
)
from serialread.inference.format_search import FormatSearch
from serialread.records import Box, CharReading, Floats, FreeReading, Reading

SURE = 0.9
"""Probability of a string above which a character is judged by its best column."""
MIN_SEVERAL = 0.02
"""Lower probabilities of several characters in the place of one are no runner-up."""

Integers = NDArray[np.intp]

SURE_BLANK = 0.99
"""Columns whose blank is more likely do not count for a character's confidence."""

_ANY = Code()
_MIN_POSTERIOR = 1e-300


def decode_columns(
    scores: Floats,
    alphabet: Alphabet,
    attention: Floats | None = None,
    crop_size: tuple[int, int] = (1, 1),
    filled: float = 1.0,
    code: Code = _ANY,
    search: FormatSearch | None = None,
    strings: int = 1,
) -> Reading:
    """Decode the string of the best path, or with ``search`` of the best path that matches its format.

    Of several ``strings`` it is the most likely one, and the others become alternatives. Columns that are too
    few for any code of the format keep the free reading. Arguments as of ``decode``, with scores [N, C] and
    the attention of the best path's characters.
    """
    first, probabilities = best_path(scores), np.exp(scores)
    if strings > 1:
        likely = best_strings(probabilities, alphabet, strings)
    else:
        likely = ((alphabet.decode(first.classes), _posterior(scores, probabilities, first)),)
    (text, posterior), free = likely[0], None
    if search is not None and text and not search.matches(text):
        fitted = search.best(scores)
        lower = likelihood(probabilities, fitted) if fitted else 0.0
        margin = math.log(max(posterior, _MIN_POSTERIOR)) - math.log(max(lower, _MIN_POSTERIOR))
        free = FreeReading(text, max(margin, 0.0), posterior)
        if fitted:
            text, posterior = alphabet.decode(fitted), lower
    classes = alphabet.encode(text)
    path = first if classes == first.classes else align(scores, classes)
    boxes = None
    if attention is not None:
        columns = _columns(path, attention if path is first else attention[:0])
        boxes = boxes_of(columns, crop_size, filled)
    reading = _reading(probabilities, path, posterior, alphabet, boxes, code)
    return replace(reading, free=free, alternatives=likely if strings > 1 else ())


def decode_as(
    text: str,
    posterior: float,
    scores: Floats,
    alphabet: Alphabet,
    crop_size: tuple[int, int] = (1, 1),
    filled: float = 1.0,
    code: Code = _ANY,
) -> Reading:
    """Decode a given string with its probability; the other arguments as of ``decode_columns``."""
    path = align(scores, alphabet.encode(text))
    boxes = boxes_of(_runs(path, len(scores)), crop_size, filled)
    return _reading(np.exp(scores), path, posterior, alphabet, boxes, code)


def _reading(
    probabilities: Floats,
    path: CtcPath,
    posterior: float,
    alphabet: Alphabet,
    boxes: list[Box] | None,
    code: Code,
) -> Reading:
    """The reading of a path's string."""
    return Reading(
        _characters(probabilities, path, posterior, alphabet, boxes, code),
        end_confidence=1.0,
        posterior=posterior,
        longer_than=CTC_CAPACITY if len(path.classes) > CTC_CAPACITY else 0,
    )


def posteriors(scores: Floats, alphabet: Alphabet, texts: Collection[str]) -> tuple[tuple[str, float], ...]:
    """Strings with their probabilities over the columns [N, C], each the sum over its paths."""
    if not texts:
        return ()
    probabilities, negligible = np.exp(scores), _negligible(scores)
    return tuple(
        (text, min(likelihood(probabilities, alphabet.encode(text), negligible), 1.0)) for text in texts
    )


def _posterior(scores: Floats, probabilities: Floats, best: CtcPath) -> float:
    """Probability of the best path's string."""
    return min(likelihood(probabilities, best.classes, _negligible(scores)), 1.0)


def _negligible(scores: Floats) -> float:
    """Probability below which beginnings of paths are left out."""
    return NEGLIGIBLE * math.exp(float(scores.max(axis=1).sum()))


def _columns(path: CtcPath, attention: Floats) -> Floats:
    """Attention of every character [L, N]; of those beyond its T characters their columns of the path."""
    length = len(path.classes)
    if length <= len(attention):
        return attention[:length]
    return np.concatenate((attention, _runs(path, attention.shape[1])[len(attention) :]))


def _runs(path: CtcPath, count: int) -> Floats:
    """The columns of every character as weights [L, N]."""
    columns = np.arange(count)
    starts, ends = np.array(path.starts, np.intp), np.array(path.ends, np.intp)
    return ((columns >= starts[:, None]) & (columns < ends[:, None])).astype(np.float32)


def _characters(
    probabilities: Floats,
    path: CtcPath,
    posterior: float,
    alphabet: Alphabet,
    boxes: list[Box] | None,
    code: Code,
) -> tuple[CharReading, ...]:
    """The characters of a path; the confidence of each is that its columns hold it and nothing else.

    No character is less likely than the whole string.
    The runner-up is the most likely of the other characters, no character, and several characters. If the
    string is nearly certain, each character's best column tells.
    """
    if not path.classes:
        return ()
    if posterior >= SURE:
        single = probabilities[_peaks(probabilities, path)]
        owners = several = np.zeros(len(path.classes), np.intp)
    else:
        single, owners = _single_characters(probabilities, path)
        several = 1 - single.sum(axis=1)
    steps = np.arange(len(path.classes))
    firsts = np.maximum(single[steps, path.classes], posterior).tolist()
    single[steps, path.classes] = -1
    rivals = single.argmax(axis=1)
    seconds = np.minimum(single[steps, rivals], 1 - posterior).tolist()
    names = ["", *alphabet.chars]
    runners_up = [names[rival] for rival in rivals.tolist()]
    for step in np.flatnonzero(several > np.maximum(seconds, MIN_SEVERAL)).tolist():
        runners_up[step] = alphabet.decode(_pair(probabilities[owners == step], path.classes[step]))
        seconds[step] = min(float(several[step]), 1 - posterior)
    texts = [names[number] for number in path.classes]
    return char_readings(texts, firsts, runners_up, seconds, boxes, code)


def _peaks(probabilities: Floats, path: CtcPath) -> list[int]:
    """The column of each character in which it is most likely [L]."""
    return [
        start if end == start + 1 else start + int(probabilities[start:end, number].argmax())
        for number, start, end in zip(*path, strict=True)
    ]


def _pair(probabilities: Floats, number: int) -> list[int]:
    """A character and the most likely other one, in the order of their columns; of its own columns [n, C]."""
    peak = int(probabilities[:, number].argmax())
    others = probabilities.copy()
    others[peak] = others[:, 0] = 0
    column, other = divmod(int(others.argmax()), others.shape[1])
    return [other, number] if column < peak else [number, other]


def _single_characters(probabilities: Floats, path: CtcPath) -> tuple[Floats, Integers]:
    """Probability that a character's own columns hold one character only, by class, or none [L, C].

    The second array has the character that owns each column [N]: two neighbours share the columns between
    them half and half. Columns that are surely blank are left out.
    """
    starts, ends = np.array(path.starts), np.array(path.ends)
    owners = np.searchsorted((ends[:-1] + starts[1:] + 1) // 2, np.arange(len(probabilities)), side="right")
    used = probabilities[:, 0] < SURE_BLANK
    used[starts] = True
    columns = np.flatnonzero(used)
    owned = owners[columns]
    steps = np.arange(len(starts))
    places = np.arange(len(columns)) - np.searchsorted(owned, steps)[owned]  # within the own columns
    table = np.zeros((int(places.max()) + 1, len(starts), probabilities.shape[1]), np.float32)
    blanks = np.ones((*table.shape[:2], 1), np.float32)
    table[places, owned] = probabilities[columns]
    blanks[places, owned] = probabilities[columns, :1]
    table[..., 0] = 0
    none = np.ones_like(blanks[0])
    running = ended = np.zeros_like(table[0])
    for chars, blank in zip(table, blanks, strict=True):
        ended = (ended + running) * blank
        running = chars * (running + none)
        none = none * blank
    single = ended + running
    single[:, 0] = none[:, 0]
    return single, owners
