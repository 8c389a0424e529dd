"""The reader: a model and a station, ready to read pictures."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from serialread.config import Station, StationField
from serialread.config.station import load_station
from serialread.detection import LineFinder
from serialread.errors import CalibrationError, ImageError, RecordsError
from serialread.imaging import as_image, digest, show_steps
from serialread.imaging.crops import prepare
from serialread.imaging.loading import ImageSource, header_px
from serialread.inference import search_of
from serialread.inference.session import Engine, EngineKind, missing_output
from serialread.reader.barcodes import barcodes_in, can_read_barcodes, check_barcodes, require_barcodes
from serialread.reader.decisions import NOT_FOUND, decide, decide_by_fields, judge, trust
from serialread.reader.doubts import barcode_doubt, doubts_about, field_doubts, second_doubt
from serialread.reader.explanation import Explanation, drawn_record
from serialread.reader.frame_fusion import fuse_frames
from serialread.reader.grading import grade_mark
from serialread.reader.outputs import Outputs, Steps
from serialread.reader.picture_files import Picture
from serialread.reader.pipeline import (
    FieldLine,
    PictureReading,
    Pipeline,
    ReadLine,
    polygon_of,
    run_alone,
)
from serialread.reader.reading_processes import work_in_processes
from serialread.reader.scheduler import Job, Scheduler, recognize_alone
from serialread.reader.second_reader import (
    SecondReader,
    TextComparison,
    ask,
    name_of,
    open_second_reader,
    version_of,
)
from serialread.reader.serialization import check_field_names
from serialread.records import (
    BarcodeCheck,
    Crop,
    Decision,
    FieldReading,
    LoadedImage,
    Pixels,
    Reading,
    Record,
    SecondOpinion,
    Verdict,
)
from serialread.weights import shipped_detector, shipped_model

STREAMS = 2
"""Maximum number of batches in parallel; each stream has its own kernels, about 140 MB."""


@dataclass(frozen=True, slots=True)
class _Source:
    """A picture to read, and what it is called in the results."""

    picture: ImageSource
    name: str
    batch: str = ""

    @classmethod
    def of(cls, source: ImageSource | Picture, number: int) -> "_Source":
        match source:
            case Picture():
                return cls(source.path, source.image, source.batch)
            case str() | Path():
                return cls(Path(source), Path(source).name)
            case _:
                return cls(source, str(number))

    @property
    def size_px(self) -> int:
        """Number of its px, as far as that is known before it is loaded."""
        match self.picture:
            case str() | Path() | bytes():
                return header_px(self.picture)
            case _:
                return int(np.prod(getattr(self.picture, "shape", (0,))[:2]))

    def load(self) -> LoadedImage:
        """The picture; an ImageError names no path, for the record's name says which picture it is."""
        try:
            return as_image(self.picture, self.name)
        except ImageError as error:
            raise ImageError(str(error).removeprefix(f"{self.name}: ")) from None

    @property
    def sha256(self) -> str:
        """Digest of the file's bytes; "" of what is no file."""
        match self.picture:
            case str() | Path():
                return digest(Path(self.picture))
            case bytes():
                return hashlib.sha256(self.picture).hexdigest()
            case _:
                return ""


