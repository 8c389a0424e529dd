"""An OPC UA client browses the devices, calls Scan, and gets events; the types are those of OPC 30010."""

import asyncio
import json
import random
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from asyncua import Client, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from interface_cases import StubLine, certificate, free_port, result
from line_cases import eventually
from pydantic import ValidationError

from serialread.config.line_sinks import OpcUaSinkConfig
from serialread.errors import LineError
from serialread.line import BadTrigger, CameraDown, Outcome, SinkDown
from serialread.line.autoid import AUTOID_URI, DI_URI, OperationStatus, operation_status
from serialread.line.opcua_server import NAMESPACE, OpcUaServer

DEADLINE_S = 60


@pytest.fixture(scope="module")
def line() -> StubLine:
    return StubLine()


@pytest.fixture(scope="module")
def server(line: StubLine) -> Iterator[OpcUaServer]:
    endpoint = f"opc.tcp://127.0.0.1:{free_port()}/serialread/"
    yield from running(OpcUaSinkConfig(kind="opcua", name="ua", endpoint=endpoint), line)


def running(settings: OpcUaSinkConfig, line: StubLine) -> Iterator[OpcUaServer]:
    server, stop = OpcUaServer(settings, line.context), threading.Event()
    thread = threading.Thread(target=server.run, args=(line.accept, stop))
    thread.start()
    eventually(lambda: server._thread, DEADLINE_S)
    yield server
    stop.set()
    thread.join()
    server.close()


def client_of(settings: OpcUaSinkConfig) -> Client:
    """A client that waits for long."""
    return Client(settings.endpoint, timeout=DEADLINE_S, watchdog_intervall=DEADLINE_S)


class Session:
    """A client with the nodes of the station."""

    async def open(self, client: Client) -> None:
        """Find the station as a client does that knows the specification only."""
        self.client = client
        await client.load_data_type_definitions()
        di, autoid, own = [await client.get_namespace_index(uri) for uri in (DI_URI, AUTOID_URI, NAMESPACE)]
        self.autoid = autoid
        self.device = await client.nodes.objects.get_child([f"{di}:DeviceSet", f"{own}:press"])
        self.own = own

    async def value(self, *path: str) -> Any:
        """The value of a variable of AutoID below the device."""
        return await (await self.device.get_child([f"{self.autoid}:{one}" for one in path])).read_value()

    async def scan(self, **settings: Any) -> tuple[list[Any], int]:
        """Call Scan."""
        values = {"Duration": 10_000.0, "Cycles": 0, "DataAvailable": True} | settings
        results, status = await self.device.call_method(f"{self.autoid}:Scan", ua.ScanSettings(**values))
        return results, status


@asynccontextmanager
async def connected(settings: OpcUaSinkConfig) -> AsyncIterator[Session]:
    """A session, as soon as the server answers."""
    client = client_of(settings)
    for _ in range(DEADLINE_S):
        try:
            await client.connect()
            break
        except OSError:
            await asyncio.sleep(1)
    try:
        one = Session()
        await one.open(client)
        async with asyncio.timeout(DEADLINE_S):
            yield one
    finally:
        await client.disconnect()


def session(server: OpcUaServer, line: StubLine, talk: Any) -> None:
    """Connect, and run what a test does."""
    line.refuses, line.answers = None, None

    async def run() -> None:
        async with connected(server._settings) as one:
            await talk(one)

    asyncio.run(run())


def test_a_client_finds_an_ocr_reader_in_the_device_set(server: OpcUaServer, line: StubLine) -> None:
    async def talk(one: Session) -> None:
        kind = await one.device.read_type_definition()
        assert kind == ua.NodeId(1002, one.autoid)
        base = await one.client.get_node(kind).get_parent()
        assert (await base.read_browse_name()).Name == "AutoIdDeviceType"
        assert await one.value("DeviceName") == "press"
        assert await one.value("AutoIdModelVersion") == "1.01"
        assert await one.value("DeviceStatus") == 0
        names = {(await child.read_browse_name()).Name for child in await one.device.get_children()}
        assert names >= {"Scan", "LastScanData", "SerialNumber", "Manufacturer", "RuntimeParameters"}

    session(server, line, talk)


