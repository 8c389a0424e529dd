"""What reviewers decided: an append-only, hash-chained list of events, and the calls that follow from it.

Every event is committed to ``review.sqlite`` before ``save`` returns, then copied to ``review.log``, which
``serialread log verify`` checks. A log that a killed process left incomplete is completed when the store is
opened.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from serialread import run_log
from serialread.codes import without_blanks
from serialread.errors import RecordsError, writing_errors

DATABASE = "review.sqlite"
LOG = "review.log"
"""Files of a review, in the results folder or the folder ``--out``."""

MAX_TEXT, MAX_NAME = 200, 80
"""Longest text of a call and longest name of a reviewer, in characters."""

Role = Literal["first", "second", "final"]
"""``first``: the first review of a reading. ``second``: that of another reviewer, who did not see the first.
``final``: that of a third reviewer, who saw both and settles their disagreement."""

Source = Literal["gain", "random", "filter", "import"]
"""Why the reading was shown: its expected gain, the random share, a filter; or the call was imported."""


class CallLabel(StrEnum):
    """What a reviewer says about a reading."""

    READ = "read"
    """The text of the call is what the mark says."""
    UNREADABLE = "unreadable"
    """Nobody can read it."""
    WRONG_CROP = "wrong crop"
    """The reader looked at the wrong place; the text, if given, is what the mark says."""
    NO_CODE = "no code"
    """The picture has no code."""


@dataclass(frozen=True, slots=True)
class Call:
    """A reviewer's decision about one reading.

    Attributes:
        label: what it is.
        text: what the mark says, without blanks; "" unless the label is READ or WRONG_CROP.
        reviewer: who decided.
        source: why the reading was shown.
    """

    label: CallLabel
    text: str
    reviewer: str
    source: Source = "gain"

    @classmethod
    def of(cls, label: str, text: str, reviewer: str, source: Source = "gain") -> "Call":
        """A valid call.

        Raises:
            RecordsError: an unknown label, a missing or overlong text or name.
        """
        text, reviewer = without_blanks(text), reviewer.strip()
        if label not in tuple(CallLabel):
            raise RecordsError(f"label {label!r}: not known. Use {', '.join(CallLabel)}.")
        if label == CallLabel.READ and not text:
            raise RecordsError("text: empty. Type what the mark says, or say that it has no code.")
        if len(text) > MAX_TEXT or not text.isprintable():
            raise RecordsError(f"text: not 1 to {MAX_TEXT} printable characters. Correct it.")
        if not 0 < len(reviewer) <= MAX_NAME or not reviewer.isprintable():
            raise RecordsError(f"reviewer: not 1 to {MAX_NAME} printable characters. Type your name.")
        keeps_text = label in (CallLabel.READ, CallLabel.WRONG_CROP)
        return cls(CallLabel(label), text if keeps_text else "", reviewer, source)

    def agrees(self, other: "Call") -> bool:
        """Whether both say the same about the reading."""
        return (self.label, self.text) == (other.label, other.text)


def settled(calls: Mapping[Role, Call]) -> Call | None:
    """The call that counts; None while two reviewers disagree, or there is none."""
    first, second = calls.get("first"), calls.get("second")
    if final := calls.get("final"):
        return final
    return first if first is None or second is None or first.agrees(second) else None


_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY, request TEXT UNIQUE, reviewer TEXT NOT NULL, part TEXT NOT NULL,
    role TEXT NOT NULL, undoes INTEGER, entry TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS events_of_reviewer ON events (reviewer, number);
CREATE TRIGGER IF NOT EXISTS events_stay BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER IF NOT EXISTS events_remain BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TABLE IF NOT EXISTS calls (
    part TEXT NOT NULL, role TEXT NOT NULL, label TEXT NOT NULL, text TEXT NOT NULL, reviewer TEXT NOT NULL,
    source TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (part, role)) WITHOUT ROWID;
"""


