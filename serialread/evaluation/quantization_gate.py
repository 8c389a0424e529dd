"""Eight bits only where a model reads as well with them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serialread.config import CropGeometry
from serialread.datasets import ConcatenatedSamples
from serialread.errors import StoreError
from serialread.evaluation.measures import Measures
from serialread.evaluation.sources import labelled, measures
from serialread.imaging import to_array
from serialread.inference.quantization import Ranges, measure
from serialread.inference.session import Engine
from serialread.records import Floats

MOST_LOST = 0.005
"""Share of the crops that may be read wrong for the speed, those that are won counted against them."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A model's ranges, and what came of them.

    Attributes:
        ranges: measured.
        crops: read both ways.
        sixteen: of these, read exactly in sixteen bits.
        eight: read exactly in eight.
        lost: read exactly in sixteen bits alone.
        won: read exactly in eight alone.
    """

    ranges: Ranges
    crops: int
    sixteen: int
    eight: int
    lost: int
    won: int

    @property
    def is_as_good(self) -> bool:
        """Whether eight bits lose no more than ``MOST_LOST`` of the crops."""
        return self.lost - self.won <= MOST_LOST * self.crops

    def to_text(self) -> str:
        """In a line."""
        return (
            f"eight bits read {self.eight} of {self.crops} crops, sixteen {self.sixteen} "
            f"({self.lost} lost, {self.won} won)"
        )


def try_eight_bits(path: Path, places: Sequence[Path], count: int) -> Trial:
    """Measure a model's ranges by ``count`` labelled crops, and read all of them with and without.

    Raises:
        CheckpointError: no such model, or one without wide convolutions.
        StoreError: nothing labelled is there.
    """
    plain = Engine(path, precision="half")
    ranges = measure(path, plain.card.model_id, _arrays(places, count, plain.card.geometry))
    sixteen, eight = measures(plain, places), measures(Engine(path, ranges=ranges), places)
    strict = next(c for c in eight.against(sixteen) if c.protocol == "strict")
    return Trial(ranges, strict.crops, _right(sixteen), _right(eight), strict.only_second, strict.only_first)


def _arrays(places: Sequence[Path], count: int, geometry: CropGeometry) -> Iterator[Floats]:
    """So many crops, evenly spread over all places, as the network takes them."""
    samples = ConcatenatedSamples([labelled(place)[0] for place in places])
    if not samples:
        raise StoreError(
            f"{', '.join(map(str, places))}: nothing labelled here. Name a store or a labelled folder."
        )
    for number in np.linspace(0, len(samples) - 1, min(count, len(samples))).astype(int).tolist():
        yield to_array(samples[number].pixels, geometry)


def _right(measures: Measures) -> int:
    return measures.lines[0].right["strict"]