def test_scan_returns_what_was_read_with_its_place_and_status(server: OpcUaServer, line: StubLine) -> None:
    async def talk(one: Session) -> None:
        code = await one.device.get_child([f"{one.autoid}:RuntimeParameters", f"{one.autoid}:MatchCode"])
        await code.write_value("AB12")
        line.answers = "AB12"
        (found,), status = await one.scan()
        assert line.triggers[-1].expected == "AB12"
        assert status == OperationStatus.SUCCESS
        assert (found.CodeType, found.ScanData.String, found.Quality) == ("RAW:STRING", "AB12", 99)
        assert [getattr(found.Position, f) for f in ("PositionX", "PositionY", "SizeX", "SizeY")] == [
            10,
            20,
            100,
            30,
        ]
        assert (found.Location, found.Font) == (None, None)
        await code.write_value("")

    session(server, line, talk)


@pytest.mark.parametrize(
    ("error", "status"),
    [(BadTrigger("no"), "INVALID_CONFIGURATION"), (CameraDown("no"), "DEVICE_NOT_READY")],
)
def test_a_scan_that_the_line_refuses_says_so(
    server: OpcUaServer, line: StubLine, error: Exception, status: str
) -> None:
    async def talk(one: Session) -> None:
        line.refuses = error
        assert await one.scan() == ([], OperationStatus[status])

    session(server, line, talk)


def test_a_scan_ends_after_its_duration_and_is_not_called_twice(server: OpcUaServer, line: StubLine) -> None:
    async def talk(one: Session) -> None:
        async with Client(
            server._settings.endpoint, timeout=DEADLINE_S, watchdog_intervall=DEADLINE_S
        ) as client:
            other = Session()
            await other.open(client)
            first = asyncio.create_task(other.scan(Duration=2000.0))
            while not await one.value("ScanActive"):
                await asyncio.sleep(0.05)
            assert await one.value("DeviceStatus") == 2
            with pytest.raises(ua.UaStatusCodeError, match=r"BadInvalidState"):
                await one.scan()
            assert await first == ([], OperationStatus.READ_ERROR)
        with pytest.raises(ua.UaStatusCodeError, match=r"BadInvalidArgument"):
            await one.scan(Duration=0.0, DataAvailable=False)
        assert not await one.value("ScanActive")

    session(server, line, talk)


def test_every_result_is_an_event_and_the_last_one_stays_readable(
    server: OpcUaServer, line: StubLine
) -> None:
    class Events:
        """Collects events."""

        def __init__(self) -> None:
            self.got: asyncio.Queue[Any] = asyncio.Queue()

        def event_notification(self, event: Any) -> None:
            self.got.put_nowait(event)

    async def talk(one: Session) -> None:
        kind = one.client.get_node(ua.NodeId(1005, one.autoid))
        for source in (one.device, one.client.nodes.server):
            events = Events()
            subscription = await one.client.create_subscription(50, events)
            await subscription.subscribe_events(source, kind)
            made = [result("AB12", 1), result("", 2, Outcome.FAIL, reasons=("nothing was read",))]
            await asyncio.to_thread(server.deliver, made)
            read, failed = await events.got.get(), await events.got.get()
            assert (read.DeviceName, read.Message.Text, read.Severity) == ("press", "PASS AB12", 100)
            assert [one.ScanData.String for one in read.ScanResult] == ["AB12"]
            assert (failed.Message.Text, failed.Severity, failed.ScanResult) == ("FAIL", 700, [])
            await subscription.delete()
        assert await one.value("LastScanData") == ""
        assert await one.value("DeviceInfo") == "FAIL: nothing was read"
        last = await (await one.device.get_child(f"{one.own}:LastResult")).read_value()
        assert json.loads(last)["number"] == 2

    session(server, line, talk)


