"""The example files of a deployment fit the service."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from serialread.config import load_line
from serialread.line.line_metrics import LineMetrics
from serialread.line.openapi import openapi_document
from serialread.line.ports import LineHealth

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    text = (DEPLOY / "serialread-line@.service").read_text()
    assert "ExecStart=/opt/serialread/bin/serialread line /etc/serialread/%i.toml" in text
    unit = tmp_path / "serialread-line@press.service"
    unit.write_text(text.replace("/opt/serialread/bin/serialread", sys.executable))
    if analyze := shutil.which("systemd-analyze"):  # only where systemd is installed
        command = [analyze, "verify", "--man=no", str(unit)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert [line for line in done.stderr.splitlines() if "serialread" in line] == []
        assert done.returncode == 0, done.stderr


def test_the_container_installs_extras_and_files_that_exist() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (extras,) = re.findall(r"/src\[([\w,]+)\]", text)
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    for name in re.findall(r"^COPY (.*) /src/", text, re.MULTILINE)[0].split():
        assert (ROOT / name).exists()


def test_the_dashboard_asks_for_metrics_that_exist() -> None:
    dashboard = json.loads((DEPLOY / "grafana.json").read_text())
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"serialread_\w+", target["expr"])
    }
    metrics = LineMetrics(lambda: LineHealth(True, {}, {}))
    known = set(re.findall(r"# TYPE (\w+)", metrics.exposition().decode()))
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in asked} <= known


def test_the_flow_is_connected_and_calls_addresses_that_exist() -> None:
    nodes = json.loads((DEPLOY / "node-red.json").read_text())
    ids = {node["id"] for node in nodes}
    assert {to for node in nodes for wires in node.get("wires", []) for to in wires} <= ids
    paths = set(re.findall(r"8401(/[\w/]+)", json.dumps(nodes)))
    assert paths <= set(openapi_document()["paths"])


def test_the_example_line_is_valid() -> None:
    config = load_line(DEPLOY / "LINE.toml")
    assert config.folder == DEPLOY / "spool"
    assert [source.kind for source in config.sources] == ["folder"]
