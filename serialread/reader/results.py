"""Results folders: one line per picture in every result file, written whole and at once.

A killed run keeps what it read. When it is resumed, all files are made again from the JSON lines: they cannot
disagree.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from filelock import FileLock, Timeout

from serialread.errors import RecordsError
from serialread.imaging import digest
from serialread.reader.picture_files import Picture
from serialread.reader.serialization import FILES, JSON_LINES, RecordJson, csv_row, json_line, result_files
from serialread.records import Decision, Record

LOCK = ".serialread.lock"
"""Locked while a run writes; the system releases the lock even if the run is killed."""
WORKBOOK = "readings.xlsx"
"""The table as a workbook, on request; written at the end of a run."""
Mode = Literal["new", "resume", "overwrite"]
_Key = tuple[str, str]
"""Name and digest of a picture."""


@dataclass(frozen=True, slots=True)
class Start:
    """The pictures left to read, and the records of an earlier run.

    Attributes:
        kept: lines of an earlier run that stay.
        again: lines of an earlier run that were removed because their picture has changed.
        not_accepted: kept lines that are not ACCEPT.
        codes: batch, code and image of each kept line, in order.
    """

    pictures: tuple[Picture, ...]
    kept: int = 0
    again: int = 0
    not_accepted: int = 0
    codes: tuple[tuple[str, str, str], ...] = ()


def claim(out: Path) -> FileLock:
    """Lock a folder until the returned lock is released or the process ends.

    Raises:
        RecordsError: another run writes there, or the folder cannot be written.
    """
    with _disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / LOCK)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise RecordsError(
                f"{out}: another run is writing there. Wait for it, or name another folder."
            ) from None
    return lock


def begin(
    out: Path,
    mode: Mode,
    pictures: Iterable[Picture],
    model_id: str,
    station_id: str,
    fields: Sequence[str] = (),
) -> Start:
    """Prepare the folder for ``write_records``; ``fields`` are the names of the station's.

    Raises:
        RecordsError: the folder cannot be written, holds results and may not touch them, or holds results of
            another model or station.
    """
    wanted = tuple(pictures)
    earlier = [name for name in FILES if (out / name).exists()]
    if earlier and mode == "new":
        raise RecordsError(
            f"{out}: already holds results. Use --resume to continue or --overwrite to replace them "
            "(in Python, resume=True or overwrite=True)."
        )
    with _disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        if mode == "resume" and earlier:
            start = _resumed(out, wanted, (model_id, station_id), fields)
        else:
            _replace(out, [], fields)
            start = Start(wanted)
        if earlier:  # the workbook would show what was read before
            (out / WORKBOOK).unlink(missing_ok=True)
    return start


def write_records(records: Iterable[Record], out: Path, fields: Sequence[str] = ()) -> Iterator[Record]:
    """Append each record to all result files of a folder prepared by ``begin``, then yield it.

    Raises:
        RecordsError: the disk is full or gone; complete lines are kept.
    """
    with ExitStack() as stack:
        with _disk_errors(out):
            opened = [
                (one, stack.enter_context((out / one.name).open("ab", buffering=0)))
                for one in result_files(fields)
            ]
        for record in records:
            line = json_line(record)
            with _disk_errors(out):
                for one, file in opened:
                    _append(file, one.encode(line))
            yield record


def _resumed(out: Path, wanted: tuple[Picture, ...], ids: tuple[str, str], fields: Sequence[str]) -> Start:
    """Keep the complete lines of unchanged pictures and of pictures not given now; the others are read."""
    earlier = Counter(_key(line) for line in _whole_lines(out, ids))
    names = {image for image, _ in earlier}
    keys: list[_Key] = [(p.image, digest(p.path)) if p.image in names else (p.image, "") for p in wanted]
    wanted_names = {p.image for p in wanted}
    same = earlier & Counter(keys)  # the lesser count of each
    done = same + Counter({key: count for key, count in earlier.items() if key[0] not in wanted_names})
    decisions: Counter[str] = Counter()
    codes: list[tuple[str, str, str]] = []
    taken = _taken(_whole_lines(out, ids), Counter(done))
    _replace(out, _noted(taken, decisions, codes), fields)
    pictures = tuple(_without(zip(wanted, keys, strict=True), Counter(same)))
    kept = decisions.total()
    accepted = decisions[Decision.ACCEPT]
    return Start(pictures, kept, earlier.total() - kept, kept - accepted, tuple(codes))


def _key(line: RecordJson) -> _Key:
    return line["image"], line["sha256"]


def _taken(lines: Iterable[RecordJson], left: Counter[_Key]) -> Iterator[RecordJson]:
    """The first lines of each key, as many as ``left`` says."""
    for line in lines:
        if left[_key(line)] > 0:
            left[_key(line)] -= 1
            yield line


def _noted(
    lines: Iterable[RecordJson], decisions: Counter[str], codes: list[tuple[str, str, str]]
) -> Iterator[RecordJson]:
    """The lines; their decisions and codes are noted on the way."""
    for line in lines:
        decisions[line["decision"]] += 1
        codes.append((line["batch"], line["text"], line["image"]))
        yield line


def _without(pictures: Iterable[tuple[Picture, _Key]], done: Counter[_Key]) -> Iterator[Picture]:
    """The pictures without the first of each key, as many as ``done`` says."""
    for picture, key in pictures:
        if done[key] > 0:
            done[key] -= 1
        else:
            yield picture


def _whole_lines(out: Path, ids: tuple[str, str]) -> Iterator[RecordJson]:
    """Whole lines of readings.jsonl; lines torn by a kill are skipped, those of another model refused."""
    if not (out / JSON_LINES).exists():
        others = ", ".join(name for name in FILES if name != JSON_LINES)
        raise RecordsError(f"{out}: holds {others} but no {JSON_LINES} to resume from. --overwrite it.")
    with (out / JSON_LINES).open("rb") as file:
        for data in file:
            try:
                line: RecordJson = json.loads(data)
                found = (line["model_id"], line["station_id"])
                csv_row(line)
            except (ValueError, KeyError, TypeError):
                continue
            if found != ids:
                raise _other_setting(out, found, ids)
            yield line


def _other_setting(out: Path, before: tuple[str, str], now: tuple[str, str]) -> RecordsError:
    """The results in a folder are of another model, station or format."""
    how = f"with model {before[0]}, not {now[0]}"
    wanted = "--model"
    if before[0] == now[0]:
        stations = [f"station {name}" if name else "no station or format" for name in (before[1], now[1])]
        how, wanted = f"with {stations[0]}, not {stations[1]}", "--station and --format"
    return RecordsError(
        f"{out}: was read {how}. Give the same {wanted} to continue, or --overwrite to replace the results."
    )


def _replace(out: Path, lines: Iterable[RecordJson], fields: Sequence[str]) -> None:
    """Write all files again under other names, then replace the old ones."""
    files = result_files(fields)
    with ExitStack() as stack:
        opened = [(one, stack.enter_context((out / f"{one.name}.new").open("wb"))) for one in files]
        for one, file in opened:
            file.write(one.header)
        for line in lines:
            for one, file in opened:
                file.write(one.encode(line))
    for one in files:
        (out / f"{one.name}.new").replace(out / one.name)


def _append(file: BinaryIO, data: bytes) -> None:
    """Append a complete line or nothing."""
    before = file.seek(0, os.SEEK_END)
    try:
        left = memoryview(data)
        while left:
            left = left[file.write(left) :]
    except OSError:
        file.truncate(before)
        raise


@contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    """Convert disk errors to RecordsError."""
    try:
        yield
    except (FileExistsError, NotADirectoryError):
        raise RecordsError(f"{out}: a file, or below one. Name a folder for the results.") from None
    except OSError as error:
        raise RecordsError(
            f"{out}: cannot be written ({error.strerror}). Free disk space or name another folder; "
            "records written so far are kept, and --resume continues."
        ) from None
