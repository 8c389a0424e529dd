"""Ovals: 0 or O, by what the station declares of its zeros and by the mark inside of the character.

The network tells them apart by the typeface that it takes a mark for; where a zero has no slash or dot that
is a guess, and its confidence does not show it. Nor does a slash tell a zero from the letter Ø.
"""

import math
from collections.abc import Container
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np

from serialread.config import Code
from serialread.reader.decisions import weakened
from serialread.reader.segmentation import MarkSegmentation, Segmentations
from serialread.records import CharStatus, Pixels, Reading

GUESS = 0.85
"""Share of its confidence that an oval keeps if its shape does not decide."""
CONTRADICTION = 0.5
"""The same of an empty oval that is read as 0 where other zeros have a mark inside."""
FILLED, EMPTY = 0.24, 0.1
"""Share of ink in an oval's core from which it has a mark inside, and up to which it has none."""
UNCLEAR = (FILLED + EMPTY) / 2
CORE = (0.08, 0.1)
"""Half the width and height of the core, per width and height of the character."""
BESIDE_PX = 2
"""Columns beside the cuts that a character's window includes: a cut may run along a stroke."""
MIN_SIDE_PX, MIN_WIDTH = 8, 0.25
"""Minimum side of a character's window; minimum of its width per height, and of the inverse."""

_OTHER = {"0": "O", "O": "0"}


class _Middle(NamedTuple):
    """The middle of an oval.

    Attributes:
        ink: share of it that is ink, 0..1.
        dotted: whether the ink stands apart from the oval's outline, which a slash touches.
    """

    ink: float
    dotted: bool = False


def settle_ovals(reading: Reading, crop: Segmentations, code: Code) -> Reading:
    """A reading of a crop whose ovals are read as the station's zeros say, or with less confidence.

    A format decides by itself. ``code.zero`` says how zeros look: plain ones make every oval a 0; of slashed
    or dotted ones the empty ovals are O. Where it is not set, an empty oval among letters and other digits is
    a guess, and so is a slashed one among letters.
    """
    places = [i for i, char in enumerate(reading.chars) if char.char in _OTHER]
    letters, digits = kinds_beside(reading.text, _OTHER)
    undecided = code.zero == "" and not letters and len(places) < 2
    if not places or code.format or undecided:
        return reading
    if code.zero == "plain":
        return _as(reading, dict.fromkeys(places, "0"))
    line = crop.of(reading)
    if line is None:
        return reading
    middles = {i: _middle(crop.pixels, line, i) for i in places}
    if code.zero:
        clear = {i: middle for i, middle in middles.items() if not EMPTY < middle.ink < FILLED}
        settled = _as(reading, {i: "0" if middle.ink >= FILLED else "O" for i, middle in clear.items()})
        return _guessed(settled, dict.fromkeys(set(places) - set(clear), GUESS))
    any_filled = any(middle.ink >= FILLED for middle in middles.values())
    kept = {
        i: _kept(reading.chars[i].char, middle, any_filled, letters=letters, mixed=letters and digits)
        for i, middle in middles.items()
    }
    return _guessed(reading, {i: share for i, share in kept.items() if share < 1})


def has_marked_oval(reading: Reading, crop: Segmentations) -> bool:
    """Whether some oval of a reading has a mark inside: then the picture tells 0 and O apart."""
    line = crop.of(reading)
    places = [i for i, char in enumerate(reading.chars) if char.char in _OTHER]
    return line is not None and any(_middle(crop.pixels, line, i).ink >= FILLED for i in places)


def _guessed(reading: Reading, kept: dict[int, float]) -> Reading:
    """The reading with ovals that keep only a share of their confidence; the other oval is the runner-up."""
    weak = weakened(reading, kept)
    chars = list(weak.chars)
    for i, share in kept.items():
        status = CharStatus.CONFUSED if share < GUESS else chars[i].status
        chars[i] = replace(chars[i], runner_up=(_OTHER[chars[i].char], 1 - share), status=status)
    return replace(weak, chars=tuple(chars))


def _as(reading: Reading, chars: dict[int, str]) -> Reading:
    """The reading with other characters at some positions."""
    texts = [chars.get(i, char.char) for i, char in enumerate(reading.chars)]
    return replace(
        reading, chars=tuple(replace(c, char=text) for c, text in zip(reading.chars, texts, strict=True))
    )


def kinds_beside(text: str, alike: Container[str]) -> tuple[bool, bool]:
    """Whether a text has letters, and digits, beside the characters of ambiguous shape."""
    others = [char for char in text if char not in alike]
    return any(char.isalpha() for char in others), any(char.isdigit() for char in others)


def _kept(char: str, middle: _Middle, any_filled: bool, *, letters: bool, mixed: bool) -> float:
    """Share of its confidence that an oval keeps where the station does not say how its zeros look, 0..1.

    Args:
        char: 0 or O.
        middle: its middle.
        any_filled: whether some oval of the code has a mark inside.
        letters: whether there are letters beside the ovals.
        mixed: whether there are letters and digits.
    """
    if middle.ink >= FILLED:
        return GUESS if letters and not middle.dotted else 1.0
    if any_filled and middle.ink <= EMPTY:
        return CONTRADICTION if char == "0" else 1.0
    return GUESS if mixed else 1.0


def _middle(pixels: Pixels, line: MarkSegmentation, number: int) -> _Middle:
    """The middle of a character; ``UNCLEAR`` ink if it does not stand apart."""
    scale = pixels.shape[0] / line.marked.shape[0]
    first, after = (round(cut * scale) for cut in line.cuts[number : number + 2].tolist())
    columns = slice(max(first - BESIDE_PX, 0), after + BESIDE_PX)
    window = np.ascontiguousarray(pixels[round(line.top * scale) : round(line.bottom * scale), columns])
    if min(window.shape) < MIN_SIDE_PX:
        return _Middle(UNCLEAR)
    _, bright = cv2.threshold(window, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    sides = np.concatenate((bright[:, 0], bright[:, -1], bright[0, :2], bright[-1, :2]))
    ink = (bright != (sides.mean() > 0.5)).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8, ltype=cv2.CV_32S)
    if len(stats) < 2:
        return _Middle(UNCLEAR)
    outline = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    left, top, width, height, _ = stats[outline].tolist()
    if left == 0 or left + width == window.shape[1] or not MIN_WIDTH < width / height < 1 / MIN_WIDTH:
        return _Middle(UNCLEAR)
    x, y = left + width / 2, top + height / 2
    rows = slice(int(y - CORE[1] * height), math.ceil(y + CORE[1] * height))
    core = labels[rows, int(x - CORE[0] * width) : math.ceil(x + CORE[0] * width)]
    return _Middle(float((core > 0).mean()), dotted=not (core == outline).any())
