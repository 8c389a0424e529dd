"""Which characters were taken for which, lost or added, and at what place.

A text is laid beside its truth with the fewest edits (Levenshtein 1966); where several ways need equally few,
rapidfuzz takes one of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Edits:
    """Every edit between N reads and their truths, one after the other: M edits.

    Attributes:
        pair: number of the pair, [M].
        position: place in the truth, counted from 1, [M]; an added character has that of the one it stands
            before, which is one past the end after the last.
        truth: the truth's character, [M]; "" for an added one.
        read: the read character, [M]; "" for a lost one.
    """

    pair: Ints
    position: Ints
    truth: NDArray[np.object_]
    read: NDArray[np.object_]

    @classmethod
    def of(cls, reads: Sequence[str], truths: Sequence[str]) -> "Edits":
        """Lay each read beside its truth; pairs that are equal cost next to nothing."""
        found: list[tuple[int, int, str, str]] = []
        for number, (read, truth) in enumerate(zip(reads, truths, strict=True)):
            if read == truth:
                continue
            for op in Levenshtein.editops(truth, read):
                lost = "" if op.tag == "insert" else truth[op.src_pos]
                added = "" if op.tag == "delete" else read[op.dest_pos]
                found.append((number, op.src_pos + 1, lost, added))
        pair, position, truth_chars, read_chars = zip(*found, strict=True) if found else ((), (), (), ())
        return cls(
            np.array(pair, np.int64),
            np.array(position, np.int64),
            np.array(truth_chars, object),
            np.array(read_chars, object),
        )


def characters(texts: Sequence[str]) -> tuple[list[str], Ints]:
    """The distinct characters of all texts in the order of their code points, and how often each stands."""
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    counts = np.bincount(codes) if len(codes) else np.zeros(0, np.int64)
    present = np.flatnonzero(counts)
    return [chr(code) for code in present], counts[present].astype(np.int64)


def reach(texts: Sequence[str]) -> Ints:
    """How many texts have a character at position 1, 2, ... [longest]."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    return np.cumsum(np.bincount(lengths)[::-1])[::-1][1:] if len(texts) else np.zeros(0, np.int64)
