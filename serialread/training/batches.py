"""The batch of each training step: a function of (seed, step).

Shapes: B crops, H x W px of a bucket, T slots, N columns.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from serialread.codes import MAX_LENGTH, Alphabet, reads_upside_down
from serialread.config import CropGeometry
from serialread.config.training_recipe import TrainingRecipe
from serialread.errors import SerialreadError, StoreError
from serialread.imaging import column_owners, place_masks, to_array
from serialread.imaging.masks import text_mask
from serialread.models import SLOTS, Targets
from serialread.records import Sample
from serialread.training.augmentation import augment


def survey(samples: Sequence[Sample], geometry: CropGeometry, alphabet: Alphabet) -> NDArray[np.int32]:
    """Width bucket of every sample [n]; checks that every text can be encoded.

    Raises:
        StoreError: the first sample whose text is too long or holds a character outside the alphabet.
    """
    buckets = np.zeros(len(samples), np.int32)
    for i in range(len(samples)):
        sample = samples[i]
        if len(sample.text) > MAX_LENGTH:
            raise StoreError(
                f"sample {i}: {len(sample.text)} characters, at most {MAX_LENGTH} can be read. Leave it out."
            )
        try:
            alphabet.encode(sample.text)
        except SerialreadError as error:
            raise StoreError(f"sample {i}: {error}") from None
        height, width = sample.pixels.shape
        buckets[i] = geometry.bucket(round(width * geometry.height / height))
    return buckets


class Plan:
    """The samples of every step, shuffled per epoch, without end.

    A batch holds samples of one bucket. Samples that do not fill a batch are left out of the epoch, unless
    the bucket is smaller than one batch: then its samples repeat.
    """

    def __init__(self, buckets: NDArray[np.int32], batch: int, seed: int) -> None:
        self.buckets, self.batch, self.seed = buckets, batch, seed
        self.per_epoch = sum(max(1, int((buckets == b).sum()) // batch) for b in np.unique(buckets))
        self._epoch, self._order = -1, list[tuple[int, NDArray[np.int64]]]()

    def at(self, step: int) -> tuple[int, NDArray[np.int64]]:
        """Bucket and sample indices [B] of a step."""
        epoch, place = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._shuffled(epoch)
        return self._order[place]

    def _shuffled(self, epoch: int) -> list[tuple[int, NDArray[np.int64]]]:
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(len(self.buckets))
        batches = []
        for bucket in np.unique(self.buckets):
            members = order[self.buckets[order] == bucket]
            count = max(1, len(members) // self.batch)
            batches += [(int(bucket), part) for part in np.resize(members, (count, self.batch))]
        return [batches[i] for i in rng.permutation(len(batches))]


class Batch(NamedTuple):
    """Inputs and targets of one step."""

    crops: Tensor
    """float32 [B, 1, H, W]."""
    targets: Targets


class TrainingBatches(torch.utils.data.Dataset[Batch]):
    """The augmented batches of a run, by step; usable in worker processes."""

    def __init__(
        self, samples: Sequence[Sample], plan: Plan, recipe: TrainingRecipe, alphabet: Alphabet
    ) -> None:
        self.samples, self.plan, self.recipe, self.alphabet = samples, plan, recipe, alphabet

    def __getitem__(self, step: int) -> Batch:
        """The batch of a step."""
        recipe, (bucket, numbers) = self.recipe, self.plan.at(step)
        epoch = step // self.plan.per_epoch
        drawn = []
        for place, number in enumerate(numbers):
            rng = np.random.default_rng(
                [self.plan.seed, epoch, int(number), place if len(numbers) > len(self.samples) else 0]
            )
            sample = self.samples[int(number)]
            masks = text_mask(
                sample.pixels, recipe.masks, sample.glyphs
            )  # before augmentation, which transforms it too
            drawn.append(
                augment(Sample(sample.pixels, sample.text, masks, sample.origin), recipe.augmentation, rng)
            )
        return collate(drawn, bucket, recipe, self.alphabet, exact=recipe.masks.kind == "rendered")


def collate(
    samples: Sequence[Sample], bucket: int, recipe: TrainingRecipe, alphabet: Alphabet, *, exact: bool = True
) -> Batch:
    """Arrays of a step, of samples of one bucket; not ``exact`` masks separate text from background only."""
    geometry, network = recipe.geometry, recipe.network
    step, column_px = network.mask_px, network.column_px
    shape = (len(samples), geometry.height // step, bucket // step)
    crops = np.zeros((len(samples), 1, geometry.height, bucket), np.float32)
    classes = np.zeros((len(samples), SLOTS), np.int64)
    pixels, columns = np.zeros(shape, np.uint8), np.zeros((len(samples), bucket // column_px), np.int64)
    for i, sample in enumerate(samples):
        crops[i] = to_array(sample.pixels, geometry)
        classes[i, : len(sample.text)] = alphabet.encode(sample.text)
        if sample.glyphs is not None:
            masks = place_masks(sample.glyphs, geometry)
            pixels[i] = masks.reshape(shape[1], step, shape[2], step).max((1, 3))
            columns[i] = column_owners(masks, len(sample.text) if exact else 0, column_px)
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
