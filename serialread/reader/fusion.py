"""Test-time augmentation: when to read a crop in another view, and how to fuse its readings."""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from serialread.config import Code, StationView
from serialread.imaging import TIGHT_VIEWS, LevelView, TightView
from serialread.inference import status_of
from serialread.reader.class_runs import log_evidence
from serialread.reader.decisions import log_odds, logit
from serialread.records import CharReading, FreeReading, Reading, Topology

SURENESS = 0.3
"""Views of columns weigh by this power of their most likely string's probability."""
LEAST_SHARE = 1e-3
"""Least probability of a string in such a view, as a share of the most likely one's."""
DECIDED = 1.2
"""No further view is read once the mean log-probabilities of such strings differ by this (docs/benchmarks/
reading.md)."""
RUNS = 0.5
"""Weight of the runs of letters and digits beside the mean log-probability (docs/benchmarks/reading.md)."""
_MIN_PROBABILITY = 1e-290
_ANY = Code()
RETRY_BELOW = StationView().retry_below


def next_view(
    readings: Sequence[Reading],
    tilt_deg: float = 0.0,
    topology: Topology = "slots",
    below: float = RETRY_BELOW,
) -> TightView | LevelView | None:
    """The next view to read; None if the first is confident, the views are settled, or none is left.

    Args:
        readings: of the views so far, first of the crop itself; compared, if they are of columns.
        tilt_deg: tilt of the crop; if it is not 0, the last view is level.
        topology: of the model.
        below: confidence, 0..1, from which the first view is confident; 1: it never is.
    """
    views: Sequence[TightView | LevelView] = TIGHT_VIEWS[topology]
    if tilt_deg:
        views = (*views, LevelView(tilt_deg))
    confident = below < 1 and readings[0].confidence >= below
    if confident or len(readings) > len(views):
        return None
    return None if is_settled(readings) else views[len(readings) - 1]


def is_settled(readings: Sequence[Reading]) -> bool:
    """Whether two views agree, or one string is far more likely than the others in all views of columns.

    Only strings that match the format without its help count; what is likely does not depend on the format.
    """
    texts = [reading.text for reading in readings if reading.free is None]
    if len(set(texts)) < len(texts):
        return True
    free = [reading.free_text for reading in readings]
    views = [_among(dict(reading.alternatives), free) for reading in readings]
    if not texts or not all(views):
        return False
    support = _support(free, views)
    first, *others = sorted(support, key=support.__getitem__, reverse=True)
    return first in texts and all(support[first] - support[other] >= DECIDED for other in others)


def fuse(readings: Sequence[Reading], code: Code = _ANY) -> Reading:
    """Fuse the readings of all views of a crop into one.

    Each view votes for its string with its confidence. Views of columns that know the posteriors of all
    strings (``outputs.compared``) add up their logarithms instead: a string that one view excludes loses,
    however sure another one is of it; how well its letters and digits form runs adds to that. If some free
    readings match the format and others do not, the strings that the format changed do not count: a code that
    wins without the format also wins with it. ``free`` is the winner without the format. The result has the
    boxes of the winner's most confident view. A character's confidence is the mean over the views with the
    same number of characters, the end's is the mean over all views: a view of another length lowers the
    confidence of the whole code. The posterior is the mean over all views. ``joint_odds`` combines the
    log-odds of all views; a view that is confident of another string counts against the code.

    Args:
        readings: of the same crop, boxes in crop px; first of the crop itself.
        code: the thresholds for a character's status.
    """
    if len(readings) == 1:
        return readings[0]
    voters = _voters(readings)
    counting = {r.free_text for r in readings} | {r.text for r in voters}
    views = [
        _among(dict(r.alternatives), counting) or {r.text: r.confidence}
        for r in readings
        if r.alternatives or r in voters
    ]
    winner = _winner([r.text for r in voters], views)
    best = max((r for r in voters if r.text == winner), key=lambda r: r.confidence)
    peers = [r for r in readings if len(r.chars) == len(best.chars)]
    chars = tuple(_agreed(c, [p.chars[i] for p in peers], code) for i, c in enumerate(best.chars))
    end = sum(p.end_confidence for p in peers) / len(readings)
    posterior = sum(_probability(r, winner) for r in readings) / len(readings)
    return replace(
        best,
        chars=chars,
        end_confidence=end,
        joint_odds=_joint_odds(readings, winner),
        free=_free(readings, winner),
        posterior=None if best.posterior is None else min(posterior, 1.0),
        alternatives=(),
        view_texts=tuple(r.text for r in readings),
    )


