"""Reading in shards: each becomes one Parquet file and then a marker, on a disk or in an object store.

A shard that has a marker is done. One that is read twice, because its worker died or because the network lost
sight of it, is written whole each time: there is one file per shard, and every picture is in it once.
"""

import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from serialread import __version__, run_log
from serialread.config import Station
from serialread.config.station import load_station
from serialread.errors import RecordsError
from serialread.imaging.loading import ImageSource
from serialread.inference.session import EngineKind
from serialread.reader import Reader
from serialread.reader.results import Mode
from serialread.reader.serialization import COLUMNS, NUMBERS, csv_row, json_line
from serialread.records import Decision, Record
from serialread.scale.engines import Processes, RayActors
from serialread.scale.sources import Item, PictureSource, fetched, source_of
from serialread.storage import Storage, is_url

PLAN, RESULTS = "plan.json", "results.json"
"""What is read by what, written first; the shards with their digests, written when all are done."""
SHARD_SIZE = 1000
"""Pictures of a shard: about ten seconds of work, which is what a killed worker loses."""
RECORD, TRUTH = "record", "truth"
"""Columns of a table beside those of readings.csv: the line of readings.jsonl; the label of a sample."""


@dataclass(frozen=True, slots=True)
class ReaderOptions:
    """What a reader is opened with in every worker; see ``Reader``. Files have the same path everywhere."""

    model: Path | None = None
    station: Station | None = None
    format: str = ""
    engine: EngineKind | None = None
    barcodes: bool | None = None

    def open(self) -> Reader:
        """A reader that takes one core."""
        return Reader(self.model, self.station, self.format, self.engine, self.barcodes, workers=1)


@dataclass(frozen=True, slots=True)
class PictureShard:
    """Pictures that one worker reads.

    Attributes:
        number: of the shard, from 0.
    """

    number: int
    items: tuple[Item, ...]

    @property
    def name(self) -> str:
        """Of its files, without suffix."""
        return f"readings-{self.number:06d}"


@dataclass(frozen=True, slots=True)
class ShardResult:
    """The marker of a shard: what its table holds.

    Attributes:
        name: of the shard's files, without suffix.
        rows: pictures in its table.
        sha256: hex digest of the table's bytes.
        decisions: number of records per decision.
    """

    name: str
    rows: int
    sha256: str
    decisions: Mapping[str, int]


class ShardedRun:
    """A run in shards; iterate it to read them.

    Attributes:
        model_id: of the model that reads.
        total: pictures of all shards.
        kept: pictures in shards that an earlier run has done.
        results: the shards that are done, by name.
    """

    def __init__(
        self,
        source: PictureSource,
        out: Storage,
        options: ReaderOptions,
        *,
        shard_size: int = SHARD_SIZE,
        mode: Mode = "new",
        runner: Processes[PictureShard, ShardResult] | RayActors[PictureShard, ShardResult] | None = None,
        log: Path | None = None,
        operator: str = "",
    ) -> None:
        self.out, self._source, self._options, self._runner = out, source, options, runner or Processes()
        self._log, self._operator = log, operator
        reader = options.open()
        self.model_id = reader.model_id
        items = source.items()
        self.total = len(items)
        made = reader.station.calibration
        guarantee = None if made is None else {"misread": made.misread, "certainty": made.certainty}
        self._plan = {
            "serialread": __version__,
            "model_id": reader.model_id,
            "station_id": reader.station.station_id,
            "guarantee": guarantee,
            "fields": [field.name for field in reader.station.fields],
            "shard_size": shard_size,
            "pictures": self.total,
            "names_sha256": hashlib.sha256("\n".join(item.image for item in items).encode()).hexdigest(),
        }
        self._shards = [
            PictureShard(number, tuple(items[first : first + shard_size]))
            for number, first in enumerate(range(0, len(items), shard_size))
        ]
        self.results = self._begun(mode)
        self.kept = sum(result.rows for result in self.results.values())

    def __iter__(self) -> Iterator[ShardResult]:
        """Read, and yield each shard once its files are written.

        Raises:
            RecordsError: a file cannot be read or written; or workers died again and again.
        """
        setup = partial(_ShardReader, self._source, self.out, self._options, self._plan)
        left = [shard for shard in self._shards if shard.name not in self.results]
        for result in self._runner.run(setup, left):
            self.results[result.name] = result
            yield result
        document = {**self._plan, "shards": [asdict(self.results[shard.name]) for shard in self._shards]}
        self.out.write(RESULTS, _json(document))
        self._add_to_log()

    @property
    def decisions(self) -> dict[Decision, int]:
        """Number of records per decision, those kept included."""
        return {
            decision: sum(result.decisions[decision.value] for result in self.results.values())
            for decision in Decision
        }

    def _begun(self, mode: Mode) -> dict[str, ShardResult]:
        """Prepare the folder of the results; the shards that are done."""
        there = {file.name for file in self.out.files()}
        if mode == "new" and there & {PLAN, RESULTS}:
            raise RecordsError(
                f"{self.out.url}: already holds results. Use --resume to continue or --overwrite to replace "
                "them."
            )
        if mode == "resume" and PLAN in there:
            self._refuse_other(json.loads(self.out.read(PLAN)))
            found = (name for shard in self._shards if (name := f"{shard.name}.json") in there)
            markers = (ShardResult(**json.loads(self.out.read(name))) for name in found)
            return {one.name: one for one in markers if f"{one.name}.parquet" in there}
        self.out.delete(sorted(name for name in there if name.startswith("readings-") or name == RESULTS))
        self.out.write(PLAN, _json(self._plan))
        return {}

    def _refuse_other(self, before: Mapping[str, Any]) -> None:
        for name, value in self._plan.items():
            if name != "serialread" and before.get(name) != value:
                raise RecordsError(
                    f"{self.out.url}: was read with another {name} ({before.get(name)}, now {value}). Resume "
                    "with the same pictures, model, station and shard size, or --overwrite the results."
                )

    def _add_to_log(self) -> None:
        if self._log is None:
            return
        about = {name: self._plan[name] for name in ("model_id", "station_id", "pictures", "names_sha256")}
        written = () if is_url(self.out.url) else (Path(self.out.url) / RESULTS,)
        entry = run_log.LoggedRun("read in shards", {"out": self.out.url}, about, (), written, self._operator)
        run_log.append(self._log, entry)


