"""Letters and digits come in runs: what the neighbours say about 0 and O, 1 and I."""

import math
from itertools import product

import cv2
import numpy as np
import pytest
from hypothesis import given, strategies as st

from serialread.config import Code
from serialread.reader.class_runs import log_evidence, settle_classes
from serialread.reader.ovals import GUESS
from serialread.reader.segmentation import Segmentations
from serialread.records import CharReading, Reading

STEP = 42
OTHERS = {"0": "O", "O": "0", "o": "0", "1": "I", "I": "1", "l": "1"}


def crop_of(text: str, slashed: frozenset[int] = frozenset()) -> Segmentations:
    """A line of ovals of one shape, some with a slash, and of other characters."""
    pixels = np.full((64, 32 + STEP * len(text)), 190, np.uint8)
    for i, char in enumerate(text):
        x = 16 + STEP * i
        if char not in "0O":
            cv2.putText(pixels, char, (x, 52), cv2.FONT_HERSHEY_SIMPLEX, 1.7, 40, 4)
            continue
        cv2.ellipse(pixels, (x + 13, 32), (11, 18), 0, 0, 360, 40, 4)
        if i in slashed:
            cv2.line(pixels, (x + 5, 46), (x + 21, 18), 40, 4)
    return Segmentations(pixels)


def reading_of(text: str, confidence: float) -> Reading:
    """Ambiguous characters have this confidence, and the other class has the rest."""
    chars = tuple(
        CharReading(
            char,
            confidence if char in OTHERS else 1.0,
            (OTHERS.get(char, ""), 1 - confidence),
            (14.0 + STEP * i, 0.0, 44.0 + STEP * i, 64.0),
        )
        for i, char in enumerate(text)
    )
    return Reading(chars, 1.0, posterior=0.5)


def settled(text: str, confidence: float = 0.6, code: Code | None = None) -> str:
    return settle_classes(reading_of(text, confidence), crop_of(text), code or Code()).text


@pytest.mark.parametrize(
    ("read", "code"),
    [
        ("0LB-4809", "OLB-4809"),
        ("PJ1-5396", "PJI-5396"),
        ("JRV-I942", "JRV-1942"),
        ("0KS-OO78", "OKS-0078"),
        ("4711-OI23", "4711-0123"),
        ("GB-2016-20I0", "GB-2016-2010"),
        ("serial12o7", "serial1207"),
        ("117.O7.01.211", "117.07.01.211"),
    ],
)
def test_neighbours_of_one_class_decide_where_the_shape_does_not(read: str, code: str) -> None:
    assert settled(read) == code
    assert settled(code) == code


def test_a_clear_shape_is_believed() -> None:
    assert settled("JRV-I942", 0.999) == "JRV-I942"
    assert settled("OLB0", 0.999) == "OLB0"


def test_a_code_without_runs_decides_less_than_a_regular_one() -> None:
    assert settled("AB0CDE-4711", 0.75) == "ABOCDE-4711"
    assert settled("A8B0C9D-7K", 0.75) == "A8B0C9D-7K"


def test_groups_are_apart() -> None:
    assert settled("4711-0-XYZ") == "4711-0-XYZ"
    assert settled("4711-O-XYZ") == "4711-O-XYZ"


def test_a_format_and_declared_zeros_decide_by_themselves() -> None:
    assert settled("0LB-4809", code=Code(format=r"\d[A-Z]{2}-\d{4}")) == "0LB-4809"
    assert settled("0LBI-4809", code=Code(zero="plain")) == "0LBI-4809"


def test_ovals_that_the_picture_tells_apart_stay() -> None:
    text = "OLB-O809"
    crop = crop_of(text, slashed=frozenset({6}))
    assert settle_classes(reading_of(text, 0.6), crop, Code()).text == text
    assert settle_classes(reading_of(text, 0.6), crop_of(text), Code()).text == "OLB-0809"


def test_what_only_neighbours_decided_is_a_guess() -> None:
    reading = settle_classes(reading_of("0LB-4809", 0.6), crop_of("0LB-4809"), Code())
    assert (reading.chars[0].char, reading.chars[0].confidence) == ("O", 0.6 * GUESS)
    assert reading.chars[0].runner_up == ("0", 1 - GUESS)
    assert reading.posterior == 0.5 * GUESS
    assert reading.chars[7].confidence == 1.0


@given(st.text("01OIABC789-", max_size=20), st.floats(0.5, 1.0))
def test_only_ambiguous_characters_change_and_no_confidence_rises(text: str, confidence: float) -> None:
    before = reading_of(text, confidence)
    after = settle_classes(before, crop_of(text or "A"), Code())
    for old, new in zip(before.chars, after.chars, strict=True):
        assert new.char in (old.char, OTHERS.get(old.char))
        assert new.confidence <= old.confidence


@pytest.mark.parametrize("length", [1, 2, 5])
def test_the_evidence_of_all_runs_of_a_length_is_one(length: int) -> None:
    texts = ["A" + "".join(rest) for rest in product("A1", repeat=length - 1)]
    assert sum(math.exp(log_evidence(text)) for text in texts) == pytest.approx(1)


def test_signs_and_case_are_no_change_of_class() -> None:
    assert log_evidence("") == log_evidence("A-1") == 0
    assert log_evidence("aB34") == log_evidence("AB12")
    assert log_evidence("105630") > log_evidence("ABC123") > log_evidence("10S630")
