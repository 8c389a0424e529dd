"""Quantize a model to int8 if it then reads labelled crops as well."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serialread.config import CropGeometry
from serialread.datasets import ConcatenatedSamples
from serialread.errors import CheckpointError, StoreError
from serialread.evaluation.evaluated_crops import labelled_samples
from serialread.evaluation.model_evaluation import evaluate_model
from serialread.imaging import to_array
from serialread.inference import quantization
from serialread.inference.session import Engine
from serialread.records import Floats

MAX_NET_LOSS = 0.003
"""Share of the crops that only 16 bits may read right, less those that only int8 reads right."""


@dataclass(frozen=True, slots=True)
class Int8Trial:
    """A model's accuracy with and without int8.

    Attributes:
        half: how many were read exactly in 16 bits.
        int8: how many were read exactly in int8.
        lost: read exactly in 16 bits only.
        won: read exactly in int8 only.
    """

    crops: int
    half: int
    int8: int
    lost: int
    won: int

    @property
    def is_as_good(self) -> bool:
        """Whether int8 loses no more than ``MAX_NET_LOSS`` of the crops."""
        return self.lost - self.won <= MAX_NET_LOSS * self.crops

    def to_text(self) -> str:
        """In a line."""
        return (
            f"int8 reads {self.int8} of {self.crops} crops, 16 bits {self.half} "
            f"({self.lost} lost, {self.won} won)"
        )


def quantize(
    model: str | Path, stores: Sequence[str | Path], count: int, *, parent: str | Path | None = None
) -> Int8Trial:
    """Measure a model's activation ranges, and keep them next to its file if int8 then reads as well.

    Args:
        model: a model file.
        stores: sample stores, public LMDBs, or folders with labels.csv; all crops are read both ways.
        count: crops to measure the ranges by.
        parent: a model file whose ranges are kept for the convolutions that both have.

    Raises:
        CheckpointError: the file is not a model or has no convolutions to quantize, or int8 reads worse.
        StoreError: there is nothing labelled.
    """
    model, paths = Path(model), [Path(store) for store in stores]
    plain = Engine(model, precision="half")
    ranges = quantization.measure(model, plain.card.model_id, _arrays(paths, count, plain.card.geometry))
    if parent is not None:
        ranges = quantization.with_shared_ranges(ranges, model, Path(parent))
    half, int8 = evaluate_model(plain, paths), evaluate_model(Engine(model, ranges=ranges), paths)
    strict = next(c for c in int8.compare(half) if c.protocol == "strict")
    trial = Int8Trial(
        crops=strict.crops,
        half=half.rows[0].right["strict"],
        int8=int8.rows[0].right["strict"],
        lost=strict.only_second,
        won=strict.only_first,
    )
    if not trial.is_as_good:
        quantization.delete_ranges(model)  # saved ones may be an earlier file's
        raise CheckpointError(
            f"{model}: {trial.to_text()}. The loss is too large: the model stays in 16 bits."
        )
    quantization.save_ranges(ranges, model)
    return trial


def _arrays(stores: Sequence[Path], count: int, geometry: CropGeometry) -> Iterator[Floats]:
    """``count`` crops as network input, evenly spread over all stores."""
    samples = ConcatenatedSamples([labelled_samples(store)[0] for store in stores])
    if not samples:
        raise StoreError(
            f"{', '.join(map(str, stores))}: nothing labelled here. Name a store or a labelled folder."
        )
    for number in np.linspace(0, len(samples) - 1, min(count, len(samples))).astype(int).tolist():
        yield to_array(samples[number].pixels, geometry)
