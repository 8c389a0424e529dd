"""0 and O: what the station declares, what the shape decides, and what stays a guess."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from serialread.config import Code
from serialread.reader.ovals import CONTRADICTION, GUESS, settle_ovals
from serialread.reader.segmentation import Segmentations
from serialread.records import CharReading, Reading

STEP, LEFT, TOP, BOTTOM = 42, 16, 12, 52
EMPTY, SLASHED, DOTTED = "O", "/", "."


def crop_of(shapes: str) -> Segmentations:
    """A line of ovals that are empty, slashed or dotted, and of other characters."""
    pixels = np.full((64, 2 * LEFT + STEP * len(shapes)), 190, np.uint8)
    for i, shape in enumerate(shapes):
        x = LEFT + STEP * i
        if shape not in (EMPTY, SLASHED, DOTTED):
            cv2.putText(pixels, shape, (x, BOTTOM), cv2.FONT_HERSHEY_SIMPLEX, 1.7, 40, 4)
            continue
        centre = (x + 13, (TOP + BOTTOM) // 2)
        cv2.ellipse(pixels, centre, (11, 18), 0, 0, 360, 40, 4)
        if shape == SLASHED:
            cv2.line(pixels, (x + 5, BOTTOM - 6), (x + 21, TOP + 6), 40, 4)
        if shape == DOTTED:
            cv2.circle(pixels, centre, 4, 40, -1)
    return Segmentations(pixels)


def reading_of(text: str, confidence: float = 0.99) -> Reading:
    boxes = [(LEFT + STEP * i - 2.0, 0.0, LEFT + STEP * i + 28.0, 64.0) for i in range(len(text))]
    return Reading(
        tuple(CharReading(c, confidence, ("", 0.0), box) for c, box in zip(text, boxes, strict=True)), 0.99
    )


def settled(shapes: str, text: str, code: Code | None = None) -> tuple[str, list[float]]:
    reading = settle_ovals(reading_of(text), crop_of(shapes), code or Code())
    return reading.text, [c.confidence for c in reading.chars]


@pytest.mark.parametrize("read", ["0", "O"])
def test_an_empty_oval_among_letters_and_digits_is_a_guess(read: str) -> None:
    text, confidences = settled("A7O3", f"A7{read}3")
    assert (text, confidences) == (f"A7{read}3", [0.99, 0.99, 0.99 * GUESS, 0.99])


@pytest.mark.parametrize(("shapes", "text"), [("47O3", "4703"), ("ABOX", "ABOX"), ("A7K3", "A7K3")])
def test_codes_of_digits_or_letters_alone_are_left_as_they_are(shapes: str, text: str) -> None:
    assert settled(shapes, text) == (text, [0.99] * 4)


def test_a_dot_inside_decides_for_a_zero() -> None:
    assert settled("A7.3", "A703") == ("A703", [0.99] * 4)
    assert settled("A7.O", "A70O") == ("A70O", [0.99] * 4)


@pytest.mark.parametrize("read", ["0", "O"])
def test_a_slash_may_be_that_of_a_letter(read: str) -> None:
    weak = 0.99 * GUESS
    assert settled("A7/3", f"A7{read}3") == (f"A7{read}3", [0.99, 0.99, weak, 0.99])
    assert settled("AB/X", f"AB{read}X") == (f"AB{read}X", [0.99, 0.99, weak, 0.99])
    assert settled("47/3", "4703") == ("4703", [0.99] * 4)  # there are no letters


@pytest.mark.parametrize("mark", [SLASHED, DOTTED])
def test_an_empty_zero_beside_marked_ones_contradicts_them(mark: str) -> None:
    assert settled(f"A7{mark}O", "A700")[1][3] == 0.99 * CONTRADICTION
    assert settled(f"47{mark}O", "4700") == ("4700", [0.99, 0.99, 0.99, 0.99 * CONTRADICTION])


@pytest.mark.parametrize(("style", "mark"), [("slashed", SLASHED), ("dotted", DOTTED)])
def test_the_declared_style_decides(style: str, mark: str) -> None:
    code = Code.model_validate({"zero": style})
    assert settled(f"A{mark}OO", "A0OO", code)[0] == "A0OO"
    assert settled(f"A{mark}OO", "A000", code) == ("A0OO", [0.99] * 4)
    assert settled(f"4{mark}O7", "4OO7", code) == ("40O7", [0.99] * 4)


def test_plain_zeros_leave_no_letter_o() -> None:
    assert settled("A7OO", "A7O0", Code(zero="plain")) == ("A700", [0.99] * 4)


def test_a_format_decides_by_itself() -> None:
    code = Code(format=r"[A-Z]\d\d\d", zero="slashed")
    assert settled("A7O3", "A703", code) == ("A703", [0.99] * 4)


def test_a_guess_lowers_the_odds_of_several_views_too() -> None:
    def odds(probability: float) -> float:
        return float(np.log(probability / (1 - probability)))

    reading = replace(reading_of("A7O3"), joint_odds=odds(0.97))
    assert settle_ovals(reading, crop_of("A7O3"), Code()).joint_odds == pytest.approx(odds(0.97 * GUESS))
    columns = replace(reading_of("A7O3"), posterior=0.98)
    assert settle_ovals(columns, crop_of("A7O3"), Code()).posterior == 0.98 * GUESS


def test_the_surer_guess_stays_the_surer_one() -> None:
    sure, less = (settle_ovals(reading_of("A7O3", p), crop_of("A7O3"), Code()).chars[2] for p in (0.99, 0.7))
    assert (sure.confidence, less.confidence) == (0.99 * GUESS, 0.7 * GUESS)
    assert sure.runner_up == less.runner_up == ("0", 1 - GUESS)
