"""One reading of several looks at the same code: when to look again, and what all looks say together."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from serialread.config import Code
from serialread.imaging import CLOSER, Closer, Level
from serialread.inference import status_of
from serialread.reader.decisions import log_odds
from serialread.records import CharReading, FreeReading, Reading

SURE = 0.8
"""A reading with less confidence is looked at again."""

_ANY = Code()


def next_look(readings: Sequence[Reading], tilt_deg: float = 0.0) -> Closer | Level | None:
    """What to look at next; None where the crop as it is reads surely, two looks agree, or none is left.

    Looks that read what the format does not allow agree on nothing: another one may read a code.

    Args:
        readings: so far, one at least; the first is that of the crop as it is.
        tilt_deg: of the crop; a tilted one is looked at level, too, last of all.
    """
    looks: Sequence[Closer | Level] = (*CLOSER, Level(tilt_deg)) if tilt_deg else CLOSER
    texts = [reading.text for reading in readings if reading.free is None]
    if readings[0].confidence >= SURE or len(set(texts)) < len(texts) or len(readings) > len(looks):
        return None
    return looks[len(readings) - 1]


def vote(readings: Sequence[Reading], code: Code = _ANY) -> Reading:
    """What most looks agree on, with the doubt of those that do not.

    Every look gives its string the confidence that it has in it. Where some looks read a code that obeys the
    format and others were made to, only the former have a say: a code that wins without the format wins with
    it. ``free`` is what would have won without it. The winner keeps the boxes of its surest look; a character
    is as sure as the looks are on average that read as many characters, and the end as all looks are on
    average, so that a look of another length counts against the whole code. ``joint_odds`` are the looks'
    log-odds: those that read another string count against the code if they are sure of theirs.

    Args:
        readings: of the same crop, boxes in the crop's px; the first is that of the crop as it is.
        code: when a character is in doubt.
    """
    if len(readings) == 1:
        return readings[0]
    voters = _voters(readings)
    weights: dict[str, float] = defaultdict(float)
    for reading in voters:
        weights[reading.text] += reading.confidence
    winner = max(weights, key=weights.__getitem__)
    best = max((r for r in voters if r.text == winner), key=lambda r: r.confidence)
    peers = [r for r in readings if len(r.chars) == len(best.chars)]
    chars = tuple(_agreed(c, [p.chars[i] for p in peers], code) for i, c in enumerate(best.chars))
    end = sum(p.end_confidence for p in peers) / len(readings)
    odds, free = _joint_odds(readings, winner), _free(readings, winner)
    return replace(best, chars=chars, end_confidence=end, joint_odds=odds, free=free)


def _joint_odds(readings: Sequence[Reading], text: str) -> float:
    """Twice the sum of all looks' log-odds for a string over one more than their number.

    So a look alone has its own, and two equally sure ones have more: as if one that knows nothing was among
    them.
    """
    odds = (log_odds(r) if r.text == text else -max(_seen_odds(r), 0.0) for r in readings)
    return 2 * sum(odds) / (len(readings) + 1)


def _seen_odds(reading: Reading) -> float:
    """Log-odds of what a look saw, which the format may have made into another code."""
    if reading.free is None:
        return log_odds(reading)
    seen = min(max(reading.free.confidence, 1e-9), 1 - 1e-9)
    return math.log(seen) - math.log1p(-seen)


def _free(readings: Sequence[Reading], text: str) -> FreeReading | None:
    """What the looks say together without the format; None where that is the code."""
    seen: dict[str, float] = defaultdict(float)
    for reading in readings:
        seen[reading.free_text] += (reading.free or reading).confidence
    likeliest = max(seen, key=seen.__getitem__)
    if likeliest == text:
        return None
    code = sum(reading.confidence for reading in readings if reading.text == text)
    margin = math.log(max(seen[likeliest], 1e-30)) - math.log(max(code, 1e-30))
    return FreeReading(likeliest, max(margin, 0.0), seen[likeliest] / len(readings))


def _voters(readings: Sequence[Reading]) -> Sequence[Reading]:
    """Of looks of which the format changed some, those that it did not; all, if it changed all or none."""
    unchanged = [reading for reading in readings if reading.free is None]
    if len(unchanged) == len(readings):
        return readings
    return [reading for reading in unchanged if reading.chars] or readings


def _agreed(char: CharReading, seen: Sequence[CharReading], code: Code) -> CharReading:
    """A character with the average of its confidence over several looks, and its strongest rival."""
    masses: dict[str, float] = defaultdict(float)
    for one in seen:
        masses[one.char] += one.confidence / len(seen)
        masses[one.runner_up[0]] += one.runner_up[1] / len(seen)
    own = masses.pop(char.char)
    rival = max(masses, key=masses.__getitem__)
    status = status_of(own, masses[rival], code)
    return replace(char, confidence=min(own, 1.0), runner_up=(rival, min(masses[rival], 1.0)), status=status)
