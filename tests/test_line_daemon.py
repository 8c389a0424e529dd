"""The process of a line: signals, systemd, the audit log, kills, hostile requests, a slow writer."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import httpx2
import pytest
from line_cases import STATION, eventually, picture
from stub_model import write_stub
from typer.testing import CliRunner

from benchmarks.line_service import RunningLine, dropped, hostile, kill
from serialread import cli, run_log
from serialread.review import ReviewPictures, ReviewQueue, ReviewStore
from serialread.review.queue import Filters


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stub(tmp_path_factory.mktemp("model") / "stub.onnx")


@pytest.fixture
def line(tmp_path: Path, model: Path) -> Iterator[RunningLine]:
    running = RunningLine(tmp_path, model)
    file = tmp_path / "LINE.toml"
    file.write_text(file.read_text().replace('name = "press"', 'name = "press"\nfile = "press.toml"', 1))
    (tmp_path / "press.toml").write_text(STATION)
    yield running
    if running.process is not None and running.process.poll() is None:
        running.stop(signal.SIGKILL)


def test_signals_reload_and_stop_and_systemd_hears_of_it(
    line: RunningLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(tmp_path / "notify"))
        told.settimeout(60)
        line.start()
        assert told.recv(100) == b"READY=1"
        assert told.recv(100) == told.recv(100) == b"WATCHDOG=1"

    def outcome() -> str:
        return str(httpx2.post(f"{line.address}/v1/read", content=picture(5), timeout=30).json()["outcome"])

    assert outcome() == "PASS"
    (tmp_path / "press.toml").write_text("view = 3")
    assert line.process is not None
    line.process.send_signal(signal.SIGHUP)
    eventually(lambda: "not reloaded" in line.log())
    assert outcome() == "PASS"
    (tmp_path / "press.toml").write_text(STATION.replace("accept_at = 0.5", "accept_at = 0.99"))
    line.process.send_signal(signal.SIGHUP)
    eventually(lambda: "are read again" in line.log())
    assert outcome() == "REVIEW"
    assert line.stop() == 0
    found = run_log.verify(tmp_path / "spool" / "audit.log")
    assert (found.ok, found.lines) == (True, 4)
    actions = [json.loads(one) for one in (tmp_path / "spool" / "audit.log").read_text().splitlines()]
    assert [one["command"] for one in actions] == ["line start", "line reload", "line reload", "line stop"]
    assert "refused" in actions[1]["about"]
    log = [json.loads(one) for one in (tmp_path / "log.jsonl").read_text().splitlines() if one[:1] == "{"]
    assert {"at", "level", "logger", "message"} == set(log[0])


def test_a_killed_line_loses_and_repeats_nothing(tmp_path: Path, model: Path) -> None:
    measured = kill(tmp_path, model, times=2)
    assert measured.faults == []
    assert measured.results >= measured.by_rest + measured.by_folder > 0


def test_each_picture_of_slow_writers_that_rename_and_overwrite_is_read_once(
    tmp_path: Path, model: Path
) -> None:
    measured = dropped(tmp_path, model, count=30)
    assert measured.faults == []
    assert measured.versions > measured.pictures, "some were overwritten"
    assert measured.pictures <= measured.results <= measured.versions


def test_hostile_requests_do_no_harm(tmp_path: Path, model: Path) -> None:
    measured = hostile(tmp_path, model, count=150)
    assert measured.faults == []
    assert set(measured.statuses) <= {0, 100, 200, 202, 400, 401, 403, 404, 405, 408, 413, 421, 422, 429, 503}
    assert measured.open_files[1] <= measured.open_files[0] + 10, asdict(measured)


def test_watch_prints_what_appears(tmp_path: Path, model: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(picture(5))
    command = [sys.executable, "-m", "serialread", "watch", "in", "--out", "out", "--model", str(model)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "a.png\t57\t0.977\tREVIEW\n"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("days", "done", "failed", "journal", "readings.csv", "readings.jsonl")
    }
    store = ReviewStore(tmp_path / "out")
    queue = ReviewQueue(store, tmp_path / "out", 0, 0)
    (task,) = queue.next("Ann", 5, Filters(), ())
    shown = queue.reading(task.part)
    assert shown is not None
    assert shown["text"] == "57"
    assert ReviewPictures(tmp_path / "out", [tmp_path / "out" / "done"], None).picture(shown)
    store.close()


def test_a_folder_that_does_not_exist_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli.app, ["watch", str(tmp_path / "inn"), "--out", str(tmp_path / "out")])
    assert str(done.exception) == f"{tmp_path / 'inn'}: no such folder. Create it, or correct the path."
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--host", "0.0.0.0"],
            "--host 0.0.0.0: others can reach this address. Give --key env:NAME, too.",
        ),
        (
            ["--key", "secret"],
            "--key: give env:NAME, the environment variable that holds the key, not the key itself.",
        ),
    ],
)
def test_serve_says_which_option_is_wrong(options: list[str], message: str) -> None:
    done = CliRunner().invoke(cli.app, ["serve", *options])
    assert str(done.exception) == message


def test_a_wrong_file_is_one_error_with_all_problems(tmp_path: Path) -> None:
    file = tmp_path / "LINE.toml"
    file.write_text('folder = 3\n[[stations]]\nname = "a b"\n[[sources]]\nkind = "ftp"\n[web]\nports = 1\n')
    done = CliRunner().invoke(cli.app, ["line", str(file), "--check"])
    assert done.exit_code == 1
    message = str(done.exception)
    assert message.startswith(f"{file}: 4 problems: ")
    for part in (
        "folder: ",
        "stations.0.name: ",
        "sources.0: no kind 'ftp'",
        "web.ports: no such key (did you",
    ):
        assert part in message


def test_check_says_what_would_run(tmp_path: Path, line: RunningLine) -> None:
    done = CliRunner().invoke(cli.app, ["line", str(tmp_path / "LINE.toml"), "--check"])
    assert done.exit_code == 0, done.output
    assert "valid: stations press; model stub-000000000000" in done.stdout