def likely_string(
    readings: Sequence[Reading], nearest: Sequence[Mapping[str, float]], exact: Callable[[str], list[float]]
) -> str:
    """The string that views of columns support most, without a format.

    The right one is often no view's first string, but among the most likely ones of all.

    Args:
        readings: of a crop, compared.
        nearest: the most likely strings of each view, with their probabilities.
        exact: gives the probabilities of a string in all views; asked only about strings that may win.
    """
    known = [dict(reading.alternatives) for reading in readings]
    texts = dict.fromkeys(reading.free_text for reading in readings)
    best = max((support := _support(texts, known)), key=support.__getitem__)
    others = {text for view in nearest for text in view} - set(texts)
    least = [min(view.values()) for view in nearest]
    at_most = [{t: view.get(t, low) for t in others} for view, low in zip(nearest, least, strict=True)]
    bounds = _support(others, [a | k for a, k in zip(at_most, known, strict=True)])
    likely = [text for text in sorted(others) if bounds[text] > support[best]]
    for text in likely:
        for view, probability in zip(known, exact(text), strict=True):
            view[text] = probability
    support = _support([best, *likely], known)
    return max(support, key=support.__getitem__)


def _among(view: Mapping[str, float], texts: Collection[str]) -> dict[str, float]:
    """What a view knows of these strings: one that a format made must not change how sure the view is."""
    return {text: probability for text, probability in view.items() if text in texts}


def _winner(texts: Sequence[str], views: Sequence[Mapping[str, float]]) -> str:
    """The string that all views together support most.

    Args:
        texts: the strings.
        views: the probability of every string that a view knows.
    """
    if not all(text in view for text in texts for view in views):
        return max(texts, key=lambda text: sum(view.get(text, 0.0) for view in views))
    support = _support(texts, views)
    return max(support, key=support.__getitem__)


def _support(texts: Collection[str], views: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean log-probability of each string over views that all know it, weighted by their sureness.

    How well the letters and digits of the string form runs adds to it.
    """
    highest = [max(*view.values(), _MIN_PROBABILITY) for view in views]
    weights = [most**SURENESS for most in highest]
    return {
        text: sum(
            weight * math.log(max(view[text], LEAST_SHARE * most))
            for view, most, weight in zip(views, highest, weights, strict=True)
        )
        / sum(weights)
        + RUNS * log_evidence(text)
        for text in texts
    }


def _probability(reading: Reading, text: str) -> float:
    """Probability of a string in one view, as far as the view knows it."""
    return dict(reading.alternatives).get(text, reading.confidence if reading.text == text else 0.0)


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
    views = [dict(r.alternatives) or {r.free_text: (r.free or r).confidence} for r in readings]
    best_text = _winner([reading.free_text for reading in readings], views)
    if best_text == text:
        return None
    best = sum(view.get(best_text, 0.0) for view in views)
    code = sum(_probability(reading, text) for reading in readings)
    margin = math.log(max(best, _MIN_PROBABILITY)) - math.log(max(code, _MIN_PROBABILITY))
    return FreeReading(best_text, max(margin, 0.0), best / len(readings))


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
    return CharReading(char.char, min(own, 1.0), (rival, min(masses[rival], 1.0)), char.box, status)
