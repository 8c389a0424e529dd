"""One reader for the tables that people write: labels (``filename,text``), batches, appraisers' calls.

Separator: comma, semicolon or tab. Encoding: UTF-8 with or without a byte order mark, UTF-16, Windows-1252.
Every cell stays the text that it is: 0012, NA and 1e5 are never converted.
"""

import codecs
import csv
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from serialread.errors import RecordsError

if TYPE_CHECKING:
    import pandas as pd

LABEL_COLUMNS = ("filename", "text")
"""Columns of a table of labels."""


class PictureLabel(StrEnum):
    """What a column ``label`` of a truth table says about a picture, as the review page exports it."""

    READ = "read"
    """The text is what the mark says, as without a label."""
    UNREADABLE = "unreadable"
    """Nobody can read it."""
    WRONG_CROP = "wrong crop"
    """The reading is from the wrong place; the text, if given, is what the mark says."""
    NO_CODE = "no code"
    """The picture has no code."""


NO_READING = frozenset(PictureLabel) - {PictureLabel.READ}
"""Labels of pictures whose text is not what the reading should be."""

SEPARATORS = ",;\t"
"""What may separate the cells; the first that gives all required columns is taken."""

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True, eq=False)
class TextTable:
    """A table as it was found.

    Attributes:
        sha256: hex digest of its bytes.
        rows: the cells as str, blank lines left out; columns by their lower-case names.
        warnings: one sentence for each thing worth knowing, such as a guessed encoding.
    """

    path: Path
    sha256: str
    rows: "pd.DataFrame"
    warnings: tuple[str, ...] = ()

    def pairs(self) -> list[tuple[str, str]]:
        """File name and text of each line of a table of labels."""
        return list(zip(self.rows["filename"], self.rows["text"], strict=True))


@dataclass(frozen=True, slots=True)
class _Form:
    """How a file is written; ``width`` is the largest number of cells in a line."""

    encoding: str
    separator: str
    header: tuple[str, ...]
    header_lines: int
    width: int
    written_by_us: bool


def read_labels(path: Path, *, fields: bool = False) -> TextTable:
    """Read a table with the columns ``filename`` and ``text``; lines without a file name are left out.

    Args:
        path: the file.
        fields: keep its other columns, which hold the truths of fields.

    Raises:
        RecordsError: the file cannot be read, lacks a column, has a damaged line, or labels nothing.
    """
    table = read_table(path, LABEL_COLUMNS, wanted=None if fields else LABEL_COLUMNS)
    rows = table.rows[table.rows["filename"].str.strip() != ""].reset_index(drop=True)
    if rows.empty:
        raise RecordsError(f"{path}: no labels in it. Add one line per image: filename,text.")
    return TextTable(path, table.sha256, rows, table.warnings)


def read_table(
    path: Path,
    required: Sequence[str],
    *,
    instead: Sequence[str] = (),
    wanted: Sequence[str] | None = None,
    advice: str = "",
    written_by_us: bool = False,
) -> TextTable:
    """Read a table; blank lines are left out.

    Args:
        path: the file.
        required: columns it must have, in lower case; capitals and blanks in its header do not matter.
        instead: columns that will do where the required ones are missing; none if empty.
        wanted: columns to return, where the table has them; None returns every named column.
        advice: what to do where a required column is missing; a sentence.
        written_by_us: the table is in UTF-8 with commas, and its last line may be cut off by a killed run.

    Raises:
        RecordsError: the file cannot be read, lacks a column, names one twice, or has a damaged line.
    """
    advice = advice or f"Its first line must name the columns {','.join(required)}."
    try:
        form = _form(path, (required, instead or required), advice, written_by_us=written_by_us)
        columns = [name for name in form.header if name and (wanted is None or name in wanted)]
        rows, cut_off = _rows(path, form, columns)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        columns_ = ",".join(required)
        raise RecordsError(
            f"{path}: cannot be read: {error.strerror}. Give a table with the columns {columns_}."
        ) from None
    warnings = []
    if form.encoding == "cp1252":
        warnings.append("not UTF-8, read as Windows-1252. Save it as UTF-8 if names look wrong.")
    if cut_off:
        warnings.append(f"line {cut_off} is cut off and left out. Resume the run if it was killed.")
    return TextTable(path, sha256, rows, tuple(f"{path.name}: {warning}" for warning in warnings))


