"""Compare read texts with their truths: protocols, edit distances, error rates, character errors.

Sources: Levenshtein (1966) for edits; 1-NED as in the ICDAR 2019 ReCTS challenge.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from serialread.codes import without_blanks
from serialread.metrics.intervals import Interval, ratio, wilson

Ints = NDArray[np.int64]

Protocol = Callable[[str], str]
"""Normalizes a text for comparison: ``strict`` or ``mpsc``."""

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
        raise ValueError(f"edits_each: {len(reads)} reads for {len(truths)} truths. Give one truth per read.")
    if not len(reads):
        return np.zeros(0, np.int32)
    return process.cpdist(reads, truths, scorer=Levenshtein.distance, dtype=np.int32)


def cer(read: str, truth: str) -> float:
    """Character error rate of one text: edits / length of the truth; nan for an empty truth."""
    return ratio(edits(read, truth), len(truth))


def one_minus_ned(read: str, truth: str) -> float:
    """One minus the normalized edit distance, 0..1: 1 - edits / length of the longer; 1 if both are empty."""
    return 1.0 - edits(read, truth) / max(len(read), len(truth), 1)


@dataclass(frozen=True, slots=True)
class TextDistances:
    """Edits between each of N reads and its truth, both normalized by one protocol.

    Attributes:
        edits: [N].
        read_chars: lengths of the reads, [N].
        truth_chars: lengths of the truths, [N].
        similarity: 1-NED, [N].
    """

    edits: NDArray[np.int32]
    read_chars: NDArray[np.int32]
    truth_chars: NDArray[np.int32]
    similarity: NDArray[np.float64]

    @classmethod
    def of(cls, reads: Iterable[str], truths: Iterable[str], protocol: Protocol = strict) -> "TextDistances":
        """Compare reads with truths, one by one in the same order."""
        left, right = [protocol(read) for read in reads], [protocol(truth) for truth in truths]
        distances = edits_each(left, right)
        read_chars = np.fromiter(map(len, left), np.int32, len(left))
        truth_chars = np.fromiter(map(len, right), np.int32, len(right))
        longer = np.maximum(np.maximum(read_chars, truth_chars), 1)
        return cls(distances, read_chars, truth_chars, 1.0 - distances / longer.astype(np.float64))


@dataclass(frozen=True, slots=True)
class AccuracyCounts:
    """Counts over many pairs of a read and its truth; counts add up, rates are properties.

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
    def of(cls, pairs: Iterable[tuple[str, str]], protocol: Protocol = strict) -> "AccuracyCounts":
        """Count (read, truth) pairs, both sides normalized by the protocol first."""
        listed = list(pairs)
        marks = TextDistances.of([read for read, _ in listed], [truth for _, truth in listed], protocol)
        return cls(
            right=int(np.count_nonzero(marks.edits == 0)),
            total=len(listed),
            edits=int(marks.edits.sum()),
            truth_chars=int(marks.truth_chars.sum()),
            similarity=float(marks.similarity.sum()),
        )

    def __add__(self, other: "AccuracyCounts") -> "AccuracyCounts":
        return AccuracyCounts(
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
        return ratio(self.right, self.total)

    @property
    def cer(self) -> float:
        """Corpus character error rate: sum of edits / sum of truth lengths, 0 and up; nan without truth."""
        return ratio(self.edits, self.truth_chars)

    @property
    def one_minus_ned(self) -> float:
        """Mean 1-NED over the pairs, 0..1; nan without pairs."""
        return ratio(self.similarity, self.total)

    @property
    def interval(self) -> Interval:
        """Wilson interval of the accuracy at 95 %."""
        return wilson(self.right, self.total)


@dataclass(frozen=True, slots=True)
class Edits:
    """Every edit between N reads and their truths, in order: M edits.

    The alignment has the fewest edits; among several, rapidfuzz chooses.

    Attributes:
        pair: index of the pair, [M].
        position: position in the truth, from 1, [M]; an insertion has that of the character after it, or one
            past the end.
        truth: the character of the truth, [M]; "" for an insertion.
        read: the character that was read, [M]; "" for a deletion.
    """

    pair: Ints
    position: Ints
    truth: NDArray[np.object_]
    read: NDArray[np.object_]

    @classmethod
    def of(cls, reads: Sequence[str], truths: Sequence[str]) -> "Edits":
        """Align each read with its truth; equal pairs cost next to nothing."""
        found: list[tuple[int, int, str, str]] = []
        for number, (read, truth) in enumerate(zip(reads, truths, strict=True)):
            if read == truth:
                continue
            for op in Levenshtein.editops(truth, read):
                deleted = "" if op.tag == "insert" else truth[op.src_pos]
                inserted = "" if op.tag == "delete" else read[op.dest_pos]
                found.append((number, op.src_pos + 1, deleted, inserted))
        pair, position, truth_chars, read_chars = zip(*found, strict=True) if found else ((), (), (), ())
        return cls(
            np.array(pair, np.int64),
            np.array(position, np.int64),
            np.array(truth_chars, object),
            np.array(read_chars, object),
        )


def count_characters(texts: Sequence[str]) -> dict[str, int]:
    """How often each character occurs in all texts, in the order of their code points."""
    return dict(sorted(Counter("".join(texts)).items()))


def count_positions(texts: Sequence[str]) -> Ints:
    """How many texts have a character at position 1, 2, ... [longest]."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    return np.cumsum(np.bincount(lengths)[::-1])[::-1][1:] if len(texts) else np.zeros(0, np.int64)
