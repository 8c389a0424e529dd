"""Sinks that are files: JSON lines and CSV by day, and a table of SQLite."""

import json
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path

from serialread.config.line_sinks import CsvSinkConfig, JsonLinesSinkConfig, SqliteSinkConfig
from serialread.line.delivery import BATCH
from serialread.line.events import Result
from serialread.line.ports import SinkDown
from serialread.reader.serialization import csv_bytes, json_bytes

COLUMNS = (
    *("trigger", "station", "number", "outcome", "text", "expected", "distance", "confidence", "decision"),
    *("reasons", "source", "accepted_at", "finished_at", "latency_s", "image", "model_id"),
)
"""Columns of CSV files and of the SQLite table."""
_TAIL_BYTES = 64 * 1024
"""Bytes of a line at most that are searched for results that come again."""


def row_of(result: Result) -> tuple[str | int | float | None, ...]:
    """A result as one row of ``COLUMNS``."""
    values = result.record | result.to_json()
    values["reasons"] = " ".join("; ".join(result.reasons).split())
    return tuple(values[name] for name in COLUMNS)


class DailyFiles:
    """A file per day of the result (local time); a result that comes again is not written again."""

    def __init__(self, settings: JsonLinesSinkConfig | CsvSinkConfig) -> None:
        self.name, self._folder, self._kind = settings.name, settings.folder, settings.kind
        self._written: dict[Path, set[str]] = {}

    def deliver(self, results: Sequence[Result]) -> None:
        """Append lines, and wait until the disk has them."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for day, some in groupby(results, lambda result: result.finished_at.astimezone().date()):
                self._append(self._folder / f"{day.isoformat()}.{self._kind}", list(some))
        except OSError as error:
            raise SinkDown(f"{error.filename or self._folder}: {error.strerror or error}.") from None

    def close(self) -> None:
        """Nothing stays open."""

    def _append(self, path: Path, results: Sequence[Result]) -> None:
        if path not in self._written:
            self._written = {path: self._last_triggers(path)}
        known = self._written.pop(path)  # read again if this fails
        new = [result for result in results if result.trigger not in known]
        with path.open("ab") as file:
            head = b"" if file.tell() or self._kind == "jsonl" else csv_bytes(COLUMNS)
            file.write(head + b"".join(map(self._line, new)))
            file.flush()
            os.fsync(file.fileno())
        self._written[path] = {result.trigger for result in results}

    def _line(self, result: Result) -> bytes:
        if self._kind == "jsonl":
            return json_bytes(result.to_json())
        return csv_bytes("" if cell is None else str(cell) for cell in row_of(result))

    def _last_triggers(self, path: Path) -> set[str]:
        """Triggers of the lines that may come again; a line that a kill cut off is removed."""
        try:
            with path.open("rb+") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - BATCH * _TAIL_BYTES))
                data = file.read()
                if rest := len(data) - (data.rfind(b"\n") + 1):
                    file.truncate(size - rest)
        except FileNotFoundError:
            return set()
        lines = data[: data.rfind(b"\n") + 1].splitlines()[-BATCH:]
        return set(filter(None, map(self._trigger_of, lines)))

    def _trigger_of(self, line: bytes) -> str:
        if self._kind == "csv":
            return line.partition(b",")[0].decode("utf-8", "replace")
        try:
            return str(json.loads(line)["trigger"])
        except (ValueError, KeyError, TypeError):
            return ""


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
