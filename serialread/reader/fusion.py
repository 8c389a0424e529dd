"""Test-time augmentation: when to read a crop in another view, and how to fuse its readings."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from serialread.config import Code
from serialread.imaging import TIGHT_VIEWS, LevelView, TightView
from serialread.inference import status_of
from serialread.reader.decisions import log_odds, logit
from serialread.records import CharReading, FreeReading, Reading

RETRY_BELOW = 0.8
"""Confidence below which a crop is read in another view (docs/benchmarks/reading.md)."""

_ANY = Code()


def next_view(readings: Sequence[Reading], tilt_deg: float = 0.0) -> TightView | LevelView | None:
    """The next view to read; None if the first is confident, two views agree, or none is left.

    Views whose free reading does not match the format do not count as agreeing.

    Args:
        readings: of the views so far, first of the crop itself.
        tilt_deg: tilt of the crop; if it is not 0, the last view is level.
    """
    views: Sequence[TightView | LevelView] = (*TIGHT_VIEWS, LevelView(tilt_deg)) if tilt_deg else TIGHT_VIEWS
    if readings[0].confidence >= RETRY_BELOW or len(readings) > len(views):
        return None
    texts = [reading.text for reading in readings if reading.free is None]
    return None if len(set(texts)) < len(texts) else views[len(readings) - 1]


def fuse(readings: Sequence[Reading], code: Code = _ANY) -> Reading:
    """Fuse the readings of all views of a crop into one.

    Each view votes for its string with its confidence, or for all of its ``alternatives``, each with its
    posterior. If some free readings match the format and others do not, the strings that the format changed
    do not count: a code that wins without the format also wins with it. ``free`` is the winner without the
    format. The result has the boxes of the winner's most confident view. A character's confidence is the mean
    over the views with the same number of characters, the end's is the mean over all views: a view of another
    length lowers the confidence of the whole code. The posterior is the mean over all views. ``joint_odds``
    combines the log-odds of all views; a view that is confident of another string counts against the code.

    Args:
        readings: of the same crop, boxes in crop px; first of the crop itself.
        code: the thresholds for a character's status.
    """
    if len(readings) == 1:
        return readings[0]
    voters = _voters(readings)
    weights = _votes(readings, voters)
    winner = max((reading.text for reading in voters), key=weights.__getitem__)
    best = max((r for r in voters if r.text == winner), key=lambda r: r.confidence)
    peers = [r for r in readings if len(r.chars) == len(best.chars)]
    chars = tuple(_agreed(c, [p.chars[i] for p in peers], code) for i, c in enumerate(best.chars))
    end = sum(p.end_confidence for p in peers) / len(readings)
    odds, free = _joint_odds(readings, winner), _free(readings, winner)
    posterior = None if best.posterior is None else min(weights[winner] / len(readings), 1.0)
    return replace(
        best,
        chars=chars,
        end_confidence=end,
        joint_odds=odds,
        free=free,
        posterior=posterior,
        alternatives=(),
    )


def _votes(readings: Sequence[Reading], voters: Sequence[Reading]) -> dict[str, float]:
    """The sum of all views' probabilities of each string; only the voters' own strings may have a format."""
    weights: dict[str, float] = defaultdict(float)
    for reading in readings:
        found = dict(reading.alternatives)
        if any(reading is voter for voter in voters):
            found.setdefault(reading.text, reading.confidence)
        for text, probability in found.items():
            weights[text] += probability
    return weights


def _joint_odds(readings: Sequence[Reading], text: str) -> float:
    """Twice the sum of all views' log-odds for a string, divided by their number plus one.

    A single view keeps its log-odds; two equally confident ones have more.
    """
    odds = (log_odds(r) if r.text == text else _odds_against(r, text) for r in readings)
    return 2 * sum(odds) / (len(readings) + 1)


def _odds_against(reading: Reading, text: str) -> float:
    """Log-odds of a string in a view that reads another one."""
    known = dict(reading.alternatives)
    if text in known:
        return min(logit(known[text]), 0.0)
    if reading.free is None:
        return -max(log_odds(reading), 0.0)
    return -max(logit(min(max(reading.free.confidence, 1e-9), 1 - 1e-9)), 0.0)


def _free(readings: Sequence[Reading], text: str) -> FreeReading | None:
    """The fused free reading of all views; None if it is the code."""
    weights: dict[str, float] = defaultdict(float)
    for reading in readings:
        free = {reading.free_text: (reading.free or reading).confidence}
        for string, probability in (dict(reading.alternatives) or free).items():
            weights[string] += probability
    best_text = max((reading.free_text for reading in readings), key=weights.__getitem__)
    if best_text == text:
        return None
    code = sum(reading.confidence for reading in readings if reading.text == text)
    margin = math.log(max(weights[best_text], 1e-30)) - math.log(max(code, 1e-30))
    return FreeReading(best_text, max(margin, 0.0), weights[best_text] / len(readings))


def _voters(readings: Sequence[Reading]) -> Sequence[Reading]:
    """The readings that vote: those that the format did not change; all, if it changed all or none."""
    unchanged = [reading for reading in readings if reading.free is None]
    if len(unchanged) == len(readings):
        return readings
    return [reading for reading in unchanged if reading.chars] or readings


def _agreed(char: CharReading, seen: Sequence[CharReading], code: Code) -> CharReading:
    """A character with its mean confidence over several views, and its strongest runner-up."""
    masses: dict[str, float] = defaultdict(float)
    for one in seen:
        masses[one.char] += one.confidence / len(seen)
        masses[one.runner_up[0]] += one.runner_up[1] / len(seen)
    own = masses.pop(char.char)
    rival = max(masses, key=masses.__getitem__)
    status = status_of(own, masses[rival], code)
    return replace(char, confidence=min(own, 1.0), runner_up=(rival, min(masses[rival], 1.0)), status=status)