class Reader:
    """A model and a station, ready to read pictures.

    Opening a model takes about a second; keep the reader. ``read`` may be called from several threads.

    Attributes:
        model_id: name and digest of the model, and of the line detector if the station names a file.
        engine: the library that runs it; ``onnxruntime`` also where OpenVINO does not support the processor.
        station: where the code is, and when a reading is accepted. The default station accepts nothing.
        barcodes: whether codes are cross-checked against barcodes in the picture.

    Example:
        >>> reader = Reader()
        >>> record = reader.read("sample_images/assembly/01.jpg")
        >>> record.text, record.confidence, record.decision
    """

    def __init__(
        self,
        model: str | Path | None = None,
        station: Station | str | Path | None = None,
        format: str | None = None,  # noqa: A002 - the word that users know
        engine: EngineKind | None = None,
        barcodes: bool | None = None,
        *,
        second_reader: str | SecondReader | None = None,
        second_reader_below: float | None = None,
        workers: int = 0,
    ) -> None:
        """Open a model.

        Args:
            model: a model file; None opens the shipped model.
            station: a station, or its TOML file; None for pictures from anywhere.
            format: name of a format, or a pattern, of every code; replaces the station's.
            engine: the library that runs the model, ``openvino`` unless given; where that does not support
                the processor, ``onnxruntime``, if installed.
            barcodes: whether to cross-check the code against barcodes in the picture; None: if zxing-cpp,
                which reads them, is installed.
            second_reader: ``rapidocr``, ``module:function``, or a function that reads a crop: what it does
                not confirm is left for REVIEW; replaces the station's.
            second_reader_below: network confidence, 0..1, of the readings about which it is asked; 1: of all.
            workers: threads that load and normalize, and threads of the network; 0 takes one per core.

        Raises:
            CheckpointError: the model cannot be used.
            RecipeError: the station file is not valid, the model's alphabet has no code of the format, or
                ``barcodes`` is set and zxing-cpp is not installed, or there is no such second reader.
            CalibrationError: the station was calibrated with another model or second reader, or for another
                format.
        """
        place = load_station(station)
        place = place.with_format(format) if format else place
        second_name = name_of(second_reader) if second_reader else ""
        self.station = place.with_second_reader(second_name, second_reader_below)
        self._second_readers = {} if isinstance(second_reader, str | None) else {second_name: second_reader}
        self._threads, self._workers = workers, workers or os.cpu_count() or 1
        self._streams = min(self._workers, STREAMS)
        if barcodes:
            require_barcodes()
        self.barcodes = can_read_barcodes() if barcodes is None else barcodes
        self._model = Path(model) if model else shipped_model()
        self._engine = Engine(
            self._model, engine or "openvino", threads=self._threads, streams=self._streams, outputs=None
        )
        self.engine = self._engine.kind
        self._pool = ThreadPoolExecutor(self._streams, "network") if self._streams > 1 else None
        self._finders: dict[Path, LineFinder] = {}
        self._opening = threading.Lock()
        self._use_station()

    def at(self, station: Station | str | Path) -> Self:
        """The same opened model at another station, or at that of a station file.

        Raises:
            CalibrationError: the station was calibrated with another model.
            RecipeError: the model's alphabet has no code of the station's format.
        """
        other = copy(self)
        other.station = load_station(station)
        other._use_station()
        return other

    def _use_station(self) -> None:
        detector = self.station.view.detector
        found_by = f"+{self._finder(detector).model_id}" if isinstance(detector, Path) else ""
        self.model_id = self._engine.card.model_id + found_by
        if self.station.model_id not in ("", self.model_id):
            raise CalibrationError(
                f"{self.station.title}: calibrated with model {self.station.model_id}, "
                f"got {self.model_id}. Calibrate it again, or give that model and engine."
            )
        self._station_id = self.station.station_id
        card = self._engine.card
        check_field_names(self.station.fields)
        search = search_of(self.station.code, card.alphabet, card.topology)
        upright = "upright" in self._engine.outputs
        finder = partial(self._finder, shipped_detector() if detector == "shipped" else detector)
        fields = {}
        for field in self.station.fields:
            alone = self.station.of_field(field)
            searched = search_of(alone.code, card.alphabet, card.topology)
            fields[field.name] = Pipeline(card, alone, searched, upright, finder)
        self._pipeline = Pipeline(card, self.station, search, upright, finder, fields)
        self._second = self._second_reader(self.station.second_reader.use)
        letters = [char for char in card.alphabet.chars if char.isalpha()]
        has_cases = any(map(str.islower, letters)) and any(map(str.isupper, letters))
        self._comparison = TextComparison(
            self.station.code_format, has_cases, self.station.second_reader.compare
        )

    def _second_reader(self, name: str) -> SecondReader | None:
        made = self.station.calibration
        if made and made.second_reader != (found := version_of(name)):
            raise CalibrationError(
                f"{self.station.title}: calibrated with {made.second_reader or 'no second reader'}, "
                f"got {found or 'none'}. Calibrate it again, or install that version."
            )
        with self._opening:
            if name and name not in self._second_readers:
                self._second_readers[name] = open_second_reader(name)
            return self._second_readers.get(name)

    def _finder(self, detector: Path) -> LineFinder:
        """The line detector of a file, opened at its first use: crops of one line never need it."""
        with self._opening:
            if detector not in self._finders:
                self._finders[detector] = LineFinder(detector, self._threads, kind=self.engine)
            return self._finders[detector]

    def read(self, source: ImageSource, name: str = "") -> Record:
        """Read one picture.

        Args:
            source: a path, the bytes of a picture file, or an array: uint8 or uint16, grey [H, W] or BGR
                [H, W, 3].
            name: what the record calls the picture; by default the file's name, "0" for bytes and arrays.

        Returns:
            The record; if the picture cannot be read, its decision is REJECT and its reason says why.
        """
        found = _Source.of(source, 0)
        found = replace(found, name=name) if name else found
        begun = datetime.now(UTC)
        record = run_alone(self._steps(found), self._recognize)
        return replace(record, elapsed_ms=(datetime.now(UTC) - begun).total_seconds() * 1000)

    def read_frames(self, sources: Sequence[ImageSource], name: str = "") -> Record:
        """Read several pictures of one part, and fuse their readings (see ``fuse_frames``).

        Args:
            sources: the pictures, as for ``read``.
            name: what the record calls them; by default the name of the first.

        Returns:
            The record of the frame that supports the code best, with the code, confidence and decision of all
            of them. A frame that cannot be read does not count, as long as there is another one.
        """
        named = name or _Source.of(sources[0], 0).name
        records = [self.read(source, named) for source in sources]
        return fuse_frames(records, self.station) if len(records) > 1 else records[0]

    def rejected(self, name: str, reason: str) -> Record:
        """The record of a picture that does not exist or cannot be read."""
        return self._record(_Source(b"", name), "", reason)

    def read_many(self, sources: Iterable[ImageSource | Picture], *, processes: int = 1) -> Iterator[Record]:
        """Read any number of pictures: one record each, in order, in bounded memory.

        Args:
            sources: as for ``read``; may be endless, such as the frames of a camera. Bytes and arrays are
                named by their index. The first record comes after 256 small crops or two large pictures
                have been taken: call ``read`` for every frame of a camera that takes small crops.
            processes: that read, this one and others with readers of their own; more than one pay from
                about 400 crops or 40 photographs on. They import the calling script, which must guard its
                code by ``if __name__ == "__main__"``, and a second reader by its name. A reader of
                ``workers=1`` need not be opened again for its part.

        Raises:
            RecordsError: ``sources`` is a single picture, or one of several processes died.
        """
        if isinstance(sources, str | Path | bytes):
            raise RecordsError("read_many needs several pictures, such as a list of paths. Use read for one.")
        named = (_Source.of(source, number) for number, source in enumerate(sources))
        if processes > 1:
            return work_in_processes(self._in_process, self._beside_others, named, processes)
        return self._read_many(named)

    def _beside_others(self, sources: Iterator[_Source]) -> Iterator[Record]:
        """Read as one of several processes, on one core."""
        alone = self
        if self._workers > 1:
            alone = copy(self)
            alone._threads = alone._workers = alone._streams = 1
            alone._pool = None
            alone._engine = Engine(self._model, self.engine, threads=1, outputs=None)
            alone._finders = {}
            alone._use_station()
        yield from alone._read_many(sources)

    @property
    def _in_process(self) -> partial[Callable[[Iterator[_Source]], Iterator[Record]]]:
        """Opens this reader in another process."""
        return partial(_reading, self._model, self.station, self.engine, self.barcodes)

    def _read_many(self, sources: Iterator[_Source]) -> Iterator[Record]:
        jobs = (Job(self._steps(source), source.size_px) for source in sources)
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)  # pictures are read side by side: more threads in each would slow all of them
        try:
            for record, seconds in Scheduler[Record](self._engine, self._workers, self._streams).run(jobs):
                yield replace(record, elapsed_ms=seconds * 1000)
        finally:
            cv2.setNumThreads(threads)

    def explain(self, source: ImageSource) -> Explanation:
        """Read one picture and keep what the network saw.

        Raises:
            ImageError: the picture cannot be read.
            CheckpointError: the model has no glyph maps.
        """
        if "glyphs" not in self._engine.outputs:
            raise missing_output(self._model, "glyphs")
        image = as_image(source)
        found = run_alone(self._pipeline.read(image), self._recognize)
        return Explanation.of(found, self._engine.card, image.pixels)

    def draw(self, source: ImageSource) -> Pixels:
        """The picture below a caption with its code, with the boxes of code and characters; BGR uint8.

        Raises:
            ImageError: the picture cannot be read.
        """
        image = as_image(source)
        found = run_alone(self._pipeline.read(image), self._recognize)
        record = self._read_record(_Source.of(source, 0), image, found, None)
        return drawn_record(image.pixels, record, found.crop)

    def propose(self, source: ImageSource) -> tuple[Crop, ...]:
        """The text lines that the picture may hold, as they are read; the first is the whole picture.

        Raises:
            ImageError: the picture cannot be loaded, or the station's fixture or circle is not found.
        """
        return run_alone(self._pipeline.propose(as_image(source)), self._recognize)

    def lines(self, source: ImageSource) -> tuple[ReadLine, ...]:
        """The text lines of a picture, each with its views and readings; the first is the whole picture.

        Raises:
            ImageError: the picture cannot be read.
        """
        return run_alone(self._pipeline.read(as_image(source)), self._recognize).lines

    def show_steps(self, source: ImageSource) -> Pixels:
        """A sheet of every normalization step and every proposed line, BGR uint8; raises as ``propose``."""
        image = as_image(source)
        crops = run_alone(self._pipeline.propose(image), self._recognize)
        return show_steps(list(prepare(image, self.station.view)), crops)

    def _recognize(self, crops: Sequence[Pixels]) -> list[Outputs]:
        return recognize_alone(self._engine, crops, self._pool)

    def _steps(self, source: _Source) -> Steps[Record]:
        """Read one picture to its record; the driver of the steps adds the elapsed time."""
        try:
            image = source.load()
            found = yield from self._pipeline.read(image)
        except ImageError as error:
            return self._record(source, source.sha256, reason=str(error))
        barcodes = barcodes_in(image.pixels) if self.barcodes else None
        return self._read_record(source, image, found, barcodes)

    def _read_record(
        self, source: _Source, image: LoadedImage, found: PictureReading, barcodes: tuple[str, ...] | None
    ) -> Record:
        reading, crop, station = found.reading, found.crop, self.station
        second = self._ask_second(found)
        confidence = trust(reading, station.calibration, second)
        verdict = judge(reading, station.code)
        doubts = doubts_about(found, verdict, image.damage, barcodes or (), station.limits)
        doubts += tuple(filter(None, (self._second_doubt(reading, second),)))
        decision, reason = decide(reading, confidence, doubts, station.limits)
        fields = {field.name: self._read_field(field, found.fields[field.name]) for field in station.fields}
        if fields:
            code_doubts = (barcode_doubt(reading.text, barcodes or ()), self._second_doubt(reading, second))
            doubts = tuple(filter(None, (image.damage, *(code_doubts if station.code.field else ()))))
            decision, reason = decide_by_fields(fields, doubts)
        return replace(
            self._record(source, image.sha256, reason="; ".join(filter(None, (reason, image.note)))),
            reading=reading,
            upside_down_text=found.upside_down,
            other_texts=found.others,
            confidence=confidence,
            verdict=verdict,
            decision=decision,
            quad=tuple((float(x), float(y)) for x, y in crop.quad),
            text_height_px=crop.text_height_px,
            contrast=crop.contrast,
            tilt_deg=crop.tilt_deg,
            barcodes=barcodes or (),
            barcode_check=(
                BarcodeCheck.NOT_CHECKED if barcodes is None else check_barcodes(reading.text, barcodes)
            ),
            doubts=doubts,
            second=second,
            quality=grade_mark(found.segmentation, found.line.text) if found.segmentation else None,
            lines=found.detected,
            fields=fields,
        )

    def _read_field(self, field: StationField, found: FieldLine | None) -> FieldReading:
        if found is None:
            required = field.required or field.name == self.station.code.field
            decision = Decision.REVIEW if required else Decision.ACCEPT
            return FieldReading(None, None, Verdict.NONE, decision, NOT_FOUND if required else "")
        station = self.station.of_field(field)
        confidence = trust(found.reading, station.calibration)
        verdict = judge(found.reading, station.code)
        doubts = field_doubts(found, verdict, station.limits)
        decision, reason = decide(found.reading, confidence, doubts, station.limits)
        return FieldReading(found.reading, confidence, verdict, decision, reason, polygon_of(found.line.crop))

    def _ask_second(self, found: PictureReading) -> SecondOpinion | None:
        """What the second reader reads in the rows of the code; None if it is not asked."""
        reading = found.reading
        if self._second is None or not reading.chars:
            return None
        below = self.station.second_reader.below
        if below < 1 and reading.confidence >= below:
            return None
        return ask(self._second, [found.lines[n].crop.pixels for n in found.rows])

    def _second_doubt(self, reading: Reading, second: SecondOpinion | None) -> str:
        return second_doubt(reading.text, second, self._comparison) if second else ""

    def _record(self, source: _Source, sha256: str, reason: str) -> Record:
        """The record of a picture in which nothing was read."""
        return Record(
            image=source.name,
            image_sha256=sha256,
            batch=source.batch,
            reading=None,
            upside_down_text="",
            confidence=None,
            verdict=Verdict.NONE,
            decision=Decision.REJECT,
            reason=reason,
            quad=None,
            text_height_px=None,
            contrast=None,
            tilt_deg=None,
            model_id=self.model_id,
            station_id=self._station_id,
            read_at=datetime.now(UTC),
            elapsed_ms=0.0,
        )


def _reading(
    model: Path, station: Station, engine: EngineKind, barcodes: bool
) -> Callable[[Iterator[_Source]], Iterator[Record]]:
    """Open a reader that takes one core, in a process of its own."""
    return Reader(model, station, None, engine, barcodes, workers=1)._read_many
