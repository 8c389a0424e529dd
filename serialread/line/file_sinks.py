"""Sinks that are files: JSON lines and CSV by day, and a table of SQLite."""

import csv
import json
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path

from serialread.config.line_sinks import (
    CsvSinkConfig,
    JsonLinesSinkConfig,
    ReadingsSinkConfig,
    SqliteSinkConfig,
)
from serialread.line.delivery import BATCH
from serialread.line.events import Result
from serialread.line.ports import LineContext, SinkDown
from serialread.reader.serialization import (
    COLUMNS as READING_COLUMNS,
    JSON_LINES,
    TABLE,
    RecordJson,
    csv_bytes,
    csv_row,
    json_bytes,
)

COLUMNS = (
    *("trigger", "station", "number", "outcome", "text", "expected", "distance", "confidence", "decision"),
    *("reasons", "source", "accepted_at", "finished_at", "latency_s", "image", "model_id"),
)
"""Columns of CSV files and of the SQLite table."""
_LINE_BYTES = 64 * 1024
"""Bytes of a line at most that are searched for results that come again."""


def row_of(result: Result) -> tuple[str | int | float | None, ...]:
    """A result as one row of ``COLUMNS``."""
    values = result.record | result.to_json()
    values["reasons"] = " ".join("; ".join(result.reasons).split())
    return tuple(values[name] for name in COLUMNS)


class _AppendedFiles:
    """Files to which lines are appended; those that come again are not written again."""

    def __init__(self) -> None:
        self._last: dict[Path, set[bytes]] = {}

    def append(self, path: Path, header: bytes, lines: Sequence[bytes]) -> None:
        """Append lines, and wait until the disk has them.

        Raises:
            SinkDown: they cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            known = self._last.pop(path, None)  # read again if this fails
            known = _last_lines(path) if known is None else known
            with path.open("ab") as file:
                file.write(
                    (b"" if file.tell() else header) + b"".join(one for one in lines if one not in known)
                )
                file.flush()
                os.fsync(file.fileno())
            self._last[path] = set(lines)
        except OSError as error:
            raise SinkDown(f"{error.filename or path}: {error.strerror or error}.") from None


def _last_lines(path: Path) -> set[bytes]:
    """The lines that may come again; a line that a kill cut off is removed."""
    try:
        with path.open("rb+") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - BATCH * _LINE_BYTES))
            data = file.read()
            file.truncate(size - len(data) + data.rfind(b"\n") + 1)
    except FileNotFoundError:
        return set()
    return set(data.splitlines(keepends=True)[-BATCH - 1 :])


class DailyFiles:
    """A file per day of the result (local time)."""

    def __init__(self, settings: JsonLinesSinkConfig | CsvSinkConfig) -> None:
        self.name, self._folder, self._kind = settings.name, settings.folder, settings.kind
        self._files = _AppendedFiles()

    def deliver(self, results: Sequence[Result]) -> None:
        """Append a line for each."""
        header = csv_bytes(COLUMNS) if self._kind == "csv" else b""
        for day, some in groupby(results, _day):
            self._files.append(self._folder / f"{day}.{self._kind}", header, list(map(self._line, some)))

    def close(self) -> None:
        """Nothing stays open."""

    def _line(self, result: Result) -> bytes:
        if self._kind == "jsonl":
            return json_bytes(result.to_json())
        return csv_bytes("" if cell is None else str(cell) for cell in row_of(result))


class ReadingsFolder:
    """A results folder as ``serialread read`` writes it, each day a batch, for review and audit."""

    def __init__(self, settings: ReadingsSinkConfig, context: LineContext) -> None:
        """Take the settings; the table has the columns of the stations' fields, unless it exists already."""
        self.name, self._folder, self._files = settings.name, settings.folder, _AppendedFiles()
        names = (
            name for one in settings.stations or context.stations for name in context.fields.get(one, ())
        )
        self._columns = (*READING_COLUMNS, *dict.fromkeys(names))

    def deliver(self, results: Sequence[Result]) -> None:
        """Append the readings."""
        lines = [one.record | {"batch": _day(one)} for one in results]
        table = self._folder / TABLE
        columns = _columns_of(table) or self._columns
        self._files.append(self._folder / JSON_LINES, b"", list(map(json_bytes, lines)))
        self._files.append(table, csv_bytes(columns), [csv_bytes(_cells(one, columns)) for one in lines])

    def close(self) -> None:
        """Nothing stays open."""


def _columns_of(table: Path) -> list[str]:
    """The columns of a table; [] if it has no header yet.

    Raises:
        SinkDown: it cannot be read.
    """
    try:
        with table.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            header = file.readline()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SinkDown(f"{table}: {error.strerror or error}.") from None
    return next(csv.reader([header])) if header.endswith("\n") else []  # a kill may have cut it off


def _cells(line: RecordJson, columns: Sequence[str]) -> list[str]:
    """The cells of a table with these columns, which an earlier version or other stations may have begun."""
    fields = [name for name in columns if name not in READING_COLUMNS]
    cells = dict(zip((*READING_COLUMNS, *fields), csv_row(line, fields), strict=True))
    return [cells[name] for name in columns]


def _day(result: Result) -> str:
    return result.finished_at.astimezone().date().isoformat()


class SqliteTable:
    """A table ``results`` in a database of its own, one row per trigger, for other programs."""

    def __init__(self, settings: SqliteSinkConfig) -> None:
        self.name, self._path = settings.name, settings.path

    def deliver(self, results: Sequence[Result]) -> None:
        """Insert rows, in one transaction."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._path)) as database, database:
                columns = ", ".join(
                    f"{name} TEXT PRIMARY KEY" if name == "trigger" else name for name in _NAMES
                )
                database.execute(f"CREATE TABLE IF NOT EXISTS results ({columns})")
                rows = [(*row_of(one), json.dumps(one.record)) for one in results]
                marks = ", ".join("?" * len(_NAMES))
                database.executemany(f"INSERT OR IGNORE INTO results VALUES ({marks})", rows)
        except (OSError, sqlite3.Error) as error:
            raise SinkDown(f"{self._path}: {error}.") from None

    def close(self) -> None:
        """Nothing stays open."""


_NAMES = (*COLUMNS, "record")
