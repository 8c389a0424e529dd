"""Failures are read again for the report while their pictures and their model are there."""

import base64
import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from stub_model import write_stub
from typer.testing import CliRunner

from serialread import auditing, cli
from serialread.auditing import rerunning
from serialread.reader.serialization import key_of

pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stub(tmp_path_factory.mktemp("model") / "stub.onnx")


@pytest.fixture
def results(model: Path, tmp_path: Path) -> Path:
    """Readings of 20 pictures, all of them wrong by their truth."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(20):
        pixels = np.full((40, 100 + 12 * number), 210, np.uint8)
        cv2.putText(pixels, f"A{number}", (10, 32), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 30, 3)
        cv2.imwrite(str(folder / f"{number:02d}.png"), pixels)
    with (tmp_path / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("filename", "text"), *((f"{n:02d}.png", "<b>") for n in range(20))])
    read = ["read", str(folder), "--out", str(tmp_path / "out"), "--model", str(model)]
    assert CliRunner().invoke(cli.app, read).exit_code == 0
    return tmp_path / "out"


def audited(results: Path, model: Path, *logs: Path, most: int = rerunning.MAX_PICTURES) -> str:
    done = auditing.audit(results, results.parent / "labels.csv")
    done.with_failure_pictures(logs or (results / "runs.log",), model, most).write(results / "audit")
    return (results / "audit" / "report.html").read_text("utf-8")


def test_every_failure_has_its_picture_with_and_without_glyph_maps(results: Path, model: Path) -> None:
    page = audited(results, model)
    assert page.count('<img src="data:image/webp;base64,') == 20
    assert page.count("<mark>&lt;b</mark>") + page.count("<mark>&lt;b&gt;</mark>") == 40  # cards, errors
    with (results / "readings.csv").open(encoding="utf-8", newline="") as file:
        links = [f"?part={key_of(row['image'], row['sha256'])}" for row in csv.DictReader(file)]
    assert all(page.count(f'href="http://127.0.0.1:8400/{link}"') == 1 for link in links)
    data = page.split("data:image/webp;base64,")[1].split('"')[0]
    drawn = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    height = drawn.shape[0] // 2
    crop, maps = (part.astype(int) for part in (drawn[:height], drawn[height:]))
    assert height == rerunning.HEIGHT_PX
    assert (crop.max(axis=2) - crop.min(axis=2)).mean() < 5 < (maps.max(axis=2) - maps.min(axis=2)).mean()


def test_no_more_than_wanted_and_none_that_changed(results: Path, model: Path) -> None:
    assert audited(results, model, most=7).count("<img ") == 7
    pictures = sorted((results.parent / "pictures").iterdir())
    pictures[0].write_bytes(pictures[1].read_bytes())
    page = audited(results, model)
    assert page.count("<img ") == 19
    assert "1 more are missing, have changed, or exceed the size of this page." in page


def test_pictures_stay_below_their_part_of_the_page(
    results: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rerunning, "MAX_BYTES", 10_000)
    page = audited(results, model)
    assert 0 < page.count("<img ") < 20
    assert "more are missing, have changed, or exceed the size of this page." in page


def test_without_log_or_model_the_page_says_why(results: Path, model: Path, tmp_path: Path) -> None:
    page = audited(results, model, tmp_path / "none.log")
    assert (
        "The pictures could not be read again for this report. There is no log of the run that read them."
        in page
    )
    log = results / "runs.log"
    model.rename(model.with_suffix(".away"))
    try:
        assert "no such model" in audited(results, model, log)
    finally:
        model.with_suffix(".away").rename(model)
    assert "<img " not in page


def test_the_command_shows_them_by_default(results: Path) -> None:
    audit = ["audit", str(results), "--truth", str(results.parent / "labels.csv")]
    for option, count in (("--pictures", 20), ("--no-pictures", 0)):
        out = results / option
        assert CliRunner().invoke(cli.app, [*audit, "--out", str(out), option]).exit_code == 0
        assert (out / "report.html").read_text("utf-8").count("<img ") == count
