"""Which reading to show next: by expected gain, with a fixed random share that keeps accuracy unbiased.

The key of a reading is a hash, so the order of the keys is a random order of the readings. After n reviews at
a random share s, the first floor(n s) + 1 readings of that order are due: how many are drawn depends on
nothing that is in them, and the reviewed ones among them, up to the first that is not, are a simple random
sample.
"""

import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from serialread.errors import RecordsError
from serialread.metrics import Interval, wilson
from serialread.reader.serialization import JSON_LINES, RecordJson, key_of
from serialread.records import BarcodeCheck, Decision
from serialread.review.store import Call, CallLabel, ReviewStore, Role, Source, role_of, settled

_EVIDENCE: tuple[tuple[Callable[[RecordJson], bool], float], ...] = (
    (lambda line: line["free_text"] != line["text"], 0.5),
    (lambda line: line.get("second_text", "") not in ("", line["text"]), 0.6),
    (lambda line: line["barcode_check"] == BarcodeCheck.DIFFERS, 0.8),
    (lambda line: bool(line["upside_down_text"]), 0.5),
    (lambda line: bool(line["other_texts"]), 0.2),
    (lambda line: bool(line["sequence_findings"]), 0.4),
)
"""What makes an error likelier, and the probability of an error if there were no other sign of one.

Views or a format that disagree with the code, a second reader, barcodes, orientation, further lines, and the
sequence of the batch. Views that disagree with each other have lowered the confidence already: at the same
confidence, their readings are not wrong more often (docs/review.md)."""


def error_probability(line: RecordJson) -> float:
    """Probability that a reading is wrong, 0..1: signs of an error are taken as independent causes."""
    right = line["confidence"] if line["text"] and line["confidence"] is not None else 0.0
    for holds, probability in _EVIDENCE:
        if holds(line):
            right *= 1 - probability
    return 1 - float(right)


@dataclass(frozen=True, slots=True)
class Filters:
    """Which readings to show; "" shows all. ``reason`` and ``text`` are parts of the cell, in any case."""

    batch: str = ""
    decision: str = ""
    reason: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """A reading to review, and why it is shown."""

    part: str
    role: Role
    source: Source


@dataclass(frozen=True, slots=True)
class ReviewProgress:
    """How far the review is.

    Attributes:
        readings: in the results.
        reviewed: of these, with a call.
        disputed: of these, with two calls that disagree.
        waiting: of these, chosen for a second review that nobody has made.
        sample: reviewed readings of the random sample whose text is known.
        right: of these, read right.
        interval: Wilson's, of the accuracy, at 95 %; (0, 1) without a sample.
        held_back: readings of the sample that were left out because one before them is not reviewed.
    """

    readings: int
    reviewed: int
    disputed: int
    waiting: int
    sample: int
    right: int
    interval: Interval
    held_back: int


_INDEX = """
CREATE TEMP TABLE IF NOT EXISTS readings (
    part TEXT PRIMARY KEY, position INTEGER, batch TEXT, text TEXT, decision TEXT, searched TEXT, reason TEXT,
    error REAL, second INTEGER, at INTEGER, size INTEGER) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS temp.readings_by_batch ON readings (batch);
"""
_OPEN = "NOT EXISTS (SELECT 1 FROM calls WHERE calls.part = readings.part)"
_PAIR = (
    "readings JOIN calls AS one ON one.part = readings.part AND one.role = 'first'"
    " LEFT JOIN calls AS two ON two.part = readings.part AND two.role = 'second'"
    " LEFT JOIN calls AS last ON last.part = readings.part AND last.role = 'final'"
)
_DISPUTED = "last.part IS NULL AND two.part IS NOT NULL AND (one.label, one.text) <> (two.label, two.text)"
_WANTS_SECOND = "readings.second AND two.part IS NULL AND last.part IS NULL"
_PAIRED: Mapping[Role, str] = {
    "final": f"{_DISPUTED} AND ? NOT IN (one.reviewer, two.reviewer)",
    "second": f"{_WANTS_SECOND} AND ? <> one.reviewer",
}
_SPAN = 16**4  # of the four hex digits that choose the second reviews


def readings_in(results: Path) -> Path:
    """The readings of a results folder.

    Raises:
        RecordsError: the folder has none.
    """
    path = results / JSON_LINES
    if not path.is_file():
        raise RecordsError(
            f"{results}: no {JSON_LINES} in it. Name the folder that serialread read --out writes."
        )
    return path


