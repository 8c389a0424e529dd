"""Pictures whose codes somebody knows: a folder with ``labels.csv`` and the pictures, best in ``images/``."""

from dataclasses import dataclass
from pathlib import Path

from serialread.codes import without_blanks
from serialread.errors import CalibrationError
from serialread.label_tables import read_labels
from serialread.reader import Picture

LABELS = "labels.csv"


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
        RecordsError: no table, or it cannot be used.
        CalibrationError: a picture is missing, or has two codes.
    """
    truths: dict[str, str] = {}
    unlabelled = 0
    for name, text in read_labels(folder / LABELS).pairs():
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
