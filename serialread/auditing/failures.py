"""Pictures of the most relevant failures, read again: what the network saw, and its runners-up."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from serialread import run_log
from serialread.auditing.rerunning import RunSetup
from serialread.errors import RecordsError, SerialreadError
from serialread.reader import Explanation, Reader
from serialread.records import Decision, Pixels

MAX_PICTURES = 200
"""Failures that are read again."""

MAX_BYTES = 3_000_000
"""Size of their pictures together, so that the page stays below 5 MB."""

HEIGHT_PX = 40
"""Height of a crop on the page."""

_MAX_WIDTH_PX = 720
_QUALITY = 60  # of WebP: a crop takes 2 to 6 kB


@dataclass(frozen=True, slots=True)
class FailureCase:
    """A failure, read again.

    Attributes:
        image: its name.
        truth: the true text.
        text: the text that was read.
        decision: the decision.
        confidence: as in readings.csv.
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
    errors: pd.DataFrame, readings: Path, logs: Sequence[Path], shipped_model: Path, most: int = MAX_PICTURES
) -> FailurePictures:
    """Read failures again with the model and station of their run; accepted images come first.

    Args:
        errors: the table errors.csv.
        readings: the readings.csv that was audited.
        logs: run logs that may hold the run; the first that exists is used.
        shipped_model: the model of runs that name none.
        most: failures to read.
    """
    if errors.empty:
        return FailurePictures()
    try:
        setup, reader = _opened(readings, logs, shipped_model)
    except SerialreadError as error:
        return FailurePictures(incomplete=str(error))
    accepted = errors["decision"] == Decision.ACCEPT
    wanted = pd.concat([errors[accepted], errors[~accepted]]).head(most)
    shown, size = list[FailureCase](), 0
    for case in _cases(wanted, setup, reader):
        size += len(case.picture)
        if size > MAX_BYTES:
            break
        shown.append(case)
    missing = len(wanted) - len(shown)
    incomplete = f"{missing:,} more are missing, have changed, or exceed the size of this page."
    return FailurePictures(tuple(shown), incomplete if missing else "")


def _opened(readings: Path, logs: Sequence[Path], shipped: Path) -> tuple[RunSetup, Reader]:
    """The run that wrote the readings, ready to read again; a SerialreadError says why not."""
    log = next((log for log in logs if log.is_file()), None)
    if log is None:
        raise RecordsError("There is no log of the run that read them.")
    line = run_log.run_of(log, "read", wrote=readings)
    setup = RunSetup.of(line, log, shipped)
    reader = Reader(setup.model, setup.station, engine=setup.engine)
    if reader.model_id != line["about"].get("model_id"):
        raise RecordsError(f"The model that read them, {line['about'].get('model_id')}, is not available.")
    return setup, reader


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
        )


def _overlay(seen: Explanation) -> Pixels:
    height, width = seen.crop.pixels.shape
    return seen.overlay(max(min(HEIGHT_PX, round(_MAX_WIDTH_PX * height / width)), 8))


def _data_url(picture: Pixels) -> str:
    data = np.asarray(cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])[1])
    return "data:image/webp;base64," + base64.b64encode(data.tobytes()).decode()
