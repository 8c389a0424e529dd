"""Writing a store: in order, in transactions, so that it can be read and resumed whenever it was stopped."""

import json
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from functools import partial
from itertools import chain, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import lmdb

from serialread import __version__
from serialread.config import DataRecipe, load, recipe_id
from serialread.datasets.sample_store import ABOUT_KEY, COUNT_KEY, Entries, encode_sample
from serialread.errors import StoreError
from serialread.records import Sample
from serialread.worker_processes import one_thread_each, start_worker

TRANSACTION = 500
"""Samples per transaction: at most so many are lost if the process is killed."""
FIRST_MAP = 1 << 24
"""Bytes of address space at first; doubled whenever they are full."""
PIECE = 16
"""Samples that a worker makes per task."""
AHEAD = 8
"""Tasks per worker that may be unfinished or waiting to be written; bounds the memory."""

Encoded = tuple[Entries, str]
"""A sample's keys and values, and its typeface."""


class _WorkError(Exception):
    """The work cannot go on; the message says at which index, and why."""


def generate(
    recipe: DataRecipe | Path | str,
    out: str | Path,
    count: int,
    *,
    seed: int = 0,
    workers: int = 1,
    resume: bool = False,
) -> Iterator[int]:
    """Render a recipe's samples into a store.

    Example:
        >>> for written in generate("recipes/data/marks.toml", Path("stores/marks"), 3000, seed=1, workers=4):
        ...     print(written)

    Args:
        recipe: a data recipe, or the path of its TOML file.
        out: the store's folder; new or empty, or with ``resume`` a part of this very store.
        count: samples that the store shall hold.
        seed: another seed gives other samples.
        workers: processes that render; the store is the same for any number. They import the calling script,
            which must guard its code by ``if __name__ == "__main__"`` if there are several.
        resume: continue a stopped store, or grow a complete one.

    Yields:
        The number of samples written so far.

    Raises:
        RecipeError: the file is no data recipe.
        StoreError: as ``grow`` raises it.
    """
    out = Path(out)
    from serialread import synth  # typefaces load only when something is rendered

    loaded = recipe if isinstance(recipe, DataRecipe) else load(Path(recipe), DataRecipe)
    about = {
        "recipe": loaded.model_dump(mode="json"),
        "recipe_id": recipe_id(loaded),
        "seed": seed,
        "typefaces_offered": synth.typeface_names(loaded),
    }
    make = partial(synth.make_sample, loaded, seed)
    yield from grow(out, make, count, about=about, workers=workers, resume=resume)


def generate_part(
    recipes: Sequence[DataRecipe], out: Path, part: range, *, seed: int, workers: int
) -> Generator[int, None, None]:
    """Render a range of the samples of some recipes, which take turns; continues what is in the folder.

    Args:
        recipes: sample i is that of recipe i modulo their number.
        out: the store's folder; new, empty, or with some of these samples.
        part: indices of the samples.
        seed: another seed gives other samples.
        workers: processes that render.

    Yields:
        The number of samples written so far.

    Raises:
        StoreError: as ``grow`` raises it.
    """
    from serialread import synth

    about = {
        "recipes": [recipe.model_dump(mode="json") for recipe in recipes],
        "seed": seed,
        "first": part.start,
        "typefaces_offered": sorted({name for recipe in recipes for name in synth.typeface_names(recipe)}),
    }
    make = partial(_make_in_turn, tuple(recipes), seed, part.start)
    yield from grow(out, make, len(part), about=about, workers=workers, resume=True)


def _make_in_turn(recipes: tuple[DataRecipe, ...], seed: int, first: int, index: int) -> Sample:
    from serialread import synth

    return synth.make_sample(recipes[(first + index) % len(recipes)], seed, first + index)


