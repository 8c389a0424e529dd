"""A PLC, played by the client of pymodbus, triggers readings and takes results."""

import random
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from interface_cases import StubLine, free_port, result
from line_cases import eventually
from pymodbus.client import ModbusTcpClient

from serialread.config.line_sinks import ModbusSinkConfig
from serialread.errors import LineError, RecipeError
from serialread.line import BadTrigger, CameraDown, SinkDown
from serialread.line.handshake import (
    COMMAND,
    EXPECTED_LENGTH,
    READABLE,
    STATUS,
    Command,
    Status,
    registers_of,
)
from serialread.line.modbus_server import ModbusServer
from serialread.line.ports import NotAcknowledged


class Plc:
    """The PLC's side of the handshake."""

    def __init__(self, port: int, start_s: float = 20) -> None:
        self.client = ModbusTcpClient("127.0.0.1", port=port, timeout=20)
        eventually(self.client.connect, start_s)

    def command(self, word: int) -> None:
        """Write the command word."""
        assert not self.client.write_register(COMMAND, int(word)).isError()

    def expect(self, code: str) -> None:
        """Write the expected code."""
        self.client.write_registers(EXPECTED_LENGTH, [len(code), *registers_of(code.encode())])

    def status(self) -> list[int]:
        """Read the registers of the result."""
        return list(self.client.read_holding_registers(STATUS, count=len(READABLE)).registers)

    def until(self, status: Status) -> list[int]:
        """Wait for a status; the registers then."""
        return eventually(lambda: (found := self.status())[0] == status and found)

    def text(self) -> str:
        """The result text."""
        length, *registers = self.status()[6:]
        return b"".join(one.to_bytes(2, "big") for one in registers)[:length].decode()


@pytest.fixture(scope="module")
def line() -> StubLine:
    return StubLine()


@pytest.fixture(scope="module")
def server(line: StubLine) -> Iterator[ModbusServer]:
    yield from running(ModbusSinkConfig(kind="modbus", name="plc", port=free_port()), line)


@pytest.fixture
def plc(server: ModbusServer, line: StubLine) -> Iterator[Plc]:
    one = Plc(server._settings.port)
    line.refuses = line.answers = None
    one.command(0)
    yield one
    one.command(0)
    one.command(Command.ACKNOWLEDGE)
    one.client.close()


def running(settings: ModbusSinkConfig, line: StubLine) -> Iterator[ModbusServer]:
    server, stop = ModbusServer(settings, line.context), threading.Event()
    thread = threading.Thread(target=server.run, args=(line.accept, stop))
    thread.start()
    eventually(lambda: server._thread)
    yield server
    stop.set()
    thread.join()
    server.close()


def test_a_plc_triggers_with_an_expected_code_takes_the_result_and_acknowledges(
    plc: Plc, line: StubLine
) -> None:
    plc.expect("AB12")
    plc.command(Command.TRIGGER)
    plc.until(Status.BUSY)
    eventually(lambda: line.futures)
    assert (line.triggers[-1].expected, line.triggers[-1].source) == ("AB12", "plc")
    line.futures[-1].set_result(result("AB12", 5, trigger=line.triggers[-1].id))
    assert plc.until(Status.DONE)[3:6] == [1, 9870, 5]
    assert plc.text() == "AB12"
    plc.command(0)
    plc.command(Command.ACKNOWLEDGE)
    assert plc.status()[0] == Status.READY


def test_a_trigger_while_busy_is_an_error_and_is_not_queued(plc: Plc, line: StubLine) -> None:
    before = len(line.futures) + 1
    plc.command(Command.TRIGGER)
    eventually(lambda: len(line.futures) == before)
    plc.command(0)
    plc.command(Command.TRIGGER)
    assert plc.status()[:3:2] == [Status.BUSY | Status.ERROR, 1]
    line.futures[-1].set_result(result("AB12", trigger=line.triggers[-1].id))
    plc.until(Status.DONE | Status.ERROR)
    assert len(line.futures) == before


