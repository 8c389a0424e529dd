"""The failures that tell most, looked at again: what the network saw, and what it nearly read."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from serialread import run_log
from serialread.auditing.rerunning import Setup
from serialread.errors import RecordsError, SerialreadError
from serialread.reader.explanation import Explainer, Explanation
from serialread.records import Decision, Pixels

MOST = 200
"""Failures looked at."""

MOST_BYTES = 3_000_000
"""Of their pictures together as they stand in the page, which stays under 5 MB."""

HEIGHT_PX = 40
"""Of a crop on the page."""

_MOST_WIDTH_PX = 720
_QUALITY = 60  # of WebP: a crop takes 2 to 6 kB


@dataclass(frozen=True, slots=True)
class FailureCase:
    """One failure, read again.

    Attributes:
        image: its name.
        truth: the code.
        text: what was read.
        decision: what was decided.
        confidence: as it was written in readings.csv.
        chars: each character with its confidence, and the runner-up with its own.
        picture: the crop above the crop with its glyph maps, as a data address.
    """

    image: str
    truth: str
    text: str
    decision: str
    confidence: str
    chars: tuple[tuple[str, float, str, float], ...]
    picture: str


@dataclass(frozen=True, slots=True)
class Cases:
    """What was looked at, and why not all.

    Attributes:
        shown: failures with their pictures, the most telling first.
        why_not: why there is none, or fewer than wanted; "" where all are shown.
    """

    shown: tuple[FailureCase, ...] = ()
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Again:
    """How failures are read again: as the log says that they were read.

    Attributes:
        logs: logs that may hold the run; the first that does counts.
        shipped: the model of runs that name none.
        most: failures to look at.
    """

    logs: tuple[Path, ...]
    shipped: Path
    most: int = MOST

    def look(self, errors: pd.DataFrame, readings: Path) -> Cases:
        """Read the most telling failures again: the accepted ones, for nobody sees them; then the surest.

        Args:
            errors: lines of errors.csv, the surest first.
            readings: the table that was audited.
        """
        if errors.empty:
            return Cases()
        try:
            setup, explainer = self._opened(readings)
        except SerialreadError as error:
            return Cases(why_not=str(error))
        accepted = errors["decision"] == Decision.ACCEPT
        telling = pd.concat([errors[accepted], errors[~accepted]]).head(self.most)
        shown, size = list[FailureCase](), 0
        for case in _looked_at(telling, setup, explainer):
            size += len(case.picture)
            if size > MOST_BYTES:
                break
            shown.append(case)
        missing = len(telling) - len(shown)
        return Cases(
            tuple(shown), f"{missing:,} more are gone, have changed or find no room." if missing else ""
        )

    def _opened(self, readings: Path) -> tuple[Setup, Explainer]:
        """The run that wrote the readings, ready to read again; a SerialreadError says why not."""
        log = next((log for log in self.logs if log.is_file()), None)
        if log is None:
            raise RecordsError("No log says how they were read: the pictures stay out.")
        line = run_log.run_of(log, "read", wrote=readings)
        setup = Setup.of(line, log, self.shipped)
        explainer = Explainer(setup.model, setup.station, setup.engine)
        if explainer.model_id != line["about"].get("model_id"):
            raise RecordsError(f"The model that read them, {line['about'].get('model_id')}, is gone.")
        return setup, explainer


def _looked_at(errors: pd.DataFrame, setup: Setup, explainer: Explainer) -> Iterator[FailureCase]:
    for row in errors.to_dict("records"):
        path = setup.find(row["image"], row["sha256"])
        if path is None:
            continue
        try:
            seen = explainer.explain(path)
        except SerialreadError:
            continue
        yield FailureCase(
            row["image"],
            row["truth"],
            row["text"],
            row["decision"],
            row["confidence"],
            tuple((c.char, c.confidence, *c.runner_up) for c in seen.told.chars),
            _address(_drawn(seen)),
        )


def _drawn(seen: Explanation) -> Pixels:
    height, width = seen.crop.pixels.shape
    return seen.overlay(max(min(HEIGHT_PX, round(_MOST_WIDTH_PX * height / width)), 8))


def _address(picture: Pixels) -> str:
    data = np.asarray(cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])[1])
    return "data:image/webp;base64," + base64.b64encode(data.tobytes()).decode()
