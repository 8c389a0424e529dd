"""An OPC UA server: each station is a device of OPC 30010, with Scan, events and the last result."""

import asyncio
import hmac
import json
import logging
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncua import Node, Server, ua
from asyncua.server.event_generator import EventGenerator
from asyncua.server.user_managers import User, UserRole

from serialread.config import secret
from serialread.config.line_sinks import OpcUaSinkConfig
from serialread.errors import LineError
from serialread.line.autoid import (
    AutoIdTypes,
    OperationStatus,
    add_autoid_types,
    operation_status,
    scan_results,
)
from serialread.line.events import Outcome, Result, Trigger
from serialread.line.loop_thread import LoopThread
from serialread.line.ports import Accept, BadTrigger, LineContext, SinkDown

NAMESPACE = "urn:serialread:line"
"""Namespace of the stations, whose node ids are their names; also the URI of the server."""
SCAN_S = 10.0
"""Longest duration of a Scan that gives none in its settings. Meanwhile asyncua answers nothing else on its
connection."""
IDLE, SCANNING = 0, 2
"""Values of DeviceStatusEnumeration."""
SEVERITY = {Outcome.PASS: 100, Outcome.REVIEW: 500, Outcome.FAIL: 700}
"""Severity of events, 1..1000."""

log = logging.getLogger(__name__)


@dataclass
class _Device:
    """A station in the address space.

    Attributes:
        node: its object.
        variables: its variables by browse name.
        events: generators of its scan events: at the object, and at the Server object.
        scanning: whether Scan is being called.
    """

    node: Node
    variables: Mapping[str, Node]
    events: Sequence[EventGenerator]
    scanning: bool = False

    @property
    def match_code(self) -> Node:
        """The code that clients expect next."""
        return self.variables["MatchCode"]

    async def set_scanning(self, scanning: bool) -> None:
        """Show whether a picture is being read."""
        self.scanning = scanning
        await self.variables["ScanActive"].write_value(scanning)
        status = SCANNING if scanning else IDLE
        await self.variables["DeviceStatus"].write_value(ua.Variant(status, ua.VariantType.Int32))

    async def announce(self, result: Result, scan_results: list[Any]) -> None:
        """Set the variables of the last result, and send its event."""
        values = {
            "LastScanData": result.text,
            "LastScanTimestamp": result.finished_at,
            "DeviceInfo": ": ".join((result.outcome.value, *result.reasons)),
            "LastResult": json.dumps(result.to_json(), ensure_ascii=False),
        }
        for name, value in values.items():
            await self.variables[name].write_value(value)
        for event in self.events:
            event.event.ScanResult = scan_results
            event.event.DeviceName = event.event.SourceName = result.station
            event.event.SourceNode = self.node.nodeid
            event.event.Severity = SEVERITY[result.outcome]
            await event.trigger(result.finished_at, f"{result.outcome.value} {result.text}".rstrip())


