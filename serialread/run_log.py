"""The run log: an append-only, hash-chained record of which run wrote which files.

A line is a JSON object; ``hash`` is the SHA-256 of all else in it, written with sorted keys and no blanks,
and ``previous`` the hash of the line before. A line that is changed, removed or moved breaks the chain. Lines
cut off at the end do not: store the head (the hash of the last line) separately from the log.
"""

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from serialread import __version__
from serialread.errors import RecordsError, writing_errors

LOG = "runs.log"
"""Name of the log in a results folder."""

GENESIS = "0" * 64
"""``previous`` of the first line."""

_PACKAGES = ("numpy", "opencv-python", "openvino", "onnxruntime", "pandas", "rapidfuzz", "scipy")
_WAIT_S = 10.0

LogEntry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LoggedRun:
    """One run, as it is logged.

    Attributes:
        command: its command, such as ``read``.
        options: its options; JSON.
        about: model, station, engine, number of pictures; JSON.
        inputs: files it read.
        outputs: files it wrote.
        operator: who ran it; "" if not given.
    """

    command: str
    options: Mapping[str, Any]
    about: Mapping[str, Any]
    inputs: tuple[Path, ...] = ()
    outputs: tuple[Path, ...] = ()
    operator: str = ""


@dataclass(frozen=True, slots=True)
class Verification:
    """Result of verifying a log.

    Attributes:
        log: the file.
        lines: lines in it.
        head: hash of the last line; ``GENESIS`` of an empty log.
        files: outputs that are unchanged.
        problems: one sentence per change.
    """

    log: Path
    lines: int
    head: str
    files: int
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether chain and files are unchanged."""
        return not self.problems

    def summary(self) -> str:
        """The result, one line per problem."""
        if self.problems:
            return "\n".join(f"{self.log}: {problem}" for problem in self.problems)
        intact = f"the chain is intact (lines: {self.lines:,}, unchanged files: {self.files:,})."
        advice = "store it elsewhere; --head then proves that no line was removed from the end."
        return f"{self.log}: {intact}\nhead {self.head}: {advice}"


def append(log: Path, run: LoggedRun) -> str:
    """Append a run to a log; create the log and its folder if missing. Returns the hash of the line.

    Raises:
        RecordsError: the log cannot be written, is being written by another run, or ends in a damaged line.
    """
    with writing_errors(log, RecordsError, "Give another --log."):
        log.parent.mkdir(parents=True, exist_ok=True)
        with _locked(log):
            data, hash_ = chained(*last(log), _described(run, log))
            with log.open("ab") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
    return hash_


def chained(number: int, previous: str, entry: LogEntry) -> tuple[bytes, str]:
    """The line that follows line ``number`` of a log, and its hash.

    Args:
        number: of the last line; 0 of a new log.
        previous: hash of that line; ``GENESIS`` of a new log.
        entry: what the line says; JSON.
    """
    line = {"line": number + 1, "previous": previous, **entry}
    line["hash"] = _hash(line)
    return json.dumps(line, sort_keys=True, separators=(",", ":")).encode() + b"\n", line["hash"]


def last(log: Path) -> tuple[int, str]:
    """Number and hash of the last line; 0 and ``GENESIS`` for a new log.

    Raises:
        RecordsError: the last line is damaged, or the log cannot be read.
    """
    number, line = 0, dict[str, Any](hash=GENESIS)
    for each in _lines(log):
        number, line = each
    if number and line.get("hash") != _hash(line):
        raise RecordsError(f"{log}: line {number} is damaged. Keep this log and start another with --log.")
    return number, str(line["hash"])


def verify(log: str | Path, head: str | None = None) -> Verification:
    """Check the chain, and the digests of the files that the runs wrote.

    Args:
        log: the log.
        head: hash of a line that the log must contain; None: no check.

    Raises:
        RecordsError: no such log.
    """
    log = Path(log)
    if not log.is_file():
        raise RecordsError(f"{log}: no such log. serialread read and serialread audit write one with --log.")
    previous, number, hashes = GENESIS, 0, set[str]()
    problems: list[str] = []
    outputs: dict[str, tuple[int, str]] = {}
    for number, line in _lines(log):
        problems += _line_problems(number, line, previous)
        previous = str(line.get("hash", ""))
        hashes.add(previous)
        outputs |= {name: (number, digest) for name, digest in _outputs(line).items()}
    if head is not None and head not in hashes:
        problems.append(f"no line with the hash {head}: lines were cut off or rewritten.")
    changed = [_changed(log, name, *written) for name, written in outputs.items()]
    problems += [problem for problem in changed if problem]
    return Verification(log, number, previous, sum(not problem for problem in changed), tuple(problems))


def run_of(log: Path, command: str, number: int | None = None, wrote: Path | None = None) -> LogEntry:
    """The last run of a command in a log; optionally that of line ``number``, or the last that wrote a file.

    Raises:
        RecordsError: no such log, no such run, or its line was changed after it was written.
    """
    if not log.is_file():
        raise RecordsError(f"{log}: no such log. serialread read and serialread audit write one with --log.")
    found = _last_run(log, command, number, wrote)
    if not found:
        where = f"line {number} is not a run" if number else "no run"
        raise RecordsError(f"{log}: {where} of serialread {command}. The log lists its runs by line.")
    if found.get("hash") != _hash(found):
        raise RecordsError(
            f"{log}: line {found.get('line')} was changed after it was written. "
            "Check the log: serialread log verify."
        )
    return found


def has_run(log: Path, command: str, wrote: Path) -> bool:
    """Whether a log has a run of a command that wrote a file."""
    return bool(_last_run(log, command, None, wrote))


def _last_run(log: Path, command: str, number: int | None, wrote: Path | None) -> LogEntry:
    """The last run of a command, as in ``run_of``; {} if there is none."""
    found: LogEntry = {}
    for position, line in _lines(log):
        wrote_it = wrote is None or named(wrote, log) in _outputs(line)
        if line.get("command") == command and wrote_it and number in (None, position):
            found = line
    return found


def environment() -> dict[str, dict[str, str]]:
    """Versions and machine: what a result depends on besides its inputs."""
    return {
        "versions": {"serialread": __version__, "python": platform.python_version(), **dict(_versions())},
        "machine": {"processor": processor(), "system": platform.platform()},
    }


def named(path: Path, log: Path) -> str:
    """Path relative to the log's folder, with forward slashes; both can be moved together."""
    return Path(os.path.relpath(path.resolve(), log.resolve().parent)).as_posix()


