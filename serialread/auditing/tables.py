"""What lies on disk: readings.csv and truth tables, every cell kept as the text it is.

No cell is ever taken for a number: 00123 stays 00123, NA stays NA, nothing stays "".
"""

import codecs
import csv
import hashlib
import io
import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd

from serialread.auditing.findings import Finding, counted, note, warning
from serialread.errors import RecordsError
from serialread.records import GRADES, Decision

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

MARK_PARTS = ("mark_contrast", "mark_strokes", "mark_spacing", "mark_cleanness", "mark_completeness")
"""Parts of the mark's grade."""

MEASURES = ("text_height_px", "contrast", "elapsed_ms", "mark_grade", *MARK_PARTS)
"""Columns of readings.csv that are audited as numbers where they are there; nan where they are not."""

POINTS = {grade: float(points) for grade, points in zip(GRADES, (4, 3, 2, 1, 0), strict=True)}
"""What a grade counts in a mean."""

VERDICT = "verdict"
"""Column of readings.csv that is audited where it is there: a ``records.Verdict``."""

_REPEATING = ("batch", "decision", "reason", "station_id", "model_id", VERDICT)
"""Columns with few distinct cells: sharing these halves the memory."""


@dataclass(frozen=True, slots=True)
class ReadingsSource:
    """A table as it was found.

    Attributes:
        path: the file.
        sha256: hex digest of its bytes.
        rows: its cells, numbered from 0: all str, but for ``MEASURES``.
        findings: what was odd.
    """

    path: Path
    sha256: str
    rows: pd.DataFrame
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class _Layout:
    """What a table must have: columns, what may stand between them, how to get one; and what it may have."""

    columns: tuple[str, ...]
    delimiters: str
    hint: str
    optional: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()


_READINGS = _Layout(
    READING_COLUMNS, ",", "Give the readings.csv that serialread read wrote.", (VERDICT,), MEASURES
)
_TRUTH = _Layout(("filename", "text"), ",;\t", "Its first line must name the columns filename,text.")
_BATCHES = _Layout(("batch",), ",;\t", "Its first line must name the column batch, or filename.")


def readings_path(results: Path) -> Path:
    """The table of a folder that ``serialread read`` wrote, or the table itself."""
    return results / "readings.csv" if results.is_dir() else results


def read_readings(results: Path) -> ReadingsSource:
    """Read readings.csv, given itself or the folder it lies in; a line cut off by a killed run is left out.

    Raises:
        RecordsError: no such table, columns missing, or no line in it.
    """
    path = readings_path(results)
    with _opened(path, "Give the folder that serialread read --out wrote.") as stream:
        rows = _frame(stream, path, _READINGS)
    whole = rows["decision"].isin(list(Decision))
    if not whole.any():
        raise RecordsError(f"{path}: no readings in it. Run serialread read again.")
    left_out = counted(int((~whole).sum()), "line")
    odd = warning(f"{path.name}: {left_out} without a decision left out. Resume the run if it was killed.")
    return ReadingsSource(
        path, _sha256(path), rows[whole].reset_index(drop=True), () if whole.all() else (odd,)
    )


def read_truth(path: Path) -> ReadingsSource:
    """Read a truth table with the columns filename and text.

    Comma, semicolon or tab; with or without a byte order mark; UTF-8, UTF-16 or, failing these, Windows-1252.

    Raises:
        RecordsError: no such table, columns missing, a broken line, or no line in it.
    """
    text, findings = _handwritten(path, "Give a table with the columns filename,text.")
    rows = _frame(io.StringIO(text, newline=""), path, _TRUTH)
    rows = rows[rows["filename"].str.strip() != ""].reset_index(drop=True)
    if rows.empty:
        raise RecordsError(f"{path}: no truth in it. Add a line an image: filename,text.")
    torn = rows["filename"][rows["text"].str.contains("\n", regex=False)]
    if len(torn):
        raise RecordsError(f"{path}: {torn.iloc[0]}: a quote is opened and not closed. Write it twice.")
    return ReadingsSource(path, _sha256(path), rows, findings)


