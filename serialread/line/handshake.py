"""The handshake with a PLC: which registers it has, and what each change of the command word does."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from serialread.line.events import Outcome, Result
from serialread.line.ports import BadTrigger

TEXT_REGISTERS = 32
"""Registers of a text: 64 bytes, the first one in the high byte."""
TEXT_BYTES = 2 * TEXT_REGISTERS
COMMAND, EXPECTED_LENGTH, EXPECTED_TEXT = 0, 1, 2
STATUS, HEARTBEAT, ERROR, OUTCOME, CONFIDENCE, NUMBER, RESULT_LENGTH, RESULT_TEXT = range(100, 108)
WRITABLE = range(COMMAND, EXPECTED_TEXT + TEXT_REGISTERS)
READABLE = range(STATUS, RESULT_TEXT + TEXT_REGISTERS)


class Command(IntFlag):
    """Bits of the command word, which the PLC sets and clears; a change from 0 to 1 takes effect."""

    TRIGGER = 1
    """Take a picture and read it."""
    ACKNOWLEDGE = 2
    """The result has been taken; clears ``done`` and ``error``."""


class Status(IntFlag):
    """Bits of the status word."""

    READY = 1
    """A trigger is accepted."""
    BUSY = 2
    """A trigger was accepted; its result is not there yet."""
    DONE = 4
    """The result registers hold a result that is not acknowledged yet."""
    ERROR = 8
    """Something went wrong; the error register says what."""


class HandshakeError(IntEnum):
    """Values of the error register."""

    NONE = 0
    """No error."""
    TRIGGER_WHILE_BUSY = 1
    """A trigger came while another one was read. It was not accepted."""
    NOT_ACKNOWLEDGED = 2
    """A trigger came before the last result was acknowledged. It was not accepted."""
    NOT_ACCEPTED = 3
    """The line did not accept the trigger: its queue is full, or the expected code is not valid."""
    NO_PICTURE = 4
    """The camera has no picture."""


OUTCOMES = {Outcome.PASS: 1, Outcome.FAIL: 2, Outcome.REVIEW: 3}
"""Values of the outcome register; 0 before the first result."""


@dataclass(frozen=True, slots=True)
class RegisterField:
    """A row of the register map.

    Attributes:
        address: of its first register, counted from 0.
        count: its registers.
        name: what it is called.
        written_by: ``PLC`` or ``serialread``.
        meaning: what it holds.
    """

    address: int
    count: int
    name: str
    written_by: str
    meaning: str


def _bits(kind: type[IntFlag]) -> str:
    return "; ".join(f"bit {bit.bit_length() - 1}: {bit.name.lower()}" for bit in kind if bit.name)


REGISTER_MAP = (
    RegisterField(COMMAND, 1, "command", "PLC", _bits(Command)),
    RegisterField(
        EXPECTED_LENGTH, 1, "expected length", "PLC", "bytes of the expected code; 0: none is expected"
    ),
    RegisterField(EXPECTED_TEXT, TEXT_REGISTERS, "expected text", "PLC", "expected code, ASCII"),
    RegisterField(STATUS, 1, "status", "serialread", _bits(Status)),
    RegisterField(HEARTBEAT, 1, "heartbeat", "serialread", "counts up once a second; 0 follows 65535"),
    RegisterField(
        ERROR,
        1,
        "error",
        "serialread",
        "; ".join(f"{e.value}: {e.name.lower().replace('_', ' ')}" for e in HandshakeError),
    ),
    RegisterField(
        OUTCOME,
        1,
        "outcome",
        "serialread",
        "; ".join(("0: no result yet", *(f"{v}: {k}" for k, v in OUTCOMES.items()))),
    ),
    RegisterField(
        CONFIDENCE,
        1,
        "confidence",
        "serialread",
        "confidence of the reading in 1/10000; 0 if nothing was read",
    ),
    RegisterField(
        NUMBER, 1, "result number", "serialread", "number of the result at its station, modulo 65536"
    ),
    RegisterField(
        RESULT_LENGTH, 1, "result length", "serialread", "bytes of the result text; 0: nothing was read"
    ),
    RegisterField(
        RESULT_TEXT,
        TEXT_REGISTERS,
        "result text",
        "serialread",
        "the code, ASCII, then zeros; '?' for other characters",
    ),
)
"""All registers; PLC programs read and write them with the function codes 3, 4, 6 and 16."""


class Handshake:
    """State of the handshake of one station; not thread-safe.

    Attributes:
        pending: id of the trigger that is being read; "" unless busy.
        shown: id of the trigger whose result is in the registers and not acknowledged; "" unless done.
        owed: ids of triggers before a restart whose results the PLC has not seen; busy until they are shown.
    """

    def __init__(self, owed: Iterable[str] = ()) -> None:
        self.pending = ""
        self.shown = ""
        self.owed = set(owed)
        self._command = Command(0)
        self._error = HandshakeError.NONE
        self._heartbeat = 0
        self._result = [0] * (len(READABLE) - 3)

    def command(self, word: int, trigger_id: str) -> bool:
        """Take the command word that the PLC wrote.

        Args:
            word: the new value of the register.
            trigger_id: id of the trigger, if this starts one.

        Returns:
            Whether a trigger starts.
        """
        rising = Command(word & 3) & ~self._command
        self._command = Command(word & 3)
        if Command.ACKNOWLEDGE in rising:
            self.acknowledge()
        if Command.TRIGGER not in rising:
            return False
        if self.shown:
            self._error = HandshakeError.NOT_ACKNOWLEDGED
        elif self.pending or self.owed:
            self._error = HandshakeError.TRIGGER_WHILE_BUSY
        else:
            self.pending = trigger_id
            self._error = HandshakeError.NONE
            return True
        return False

    def acknowledge(self) -> None:
        """The PLC has the result and knows of the error."""
        self.shown = ""
        self._error = HandshakeError.NONE

    def refuse(self, *, no_picture: bool) -> None:
        """The line did not accept the trigger."""
        self.pending = ""
        self._error = HandshakeError.NO_PICTURE if no_picture else HandshakeError.NOT_ACCEPTED

    def can_show(self, trigger_id: str) -> bool:
        """Whether the result of a trigger may enter the registers now."""
        return not self.shown and (bool(self.owed) or self.pending in ("", trigger_id))

    def show(self, result: Result) -> None:
        """Put a result into the registers: done, until it is acknowledged."""
        text = encoded(result.text)
        confidence = result.record["confidence"] if result.text else 0
        self._result = [
            OUTCOMES[result.outcome],
            round(10_000 * (confidence or 0)),
            result.number % 65_536,
            len(text),
            *registers_of(text),
        ]
        self.pending = ""
        self.shown = result.trigger
        self.owed.discard(result.trigger)

    def beat(self) -> None:
        """Count the heartbeat up."""
        self._heartbeat = (self._heartbeat + 1) % 65_536

    @property
    def status(self) -> Status:
        """The status word."""
        state = Status.DONE if self.shown else Status.BUSY if self.pending or self.owed else Status.READY
        return state | Status.ERROR if self._error else state

    def registers(self) -> list[int]:
        """Values of the registers ``READABLE``."""
        return [int(self.status), self._heartbeat, int(self._error), *self._result]


def encoded(text: str) -> bytes:
    """A text as its registers hold it: ASCII, at most ``TEXT_BYTES`` long."""
    return text.encode("ascii", "replace")[:TEXT_BYTES]


def registers_of(text: bytes) -> list[int]:
    """The ``TEXT_REGISTERS`` registers of a text."""
    padded = text.ljust(TEXT_BYTES, b"\0")
    return [high << 8 | low for high, low in zip(padded[::2], padded[1::2], strict=True)]


def expected_code(registers: Sequence[int]) -> str:
    """The expected code of a trigger; "" for none.

    Args:
        registers: values of the registers ``WRITABLE``.

    Raises:
        BadTrigger: a byte is not ASCII, or the length is too large.
    """
    length = registers[EXPECTED_LENGTH]
    text = b"".join(register.to_bytes(2, "big") for register in registers[EXPECTED_TEXT:])[:length]
    if length > TEXT_BYTES or not text.isascii():
        raise BadTrigger(f"the expected code must be ASCII, and at most {TEXT_BYTES} bytes long")
    return text.decode("ascii")
