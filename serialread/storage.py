"""Folders of files on a disk or in an object store, by URL: ``s3://``, ``gs://``, and what fsspec knows."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, NamedTuple

from serialread.errors import RecordsError

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem


class StoredFile(NamedTuple):
    """A file below a folder: its name relative to it, with forward slashes, and its size in bytes."""

    name: str
    size: int


class Storage:
    """A folder of files; it need not exist before something is written. It can be passed to other processes.

    Args:
        url: a path, or a URL such as ``s3://bucket/prefix``; keys of an S3-compatible store come from its
            usual environment variables, its address from ``?endpoint_override=HOST:PORT&scheme=http``.

    Raises:
        RecordsError: pyarrow is not installed, or nothing serves such a URL.
    """

    def __init__(self, url: str) -> None:
        require_pyarrow()
        self.url = url
        self.filesystem, self._base = _opened(url)

    def __reduce__(self) -> tuple[type["Storage"], tuple[str]]:
        return Storage, (self.url,)

    def path(self, name: str) -> str:
        """The path of a file for ``filesystem``."""
        return f"{self._base}/{name}" if name else self._base

    def files(self) -> list[StoredFile]:
        """All files below the folder, by name; [] if it does not exist.

        Raises:
            RecordsError: it cannot be listed.
        """
        from pyarrow.fs import FileSelector, FileType

        with self._errors("listed"):
            found = self.filesystem.get_file_info(
                FileSelector(self._base, recursive=True, allow_not_found=True)
            )
        cut = len(self._base.rstrip("/")) + 1
        files = (StoredFile(one.path[cut:], one.size) for one in found if one.type == FileType.File)
        return sorted(files)

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            RecordsError: it cannot be read.
        """
        with self._errors("read", name), self.filesystem.open_input_file(self.path(name)) as file:
            return bytes(file.read())

    @contextmanager
    def writing(self, name: str) -> Iterator[Any]:
        """A binary stream whose bytes become the file when the block ends without an error.

        Raises:
            RecordsError: it cannot be written.
        """
        from pyarrow.fs import LocalFileSystem

        path, local = self.path(name), isinstance(self.filesystem, LocalFileSystem)
        with self._errors("written", name):
            if not local:  # an object appears when its stream is closed
                with self.filesystem.open_output_stream(path) as stream:
                    yield stream
                return
            self.filesystem.create_dir(path.rpartition("/")[0], recursive=True)
            with NamedTemporaryFile("wb", prefix=f"{path}.", suffix=".new", delete=False) as stream:
                try:
                    yield stream
                except BaseException:
                    Path(stream.name).unlink()
                    raise
            Path(stream.name).chmod(0o666 & ~_umask())
            Path(stream.name).replace(path)

    def write(self, name: str, data: bytes) -> None:
        """Write a file, whole or not at all.

        Raises:
            RecordsError: it cannot be written.
        """
        with self.writing(name) as stream:
            stream.write(data)

    def delete(self, names: Iterable[str]) -> None:
        """Delete files.

        Raises:
            RecordsError: one cannot be deleted.
        """
        for name in names:
            with self._errors("deleted", name):
                self.filesystem.delete_file(self.path(name))

    @contextmanager
    def _errors(self, what: str, name: str = "") -> Iterator[None]:
        try:
            yield
        except OSError as error:
            place = f"{self.url.rstrip('/')}/{name}" if name else self.url
            reason = str(error).partition("\n")[0]
            raise RecordsError(
                f"{place}: cannot be {what}: {reason}. Check the URL, the keys and the free space."
            ) from None


def is_url(place: str) -> bool:
    """Whether this is a URL rather than a path."""
    return "://" in place


def require_pyarrow() -> None:
    """Check that pyarrow is installed.

    Raises:
        RecordsError: it is not.
    """
    if find_spec("pyarrow") is None:
        raise RecordsError("pyarrow: not installed. Install it: pip install 'serialread[scale]'")


def _opened(url: str) -> "tuple[FileSystem, str]":
    from pyarrow import ArrowInvalid
    from pyarrow.fs import FileSystem, FSSpecHandler, LocalFileSystem, PyFileSystem

    if not is_url(url):
        return LocalFileSystem(), Path(url).absolute().as_posix()
    try:
        filesystem, base = FileSystem.from_uri(url)
    except (ArrowInvalid, NotImplementedError, OSError) as error:
        try:
            import fsspec

            found, base = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError):
            raise RecordsError(f"{url}: no such URL ({error}). Give a path, s3:// or gs://.") from None
        filesystem = PyFileSystem(FSSpecHandler(found))
    return filesystem, base.rstrip("/")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
