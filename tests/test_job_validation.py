"""Golden pictures pass or fail a station: their texts, their decisions, the report and the exit code."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from stub_model import write_stub
from typer.testing import CliRunner

from serialread import cli, run_log, validate
from serialread.calibration import save_station
from serialread.config import Station
from serialread.errors import CalibrationError, RecordsError
from serialread.reader import Reader

Rows = list[tuple[str, str, str]]


def golden(folder: Path, rows: Rows, header: str = "filename,text,decision") -> Path:
    """A golden folder with a picture for every name that does not start with ``gone``."""
    folder.mkdir(parents=True)
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        file.write(header + "\n")
        csv.writer(file).writerows(rows)
    for number, name in enumerate({name for name, *_ in rows if not name.startswith("gone")}):
        pixels = np.random.default_rng(number).integers(60, 200, (32, 90), np.uint8)
        pixels[:, :8] = pixels[:, -8:] = 130  # nothing touches the borders
        cv2.imwrite(str(folder / name), pixels)
    return folder


@pytest.fixture
def station(tmp_path: Path) -> Path:
    save_station(Station(name="press"), tmp_path / "press.toml")
    return tmp_path / "press.toml"


def test_texts_and_decisions_are_compared(tmp_path: Path, station: Path) -> None:
    model = write_stub(tmp_path / "stub.onnx")
    rows = [("a.png", "x", ""), ("b.png", "", ""), ("c.png", "", "reject")]
    folder = golden(tmp_path / "golden", rows)
    text = Reader(model).read(folder / "a.png").text
    found = validate(station, model=model)

    assert [bool(result.problem) for result in found.results] == [True, False, True]
    assert found.summary().split("\n") == [
        f"FAIL: 1 of 3 golden pictures as expected ({folder})",
        f"a.png: read {text} instead of x",
        "c.png: REVIEW instead of REJECT",
    ]
    (folder / "labels.csv").write_text(f"filename;text\na.png;{text[0]} {text[1:]}\n")
    assert validate(station, folder, model=model).ok


def test_a_picture_without_text_and_decision_must_not_be_accepted(tmp_path: Path) -> None:
    model, folder = write_stub(tmp_path / "stub.onnx"), golden(tmp_path / "g", [("a.png", "", "")])
    accepting = Station(model_id="stub-000000000000", limits={"accept_at": 0.0})
    (result,) = validate(accepting, folder, model=model).results
    expected = "" if result.decision != "ACCEPT" else f"{result.text} was accepted, nothing may be"
    assert (result.decision, result.problem) == ("ACCEPT", expected)


def test_the_command_fails_with_3_and_its_report_is_in_the_hash_chain(tmp_path: Path, station: Path) -> None:
    model, out = write_stub(tmp_path / "stub.onnx"), tmp_path / "out"
    golden(tmp_path / "golden", [("a.png", "x", ""), ("b.png", "", "REVIEW")])
    words = ["validate", str(station), "--model", str(model), "--out", str(out), "--operator", "mk"]
    done = CliRunner().invoke(cli.app, words)

    assert done.exit_code == 3
    assert done.stdout.startswith("FAIL: 1 of 2 golden pictures as expected")
    document = json.loads((out / "validation.json").read_text())
    assert (document["passed"], document["images"], document["failed"]) == (False, 2, ["a.png"])
    table = list(csv.DictReader((out / "validation.csv").read_text().splitlines()))
    assert [row["expected_decision"] for row in table] == ["", "REVIEW"]
    assert run_log.verify(out / "runs.log").ok
    line = run_log.run_of(out / "runs.log", "validate")
    assert (line["operator"], line["about"]["passed"]) == ("mk", False)
    assert {"press.toml", "stub.onnx", "labels.csv"} == {Path(name).name for name in line["inputs"]}

    (tmp_path / "golden" / "labels.csv").write_text("filename,text,decision\nb.png,,REVIEW\n")
    assert CliRunner().invoke(cli.app, words).exit_code == 0


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no golden pictures in it. Add one line each: filename,text,decision."),
        ([("a.png", "1", ""), ("a.png", "2", "")], "a.png has two lines. Keep the right one."),
        (
            [("a.png", "1", "good")],
            "a.png: no decision good. Write ACCEPT, REVIEW or REJECT, or leave it empty.",
        ),
    ],
)
def test_a_damaged_table_is_named(tmp_path: Path, station: Path, rows: Rows, message: str) -> None:
    golden(tmp_path / "golden", rows)
    with pytest.raises(RecordsError) as caught:
        validate(station)
    assert str(caught.value) == f"{tmp_path / 'golden' / 'labels.csv'}: {message}"


def test_a_missing_golden_picture_is_an_error_and_no_failure(tmp_path: Path, station: Path) -> None:
    folder = golden(tmp_path / "golden", [("gone.png", "1", "")])
    with pytest.raises(CalibrationError, match=r"no picture gone\.png in images/ or the folder"):
        validate(station)
    with pytest.raises(RecordsError) as caught:
        validate(Station())
    assert str(caught.value) == (
        "validate: a station without a file. Name the folder of its golden pictures."
    )
    assert folder.is_dir()