def same_bytes(name: str, log: Path, digest: str) -> bool:
    """Whether a file that a log names is present and unchanged."""
    path = log.parent / name
    return path.is_file() and _digest(path) == digest


def _line_problems(number: int, line: LogEntry, previous: str) -> Iterator[str]:
    if not line:
        yield f"line {number} is damaged: not a JSON object."
        return
    if line.get("hash") != _hash(line):
        yield f"line {number} was changed after it was written."
    if line.get("previous") != previous or line.get("line") != number:
        yield f"line {number} does not follow the one before: lines were removed, added or moved."


def _outputs(line: LogEntry) -> Mapping[str, Any]:
    """The files that a run wrote, with their digests; none if the line does not say so in the right form."""
    outputs = line.get("outputs")
    return outputs if isinstance(outputs, dict) else {}


def _changed(log: Path, name: str, number: int, digest: Any) -> str:
    """How an output has changed; "" if it has not."""
    path = log.parent / name
    try:
        if not path.is_file():
            return f"{name}, written by the run of line {number}, is missing."
        return "" if _digest(path) == digest else f"{name} was changed after the run of line {number}."
    except OSError as error:
        return f"{name}, written by the run of line {number}, cannot be read: {error.strerror}."


def _described(run: LoggedRun, log: Path) -> LogEntry:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": run.command,
        "operator": run.operator,
        "options": dict(run.options),
        "about": dict(run.about),
        "inputs": {named(path, log): _digest(path) for path in run.inputs},
        "outputs": {named(path, log): _digest(path) for path in run.outputs},
        **environment(),
    }


def processor() -> str:
    """Name of the processor, such as "Intel(R) Xeon(R) CPU"; results are bit-equal on equal processors."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _versions() -> Iterator[tuple[str, str]]:
    for name in _PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def _lines(log: Path) -> Iterator[tuple[int, LogEntry]]:
    """Each line with its number from 1; {} for a line that is not a JSON object."""
    try:
        with log.open("rb") as file:
            for number, data in enumerate(file, start=1):
                try:
                    line = json.loads(data)
                except (ValueError, RecursionError):
                    line = {}
                whole = isinstance(line, dict) and data.endswith(b"\n")
                yield number, line if whole else {}
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise RecordsError(f"{log}: cannot be read: {error.strerror}. Give another --log.") from None


def _hash(line: Mapping[str, Any]) -> str:
    rest = {name: cell for name, cell in line.items() if name != "hash"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _locked(log: Path) -> Iterator[None]:
    """Lock the log; the system releases the lock if the process is killed."""
    try:
        with FileLock(log.with_name(f".{log.name}.lock"), timeout=_WAIT_S):
            yield
    except Timeout:
        raise RecordsError(f"{log}: another run is writing it. Wait until it has finished.") from None


def pictures_digest(pairs: Iterable[tuple[str, str]]) -> str:
    """SHA-256 over the sorted lines of sha256sum for all pictures: one hash for all images.

    Args:
        pairs: name and SHA-256 of each picture.
    """
    lines = sorted(f"{digest}  {name}\n" for name, digest in pairs)
    return hashlib.sha256("".join(lines).encode("utf-8", "backslashreplace")).hexdigest()