class ReviewStore:
    """The calls on the readings of one results folder; one process at a time, any number of threads.

    Attributes:
        folder: where its files are.
        connection: its database; use it within ``locked``.
    """

    def __init__(self, folder: Path) -> None:
        """Open or create the store.

        Raises:
            RecordsError: the folder cannot be written, another process reviews there, or the log is not that
                of the database.
        """
        self.folder, self.log = folder, folder / LOG
        self._mutex = threading.RLock()
        self._log_end = (-1, 0)  # size of the log, and the events in it
        with _disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._claim = FileLock(folder / ".review.lock")
            try:
                self._claim.acquire(blocking=False)
            except Timeout:
                raise RecordsError(
                    f"{folder}: another review is open there. Use its page, or close it."
                ) from None
            try:
                self.connection = sqlite3.connect(
                    folder / DATABASE, isolation_level=None, check_same_thread=False
                )
                self.connection.execute("PRAGMA journal_mode = WAL")
                self.connection.execute("PRAGMA synchronous = FULL")  # committed survives a power cut
                self.connection.executescript(_SCHEMA)
                self._complete_log()
            except BaseException:
                self._claim.release()
                raise

    @property
    def head(self) -> str:
        """Hash of the last event."""
        with self.locked():
            return self._head()[1]

    def close(self) -> None:
        """Close the database and let others open it."""
        with self._mutex:
            self.connection.close()
            self._claim.release()

    @contextmanager
    def locked(self) -> Iterator[sqlite3.Connection]:
        """The database, for this thread alone."""
        with self._mutex, _disk_errors(self.folder):
            yield self.connection

    def calls(self, part: str) -> dict[Role, Call]:
        """The calls on one reading, by role."""
        with self.locked() as database:
            rows = database.execute(
                "SELECT role, label, text, reviewer, source FROM calls WHERE part = ?", (part,)
            )
            return {
                role: Call(CallLabel(label), text, who, source) for role, label, text, who, source in rows
            }

    def knows(self, request: str) -> bool:
        """Whether a request was committed."""
        with self.locked() as database:
            return (
                database.execute("SELECT 1 FROM events WHERE request = ?", (request,)).fetchone() is not None
            )

    def save(self, part: str, image: str, call: Call, request: str = "") -> Role:
        """Commit a call, unless the same request was committed before.

        Args:
            part: key of the reading.
            image: its name, for the log.
            call: the decision.
            request: id of the request; a repeated one changes nothing.

        Returns:
            The role that the call has: a first or second call is never replaced by another person's.

        Raises:
            RecordsError: it cannot be written.
        """
        with self.locked() as database:
            known = database.execute("SELECT role FROM events WHERE request = ?", (request,)).fetchone()
            if known and request:
                role: Role = known[0]
            else:
                calls = self.calls(part)
                role = role_of(calls, call.reviewer)
                self._commit(part, image, role, calls.get(role), call, call.reviewer, request=request)
            self._complete_log()
            return role

    def undo(self, reviewer: str, request: str = "") -> str:
        """Take back the reviewer's last call that was not taken back yet.

        Returns:
            Key of its reading; "" if there is none, or somebody has decided on it since.
        """
        with self.locked() as database:
            known = database.execute("SELECT part FROM events WHERE request = ?", (request,)).fetchone()
            if known is not None and request:
                return str(known[0])
            last = database.execute(
                "SELECT number, part, role, entry FROM events WHERE reviewer = ? AND undoes IS NULL"
                " AND number NOT IN (SELECT undoes FROM events WHERE reviewer = ? AND undoes IS NOT NULL)"
                " ORDER BY number DESC LIMIT 1",
                (reviewer, reviewer),
            ).fetchone()
            if last is None:
                return ""
            number, part, role, entry = last
            done, now = json.loads(entry), self.calls(part).get(role)
            if now is None or asdict(now) != done["after"] or done["source"] == "import":
                return ""
            before = Call(**done["before"]) if done["before"] else None
            self._commit(part, done["image"], role, now, before, reviewer, request=request, undoes=number)
            self._complete_log()
            return str(part)

    def history(self) -> Iterator[dict[str, object]]:
        """Every event, in order, as it is in the log."""
        with self.locked() as database:
            rows = database.execute("SELECT entry FROM events ORDER BY number").fetchall()
        return (json.loads(entry) for (entry,) in rows)

    def _commit(
        self,
        part: str,
        image: str,
        role: Role,
        before: Call | None,
        after: Call | None,
        reviewer: str,
        *,
        request: str,
        undoes: int | None = None,
    ) -> None:
        """Append an event and change the call, in one transaction."""
        number, previous = self._head()
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        entry = {
            "at": at,
            "command": "review",
            "operator": reviewer,
            "image": image,
            "part": part,
            "role": role,
            "before": asdict(before) if before else None,
            "after": asdict(after) if after else None,
            "source": after.source if after else "undo",
            **({"undoes": undoes} if undoes else {}),
        }
        line, _ = run_log.chained(number, previous, entry)
        row = (number + 1, request or None, reviewer, part, role, undoes, line.decode())
        with self._transaction() as database:
            database.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            database.execute("DELETE FROM calls WHERE part = ? AND role = ?", (part, role))
            if after:
                call = (part, role, after.label, after.text, after.reviewer, after.source, at)
                database.execute("INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?, ?)", call)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def _head(self) -> tuple[int, str]:
        """Number and hash of the last event."""
        row = self.connection.execute(
            "SELECT number, entry FROM events ORDER BY number DESC LIMIT 1"
        ).fetchone()
        return (row[0], json.loads(row[1])["hash"]) if row else (0, run_log.GENESIS)

    def _complete_log(self) -> None:
        """Append to the log the events that it lacks.

        Raises:
            RecordsError: the log says something else than the database.
        """
        written = self._logged()
        rows = self.connection.execute(
            "SELECT entry FROM events WHERE number > ? ORDER BY number", (written,)
        )
        lines = "".join(entry for (entry,) in rows)
        if lines:
            with self.log.open("ab") as file:
                file.write(lines.encode())
                self._log_end = (file.tell(), written + lines.count("\n"))

    def _logged(self) -> int:
        """Number of events in the log; a last line that was cut off is removed."""
        size = self.log.stat().st_size if self.log.exists() else 0
        if self._log_end[0] == size:
            return self._log_end[1]
        if size:
            with self.log.open("rb+") as file:
                whole = file.read().rfind(b"\n") + 1
                file.truncate(whole)
        number, hash_ = run_log.last(self.log)
        row = self.connection.execute("SELECT entry FROM events WHERE number = ?", (number,)).fetchone()
        if number and (row is None or json.loads(row[0])["hash"] != hash_):
            raise RecordsError(
                f"{self.log}: is not the log of {DATABASE} beside it. Restore both, or move both away."
            )
        return number


def role_of(calls: Mapping[Role, Call], reviewer: str) -> Role:
    """The role of a reviewer's next call on a reading: who made the first or the second only changes it."""
    own: tuple[Role, ...] = ("first", "second")
    for role in own:
        if role in calls and calls[role].reviewer == reviewer:
            return role
    if "final" in calls:
        return "final"
    return next((role for role in own if role not in calls), "final")


_ADVICE = "Free disk space, or name another folder with --out."


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Raise what the disk refuses as one error."""
    try:
        with writing_errors(folder, RecordsError, _ADVICE):
            yield
    except sqlite3.DatabaseError as error:
        raise RecordsError(f"{folder / DATABASE}: cannot be used: {error}. {_ADVICE}") from None
