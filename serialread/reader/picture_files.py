"""Which files are pictures to read, and what they are called in the results."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from natsort import natsort_keygen, ns

from serialread.errors import RecordsError
from serialread.imaging import PICTURE_SUFFIXES

_natural = natsort_keygen(alg=ns.PATH | ns.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Picture:
    """A file to read.

    Attributes:
        path: where it is.
        image: its path relative to the folder that was given, with forward slashes.
    """

    path: Path
    image: str

    @property
    def batch(self) -> str:
        """The picture's folder, relative to the folder that was given; "" for that folder itself."""
        return self.image.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Found:
    """What the given paths hold.

    Attributes:
        pictures: in the order of the paths; within a folder in natural order, 2 before 10.
        passed_over: names of the files that are no pictures by their suffixes, relative to the folder given.
    """

    pictures: tuple[Picture, ...]
    passed_over: tuple[str, ...]


def find_images(paths: Iterable[Path]) -> Found:
    """All pictures of files and folders, folders with all that they hold.

    A file that is named itself is taken whatever its suffix. Hidden files and folders are passed over; a
    folder that links lead to twice is entered once.

    Raises:
        RecordsError: a path does not exist, or no picture was found at all.
    """
    pictures: list[Picture] = []
    others: list[str] = []
    places = list(paths)
    for place in places:
        if not place.exists():
            raise RecordsError(f"{place}: no such file or folder. Check the path.")
        if not place.is_dir():
            pictures.append(Picture(place, place.name))
            continue
        files = list(_files(place, set()))
        found = [f for f in files if f.suffix.lower() in PICTURE_SUFFIXES and not f.name.startswith(".")]
        taken = set(found)
        others += sorted(f.relative_to(place).as_posix() for f in files if f not in taken)
        named = [Picture(f, f.relative_to(place).as_posix()) for f in found]
        pictures += sorted(named, key=lambda picture: (_natural(picture.image), picture.image))
    if not pictures:
        where = ", ".join(str(p) for p in places)
        raise RecordsError(
            f"{where}: no pictures here. Give a folder with {', '.join(sorted(PICTURE_SUFFIXES))} files."
        )
    return Found(tuple(pictures), tuple(others))


def _files(folder: Path, entered: set[tuple[int, int]]) -> Iterator[Path]:
    """Every file below a folder."""
    try:
        status = folder.stat()
        if (status.st_dev, status.st_ino) in entered:  # a link back: walking on would never end
            return
        entered.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise RecordsError(f"{folder}: cannot be listed ({error.strerror}). Check its permissions.") from None
    for entry in listed:
        if not _is_folder(entry):
            yield Path(entry.path)
        elif not entry.name.startswith("."):
            yield from _files(Path(entry.path), entered)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: a file that cannot be read
        return False
