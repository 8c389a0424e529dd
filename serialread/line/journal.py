"""The journal of a line: accepted triggers, their pictures and results, and what each sink has received.

One SQLite database holds all of it, so that each step is one transaction: a trigger with its pictures, a
result with its number. What ``accept`` or ``finish`` returns survives a kill and a power cut.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from serialread.errors import LineError, writing_errors
from serialread.line.events import Outcome, Result, Trigger, TriggerPicture, utc_now

DATABASE = "line.sqlite"
VERSION = 1
"""Version of the database's tables."""
MAX_ATTEMPTS = 10
"""A trigger during whose reading the process was killed so often is not read again."""

_SCHEMA = """
CREATE TABLE triggers (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, station TEXT NOT NULL,
    expected TEXT NOT NULL, format TEXT NOT NULL, source TEXT NOT NULL, accepted_at TEXT NOT NULL,
    waiting INTEGER NOT NULL DEFAULT 1, attempts INTEGER NOT NULL DEFAULT 0);
CREATE INDEX triggers_waiting ON triggers (station, seq) WHERE waiting;
CREATE TABLE pictures (
    trigger INTEGER NOT NULL REFERENCES triggers (seq) ON DELETE CASCADE, number INTEGER NOT NULL,
    name TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (trigger, number));
CREATE TABLE results (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    trigger INTEGER NOT NULL UNIQUE REFERENCES triggers (seq) ON DELETE CASCADE,
    station TEXT NOT NULL, number INTEGER NOT NULL, outcome TEXT NOT NULL, text TEXT NOT NULL,
    finished_at TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (station, number));
CREATE INDEX results_at ON results (station, finished_at, outcome);
CREATE INDEX results_text ON results (text);
CREATE TABLE stations (name TEXT PRIMARY KEY, results INTEGER NOT NULL, last_result_at TEXT NOT NULL);
CREATE TABLE sinks (name TEXT PRIMARY KEY, delivered INTEGER NOT NULL);
"""


