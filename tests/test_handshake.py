"""The handshake with a PLC: trigger, busy, done, acknowledge; errors never lose a result."""

import pytest
from hypothesis import given, strategies as st
from interface_cases import result

from serialread.line import BadTrigger, Outcome
from serialread.line.handshake import (
    ERROR,
    EXPECTED_LENGTH,
    READABLE,
    REGISTER_MAP,
    RESULT_LENGTH,
    RESULT_TEXT,
    STATUS,
    TEXT_BYTES,
    WRITABLE,
    Command,
    Handshake,
    HandshakeError,
    Status,
    encoded,
    expected_code,
    registers_of,
)

TRIGGER, ACKNOWLEDGE = Command.TRIGGER, Command.ACKNOWLEDGE


def at(handshake: Handshake, address: int) -> int:
    return handshake.registers()[address - READABLE.start]


def test_a_trigger_is_busy_then_done_until_it_is_acknowledged() -> None:
    handshake = Handshake()
    assert handshake.status == Status.READY
    assert handshake.command(TRIGGER, "a")
    assert handshake.status == Status.BUSY
    handshake.show(result("AB12", number=70_000, trigger="a"))
    assert handshake.status == Status.DONE
    assert not handshake.command(0, "-")
    assert handshake.status == Status.DONE, "clearing the trigger bit changes nothing"
    assert not handshake.command(ACKNOWLEDGE, "-")
    assert handshake.status == Status.READY
    values = handshake.registers()[3:]
    assert values[:6] == [1, 9870, 70_000 % 65_536, 4, 0x4142, 0x3132], "the result stays readable"


def test_a_trigger_while_busy_is_an_error_and_no_second_trigger() -> None:
    handshake = Handshake()
    handshake.command(TRIGGER, "a")
    handshake.command(0, "-")
    assert not handshake.command(TRIGGER, "b")
    assert handshake.status == Status.BUSY | Status.ERROR
    assert at(handshake, ERROR) == HandshakeError.TRIGGER_WHILE_BUSY
    assert handshake.pending == "a"
    handshake.show(result(trigger="a"))
    handshake.command(ACKNOWLEDGE, "-")
    assert handshake.status == Status.READY


def test_a_trigger_before_the_acknowledgement_is_an_error_and_keeps_the_result() -> None:
    handshake = Handshake()
    handshake.show(result("AB12", trigger="a"))
    assert not handshake.command(TRIGGER, "b")
    assert at(handshake, ERROR) == HandshakeError.NOT_ACKNOWLEDGED
    assert handshake.shown == "a"


def test_acknowledge_and_trigger_in_one_word_start_the_next_reading() -> None:
    handshake = Handshake()
    handshake.show(result(trigger="a"))
    assert handshake.command(TRIGGER | ACKNOWLEDGE, "b")
    assert (handshake.pending, handshake.shown) == ("b", "")


def test_after_a_restart_it_is_busy_until_what_the_plc_had_triggered_is_shown() -> None:
    handshake = Handshake(["a", "b"])
    assert handshake.status == Status.BUSY
    assert not handshake.command(TRIGGER, "c")
    assert at(handshake, ERROR) == HandshakeError.TRIGGER_WHILE_BUSY
    for trigger in ("a", "of the folder", "b"):
        assert handshake.can_show(trigger)
        handshake.show(result(trigger=trigger))
        assert handshake.status & Status.DONE
        handshake.command(ACKNOWLEDGE, "-")
        handshake.command(0, "-")
        assert handshake.status == (Status.READY if trigger == "b" else Status.BUSY)
    assert handshake.command(TRIGGER, "c")


@pytest.mark.parametrize(
    ("no_picture", "error"), [(True, HandshakeError.NO_PICTURE), (False, HandshakeError.NOT_ACCEPTED)]
)
def test_a_refused_trigger_says_why(no_picture: bool, error: HandshakeError) -> None:
    handshake = Handshake()
    handshake.command(TRIGGER, "a")
    handshake.refuse(no_picture=no_picture)
    assert handshake.status == Status.READY | Status.ERROR
    assert at(handshake, ERROR) == error


@given(st.lists(st.tuples(st.integers(0, 65_535), st.booleans()), max_size=60))
def test_whatever_the_plc_writes_one_state_holds_and_no_result_is_replaced_unseen(
    steps: list[tuple[int, bool]],
) -> None:
    handshake = Handshake()
    for number, (word, finishes) in enumerate(steps):
        shown = handshake.shown
        handshake.command(word, f"t{number}")
        assert handshake.shown in (shown, ""), "only an acknowledgement clears a result"
        if finishes and handshake.pending and handshake.can_show(handshake.pending):
            handshake.show(result(number=number, trigger=handshake.pending))
        state = handshake.status & ~Status.ERROR
        assert state in (Status.READY, Status.BUSY, Status.DONE)
        assert len(handshake.registers()) == len(READABLE)
        assert all(0 <= value <= 65_535 for value in handshake.registers())


@given(st.text(max_size=80))
def test_a_text_is_read_back_from_its_registers(text: str) -> None:
    data = encoded(text)
    registers = registers_of(data)
    read = b"".join(one.to_bytes(2, "big") for one in registers)[: len(data)].decode("ascii")
    assert len(data) <= TEXT_BYTES
    assert read == text.encode("ascii", "replace").decode()[:TEXT_BYTES]


@given(st.text(st.characters(codec="ascii"), max_size=TEXT_BYTES))
def test_an_expected_code_is_read_from_the_registers(text: str) -> None:
    registers = [0, len(text), *registers_of(text.encode())]
    assert expected_code(registers) == text


@pytest.mark.parametrize("registers", [[0, 65, *[0x4141] * 32], [0, 2, 0xFFFF, *[0] * 31]])
def test_an_expected_code_that_is_none_is_refused(registers: list[int]) -> None:
    with pytest.raises(BadTrigger) as caught:
        expected_code(registers)
    assert str(caught.value) == "the expected code must be ASCII, and at most 64 bytes long"


def test_the_register_map_has_no_gap_and_no_overlap() -> None:
    covered = [at for field in REGISTER_MAP for at in range(field.address, field.address + field.count)]
    assert covered == [*WRITABLE, *READABLE]
    assert (EXPECTED_LENGTH, STATUS, RESULT_LENGTH, RESULT_TEXT) == (1, 100, 106, 107)


def test_outcomes_have_numbers() -> None:
    handshake = Handshake()
    assert handshake.registers()[3] == 0
    handshake.show(result("", outcome=Outcome.FAIL))
    assert handshake.registers()[3:7] == [2, 0, 1, 0]