def read_shards(
    places: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    model: str | Path | None = None,
    station: Station | str | Path | None = None,
    format: str = "",  # noqa: A002 - the word that users know
    engine: EngineKind | None = None,
    barcodes: bool | None = None,
    shard_size: int = SHARD_SIZE,
    runner: Processes[PictureShard, ShardResult] | RayActors[PictureShard, ShardResult] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    log: str | Path | None = None,
    operator: str = "",
) -> ShardedRun:
    """Prepare to read pictures in shards, with any number of workers.

    Args:
        places: files and folders; or one URL, sample store or manifest. Every worker must see them.
        out: folder or URL of the results.
        model: as for ``Reader``; a file is at the same path on all machines.
        station: as for ``Reader``.
        format: as for ``Reader``.
        engine: as for ``Reader``.
        barcodes: as for ``Reader``.
        shard_size: pictures of a shard; the last may have fewer.
        runner: who reads; by default this process.
        resume: keep the shards that are done.
        overwrite: replace the results.
        log: hash-chained log of runs; by default ``runs.log`` in ``out``, unless that is a URL.
        operator: who runs this, for the log.

    Returns:
        The run. Nothing is read before it is iterated.

    Raises:
        RecordsError: no pictures, or ``out`` holds other results.
        CheckpointError, RecipeError, CalibrationError: as ``Reader`` raises them.
    """
    several = [places] if isinstance(places, str | Path) else list(places)
    opened = load_station(station) if station else None
    if log is None and not is_url(str(out)):
        log = Path(out) / run_log.LOG
    return ShardedRun(
        source_of([str(place) for place in several]),
        Storage(str(out)),
        ReaderOptions(Path(model).resolve() if model else None, opened, format, engine, barcodes),
        shard_size=shard_size,
        mode="resume" if resume else "overwrite" if overwrite else "new",
        runner=runner,
        log=Path(log) if log else None,
        operator=operator,
    )


class _ShardReader:
    """Reads one shard after the other in a worker, with a model that is opened once."""

    def __init__(
        self, source: PictureSource, out: Storage, options: ReaderOptions, plan: Mapping[str, Any]
    ) -> None:
        self.source, self.out, self.plan, self.reader = source, out, plan, options.open()
        if self.reader.model_id != plan["model_id"]:
            raise RecordsError(
                f"worker: reads with model {self.reader.model_id}, the run with {plan['model_id']}. Install "
                "the same model and the same version of serialread on all machines."
            )

    def __call__(self, shard: PictureShard) -> ShardResult:
        rows = [
            self._row(item, record) for item, record in zip(shard.items, self._records(shard), strict=True)
        ]
        data = _table_bytes(rows, self.plan["fields"])
        decisions = dict.fromkeys(Decision, 0)
        for row in rows:
            decisions[Decision(row["decision"])] += 1
        counts = {decision.value: count for decision, count in decisions.items()}
        result = ShardResult(shard.name, len(rows), hashlib.sha256(data).hexdigest(), counts)
        self.out.write(f"{shard.name}.parquet", data)
        self.out.write(f"{shard.name}.json", _json(asdict(result)))  # last: now the shard is done
        return result

    def _records(self, shard: PictureShard) -> Iterator[Record]:
        digests: list[str] = []

        def noted() -> Iterator[ImageSource]:
            for picture in fetched(self.source, shard.items):
                digests.append(hashlib.sha256(picture).hexdigest() if isinstance(picture, bytes) else "")
                yield picture

        for number, record in enumerate(self.reader.read_many(noted())):
            item = shard.items[number]
            sha256 = record.image_sha256 or digests[number]
            yield replace(record, image=item.image, batch=item.batch, image_sha256=sha256)

    def _row(self, item: Item, record: Record) -> dict[str, Any]:
        line = json_line(record)
        fields = self.plan["fields"]
        cells: dict[str, Any] = dict(zip((*COLUMNS, *fields), csv_row(line, fields), strict=True))
        cells |= {name: float(cells[name]) if cells[name] else None for name in NUMBERS}
        text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
        return {**cells, TRUTH: self.source.truth(item), RECORD: text}


def _table_bytes(rows: Sequence[Mapping[str, Any]], fields: Sequence[str]) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    names = (*COLUMNS, *fields, TRUTH, RECORD)
    schema = pa.schema([(name, pa.float64() if name in NUMBERS else pa.string()) for name in names])
    columns = {name: [_unicode(row[name]) for row in rows] for name in names}
    stream = io.BytesIO()
    parquet.write_table(pa.table(columns, schema), stream, compression="zstd")
    return stream.getvalue()


def _unicode(cell: Any) -> Any:
    """A cell without lone surrogates, which a file name that is no valid Unicode has."""
    return cell.encode("utf-8", "backslashreplace").decode() if isinstance(cell, str) else cell


def _json(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "backslashreplace")
