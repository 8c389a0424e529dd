"""Writing a store: in order, in transactions, so that it can be read or resumed whenever it was stopped."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import lmdb

from serialread import __version__
from serialread.datasets import schema
from serialread.datasets.workers import WorkError, in_order
from serialread.errors import StoreError
from serialread.records import Sample

TRANSACTION = 500
"""Samples written at once; at most so many are lost by a kill."""
FIRST_MAP = 1 << 24
"""Bytes of address space to begin with; doubled whenever they are full."""

Spelled = tuple[schema.Entries, str]
"""A sample's keys and values, and its typeface."""


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
        make: picklable, and a function of the index alone: then the store's values are the same for any
            number of workers and any number of stops.
        count: samples that the store shall hold; resuming with a greater one grows a complete store.
        about: what decides the samples (recipe, seed), JSON; to resume, it must be as it was.
        workers: processes that call ``make``; this process writes.
        resume: go on where a store was left.

    Raises:
        StoreError: refused before anything is written; or no more room, or a sample that cannot be made, with
            what was written before it kept.
    """
    _refuse_occupied(path, resume)
    with _told_as_store_errors(path), closing(_Writer(path, about, count)) as writer:
        yield writer.written
        samples = in_order(partial(_make_spelled, make), range(writer.written, count), workers)
        with closing(samples):
            yield from writer.append_all(samples)


def write_store(path: Path, samples: Iterable[Sample], *, about: Mapping[str, Any]) -> int:
    """Write samples that exist already, or come one by one, into a new store; return how many.

    Raises:
        StoreError: refused before anything is written; or no sample came; or no more room.
    """
    _refuse_occupied(path, resume=False)
    spelled = (_spelled(sample, index) for index, sample in enumerate(samples))
    first = next(spelled, None)
    if first is None:
        raise StoreError(f"{path}: no sample to write. Give at least one.")
    with _told_as_store_errors(path), closing(_Writer(path, about, None)) as writer:
        for _ in writer.append_all(chain([first], spelled)):
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
                f"{self._path}: holds {self.written} samples, more than the {count} asked for. "
                f"Ask for at least {self.written}, or name another folder."
            )
        self._about = {**about, "count": count}
        self._typefaces: set[str] = set(before.get("typefaces", ()))
        self._append([])

    def append_all(self, samples: Iterable[Spelled]) -> Iterator[int]:
        """Write the samples as they come; yield the number stored; whatever stops it, none are lost."""
        batch: list[Spelled] = []
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
        """Say that the samples written are all."""
        self._about["count"] = self.written
        self._append([])

    def _append(self, batch: list[Spelled]) -> int:
        written = self.written + len(batch)
        typefaces = self._typefaces | {typeface for _, typeface in batch if typeface}
        about = {**self._about, "complete": written == self._about["count"], "typefaces": sorted(typefaces)}
        spelled = [entry for entries, _ in batch for entry in entries]
        spelled.append((schema.COUNT_KEY, str(written).encode()))
        spelled.append((schema.ABOUT_KEY, json.dumps(about, ensure_ascii=False).encode()))
        while not self._committed(spelled):
            self._environment.set_mapsize(2 * self._environment.info()["map_size"])
        self.written, self._typefaces = written, typefaces
        return written

    def _committed(self, spelled: schema.Entries) -> bool:
        """Write all or nothing; False if the map is full."""
        try:
            with self._environment.begin(write=True) as transaction:
                if int(transaction.get(schema.COUNT_KEY, b"0")) != self.written:
                    raise StoreError(f"{self._path}: another run is writing here. Wait for it, or stop it.")
                for key, value in spelled:
                    transaction.put(key, value)
        except lmdb.MapFullError:
            return False
        return True

    def close(self) -> None:
        self._environment.close()


def _make_spelled(make: Callable[[int], Sample], index: int) -> Spelled:
    return _spelled(make(index), index)


def _spelled(sample: Sample, index: int) -> Spelled:
    return schema.entries(sample, index), sample.origin.typeface if sample.origin else ""


def _state(transaction: Any, path: Path) -> tuple[int, dict[str, Any]]:
    """Samples written so far and their ``about``; (0, {}) for a new store."""
    count, about = transaction.get(schema.COUNT_KEY), transaction.get(schema.ABOUT_KEY)
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
                f"{path}: was begun with another {name}{detail}. Resume with the same, or name a new folder."
            )


@contextmanager
def _told_as_store_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except WorkError as error:
        raise StoreError(
            f"{path}: {error}. What came before it is kept; mend the cause and add --resume."
        ) from error
    except (lmdb.Error, OSError) as error:
        raise StoreError(
            f"{path}: cannot be written: {error}. What is in it can be read; make room and add --resume."
        ) from error
