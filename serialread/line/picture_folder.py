"""Pictures of parts that did not pass, as files in a folder, up to an age and a size."""

import re
from collections.abc import Sequence
from pathlib import Path
from time import monotonic, time

from serialread.config.line_sinks import PicturesSinkConfig
from serialread.errors import LineError, writing_errors
from serialread.line.events import Result
from serialread.line.ports import LineContext, SinkDown

PRUNE_S = 60.0
"""Time between two deletions of old pictures."""
_SUFFIXES = {b"\x89PNG": ".png", b"\xff\xd8": ".jpg", b"BM": ".bmp", b"II*\0": ".tif", b"MM\0*": ".tif"}
"""Suffixes by the first bytes of a file."""
_WRITTEN = re.compile(r"\d{4}-\d\d-\d\d/\.?\d{8,}-(PASS|FAIL|REVIEW)-\w*-\d+\.\w+(\.part)?")
"""Day and name of a picture that the sink has written."""


class PictureFolder:
    """Sink that writes ``STATION/YYYY-MM-DD/NUMBER-OUTCOME-CODE-FRAME.png``.

    Attributes:
        name: of the sink.
    """

    def __init__(self, settings: PicturesSinkConfig, context: LineContext) -> None:
        """Take the settings; the first picture makes the folder."""
        self.name = settings.name
        self._settings, self._context = settings, context
        self._prune_at = 0.0

    def deliver(self, results: Sequence[Result]) -> None:
        """Write the pictures of results, as far as the journal has them."""
        try:
            with writing_errors(self._settings.folder, LineError, "Free disk space, or set another folder."):
                for result in results:
                    if result.outcome.value in self._settings.outcomes:
                        self._write(result)
                if monotonic() >= self._prune_at:
                    self._prune_at = monotonic() + PRUNE_S
                    prune_pictures(self._settings.folder, self._settings.days, self._settings.size_mb)
        except LineError as error:
            raise SinkDown(str(error)) from None

    def close(self) -> None:
        """Nothing is open."""

    def _write(self, result: Result) -> None:
        folder = self._settings.folder / result.station / f"{result.finished_at.astimezone():%Y-%m-%d}"
        folder.mkdir(parents=True, exist_ok=True)
        code = "".join(char for char in result.text if char.isalnum())[:40]
        frame = 0
        while (data := self._context.picture(result.trigger, frame)) is not None:
            suffix = next((suffix for magic, suffix in _SUFFIXES.items() if data.startswith(magic)), ".bin")
            path = folder / f"{result.number:08}-{result.outcome}-{code}-{frame}{suffix}"
            part = path.with_name(f".{path.name}.part")
            part.write_bytes(data)
            part.replace(path)
            frame += 1


def prune_pictures(folder: Path, days: float, size_mb: float) -> None:
    """Delete the oldest pictures of a folder, and folders that are empty then; other files stay.

    Args:
        folder: with a folder per station, and one per day in it.
        days: age from which a file is deleted.
        size_mb: size of the files that stay.
    """
    named = (path for path in folder.glob("*/*/*") if _WRITTEN.fullmatch(f"{path.parent.name}/{path.name}"))
    files = sorted(
        ((path.stat(), path) for path in named if path.is_file()), key=lambda one: -one[0].st_mtime
    )
    total, oldest = 0, time() - 86_400 * days
    for state, path in files:
        total += state.st_size
        if total > 1e6 * size_mb or state.st_mtime < oldest:
            path.unlink()
    for day in folder.glob("*/????-??-??"):
        if day.is_dir() and not any(day.iterdir()):
            day.rmdir()