class Journal:
    """The journal of one line; one process at a time, any number of threads."""

    def __init__(self, folder: Path) -> None:
        """Open or create the journal.

        Raises:
            LineError: the folder cannot be written, another service uses it, or the database is damaged or of
                another version.
        """
        self.folder = folder
        self._mutex = threading.RLock()
        with _disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._claim = FileLock(folder / ".line.lock")
            try:
                self._claim.acquire(blocking=False)
            except Timeout:
                raise LineError(
                    f"{folder}: another service runs there. Stop it, or set another folder."
                ) from None
            try:
                self._database = sqlite3.connect(
                    folder / DATABASE, isolation_level=None, check_same_thread=False
                )
                self._prepare()
            except BaseException:
                self._claim.release()
                raise

    def _prepare(self) -> None:
        database = self._database
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version not in (0, VERSION):
            raise LineError(
                f"{self.folder / DATABASE}: made by another version. Use that version, or set another folder."
            )
        if version == 0:
            database.execute("PRAGMA auto_vacuum = INCREMENTAL")
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            database.execute(f"PRAGMA {pragma}")
        database.execute("PRAGMA journal_size_limit = 67108864")
        if version == 0:
            database.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT")
        with self._transaction():  # the first of each station may be what killed the process
            database.execute(
                "UPDATE triggers SET attempts = attempts + 1"
                " WHERE seq IN (SELECT MIN(seq) FROM triggers WHERE waiting GROUP BY station)"
            )

    def close(self) -> None:
        """Close the database and let another process open it."""
        with self._mutex:
            self._database.execute("UPDATE triggers SET attempts = 0 WHERE waiting")
            self._database.close()
            self._claim.release()

    def accept(self, trigger: Trigger) -> bool:
        """Store a trigger with its pictures; False if its id is known, which changes nothing.

        Raises:
            LineError: it cannot be written.
        """
        at = _text(trigger.accepted_at or utc_now())
        values = (trigger.id, trigger.station, trigger.expected, trigger.format, trigger.source, at)
        with self._transaction() as database:
            done = database.execute(
                "INSERT INTO triggers (id, station, expected, format, source, accepted_at)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
                values,
            )
            if not done.rowcount:
                return False
            database.executemany(
                "INSERT INTO pictures VALUES (?, ?, ?, ?)",
                [(done.lastrowid, n, one.name, one.data) for n, one in enumerate(trigger.pictures)],
            )
            return True

    def waiting(self, station: str | None = None) -> int:
        """Number of triggers without a result, of one station or all."""
        with self._locked() as database:
            where, values = (" AND station = ?", (station,)) if station is not None else ("", ())
            row = database.execute(f"SELECT COUNT(*) FROM triggers WHERE waiting{where}", values).fetchone()
            return int(row[0])

    def waiting_stations(self) -> dict[str, int]:
        """Number of triggers without a result of each station that has any."""
        with self._locked() as database:
            return dict(
                database.execute("SELECT station, COUNT(*) FROM triggers WHERE waiting GROUP BY station")
            )

    def next_waiting(self, station: str) -> tuple[Trigger, int] | None:
        """The station's oldest trigger without a result, and how often its reading was interrupted."""
        with self._locked() as database:
            row = database.execute(
                "SELECT seq, id, expected, format, source, accepted_at, attempts FROM triggers"
                " WHERE waiting AND station = ? ORDER BY seq LIMIT 1",
                (station,),
            ).fetchone()
            if row is None:
                return None
            seq, id_, expected, format_, source, at, attempts = row
            pictures = database.execute(
                "SELECT name, data FROM pictures WHERE trigger = ? ORDER BY number", (seq,)
            ).fetchall()
        frames = tuple(TriggerPicture(name, data) for name, data in pictures)
        accepted = datetime.fromisoformat(at)
        return Trigger(station, frames, expected, format_, source, id_, accepted), attempts

    def finish(self, result: Result, *, keep_pictures: bool) -> Result:
        """Store the result of a trigger, with the next number of its station.

        Returns:
            The result with its number.

        Raises:
            LineError: it cannot be written, or the trigger is not waiting for a result.
        """
        with self._transaction() as database:
            found = database.execute(
                "SELECT seq FROM triggers WHERE id = ? AND waiting", (result.trigger,)
            ).fetchone()
            if found is None:
                raise LineError(f"trigger {result.trigger}: does not wait for a result. This is a bug.")
            at = _text(result.finished_at)
            (number,) = database.execute(
                "INSERT INTO stations VALUES (?1, 1, ?2) ON CONFLICT (name)"
                " DO UPDATE SET results = results + 1, last_result_at = ?2 RETURNING results",
                (result.station, at),
            ).fetchone()
            made = replace(result, number=number)
            body = json.dumps(made.to_json(), separators=(",", ":"))
            database.execute(
                "INSERT INTO results (trigger, station, number, outcome, text, finished_at, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*found, made.station, number, made.outcome, made.text, at, body),
            )
            database.execute("UPDATE triggers SET waiting = 0 WHERE seq = ?", found)
            if not keep_pictures:
                database.execute("DELETE FROM pictures WHERE trigger = ?", found)
            return made

    def knows(self, trigger: str) -> bool:
        """Whether a trigger with this id was accepted."""
        with self._locked() as database:
            row = database.execute("SELECT 1 FROM triggers WHERE id = ?", (trigger,)).fetchone()
        return row is not None

    def result_of(self, trigger: str) -> Result | None:
        """The result of a trigger; None if there is none yet."""
        with self._locked() as database:
            row = database.execute(
                "SELECT body FROM results WHERE trigger = (SELECT seq FROM triggers WHERE id = ?)", (trigger,)
            ).fetchone()
        return Result.of_json(json.loads(row[0])) if row else None

    def station_state(self, station: str) -> tuple[int, datetime | None]:
        """Number of its results so far, and the time of the last one."""
        with self._locked() as database:
            row = database.execute(
                "SELECT results, last_result_at FROM stations WHERE name = ?", (station,)
            ).fetchone()
        return (row[0], datetime.fromisoformat(row[1])) if row else (0, None)

    def add_sink(self, name: str) -> None:
        """Remember a sink; a new one gets the results from now on."""
        with self._transaction() as database:
            database.execute(
                "INSERT OR IGNORE INTO sinks SELECT ?, COALESCE(MAX(seq), 0) FROM results",
                (name,),
            )

    def undelivered(self, sink: str, stations: Sequence[str], limit: int) -> tuple[list[Result], int]:
        """The oldest results that a sink has not received, and the place of the last one for ``delivered``.

        Args:
            sink: its name.
            stations: stations whose results it gets; empty: all.
            limit: number of results at most.
        """
        marks = f" AND station IN ({', '.join('?' * len(stations))})" if stations else ""
        with self._locked() as database:
            rows = database.execute(
                "SELECT seq, body FROM results"
                f" WHERE seq > (SELECT delivered FROM sinks WHERE name = ?){marks} ORDER BY seq LIMIT ?",
                (sink, *stations, limit),
            ).fetchall()
        return [Result.of_json(json.loads(body)) for _, body in rows], rows[-1][0] if rows else 0

    def delivered(self, sink: str, place: int) -> None:
        """Note that a sink has received all its results up to a place."""
        with self._transaction() as database:
            database.execute("UPDATE sinks SET delivered = ? WHERE name = ?", (place, sink))

    def owed(self, sink: str, station: str) -> list[str]:
        """Ids of a station's triggers that a sink itself sent and whose results it has not received."""
        with self._locked() as database:
            rows = database.execute(
                "SELECT id FROM triggers LEFT JOIN results ON results.trigger = triggers.seq"
                " WHERE source = ?1 AND triggers.station = ?2 AND (waiting"
                " OR results.seq > (SELECT delivered FROM sinks WHERE name = ?1))",
                (sink, station),
            ).fetchall()
        return [id_ for (id_,) in rows]

    def backlog(self, sink: str, stations: Sequence[str]) -> int:
        """Number of results that a sink has not received."""
        with self._locked() as database:
            if not stations:  # places have no gaps behind what is delivered
                query = (
                    "SELECT COALESCE(MAX(seq), 0) - (SELECT delivered FROM sinks WHERE name = ?) FROM results"
                )
            else:
                marks = ", ".join("?" * len(stations))
                query = (
                    "SELECT COUNT(*) FROM results INDEXED BY results_at WHERE"
                    f" seq > (SELECT delivered FROM sinks WHERE name = ?) AND station IN ({marks})"
                )
            row = database.execute(query, (sink, *stations)).fetchone()
            return max(int(row[0] or 0), 0)

    def codes_since(self, station: str, at: datetime) -> list[tuple[str, str]]:
        """Code and trigger of a station's results since a time, in order."""
        with self._locked() as database:
            rows: list[tuple[str, str]] = database.execute(
                "SELECT text, triggers.id FROM results JOIN triggers ON triggers.seq = results.trigger"
                " WHERE results.station = ? AND finished_at >= ? AND text != '' ORDER BY results.seq",
                (station, _text(at)),
            ).fetchall()
        return rows

    def outcomes_since(self, station: str, at: datetime) -> dict[str, int]:
        """Number of a station's results since a time by outcome."""
        with self._locked() as database:
            rows = database.execute(
                "SELECT outcome, COUNT(*) FROM results WHERE station = ? AND finished_at >= ?"
                " GROUP BY outcome",
                (station, _text(at)),
            ).fetchall()
        return dict.fromkeys(map(str, Outcome), 0) | dict(rows)

    def results(
        self,
        station: str = "",
        outcome: str = "",
        text: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        before: int = 0,
        limit: int = 100,
    ) -> list[tuple[int, Result]]:
        """Results with their places, the newest first.

        Args:
            station: its results; "" for all.
            outcome: results with it; "" for all.
            text: results with this code; "" for all.
            since: earliest time of the result.
            until: first time that is not included.
            before: place before which they are; 0: any.
            limit: number of results at most.
        """
        wanted: dict[str, object] = {
            "station = ?": station,
            "outcome = ?": outcome,
            "text = ?": text,
            "finished_at >= ?": since and _text(since),
            "finished_at < ?": until and _text(until),
            "seq < ?": before,
        }
        given = {clause: value for clause, value in wanted.items() if value}
        where = f" WHERE {' AND '.join(given)}" if given else ""
        with self._locked() as database:
            rows = database.execute(
                f"SELECT seq, body FROM results{where} ORDER BY seq DESC LIMIT ?", (*given.values(), limit)
            ).fetchall()
        return [(seq, Result.of_json(json.loads(body))) for seq, body in rows]

    def picture(self, trigger: str, number: int = 0) -> bytes | None:
        """A kept picture of a trigger; None if it is not kept."""
        with self._locked() as database:
            row = database.execute(
                "SELECT data FROM pictures JOIN triggers ON triggers.seq = trigger"
                " WHERE id = ? AND number = ?",
                (trigger, number),
            ).fetchone()
        return bytes(row[0]) if row else None

    def prune(self, sinks: Mapping[str, Sequence[str]], days: float, pictures_bytes: float) -> None:
        """Delete old results that no sink has to receive, and the oldest pictures beyond a size.

        Args:
            sinks: the stations whose results each sink of the line gets, by its name; empty: all.
            days: age of a result, from which it is deleted.
            pictures_bytes: size of the pictures that stay.
        """
        clauses, values = "", [_text(utc_now() - timedelta(days=days))]
        for sink, stations in sinks.items():
            other = f" OR station NOT IN ({', '.join('?' * len(stations))})" if stations else ""
            clauses += f" AND (seq <= COALESCE((SELECT delivered FROM sinks WHERE name = ?), seq){other})"
            values += [sink, *stations]
        with self._transaction() as database:
            database.execute(
                "DELETE FROM triggers WHERE seq IN"
                f" (SELECT trigger FROM results WHERE finished_at < ?{clauses})",
                values,
            )
            database.execute(
                "DELETE FROM pictures WHERE (trigger, number) IN (SELECT trigger, number FROM"
                " (SELECT trigger, number, SUM(LENGTH(data)) OVER (ORDER BY trigger DESC, number)"
                " AS total FROM pictures JOIN triggers ON triggers.seq = trigger WHERE NOT waiting)"
                " WHERE total > ?)",
                (pictures_bytes,),
            )
        with self._locked() as database:
            database.execute("PRAGMA incremental_vacuum").fetchall()

    @contextmanager
    def _locked(self) -> Iterator[sqlite3.Connection]:
        """The database, for this thread alone."""
        with self._mutex, _disk_errors(self.folder):
            yield self._database

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._locked() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise


def _text(at: datetime) -> str:
    """A time in UTC; texts sort as times do."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


_ADVICE = "Free disk space, or set another folder."


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Raise what the disk refuses as one error."""
    try:
        with writing_errors(folder, LineError, _ADVICE):
            yield
    except sqlite3.DatabaseError as error:
        raise LineError(f"{folder / DATABASE}: cannot be used: {error}. {_ADVICE}") from None
