"""Pictures whose codes somebody knows: a folder with ``labels.csv`` and the pictures, best in ``images/``."""

import csv
from dataclasses import dataclass
from pathlib import Path

from serialread.codes import without_blanks
from serialread.errors import CalibrationError
from serialread.reader import Picture

LABELS = "labels.csv"
_COLUMNS = ("filename", "text")


@dataclass(frozen=True, slots=True)
class Labelled:
    """Pictures and their codes.

    Attributes:
        folder: where they lie.
        pictures: the files.
        truths: the code of each, without blanks.
        unlabelled: lines of the table without a code, which are left out.
    """

    folder: Path
    pictures: tuple[Picture, ...]
    truths: tuple[str, ...]
    unlabelled: int


def load_labelled(folder: Path) -> Labelled:
    """The pictures that a folder's ``labels.csv`` (columns filename,text) names.

    A name is a path below ``images/``, or else below the folder.

    Raises:
        CalibrationError: no table, a column or picture is missing, or a picture has two codes.
    """
    truths: dict[str, str] = {}
    unlabelled = 0
    for name, text in _lines(folder / LABELS):
        truth = without_blanks(text)
        if not truth:
            unlabelled += 1
        elif truths.setdefault(name, truth) != truth:
            raise CalibrationError(
                f"{folder / LABELS}: {name} is both {truths[name]} and {truth}. Keep the right line."
            )
    pictures = tuple(Picture(_place(folder, name), name) for name in truths)
    return Labelled(folder, pictures, tuple(truths.values()), unlabelled)


def _place(folder: Path, name: str) -> Path:
    for place in (folder / "images" / name, folder / name):
        if place.is_file():
            return place
    raise CalibrationError(f"{folder / LABELS}: no picture {name} in images/ or beside it. Correct its name.")


def _lines(table: Path) -> list[tuple[str, str]]:
    """Name and text of every line, cells as they are."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = set(_COLUMNS) - set(reader.fieldnames or ())
            if missing:
                raise CalibrationError(
                    f"{table}: no column {', '.join(sorted(missing))}. Give the columns filename,text."
                )
            return [(row["filename"] or "", row["text"] or "") for row in reader]
    except FileNotFoundError:
        raise CalibrationError(
            f"{table}: no such table. Write one with the columns filename,text beside images/."
        ) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CalibrationError(f"{table}: cannot be read ({error}). Save it as CSV in UTF-8.") from None
