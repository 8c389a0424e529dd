"""Class runs: letters and digits of a code come in runs, which decide where a character's shape does not.

The shape's odds between 0 and O, or 1 and I, are the network's, calibrated on rendered characters. The
classes of a group are a Markov chain: how probably a character has the class of its neighbour is counted in
the rest of the code, so that regular codes (``OLB-4809``) decide more than random ones (``V7O7PX9``).
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from serialread.config import Code
from serialread.reader.decisions import calibrated, logit, weakened
from serialread.reader.ovals import GUESS, has_marked_oval
from serialread.reader.segmentation import Segmentations
from serialread.records import CharReading, Reading

OVAL_SLOPE, BAR_SLOPE = 1.5, 1.0
"""The shape's log-odds per log-odds of the network (docs/benchmarks/reading.md)."""
STAYS, CHANGES = 1.0, 0.25
"""Pairs of neighbours of one class and of two that count before any is seen."""
_ALIKE = {"0": "Oo", "O": "0", "o": "0", "1": "Il", "I": "1", "l": "1"}
_OVALS = frozenset("0Oo")
_GROUP = re.compile(r"[0-9A-Za-z]+(?:[.,][0-9A-Za-z]+)*")
"""Points and commas separate no runs: ``117.07.01.211``."""
_CERTAIN = 27.0


def log_evidence(text: str) -> float:
    """How well the letters and digits of a text form runs: log-probability of where its classes change.

    Each pair of neighbours changes its class with one probability, which has a beta distribution with the
    counts ``CHANGES`` and ``STAYS``.
    """
    pairs = [text[a].isdigit() == text[b].isdigit() for group in _groups(text) for a, b in pairwise(group)]
    stays = sum(pairs)
    return _log_beta(CHANGES + len(pairs) - stays, STAYS + stays) - _log_beta(CHANGES, STAYS)


def _log_beta(one: float, other: float) -> float:
    return math.lgamma(one) + math.lgamma(other) - math.lgamma(one + other)


def settle_classes(reading: Reading, crop: Segmentations, code: Code) -> Reading:
    """A reading whose ambiguous characters have the class that shape and neighbours suggest.

    A format decides by itself, and so do the station's zeros. Ovals that the picture tells apart, as some
    have a slash or dot, stay as they are. A changed character keeps at most ``GUESS`` of the confidence of
    the one that the network reads, and so does the code.

    Args:
        reading: of all views; the runner-up of an ambiguous character is the other class.
        crop: of the reading.
        code: of the station.
    """
    shapes = {} if code.format else _shape_odds(reading, ovals=not code.zero)
    odds = _class_odds(reading.text, shapes)
    changed = {i: abs(total) for i, total in odds.items() if total * shapes[i] < 0}
    if any(reading.chars[i].char in _OVALS for i in changed) and has_marked_oval(reading, crop):
        changed = {i: total for i, total in changed.items() if reading.chars[i].char not in _OVALS}
    kept = {i: min(calibrated(total, 1.0, 0.0), GUESS) for i, total in changed.items()}
    weak = weakened(reading, kept)
    chars = list(weak.chars)
    for i, share in kept.items():
        chars[i] = replace(chars[i], char=chars[i].runner_up[0], runner_up=(chars[i].char, 1 - share))
    return replace(weak, chars=tuple(chars)) if kept else reading


def _shape_odds(reading: Reading, *, ovals: bool) -> dict[int, float]:
    """Log-odds that an ambiguous character is a digit, by its shape; by its number."""
    return {
        i: _sign(char.char) * _calibrated_odds(char)
        for i, char in enumerate(reading.chars)
        if char.runner_up[0] and char.runner_up[0] in _ALIKE.get(char.char, "")
        if ovals or char.char not in _OVALS
    }


def _calibrated_odds(char: CharReading) -> float:
    """Log-odds of a character's class, more than 0: the views together have chosen it."""
    confidence, other = max(char.confidence, 1e-9), max(char.runner_up[1], 1e-9)
    slope = OVAL_SLOPE if char.char in _OVALS else BAR_SLOPE
    return max(slope * math.log(confidence / other), 1e-6)


def _sign(char: str) -> int:
    return 1 if char.isdigit() else -1


def _groups(text: str) -> list[list[int]]:
    """Numbers of the letters and digits of each group."""
    spans = (range(*match.span()) for match in _GROUP.finditer(text))
    return [[i for i in span if text[i].isalnum()] for span in spans]


def _class_odds(text: str, shapes: Mapping[int, float]) -> dict[int, float]:
    """The log-odds that ambiguous characters are digits, by shape and neighbours; by their numbers."""
    groups = _groups(text) if shapes else []
    change = _change_share(text, groups, shapes)
    found = dict[int, float]()
    for numbers in groups:
        own = [shapes.get(i, _CERTAIN * _sign(text[i])) for i in numbers]
        left, right = _from_left(own, change), _from_left(own[::-1], change)[::-1]
        found |= {i: sum(parts) for i, *parts in zip(numbers, own, left, right, strict=True) if i in shapes}
    return found


def _change_share(text: str, groups: Sequence[Sequence[int]], open_: Mapping[int, float]) -> float:
    """How probably a character is not of its neighbour's class, by the certain pairs; at most 0.5."""
    pairs = [
        text[a].isdigit() == text[b].isdigit()
        for group in groups
        for a, b in pairwise(group)
        if a not in open_ and b not in open_
    ]
    changes = CHANGES + len(pairs) - sum(pairs)
    return min(changes / (STAYS + CHANGES + len(pairs)), 0.5)


def _from_left(own: Sequence[float], change: float) -> list[float]:
    """What the characters to its left say about each one's class, as log-odds."""
    before = [0.0]
    for odds in own[:-1]:
        digit = calibrated(before[-1] + odds, 1.0, 0.0)
        before.append(logit(digit * (1 - change) + (1 - digit) * change))
    return before
