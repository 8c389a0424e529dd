"""The batch of each training step: a function of (seed, step).

Shapes: B crops, H x W px of a bucket, T slots, N columns.
"""

import threading
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from serialread.codes import Alphabet, reads_upside_down
from serialread.config.training_recipe import TrainingRecipe
from serialread.errors import SerialreadError, StoreError
from serialread.imaging import column_owners, place_masks, to_array
from serialread.imaging.masks import text_mask
from serialread.models import Targets
from serialread.records import Sample
from serialread.training.augmentation import augment


def survey(samples: Sequence[Sample], recipe: TrainingRecipe) -> NDArray[np.int32]:
    """Width bucket of every sample [n]; checks that every text can be encoded.

    Raises:
        StoreError: the first sample whose text is too long or holds a character outside the alphabet.
    """
    geometry, alphabet, capacity = recipe.geometry, Alphabet(recipe.alphabet), recipe.network.capacity
    buckets = np.zeros(len(samples), np.int32)
    for i in range(len(samples)):
        sample = samples[i]
        if len(sample.text) > capacity:
            raise StoreError(
                f"sample {i}: {len(sample.text)} characters, at most {capacity} can be read. Leave it out."
            )
        try:
            alphabet.encode(sample.text)
        except SerialreadError as error:
            raise StoreError(f"sample {i}: {error}") from None
        height, width = sample.pixels.shape
        buckets[i] = geometry.bucket(round(width * geometry.height / height))
    return buckets


class Epoch(NamedTuple):
    """The samples of an epoch."""

    samples: Sequence[Sample]
    buckets: NDArray[np.int32]
    """Their width buckets [n]."""
    first: int = 0
    """Number of the first sample among all samples of the run."""


class CropSource(Protocol):
    """Where a run gets the samples of each epoch; usable in worker processes."""

    def count(self, epoch: int) -> int:
        """Number of an epoch's samples, known before they exist."""
        ...

    def epoch(self, number: int) -> Epoch:
        """The samples of an epoch."""
        ...

    def paced(self, steps: range, plan: "Plan", stop: threading.Event) -> Iterable[int]:
        """The steps, each once its samples exist; ends early if it is stopped or if they cannot be made."""
        return steps

    def check(self) -> None:
        """Raise the error, if samples cannot be made."""
        return

    def adopt(self, run: Path) -> None:
        """Take over what another run, which is branched, has made."""
        return

    def keep_from(self, epoch: int) -> None:
        """Delete what no epoch from this one on needs."""
        return

    def close(self) -> None:
        """End all work."""
        return


class StoredCrops(CropSource):
    """The same samples in every epoch."""

    def __init__(self, samples: Sequence[Sample], buckets: NDArray[np.int32]) -> None:
        self.samples, self.buckets = samples, buckets

    def count(self, epoch: int) -> int:
        """All."""
        return len(self.buckets)

    def epoch(self, number: int) -> Epoch:
        """All."""
        return Epoch(self.samples, self.buckets)


