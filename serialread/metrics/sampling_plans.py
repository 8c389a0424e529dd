"""Sample sizes: for a claim about the accuracy, and for the acceptance of a lot.

Sources: Clopper & Pearson (Biometrika 1934), one-sided; ISO 2859-1:1999 tables 1 (general level II) and 2-A
(single sampling, normal inspection), whose plans repeat along diagonals. The same
tables are public as IS 2500 (Part 1):2000, identical to ISO 2859-1:1999, and in MIL-STD-105E (I and II-A).
"""

import math
from dataclasses import dataclass

from scipy.stats import beta, binom, nbinom

AQLS = (0.010, 0.015, 0.025, 0.040, 0.065, 0.10, 0.15, 0.25, 0.40, 0.65, 1.0, 1.5, 2.5, 4.0, 6.5, 10.0)
"""Acceptance quality limits with a plan, in per cent of nonconforming parts."""

_LEVEL_II = (8, 15, 25, 50, 90, 150, 280, 500, 1200, 3200, 10_000, 35_000, 150_000, 500_000)
"""Largest lot of the code letters A, B, C, ... P; beyond is Q."""

_SIZES = (2, 3, 5, 8, 13, 20, 32, 50, 80, 125, 200, 315, 500, 800, 1250, 2000)
"""Sample sizes of the code letters A to R."""

_ACCEPTS = (1, 2, 3, 5, 7, 10, 14, 21)
_LETTERS = "ABCDEFGHJKLMNPQR"


def pictures_needed(target: float, errors: int = 0, confidence: float = 0.95) -> int:
    """Smallest number of pictures that, with ``errors`` among them, supports a claim of at least ``target``.

    Args:
        target: share of right readings to claim, between 0 and 1.
        errors: wrong ones that are allowed.
        confidence: of the claim, one-sided, between 0 and 1.

    Raises:
        ValueError: a share that is not between 0 and 1, or a negative number of errors.
    """
    if not (0 < target < 1 and 0 < confidence < 1 and errors >= 0):
        raise ValueError(f"plan: {errors} errors, {target}, {confidence}. Give shares between 0 and 1.")
    passed = errors + 1  # the claim needs the trials until one error more than allowed: negative binomial
    return passed + int(nbinom.ppf(confidence, passed, 1 - target))


def chance_to_pass(pictures: int, errors: int, rate: float) -> float:
    """Probability, 0..1, of at most ``errors`` wrong pictures if each is right with probability ``rate``."""
    return float(binom.cdf(errors, pictures, 1 - rate))


@dataclass(frozen=True, slots=True)
class LotPlan:
    """How many parts of a lot to inspect, and how many bad ones to accept.

    Attributes:
        letter: the code letter of the plan used.
        sample: parts to inspect; the whole lot if it is smaller.
        accept: acceptance number: one bad part more rejects the lot.
        aql_percent: acceptance quality limit.
    """

    letter: str
    sample: int
    accept: int
    aql_percent: float

    def chance_to_accept(self, bad_share: float) -> float:
        """Probability that a lot with so many bad parts (0..1) is accepted: the operating characteristic."""
        return float(binom.cdf(self.accept, self.sample, bad_share))

    @property
    def consumers_risk_share(self) -> float:
        """Share of bad parts, 0..1, at which one lot in ten is still accepted."""
        return float(beta.ppf(0.90, self.accept + 1, self.sample - self.accept))


def lot_plan(lot: int, aql_percent: float) -> LotPlan:
    """Single sampling plan of ISO 2859-1, general level II, normal inspection.

    Raises:
        ValueError: an empty lot, or an AQL without a plan (``AQLS`` has them).
    """
    if lot < 2:
        raise ValueError(f"plan: a lot of {lot}. Give 2 parts or more.")
    places = [i for i, aql in enumerate(AQLS) if math.isclose(aql, aql_percent)]
    if not places:
        known = ", ".join(map(str, AQLS))
        raise ValueError(f"plan: no plan for an AQL of {aql_percent} %. Give one of {known}.")
    letter = sum(lot > largest for largest in _LEVEL_II)
    # steps from the AQL column whose acceptance number is 0: plans exist at 0 and from 3 on; elsewhere the
    # arrows of the table point to the next plan in the column
    steps = places[0] - (len(AQLS) - 2 - letter)
    while not (steps == 0 or 3 <= steps < 3 + len(_ACCEPTS)):
        way = 1 if steps < 0 or steps == 2 or letter == 0 else -1
        letter, steps = letter + way, steps + way
    size, accept = _SIZES[letter], 0 if steps == 0 else _ACCEPTS[steps - 3]
    return LotPlan(_LETTERS[letter], min(size, lot), accept, aql_percent)
