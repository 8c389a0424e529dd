"""Read folders of pictures into a results folder: what ``serialread read`` does, for Python."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from serialread import run_log
from serialread.config import Station
from serialread.errors import RecordsError
from serialread.inference.session import EngineKind
from serialread.reader.barcodes import check_sequences
from serialread.reader.picture_files import FoundFiles, find_images, paths_of
from serialread.reader.reader import Reader
from serialread.reader.reading_processes import processes_for
from serialread.reader.results import WORKBOOK, Mode, Start, begin, claim, write_records
from serialread.reader.second_reader import SecondReader
from serialread.reader.serialization import FILES, TABLE
from serialread.reader.summary import RunSummary
from serialread.reader.workbooks import require_excel, write_readings_workbook
from serialread.records import Record


class FolderRun:
    """A run over folders of pictures; iterate it to read them.

    Records are written before they are yielded: a run that is stopped or killed keeps them, and ``resume``
    continues. The run is added to the log when the last record has been written.

    Attributes:
        reader: the reader of the pictures.
        total: pictures to read.
        kept: records of an earlier run that stay.
        again: records of an earlier run that were removed because their picture has changed.
        skipped: files without a picture suffix.
        summary: counts of the records so far, without those kept.
        log: the hash-chained log that the run is added to.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        found: FoundFiles,
        out: str | Path,
        reader: Reader,
        mode: Mode,
        log: Path | None,
        entry: Mapping[str, object],
        processes: int,
    ) -> None:
        self.reader, self.summary, self._processes = reader, RunSummary(), processes
        self._out, self._paths, self._entry = Path(out), paths, entry
        self.log = log or self._out / run_log.LOG
        run_log.last(self.log)
        self.skipped = found.skipped
        self._lock = claim(self._out)
        try:
            station = reader.station
            self._fields = tuple(field.name for field in station.fields)
            self._start: Start = begin(
                self._out, mode, found.pictures, reader.model_id, station.station_id, self._fields
            )
        except BaseException:
            self._lock.release()
            raise
        self.total, self.kept, self.again = len(self._start.pictures), self._start.kept, self._start.again

    @property
    def not_accepted(self) -> int:
        """Records, those kept included, that are not ACCEPT."""
        return self.summary.not_accepted + self._start.not_accepted

    def __iter__(self) -> Iterator[Record]:
        """Read, write and yield one record after the other.

        Raises:
            RecordsError: the results or the log cannot be written; the run was iterated before.
        """
        if not self._lock.is_locked:
            raise RecordsError(f"{self._out}: this run has ended. Begin another with read_folder.")
        try:
            yield from self._records()
        finally:
            self._lock.release()

    def _records(self) -> Iterator[Record]:
        digests: list[tuple[str, str]] = []
        read = self.reader.read_many(self._start.pictures, processes=self._processes)
        records = check_sequences(read, self._start.codes)
        for record in write_records(records, self._out, self._fields):
            self.summary.add(record)
            digests.append((record.image, record.image_sha256))
            yield record
        if self._entry["excel"]:
            write_readings_workbook(self._out / TABLE, self._out / WORKBOOK)
        self._add_to_log(digests)

    def _add_to_log(self, digests: list[tuple[str, str]]) -> None:
        station = self.reader.station
        about = {
            "model_id": self.reader.model_id,
            "station": station.model_dump(mode="json", exclude_defaults=True),
            "station_id": station.station_id,
            "images": self.summary.images,
            "images_sha256": run_log.pictures_digest(digests),
        }
        files = {name: Path(str(path)) for name in ("station", "model") if (path := self._entry[name])}
        options = {
            "pictures": [run_log.named(path, self.log) for path in self._paths],
            "model": run_log.named(files["model"], self.log) if "model" in files else "",
            **{name: self._entry[name] for name in ("engine", "resume", "strict", "barcodes", "excel")},
        }
        names = (*FILES, WORKBOOK) if self._entry["excel"] else FILES
        written = tuple(self._out / name for name in names)
        operator = str(self._entry["operator"])
        run_log.append(
            self.log, run_log.LoggedRun("read", options, about, tuple(files.values()), written, operator)
        )


def read_folder(
    paths: str | Path | Iterable[str | Path],
    out: str | Path,
    *,
    model: str | Path | None = None,
    station: Station | str | Path | None = None,
    format: str = "",  # noqa: A002 - the word that users know
    engine: EngineKind | None = None,
    barcodes: bool | None = None,
    second_reader: str | SecondReader | None = None,
    second_reader_below: float | None = None,
    resume: bool = False,
    overwrite: bool = False,
    strict: bool = False,
    excel: bool = False,
    workers: int | None = 1,
    log: str | Path | None = None,
    operator: str = "",
) -> FolderRun:
    """Prepare to read all pictures of files and folders into a results folder.

    Args:
        paths: a picture or folder, or several; folders are read with everything below them.
        out: the results folder; readings.csv, readings.jsonl and the log are written there.
        model: a model file; None takes the shipped model.
        station: a station, or its TOML file.
        format: name or pattern of a format.
        engine: the library that runs the model, ``openvino`` unless given.
        barcodes: whether to cross-check the code against barcodes in the picture; None: if zxing-cpp, which
            reads them, is installed.
        second_reader: another reader that confirms the readings, as for ``Reader``.
        second_reader_below: network confidence, 0..1, below which it is asked.
        resume: continue a stopped run.
        overwrite: replace the folder's results.
        strict: noted in the log; the command line's exit code depends on it.
        excel: also write readings.xlsx, in which every text is a text cell, when the last picture is read.
        workers: processes that read, as for ``Reader.read_many``; None: one per core from 400 crops
            or 40 photographs on.
        log: the hash-chained log of runs; by default ``runs.log`` in ``out``.
        operator: who runs this, for the log.

    Returns:
        The run. Nothing is read before it is iterated.

    Raises:
        RecordsError: no pictures, ``out`` holds results and neither ``resume`` nor ``overwrite`` is set,
            another run writes there, or the log is broken.
        CheckpointError: the model cannot be used.
        RecipeError: the station or the format is not valid.
        CalibrationError: the station was calibrated with another model.

    Example:
        >>> for record in read_folder("pictures/", "results/"):
        ...     print(record.image, record.text, record.decision)
    """
    if resume and overwrite:
        raise RecordsError(f"{out}: resume keeps the results, overwrite replaces them. Set one of them.")
    if excel:
        require_excel(WORKBOOK)
    several = paths_of(paths)
    found = find_images(several)
    processes = workers or processes_for([picture.path for picture in found.pictures])
    reader = Reader(
        model,
        station,
        format,
        engine,
        barcodes,
        second_reader=second_reader,
        second_reader_below=second_reader_below,
        workers=1 if processes > 1 else 0,
    )
    entry = {
        "station": station if isinstance(station, str | Path) else "",
        "model": model or "",
        "engine": reader.engine,
        "resume": resume,
        "strict": strict,
        "barcodes": reader.barcodes,
        "excel": excel,
        "operator": operator,
    }
    mode: Mode = "resume" if resume else "overwrite" if overwrite else "new"
    return FolderRun(several, found, out, reader, mode, Path(log) if log else None, entry, processes)
