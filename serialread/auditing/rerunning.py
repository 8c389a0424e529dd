"""Read the pictures of a logged run again: to prove equal results, or to show what went wrong."""

import base64
import json
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from serialread import run_log
from serialread.auditing.wording import counted
from serialread.errors import RecordsError, SerialreadError
from serialread.reader import Explanation, Picture, Reader, check_sequences
from serialread.reader.run_setups import RunSetup, find_setup, open_reader
from serialread.reader.serialization import JSON_LINES, RecordJson, json_bytes, json_line, key_of
from serialread.records import Decision, Pixels
from serialread.weights import shipped_model

VOLATILE = frozenset({"read_at", "elapsed_ms"})
"""Keys of a record that differ from run to run."""

MAX_DIFFERENCES = 20
"""Differences listed one by one."""


@dataclass(slots=True)
class Rerun:
    """Result of repeating a run.

    Attributes:
        pictures: records that the run wrote.
        equal: of these, read again with the same result in every digit.
        circumstances: changes of model, versions, engine or processor, in words.
        differences: pictures that are missing or have changed, and records that differ, in words.
    """

    log: Path
    line: int
    pictures: int = 0
    equal: int = 0
    circumstances: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every picture is present and was read as before."""
        return self.equal == self.pictures and not self.differences

    def summary(self) -> str:
        """The result, one line per difference."""
        pictures = counted(self.pictures, "picture")
        head = f"{self.log}: line {self.line}: {pictures}, {self.equal:,} read again with equal results."
        same = "Same model, versions, engine and processor." if not self.circumstances else ""
        more = len(self.differences) - MAX_DIFFERENCES
        rest = [f"and {more:,} more differences"] if more > 0 else []
        return "\n".join(
            filter(None, [head, same, *self.circumstances, *self.differences[:MAX_DIFFERENCES], *rest])
        )


def rerun(log: str | Path, shipped: str | Path | None = None, number: int | None = None) -> Rerun:
    """Read the pictures of a logged run again and compare every record with the logged one; writes nothing.

    Args:
        log: the run log.
        shipped: the model of runs that name none.
        number: line of the run; None takes the last run of ``serialread read``.

    Raises:
        RecordsError: no such run, or its readings are missing.
        CheckpointError: its model is missing.
        CalibrationError: the station was calibrated with another model.
    """
    log = Path(log)
    line = run_log.run_of(log, "read", number)
    setup = RunSetup.of(line, log, Path(shipped) if shipped else shipped_model())
    written = next(name for name in line["outputs"] if name.endswith(JSON_LINES))
    if not (log.parent / written).is_file():
        raise RecordsError(
            f"{log}: {written} of line {line['line']} is missing. Restore it to compare with it."
        )
    done = Rerun(log, line["line"])
    if not run_log.same_bytes(written, log, line["outputs"][written]):
        done.differences.append(f"{written} has changed since line {done.line} wrote it.")
    reader = Reader(setup.model, setup.station, engine=setup.engine, barcodes=setup.barcodes)
    done.circumstances += _circumstances(line, reader)
    waiting: deque[RecordJson] = deque()
    again = reader.read_many(_pictures(log.parent / written, setup, done, waiting))
    for record in check_sequences(again):
        old, new = waiting.popleft(), json.loads(json_bytes(json_line(record)))
        differing = [
            name for name in {**old, **new} if name not in VOLATILE and old.get(name) != new.get(name)
        ]
        if differing:
            done.differences.append(_difference(old, new, differing))
        done.equal += not differing
    return done


def _pictures(readings: Path, setup: RunSetup, done: Rerun, waiting: deque[RecordJson]) -> Iterator[Picture]:
    """The unchanged pictures of a run; their records wait in ``waiting``."""
    with readings.open("rb") as file:
        for data in file:
            old: RecordJson = json.loads(data)
            done.pictures += 1
            path = setup.find(old["image"], old["sha256"])
            if path is None:
                done.differences.append(f"{old['image']}: the picture is missing or has changed.")
                continue
            waiting.append(old)
            yield Picture(path, old["image"])


def _circumstances(line: RecordJson, reader: Reader) -> Iterator[str]:
    then, now = line["about"], {"model_id": reader.model_id, "station_id": reader.station.station_id}
    for name, value in now.items():
        if then.get(name) != value:
            yield f"{name} was {then.get(name) or 'none'}, is {value or 'none'}."
    present = run_log.environment()
    versions = present["versions"]
    for name in {**line["versions"], **versions}:
        was, is_ = line["versions"].get(name, "none"), versions.get(name, "none")
        if was != is_:
            yield f"version of {name} was {was}, is {is_}."
    was, is_ = line["machine"]["processor"], present["machine"]["processor"]
    if was != is_:
        yield f"processor was {was}, is {is_}: the last digits may differ."


def _difference(old: RecordJson, new: RecordJson, names: list[str]) -> str:
    """One sentence on a record that differs: the text if it differs, else the first key."""
    name = "text" if "text" in names else names[0]
    more = f", and {', '.join(one for one in names if one != name)}" if len(names) > 1 else ""
    return f"{old['image']}: {name} was {_short(old.get(name))}, is {_short(new.get(name))}{more}."


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:37] + "..."


# --- pictures of failures -------------------------------------------------------------------------

MAX_PICTURES = 200
"""Failures that are read again."""

MAX_WAITING = 24
"""Readings without a truth that are shown among them, the least confident first."""

MAX_BYTES = 3_000_000
"""Size of their pictures together, so that the page stays below 5 MB."""

HEIGHT_PX = 40
"""Height of a crop on the page."""

_MAX_WIDTH_PX = 720
_QUALITY = 60  # of WebP: a crop takes 2 to 6 kB


@dataclass(frozen=True, slots=True)
class FailureCase:
    """A failure, or a reading that waits for a person, read again.

    Attributes:
        truth: "" if it is not known.
        confidence: as in readings.csv.
        part: key of the reading, for its link to the review page.
        note: what is known of it besides, as in errors.csv.
        chars: each character with its confidence, and the runner-up with its own.
        picture: the crop above the crop with its glyph maps, as a data URL.
    """

    image: str
    truth: str
    text: str
    decision: str
    confidence: str
    chars: tuple[tuple[str, float, str, float], ...]
    picture: str
    part: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class FailurePictures:
    """Failures that were read again.

    Attributes:
        shown: the failures, the most relevant first.
        incomplete: why some or all are missing; "" if all are shown.
    """

    shown: tuple[FailureCase, ...] = ()
    incomplete: str = ""


def read_failures(
    errors: pd.DataFrame,
    waiting: pd.DataFrame,
    readings: Path,
    logs: Sequence[Path],
    shipped_model: Path,
    most: int = MAX_PICTURES,
) -> FailurePictures:
    """Read failures again with the model and station of their run.

    Accepted images come first, then the least confident readings that wait for a person.

    Args:
        errors: the table errors.csv.
        waiting: the table waiting.csv.
        readings: the readings.csv that was audited.
        logs: run logs that may hold the run; the first that has it is used.
        shipped_model: the model of runs that name none.
        most: failures to read.
    """
    if errors.empty and waiting.empty:
        return FailurePictures()
    try:
        setup, model_id = find_setup(readings, logs, shipped_model)
        reader = open_reader(setup, model_id)
    except SerialreadError as error:
        return FailurePictures(incomplete=str(error))
    accepted = errors["decision"] == Decision.ACCEPT
    unknown = waiting[~waiting["image"].isin(errors["image"])].head(MAX_WAITING).assign(truth="", note="")
    wanted = pd.concat([errors[accepted], unknown, errors[~accepted]]).head(most)
    shown, size = list[FailureCase](), 0
    for case in _cases(wanted, setup, reader):
        size += len(case.picture)
        if size > MAX_BYTES:
            break
        shown.append(case)
    missing = len(wanted) - len(shown)
    incomplete = f"{missing:,} more are missing, have changed, or exceed the size of this page."
    return FailurePictures(tuple(shown), incomplete if missing else "")


def _cases(errors: pd.DataFrame, setup: RunSetup, reader: Reader) -> Iterator[FailureCase]:
    for row in errors.to_dict("records"):
        path = setup.find(row["image"], row["sha256"])
        if path is None:
            continue
        try:
            seen = reader.explain(path)
        except SerialreadError:
            continue
        yield FailureCase(
            row["image"],
            row["truth"],
            row["text"],
            row["decision"],
            row["confidence"],
            tuple((c.char, c.confidence, *c.runner_up) for c in seen.reading.chars),
            _data_url(_overlay(seen)),
            key_of(row["image"], row["sha256"]),
            row["note"],
        )


def _overlay(seen: Explanation) -> Pixels:
    height, width = seen.crop.pixels.shape
    return seen.overlay(max(min(HEIGHT_PX, round(_MAX_WIDTH_PX * height / width)), 8))


def _data_url(picture: Pixels) -> str:
    data = np.asarray(cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])[1])
    return "data:image/webp;base64," + base64.b64encode(data.tobytes()).decode()
