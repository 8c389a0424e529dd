"""A narrow character that may stand twice: the columns say how probable the longer code is."""

import numpy as np
import pytest

from serialread.codes import Alphabet
from serialread.config import CropGeometry
from serialread.inference.session import ModelCard
from serialread.reader.doubled import doubled_char
from serialread.reader.outputs import Outputs

ALPHABET = Alphabet("AHJ1")
CARD = ModelCard("m", ALPHABET, CropGeometry(), "r", 1, topology="ctc")


def view_of(char: str, blank: float) -> Outputs:
    """Columns that read A, the character and A; a blank between two columns of it has this probability."""
    a, c = ALPHABET.encode("A" + char)
    scores = np.full((6, ALPHABET.classes), 1e-9)
    scores[[0, 1, 2, 4, 5], [a, 0, c, c, a]] = 1.0
    scores[3, [0, c]] = blank, 1 - blank
    return Outputs(np.log(scores).astype(np.float32), np.zeros((1, 1), np.float32))


@pytest.mark.parametrize(
    ("char", "blank", "number"),
    [("J", 0.05, 2), ("1", 0.05, 2), ("J", 0.0001, 0), ("H", 0.05, 0)],
    ids=["perhaps two", "a digit", "surely one", "not narrow"],
)
def test_a_narrow_character_that_may_stand_twice_is_named(char: str, blank: float, number: int) -> None:
    views = [view_of(char, blank)]
    assert doubled_char(f"A{char}A", views, CARD, lambda text: True) == number
    assert doubled_char(f"A{char}A", views, CARD, lambda text: len(text) == 3) == 0


def test_the_view_that_reads_the_code_best_decides() -> None:
    sure, vague = view_of("J", 0.0001), view_of("J", 0.9)
    assert doubled_char("AJA", [vague, sure], CARD, lambda text: True) == 0
    assert doubled_char("AJA", [], CARD, lambda text: True) == 0
