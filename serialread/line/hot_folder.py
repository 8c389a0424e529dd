"""The hot folder: every picture that appears in a folder becomes a trigger.

The folder is polled, which works on network shares and finds what was there before the start. A picture whose
size and time are stable is first moved into a hidden folder in it: a writer that overwrites or renames the
name afterwards makes another picture. It stays there until its result is durable, so that a killed service
finds it again, with the same trigger id.
"""

import hashlib
import logging
import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations, permutations
from pathlib import Path
from time import monotonic
from uuid import uuid4

from serialread.config.line_sources import HotFolderConfig
from serialread.errors import ImageError, LineError, RecipeError
from serialread.imaging import as_image
from serialread.imaging.loading import PICTURE_SUFFIXES
from serialread.line.events import Result, Trigger, TriggerPicture
from serialread.line.ports import Accept, BadTrigger, LineBusy

log = logging.getLogger(__name__)

CLAIMED = ".serialread"
"""Folder in the hot folder for pictures that are being read."""
LARGEST_BYTES = 256 << 20
"""Larger files are moved to the failed ones unread."""

_Signature = tuple[int, int, int]
"""Inode, size and time of a file; a changed file has another one."""


@dataclass(slots=True)
class _Watched:
    signature: _Signature
    since: float


@dataclass(frozen=True, slots=True)
class _Reading:
    """A picture that was accepted."""

    signature: _Signature
    complete: bool
    result: Future[Result]


