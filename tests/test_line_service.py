"""Every accepted trigger has exactly one result, which reaches every sink in order."""

import json
import sqlite3
from pathlib import Path

from line_cases import picture, read, running, settings

from serialread.line import Result


def test_a_trigger_is_read_and_reaches_every_sink(tmp_path: Path) -> None:
    sinks = [
        {"kind": "jsonl", "name": "lines", "folder": "lines"},
        {"kind": "csv", "name": "table", "folder": "table"},
        {"kind": "sqlite", "name": "database", "path": "database/line.sqlite"},
    ]
    with running(settings(tmp_path, sinks=sinks)) as service:
        made = [read(service, picture(5)), read(service, picture(9), expected="X")]
    assert [one.number for one in made] == [1, 2]
    (lines,) = (tmp_path / "lines").iterdir()
    assert [Result.of_json(json.loads(line)) for line in lines.read_text().splitlines()] == made
    (table,) = (tmp_path / "table").iterdir()
    assert len(table.read_text().splitlines()) == 3
    rows = sqlite3.connect(tmp_path / "database" / "line.sqlite").execute(
        "SELECT trigger FROM results ORDER BY number"
    )
    assert [row for (row,) in rows] == [one.trigger for one in made]