def read_columns(path: Path, wanted: tuple[str, ...]) -> ReadingsSource:
    """Read a table that a person keeps and take the columns named; forms as ``read_truth`` takes them.

    Raises:
        RecordsError: no such table, columns missing, a broken line, or no line in it.
    """
    hint = f"Its first line must name the columns {','.join(wanted)}."
    text, findings = _handwritten(path, f"Give a table with the columns {','.join(wanted)}.")
    rows = _frame(io.StringIO(text, newline=""), path, _Layout(wanted, ",;\t", hint))
    if rows.empty:
        raise RecordsError(f"{path}: no line in it. Add one: {','.join(wanted)}.")
    return ReadingsSource(path, _sha256(path), rows, findings)


def read_batches(path: Path) -> ReadingsSource:
    """Read a table about batches, or about single images: a column ``batch`` or ``filename``, and any others.

    Raises:
        RecordsError: no such table, neither column, no other column, a column named twice, or no line in it.
    """
    text, findings = _handwritten(path, "Give a table with the column batch and others, such as shift.")
    first = io.StringIO(text, newline="")
    try:
        header, _, _ = _header(first, path, _Layout(("filename",), _BATCHES.delimiters, _BATCHES.hint))
    except RecordsError:
        header, _, _ = _header(io.StringIO(text, newline=""), path, _BATCHES)
    key = "batch" if "batch" in header else "filename"
    rest = tuple(name for name in header if name and name != key)
    if len(set(rest)) < len(rest) or not rest:
        raise RecordsError(f"{path}: needs other columns than {key}, each once. Add one, such as shift.")
    rows = _frame(io.StringIO(text, newline=""), path, _Layout((key, *rest), _BATCHES.delimiters, ""))
    rows = rows[rows[key].str.strip() != ""].reset_index(drop=True)
    if rows.empty:
        raise RecordsError(f"{path}: no line in it. Add a line a batch.")
    return ReadingsSource(path, _sha256(path), rows, findings)


def _handwritten(path: Path, hint: str) -> tuple[str, tuple[Finding, ...]]:
    """Text of a table that did not come from this program, and what was odd about it."""
    with _opened(path, hint):
        text, guessed = _decoded(path.read_bytes())
    odd = note(f"{path.name}: not UTF-8, read as Windows-1252.")
    return text, (odd,) if guessed else ()


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
    texts = (*layout.columns, *layout.optional)
    repeating = [i for i, name in enumerate(texts) if name in _REPEATING]
    measures = [array("d") for _ in layout.measures]
    rows = []
    for cells in _cells(stream, path, layout):
        for i in repeating:
            cells[i] = shared.setdefault(cells[i], cells[i])
        rows.append(tuple(cells[: len(texts)]))
        for values, cell in zip(measures, cells[len(texts) :], strict=True):
            values.append(_number(cell))
    frame = pd.DataFrame(rows, columns=list(texts), dtype=object)
    return frame.assign(
        **{name: np.array(values) for name, values in zip(layout.measures, measures, strict=True)}
    )


def _number(cell: str) -> float:
    try:
        return float(cell) if cell else math.nan
    except ValueError:
        return POINTS.get(cell, math.nan)


def _cells(stream: TextIO, path: Path, layout: _Layout) -> Iterator[list[str]]:
    """Yield the wanted cells of each line, measures last; missing ones are ""."""
    header, delimiter, skipped = _header(stream, path, layout)
    wanted = (*layout.columns, *layout.optional, *layout.measures)
    places = [header.index(name) if name in header else len(header) for name in wanted]
    lines = csv.reader(stream, delimiter=delimiter)
    try:
        for cells in lines:
            if len(cells) > len(header) and any(cells[len(header) :]):
                raise csv.Error(f"{len(cells)} columns where the header has {len(header)}")
            cells += [""] * (len(header) + 1 - len(cells))  # one more stands for columns that are not there
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