def grow(
    path: Path,
    make: Callable[[int], Sample],
    count: int,
    *,
    about: Mapping[str, Any],
    workers: int = 1,
    resume: bool = False,
) -> Iterator[int]:
    """Make the samples 0 to ``count - 1`` and write them; yield how many are written, first what was there.

    Args:
        path: a folder that is new or empty; with ``resume`` it may also hold a part of this very store.
        make: a function of the index alone, so that the store's values are the same for any number of
            workers and any number of stops; picklable if there are several workers.
        count: samples that the store shall hold; resuming with a greater one grows a complete store.
        about: what decides the samples (recipe, seed), JSON; to resume, it must be unchanged.
        workers: processes that call ``make`` while this one writes; 1 calls it in this process.
        resume: continue where a store was stopped.

    Raises:
        StoreError: the folder is refused before anything is written; or the disk is full, or a sample cannot
            be made, and the samples written before are kept.
    """
    _refuse_occupied(path, resume)
    with _as_store_errors(path), closing(_Writer(path, about, count)) as writer:
        yield writer.written
        samples = _in_order(partial(_make_encoded, make), range(writer.written, count), workers)
        with closing(samples):
            yield from writer.append_all(samples)


def write_store(path: Path, samples: Iterable[Sample], *, about: Mapping[str, Any]) -> int:
    """Write samples into a new store; return how many. They may be generated one by one.

    Raises:
        StoreError: the folder is refused before anything is written, there is no sample, or the disk is full.
    """
    _refuse_occupied(path, resume=False)
    encoded = (_encoded(sample, index) for index, sample in enumerate(samples))
    first = next(encoded, None)
    if first is None:
        raise StoreError(f"{path}: no sample to write. Give at least one.")
    with _as_store_errors(path), closing(_Writer(path, about, None)) as writer:
        for _ in writer.append_all(chain([first], encoded)):
            pass
        writer.finish()
        return writer.written


class _Writer:
    """The one process that writes. Every transaction leaves a store that can be read and resumed."""

    def __init__(self, path: Path, about: Mapping[str, Any], count: int | None) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._environment = lmdb.open(str(path), map_size=FIRST_MAP)
        try:
            self._begin(json.loads(json.dumps({"serialread": __version__, **about})), count)
        except BaseException:
            self.close()
            raise

    def _begin(self, about: dict[str, Any], count: int | None) -> None:
        with self._environment.begin() as transaction:
            self.written, before = _state(transaction, self._path)
        _refuse_other(self._path, before, about)
        if count is not None and self.written > count:
            raise StoreError(
                f"{self._path}: holds {self.written} samples, more than the {count} requested. "
                f"Ask for at least {self.written}, or name another folder."
            )
        self._about = {**about, "count": count}
        self._typefaces: set[str] = set(before.get("typefaces", ()))
        self._append([])

    def append_all(self, samples: Iterable[Encoded]) -> Iterator[int]:
        """Write the samples; yield the number stored. Finished samples are written even if it is stopped."""
        batch: list[Encoded] = []
        try:
            for sample in samples:
                batch.append(sample)
                if len(batch) == TRANSACTION:
                    full, batch = batch, []
                    yield self._append(full)
        finally:
            if batch:
                self._append(batch)
        yield self.written

    def finish(self) -> None:
        """Record that the store is complete."""
        self._about["count"] = self.written
        self._append([])

    def _append(self, batch: list[Encoded]) -> int:
        written = self.written + len(batch)
        typefaces = self._typefaces | {typeface for _, typeface in batch if typeface}
        about = {**self._about, "complete": written == self._about["count"], "typefaces": sorted(typefaces)}
        encoded = [entry for entries, _ in batch for entry in entries]
        encoded.append((COUNT_KEY, str(written).encode()))
        encoded.append((ABOUT_KEY, json.dumps(about, ensure_ascii=False).encode()))
        while not self._committed(encoded):
            self._environment.set_mapsize(2 * self._environment.info()["map_size"])
        self.written, self._typefaces = written, typefaces
        return written

    def _committed(self, encoded: Entries) -> bool:
        """Write all or nothing; False if the map is full."""
        try:
            with self._environment.begin(write=True) as transaction:
                if int(transaction.get(COUNT_KEY, b"0")) != self.written:
                    raise StoreError(f"{self._path}: another run is writing here. Wait for it, or stop it.")
                for key, value in encoded:
                    transaction.put(key, value)
        except lmdb.MapFullError:
            return False
        return True

    def close(self) -> None:
        self._environment.close()


