"""Which batch a reading belongs to, and what else is known about it: line, shift, tool, date."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serialread.auditing.findings import Finding, counted, error, some, warning
from serialread.auditing.matching import located, partners
from serialread.auditing.tables import READING_COLUMNS
from serialread.errors import RecordsError
from serialread.label_tables import TextTable

Places = NDArray[np.int64]

WHEN = "date"
"""Column of a batch table that puts the batches in order, oldest first, compared as text (2026-01-05)."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """Readings, each with its batch, and what a batch table says about each.

    Attributes:
        rows: the readings; ``batch`` is what counts as one.
        about: columns of the batch table for each reading, "" where it says nothing; without ``by``.
        order: the batches, oldest first.
        findings: lines without readings, readings without line, contradictions.
    """

    rows: pd.DataFrame
    about: pd.DataFrame
    order: tuple[str, ...]
    findings: tuple[Finding, ...] = ()


def group(readings: pd.DataFrame, batches: TextTable | None, by: str | None = None) -> Grouping:
    """Look each reading up in the batch table, and take the column ``by`` for its batch.

    Args:
        readings: as they were read; their batch is the picture's folder.
        batches: a table with ``batch`` or ``filename`` and other columns; None knows nothing more.
        by: column of the batch table, or of the readings, that makes the batches; None keeps the folders.

    Raises:
        RecordsError: no such column.
    """
    about = pd.DataFrame(index=readings.index)
    findings: tuple[Finding, ...] = ()
    if batches is not None:
        about, findings = _about(readings, batches)
    if by is None:
        return Grouping(readings, about, _in_order(readings, about), findings)
    wanted = by.strip().lower()
    if wanted not in about and wanted not in READING_COLUMNS:
        known = some([*about.columns, "batch", "station_id", "model_id"], most=20)
        raise RecordsError(f"--by {by}: no such column. Give one of {known}.")
    rows = readings.assign(batch=about[wanted] if wanted in about else readings[wanted])
    order = _in_order(rows, about)
    return Grouping(rows, about.drop(columns=wanted, errors="ignore"), order, findings)


def _in_order(rows: pd.DataFrame, about: pd.DataFrame) -> tuple[str, ...]:
    """Batches from the oldest to the newest: by the table's date, or else by their first reading."""
    when = about[WHEN] if WHEN in about else rows["read_at"]
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
    name: str, readings: pd.DataFrame, settled: pd.DataFrame, twice: list[str], place: Places
) -> Iterator[Finding]:
    key = settled.columns[0]
    if twice:
        yield error(f"{name}: lines contradict each other about {some(twice)}: nothing is known of these.")
    column, plural = ("image", "images") if key == "filename" else ("batch", "batches")
    names = readings[column][place < 0].unique()
    alone = [one or "(no batch)" for one in names if one not in twice]
    if alone:
        yield warning(f"{name}: says nothing about {counted(len(alone), column, plural)}: {some(alone)}.")
    unused = settled[key][~np.isin(np.arange(len(settled)), place)]
    if len(unused):
        yield warning(f"{name}: {counted(len(unused), 'line')} without reading: {some(unused)}.")
