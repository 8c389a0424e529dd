"""An audit as one Excel workbook, a sheet a table; the extra ``excel``."""

import datetime
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from serialread.errors import RecordsError

MOST_LINES = 1_048_575
"""Lines that a sheet can hold below its header."""

_TEXT_WIDTH = 24


def require_excel() -> None:
    """Refuse early where the library is missing.

    Raises:
        RecordsError: XlsxWriter is not installed.
    """
    if find_spec("xlsxwriter") is None:
        raise RecordsError(
            "audit.xlsx: XlsxWriter is not installed. Install it: pip install 'serialread[excel]'"
        )


def write_workbook(tables: dict[str, pd.DataFrame], path: Path) -> None:
    """Write a sheet a table, headers frozen and filterable; texts stay texts: 00123 and =1+1 as they are."""
    require_excel()
    import xlsxwriter

    options = {"strings_to_numbers": False, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(str(path), {**options, "constant_memory": True}) as book:
        book.set_properties({"created": datetime.datetime(2000, 1, 1), "title": "serialread audit"})
        bold = book.add_format({"bold": True, "bg_color": "#E8ECF0"})
        for name, table in tables.items():
            sheet = book.add_worksheet(name)
            sheet.freeze_panes(1, 1)
            lines = min(len(table), MOST_LINES)
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
