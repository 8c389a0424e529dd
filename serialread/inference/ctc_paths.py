"""Strings and paths over CTC columns; after Graves et al., ICML 2006.

A path gives each column a class, 0 being the blank; its string is what remains without repetitions and
blanks. The probability of a string is the sum over its paths.

Letters: N columns, C classes, L characters of a string.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from serialread.codes import Alphabet
from serialread.records import Floats

ALTERNATIVES = 5
"""Number of strings that a search keeps."""
BEAM = 8
"""Prefixes that a search follows."""
MIN_PROBABILITY = 1e-2
"""A search leaves out the classes of a column that are less likely."""
NEGLIGIBLE = 1e-8
"""Paths below this share of the most likely one's probability are left out of a sum."""
MIN_SCORE = -1e3
"""Lower log-probabilities count as this: sums of them are exact."""

_NOTHING: Mapping[str, float] = {}

Sums = NDArray[np.float64]
Likely = dict[str, float]
"""Characters with their probabilities."""
Prefixes = list[tuple[float, str, float, float]]
"""Prefixes, each after the probability of its paths and before that of the paths that end in a blank, and of
those that end in a character."""


class CtcPath(NamedTuple):
    """A path, as its string's classes and the columns of each: the first one and the one after the last."""

    classes: list[int]
    starts: list[int]
    ends: list[int]


def best_path(scores: Floats) -> CtcPath:
    """The most likely path over scores [N, C]."""
    best = scores.argmax(axis=1)
    changes = np.flatnonzero(best[1:] != best[:-1]) + 1
    starts = np.concatenate(([0], changes))
    classes = best[starts]
    written = classes > 0
    ends = np.concatenate((changes, [len(best)]))
    return CtcPath(classes[written].tolist(), starts[written].tolist(), ends[written].tolist())


def likelihood(probabilities: Floats, classes: Sequence[int], negligible: float = 0.0) -> float:
    """Probability of a string [L]: the sum over its paths, by the forward algorithm.

    Args:
        probabilities: [N, C].
        classes: of the string's characters.
        negligible: beginnings of paths that are less likely than this are left out.
    """
    length = len(classes)
    repeats = [False, *(a == b for a, b in zip(classes[1:], classes, strict=False))]
    # of the paths that end in the k-th character, and in a blank after k characters
    written, blank = [0.0] * (length + 1), [1.0] + [0.0] * length
    first = last = 0
    for row in probabilities.take([0, *classes], axis=1).tolist():
        if last < length:
            last += 1
        gap = row[0]
        ended, inked = blank[first], written[first]
        blank[first] = gap * (ended + inked)
        written[first] = 0.0 if not first else row[first] * inked
        for k in range(first + 1, last + 1):
            before = ended if repeats[k - 1] else ended + inked
            ended, inked = blank[k], written[k]
            blank[k] = gap * (ended + inked)
            written[k] = row[k] * (inked + before)
        while first < last and blank[first] + written[first] <= negligible:
            blank[first] = written[first] = 0.0
            first += 1
        while last > first and blank[last] + written[last] <= negligible:
            blank[last] = written[last] = 0.0
            last -= 1
    return blank[length] + written[length]


def best_strings(
    probabilities: Floats,
    alphabet: Alphabet,
    count: int = ALTERNATIVES,
    beam: int = BEAM,
    least: float = MIN_PROBABILITY,
    known: Mapping[str, float] = _NOTHING,
) -> tuple[tuple[str, float], ...]:
    """The most likely strings with their probabilities, most likely first, by prefix beam search.

    The probability of the first string is the sum over all of its paths, that of the others over those that
    the beam keeps.

    Args:
        probabilities: [N, C].
        alphabet: characters of the classes 1..C-1.
        count: number of strings.
        beam: prefixes that the search follows.
        least: classes of a column, and prefixes relative to the most likely one, that are less likely than
            this are left out.
        known: strings that have been summed over all their paths before, with their probabilities.
    """
    found: Prefixes = [(1.0, "", 1.0, 0.0)]
    for blank, chars in _steps(probabilities, alphabet, least):
        found = _extended(found, blank, chars, least)[:beam]
    highest, first, _, _ = found[0]
    exact = known.get(first)
    if exact is None:
        exact = likelihood(probabilities, alphabet.encode(first), NEGLIGIBLE * highest)
    return (first, exact), *((text, total) for total, text, _, _ in found[1:count])


