"""Job validation: whether a station still reads and judges its golden pictures as expected.

A golden folder holds pictures, good and bad, and ``labels.csv`` with the columns filename, text and decision.
A text must be read exactly. A decision must be taken. A picture with neither must not be accepted.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from serialread import run_log
from serialread.auditing.report_files import json_text, write_files
from serialread.calibration import LABELS, labelled_picture
from serialread.codes import without_blanks
from serialread.config import Station, load
from serialread.errors import RecordsError
from serialread.label_tables import LABEL_COLUMNS, read_table
from serialread.reader import Picture, Reader
from serialread.records import Decision, Record

GOLDEN = "golden"
"""Folder of the golden pictures beside a station file, unless another is named."""
FILES = ("validation.csv", "validation.json")
"""What ``JobValidation.write`` writes."""


@dataclass(frozen=True, slots=True)
class GoldenPicture:
    """A picture, and what must come of it.

    Attributes:
        text: the code that must be read, without blanks; "": any.
        decision: the decision that must be taken; "": any, but not ACCEPT if there is no text either.
    """

    picture: Picture
    text: str
    decision: str

    def check(self, record: Record) -> "GoldenResult":
        """Compare with what came of it."""
        problems = []
        if self.text and without_blanks(record.text) != self.text:
            problems.append(f"read {record.text or 'nothing'} instead of {self.text}")
        if self.decision and record.decision != self.decision:
            problems.append(f"{record.decision} instead of {self.decision}")
        if not self.text and not self.decision and record.decision is Decision.ACCEPT:
            problems.append(f"{record.text} was accepted, nothing may be")
        return GoldenResult(
            record.image, self.text, self.decision, record.text, record.decision.value, record.reason,
            "; ".join(problems), record.image_sha256,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class GoldenResult:
    """What came of a golden picture; ``problem`` is "" if it is as expected."""

    image: str
    expected_text: str
    expected_decision: str
    text: str
    decision: str
    reason: str
    problem: str
    sha256: str


@dataclass(frozen=True, slots=True)
class JobValidation:
    """A station and a model on the golden pictures.

    Attributes:
        golden: the folder.
        results: one per golden picture.
    """

    golden: Path
    station_id: str
    model_id: str
    results: tuple[GoldenResult, ...]

    @property
    def failed(self) -> tuple[GoldenResult, ...]:
        """Pictures that are not as expected."""
        return tuple(result for result in self.results if result.problem)

    @property
    def ok(self) -> bool:
        """Whether all pictures are as expected."""
        return not self.failed

    def summary(self) -> str:
        """PASS or FAIL with the counts, then a line per failure."""
        verdict = "PASS" if self.ok else "FAIL"
        right = len(self.results) - len(self.failed)
        head = f"{verdict}: {right} of {len(self.results)} golden pictures as expected ({self.golden})"
        return "\n".join([head, *(f"{result.image}: {result.problem}" for result in self.failed)])

    def to_json(self) -> str:
        """The verdict and every picture, as a JSON document."""
        return json_text({**self._figures(), "results": [asdict(result) for result in self.results]})

    def write(self, out: str | Path) -> tuple[Path, ...]:
        """Write ``FILES`` to a folder; returns their paths.

        Raises:
            RecordsError: the folder cannot be written.
        """
        table = pd.DataFrame([asdict(result) for result in self.results])
        return write_files(Path(out), dict(zip(FILES, (table, self.to_json()), strict=True)))

    def log(
        self, log: Path, written: tuple[Path, ...], inputs: tuple[Path, ...] = (), operator: str = ""
    ) -> str:
        """Add the validation to a run log; returns the hash of its line.

        Raises:
            RecordsError: the log cannot be written.
        """
        digests = [(result.image, result.sha256) for result in self.results]
        about = {**self._figures(), "images_sha256": run_log.pictures_digest(digests)}
        options = {"golden": run_log.named(self.golden, log)}
        labels = (self.golden / LABELS,)
        return run_log.append(
            log, run_log.LoggedRun("validate", options, about, (*inputs, *labels), written, operator)
        )

    def _figures(self) -> dict[str, object]:
        return {
            "passed": self.ok,
            "images": len(self.results),
            "failed": [result.image for result in self.failed],
            "model_id": self.model_id,
            "station_id": self.station_id,
        }


def validate(
    station: Station | str | Path,
    golden: str | Path | None = None,
    *,
    model: str | Path | None = None,
) -> JobValidation:
    """Read the golden pictures of a station, and compare text and decision of each with the expected ones.

    Args:
        station: the station, or its file.
        golden: the folder of golden pictures; by default the folder ``golden`` beside the station file.
        model: a model file; the shipped one by default.

    Raises:
        RecordsError: there are no golden pictures, or their table is damaged.
        CalibrationError: a golden picture is missing, or the station was calibrated with another model.
        RecipeError: the station file is not valid.
    """
    place = station if isinstance(station, Station) else load(Path(station), Station)
    if golden is None:
        if isinstance(station, Station):
            raise RecordsError("validate: a station without a file. Name the folder of its golden pictures.")
        golden = Path(station).parent / GOLDEN
    expected = list(_golden_pictures(Path(golden)))
    reader = Reader(model, place)
    records = reader.read_many([one.picture for one in expected])
    results = tuple(one.check(record) for one, record in zip(expected, records, strict=True))
    return JobValidation(Path(golden), reader.station.station_id, reader.model_id, results)


def _golden_pictures(folder: Path) -> Iterator[GoldenPicture]:
    table = folder / LABELS
    rows = read_table(table, LABEL_COLUMNS, wanted=(*LABEL_COLUMNS, "decision")).rows
    if rows.empty:
        raise RecordsError(f"{table}: no golden pictures in it. Add one line each: filename,text,decision.")
    decisions = rows["decision"] if "decision" in rows else [""] * len(rows)
    seen: set[str] = set()
    for name, text, written in zip(rows["filename"], rows["text"], decisions, strict=True):
        decision = written.strip().upper()
        if name in seen:
            raise RecordsError(f"{table}: {name} has two lines. Keep the right one.")
        if decision not in ("", *Decision):
            raise RecordsError(
                f"{table}: {name}: no decision {written}. Write ACCEPT, REVIEW or REJECT, or leave it empty."
            )
        seen.add(name)
        yield GoldenPicture(labelled_picture(folder, name), without_blanks(text), decision)
