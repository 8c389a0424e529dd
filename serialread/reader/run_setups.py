"""The setup of a logged run: its pictures, its model and its station, to read its pictures again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from serialread import run_log
from serialread.config import Station
from serialread.errors import RecordsError
from serialread.imaging import digest
from serialread.inference.session import EngineKind
from serialread.reader.reader import Reader
from serialread.reader.serialization import RecordJson


@dataclass(frozen=True, slots=True)
class RunSetup:
    """What a run read with, and where its pictures are."""

    places: tuple[Path, ...]
    model: Path
    station: Station
    engine: EngineKind
    barcodes: bool = False

    @classmethod
    def of(cls, line: RecordJson, log: Path, shipped: Path) -> "RunSetup":
        """Setup of a run from its line in the log; ``shipped`` is the model if the line names none.

        Raises:
            RecordsError: a line without pictures or station.
        """
        options, about = line["options"], line["about"]
        if "pictures" not in options or "station" not in about:
            raise RecordsError(
                f"{log}: line {line['line']} does not name its pictures or station. Read the pictures again."
            )
        places = tuple(log.parent / name for name in options["pictures"])
        model = log.parent / options["model"] if options["model"] else shipped
        station, barcodes = Station.model_validate(about["station"]), bool(options.get("barcodes", False))
        return cls(places, model, station, options["engine"], barcodes)

    def find(self, image: str, sha256: str) -> Path | None:
        """The picture with this name and digest; None if it is missing or has changed."""
        found = (path for place in self.places for path in _named(image, place) if path.is_file())
        return next((path for path in found if digest(path) == sha256), None)


def _named(image: str, place: Path) -> Iterator[Path]:
    """Where a picture of a place may be: its name may have some of the place's own folders before it."""
    if not place.is_dir():
        yield from [place] if place.as_posix().endswith(image) else []
        return
    yield place / image
    whole = place.resolve()
    yield from (path for folder in whole.parents if (path := folder / image).is_relative_to(whole))


def find_setup(readings: Path, logs: Sequence[Path], shipped: Path) -> tuple[RunSetup, str]:
    """Setup and model id of the run that wrote some readings, from the first log that has it.

    Raises:
        RecordsError: there is no log, no such run in any, or its line was changed after it was written.
    """
    there = [log for log in logs if log.is_file()]
    if not there:
        raise RecordsError("There is no log of the run that read them.")
    log = next((log for log in there if run_log.has_run(log, "read", wrote=readings)), there[0])
    line = run_log.run_of(log, "read", wrote=readings)
    return RunSetup.of(line, log, shipped), str(line["about"].get("model_id"))


def open_reader(setup: RunSetup, model_id: str) -> Reader:
    """The reader of a run; a SerialreadError says why it cannot read as it did."""
    reader = Reader(setup.model, setup.station, engine=setup.engine)
    if reader.model_id != model_id:
        raise RecordsError(f"The model that read them, {model_id}, is not available.")
    return reader
