"""A Modbus TCP server for the PLC of one station: it triggers, takes the result and acknowledges it."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from serialread.config.line_sinks import ModbusSinkConfig
from serialread.errors import LineError, RecipeError
from serialread.line.events import Result, Trigger
from serialread.line.handshake import COMMAND, READABLE, WRITABLE, Handshake, expected_code
from serialread.line.loop_thread import LoopThread
from serialread.line.ports import Accept, CameraDown, LineContext, NotAcknowledged, SinkDown

ANY_UNIT = 0
"""Id of a pymodbus device that answers for every unit id."""
FUNCTIONS = (3, 4, 6, 16)
"""Function codes: read holding registers, read input registers, write one register, write several."""
BEAT_S = 1.0
"""Time between two steps of the heartbeat."""
PATIENCE_S = 5.0
"""So long does ``deliver`` wait for an acknowledgement; results that were shown are shown only once."""
REMEMBERED = 10_000
"""Number of acknowledged results that are not shown again when they are delivered again."""

log = logging.getLogger(__name__)


class ModbusServer:
    """Source and sink of one station over Modbus TCP; see ``serialread.line.handshake``.

    The result of a trigger of the PLC goes to the registers as soon as it is there. Results of other triggers
    of the station follow one after the other. Each stays until it is acknowledged.

    Attributes:
        name: of the sink.
    """

    def __init__(self, settings: ModbusSinkConfig, context: LineContext) -> None:
        """Check the settings; ``run`` opens the port.

        Raises:
            RecipeError: they do not say which station of several it is.
        """
        stations = settings.stations or context.stations
        if len(stations) != 1:
            raise RecipeError(
                "a Modbus server serves one station. Set stations to one name, and add a sink per station."
            )
        self.name = settings.name
        self._settings, self._station, self._owed = settings, stations[0], context.owed
        self._handshake = Handshake()
        self._acknowledged: deque[str] = deque(maxlen=REMEMBERED)
        self._thread: LoopThread | None = None
        self._server: ModbusTcpServer | None = None
        self._reading: asyncio.Future[None] | None = None

    def run(self, accept: Accept, stop: threading.Event) -> None:
        """Open the port, if it is not open yet; it stays open until ``close``."""
        if self._thread is None:
            self._handshake = Handshake(self._owed(self.name, self._station))
            thread = LoopThread(self.name)
            try:
                self._server = thread.call(self._open(accept))
            except RuntimeError:
                thread.close()
                address = f"{self._settings.host}:{self._settings.port}"
                raise LineError(f"{address} cannot be opened. Set another address or port.") from None
            self._thread = thread
        while not stop.wait(BEAT_S):
            self._handshake.beat()

    def deliver(self, results: Sequence[Result]) -> None:
        """Show results; return when the PLC has acknowledged all of them."""
        if self._thread is None:
            raise SinkDown("the Modbus server does not run")
        self._thread.call(self._show_all(results))

    def close(self) -> None:
        """Close the port."""
        if self._thread and self._server:
            self._thread.call(self._server.shutdown())
            self._thread.close()
            self._thread = None

    async def _open(self, accept: Accept) -> ModbusTcpServer:
        self._freed = asyncio.Event()
        server = ModbusTcpServer(self._device(accept), address=(self._settings.host, self._settings.port))
        await server.serve_forever(background=True)
        return server

    def _device(self, accept: Accept) -> SimDevice:
        """The registers: the PLC writes those of the command, and reads all."""

        async def on_request(
            function: int,
            start: int,
            address: int,
            count: int,
            registers: list[int],
            written: list[int] | list[bool] | None,
        ) -> ExcCodes | None:
            """Called before pymodbus reads or writes ``registers``; ``start`` is the first one."""
            if function not in FUNCTIONS:
                return ExcCodes.ILLEGAL_FUNCTION
            if written is None:
                registers[READABLE.start - start : READABLE.stop - start] = self._handshake.registers()
            elif COMMAND in range(address, address + count):
                after = [*registers]
                after[address - start : address - start + count] = map(int, written)
                self._on_command(after[: len(WRITABLE)], accept)
            return None

        return SimDevice(
            ANY_UNIT,
            [
                SimData(WRITABLE.start, len(WRITABLE), datatype=DataType.REGISTERS),
                SimData(READABLE.start, len(READABLE), datatype=DataType.REGISTERS, readonly=True),
            ],
            action=on_request,
        )

    def _on_command(self, registers: list[int], accept: Accept) -> None:
        shown, trigger = self._handshake.shown, Trigger(self._station, source=self.name)
        started = self._handshake.command(registers[COMMAND], trigger.id)
        if shown and not self._handshake.shown:
            self._acknowledged.append(shown)
            self._freed.set()
        if started:
            self._reading = asyncio.ensure_future(self._read(trigger, registers, accept))

    async def _read(self, trigger: Trigger, registers: list[int], accept: Accept) -> None:
        """Send a trigger; show its result as soon as it is there."""
        try:
            trigger = replace(trigger, expected=expected_code(registers))
            result = await asyncio.wrap_future(await asyncio.to_thread(accept, trigger))
        except LineError as error:
            log.warning("sink %s: a trigger was not accepted: %s", self.name, error)
            self._handshake.refuse(no_picture=isinstance(error, CameraDown))
            self._freed.set()
        else:
            self._show(result)

    def _show(self, result: Result) -> bool:
        """Put a result into the registers, if they are free for it."""
        if not self._handshake.can_show(result.trigger) or result.trigger in self._acknowledged:
            return False
        self._handshake.show(result)
        if not self._settings.acknowledge:
            self._handshake.acknowledge()
            self._acknowledged.append(result.trigger)
        return True

    async def _show_all(self, results: Sequence[Result]) -> None:
        """Show results one after the other, each when the one before is acknowledged."""
        for result in results:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    while result.trigger not in self._acknowledged:
                        if not self._show(result):
                            self._freed.clear()
                            await self._freed.wait()
            except TimeoutError:
                raise NotAcknowledged(f"the PLC has not acknowledged result {result.number}") from None
