"""Lines of text over plain TCP, for controllers and programs that know nothing else."""

import select
import socket
from collections.abc import Sequence

from serialread.config.line_sinks import Confidence, TelegramSinkConfig
from serialread.line.events import Result
from serialread.line.ports import SinkDown

PATIENCE_S = 5.0
"""So long may the receiver take to connect and to confirm."""
MAX_ANSWER = 1024
"""Longest answer, in bytes."""
TERMINATORS = {"lf": "\n", "crlf": "\r\n", "cr": "\r"}


def telegram(template: str, result: Result) -> str:
    """The line of a result, without its terminator.

    Args:
        template: text with ``{field}`` places, see ``TelegramSinkConfig.template``.
        result: the result.
    """
    values = {
        "trigger": result.trigger,
        "station": result.station,
        "number": result.number,
        "outcome": result.outcome.value,
        "text": result.text,
        "expected": result.expected,
        "confidence": Confidence(result.record["confidence"] or 0),
        "reasons": " | ".join(result.reasons),
        "time": result.finished_at.isoformat(timespec="milliseconds"),
    }
    return "".join(filter(str.isprintable, template.format(**values)))  # no value ends the line


class TelegramClient:
    """Sink that connects to a receiver and sends it one line per result.

    Attributes:
        name: of the sink.
    """

    def __init__(self, settings: TelegramSinkConfig) -> None:
        """Take the settings; the first delivery connects."""
        self.name = settings.name
        self._settings = settings
        self._socket: socket.socket | None = None

    def deliver(self, results: Sequence[Result]) -> None:
        """Send a line per result; wait for the answer to each, if one is set."""
        settings = self._settings
        end = TERMINATORS[settings.terminator]
        try:
            for result in results:
                connection = self._connected()
                line = telegram(settings.template, result) + end
                connection.sendall(line.encode(settings.encoding, "replace"))
                if settings.answer:
                    self._check(_answer(connection, end.encode()), telegram(settings.answer, result))
        except (OSError, SinkDown) as error:
            self.close()
            reason = getattr(error, "strerror", None) or error
            raise SinkDown(f"receiver {settings.host}:{settings.port}: {reason}") from None

    def close(self) -> None:
        """Disconnect."""
        connection, self._socket = self._socket, None
        if connection:
            connection.close()

    def _connected(self) -> socket.socket:
        """The connection, or a new one if the receiver has closed it."""
        if self._socket and not _is_closed(self._socket):
            return self._socket
        self.close()
        self._socket = socket.create_connection((self._settings.host, self._settings.port), PATIENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return self._socket

    def _check(self, answer: bytes, expected: str) -> None:
        if answer != expected.encode(self._settings.encoding, "replace"):
            raise SinkDown(f"answered {answer!r:.60}, not {expected!r}")


def _is_closed(connection: socket.socket) -> bool:
    """Whether the other side has closed a connection; what it sent unasked is dropped."""
    try:
        while select.select([connection], [], [], 0)[0]:
            if not connection.recv(MAX_ANSWER):
                return True
    except OSError:  # reset
        return True
    return False


def _answer(connection: socket.socket, end: bytes) -> bytes:
    """The line that the receiver answers, without its terminator."""
    data = b""
    while not data.endswith(end):
        byte = connection.recv(1)
        if not byte:
            raise SinkDown("closed the connection before it answered")
        data += byte
        if len(data) > MAX_ANSWER:
            raise SinkDown(f"its answer is longer than {MAX_ANSWER} bytes")
    return data.removesuffix(end)
