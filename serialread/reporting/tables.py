"""What lies on disk: readings.csv and truth tables, every cell kept as the text it is.

No cell is ever taken for a number: 00123 stays 00123, NA stays NA, nothing stays "".
"""

import codecs
import csv
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import pandas as pd

from serialread.errors import RecordsError
from serialread.records import Decision
from serialread.reporting.findings import Finding, counted, note, warning

READING_COLUMNS = (
    "image",
    "batch",
    "text",
    "confidence",
    "weakest_char",
    "weakest_position",
    "weakest_confidence",
    "decision",
    "reason",
    "read_at",
    "station_id",
    "model_id",
    "sha256",
)
"""Columns of readings.csv that an audit needs."""

_REPEATING = ("batch", "decision", "reason", "station_id", "model_id")
"""Columns with few distinct cells: sharing these halves the memory."""


@dataclass(frozen=True, slots=True)
class Source:
    """A table as it was found.

    Attributes:
        path: the file.
        sha256: hex digest of its bytes.
        rows: its cells, all str, numbered from 0.
        findings: what was odd.
    """

    path: Path
    sha256: str
    rows: pd.DataFrame
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class _Layout:
    """What a table must have: its columns, what may stand between them, and how to get one."""

    columns: tuple[str, ...]
    delimiters: str
    hint: str


_READINGS = _Layout(READING_COLUMNS, ",", "Give the readings.csv that serialread read wrote.")
_TRUTH = _Layout(("filename", "text"), ",;\t", "Its first line must name the columns filename,text.")


def read_readings(results: Path) -> Source:
    """Read readings.csv, given itself or the folder it lies in; a line cut off by a killed run is left out.

    Raises:
        RecordsError: no such table, columns missing, or no line in it.
    """
    path = results / "readings.csv" if results.is_dir() else results
    with _opened(path, "Give the folder that serialread read --out wrote.") as stream:
        rows = _frame(stream, path, _READINGS)
    whole = rows["decision"].isin(list(Decision))
    if not whole.any():
        raise RecordsError(f"{path}: no readings in it. Run serialread read again.")
    left_out = counted(int((~whole).sum()), "line")
    odd = warning(f"{path.name}: {left_out} without a decision left out. Resume the run if it was killed.")
    return Source(path, _sha256(path), rows[whole].reset_index(drop=True), () if whole.all() else (odd,))


def read_truth(path: Path) -> Source:
    """Read a truth table with the columns filename and text.

    Comma, semicolon or tab; with or without a byte order mark; UTF-8, UTF-16 or, failing these, Windows-1252.

    Raises:
        RecordsError: no such table, columns missing, a broken line, or no line in it.
    """
    with _opened(path, "Give a table with the columns filename,text."):
        text, guessed = _decoded(path.read_bytes())
    rows = _frame(io.StringIO(text, newline=""), path, _TRUTH)
    rows = rows[rows["filename"].str.strip() != ""].reset_index(drop=True)
    if rows.empty:
        raise RecordsError(f"{path}: no truth in it. Add a line an image: filename,text.")
    torn = rows["filename"][rows["text"].str.contains("\n", regex=False)]
    if len(torn):
        raise RecordsError(f"{path}: {torn.iloc[0]}: a quote is opened and not closed. Write it twice.")
    odd = note(f"{path.name}: not UTF-8, read as Windows-1252.")
    return Source(path, _sha256(path), rows, (odd,) if guessed else ())


def _opened(path: Path, hint: str) -> TextIO:
    try:
        return path.open(encoding="utf-8-sig", errors="replace", newline="")
    except OSError as error:
        raise RecordsError(f"{path}: cannot be read: {error.strerror}. {hint}") from None


def _decoded(data: bytes) -> tuple[str, bool]:
    """Text of a table, and whether its encoding had to be guessed."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace"), False
    try:
        return data.decode("utf-8-sig"), False
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace"), True


def _frame(stream: TextIO, path: Path, layout: _Layout) -> pd.DataFrame:
    shared: dict[str, str] = {}
    repeating = [i for i, name in enumerate(layout.columns) if name in _REPEATING]
    rows = []
    for cells in _cells(stream, path, layout):
        for i in repeating:
            cells[i] = shared.setdefault(cells[i], cells[i])
        rows.append(tuple(cells))
    return pd.DataFrame(rows, columns=list(layout.columns), dtype=object)


def _cells(stream: TextIO, path: Path, layout: _Layout) -> Iterator[list[str]]:
    """Yield the wanted cells of each line; missing ones are ""."""
    header, delimiter, skipped = _header(stream, path, layout)
    places = [header.index(name) for name in layout.columns]
    lines = csv.reader(stream, delimiter=delimiter)
    try:
        for cells in lines:
            if len(cells) > len(header) and any(cells[len(header) :]):
                raise csv.Error(f"{len(cells)} columns where the header has {len(header)}")
            if len(cells) < len(header):
                cells += [""] * (len(header) - len(cells))
            yield [cells[place] for place in places]
    except csv.Error as error:
        place = f"{path}: line {lines.line_num + skipped}"
        raise RecordsError(f"{place}: {error}. Put quotes around a text that holds a separator.") from None


def _header(stream: TextIO, path: Path, layout: _Layout) -> tuple[list[str], str, int]:
    """Names of the columns, the separator that makes them whole, and the lines used up."""
    line, used = stream.readline(), 1
    if line.lower().startswith("sep="):  # spreadsheets write their separator first
        line, used = stream.readline(), 2
    missing = list(layout.columns)
    for delimiter in layout.delimiters:
        header = [name.strip().lower() for name in next(csv.reader([line], delimiter=delimiter), [])]
        if set(layout.columns) <= set(header):
            return header, delimiter, used
        missing = min(missing, [name for name in layout.columns if name not in header], key=len)
    raise RecordsError(f"{path}: no column {', '.join(missing)}. {layout.hint}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