def _in_order(call: Callable[[int], Encoded], indices: range, workers: int) -> Generator[Encoded, None, None]:
    """Yield ``call(index)`` for every index, in order, computed by ``workers`` processes.

    Raises:
        _WorkError: the call raised (results before that index were yielded), or a worker died.
    """
    pieces = [indices[start : start + PIECE] for start in range(0, len(indices), PIECE)]
    here = (_piece(call, piece) for piece in pieces)
    with closing(here if workers == 1 else _pooled(call, pieces, workers)) as results:
        for samples, failure in results:
            yield from samples
            if failure:
                raise _WorkError(failure)


def _pooled(
    call: Callable[[int], Encoded], pieces: list[range], workers: int
) -> Generator[tuple[list[Encoded], str], None, None]:
    """Results of every piece, in order; at most ``AHEAD`` times ``workers`` pieces are under way."""
    # Spawned, not forked: a lock held by a thread of the parent would stay locked in a fork, and numpy reads
    # the number of threads once, when it loads.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), start_worker)
    left, window = iter(pieces), deque[Future[tuple[list[Encoded], str]]]()
    try:
        with one_thread_each():
            window.extend(pool.submit(_piece, call, piece) for piece in islice(left, AHEAD * workers))
        while window:
            yield window.popleft().result()
            window.extend(pool.submit(_piece, call, piece) for piece in islice(left, 1))
    except BrokenProcessPool:
        raise _WorkError(
            "a worker process died, perhaps because memory ran out or because the calling script does not "
            "guard its code by if __name__ == '__main__'"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _piece(call: Callable[[int], Encoded], indices: range) -> tuple[list[Encoded], str]:
    """The results of some indices up to the first that fails, and why it does."""
    results = []
    for index in indices:
        try:
            results.append(call(index))
        except Exception as error:  # any error must reach the parent with its index
            return results, f"sample {index} could not be made: {type(error).__name__}: {error}"
    return results, ""


def _make_encoded(make: Callable[[int], Sample], index: int) -> Encoded:
    return _encoded(make(index), index)


def _encoded(sample: Sample, index: int) -> Encoded:
    return encode_sample(sample, index), sample.origin.typeface if sample.origin else ""


def _state(transaction: Any, path: Path) -> tuple[int, dict[str, Any]]:
    """Samples written so far and their ``about``; (0, {}) for a new store."""
    count, about = transaction.get(COUNT_KEY), transaction.get(ABOUT_KEY)
    if count is not None and about is not None:
        return int(count), json.loads(about)
    if transaction.stat()["entries"]:
        raise StoreError(f"{path}: an LMDB that serialread did not write. Name another folder.")
    return 0, {}


def _refuse_occupied(path: Path, resume: bool) -> None:
    if not path.exists() or (resume and (path / "data.mdb").exists()):
        return
    if not path.is_dir():
        raise StoreError(f"{path}: a file is in the way. Name a new folder.")
    if (path / "data.mdb").exists():
        raise StoreError(
            f"{path}: a sample store is here already. Add --resume to go on with it, or name a new folder."
        )
    if any(path.iterdir()):
        raise StoreError(f"{path}: a folder with other files in it. Name a new folder.")


def _refuse_other(path: Path, before: dict[str, Any], wanted: dict[str, Any]) -> None:
    if not before:
        return
    for name, value in wanted.items():
        if before.get(name) != value:
            detail = f" ({before.get(name)}, now {value})" if isinstance(value, str | int) else ""
            raise StoreError(
                f"{path}: was made with another {name}{detail}. Resume with the same, or name a new folder."
            )


@contextmanager
def _as_store_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except _WorkError as error:
        raise StoreError(
            f"{path}: {error}. What came before it is kept; correct the cause and add --resume."
        ) from error
    except (lmdb.Error, OSError) as error:
        raise StoreError(
            f"{path}: cannot be written: {error}. What is in it can be read; "
            "free some space and add --resume."
        ) from error
