"""Input tables of an audit: readings.csv and what is known about batches."""

from pathlib import Path

import numpy as np
import pandas as pd

from serialread.auditing.findings import counted
from serialread.errors import RecordsError
from serialread.label_tables import TextTable, read_table
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


def readings_path(results: Path) -> Path:
    """The table of a folder that ``serialread read`` wrote, or the table itself."""
    return results / "readings.csv" if results.is_dir() else results


def read_readings(results: Path) -> TextTable:
    """Read readings.csv, given itself or its folder; a line cut off by a killed run is left out.

    Returns:
        Cells as str, except ``MEASURES``, which are floats (nan where there is none).

    Raises:
        RecordsError: no such table, columns missing, or no line in it.
    """
    path = readings_path(results)
    if not path.is_file():
        raise RecordsError(f"{path}: no such file. Give the folder that serialread read --out wrote.")
    wanted = (*READING_COLUMNS, VERDICT, *MEASURES)
    advice = "Give the readings.csv that serialread read wrote."
    table = read_table(path, READING_COLUMNS, wanted=wanted, advice=advice, written_by_us=True)
    whole = table.rows["decision"].isin(list(Decision))
    if not whole.any():
        raise RecordsError(f"{path}: no readings in it. Run serialread read again.")
    left_out = counted(int((~whole).sum()), "line")
    warning = f"{path.name}: {left_out} without a decision left out. Resume the run if it was killed."
    rows = table.rows[whole].reset_index(drop=True).reindex(columns=wanted, fill_value="")
    for name in MEASURES:
        rows[name] = pd.to_numeric(rows[name].replace(POINTS), errors="coerce").astype(np.float64)
    return TextTable(path, table.sha256, rows, () if whole.all() else (warning,))


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