@pytest.mark.parametrize(
    ("made", "status"),
    [
        (result(), "SUCCESS"),
        (result("", outcome=Outcome.FAIL), "NO_IDENTIFIER"),
        (result(outcome=Outcome.FAIL, distance=2), "MATCH_ERROR"),
        (result(outcome=Outcome.REVIEW), "DECODING_ERROR"),
    ],
)
def test_the_status_of_a_scan_follows_from_its_result(made: Any, status: str) -> None:
    assert operation_status(made) is OperationStatus[status]


def test_results_wait_while_the_server_does_not_run(line: StubLine) -> None:
    with pytest.raises(SinkDown, match=r"^the OPC UA server does not run$"):
        OpcUaServer(OpcUaSinkConfig(kind="opcua", name="ua"), line.context).deliver([result()])


def test_with_a_certificate_only_encrypted_sessions_with_the_password_are_accepted(
    line: StubLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UA", "right")
    made, key = certificate(tmp_path, "server", NAMESPACE)
    chain = made.rename(tmp_path / "server.crt")
    own_chain, own_key = certificate(tmp_path, "client", "urn:freeopcua:client")
    settings = OpcUaSinkConfig(
        kind="opcua",
        name="ua",
        endpoint=f"opc.tcp://127.0.0.1:{free_port()}/serialread/",
        certificate=chain,
        private_key=key,
        user="line",
        password="env:UA",
    )

    async def connect(password: str, *, encrypted: bool) -> str:
        client = client_of(settings)
        client.set_user("line")
        client.set_password(password)
        if encrypted:
            await client.set_security(SecurityPolicyBasic256Sha256, str(own_chain), str(own_key))
        async with client:
            return str(await client.nodes.objects.read_browse_name())

    for _ in running(settings, line):
        assert "Objects" in asyncio.run(connect("right", encrypted=True))
        for password, encrypted in (("wrong", True), ("right", False)):
            with pytest.raises((ua.UaError, ConnectionError, TimeoutError)):
                asyncio.run(connect(password, encrypted=encrypted))


def test_a_file_that_is_no_certificate_is_an_error(line: StubLine, tmp_path: Path) -> None:
    path = tmp_path / "a.pem"
    settings = OpcUaSinkConfig(kind="opcua", name="ua", certificate=path, private_key=path)
    message = f"{path}: cannot be read: No such file or directory. Give a PEM or DER file."
    for written in (b"", b"no key"):
        with pytest.raises(LineError) as caught:
            OpcUaServer(settings, line.context).run(line.accept, threading.Event())
        assert str(caught.value) == message
        path.write_bytes(written)
        message = f"{path}: is not valid. Give a certificate and a key, PEM or DER."


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"certificate": "a"}, "certificate and private_key must be given together"),
        ({"user": "a"}, "user and password must be given together"),
        ({"user": "a", "password": "env:A"}, "a password needs a certificate, or it is sent in plain text"),
    ],
)
def test_settings_that_are_not_safe_are_refused(values: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        OpcUaSinkConfig.model_validate({"kind": "opcua", "name": "ua", **values})


def test_hostile_bytes_do_not_disturb_other_clients(server: OpcUaServer, line: StubLine) -> None:
    rng = random.Random(2)
    port = int(server._settings.endpoint.split(":")[2].split("/")[0])
    for number in range(40):
        with socket.create_connection(("127.0.0.1", port)) as one, suppress(OSError):
            kind = rng.choice([b"HELF", b"OPNF", b"MSGF", b"CLOF", b"XXXX"])
            body = rng.randbytes(rng.randrange(200))
            size = rng.choice([len(body) + 8, 0, 2**32 - 1, 9])
            one.sendall(kind + size.to_bytes(4, "little") + body if number % 4 else body)
            one.settimeout(0.02)
            one.recv(1000)

    async def talk(one: Session) -> None:
        line.answers = "AB12"
        assert (await one.scan())[1] == OperationStatus.SUCCESS

    session(server, line, talk)
