"""From a folder to an audit, on the command line."""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from stub_model import write_stub

from serialread.weights import shipped_model

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "sample_images"
SHIPPED = (ROOT / "serialread" / "weights" / "serialread.onnx").is_file()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped model; a stub if there is none."""
    if SHIPPED:
        return shipped_model()
    pytest.importorskip("onnx")
    return write_stub(tmp_path_factory.mktemp("model") / "stub.onnx")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures of two batches, one of them truncated, and a file that is not a picture."""
    folder = tmp_path_factory.mktemp("pictures")
    for name in ("assembly/01.jpg", "assembly/02.jpg", "press-shop/01.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(SAMPLES / name, folder / name)
    torn = (SAMPLES / "press-shop/02.jpg").read_bytes()
    (folder / "press-shop/02.jpg").write_bytes(torn[: len(torn) // 2])
    (folder / "labels.csv").write_text("filename,text\n", encoding="utf-8")
    return folder


def serialread(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serialread", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "readings.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_is_read_resumed_and_audited(model: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = serialread("read", folder, "--out", out, "--model", model)
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr
    assert f"{out}: readings.csv, readings.jsonl; 1 rejected, see the column reason\n" in done.stdout
    assert "1 file skipped (not a picture suffix): labels.csv\n" in done.stdout
    found = rows(out)
    assert [r["image"] for r in found] == [
        "assembly/01.jpg",
        "assembly/02.jpg",
        "press-shop/01.jpg",
        "press-shop/02.jpg",
    ]
    assert [r["decision"] for r in found] == ["REVIEW", "REVIEW", "REVIEW", "REJECT"]
    assert found[3]["reason"].startswith("truncated")

    again = serialread("read", folder, "--out", out, "--model", model)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert again.stderr.startswith(f"error: {out}: already holds results.")

    resumed = serialread("read", folder, "--out", out, "--model", model, "--resume", "--strict")
    assert resumed.returncode == 3, resumed.stderr
    assert rows(out) == found

    audit = serialread("audit", out, "--truth", SAMPLES / "labels.csv", "--out", tmp_path / "audit")
    assert audit.returncode == 0, audit.stderr
    log = serialread("log", "verify", out / "runs.log")
    assert log.returncode == 0, log.stdout
    assert "the chain is intact (lines: 2, unchanged files: 2)." in log.stdout


def test_every_record_has_the_station_s_id(model: Path, folder: Path, tmp_path: Path) -> None:
    station = ROOT / "calib" / "bench-camera.toml"
    done = serialread("read", folder / "assembly", "--out", tmp_path, "--model", model, "--station", station)
    assert done.returncode == 0, done.stderr
    assert all(r["station_id"].startswith("bench-camera-") for r in rows(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["read", "NOWHERE", "--out", "OUT"], 1, "error: NOWHERE: no such file or folder. Check the path.\n"),
        (["read", "FOLDER", "--out", "OUT", "--resume", "--overwrite"], 2, "--overwrite"),
        (["read", "FOLDER", "--resume"], 2, "--out"),
        (["read", "FOLDER", "--out", "OUT", "--model", "NONE"], 1, "error: NONE: no such model. Make one: "),
        (["read", "FOLDER", "--out", "OUT", "--engine", "tea"], 2, "tea"),
        (["read", "FOLDER", "--out", "OUT", "--station", "NONE"], 1, "error: "),
        (
            ["read", "FOLDER", "--out", "OUT", "--format", "vni"],
            1,
            "error: format 'vni': no such format. Choose ",
        ),
        (["station", "confidence", "FOLDER", "--misread", "1", "--out", "OUT"], 2, "--misread"),
    ],
)
def test_a_bad_request_is_an_error_before_anything_is_written(
    folder: Path, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    known = {"FOLDER": str(folder), "OUT": str(tmp_path / "out")}
    done = serialread(*(known.get(a, a) for a in arguments))
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_shipped_model_reads_the_sample_pictures(tmp_path: Path) -> None:
    done = serialread("read", SAMPLES, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    with (SAMPLES / "labels.csv").open(encoding="utf-8", newline="") as file:
        truths = {row["filename"]: row["text"] for row in csv.DictReader(file)}
    right = sum(r["text"] == "".join(truths[r["image"]].split()) for r in rows(tmp_path))
    assert right >= 0.6 * len(truths)  # a broken reader reads none
