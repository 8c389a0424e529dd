"""All errors of the public interface, as a tree.

::

    SerialreadError
    ├── RecipeError        an invalid recipe or station file
    ├── ImageError         an unreadable picture (becomes a record while reading)
    ├── StoreError         a missing, broken or full sample store
    ├── CheckpointError    a missing, broken or incompatible model file
    ├── CalibrationError   a station that does not fit the model
    ├── RecordsError       unusable results, truth tables or output folders
    └── LineError          a trigger, source or sink of a line that cannot be used

A message reads "place: what is wrong. What to do." on one line.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class SerialreadError(Exception):
    """Base of all errors; the message says where, what is wrong, and what to do."""


class RecipeError(SerialreadError):
    """An invalid recipe or station file."""


class ImageError(SerialreadError):
    """An unreadable picture; while reading it becomes a record with this reason."""


class StoreError(SerialreadError):
    """A missing, broken or full sample store."""


class CheckpointError(SerialreadError):
    """A missing, broken or incompatible model file."""


class CalibrationError(SerialreadError):
    """A station that does not fit the model or the picture."""


class RecordsError(SerialreadError):
    """Unusable results, truth tables or output folders."""


class LineError(SerialreadError):
    """A trigger, source or sink of a line that cannot be used."""


@contextmanager
def writing_errors(path: Path, kind: type[SerialreadError], advice: str) -> Iterator[None]:
    """Raise an OSError of the block as a ``kind`` that names the path, the reason and what to do."""
    try:
        yield
    except OSError as error:
        raise kind(f"{path}: cannot be written: {error.strerror or error}. {advice}") from None
