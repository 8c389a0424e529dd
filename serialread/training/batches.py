"""Which samples make up step k, and the arrays they become; a function of (seed, step) alone.

Shapes: B crops, H x W px of a bucket, T slots, N columns (W / 4).
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple, overload

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from serialread.codes import MAX_LENGTH, Alphabet
from serialread.errors import SerialreadError, StoreError
from serialread.imaging import to_array
from serialread.model import SLOTS, Targets
from serialread.recipe import CropGeometry
from serialread.recipe.training import Augmentation
from serialread.records import Pixels, Sample
from serialread.training.augmentation import augment


class Joined(Sequence[Sample]):
    """Several sequences of samples as one."""

    def __init__(self, parts: Sequence[Sequence[Sample]]) -> None:
        self.parts = tuple(parts)
        self.ends = list(accumulate(len(part) for part in self.parts))

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        part = bisect_right(self.ends, number)
        return self.parts[part][number - (self.ends[part] - len(self.parts[part]))]


def survey(samples: Sequence[Sample], geometry: CropGeometry, alphabet: Alphabet) -> NDArray[np.int32]:
    """Width bucket of every sample [n]; looks at each once and refuses what cannot be learned.

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
    """The order of an endless run: which samples make up which step, epoch after epoch.

    A batch holds one bucket; what does not fill a batch waits for another epoch's shuffle, unless the bucket
    is smaller than one batch: then its samples repeat.
    """

    def __init__(self, buckets: NDArray[np.int32], batch: int, seed: int) -> None:
        self.buckets, self.batch, self.seed = buckets, batch, seed
        self.per_epoch = sum(max(1, int((buckets == b).sum()) // batch) for b in np.unique(buckets))
        self._epoch, self._order = -1, list[tuple[int, NDArray[np.int64]]]()

    def at(self, step: int) -> tuple[int, NDArray[np.int64]]:
        """Bucket and sample numbers [B] of a step."""
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
    """What one step sees."""

    crops: Tensor
    """float32 [B, 1, H, W]."""
    targets: Targets


class Batches(torch.utils.data.Dataset[Batch]):
    """Batch k of a run, augmented; can be handed to worker processes."""

    def __init__(
        self,
        samples: Sequence[Sample],
        plan: Plan,
        geometry: CropGeometry,
        alphabet: Alphabet,
        knobs: Augmentation,
    ) -> None:
        self.samples, self.plan, self.geometry, self.alphabet, self.knobs = (
            samples,
            plan,
            geometry,
            alphabet,
            knobs,
        )

    def __getitem__(self, step: int) -> Batch:
        """The batch of a step."""
        bucket, numbers = self.plan.at(step)
        epoch = step // self.plan.per_epoch
        drawn = []
        for place, number in enumerate(numbers):
            rng = np.random.default_rng(
                [self.plan.seed, epoch, int(number), place if len(numbers) > len(self.samples) else 0]
            )
            drawn.append(augment(self.samples[int(number)], self.knobs, rng))
        return collate(drawn, bucket, self.geometry, self.alphabet)


def collate(samples: Sequence[Sample], bucket: int, geometry: CropGeometry, alphabet: Alphabet) -> Batch:
    """Turn samples of one bucket into the arrays of a step."""
    shape = (len(samples), geometry.height // 2, bucket // 2)
    crops = np.zeros((len(samples), 1, geometry.height, bucket), np.float32)
    classes = np.zeros((len(samples), SLOTS), np.int64)
    pixels, columns = np.zeros(shape, np.uint8), np.zeros((len(samples), bucket // 4), np.int64)
    for i, sample in enumerate(samples):
        crops[i] = to_array(sample.pixels, geometry)
        classes[i, : len(sample.text)] = alphabet.encode(sample.text)
        if sample.glyphs is not None:
            masks = _masks(sample.glyphs, bucket, geometry)
            pixels[i] = masks.reshape(shape[1], 2, shape[2], 2).max((1, 3))
            columns[i] = owners(masks, len(sample.text))
    return Batch(
        torch.from_numpy(crops),
        Targets(
            classes=torch.from_numpy(classes),
            lengths=torch.tensor([len(sample.text) for sample in samples]),
            pixels=torch.from_numpy(pixels),
            columns=torch.from_numpy(columns),
            known=torch.tensor([sample.glyphs is not None for sample in samples]),
        ),
    )


def _masks(glyphs: Pixels, bucket: int, geometry: CropGeometry) -> Pixels:
    """Masks where ``to_array`` puts the pixels: scaled to the network's height, padded to the bucket."""
    height, width = glyphs.shape
    wanted = min(max(round(width * geometry.height / height), 8), geometry.widths[-1])
    if (height, width) != (geometry.height, wanted):
        size = (wanted, geometry.height)
        glyphs = cv2.resize(glyphs, size, interpolation=cv2.INTER_NEAREST).astype(np.uint8, copy=False)
    padded = np.zeros((geometry.height, bucket), np.uint8)
    padded[:, :wanted] = glyphs
    return padded


def owners(masks: Pixels, characters: int) -> NDArray[np.int64]:
    """Character id of every column of four px [N]: who reaches into it, the nearest if several do."""
    width = masks.shape[1]
    if characters == 0:
        return np.zeros(width // 4, np.int64)
    present: NDArray[np.bool_] = np.zeros((characters + 1, width), np.bool_)
    present[np.minimum(masks, characters), np.arange(width)[None]] = True
    seen: NDArray[np.bool_] = present[1:]
    left, right = seen.argmax(1), width - 1 - seen[:, ::-1].argmax(1)  # [n]
    start = np.arange(0, width, 4)
    visible = np.asarray(seen.any(1))
    reaches = (right[:, None] >= start) & (left[:, None] <= start + 3) & visible[:, None]  # [n, N]
    far = np.where(reaches, np.abs(start + 1.5 - (left + right)[:, None] / 2), np.inf)
    return np.where(reaches.any(0), far.argmin(0) + 1, 0)
