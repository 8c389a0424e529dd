"""Labels in and out: tables for the audit and the study of agreement; exports of Label Studio and CVAT."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

from serialread import run_log
from serialread.errors import RecordsError, writing_errors
from serialread.imaging import PICTURE_SUFFIXES
from serialread.label_tables import LABEL_COLUMNS, read_table
from serialread.reader.serialization import csv_bytes
from serialread.review.queue import ReviewQueue
from serialread.review.store import DATABASE, Call, CallLabel, Role, settled

LABELS, CALLS = "labels.csv", "calls.csv"
"""Exported tables: the settled labels, and the calls of both reviewers for ``study agreement``."""

_TEXT_NAMES = frozenset({"text", "transcription", "code", "serial", "label", "value"})
_UPLOADED = re.compile(r"^[0-9a-f]{8}-(?=.)")  # Label Studio's prefix of an uploaded file


def labels_csv(queue: ReviewQueue) -> bytes:
    """The settled labels: filename, text, label, reviewer and the text that was read.

    Only ``read`` and ``wrong crop`` have a text; disputed readings are left out.
    """
    lines = [csv_bytes((*LABEL_COLUMNS, "label", "reviewer", "reading"))]
    for part, line in queue.readings():
        if call := settled(queue.store.calls(part)):
            lines.append(csv_bytes((line["image"], call.text, call.label, call.reviewer, line["text"])))
    return b"".join(lines)


def calls_csv(queue: ReviewQueue) -> bytes:
    """First and second calls of the readings that two people reviewed, as ``study agreement`` reads them."""
    lines = [csv_bytes(("filename", "appraiser", "trial", "text"))]
    for part, line in queue.readings():
        calls = queue.store.calls(part)
        if "first" in calls and "second" in calls:
            pair = (calls["first"], calls["second"])
            lines += (csv_bytes((line["image"], call.reviewer, "1", call.text)) for call in pair)
    return b"".join(lines)


def export_labels(queue: ReviewQueue, out: Path, operator: str = "") -> tuple[Path, ...]:
    """Write ``labels.csv`` and ``calls.csv`` and log them in ``runs.log`` beside them; returns their paths.

    Raises:
        RecordsError: the folder cannot be written.
    """
    written = (out / LABELS, out / CALLS)
    with writing_errors(out, RecordsError, "Name another folder."):
        out.mkdir(parents=True, exist_ok=True)
        for path, data in zip(written, (labels_csv(queue), calls_csv(queue)), strict=True):
            path.write_bytes(data)
    about = {
        "review": run_log.named(queue.store.folder / DATABASE, out / run_log.LOG),
        "head": queue.store.head,
    }
    run = run_log.LoggedRun("review", {"export": True}, about, (), written, operator)
    run_log.append(out / run_log.LOG, run)
    return written


@dataclass(slots=True)
class LabelImport:
    """What an import did.

    Attributes:
        saved: calls that are new.
        same: labels that say what is settled already, or that were imported before.
        left_out: reasons and their counts.
    """

    path: Path
    saved: int = 0
    same: int = 0
    left_out: Counter[str] = field(default_factory=Counter)

    def summary(self) -> str:
        """The result in one line."""
        from serialread.auditing.wording import counted

        parts = [f"{counted(self.saved, 'label')} imported", f"{self.same:,} known before"]
        parts += [f"{count:,} left out ({reason})" for reason, count in sorted(self.left_out.items())]
        return f"{self.path}: {', '.join(parts)}"


@dataclass(frozen=True, slots=True)
class _Found:
    """A label of a file."""

    filename: str
    text: str
    label: str = ""
    reviewer: str = ""


def import_labels(queue: ReviewQueue, path: Path, operator: str = "") -> LabelImport:
    """Import a table of labels, or an export of Label Studio (JSON) or CVAT (XML, for images).

    An imported label is a call like any other: where somebody else has decided before, it is the second call,
    and a difference is disputed. Where two people have decided, agreeing or not, it is left out. Importing a
    file again changes nothing.

    Args:
        queue: the readings.
        path: the file. Pictures are found by their path, or by a file name that is unique on both sides.
        operator: reviewer of labels that do not name one; the file's name if not given.

    Raises:
        RecordsError: the file cannot be read, or is none of these.
    """
    import pandas as pd

    from serialread.auditing.matching import (  # with pandas: 130 MB that the page does not need
        located,
        partners,
    )

    found, done = list(_labels_of(path)), LabelImport(path)
    known = list(queue.readings())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    settled_names = located(pd.Series([line["image"] for _, line in known], dtype=object))
    settled_names = settled_names.drop_duplicates("path")
    places = settled_names.index.to_numpy()
    names = pd.Series([label.filename for label in found], dtype=object)
    place = partners(located(names), settled_names.reset_index(drop=True))
    for number, (label, row) in enumerate(zip(found, place.tolist(), strict=True)):
        if reason := _missing(label, known=row >= 0):
            done.left_out[reason] += 1
            continue
        part, line = known[places[row]]
        who = label.reviewer or operator or path.name
        try:
            call = Call.of(label.label or CallLabel.READ, label.text, who, "import")
        except RecordsError as error:
            done.left_out[str(error).partition(".")[0]] += 1
            continue
        calls, request = queue.store.calls(part), f"import {digest} {number} {call.reviewer}"
        if queue.store.knows(request) or _is_known(calls, call):
            done.same += 1
        elif calls.keys() <= {"first"}:
            queue.store.save(part, line["image"], call, request)
            done.saved += 1
        else:
            done.left_out["decided by two people"] += 1
    return done


def _missing(label: _Found, *, known: bool) -> str:
    """Why a label cannot be used; "" if it can."""
    if not label.filename:
        return "no name of a picture"
    if not known:
        return "no reading of this picture"
    return "" if label.text or label.label else "no text"


def _is_known(calls: Mapping[Role, Call], call: Call) -> bool:
    """Whether its reviewer has said so before, or two calls have settled it so."""
    said = any(one.reviewer == call.reviewer and one.agrees(call) for one in calls.values())
    before = settled(calls) if len(calls) > 1 else None
    return said or (before is not None and before.agrees(call))


def _labels_of(path: Path) -> Iterator[_Found]:
    match path.suffix.lower():
        case ".json":
            return _label_studio(path)
        case ".xml":
            return _cvat(path)
    return _table(path)


def _table(path: Path) -> Iterator[_Found]:
    rows = read_table(path, LABEL_COLUMNS).rows
    for row in rows.to_dict("records"):
        if row["filename"].strip():
            yield _Found(row["filename"], row["text"], row.get("label", ""), row.get("reviewer", ""))


def _label_studio(path: Path) -> Iterator[_Found]:
    """Tasks of a JSON or JSON-MIN export; a task with several texts has none that is the code."""
    try:
        tasks = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RecordsError(f"{path}: cannot be read as JSON: {error}. Export it again.") from None
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise RecordsError(f"{path}: not a list of tasks. Export as JSON or JSON-MIN from Label Studio.")
    for task in tasks:
        done = [one for one in _objects(task.get("annotations")) if not one.get("was_cancelled")]
        areas = [one for annotation in done for one in _objects(annotation.get("result"))]
        texts = [area.get("value") for area in areas if area.get("type") == "textarea"]
        if "data" not in task:
            texts = [value for key, value in task.items() if key.lower() in _TEXT_NAMES]
        yield _Found(_studio_picture(task.get("data", task)), _single(texts), reviewer=_studio_name(done))


def _objects(value: object) -> list[dict[str, Any]]:
    """The objects in a list of an export, where there is one."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _studio_picture(data: object) -> str:
    """Name of a task's picture: without the address of a server, its query and the prefix of an upload."""
    urls = [value for value in data.values() if isinstance(value, str)] if isinstance(data, dict) else []
    for url in urls:
        address, _, query = url.partition("?")
        local = query[2:] if query.startswith("d=") else ""
        for place in map(unquote, (local, address, url)):
            name = place.partition("://")[2] or place
            if Path(name).suffix.lower() in PICTURE_SUFFIXES:
                folder, slash, file = name.rpartition("/")
                uploaded = "/data/upload/" in f"/{folder}/"
                return _UPLOADED.sub("", file) if uploaded else f"{folder}{slash}{file}"
    return ""


