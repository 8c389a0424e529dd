"""The files of a calibration: labelled pictures and a station go in, a station comes out."""

from dataclasses import dataclass
from pathlib import Path

from serialread.codes import without_blanks
from serialread.config import Station, to_toml
from serialread.errors import CalibrationError
from serialread.label_tables import NO_READING, PictureLabel, read_labels
from serialread.reader import Picture

LABELS = "labels.csv"


@dataclass(frozen=True, slots=True)
class LabelledPictures:
    """Pictures and their codes.

    Attributes:
        folder: the folder they are in.
        pictures: the files.
        truths: the code of each, without blanks.
        unlabelled: lines of the table without a code; they are ignored.
    """

    folder: Path
    pictures: tuple[Picture, ...]
    truths: tuple[str, ...]
    unlabelled: int


@dataclass(frozen=True, slots=True)
class CalibratedStation:
    """The result of a calibration.

    Attributes:
        station: the station with its new settings.
        summary: what was found, in one line.
    """

    station: Station
    summary: str


def load_labelled(folder: Path) -> LabelledPictures:
    """The pictures that a folder's ``labels.csv`` (columns filename,text) names.

    Raises:
        RecordsError: the table is missing or damaged.
        CalibrationError: a picture is missing, or has two codes.
    """
    truths, unlabelled = labelled_codes(folder / LABELS)
    pictures = tuple(labelled_picture(folder, name) for name in truths)
    return LabelledPictures(folder, pictures, tuple(truths.values()), unlabelled)


def labelled_codes(table: Path) -> tuple[dict[str, str], int]:
    """The codes of a table of labels, without blanks, by file name; and how many of its lines have none.

    A line whose ``label`` says that the reading is of the wrong place, or that there is no legible code, has
    none.

    Raises:
        RecordsError: the table is missing or damaged.
        CalibrationError: a picture has two codes.
    """
    truths: dict[str, str] = {}
    unlabelled = 0
    found = read_labels(table, fields=True)
    labels = found.rows.get("label", [PictureLabel.READ] * len(found.rows))
    for (name, text), label in zip(found.pairs(), labels, strict=True):
        truth = "" if label.strip().casefold() in NO_READING else without_blanks(text)
        if not truth:
            unlabelled += 1
        elif truths.setdefault(name, truth) != truth:
            raise CalibrationError(
                f"{table}: {name} is both {truths[name]} and {truth}. Keep the right line."
            )
    return truths, unlabelled


def labelled_picture(folder: Path, name: str) -> Picture:
    """The picture that a line of ``labels.csv`` names: a path below ``images/``, or else below the folder.

    Raises:
        CalibrationError: there is no such picture.
    """
    for path in (folder / "images" / name, folder / name):
        if path.is_file():
            return Picture(path, name)
    raise CalibrationError(
        f"{folder / LABELS}: no picture {name} in images/ or the folder. Correct its name."
    )


def refuse_to_replace(out: Path, station: Path | None) -> None:
    """Stop before any work if saving would destroy another station file.

    Raises:
        CalibrationError: ``out`` exists and is not the station that is recalibrated.
    """
    if out.exists() and not (station and station.exists() and out.samefile(station)):
        raise CalibrationError(
            f"{out}: exists already. Name another file, or give it as --station to recalibrate it."
        )


def save_station(station: Station, out: str | Path) -> None:
    """Write a station file, completely or not at all.

    Raises:
        CalibrationError: the file cannot be written.
    """
    out = Path(out)
    fresh = out.with_name(out.name + ".new")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(_HEAD + to_toml(station), encoding="utf-8")
        fresh.replace(out)
    except OSError as error:
        raise CalibrationError(
            f"{out}: cannot be written ({error.strerror}). Free some space or name another file."
        ) from None


_HEAD = """\
# Written by serialread station. Every key and its default: docs/settings-station.md.
"""
