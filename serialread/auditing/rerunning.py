"""A run of reading done again from its line in the log: proved equal, or what differs named."""

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serialread import run_log
from serialread.auditing.findings import counted
from serialread.config import Station
from serialread.errors import RecordsError
from serialread.imaging import digest
from serialread.inference.session import EngineKind
from serialread.reader import FILES, Picture, Reader, compare_codes
from serialread.reader.serialization import json_bytes, json_line

VOLATILE = frozenset({"read_at", "elapsed_ms"})
"""What no two runs have in common."""

MOST_SAID = 20
"""Differences named one by one."""

RecordJson = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Setup:
    """With what a run read, and where its pictures are.

    Attributes:
        places: files and folders that it was given.
        model: the model file.
        station: the station, as it was described then.
        engine: the library that ran the network.
        barcodes: whether barcodes beside the codes were read, too.
    """

    places: tuple[Path, ...]
    model: Path
    station: Station
    engine: EngineKind
    barcodes: bool = False

    @classmethod
    def of(cls, line: RecordJson, log: Path, shipped: Path) -> "Setup":
        """What a log's line of ``serialread read`` says; ``shipped`` is the model where it names none.

        Raises:
            RecordsError: a line that does not say it, written by an earlier version.
        """
        options, about = line["options"], line["about"]
        if "pictures" not in options or "station" not in about:
            raise RecordsError(
                f"{log}: line {line['line']} does not say where its pictures are. Read them again."
            )
        places = tuple(log.parent / name for name in options["pictures"])
        model = log.parent / options["model"] if options["model"] else shipped
        station, barcodes = Station.model_validate(about["station"]), bool(options.get("barcodes", False))
        return cls(places, model, station, options["engine"], barcodes)

    def find(self, image: str, sha256: str) -> Path | None:
        """The picture of this name and digest; None if it is gone or has changed."""
        found = (place / image if place.is_dir() else place for place in self.places)
        named = (path for path in found if path.is_file() and path.as_posix().endswith(image))
        return next((path for path in named if digest(path) == sha256), None)


@dataclass(slots=True)
class Rerun:
    """What became of a run when it was done again.

    Attributes:
        log: its log.
        line: number of its line.
        pictures: lines that it wrote.
        equal: of these, read again with the same result in every digit written.
        circumstances: what is not as it was: model, versions, engine, processor; in words.
        differences: pictures that are gone or have changed, and readings that differ; in words.
    """

    log: Path
    line: int
    pictures: int = 0
    equal: int = 0
    circumstances: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every picture was there and read as before."""
        return self.equal == self.pictures and not self.differences

    def words(self) -> str:
        """The outcome, a line a difference."""
        told = counted(self.pictures, "picture")
        head = f"{self.log}: line {self.line}: {told}, {self.equal:,} read again as before, in every digit."
        same = "Same model, versions, engine and processor." if not self.circumstances else ""
        more = len(self.differences) - MOST_SAID
        rest = [f"and {more:,} more differences"] if more > 0 else []
        return "\n".join(
            filter(None, [head, same, *self.circumstances, *self.differences[:MOST_SAID], *rest])
        )


def rerun(log: Path, shipped: Path, number: int | None = None) -> Rerun:
    """Read the pictures of a logged run again and hold every line against what it wrote; writes nothing.

    Args:
        log: the log of runs.
        shipped: the model of runs that name none.
        number: line of the run; None takes the last that read.

    Raises:
        RecordsError: no such run, or its readings are gone.
        CheckpointError: its model is gone.
        CalibrationError: the station was measured with another model.
    """
    line = run_log.run_of(log, "read", number)
    setup = Setup.of(line, log, shipped)
    written = next(name for name in line["outputs"] if name.endswith(FILES[1]))
    if not (log.parent / written).is_file():
        raise RecordsError(f"{log}: {written} of line {line['line']} is gone: nothing to compare with.")
    done = Rerun(log, line["line"])
    if not run_log.same_bytes(written, log, line["outputs"][written]):
        done.differences.append(f"{written} is not as line {done.line} wrote it.")
    reader = Reader(setup.model, setup.station, setup.engine, barcodes=setup.barcodes)
    done.circumstances += _circumstances(line, reader)
    waiting: deque[RecordJson] = deque()
    again = reader.read(_pictures(log.parent / written, setup, done, waiting))
    for record in compare_codes(again):
        old, new = waiting.popleft(), json.loads(json_bytes(json_line(record)))
        differing = [
            name for name in {**old, **new} if name not in VOLATILE and old.get(name) != new.get(name)
        ]
        if differing:
            done.differences.append(_difference(old, new, differing))
        done.equal += not differing
    return done


def _pictures(readings: Path, setup: Setup, done: Rerun, waiting: deque[RecordJson]) -> Iterator[Picture]:
    """The pictures of a run that are as they were; their lines wait for their readings."""
    with readings.open("rb") as file:
        for data in file:
            old: RecordJson = json.loads(data)
            done.pictures += 1
            path = setup.find(old["image"], old["sha256"])
            if path is None:
                done.differences.append(f"{old['image']}: the picture is gone, or has changed since.")
                continue
            waiting.append(old)
            yield Picture(path, old["image"])


def _circumstances(line: RecordJson, reader: Reader) -> Iterator[str]:
    then, now = line["about"], {"model_id": reader.model_id, "station_id": reader.station.station_id}
    for name, value in now.items():
        if then.get(name) != value:
            yield f"{name} was {then.get(name) or 'none'}, is {value or 'none'}."
    present = run_log.here()
    versions = present["versions"]
    for name in {**line["versions"], **versions}:
        was, is_ = line["versions"].get(name, "none"), versions.get(name, "none")
        if was != is_:
            yield f"version of {name} was {was}, is {is_}."
    was, is_ = line["machine"]["processor"], present["machine"]["processor"]
    if was != is_:
        yield f"processor was {was}, is {is_}: the last digits may differ."


def _difference(old: RecordJson, new: RecordJson, names: list[str]) -> str:
    """One sentence on a picture read otherwise: the text if it differs, else the first figure."""
    name = "text" if "text" in names else names[0]
    more = f", and {', '.join(one for one in names if one != name)}" if len(names) > 1 else ""
    return f"{old['image']}: {name} was {_short(old.get(name))}, is {_short(new.get(name))}{more}."


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:37] + "..."