class HotFolder:
    """Source of the pictures that appear in a folder."""

    def __init__(self, settings: HotFolderConfig) -> None:
        """Check the settings.

        Raises:
            RecipeError: done or failed pictures would be read again.
        """
        self._settings, self._path = settings, settings.path
        self._done, self._failed = _done(settings), _failed(settings)
        self._claimed = settings.path / CLAIMED
        for name, folder in (("done", self._done), ("failed", self._failed)):
            if _contains(folder, self._path):
                raise RecipeError(f"{name}: {folder} contains the hot folder. Name another folder.")
        self._watched: dict[Path, _Watched] = {}
        self._reading: dict[Path, _Reading] = {}
        self._names: set[Path] = set()

    def run(self, accept: Accept, stop: threading.Event) -> None:
        """Poll the folder until ``stop`` is set.

        Raises:
            LineError: the folders cannot be used.
        """
        self._reading.clear()
        while not stop.is_set():
            try:
                if not self._path.is_dir():  # never made here: a share that is not mounted would be hidden
                    raise LineError(f"{self._path}: no such folder. Create it, or mount its drive.")
                for folder in (self._claimed, self._done, self._failed):
                    folder.mkdir(parents=True, exist_ok=True)
                self._poll(accept)
            except OSError as error:
                raise LineError(
                    f"{error.filename or self._path}: {error.strerror}. Check the folder and its permissions."
                ) from None
            stop.wait(self._settings.poll_s)
        with suppress(OSError):  # the next start moves them
            self._put_read_away()

    def _poll(self, accept: Accept) -> None:
        self._put_read_away()
        now, seen, claims = monotonic(), set[Path](), [*_pictures(self._claimed, ())]
        self._names = set(map(self._name, claims))
        for path in (*_pictures(self._path, self._excluded), *claims):
            seen.add(path)
            signature = _signature(path)
            watched = self._watched.get(path)
            if signature is None or path in self._reading:
                continue
            if watched is None or watched.signature != signature:
                self._watched[path] = _Watched(signature, now)
            elif now - watched.since >= self._settings.settle_s:
                self._take(path, watched, now, accept)
        for path in self._watched.keys() - seen:
            del self._watched[path]

    def _put_read_away(self) -> None:
        """Move the pictures whose results are durable; after a stop the next start moves the others."""
        for path in [path for path, reading in self._reading.items() if reading.result.done()]:
            self._put_away(path, self._reading.pop(path))

    @property
    def _excluded(self) -> tuple[Path, ...]:
        return self._claimed, self._done, self._failed

    def _take(self, path: Path, watched: _Watched, now: float, accept: Accept) -> None:
        """Claim a stable picture; accept one that was claimed and is complete."""
        if self._claimed not in path.parents:
            name = self._free(path.relative_to(self._path))
            claim = self._claimed / uuid4().hex[:12] / name
            claim.parent.mkdir(parents=True)
            try:
                path.replace(claim)
            except FileNotFoundError:  # renamed or removed meanwhile
                self._remove_empty(claim)
                return
            self._names.add(name)
            path, self._watched[claim] = claim, self._watched.pop(path)
        if watched.signature[1] > LARGEST_BYTES:
            self._move(path, self._failed, f"more than {LARGEST_BYTES >> 20} MB")
            return
        try:
            data = path.read_bytes()
        except PermissionError as error:
            self._move(path, self._failed, f"cannot be read: {error.strerror}")
            return
        if _signature(path) != watched.signature:
            return
        complete = _is_complete(data)
        if now - watched.since < self._settings.give_up_s and not complete:
            return
        try:
            future = accept(self._trigger(path, watched.signature, data))
            self._reading[path] = _Reading(watched.signature, complete, future)
        except LineBusy:
            return  # it stays claimed, and is tried again
        except BadTrigger as error:
            self._move(path, self._failed, str(error))

    def _name(self, claim: Path) -> Path:
        """The name of a claimed picture, relative to the hot folder."""
        return Path(*claim.relative_to(self._claimed).parts[1:])

    def _free(self, name: Path) -> Path:
        """The name, or a new one if a picture has it: the record names the file that will be in ``done``."""
        taken = name in self._names or (self._done / name).exists() or (self._failed / name).exists()
        return _renamed(name) if taken else name

    def _trigger(self, path: Path, signature: _Signature, data: bytes) -> Trigger:
        claim, image = path.relative_to(self._claimed).parts[0], self._name(path).as_posix()
        about = f"{claim}\0{image}\0{signature[1:]}\0{hashlib.sha256(data).hexdigest()}"
        trigger = hashlib.sha256(about.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        # bytes of a name that are not UTF-8 are no characters: they are written out
        picture = TriggerPicture(image.encode("utf-8", "backslashreplace").decode(), data)
        return Trigger(self._settings.station, (picture,), source=f"folder {self._path.name}", id=trigger)

    def _put_away(self, path: Path, reading: _Reading) -> None:
        if _signature(path) != reading.signature:
            return  # written again meanwhile: another picture
        if reading.complete:
            self._move(path, self._done)
        else:
            self._move(path, self._failed, "; ".join(reading.result.result().reasons))

    def _move(self, path: Path, folder: Path, reason: str = "") -> None:
        """Move a claimed picture, under a new name if its own is taken."""
        self._watched.pop(path, None)
        target = folder / self._name(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            target = _renamed(target)
        try:
            path.replace(target)
        except OSError:  # on another file system: copy, then appear at once
            copied = target.with_name(f".{target.name}.part")
            shutil.copy2(path, copied)
            copied.replace(target)
            path.unlink()
        if reason:
            target.with_name(f"{target.name}.txt").write_text(
                reason + "\n", encoding="utf-8", errors="replace"
            )
        self._remove_empty(path)

    def _remove_empty(self, path: Path) -> None:
        """Remove the folders that were made for a claimed picture."""
        for parent in path.parents:
            if parent == self._claimed:
                break
            parent.rmdir()


def conflicts(folders: Mapping[str, HotFolderConfig]) -> Iterator[str]:
    """What is wrong with hot folders that would take each other's pictures, one problem each.

    Args:
        folders: settings of all hot folders by their places, such as ``source 1 (folder)``.
    """
    for (place, one), (other_place, other) in combinations(folders.items(), 2):
        if _contains(one.path, other.path) or _contains(other.path, one.path):
            yield (
                f"{place} and {other_place}: {one.path} and {other.path} are the same folder, or one lies in "
                "the other, and each picture would reach only one of them. Name separate folders."
            )
    for (place, one), (other_place, other) in permutations(folders.items(), 2):
        for name, folder in (("done", _done(other)), ("failed", _failed(other))):
            if _contains(one.path, folder):
                yield (
                    f"{other_place}: {name}: {folder} lies in the hot folder of {place}, {one.path}, which "
                    "would read its pictures again. Name another folder."
                )


def _done(settings: HotFolderConfig) -> Path:
    return settings.done or settings.path.parent / "done"


def _failed(settings: HotFolderConfig) -> Path:
    return settings.failed or settings.path.parent / "failed"


def _contains(folder: Path, other: Path) -> bool:
    """Whether a folder is another one, or holds it."""
    return other.resolve().is_relative_to(folder.resolve())


def _pictures(folder: Path, excluded: tuple[Path, ...]) -> Iterator[Path]:
    """All pictures below a folder, without hidden ones; links are not followed."""
    folders = [folder]
    for one in folders:  # grows while it is walked
        with os.scandir(one) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                path = Path(entry.path)
                if entry.name.startswith(".") or path in excluded:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(path)
                elif entry.is_file(follow_symlinks=False) and path.suffix.lower() in PICTURE_SUFFIXES:
                    yield path


def _renamed(path: Path) -> Path:
    return path.with_stem(f"{path.stem}-{uuid4().hex[:8]}")


def _signature(path: Path) -> _Signature | None:
    """None if the file has disappeared."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _is_complete(data: bytes) -> bool:
    try:
        as_image(data)
    except ImageError:
        return False
    return True
