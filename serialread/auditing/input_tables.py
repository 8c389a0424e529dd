"""The input tables of an audit: readings.csv, and the table of batches that groups its images."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serialread.auditing.field_scores import READ_AS
from serialread.auditing.matching import located, partners
from serialread.auditing.wording import Finding, counted, error, first_names, warning
from serialread.errors import RecordsError
from serialread.label_tables import TextTable, read_table
from serialread.reader.serialization import COLUMNS
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
"""Parts of the mark grade."""

MEASURES = ("text_height_px", "contrast", "elapsed_ms", "mark_grade", *MARK_PARTS)
"""Numeric columns of readings.csv, audited where they are present; nan where they are not."""

POINTS = {grade: float(points) for grade, points in zip(GRADES, (4, 3, 2, 1, 0), strict=True)}
"""Points of each grade, for means."""

VERDICT, BARCODE_CHECK = "verdict", "barcode_check"
"""Columns of readings.csv, audited where they are present: ``records.Verdict``, ``records.BarcodeCheck``."""

DATE = "date"
"""Column of a batch table that orders the batches, oldest first, compared as text (2026-01-05)."""


def readings_path(results: Path) -> Path:
    """The table of a folder that ``serialread read`` wrote, or the table itself."""
    return results / "readings.csv" if results.is_dir() else results


def read_readings(results: Path) -> TextTable:
    """Read readings.csv, given itself or its folder; a line cut off by a killed run is left out.

    Returns:
        Cells as str, except ``MEASURES``, which are floats (nan where there is none); fields are named
        ``READ_AS`` and their name.

    Raises:
        RecordsError: no such table, columns missing, or no line in it.
    """
    path = readings_path(results)
    if not path.is_file():
        raise RecordsError(f"{path}: no such file. Give the folder that serialread read --out wrote.")
    wanted = (*READING_COLUMNS, VERDICT, BARCODE_CHECK, *MEASURES)
    advice = "Give the readings.csv that serialread read wrote."
    table = read_table(path, READING_COLUMNS, advice=advice, written_by_us=True)
    fields = {name: f"{READ_AS}{name}" for name in table.rows if name not in COLUMNS}
    whole = table.rows["decision"].isin(list(Decision))
    if not whole.any():
        raise RecordsError(f"{path}: no readings in it. Run serialread read again.")
    rows = table.rows[whole].reset_index(drop=True).rename(columns=fields)
    rows = rows.reindex(columns=[*wanted, *fields.values()], fill_value="")
    rows["mark_grade"] = rows["mark_grade"].map(POINTS)
    for name in MEASURES:
        rows[name] = pd.to_numeric(rows[name], errors="coerce").astype(np.float64)
    left_out = counted(int((~whole).sum()), "line")
    cut_off = f"{path.name}: {left_out} without a decision left out. Resume the run if it was killed."
    warnings = table.warnings if whole.all() else (*table.warnings, cut_off)
    return TextTable(path, table.sha256, rows, warnings)


def read_batches(path: Path) -> TextTable:
    """Read a table about batches, or about single images: a column ``batch`` or ``filename``, and any others.

    Returns:
        The column ``batch`` or ``filename`` comes first.

    Raises:
        RecordsError: no such table, neither column, no other column, a column named twice, or no line in it.
    """
    advice = "Its first line must name the column batch, or filename."
    table = read_table(path, ("batch",), instead=("filename",), advice=advice)
    key = "batch" if "batch" in table.rows else "filename"
    rows = table.rows[[key, *table.rows.columns.drop(key)]]
    if len(rows.columns) < 2:
        raise RecordsError(f"{path}: needs another column than {key}. Add one, such as shift.")
    rows = rows[rows[key].str.strip() != ""].reset_index(drop=True)
    if rows.empty:
        raise RecordsError(f"{path}: no line in it. Add one line per {key}.")
    return TextTable(path, table.sha256, rows, table.warnings)


@dataclass(frozen=True, slots=True)
class Grouping:
    """Readings with their batches, and the columns of the batch table for each reading.

    Attributes:
        about: the other columns of the batch table for each reading, "" where it has none.
        order: the batches, oldest first.
        findings: lines without readings, readings without a line, contradictions.
    """

    rows: pd.DataFrame
    about: pd.DataFrame
    order: tuple[str, ...]
    findings: tuple[Finding, ...] = ()


def group(readings: pd.DataFrame, batches: TextTable | None, by: str | None = None) -> Grouping:
    """Find the line of the batch table for each reading, and assign the batches.

    Args:
        readings: rows of readings.csv; their batch is the folder of the picture.
        batches: a table with ``batch`` or ``filename`` and other columns; None if there is none.
        by: column of the batch table or of readings.csv whose values are the batches; None keeps the folders.

    Raises:
        RecordsError: there is no column ``by``.
    """
    about = pd.DataFrame(index=readings.index)
    findings: tuple[Finding, ...] = ()
    if batches is not None:
        about, findings = _about(readings, batches)
    if by is None:
        return Grouping(readings, about, _in_order(readings, about), findings)
    wanted = by.strip().lower()
    if wanted not in about and wanted not in READING_COLUMNS:
        known = first_names([*about.columns, "batch", "station_id", "model_id"], most=20)
        raise RecordsError(f"--by {by}: no such column. Give one of {known}.")
    rows = readings.assign(batch=about[wanted] if wanted in about else readings[wanted])
    order = _in_order(rows, about)
    return Grouping(rows, about.drop(columns=wanted, errors="ignore"), order, findings)


def _in_order(rows: pd.DataFrame, about: pd.DataFrame) -> tuple[str, ...]:
    """Batches, oldest first: by the date in the batch table, or else by their first reading."""
    when = about[DATE] if DATE in about else rows["read_at"]
    first = when[when != ""].groupby(rows["batch"], sort=False).min()
    names = rows["batch"].unique()
    return tuple(first.reindex(names).fillna("").sort_values(kind="stable").index)


def _about(readings: pd.DataFrame, batches: TextTable) -> tuple[pd.DataFrame, tuple[Finding, ...]]:
    key = batches.rows.columns[0]
    stated = batches.rows.apply(lambda cells: cells.str.strip())
    if key == "filename":
        stated[key] = located(stated[key])["path"]
    stated = stated.drop_duplicates().reset_index(drop=True)
    contradicted = stated[key].duplicated(keep=False)
    settled = stated[~contradicted].reset_index(drop=True)
    if key == "filename":
        place = partners(located(readings["image"]), located(settled[key]))
    else:
        numbers = pd.Series(np.arange(len(settled)), index=settled[key])
        place = readings["batch"].str.strip().map(numbers).fillna(-1).to_numpy(np.int64)
    columns = [name for name in settled.columns if name != key]
    padded = pd.concat([settled[columns], pd.DataFrame([dict.fromkeys(columns, "")])], ignore_index=True)
    about = padded.iloc[place].set_index(readings.index)
    twice = list(stated[key][contradicted].unique())
    return about, tuple(_findings(batches.path.name, readings, settled, twice, place))


def _findings(
    name: str, readings: pd.DataFrame, settled: pd.DataFrame, twice: list[str], place: NDArray[np.int64]
) -> Iterator[Finding]:
    key = settled.columns[0]
    if twice:
        yield error(f"{name}: lines contradict each other about {first_names(twice)}; they are ignored.")
    column, plural = ("image", "images") if key == "filename" else ("batch", "batches")
    names = readings[column][place < 0].unique()
    alone = [one or "(no batch)" for one in names if one not in twice]
    if alone:
        yield warning(f"{name}: no line for {counted(len(alone), column, plural)}: {first_names(alone)}.")
    unused = settled[key][~np.isin(np.arange(len(settled)), place)]
    if len(unused):
        yield warning(f"{name}: {counted(len(unused), 'line')} without a reading: {first_names(unused)}.")
