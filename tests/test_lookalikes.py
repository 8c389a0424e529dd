"""Truths that no reading can equal, and the folding of look-alikes."""

import pytest
from audit_cases import line, readings, truths
from hypothesis import given, strategies as st

from serialread.auditing.assessment import audit_tables
from serialread.codes import PRINTABLE, fold_lookalikes, unreadable
from serialread.inference.session import Engine
from serialread.weights import shipped_model


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("AB-12", "AB-12"),
        ("АВС12", "ABC12"),  # Cyrillic
        ("ΑΒΕ12", "ABE12"),  # Greek
        ("A–12—3−4", "A-12-3-4"),
        ("１２Ａ", "12A"),
        ("A\u200b1\ufeff", "A1"),
        ("DÖN", "DÖN"),  # looks like no ASCII character
        ("A 1", "A 1"),
    ],
)
def test_lookalikes_become_ascii(text: str, folded: str) -> None:
    assert fold_lookalikes(text) == folded


@given(st.text(PRINTABLE))
def test_printable_texts_are_not_folded_and_can_be_read(text: str) -> None:
    assert (fold_lookalikes(text), unreadable(text)) == (text, ())


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold_lookalikes(fold_lookalikes(text)) == fold_lookalikes(text)


def test_an_unreadable_character_has_its_place() -> None:
    assert unreadable("AÖ1–") == ((2, "Ö"), (4, "–"))
    assert unreadable("AÖ1–", "Ö") == ((4, "–"),)


def found(*pairs: tuple[str, str], fold: bool = False, read: str = "AB12") -> list[str]:
    table = readings(*(line(f"{i}.png", read) for i in range(len(pairs))))
    done = audit_tables(table, truths(*pairs), fold_lookalikes=fold)
    return [f"{finding.severity}: {finding.text}" for finding in done.findings]


def test_truths_with_characters_that_no_reading_has_are_named() -> None:
    expected = (
        "warning: 2 truths with a character that no reading has; counted as wrong: "
        "0.png 'А' (U+0410) at 1, 1.png 'Ö' (U+00D6) at 2. "
        "--fold-lookalikes takes look-alikes for ASCII characters."
    )
    assert expected in found(("0.png", "АB12"), ("1.png", "AÖ12"))


def test_folded_truths_can_be_right() -> None:
    table = readings(line("0.png", "AB12"), line("1.png", "AB12"))
    labels = truths(("0.png", "АВ12"), ("1.png", "AB12"))
    assert audit_tables(table, labels).total["right"] == 1
    folded = audit_tables(table, labels, fold_lookalikes=True)
    assert folded.total["right"] == 2
    texts = [finding.text for finding in folded.findings]
    assert texts == ["1 truth with look-alikes read as the ASCII characters: 0.png."]


def test_a_character_that_occurs_in_readings_can_be_read() -> None:
    assert found(("0.png", "AÖ12"), read="AÖ12") == []


def test_truths_longer_than_any_model_reads_are_named() -> None:
    expected = (
        "warning: 1 truth longer than the 40 characters that the model reads in a line: 1.png (41). "
        "They can only be right as several rows."
    )
    assert found(("0.png", "A" * 40), ("1.png", "B" * 41)) == [expected]


def test_truths_longer_than_the_model_reads_are_named() -> None:
    card = Engine(shipped_model()).card
    longest = "A" * card.capacity
    table = readings(*(line(f"{i}.png", "A", model_id=card.model_id) for i in range(2)))
    done = audit_tables(table, truths(("0.png", longest), ("1.png", longest + "A")))
    assert [finding.text for finding in done.findings] == [
        f"1 truth longer than the {card.capacity} characters that the model reads in a line: "
        f"1.png ({card.capacity + 1}). They can only be right as several rows."
    ]
