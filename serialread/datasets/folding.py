"""Samples as an alphabet of small letters sees them; masks follow."""

from collections.abc import Sequence

import numpy as np

from serialread.codes import Alphabet
from serialread.datasets.sequences import Samples
from serialread.records import Sample


class Folded(Samples):
    """Samples in lower case, without the characters that an alphabet lacks; read lazily."""

    def __init__(self, samples: Sequence[Sample], alphabet: Alphabet) -> None:
        self.samples, self.alphabet = samples, alphabet

    def __len__(self) -> int:
        return len(self.samples)

    def _sample(self, number: int) -> Sample:
        return folded(self.samples[number], self.alphabet)


def folded(sample: Sample, alphabet: Alphabet) -> Sample:
    """One sample in lower case, without the characters that the alphabet lacks.

    What is left out is left out of the truth alone: in the masks it becomes ground.
    """
    kept = [char in alphabet.chars for char in sample.text.lower()]
    text = "".join(char for char, keep in zip(sample.text.lower(), kept, strict=True) if keep)
    if sample.glyphs is None:
        return Sample(sample.pixels, text, None, sample.origin)
    renumbered = np.zeros(256, np.uint8)
    renumbered[1 : len(kept) + 1] = np.cumsum(kept) * kept
    return Sample(sample.pixels, text, renumbered[sample.glyphs], sample.origin)
