"""A logged run done again: equal in every digit while nothing changed, and telling what did."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from stub_model import write_stub
from typer.testing import CliRunner

from serialread import cli, run_log
from serialread.auditing import rerun
from serialread.errors import RecordsError

pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stub(tmp_path_factory.mktemp("model") / "stub.onnx")


@pytest.fixture
def log(model: Path, tmp_path: Path) -> Path:
    """The log of a run over five pictures, one of them torn, with a station and a format."""
    folder = tmp_path / "pictures" / "a"
    folder.mkdir(parents=True)
    for number in range(4):
        pixels = np.full((40, 120 + 30 * number), 210, np.uint8)
        cv2.putText(pixels, f"A{number}", (10, 32), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 30, 3)
        cv2.imwrite(str(folder / f"{number}.png"), pixels)
    (folder / "torn.png").write_bytes((folder / "0.png").read_bytes()[:70])
    station = tmp_path / "station.toml"
    station.write_text('name = "bench"\n')
    read = ["read", str(tmp_path / "pictures"), "--out", str(tmp_path / "out"), "--model", str(model)]
    done = CliRunner().invoke(cli.app, [*read, "--station", str(station), "--format", "##"])
    assert done.exit_code == 0, done.output
    return tmp_path / "out" / "runs.log"


def test_nothing_changed_is_equal_in_every_digit(log: Path, model: Path) -> None:
    done = rerun(log, model)
    assert (done.ok, done.pictures, done.equal, done.circumstances) == (True, 5, 5, [])
    assert done.summary() == (
        f"{log}: line 1: 5 pictures, 5 read again with equal results.\n"
        "Same model, versions, engine and processor."
    )


def test_a_moved_folder_is_read_again_as_before(log: Path, model: Path, tmp_path: Path) -> None:
    # the log names its pictures and results from its own folder; the model lies elsewhere
    shipped = json.loads(log.read_text())["options"]["model"]
    assert not Path(shipped).is_absolute()
    (log.parents[1] / "out").rename(log.parents[1] / "results")
    assert rerun(log.parents[1] / "results" / "runs.log", model).ok


def test_pictures_whose_names_had_to_become_longer_are_found(model: Path, tmp_path: Path) -> None:
    for folder, text in (("line1", "A1"), ("line2", "B2")):
        (tmp_path / folder).mkdir()
        pixels = np.full((40, 120), 210, np.uint8)
        cv2.putText(pixels, text, (10, 32), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 30, 3)
        cv2.imwrite(str(tmp_path / folder / "01.png"), pixels)
    places = [str(tmp_path / folder) for folder in ("line1", "line2")]
    read = ["read", *places, "--out", str(tmp_path / "out"), "--model", str(model)]
    assert CliRunner().invoke(cli.app, read).exit_code == 0
    done = rerun(tmp_path / "out" / "runs.log", model)
    assert (done.ok, done.pictures, done.equal) == (True, 2, 2)


def test_changed_and_missing_pictures_are_named(log: Path, model: Path) -> None:
    folder = log.parents[1] / "pictures" / "a"
    (folder / "1.png").unlink()
    (folder / "2.png").write_bytes((folder / "3.png").read_bytes())
    done = rerun(log, model)
    assert (done.ok, done.equal) == (False, 3)
    assert done.differences == [
        "a/1.png: the picture is missing or has changed.",
        "a/2.png: the picture is missing or has changed.",
    ]


def test_a_line_changed_by_hand_is_named_with_what_was_read(log: Path, model: Path) -> None:
    readings = log.parent / "readings.jsonl"
    first, *rest = readings.read_text("utf-8").splitlines(keepends=True)
    old = json.loads(first)
    readings.write_text(json.dumps(old | {"text": "99", "confidence": 1.0}) + "\n" + "".join(rest), "utf-8")
    assert rerun(log, model).differences == [
        "readings.jsonl has changed since line 1 wrote it.",
        f'a/0.png: text was "99", is "{old["text"]}", and confidence.',
    ]


def test_other_versions_and_processors_are_named(
    log: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_log, "processor", lambda: "Abacus")
    monkeypatch.setattr(run_log, "__version__", "9.9")
    done = rerun(log, model)
    assert done.ok
    assert done.circumstances[0].startswith("version of serialread was 0.")
    assert done.circumstances[1].endswith(", is Abacus: the last digits may differ.")


def test_the_command_ends_with_one_where_something_differs(log: Path) -> None:
    assert CliRunner().invoke(cli.app, ["log", "rerun", str(log)]).exit_code == 0
    (log.parents[1] / "pictures" / "a" / "1.png").unlink()
    done = CliRunner().invoke(cli.app, ["log", "rerun", str(log), "--line", "1"])
    assert done.exit_code == 1
    assert "a/1.png: the picture is missing or has changed." in done.output


def test_what_cannot_be_done_again_says_why(log: Path, model: Path, tmp_path: Path) -> None:
    with pytest.raises(
        RecordsError,
        match=r"none.log: no such log. serialread read and serialread audit write one with --log.",
    ):
        rerun(tmp_path / "none.log", model)
    with pytest.raises(RecordsError) as caught:
        rerun(log, model, 2)
    assert str(caught.value) == (
        f"{log}: line 2 is not a run of serialread read. The log lists its runs by line."
    )
    other = tmp_path / "other.log"
    options = {"engine": "openvino", "paths": ["x"]}
    run_log.append(other, run_log.LoggedRun("read", options, {}))
    with pytest.raises(RecordsError) as caught:
        rerun(other, model)
    assert str(caught.value) == (
        f"{other}: line 1 does not name its pictures or station. Read the pictures again."
    )
    (log.parent / "readings.jsonl").unlink()
    with pytest.raises(RecordsError) as caught:
        rerun(log, model)
    assert str(caught.value) == (
        f"{log}: readings.jsonl of line 1 is missing. Restore it to compare with it."
    )
    log.write_text(log.read_text().replace("bench", "brench"))
    with pytest.raises(RecordsError, match="line 1 was changed after it was written"):
        rerun(log, model)
