"""The how-to guides of the line's interfaces: settings are valid, tables current, example clients work."""

import importlib.util
import os
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from interface_cases import free_port
from line_cases import eventually, picture, read, running, settings, video
from plant_servers import mosquitto, postgres
from test_docs import DOCS, blocks

from serialread.config import LineConfig
from serialread.line import LineService

PAGES = sorted((DOCS / "line").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_are_valid(page: Path) -> None:
    for block in blocks(page, "toml"):
        LineConfig.model_validate(tomllib.loads(block))


def test_tables_are_those_of_the_code() -> None:
    spec = importlib.util.spec_from_file_location("line_tables", DOCS / "line_tables.py")
    assert spec
    assert spec.loader
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    for name in tables.TABLES:
        written = (DOCS / "line" / name).read_text(encoding="utf-8")
        assert written == tables.page(name), f"docs/line/{name} differs. Regenerate it: make docs-reference"


class Guide:
    """The settings and the example of a page, with other ports."""

    def __init__(self, page: str, ports: dict[str, str]) -> None:
        (toml,), (code,) = (blocks(DOCS / "line" / page, kind) for kind in ("toml", "python"))
        for port, other in ports.items():
            assert port in toml
            assert port in code
            toml, code = toml.replace(port, other), code.replace(port, other)
        self.tables: dict[str, Any] = tomllib.loads(toml)
        self.code = code

    @contextmanager
    def line(self, folder: Path) -> Iterator[LineService]:
        """A line with the page's sinks; its camera is a video of crops."""
        tables = {"sinks": self.tables["sinks"]}
        if "cameras" in self.tables:
            path = video(folder / "crops.avi", [picture()] * 5)
            tables["cameras"] = [{"kind": "video", "station": "press", "address": str(path)}]
        with running(settings(folder, **tables)) as service:
            yield service

    def run(self) -> list[str]:
        """The lines that the example prints."""
        command = [sys.executable, "-c", self.code]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    @contextmanager
    def started(self, **environment: str) -> Iterator["subprocess.Popen[str]"]:
        """The example while it runs: a receiver that does not end."""
        command = [sys.executable, "-u", "-c", self.code]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=os.environ | environment
        ) as process:
            try:
                yield process
            finally:
                process.kill()


def listens(port: int) -> bool:
    """Whether a server answers on a port."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def test_the_client_of_modbus_reads_a_part(tmp_path: Path) -> None:
    port = free_port()
    guide = Guide("modbus.md", {"5020": str(port)})
    with guide.line(tmp_path) as service:
        eventually(lambda: listens(port))
        (shown,) = guide.run()
        ((_, last),) = service.journal.results()
    outcome, code, confidence = shown.split()
    assert (outcome, code) == (last.outcome, last.text)
    assert float(confidence) == pytest.approx(last.record["confidence"], abs=1e-4)
    assert last.expected == "AB12"


def test_the_client_of_opcua_scans_and_gets_the_event(tmp_path: Path) -> None:
    port = free_port()
    guide = Guide("opcua.md", {"4840": str(port)})
    with guide.line(tmp_path) as service:
        eventually(lambda: listens(port), 60)
        shown = guide.run()
        ((_, last),) = service.journal.results()
    assert f"event: press {last.outcome} {last.text}" in shown
    assert any(line.startswith(f"scan: {last.text} ") for line in shown)
    assert last.expected == "AB12"


def test_the_receiver_of_telegrams_confirms_each(tmp_path: Path) -> None:
    guide = Guide("telegrams.md", {"9100": str(free_port())})
    with guide.started() as receiver, guide.line(tmp_path) as service:
        made = [read(service, picture()) for _ in range(2)]
        assert receiver.stdout is not None
        shown = [receiver.stdout.readline() for _ in made]
        eventually(lambda: not service.health().sinks["controller"].waiting, 60)
    assert shown == [f"{one.number} {one.outcome} {one.text}\n" for one in made]


def test_the_receiver_of_the_webhook_checks_the_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MES_KEY", "a secret of the plant")
    guide = Guide("webhook.md", {"8500": str(free_port())})
    with guide.started(MES_KEY="a secret of the plant") as receiver, guide.line(tmp_path) as service:
        made = [read(service, picture()) for _ in range(2)]
        assert receiver.stdout is not None
        shown = [receiver.stdout.readline() for _ in made]
        eventually(lambda: not service.health().sinks["mes"].waiting, 60)
    assert shown == [f"{one.number} {one.outcome} {one.text}\n" for one in made]


@pytest.mark.plant
def test_the_client_of_mqtt_triggers_and_prints_the_result(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        guide = Guide("mqtt.md", {"1883": str(broker.port)})
        guide.tables["cameras"] = []
        with guide.line(tmp_path) as service:
            (shown,) = guide.run()
            ((_, last),) = service.journal.results()
    assert shown == " ".join((last.outcome, last.text, *last.reasons))
    assert last.expected == "AB12"


@pytest.mark.plant
def test_the_query_of_postgres_counts_outcomes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANT_PASSWORD", "any")
    with postgres() as server:
        place = {"5432": str(server.port)}
        guide = Guide("postgres.md", place | {"//serialread@": "//plant@", '/plant"': '/postgres"'})
        with guide.line(tmp_path) as service:
            made = [read(service, picture()) for _ in range(3)]
            eventually(lambda: not service.health().sinks["mes"].waiting, 60)
        shown = guide.run()
    assert sum(int(line.split()[-1]) for line in shown) == len(made)
