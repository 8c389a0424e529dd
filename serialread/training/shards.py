"""Crops that a run renders for itself, shard by shard, a little ahead of the training."""

import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import closing
from itertools import groupby
from pathlib import Path

import numpy as np

from serialread.codes import Alphabet
from serialread.config import DataRecipe, TrainingRecipe
from serialread.datasets import ConcatenatedSamples, LowercaseSamples, SampleStore, generate_part
from serialread.errors import RecipeError
from serialread.records import Sample
from serialread.training.batches import CropSource, Epoch, Plan, survey

BUCKETS = "buckets.npy"
"""Width buckets of a shard's samples, beside its LMDB; a shard that has them is complete."""


class FreshCrops(CropSource):
    """Shards of rendered crops in a run's folder; an epoch trains on the newest, and the next is rendered.

    Shard k holds the samples k x size to (k + 1) x size - 1 of the data recipes. Epoch e trains on the shards
    e - window + 1 to e: each crop is seen once in each of ``window`` epochs.

    Args:
        data: the data recipes; samples are taken from each in turn.
        recipe: the training recipe.
        folder: of the shards.
        renders: whether this process renders; else it waits for the shards that another one renders here.

    Raises:
        RecipeError: a data recipe has longer texts than the network reads.
    """

    def __init__(
        self, data: Sequence[DataRecipe], recipe: TrainingRecipe, folder: Path, *, renders: bool = True
    ) -> None:
        self.data, self.recipe, self.folder, self.renders = tuple(data), recipe, folder, renders
        self._pool: ThreadPoolExecutor | None = None  # of one thread, once the loader's processes are forked
        self._shards: dict[int, Future[None]] = {}
        self._closed = False
        longest, capacity = max(one.max_length for one in data), recipe.network.capacity
        if longest > capacity:
            raise RecipeError(
                f"data recipe: max_length {longest}, this network reads at most {capacity} characters. "
                "Lower max_length, or train a network with CTC."
            )

    def count(self, epoch: int) -> int:
        """Crops of an epoch."""
        return len(self._window(epoch)) * self.recipe.shards.size

    def epoch(self, number: int) -> Epoch:
        """The shards of an epoch, which must be complete."""
        window = self._window(number)
        shards = [self._samples(shard) for shard in window]
        buckets = np.concatenate([np.load(self._path(shard) / BUCKETS) for shard in window])
        return Epoch(ConcatenatedSamples(shards), buckets, window.start * self.recipe.shards.size)

    def paced(self, steps: range, plan: Plan, stop: threading.Event) -> Iterator[int]:
        """The steps, each once its shards are complete; ends early if stopped, or if one cannot be made."""
        for epoch, group in groupby(steps, plan.epoch):
            last = min(epoch + 1, plan.epoch(steps[-1]))
            if not self._complete(self._window(epoch), last, stop):
                return
            yield from group

    def check(self) -> None:
        """Raise the error of a shard.

        Raises:
            StoreError: a shard cannot be rendered, or cannot be encoded.
        """
        for shard in self._shards.values():
            if shard.done():
                shard.result()

    def keep_from(self, epoch: int) -> None:
        """Delete the shards that no epoch from this one on sees."""
        for path in self.folder.glob("[0-9]*"):
            if int(path.name) < self._window(epoch).start:
                shutil.rmtree(path)

    def adopt(self, run: Path) -> None:
        """Copy the complete shards of another run; those that are missing are rendered again."""
        for path in (run / self.folder.name).glob(f"*/{BUCKETS}"):
            target = self.folder / path.parent.name
            shutil.rmtree(target, ignore_errors=True)
            try:
                shutil.copytree(path.parent, target)
            except (OSError, shutil.Error):  # the other run deletes it just now
                shutil.rmtree(target, ignore_errors=True)

    def close(self) -> None:
        """Stop rendering; what is rendered is kept."""
        self._closed = True
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _window(self, epoch: int) -> range:
        return range(max(0, epoch + 1 - self.recipe.shards.window), epoch + 1)

    def _path(self, shard: int) -> Path:
        return self.folder / f"{shard:06d}"

    def _samples(self, shard: int) -> Sequence[Sample]:
        store = SampleStore(self._path(shard))
        return LowercaseSamples(store, Alphabet(self.recipe.alphabet)) if self.recipe.fold_case else store

    def _complete(self, window: range, last: int, stop: threading.Event) -> bool:
        """Wait for the shards of a window while those up to the last are rendered; False once stopped."""
        if not self.renders:
            while not (there := all((self._path(shard) / BUCKETS).exists() for shard in window)):
                if stop.wait(0.5):
                    break
            return there
        self._pool = self._pool or ThreadPoolExecutor(1)
        for shard in range(window.start, last + 1):
            if shard not in self._shards:
                self._shards[shard] = self._pool.submit(self._render, shard)
        needed = [self._shards[shard] for shard in window]
        while not stop.is_set():
            found = wait(needed, 0.5, FIRST_EXCEPTION)
            if any(shard.exception() for shard in found.done):
                return False
            if not found.not_done:
                return True
        return False

    def _render(self, shard: int) -> None:
        path, size = self._path(shard), self.recipe.shards.size
        part = range(shard * size, (shard + 1) * size)
        with closing(
            generate_part(self.data, path, part, seed=self.recipe.seed, workers=_cores())
        ) as written:
            for _ in written:
                if self._closed:
                    return
        if not (path / BUCKETS).exists():
            new = path / f"new-{BUCKETS}"
            np.save(new, survey(self._samples(shard), self.recipe))
            new.replace(path / BUCKETS)  # others wait for it


def _cores() -> int:
    """Processes that render, one per core; at least 2, since a single one would be this process."""
    return max(2, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