class Plan:
    """The samples of every step, shuffled per epoch, without end.

    A batch holds samples of one bucket; those that do not fill a batch join the next wider ones. Fewer
    samples than a batch repeat; else those that do not fill the last batch are left out of the epoch.
    """

    def __init__(self, source: CropSource, batch: int, seed: int) -> None:
        self.source, self.batch, self.seed = source, batch, seed
        self._starts = [0]  # first steps of epochs
        self._number, self._epoch = -1, Epoch((), np.zeros(0, np.int32))
        self._order = np.zeros((0, batch), np.int64)

    def epoch(self, step: int) -> int:
        """Epoch of a step."""
        while self._starts[-1] <= step:
            count = self.source.count(len(self._starts) - 1)
            self._starts.append(self._starts[-1] + max(1, count // self.batch))
        return bisect_right(self._starts, step) - 1

    def at(self, step: int) -> tuple[int, Epoch, NDArray[np.int64]]:
        """Number of the epoch, its samples, and which of them a step takes [B]."""
        number = self.epoch(step)
        if number != self._number:
            self._number, self._epoch = number, self.source.epoch(number)
            self._order = self._shuffled()
        return number, self._epoch, self._order[step - self._starts[number]]

    def _shuffled(self) -> NDArray[np.int64]:
        rng, buckets = np.random.default_rng([self.seed, self._number]), self._epoch.buckets
        batches = max(1, len(buckets) // self.batch)
        order = np.resize(rng.permutation(len(buckets)), batches * self.batch)
        order = order[np.argsort(buckets[order], kind="stable")]
        return rng.permutation(order.reshape(batches, self.batch))


class Batch(NamedTuple):
    """Inputs and targets of one step."""

    crops: Tensor
    """float32 [B, 1, H, W]."""
    targets: Targets


class TrainingBatches(torch.utils.data.Dataset[Batch]):
    """The augmented batches of a run, by step; usable in worker processes.

    Args:
        plan: the samples of every step.
        recipe: the training recipe.
        alphabet: of the recipe.
        share: which samples of every batch, such as those of one process; None for all.
    """

    def __init__(
        self, plan: Plan, recipe: TrainingRecipe, alphabet: Alphabet, share: slice | None = None
    ) -> None:
        self.plan, self.recipe, self.alphabet = plan, recipe, alphabet
        self.places = range(plan.batch)[share or slice(None)]

    def __getitem__(self, step: int) -> Batch:
        """The batch of a step."""
        recipe, (number, epoch, members) = self.recipe, self.plan.at(step)
        repeated = len(members) > len(epoch.samples)
        drawn = []
        for place in self.places:
            member = members[place]
            rng = np.random.default_rng(
                [self.plan.seed, number, epoch.first + int(member), place if repeated else 0]
            )
            sample = epoch.samples[int(member)]
            # before augmentation, which transforms it too
            masks = text_mask(sample.pixels, recipe.masks, sample.glyphs)
            drawn.append(
                augment(Sample(sample.pixels, sample.text, masks, sample.origin), recipe.augmentation, rng)
            )
        bucket = int(epoch.buckets[members].max())
        return collate(drawn, bucket, recipe, self.alphabet, exact=recipe.masks.kind == "rendered")


def collate(
    samples: Sequence[Sample], bucket: int, recipe: TrainingRecipe, alphabet: Alphabet, *, exact: bool = True
) -> Batch:
    """Arrays of samples that fit a bucket; not ``exact`` masks separate text from background only."""
    geometry, network = recipe.geometry, recipe.network
    step, column_px = network.mask_px, network.column_px
    shape = (len(samples), geometry.height // step, bucket // step)
    crops = np.zeros((len(samples), 1, geometry.height, bucket), np.float32)
    classes = np.zeros((len(samples), network.capacity + 1), np.int64)
    pixels, columns = np.zeros(shape, np.uint8), np.zeros((len(samples), bucket // column_px), np.int64)
    for i, sample in enumerate(samples):
        array = to_array(sample.pixels, geometry)
        width = array.shape[2]
        crops[i, :, :, :width] = array
        classes[i, : len(sample.text)] = alphabet.encode(sample.text)
        if sample.glyphs is not None:
            masks = place_masks(sample.glyphs, geometry)
            pixels[i, :, : width // step] = masks.reshape(shape[1], step, -1, step).max((1, 3))
            columns[i, : width // column_px] = column_owners(
                masks, len(sample.text) if exact else 0, column_px
            )
    has_masks = torch.tensor([sample.glyphs is not None for sample in samples])
    return Batch(
        torch.from_numpy(crops),
        Targets(
            classes=torch.from_numpy(classes),
            lengths=torch.tensor([len(sample.text) for sample in samples]),
            pixels=torch.from_numpy(pixels),
            columns=torch.from_numpy(columns),
            characters_known=has_masks if exact else torch.zeros_like(has_masks),
            text_known=has_masks,
            oriented=torch.tensor([not reads_upside_down(sample.text) for sample in samples]),
        ),
    )
