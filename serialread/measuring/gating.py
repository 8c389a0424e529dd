"""Eight bits only where a model reads as well with them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from serialread.engine import Engine
from serialread.errors import CheckpointError
from serialread.imaging import to_array
from serialread.measuring.measures import Measures
from serialread.measuring.places import labelled, measures
from serialread.quantizing import Ranges, beside, measure

MOST_LOST = 0.005
"""Share of the crops that may be read wrong for the speed, those that are won counted against them."""


def in_eight_bits(path: Path, places: Sequence[Path], count: int) -> str:
    """Measure a model's ranges, compare it with and without, keep them beside it; what came of it, in a line.

    Args:
        path: the model file.
        places: labelled crops, all of which are read both ways.
        count: of these, how many the ranges are measured by.

    Raises:
        CheckpointError: eight bits lose too much, and nothing is written; or the file cannot be written.
        StoreError: nothing labelled is there.
    """
    plain = Engine(path, precision="half")
    samples = [sample for place in places for sample in labelled(place)[0]]
    chosen = np.linspace(0, len(samples) - 1, min(count, len(samples))).astype(int).tolist()
    arrays = (to_array(samples[number].pixels, plain.card.geometry) for number in chosen)
    ranges = measure(path, plain.card.model_id, arrays)
    sixteen, eight = measures(plain, places), measures(Engine(path, ranges=ranges), places)
    strict = next(c for c in eight.against(sixteen) if c.protocol == "strict")
    told = (
        f"eight bits read {_right(eight)} of {strict.crops} crops, sixteen {_right(sixteen)} "
        f"({strict.only_second} lost, {strict.only_first} won)"
    )
    if strict.only_second - strict.only_first > MOST_LOST * strict.crops:
        raise CheckpointError(f"{path}: {told}. That is too much: the model stays in sixteen bits.")
    _write(beside(path), ranges)
    return f"{beside(path)}: {told}"


def _right(measures: Measures) -> int:
    return measures.lines[0].right["strict"]


def _write(place: Path, ranges: Ranges) -> None:
    try:
        place.write_text(ranges.to_json(), encoding="utf-8")
    except OSError as error:
        raise CheckpointError(f"{place}: cannot be written: {error.strerror}. Make room for it.") from None
