"""Ovals: 0 or O, by what the station declares of its zeros and by the mark inside of the character.

The network tells them apart by the typeface that it takes a mark for; where a zero has no slash or dot that
is a guess, and its confidence does not show it.
"""

import math
from dataclasses import replace

import cv2
import numpy as np

from serialread.config import Code
from serialread.reader.segmentation import MarkSegmentation, segment
from serialread.records import CharReading, CharStatus, Crop, Pixels, Reading

GUESS = 0.85
"""Maximum confidence of an oval that its shape does not decide, in a code of letters and digits."""
CONTRADICTION = 0.5
"""Maximum confidence of an empty oval that is read as 0 where other zeros have a mark inside."""
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


def settle_ovals(reading: Reading, crop: Crop, code: Code) -> Reading:
    """A reading of a crop whose ovals are read as the station's zeros say, or with less confidence.

    A format decides by itself. ``code.zero`` says how zeros look: plain ones make every oval a 0; of slashed
    or dotted ones the empty ovals are O. Where it is not set, an empty oval among letters and other digits is
    a guess.
    """
    places = [i for i, char in enumerate(reading.chars) if char.char in _OTHER]
    undecided = code.zero == "" and not _is_mixed(reading.text)
    if not places or code.format or undecided:
        return reading
    if code.zero == "plain":
        return _with(reading, {i: replace(reading.chars[i], char="0") for i in places})
    line = segment(crop.pixels, reading.chars)
    if line is None:
        return reading
    cores = {i: _core(crop.pixels, line, i) for i in places}
    if code.zero:
        return _with(reading, {i: _declared(reading.chars[i], core) for i, core in cores.items()})
    any_filled = any(core >= FILLED for core in cores.values())
    return _with(reading, {i: _guessed(reading.chars[i], core, any_filled) for i, core in cores.items()})


def _is_mixed(text: str) -> bool:
    """Whether there are letters and digits beside the ovals."""
    others = [char for char in text if char not in _OTHER]
    return any(char.isalpha() for char in others) and any(char.isdigit() for char in others)


def _core(pixels: Pixels, line: MarkSegmentation, number: int) -> float:
    """Share of the middle of a character that is ink, 0..1; ``UNCLEAR`` if it does not stand apart."""
    scale = pixels.shape[0] / line.marked.shape[0]
    first, after = (round(cut * scale) for cut in line.cuts[number : number + 2].tolist())
    columns = slice(max(first - BESIDE_PX, 0), after + BESIDE_PX)
    window = np.ascontiguousarray(pixels[round(line.top * scale) : round(line.bottom * scale), columns])
    if min(window.shape) < MIN_SIDE_PX:
        return UNCLEAR
    _, bright = cv2.threshold(window, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    sides = np.concatenate((bright[:, 0], bright[:, -1], bright[0, :2], bright[-1, :2]))
    ink = (bright != (sides.mean() > 0.5)).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8, ltype=cv2.CV_32S)
    if len(stats) < 2:
        return UNCLEAR
    left, top, width, height, _ = max(stats[1:].tolist(), key=lambda box: box[cv2.CC_STAT_AREA])
    if left == 0 or left + width == window.shape[1] or not MIN_WIDTH < width / height < 1 / MIN_WIDTH:
        return UNCLEAR
    x, y = left + width / 2, top + height / 2
    rows = slice(int(y - CORE[1] * height), math.ceil(y + CORE[1] * height))
    return float(ink[rows, int(x - CORE[0] * width) : math.ceil(x + CORE[0] * width)].mean())


def _declared(char: CharReading, core: float) -> CharReading:
    if EMPTY < core < FILLED:
        return _capped(char, GUESS)
    return replace(char, char="0" if core >= FILLED else "O")


def _guessed(char: CharReading, core: float, any_filled: bool) -> CharReading:
    """An oval of a station that does not say how its zeros look."""
    if core >= FILLED or (char.char == "O" and any_filled):
        return char
    return _capped(char, CONTRADICTION if any_filled and char.char == "0" else GUESS)


def _capped(char: CharReading, most: float) -> CharReading:
    if char.confidence <= most:
        return char
    status = CharStatus.CONFUSED if most < GUESS else char.status
    return replace(char, confidence=most, runner_up=(_OTHER[char.char], 1 - most), status=status)


def _with(reading: Reading, settled: dict[int, CharReading]) -> Reading:
    chars = tuple(settled.get(i, char) for i, char in enumerate(reading.chars))
    least = min(char.confidence for char in settled.values())
    if least > GUESS:
        return replace(reading, chars=chars)
    odds, posterior = reading.joint_odds, reading.posterior
    return replace(
        reading,
        chars=chars,
        joint_odds=None if odds is None else min(odds, math.log(max(least, 1e-9)) - math.log1p(-least)),
        posterior=None if posterior is None else min(posterior, least),
    )
