"""Excel workbooks of tables, in which texts stay texts: 00123, =1+1, -5, 1E5."""

import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from serialread.errors import RecordsError, writing_errors
from serialread.reader.serialization import NUMBERS

if TYPE_CHECKING:
    import pandas as pd

MAX_SHEET_LINES = 1_048_575
"""Lines that an Excel sheet can hold below its header."""

_TEXT_WIDTH = 24


def require_excel(name: str) -> None:
    """Refuse early if the optional library is missing.

    Args:
        name: the file that it would write.

    Raises:
        RecordsError: XlsxWriter is not installed.
    """
    if find_spec("xlsxwriter") is None:
        raise RecordsError(
            f"{name}: XlsxWriter is not installed. Install it: pip install 'serialread[excel]'"
        )


def write_readings_workbook(readings: Path, path: Path) -> None:
    """Write readings.csv as a workbook; more lines than a sheet holds go on in further sheets.

    Raises:
        RecordsError: it cannot be written.
    """
    import pandas as pd

    with writing_errors(path, RecordsError, "Close it in Excel, or free disk space; --resume continues."):
        table = pd.read_csv(readings, dtype=object, na_filter=False, encoding_errors="replace")
        for name in NUMBERS:
            table[name] = pd.to_numeric(table[name], errors="coerce")
        starts = range(0, max(len(table), 1), MAX_SHEET_LINES)
        sheets = {
            f"readings {n}" if n > 1 else "readings": table.iloc[start : start + MAX_SHEET_LINES]
            for n, start in enumerate(starts, start=1)
        }
        write_workbook(sheets, path, title="serialread readings")


def write_workbook(tables: "dict[str, pd.DataFrame]", path: Path, title: str) -> None:
    """Write one sheet per table, with frozen headers and filters."""
    import pandas as pd
    import xlsxwriter

    options = {"strings_to_numbers": False, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(str(path), {**options, "constant_memory": True}) as book:
        book.set_properties({"created": datetime.datetime(2000, 1, 1), "title": title})
        bold = book.add_format({"bold": True, "bg_color": "#E8ECF0"})
        for name, table in tables.items():
            sheet = book.add_worksheet(name)
            sheet.freeze_panes(1, 1)
            lines = min(len(table), MAX_SHEET_LINES)
            sheet.autofilter(0, 0, max(lines, 1), len(table.columns) - 1)
            for number, column in enumerate(table.columns):
                wide = table[column].dtype == object or pd.api.types.is_string_dtype(table[column])
                sheet.set_column(number, number, _TEXT_WIDTH if wide else max(9, len(column)))
            sheet.write_row(0, 0, list(table.columns), bold)
            for row, cells in enumerate(table.head(lines).itertuples(index=False), start=1):
                for number, cell in enumerate(cells):
                    if isinstance(cell, str):
                        sheet.write_string(row, number, cell)
                    elif not pd.isna(cell):
                        sheet.write_number(row, number, cell)