class OpcUaServer:
    """Source and sink over OPC UA.

    Attributes:
        name: of the sink.
    """

    def __init__(self, settings: OpcUaSinkConfig, context: LineContext) -> None:
        """Check the settings; ``run`` opens the port.

        Raises:
            RecipeError: the environment variable of the password is not set.
        """
        self.name = settings.name
        self._settings, self._stations = settings, settings.stations or context.stations
        self._password = secret(settings.password) if settings.password else ""
        self._thread: LoopThread | None = None
        self._server: Server | None = None
        self._types: AutoIdTypes | None = None
        self._devices: dict[str, _Device] = {}

    def run(self, accept: Accept, stop: threading.Event) -> None:
        """Open the port, if it is not open yet; it stays open until ``close``."""
        if self._thread is None:
            thread = LoopThread(self.name)
            try:
                self._server = thread.call(self._open(accept))
            except LineError:
                thread.close()
                raise
            except OSError as error:
                thread.close()
                place, reason = self._settings.endpoint, error.strerror or error
                raise LineError(f"{place} cannot be opened: {reason}. Set another port.") from None
            self._thread = thread
        stop.wait()

    def deliver(self, results: Sequence[Result]) -> None:
        """Set the variables of each result's station, and send its event."""
        if self._thread is None:
            raise SinkDown("the OPC UA server does not run")
        self._thread.call(self._announce_all(results))

    def close(self) -> None:
        """Close the port."""
        if self._thread and self._server:
            self._thread.call(self._server.stop())
            self._thread.close()
            self._thread = None

    async def _open(self, accept: Accept) -> Server:
        server = Server(user_manager=_Users(self._settings.user, self._password) if self._password else None)
        await self._secure(server)
        await server.init()
        await server.set_application_uri(NAMESPACE)
        self._types = await add_autoid_types(server)
        namespace = await server.register_namespace(NAMESPACE)
        for station in self._stations:
            self._devices[station] = await self._add_device(server, namespace, station, accept)
        await server.start()
        return server

    async def _secure(self, server: Server) -> None:
        server.set_endpoint(self._settings.endpoint)
        server.set_server_name("serialread")
        policies = [ua.SecurityPolicyType.NoSecurity]
        if self._settings.certificate and self._settings.private_key:
            await _load(self._settings.certificate, server.load_certificate)
            await _load(self._settings.private_key, server.load_private_key)
            policies = [ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt]
        server.set_security_policy(policies)
        server.set_identity_tokens(
            [ua.UserNameIdentityToken if self._password else ua.AnonymousIdentityToken]
        )

    async def _add_device(self, server: Server, namespace: int, station: str, accept: Accept) -> _Device:
        types = self._types
        assert types is not None
        node = await types.device_set.add_object(
            ua.NodeId(station, namespace), f"{namespace}:{station}", types.reader_type.nodeid
        )
        autoid = types.namespace
        await (await node.get_child(f"{autoid}:DeviceName")).write_value(station)
        names = ("DeviceStatus", "ScanActive", "LastScanData", "LastScanTimestamp", "DeviceInfo")
        variables = {one: await node.get_child(f"{autoid}:{one}") for one in names}
        variables["MatchCode"] = await node.get_child([f"{autoid}:RuntimeParameters", f"{autoid}:MatchCode"])
        await variables["MatchCode"].set_writable()
        variables["LastResult"] = await node.add_variable(
            ua.NodeId(f"{station}.LastResult", namespace), f"{namespace}:LastResult", ""
        )
        events = [
            await server.get_event_generator(types.event_type, at) for at in (node, server.nodes.server)
        ]
        device = _Device(node, variables, events)

        async def scan(parent: ua.NodeId, settings: ua.Variant) -> list[ua.Variant] | ua.StatusCode:
            return await self._scan(station, device, settings.Value, accept)

        server.link_method(await node.get_child(f"{autoid}:Scan"), scan)
        return device

    async def _scan(
        self, station: str, device: _Device, settings: Any, accept: Accept
    ) -> list[ua.Variant] | ua.StatusCode:
        """The Scan method: a trigger, and its result."""
        if device.scanning:
            return ua.StatusCode(ua.StatusCodes.BadInvalidState)
        if settings.Duration < 0 or not (settings.Duration or settings.Cycles or settings.DataAvailable):
            return ua.StatusCode(ua.StatusCodes.BadInvalidArgument)
        await device.set_scanning(True)
        try:
            expected = str(await device.match_code.read_value() or "")
            future = await asyncio.to_thread(accept, Trigger(station, expected=expected, source=self.name))
            async with asyncio.timeout(settings.Duration / 1000 or SCAN_S):
                result = await asyncio.wrap_future(future)
        except TimeoutError:
            return _scan_output([], OperationStatus.READ_ERROR)
        except LineError as error:
            log.warning("sink %s: a trigger was not accepted: %s", self.name, error)
            wrong = isinstance(error, BadTrigger)
            status = OperationStatus.INVALID_CONFIGURATION if wrong else OperationStatus.DEVICE_NOT_READY
            return _scan_output([], status)
        finally:
            await device.set_scanning(False)
        assert self._types is not None
        return _scan_output(scan_results(result, self._types.structures), operation_status(result))

    async def _announce_all(self, results: Sequence[Result]) -> None:
        assert self._types is not None
        for result in results:
            if device := self._devices.get(result.station):
                await device.announce(result, scan_results(result, self._types.structures))


async def _load(path: Path, load: Callable[..., Awaitable[None]]) -> None:
    """Load a certificate or a key; what it holds says its format, not its name.

    Raises:
        LineError: it cannot be read, or is neither PEM nor DER.
    """
    try:
        data = path.read_bytes()
        await load(data, format="pem" if b"-----BEGIN" in data else "der")
    except OSError as error:
        raise LineError(f"{path}: cannot be read: {error.strerror}. Give a PEM or DER file.") from None
    except ValueError:
        raise LineError(f"{path}: is not valid. Give a certificate and a key, PEM or DER.") from None


def _scan_output(results: list[Any], status: OperationStatus) -> list[ua.Variant]:
    return [
        ua.Variant(results, ua.VariantType.ExtensionObject, is_array=True),
        ua.Variant(int(status), ua.VariantType.Int32),
    ]


class _Users:
    """The one user that may connect."""

    def __init__(self, name: str, password: str) -> None:
        self._name, self._password = name, password

    def get_user(
        self, iserver: Any, username: str | None = None, password: str | None = None, certificate: Any = None
    ) -> User | None:
        """The user, if name and password are right; asyncua calls it for every session."""
        given = f"{username}\0{password}".encode()
        right = hmac.compare_digest(given, f"{self._name}\0{self._password}".encode())
        return User(role=UserRole.User, name=self._name) if right else None
