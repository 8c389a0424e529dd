"""Serialization of records: JSON lines with all fields, and rows of a CSV table."""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from serialread.config import StationField
from serialread.errors import RecipeError
from serialread.records import FieldReading, LineReading, MarkQuality, Reading, Record

COLUMNS = (
    "image",
    "batch",
    "text",
    "free_text",
    "verdict",
    "confidence",
    "weakest_char",
    "weakest_position",
    "weakest_confidence",
    "decision",
    "reason",
    "other_texts",
    "second_text",
    "second_confidence",
    "sequence_findings",
    "barcodes",
    "barcode_check",
    "text_height_px",
    "contrast",
    "tilt_deg",
    "mark_grade",
    "mark_contrast",
    "mark_strokes",
    "mark_spacing",
    "mark_cleanness",
    "mark_completeness",
    "elapsed_ms",
    "read_at",
    "station_id",
    "model_id",
    "sha256",
)
"""Columns of readings.csv: keys of a JSON line, and the weakest character. Positions count from 1;
confidences are 0..1; missing values are empty cells."""

NUMBERS = (
    *("confidence", "weakest_position", "weakest_confidence", "second_confidence"),
    *("text_height_px", "contrast", "tilt_deg"),
    *("mark_contrast", "mark_strokes", "mark_spacing", "mark_cleanness", "mark_completeness", "elapsed_ms"),
)
"""Columns of numbers; all others hold texts, even if one looks like a number."""

RecordJson = dict[str, Any]
"""A record as JSON values."""


def key_of(image: str, sha256: str) -> str:
    """Key of a reading, for links: 20 hex digits of a hash of the picture's name and digest."""
    data = f"{image}\0{sha256}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()[:20]


def json_line(record: Record) -> RecordJson:
    """All fields of a record; numbers are rounded to their precision."""
    reading = record.reading
    return {
        "image": record.image,
        "batch": record.batch,
        "text": reading.text if reading else "",
        "free_text": reading.free_text if reading else "",
        "verdict": record.verdict.value,
        "upside_down_text": record.upside_down_text,
        "confidence": _rounded(record.confidence, 6),
        "network_confidence": round(reading.confidence, 6) if reading else None,
        "end_confidence": round(reading.end_confidence, 6) if reading else None,
        "view_texts": list(reading.view_texts) if reading else [],
        "decision": record.decision.value,
        "reason": record.reason,
        "other_texts": list(record.other_texts),
        "second_text": record.second.text if record.second else "",
        "second_confidence": _rounded(record.second.confidence if record.second else None, 6),
        "sequence_findings": list(record.sequence_findings),
        "barcodes": list(record.barcodes),
        "barcode_check": record.barcode_check.value,
        "chars": _chars(reading) if reading else [],
        "lines": [_line(line) for line in record.lines],
        "fields": {name: _field(field) for name, field in record.fields.items()},
        "quad": [[round(x, 2), round(y, 2)] for x, y in record.quad] if record.quad else None,
        "text_height_px": _rounded(record.text_height_px, 1),
        "contrast": _rounded(record.contrast, 3),
        "tilt_deg": _rounded(record.tilt_deg, 1),
        **_mark(record.quality),
        "elapsed_ms": round(record.elapsed_ms, 2),
        "read_at": record.read_at.isoformat(timespec="milliseconds"),
        "station_id": record.station_id,
        "model_id": record.model_id,
        "sha256": record.image_sha256,
    }


def check_field_names(fields: Iterable[StationField]) -> None:
    """Refuse fields whose column readings.csv has already, or an audit needs.

    Raises:
        RecipeError: there is one.
    """
    for field in fields:
        if field.name.lower() in (*COLUMNS, "filename"):
            raise RecipeError(f"field {field.name}: results have a column of this name. Rename the field.")


def csv_row(line: RecordJson, fields: Sequence[str] = ()) -> list[str]:
    """The cells of readings.csv from a line of readings.jsonl; those of fields come last."""
    weakest = min(enumerate(line["chars"], start=1), key=lambda at: at[1]["confidence"], default=None)
    cells = dict(line)
    if weakest:
        position, char = weakest
        cells |= {
            "weakest_char": char["char"],
            "weakest_position": position,
            "weakest_confidence": char["confidence"],
        }
    texts = [line["fields"].get(name, {}).get("text", "") for name in fields]
    return [*(_cell(cells.get(column)) for column in COLUMNS), *texts]


def _mark(quality: MarkQuality | None) -> RecordJson:
    parts = asdict(quality) if quality else {}
    return {f"mark_{name}": _rounded(v, 3) if isinstance(v, float) else v for name, v in parts.items()}


def _chars(reading: Reading) -> list[RecordJson]:
    return [
        {
            "char": c.char,
            "confidence": round(c.confidence, 6),
            "runner_up": [c.runner_up[0], round(c.runner_up[1], 6)],
            "status": c.status.value,
            "box": [round(v, 1) for v in c.box] if c.box else None,
        }
        for c in reading.chars
    ]


def _line(line: LineReading) -> RecordJson:
    return {
        "text": line.text,
        "confidence": round(line.confidence, 6),
        "polygon": [[round(x, 1), round(y, 1)] for x, y in line.polygon],
        "direction_deg": round(line.direction_deg, 1),
        "height_px": round(line.height_px, 1),
    }


def _field(field: FieldReading) -> RecordJson:
    reading = field.reading
    return {
        "text": field.text,
        "free_text": reading.free_text if reading else "",
        "verdict": field.verdict.value,
        "confidence": _rounded(field.confidence, 6),
        "decision": field.decision.value,
        "reason": field.reason,
        "polygon": [[round(x, 1), round(y, 1)] for x, y in field.polygon],
        "chars": _chars(reading) if reading else [],
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(value)
    return "" if value is None else str(value)


def json_bytes(line: RecordJson) -> bytes:
    """A line of readings.jsonl."""
    # a path that is not valid Unicode contains lone surrogates, which must be escaped
    text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace") + b"\n"


def csv_bytes(cells: Iterable[str]) -> bytes:
    """A line of readings.csv."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class ResultFile:
    """One file of a results folder; to add a kind of file, add an entry to ``result_files``.

    Attributes:
        name: file name.
        header: its first bytes.
        encode: the bytes of one record, line end included.
    """

    name: str
    header: bytes
    encode: Callable[[RecordJson], bytes]


JSON_LINES, TABLE = "readings.jsonl", "readings.csv"
FILES = tuple(sorted((JSON_LINES, TABLE)))
"""Files of a results folder."""


def result_files(fields: Sequence[str] = ()) -> tuple[ResultFile, ...]:
    """In writing order; a run is resumed from the first, which has all values.

    Args:
        fields: names of the station's fields, the last columns of the table.
    """
    return (
        ResultFile(JSON_LINES, b"", json_bytes),
        ResultFile(TABLE, csv_bytes((*COLUMNS, *fields)), lambda line: csv_bytes(csv_row(line, fields))),
    )