class ReviewQueue:
    """The readings of a results folder, which may still grow, in the order in which to review them."""

    def __init__(
        self, store: ReviewStore, results: Path, random_share: float = 0.2, second_share: float = 0.1
    ) -> None:
        """Index the readings.

        Args:
            store: the calls.
            results: the folder that ``serialread read`` writes.
            random_share: share of the reviews that are drawn at random, 0..1.
            second_share: share of the readings that two people review, 0..1.

        Raises:
            RecordsError: the folder has no readings.
        """
        self.store, self.path = store, readings_in(results)
        self._random, self._second = random_share, second_share
        self._read_to = (0, 0)  # inode and byte up to which the file is indexed
        with store.locked() as database:
            database.executescript(_INDEX)
        self.refresh()

    def refresh(self) -> None:
        """Index what was read since; everything again if the results were replaced."""
        try:
            status = self.path.stat()
        except FileNotFoundError:  # while a run replaces it
            return
        with self.store.locked() as database:
            inode, begin = self._read_to
            if inode != status.st_ino or status.st_size < begin:
                database.execute("DELETE FROM readings")
                begin = 0
            elif status.st_size == begin:
                return
            count = database.execute("SELECT COUNT(*) FROM readings").fetchone()[0]
            with self.path.open("rb") as file:
                file.seek(begin)
                database.execute("BEGIN")
                for number, data in enumerate(file, start=count):
                    if not data.endswith(b"\n"):
                        break  # still being written
                    self._index(number, data, begin)
                    begin += len(data)
                database.execute("COMMIT")
            self._read_to = (status.st_ino, begin)

    def _index(self, number: int, data: bytes, at: int) -> None:
        try:
            line: RecordJson = json.loads(data)
            part = key_of(line["image"], line["sha256"])
            names = [_shown(line[name]) for name in ("batch", "text", "decision", "image", "reason")]
            error = error_probability(line)
        except (ValueError, KeyError, TypeError):
            return  # torn by a kill
        batch, text, decision, image, reason = names
        reasons = "; ".join([reason, *map(_shown, line["sequence_findings"])]).lower()
        second = int(part[-4:], 16) < self._second * _SPAN
        row = (part, number, batch, text, decision, f"{image}\n{text}".lower(), reasons, error, second)
        self.store.connection.execute(
            "INSERT OR REPLACE INTO readings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, at, len(data))
        )

    def reading(self, part: str) -> RecordJson | None:
        """The record of a reading, as in readings.jsonl; None if there is none with this key."""
        with self.store.locked() as database:
            row = database.execute("SELECT at, size FROM readings WHERE part = ?", (part,)).fetchone()
            if row is None:
                return None
            with self.path.open("rb") as file:
                file.seek(row[0])
                data = file.read(row[1])
        try:
            line: RecordJson = json.loads(data)
        except ValueError:  # the results were replaced a moment ago
            return None
        return line if key_of(line["image"], line["sha256"]) == part else None

    def readings(self) -> Iterator[tuple[str, RecordJson]]:
        """Key and record of every reading, in the order of the results."""
        with self.store.locked() as database:
            parts = database.execute("SELECT part FROM readings ORDER BY position").fetchall()
        for (part,) in parts:
            if line := self.reading(part):
                yield part, line

    def task(self, part: str, reviewer: str) -> Task:
        """A reading that a reviewer asked for."""
        return Task(part, role_of(self.store.calls(part), reviewer), "filter")

    def next(
        self, reviewer: str, count: int = 1, filters: Filters | None = None, without: Collection[str] = ()
    ) -> list[Task]:
        """The next tasks of a reviewer, the most useful first.

        Disagreements come first, then second reviews, then new readings: random ones as they are due, and
        otherwise those of which a review gains most.

        Args:
            reviewer: never gets a second review of an own call, nor a disagreement that one caused.
            count: how many tasks.
            filters: which readings; with a filter, none is drawn at random.
            without: keys that are not to be shown, such as those that others see now.
        """
        self.refresh()
        taken = set(without)
        found: list[Task] = []
        where, values = _condition(filters or Filters())
        with self.store.locked():
            for role, condition in _PAIRED.items():
                sql = f"SELECT readings.part FROM {_PAIR} WHERE {condition} AND {where}"
                chosen = self._first(sql, (reviewer, *values), taken, count - len(found))
                found += (Task(part, role, "gain") for part in chosen)
            for ahead in range(count - len(found)):
                task = (self._random_task(ahead, taken) if where == "1" else None) or self._gain_task(
                    where, values, taken
                )
                if task is None:
                    break
                found.append(task)
        return found

    def _first(self, sql: str, values: tuple[Any, ...], taken: set[str], count: int) -> list[str]:
        """The first parts of a query that are not taken yet; they are taken."""
        found: list[str] = []
        if count > 0:
            for (part,) in self.store.connection.execute(sql, values):
                if part not in taken:
                    found.append(part)
                    taken.add(part)
                    if len(found) == count:
                        break
        return found

    def _random_task(self, ahead: int, taken: set[str]) -> Task | None:
        """The next reading that is due at random, if one is, after ``ahead`` more reviews."""
        sql = f"SELECT part FROM (SELECT part FROM readings ORDER BY part LIMIT ?) AS readings WHERE {_OPEN}"
        found = self._first(sql, (self._due(ahead),), taken, 1)
        return Task(found[0], "first", "random") if found else None

    def _due(self, ahead: int = 0) -> int:
        """How many readings of the random order are due."""
        if not self._random:
            return 0
        sql = "SELECT COUNT(*) FROM calls WHERE role = 'first' AND source IN ('gain', 'random')"
        done: int = self.store.connection.execute(sql).fetchone()[0]
        return math.floor((done + ahead) * self._random) + 1

    def _gain_task(self, where: str, values: tuple[str, ...], taken: set[str]) -> Task | None:
        """The unreviewed reading that is most likely wrong, in a batch of which most is not reviewed."""
        sql = (
            "WITH seen AS (SELECT batch, AVG(part NOT IN (SELECT part FROM calls)) AS open"
            " FROM readings GROUP BY batch)"
            f" SELECT part FROM readings JOIN seen USING (batch) WHERE {_OPEN} AND {where}"
            " ORDER BY error * (1 + open) DESC, position"
        )
        found = self._first(sql, values, taken, 1)
        return Task(found[0], "first", "gain" if where == "1" else "filter") if found else None

    def choices(self) -> dict[str, list[str]]:
        """Batches and decisions to choose from."""
        with self.store.locked() as database:
            return {
                name: [row[0] for row in database.execute(f"SELECT DISTINCT {name} FROM readings ORDER BY 1")]
                for name in ("batch", "decision")
            }

    def progress(self) -> ReviewProgress:
        """How far the review is, and the accuracy so far."""
        self.refresh()
        with self.store.locked() as database:
            total = database.execute("SELECT COUNT(*) FROM readings").fetchone()[0]
            done, disputed, waiting = database.execute(
                f"SELECT COUNT(*), TOTAL({_DISPUTED}), TOTAL({_WANTS_SECOND}) FROM {_PAIR}"
            ).fetchone()
            known, right, held_back = self._sample()
        interval = wilson(right, known)
        return ReviewProgress(total, done, int(disputed), int(waiting), known, right, interval, held_back)

    def _sample(self) -> tuple[int, int, int]:
        """Readings of the random sample whose text is known; of these, the right ones; those held back."""
        rows = self.store.connection.execute(
            "SELECT part, text, decision FROM readings ORDER BY part LIMIT ?", (self._due(),)
        ).fetchall()
        known = right = 0
        for number, (part, text, decision) in enumerate(rows):
            call = settled(self.store.calls(part))
            if call is None:
                reviewed = sum(bool(self.store.calls(later[0])) for later in rows[number + 1 :])
                return known, right, reviewed
            verdict = is_right(call, text, decision)
            known += verdict is not None
            right += verdict is True
        return known, right, 0


def is_right(call: Call, text: str, decision: str) -> bool | None:
    """Whether a reading is right by a call; None if nobody can know.

    A picture without a code is right if nothing was read or the reading was rejected; a reading from the
    wrong place is wrong, whatever its text.
    """
    match call.label:
        case CallLabel.READ:
            return call.text == text and decision != Decision.REJECT
        case CallLabel.NO_CODE:
            return not text or decision == Decision.REJECT
        case CallLabel.WRONG_CROP:
            return False
    return None


def _shown(text: str) -> str:
    """Text with the lone surrogates of a name that is not valid Unicode escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def _condition(filters: Filters) -> tuple[str, tuple[str, ...]]:
    """SQL of the filters, and its values."""
    sql = {
        "batch": "readings.batch = ?",
        "decision": "readings.decision = ?",
        "reason": "instr(readings.reason, ?) > 0",
        "text": "instr(readings.searched, ?) > 0",
    }
    given = {name: value for name, value in asdict(filters).items() if value}
    values = tuple(v if name in ("batch", "decision") else v.lower() for name, v in given.items())
    return " AND ".join(sql[name] for name in given) or "1", values