@pytest.mark.parametrize(("error", "code"), [(BadTrigger("no"), 3), (CameraDown("no"), 4)])
def test_a_trigger_that_the_line_refuses_is_an_error(
    plc: Plc, line: StubLine, error: LineError, code: int
) -> None:
    line.refuses = error
    plc.command(Command.TRIGGER)
    assert plc.until(Status.READY | Status.ERROR)[2] == code


def test_results_of_other_triggers_are_shown_one_by_one_and_only_once(plc: Plc, server: ModbusServer) -> None:
    results = [result(f"A{number}", number, trigger=f"folder-{number}") for number in range(3)]
    with ThreadPoolExecutor() as pool:
        delivery = pool.submit(server.deliver, results)
        for number in range(3):
            plc.until(Status.DONE)
            assert plc.text() == f"A{number}"
            plc.command(Command.ACKNOWLEDGE)
            plc.command(0)
        delivery.result(30)
    server.deliver(results)
    assert plc.status()[0] == Status.READY


def test_a_result_that_is_not_acknowledged_is_not_delivered(
    plc: Plc, server: ModbusServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serialread.line.modbus_server.PATIENCE_S", 0.2)
    with pytest.raises(NotAcknowledged, match=r"^the PLC has not acknowledged result 7$"):
        server.deliver([result(number=7, trigger="late")])
    plc.until(Status.DONE)


def test_the_result_cannot_be_written_and_other_functions_are_refused(plc: Plc) -> None:
    assert plc.client.write_register(STATUS, 1).isError()
    assert plc.client.read_coils(0).isError()
    assert plc.client.read_holding_registers(50).isError()


def test_the_heartbeat_counts(plc: Plc) -> None:
    first = plc.status()[1]
    eventually(lambda: plc.status()[1] != first)


def test_without_acknowledgement_the_newest_result_is_shown() -> None:
    line = StubLine()
    settings = ModbusSinkConfig(kind="modbus", name="plc", port=free_port(), acknowledge=False)
    for server in running(settings, line):
        plc = Plc(settings.port)
        server.deliver([result("A", 1, trigger="a"), result("B", 2, trigger="b")])
        assert plc.status()[0] == Status.READY
        assert plc.status()[5] == 2
        assert plc.text() == "B"
        plc.client.close()


def test_a_port_in_use_is_an_error(server: ModbusServer, line: StubLine) -> None:
    other = ModbusServer(server._settings, line.context)
    with pytest.raises(LineError) as caught:
        other.run(line.accept, threading.Event())
    port = server._settings.port
    assert str(caught.value) == f"127.0.0.1:{port} cannot be opened. Set another address or port."
    with pytest.raises(SinkDown, match=r"^the Modbus server does not run$"):
        other.deliver([result()])


def test_a_server_of_several_stations_is_refused(line: StubLine) -> None:
    context = line.context
    object.__setattr__(context, "stations", ("press", "oven"))
    with pytest.raises(RecipeError, match=r"^a Modbus server serves one station. Set stations to one name"):
        ModbusServer(ModbusSinkConfig(kind="modbus", name="plc"), context)


def test_hostile_bytes_do_not_disturb_the_plc(plc: Plc, server: ModbusServer) -> None:
    rng = random.Random(1)
    address = ("127.0.0.1", server._settings.port)
    open_ones = [socket.create_connection(address) for _ in range(20)]
    for number in range(60):
        with socket.create_connection(address) as one, suppress(OSError):
            head = rng.randbytes(4) + rng.randrange(300).to_bytes(2, "big") if number % 2 else b""
            one.sendall(head + rng.randbytes(rng.randrange(400)))
            one.settimeout(0.02)
            one.recv(1000)
    assert plc.status()[0] & Status.READY
    for one in open_ones:
        one.close()
