"""The versions of a taught model in a folder, side by side; one is live, and the one before can return.

``versions/0`` is the model that was taught first, ``versions/1`` what it became, and so on; none is ever
changed. The files of the live version are also in the folder itself.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serialread import run_log
from serialread.errors import RecordsError, writing_errors

MODEL, RANGES, WEIGHTS = "model.onnx", "model.ranges.json", "weights.safetensors"
STATION, CARD, LESSON = "station.toml", "CARD.md", "lesson.json"
FILES = (MODEL, RANGES, WEIGHTS, STATION, CARD, LESSON)
"""Files of a version; only a model whose int8 reads as well has ranges."""


@dataclass(frozen=True, slots=True)
class ModelVersions:
    """The versions in a folder."""

    folder: Path

    @property
    def live(self) -> dict[str, Any]:
        """The lesson of the live version: its number ``version``, its ``parent``, ``model_id``, ``learned``.

        ``learned`` are the texts that it and the versions before it learned.

        {} of a folder without versions.

        Raises:
            RecordsError: the file of the lesson is damaged.
        """
        path = self.folder / LESSON
        if not path.is_file():
            return {}
        try:
            lesson: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return {**lesson, "version": int(lesson["version"])}
        except (OSError, ValueError, KeyError, TypeError):
            raise RecordsError(
                f"{path}: damaged. Copy it again from the version's folder in {self.folder / 'versions'}."
            ) from None

    def path(self, version: int) -> Path:
        """The folder of a version."""
        return self.folder / "versions" / str(version)

    def next(self) -> int:
        """Number of the next version."""
        names = [path.name for path in (self.folder / "versions").glob("*")]
        return max((int(name) for name in names if name.isdecimal()), default=-1) + 1

    def go_live(self, version: int) -> None:
        """Copy the files of a version into the folder; the lesson, which names it, comes last.

        Raises:
            RecordsError: the folder cannot be written.
        """
        source = self.path(version)
        with writing_errors(self.folder, RecordsError, "Free disk space and repeat the command."):
            for name in FILES:
                if (source / name).is_file():
                    fresh = self.folder / f"{name}.new"
                    shutil.copyfile(source / name, fresh)
                    fresh.replace(self.folder / name)
                else:
                    (self.folder / name).unlink(missing_ok=True)

    def files(self, version: int) -> tuple[Path, ...]:
        """The files of a version that there are."""
        return tuple(path for name in FILES if (path := self.path(version) / name).is_file())


def undo_lesson(out: str | Path, *, log: str | Path | None = None, operator: str = "") -> str:
    """Make the parent of the live version live again; the version stays beside it.

    Args:
        out: the folder of the versions.
        log: the run log; by default ``runs.log`` in the folder.
        operator: who does it, for the log.

    Returns:
        What was done, in a sentence.

    Raises:
        RecordsError: there is no version to return to.
    """
    versions = ModelVersions(Path(out))
    lesson = versions.live
    parent = lesson.get("parent")
    if parent is None:
        raise RecordsError(
            f"{out}: nothing to undo. Teach a model first: serialread teach LABELLED --out {out}"
        )
    versions.go_live(int(parent))
    before, now = lesson["model_id"], versions.live["model_id"]
    about = {"undone": lesson["version"], "version": parent, "model_id": now}
    place = Path(log) if log else versions.folder / run_log.LOG
    entry = run_log.LoggedRun("teach", {"undo": True}, about, (), versions.files(int(parent)), operator)
    run_log.append(place, entry)
    return f"{out}: {now} is live again; {before} stays in {versions.path(lesson['version'])}"