def _studio_name(annotations: list[dict[str, Any]]) -> str:
    by = annotations[0].get("completed_by") if annotations else None
    return str(by.get("email") or by.get("id", "")) if isinstance(by, dict) else f"user {by}" if by else ""


def _cvat(path: Path) -> Iterator[_Found]:
    """Images of a "CVAT for images" export: their attributes that are called text, code or alike."""
    try:
        root = ElementTree.parse(path).getroot()  # loads no external entities
    except (OSError, ElementTree.ParseError) as error:
        raise RecordsError(f"{path}: cannot be read as XML: {error}. Export it again.") from None
    if root.tag != "annotations":
        raise RecordsError(f'{path}: no CVAT export. Export it from CVAT as "CVAT for images 1.1".')
    for image in root.iter("image"):
        attributes = image.iter("attribute")
        texts = [one.text for one in attributes if one.get("name", "").lower() in _TEXT_NAMES]
        yield _Found(image.get("name", ""), _single(texts))


def _single(texts: list[Any]) -> str:
    """The text that all entries agree on; "" if there is none, or several."""
    distinct = set(_strings(texts)) - {""}
    return distinct.pop() if len(distinct) == 1 else ""


def _strings(value: object) -> Iterator[str]:
    """The texts in a value of an export: strings, what has a ``text``, and lists of both."""
    match value:
        case str():
            yield value
        case list():
            for one in value:
                yield from _strings(one)
        case {"text": text}:
            yield from _strings(text)
