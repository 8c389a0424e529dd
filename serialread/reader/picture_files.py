"""Find picture files, and name them in the results."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from natsort import natsort_keygen, ns

from serialread.errors import RecordsError
from serialread.imaging import PICTURE_SUFFIXES

_natural = natsort_keygen(alg=ns.PATH | ns.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture file.

    Attributes:
        path: its path.
        image: its path relative to the given folder, with forward slashes; longer where it is not unique.
    """

    path: Path
    image: str

    @property
    def batch(self) -> str:
        """Its folder, relative to the given folder; "" for that folder itself."""
        return self.image.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class FoundFiles:
    """The files of the given paths.

    Attributes:
        pictures: in the order of the paths; within a folder in natural order, 2 before 10.
        skipped: files without a picture suffix, relative to the given folder.
    """

    pictures: tuple[Picture, ...]
    skipped: tuple[str, ...]


def paths_of(places: str | Path | Iterable[str | Path]) -> list[Path]:
    """One place or several: a single text is a path, not its letters."""
    return [Path(place) for place in ([places] if isinstance(places, str | Path) else places)]


def find_images(paths: Iterable[Path]) -> FoundFiles:
    """Find all pictures in files and folders, recursively.

    A file given by name is included whatever its suffix. Hidden files and folders are skipped; a folder that
    is linked twice is entered once.

    Raises:
        RecordsError: a path does not exist, or there are no pictures.
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
    return FoundFiles(tuple(_with_unique_names(pictures)), tuple(others))


def _with_unique_names(pictures: list[Picture]) -> list[Picture]:
    """Prefix the names that several files share with as many of their folders as tell them apart."""
    while True:
        files: defaultdict[str, set[Path]] = defaultdict(set)
        for picture in pictures:
            files[picture.image].add(picture.path)
        longer = [_longer_name(p) if len(files[p.image]) > 1 else p for p in pictures]
        if longer == pictures:
            return pictures
        pictures = longer


def _longer_name(picture: Picture) -> Picture:
    """The picture named with one more of its folders, if it has one."""
    parts = [part for part in picture.path.parts if part not in ("..", picture.path.anchor)]
    return replace(picture, image="/".join(parts[-(picture.image.count("/") + 2) :]))


def _files(folder: Path, entered: set[tuple[int, int]]) -> Iterator[Path]:
    """Every file below a folder."""
    try:
        status = folder.stat()
        if (status.st_dev, status.st_ino) in entered:  # a link to a parent folder
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
    except OSError:  # a link to itself: an unreadable file
        return False
