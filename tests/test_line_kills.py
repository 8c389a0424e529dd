"""A kill in the middle of a PLC's handshake or of a Scan leaves one result, or a state that asks again."""

import asyncio
import json
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from interface_cases import free_port
from line_cases import STATION, picture, video
from stub_model import write_stub
from test_modbus_server import Plc
from test_opcua_server import connected

from benchmarks.line_service import READY_S, RunningLine
from serialread.config.line_sinks import OpcUaSinkConfig
from serialread.line.handshake import Command, Status


@pytest.fixture
def line(tmp_path: Path) -> Iterator[RunningLine]:
    """A line with a camera; tests add a sink."""
    running = RunningLine(tmp_path, write_stub(tmp_path / "stub.onnx"))
    parts = video(tmp_path / "parts.avi", [picture()] * 50)
    (tmp_path / "press.toml").write_text(STATION)
    file = tmp_path / "LINE.toml"
    text = file.read_text().replace('name = "press"', 'name = "press"\nfile = "press.toml"', 1)
    camera = f'[[cameras]]\nkind = "video"\nstation = "press"\naddress = "{parts}"\n'
    file.write_text(text + camera)
    yield running
    if running.process is not None and running.process.poll() is None:
        running.stop(signal.SIGKILL)


def add_sink(line: RunningLine, settings: str) -> None:
    file = line.folder / "LINE.toml"
    file.write_text(f"{file.read_text()}[[sinks]]\n{settings}")


def accepted(line: RunningLine) -> int:
    """Number of triggers in the journal of a stopped line."""
    with closing(sqlite3.connect(line.folder / "spool" / "line.sqlite")) as journal:
        return int(journal.execute("SELECT COUNT(*) FROM triggers").fetchone()[0])


@pytest.mark.parametrize("moments", [(0.0, 0.003, 0.02, None)])
def test_after_a_kill_the_plc_gets_the_result_of_its_trigger_or_may_trigger_again(
    line: RunningLine, moments: tuple[float | None, ...]
) -> None:
    port = free_port()
    add_sink(line, f'kind = "modbus"\nname = "plc"\nport = {port}\n')
    line.start()
    plc, numbers = Plc(port, start_s=READY_S), list[int]()
    for seconds in moments:
        plc.until(Status.READY)
        plc.command(Command.TRIGGER)
        if seconds is None:
            plc.until(Status.DONE)
        else:
            time.sleep(seconds)
        plc.client.close()
        line.stop(signal.SIGKILL)
        kept = accepted(line)
        line.start()
        plc = Plc(port, start_s=READY_S)
        first = plc.status()[0]
        assert first == Status.READY if kept == len(numbers) else first in (Status.BUSY, Status.DONE)
        if first != Status.READY:
            numbers.append(plc.until(Status.DONE)[5])
            plc.command(Command.ACKNOWLEDGE)
            plc.command(0)
    plc.until(Status.READY)
    plc.client.close()
    line.stop()
    assert numbers == [*range(1, len(numbers) + 1)] != []
    assert [one["number"] for one in line.written()] == numbers


def test_after_a_kill_the_result_of_a_scan_is_the_last_one_or_the_scan_was_never_accepted(
    line: RunningLine,
) -> None:
    endpoint = f"opc.tcp://127.0.0.1:{free_port()}/serialread/"
    settings = OpcUaSinkConfig(kind="opcua", name="ua", endpoint=endpoint)
    add_sink(line, f'kind = "opcua"\nname = "ua"\nendpoint = "{endpoint}"\n')

    async def scan_and_kill() -> None:
        async with connected(settings) as session:
            with suppress(Exception):  # the connection is lost
                scan = asyncio.create_task(session.scan())
                await asyncio.sleep(0.03)
                line.stop(signal.SIGKILL)
                await asyncio.wait_for(scan, 5)

    async def last_and_next() -> tuple[str, str]:
        async with connected(settings) as session:
            last = await session.device.get_child(f"{session.own}:LastResult")
            while line.get("/v1/stations")["stations"][0]["results"] < kept:
                await asyncio.sleep(0.1)
            before = ""
            while kept and not before:
                before = await last.read_value()
            (found,), _ = await session.scan()
            return before, found.ScanData.String

    line.start()
    asyncio.run(scan_and_kill())
    kept = accepted(line)
    line.start()
    before, text = asyncio.run(last_and_next())
    line.stop()
    written = line.written()
    assert [one["number"] for one in written] == list(range(1, kept + 2))
    assert text == written[-1]["text"] == "97"
    assert not kept or json.loads(before)["trigger"] == written[0]["trigger"]