def _form(
    path: Path, required: tuple[Sequence[str], Sequence[str]], advice: str, *, written_by_us: bool
) -> _Form:
    """Find out how a file is written; reads it once, line by line."""
    with path.open("rb") as file:
        utf16 = file.read(2) in _UTF16
    separators = "," if written_by_us else SEPARATORS
    encodings = ("utf-16",) if utf16 else ("utf-8-sig",) if written_by_us else ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            # only where another encoding can be tried must the text be whole
            with path.open(
                encoding=encoding, errors="replace" if encoding == encodings[-1] else None
            ) as file:
                first, header_lines = file.readline(), 1
                if first.lower().startswith("sep="):  # spreadsheets may write their separator first
                    first, header_lines = file.readline(), 2
                header, separator = _header(first, path, required, separators, advice)
                most = max((line.count(separator) for line in file), default=0) + 1
        except UnicodeDecodeError:
            continue
        return _Form(encoding, separator, header, header_lines, max(most, len(header)), written_by_us)
    raise AssertionError("the last encoding decodes everything")


def _header(
    line: str, path: Path, required: tuple[Sequence[str], Sequence[str]], separators: str, advice: str
) -> tuple[tuple[str, ...], str]:
    missing = required[0]
    for separator in separators:
        names = next(csv.reader([line], delimiter=separator), [])
        header = tuple(name.strip().lower() for name in names)
        if any(set(names) <= set(header) for names in required):
            twice = next((name for name in header if name and header.count(name) > 1), "")
            if twice:
                raise RecordsError(f"{path}: two columns {twice}. Give every column a name of its own.")
            return header, separator
        missing = min(missing, [name for name in required[0] if name not in header], key=len)
    raise RecordsError(f"{path}: no column {', '.join(missing)}. {advice}")


def _rows(path: Path, form: _Form, columns: Sequence[str]) -> "tuple[pd.DataFrame, int]":
    """The rows, and the number of a last line that was cut off; 0 if there is none."""
    import pandas as pd

    places, cut_off = [form.header.index(name) for name in columns], 0
    try:
        cells = _cells(path, form, places)
    except pd.errors.EmptyDataError:
        return pd.DataFrame(columns=list(columns), dtype=object), 0
    except pd.errors.ParserError as error:  # a quoted cell runs over the end of the file
        row = int(re.findall(r"\d+", f"{error} 0")[0])
        cut_off = form.header_lines + 1 + row
        if not form.written_by_us:
            raise _damaged(path, cut_off, _OPEN_QUOTE) from None
        cells = _cells(path, form, places, nrows=row)
    _require_whole(path, form, cells, places)
    rows = cells[places].set_axis(list(columns), axis=1)
    return rows[(rows != "").any(axis=1)].reset_index(drop=True), cut_off


def _cells(path: Path, form: _Form, places: Sequence[int], nrows: int | None = None) -> "pd.DataFrame":
    """The cells at some places, and those beyond the header; the index counts the lines below it from 0."""
    import pandas as pd

    with path.open(encoding=form.encoding, errors="replace") as file:
        for _ in range(form.header_lines):
            file.readline()
        return pd.read_csv(
            file,
            sep=form.separator,
            header=None,
            names=range(form.width),
            usecols=sorted(places) if form.width == len(form.header) else None,
            nrows=nrows,
            skip_blank_lines=False,
            dtype=object,
            na_filter=False,
        )


def _require_whole(path: Path, form: _Form, cells: "pd.DataFrame", places: Sequence[int]) -> None:
    """Refuse cells beyond the header, and a cell over several lines: its quote was left open."""
    first = form.header_lines + 1
    for place in range(form.width - 1, len(form.header) - 1, -1):
        beyond = cells.index[cells[place] != ""]
        if len(beyond):
            what = f"{place + 1} columns where the header has {len(form.header)}"
            raise _damaged(path, first + int(beyond[0]), what)
    for place in () if form.written_by_us else places:
        torn = cells.index[cells[place].str.contains("\n", regex=False)]
        if len(torn):
            raise _damaged(path, first + int(torn[0]), _OPEN_QUOTE)


_OPEN_QUOTE = "a quote is opened and not closed"


def _damaged(path: Path, line: int, what: str) -> RecordsError:
    return RecordsError(
        f"{path}: line {line}: {what}. Put double quotes around a text that holds a separator, "
        'and write a quote in it as "".'
    )
