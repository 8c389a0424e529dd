"""Lines over TCP: their text, their answers, and what happens when the receiver goes away."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from interface_cases import free_port, result
from pydantic import ValidationError

from serialread.config.line_sinks import TELEGRAM_PLACES, TelegramSinkConfig
from serialread.line import Outcome, SinkDown
from serialread.line.telegrams import TelegramClient, telegram


def settings(**values: object) -> TelegramSinkConfig:
    return TelegramSinkConfig.model_validate(
        {"kind": "telegram", "name": "mes", "host": "127.0.0.1", "port": 1, **values}
    )


class Receiver:
    """Takes lines, and answers each with what ``answers`` gives."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.answers: list[str] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connections: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            with connection, connection.makefile("rwb") as stream:
                for line in stream:
                    self.lines.append(line.decode())
                    if self.answers:
                        stream.write(self.answers.pop(0).encode())
                        stream.flush()
                    if len(self.lines) == 2:
                        break  # hangs up


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    with closing(one.listener):
        yield one


def test_every_place_of_a_template_is_filled() -> None:
    made = result("AB12", 7, Outcome.REVIEW, reasons=("low", "late"), expected="AB13")
    line = telegram(";".join(f"{{{place}}}" for place in TELEGRAM_PLACES), made)
    assert line == "trigger-7;press;7;REVIEW;AB12;AB13;0.9870;low | late;2026-11-29T12:00:00.000+00:00"


@pytest.mark.parametrize(
    ("template", "line"),
    [
        ("{number:06d};{confidence:.2f}", "000007;0.99"),
        ("{number:>3};{confidence:>8};{confidence!s:<7};{confidence:.1%}", "  7;  0.9870;0.9870 ;98.7%"),
        ("{text:<6};{text:.2}", "AB12  ;AB"),
    ],
)
def test_places_have_formats(template: str, line: str) -> None:
    assert telegram(settings(template=template).template, result("AB12", 7)) == line


def test_no_value_ends_the_line() -> None:
    assert telegram("{text}", result("A\r\nB\0")) == "AB"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{code}", "no place {code}, only trigger, station, number"),
        ("{text.__class__}", "no place {text.__class__}, only trigger"),
        ("{text", "not a template: expected '}' before end of string"),
        ("{}", "no place {}, only trigger"),
        ("{text:{number}}", "the format of text holds a place"),
        ("{text:{w}};{text}", "the format of text holds a place"),
        ("{time:%H:%M}", "cannot be filled in: Invalid format specifier"),
        ("{text:.2f}", "cannot be filled in: Unknown format code 'f' for object of type 'str'"),
        ("{number:c}", "cannot be filled in: "),
        ("{text!x}", "cannot be filled in: "),
    ],
)
def test_a_template_with_unknown_places_is_refused(template: str, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        settings(template=template)
    assert message in str(caught.value)


def test_lines_are_confirmed_and_a_receiver_that_hung_up_is_called_again(receiver: Receiver) -> None:
    receiver.answers = [f"ACK {number}\r\n" for number in range(1, 5)]
    client = TelegramClient(settings(port=receiver.port, template="{number};{text}", answer="ACK {number}"))
    with closing(client):
        client.deliver([result("A", 1), result("B", 2)])
        client.deliver([result("C", 3)])
    assert receiver.lines == ["1;A\r\n", "2;B\r\n", "3;C\r\n"]
    assert len(receiver.connections) == 2


def test_a_wrong_answer_leaves_the_result_undelivered(receiver: Receiver) -> None:
    receiver.answers = ["NAK\n"]
    client = TelegramClient(settings(port=receiver.port, answer="ACK", terminator="lf"))
    with closing(client), pytest.raises(SinkDown) as caught:
        client.deliver([result()])
    assert str(caught.value) == f"receiver 127.0.0.1:{receiver.port}: answered b'NAK', not 'ACK'"


def test_a_receiver_that_hangs_up_leaves_the_result_undelivered(
    receiver: Receiver,
) -> None:
    receiver.answers, receiver.lines = [], ["0\r\n"]
    client = TelegramClient(settings(port=receiver.port, answer="ACK"))
    with closing(client), pytest.raises(SinkDown, match=r"closed the connection before it answered$"):
        client.deliver([result()])


def test_without_a_receiver_results_wait() -> None:
    port = free_port()
    with pytest.raises(SinkDown) as caught:
        TelegramClient(settings(port=port)).deliver([result()])
    assert str(caught.value) == f"receiver 127.0.0.1:{port}: Connection refused"
