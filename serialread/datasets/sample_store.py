"""A store as a sequence of samples."""

import json
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import lmdb

from serialread.datasets import schema
from serialread.datasets.sequences import Samples
from serialread.errors import StoreError
from serialread.records import Sample

# LMDB refuses to open a store twice in one process: sequences over the same store share one environment.
_open_environments: WeakValueDictionary[Path, Any] = WeakValueDictionary()


class SampleStore(Samples):
    """The samples of a store, numbered from 0; any number of processes may read at once.

    The store is opened at first use, so that a sequence can be handed to workers, forked or spawned. A store
    of the field's plain schema opens too: its samples have no masks and no origin.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._environment: Any = None
        self._count = 0

    def __len__(self) -> int:
        self._open()
        return self._count

    def _sample(self, number: int) -> Sample:
        try:
            with self._open().begin() as transaction:
                return schema.sample(transaction.get, number)
        except (ValueError, KeyError, TypeError, lmdb.Error) as error:
            raise StoreError(
                f"{self.path}: sample {number} is broken: {error}. Generate the store anew."
            ) from None

    @property
    def about(self) -> dict[str, Any]:
        """How the store came about: recipe, seed, count, typefaces, complete or not; {} if foreign."""
        with self._open().begin() as transaction:
            return dict(json.loads(transaction.get(schema.ABOUT_KEY) or b"{}"))

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_environment": None, "_count": 0}

    def _open(self) -> Any:
        if self._environment is None:
            environment = _environment(self.path)
            self._count = _counted(environment, self.path)
            self._environment = environment
        return self._environment


def _environment(path: Path) -> Any:
    if not (path / "data.mdb").is_file():
        raise StoreError(
            f"{path}: no sample store here. Make one: serialread generate-synth RECIPE --out {path}"
        )
    place = path.resolve()
    environment = _open_environments.get(place)
    if environment is None:
        try:
            environment = lmdb.open(str(path), readonly=True, lock=False, readahead=False, meminit=False)
        except lmdb.Error as error:
            raise StoreError(
                f"{path}: cannot be opened as a sample store: {error}. Generate it anew."
            ) from None
        _open_environments[place] = environment
    return environment


def _counted(environment: Any, path: Path) -> int:
    try:
        with environment.begin() as transaction:
            value = transaction.get(schema.COUNT_KEY)
    except lmdb.Error as error:
        raise StoreError(f"{path}: cannot be read as a sample store: {error}. Generate it anew.") from None
    if value is None or not value.isdigit():
        raise StoreError(f"{path}: an LMDB, but not of samples (no num-samples in it). Name a sample store.")
    if int(value) == 0:
        raise StoreError(
            f"{path}: no samples in it yet. Finish it: serialread generate-synth RECIPE --out {path} --resume"
        )
    return int(value)
