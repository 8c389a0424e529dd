"""Records on disk: readings.jsonl holds everything, readings.csv what people look at; a line a picture.

Lines are written whole and at once, so that a killed run keeps what it read. The table is made of the JSON
lines: going on after a kill, it is made of them again, and the two cannot disagree.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from filelock import FileLock, Timeout

from serialread.errors import RecordsError
from serialread.imaging import digest
from serialread.reader.picture_files import Picture
from serialread.reader.serialization import COLUMNS, RecordJson, csv_bytes, csv_row, json_bytes, json_line
from serialread.records import Decision, Record

FILES = ("readings.csv", "readings.jsonl")
LOCK = ".serialread.lock"
"""Held while a run writes; the system lets go of it even if the run is killed."""
Mode = Literal["new", "resume", "overwrite"]
_Key = tuple[str, str]
"""Name and digest of a picture."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where a run begins.

    Attributes:
        pictures: those still to be read, in their order.
        kept: lines of an earlier run that stay.
        again: lines of an earlier run that were dropped, because their picture has changed since.
        not_accepted: how many of the kept lines are not ACCEPT.
        codes: batch, code and image of each kept line, in their order.
    """

    pictures: tuple[Picture, ...]
    kept: int = 0
    again: int = 0
    not_accepted: int = 0
    codes: tuple[tuple[str, str, str], ...] = ()


def claim(out: Path) -> FileLock:
    """Keep other runs out of a folder until the returned lock is released or the process ends.

    Raises:
        RecordsError: another run writes there, or the folder cannot be written.
    """
    with _told(out):
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / LOCK)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise RecordsError(
                f"{out}: another run is writing there. Wait for it, or name another folder."
            ) from None
    return lock


def begin(out: Path, mode: Mode, pictures: Iterable[Picture], model_id: str, station_id: str) -> Start:
    """Make the folder ready for ``write_records``, before anything is read.

    Raises:
        RecordsError: the folder cannot be written, holds results and may not touch them, or holds results of
            another model or station.
    """
    wanted = tuple(pictures)
    earlier = [name for name in FILES if (out / name).exists()]
    if earlier and mode == "new":
        raise RecordsError(f"{out}: holds results already. Go on with --resume, or --overwrite them.")
    with _told(out):
        out.mkdir(parents=True, exist_ok=True)
        if mode == "resume" and earlier:
            return _resumed(out, wanted, model_id, station_id)
        _replace(out, [])
    return Start(wanted)


def write_records(records: Iterable[Record], out: Path) -> Iterator[Record]:
    """Append each record to both files of a folder that ``begin`` made ready, then hand it on.

    Raises:
        RecordsError: the disk is full or gone; what was written before stays whole.
    """
    with ExitStack() as stack:
        with _told(out):
            table, lines = (stack.enter_context((out / name).open("ab", buffering=0)) for name in FILES)
        for record in records:
            line = json_line(record)
            with _told(out):
                _append(lines, json_bytes(line))
                _append(table, csv_bytes(csv_row(line)))
            yield record


def _resumed(out: Path, wanted: tuple[Picture, ...], model_id: str, station_id: str) -> Start:
    """Keep the whole lines of unchanged pictures and of those that are not asked for; the rest is read."""
    ids = (model_id, station_id)
    earlier = Counter(_key(line) for line in _whole_lines(out, ids))
    names = {image for image, _ in earlier}
    keys: list[_Key] = [(p.image, digest(p.path)) if p.image in names else (p.image, "") for p in wanted]
    asked = {p.image for p in wanted}
    same = earlier & Counter(keys)  # the lesser count of each
    done = same + Counter({key: count for key, count in earlier.items() if key[0] not in asked})
    decisions: Counter[str] = Counter()
    codes: list[tuple[str, str, str]] = []
    taken = _taken(_whole_lines(out, ids), Counter(done))
    _replace(out, _noted(taken, decisions, codes))
    pictures = tuple(_without(zip(wanted, keys, strict=True), Counter(same)))
    kept = decisions.total()
    accepted = decisions[Decision.ACCEPT]
    return Start(pictures, kept, earlier.total() - kept, kept - accepted, tuple(codes))


def _key(line: RecordJson) -> _Key:
    return line["image"], line["sha256"]


def _taken(lines: Iterable[RecordJson], left: Counter[_Key]) -> Iterator[RecordJson]:
    """As many lines of each key as are left of it."""
    for line in lines:
        if left[_key(line)] > 0:
            left[_key(line)] -= 1
            yield line


def _noted(
    lines: Iterable[RecordJson], decisions: Counter[str], codes: list[tuple[str, str, str]]
) -> Iterator[RecordJson]:
    """The lines, their decisions counted and their codes kept."""
    for line in lines:
        decisions[line["decision"]] += 1
        codes.append((line["batch"], line["text"], line["image"]))
        yield line


def _without(pictures: Iterable[tuple[Picture, _Key]], done: Counter[_Key]) -> Iterator[Picture]:
    """The pictures but for as many of each key as are done."""
    for picture, key in pictures:
        if done[key] > 0:
            done[key] -= 1
        else:
            yield picture


def _whole_lines(out: Path, ids: tuple[str, str]) -> Iterator[RecordJson]:
    """Lines of readings.jsonl, but for those torn by a kill; all must be of this model and station."""
    if not (out / FILES[1]).exists():
        raise RecordsError(f"{out}: holds {FILES[0]} but no {FILES[1]} to go on from. --overwrite it.")
    with (out / FILES[1]).open("rb") as file:
        for data in file:
            try:
                line: RecordJson = json.loads(data)
                found = (line["model_id"], line["station_id"])
                csv_row(line)
            except (ValueError, KeyError, TypeError):
                continue
            if found != ids:
                names = " and station ".join(part or "none" for part in found)
                raise RecordsError(f"{out}: was read with model {names}. Go on with these, or --overwrite.")
            yield line


def _replace(out: Path, lines: Iterable[RecordJson]) -> None:
    """Write both files anew, beside the old ones, and put them in their place."""
    new = [out / f"{name}.new" for name in FILES]
    with new[0].open("wb") as table, new[1].open("wb") as everything:
        table.write(csv_bytes(COLUMNS))
        for line in lines:
            everything.write(json_bytes(line))
            table.write(csv_bytes(csv_row(line)))
    for fresh, name in zip(new, FILES, strict=True):
        fresh.replace(out / name)


def _append(file: BinaryIO, data: bytes) -> None:
    """Write all of a line or nothing of it."""
    before = file.seek(0, os.SEEK_END)
    try:
        left = memoryview(data)
        while left:
            left = left[file.write(left) :]
    except OSError:
        file.truncate(before)
        raise


@contextmanager
def _told(out: Path) -> Iterator[None]:
    """Turn what the disk says into one RecordsError."""
    try:
        yield
    except OSError as error:
        raise RecordsError(
            f"{out}: cannot be written ({error.strerror}). Make room or name another folder; "
            f"what was read before is kept, and --resume goes on."
        ) from None