def _steps(probabilities: Floats, alphabet: Alphabet, least: float) -> list[tuple[float, Likely]]:
    """The blank's probability and the likely characters of each column; columns without any are joined."""
    rows, classes = np.nonzero(probabilities[:, 1:] >= least)
    values = probabilities[rows, classes + 1].tolist()
    likely = defaultdict[int, Likely](dict)
    for row, number, value in zip(rows.tolist(), classes.tolist(), values, strict=True):
        likely[row][alphabet.chars[number]] = value
    steps: list[tuple[float, Likely]] = []
    for row, blank in enumerate(probabilities[:, 0].tolist()):
        if row in likely:
            steps.append((blank, likely[row]))
        elif steps and not steps[-1][1]:
            steps[-1] = (steps[-1][0] * blank, {})
        else:
            steps.append((blank, {}))
    return steps


def _extended(found: Prefixes, blank: float, chars: Likely, least: float) -> Prefixes:
    """The prefixes after one more column, the most likely first."""
    if not chars:
        return [(total * blank, text, total * blank, 0.0) for total, text, _, _ in found]
    ranked = sorted(chars.items(), key=itemgetter(1), reverse=True)
    floor = least * max(blank, ranked[0][1]) * found[0][0]
    written = {text: last * chars.get(text[-1:], 0.0) for _, text, _, last in found}
    for total, text, gap, _ in found:
        final = text[-1:]
        for char, probability in ranked:
            if total * probability <= floor:
                break  # the other characters are less likely
            entering = (gap if final == char else total) * probability
            if entering > floor:
                longer = text + char
                written[longer] = written.get(longer, 0.0) + entering
    after: Prefixes = []
    for total, text, _, _ in found:
        ended, last = total * blank, written.pop(text)
        if ended + last > floor:
            after.append((ended + last, text, ended, last))
    after += [(last, text, 0.0, last) for text, last in written.items()]
    after.sort(reverse=True)
    return after


def align(scores: Floats, classes: Sequence[int]) -> CtcPath:
    """The most likely path of a string [L] that fits into the columns (Viterbi, 1967)."""
    sums = prefix_sums(scores)  # the best paths are over the N + 1 edges of the columns
    begins: list[Sums] = [sums[0]]  # of everything before a character that begins at an edge
    ends: list[Sums] = []  # of everything up to a character that ends at an edge, less the blanks so far
    for number, after in zip(classes, [*classes[1:], 0], strict=True):
        ended = sums[number] + latest(begins[-1] - sums[number])
        ends.append(ended - sums[0])
        gap = sums[0] + latest(ends[-1])
        begins.append(gap if after == number else np.maximum(gap, ended))
    starts, stops, edge = list[int](), list[int](), len(scores)
    after = 0
    for number, begin, end in zip(reversed(classes), reversed(begins[:-1]), reversed(ends), strict=True):
        stop = int(end[: edge + (after != number)].argmax())
        edge = int((begin[:stop] - sums[number][:stop]).argmax())
        after = number
        starts.append(edge)
        stops.append(stop)
    return CtcPath(list(classes), starts[::-1], stops[::-1])


def prefix_sums(scores: Floats) -> Sums:
    """Sums of each class's scores over the columns before each edge [C, N + 1]."""
    sums = np.zeros((scores.shape[1], len(scores) + 1))
    np.cumsum(np.maximum(scores.T, MIN_SCORE), axis=1, out=sums[:, 1:])
    return sums


def latest(values: Sums) -> Sums:
    """The largest value at any earlier edge [..., N + 1]; -inf at the first."""
    before = np.full_like(values, -np.inf)
    np.maximum.accumulate(values[..., :-1], axis=-1, out=before[..., 1:])
    return before
