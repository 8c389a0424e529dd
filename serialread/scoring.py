"""How good readings are: comparison protocols, edit distances, error rates and their intervals.

Sources: Levenshtein (1966) for edits; 1-NED as in the ICDAR 2019 ReCTS challenge; Wilson (JASA 1927) and
Clopper & Pearson (Biometrika 1934) for intervals of a proportion, compared by Newcombe (Statistics in
Medicine 1998); McNemar (Psychometrika 1947) in its exact form.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein
from scipy.special import bdtr, betaincinv

from serialread.codes import without_blanks

Interval = tuple[float, float]
"""Low and high bound of a proportion, 0..1."""

Protocol = Callable[[str], str]
"""What is left of a text for comparison: ``strict`` or ``mpsc``."""

_NOT_MPSC = re.compile("[^a-z0-9]")


def strict(text: str) -> str:
    """Keep case and symbols, drop blanks."""
    return without_blanks(text)


def mpsc(text: str) -> str:
    """Keep lower-cased letters and digits (a-z, 0-9) only: the protocol of the MPSC benchmark."""
    return _NOT_MPSC.sub("", text.lower())


def edits(read: str, truth: str) -> int:
    """Levenshtein distance: insertions, deletions and substitutions, one each."""
    return Levenshtein.distance(read, truth)


def edits_each(reads: Sequence[str], truths: Sequence[str]) -> NDArray[np.int32]:
    """Edits of each pair, [N]; a million pairs take about a second."""
    if len(reads) != len(truths):
        raise ValueError(f"edits_each: {len(reads)} reads for {len(truths)} truths. Give one truth a read.")
    if not len(reads):
        return np.zeros(0, np.int32)
    return process.cpdist(reads, truths, scorer=Levenshtein.distance, dtype=np.int32)


def cer(read: str, truth: str) -> float:
    """Character error rate of one text: edits / length of the truth; nan for an empty truth."""
    return _ratio(edits(read, truth), len(truth))


def one_minus_ned(read: str, truth: str) -> float:
    """One minus the normalized edit distance, 0..1: 1 - edits / length of the longer; 1 if both are empty."""
    return 1.0 - edits(read, truth) / max(len(read), len(truth), 1)


@dataclass(frozen=True, slots=True)
class Marks:
    """How far each of N reads is from its truth, both reduced by one protocol.

    Attributes:
        edits: [N].
        truth_chars: lengths of the truths, [N].
        similarity: 1-NED, [N].
    """

    edits: NDArray[np.int32]
    truth_chars: NDArray[np.int32]
    similarity: NDArray[np.float64]

    @classmethod
    def of(cls, reads: Iterable[str], truths: Iterable[str], protocol: Protocol = strict) -> "Marks":
        """Compare reads with truths, one by one in the same order."""
        left, right = [protocol(read) for read in reads], [protocol(truth) for truth in truths]
        distances = edits_each(left, right)
        read_chars = np.fromiter(map(len, left), np.int32, len(left))
        truth_chars = np.fromiter(map(len, right), np.int32, len(right))
        longer = np.maximum(np.maximum(read_chars, truth_chars), 1)
        return cls(distances, truth_chars, 1.0 - distances / longer.astype(np.float64))


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts over many pairs of a read and its truth; tallies add up, rates are properties.

    Attributes:
        right: pairs that are equal.
        total: pairs.
        edits: sum of edits.
        truth_chars: sum of the truths' lengths.
        similarity: sum of 1-NED.
    """

    right: int = 0
    total: int = 0
    edits: int = 0
    truth_chars: int = 0
    similarity: float = 0.0

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]], protocol: Protocol = strict) -> "Tally":
        """Count (read, truth) pairs, both sides reduced by the protocol first."""
        listed = list(pairs)
        marks = Marks.of([read for read, _ in listed], [truth for _, truth in listed], protocol)
        return cls(
            right=int(np.count_nonzero(marks.edits == 0)),
            total=len(listed),
            edits=int(marks.edits.sum()),
            truth_chars=int(marks.truth_chars.sum()),
            similarity=float(marks.similarity.sum()),
        )

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.right + other.right,
            self.total + other.total,
            self.edits + other.edits,
            self.truth_chars + other.truth_chars,
            self.similarity + other.similarity,
        )

    @property
    def wrong(self) -> int:
        """Pairs that differ."""
        return self.total - self.right

    @property
    def accuracy(self) -> float:
        """Share of pairs that are equal, 0..1; nan without pairs."""
        return _ratio(self.right, self.total)

    @property
    def cer(self) -> float:
        """Corpus character error rate: sum of edits / sum of truth lengths, 0 and up; nan without truth."""
        return _ratio(self.edits, self.truth_chars)

    @property
    def one_minus_ned(self) -> float:
        """Mean 1-NED over the pairs, 0..1; nan without pairs."""
        return _ratio(self.similarity, self.total)

    @property
    def interval(self) -> Interval:
        """Wilson interval of the accuracy at 95 %."""
        return wilson(self.right, self.total)


def wilson(right: int, total: int, confidence: float = 0.95) -> Interval:
    """Score interval of a proportion (Wilson 1927): the one to show; (0, 1) where nothing was counted."""
    _require_counts(right, total, confidence)
    if total == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, z2 = right / total, z * z
    middle = share + z2 / (2 * total)
    reach = z * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total))
    scale = 1 + z2 / total
    low = 0.0 if right == 0 else (middle - reach) / scale
    high = 1.0 if right == total else (middle + reach) / scale
    return low, high


def clopper_pearson(right: int, total: int, confidence: float = 0.95) -> Interval:
    """Exact interval of a proportion (Clopper & Pearson 1934): the one to claim, never too narrow."""
    _require_counts(right, total, confidence)
    tail = (1 - confidence) / 2
    low = 0.0 if right == 0 else float(betaincinv(right, total - right + 1, tail))
    high = 1.0 if right == total else float(betaincinv(right + 1, total - right, 1 - tail))
    return low, high


def mcnemar(a_right: Sequence[bool], b_right: Sequence[bool]) -> float:
    """Exact two-sided p that readers a and b are equally good, from the same images in the same order.

    Only images that one reads right and the other wrong count (McNemar 1947); 1 where there are none.
    """
    if len(a_right) != len(b_right):
        raise ValueError(f"mcnemar: {len(a_right)} against {len(b_right)} images. Compare the same images.")
    a, b = np.asarray(a_right, bool), np.asarray(b_right, bool)
    only_a, only_b = int(np.count_nonzero(a & ~b)), int(np.count_nonzero(b & ~a))
    if only_a == only_b:
        return 1.0
    return min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _require_counts(right: int, total: int, confidence: float) -> None:
    if not 0 <= right <= total:
        raise ValueError(f"interval: {right} of {total} is no proportion. Give 0 <= right <= total.")
    if not 0 < confidence < 1:
        raise ValueError(f"interval: confidence {confidence} is not between 0 and 1. Give 0.95 for 95 %.")
