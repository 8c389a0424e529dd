"""Export of samples: WebDataset archives and Parquet files, on a disk or in an object store."""

import io
import re
import tarfile
from collections.abc import Callable, Iterator
from typing import Any, Literal

from serialread.datasets.sample_store import PARTS, SampleStore
from serialread.storage import Storage

ExportKind = Literal["webdataset", "parquet"]
_SUFFIXES = {
    "image": "pgm",
    "label": "txt",
    "glyphs": "glyphs.png",
    "meta": "meta.json",
    "lines": "lines.json",
}
"""Suffixes of the parts of a sample in an archive; a picture is PGM unless another program wrote it."""
_ROWS = 1000  # of a row group


def export(store: SampleStore, out: str, to: ExportKind, *, file_samples: int = 10_000) -> Iterator[int]:
    """Write samples into numbered files; equal samples give equal archives, byte for byte.

    An archive of WebDataset has the members ``KEY.pgm``, ``KEY.txt`` and, where there are any,
    ``KEY.glyphs.png`` (the character mask), ``KEY.meta.json`` (the origin) and ``KEY.lines.json``. A Parquet
    file has the columns ``image``, ``label``, ``glyphs``, ``meta`` and ``lines``.

    Args:
        store: the samples.
        out: a folder or URL, see ``Storage``.
        to: the kind of files.
        file_samples: samples of a file; the last may have fewer.

    Yields:
        The number of samples written.

    Raises:
        RecordsError: a file cannot be written.
        StoreError: the store cannot be read.
    """
    folder, write = Storage(out), _WRITERS[to]
    suffix = {"webdataset": "tar", "parquet": "parquet"}[to]
    for number, first in enumerate(range(0, len(store), file_samples)):
        part = range(first, min(first + file_samples, len(store)))
        with folder.writing(f"{number:05d}.{suffix}") as stream:
            write(stream, store, part)
        yield part.stop
    numbers = {one.name: re.fullmatch(rf"(\d{{5,}})\.{suffix}", one.name) for one in folder.files()}
    count = -(-len(store) // file_samples)  # those of an earlier, longer export would be read with the others
    folder.delete(name for name, number in numbers.items() if number and int(number[1]) >= count)


def _write_archive(stream: Any, store: SampleStore, part: range) -> None:
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.USTAR_FORMAT) as archive:
        for number in part:
            for name, value in store.parts(number).items():
                member = tarfile.TarInfo(f"{number:09d}.{_SUFFIXES[name]}")
                member.size = len(value)
                archive.addfile(member, io.BytesIO(value))


def _write_parquet(stream: Any, store: SampleStore, part: range) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    texts = ("label", "meta", "lines")
    schema = pa.schema([(name, pa.string() if name in texts else pa.binary()) for name in PARTS])
    with parquet.ParquetWriter(stream, schema, compression="zstd") as writer:
        for first in range(part.start, part.stop, _ROWS):
            rows = [store.parts(number) for number in range(first, min(first + _ROWS, part.stop))]
            columns: dict[str, list[Any]] = {name: [row.get(name) for row in rows] for name in PARTS}
            columns |= {name: [cell and cell.decode() for cell in columns[name]] for name in texts}
            writer.write_table(pa.table(columns, schema))


_WRITERS: dict[str, Callable[[Any, SampleStore, range], None]] = {
    "webdataset": _write_archive,
    "parquet": _write_parquet,
}
