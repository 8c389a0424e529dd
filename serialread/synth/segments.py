"""A seven-segment alphabet: which segments are on, and where they lie.

Lengths are in cap heights, y down, baseline at 0. Segments are named a to g clockwise from the top, the bar
in the middle last, as data sheets name them.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from serialread.synth.rng import below

Points = NDArray[np.float64]
Ends = Literal["pointed", "mitred", "blunt"]

ALL_ON = "8"
"""The character of which every other is a part."""

_ON = {
    "0": "abcdef",
    "1": "bc",
    "2": "abdeg",
    "3": "abcdg",
    "4": "bcfg",
    "5": "acdfg",
    "6": "acdefg",
    "7": "abc",
    "8": "abcdefg",
    "9": "abcdfg",
    "-": "g",
    "A": "abcefg",
    "b": "cdefg",
    "C": "adef",
    "d": "bcdeg",
    "E": "adefg",
    "F": "aefg",
    "H": "bcefg",
    "J": "bcd",
    "L": "def",
    "P": "abefg",
    "U": "bcdef",
    "h": "cefg",
    "n": "ceg",
    "o": "cdeg",
    "r": "eg",
    "t": "defg",
    "u": "cde",
    "y": "bcdfg",
}
"""Characters that nobody takes for another; S, O and B would be 5, 0 and 8."""
_TAILLESS = {"6": "cdefg", "9": "abcfg"}
_HOOKED = {"7": "abcf"}
_POINT = 0.16
"""Advance of a decimal point, which stands in the gap between two digits."""


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """One make of display: how wide its digits are, how its segments end, which shapes 6, 7 and 9 have."""

    name: str
    width: float
    ends: Ends
    glyphs: dict[str, str] = field(repr=False)
    advances: dict[str, float] = field(repr=False)
    caps_only: bool = False

    def polygons(self, char: str, thick: float, gap: float) -> tuple[Points, ...]:
        """Polygons [k, 2] of the segments that are on, ``thick`` thick and ``gap`` apart."""
        if char in ".:":
            return tuple(_square(0.07, y, thick) for y in ((-0.3, -0.7) if char == ":" else (-thick / 2,)))
        return tuple(_segment(name, self.width, self.ends, thick, gap) for name in self.glyphs[char])


@lru_cache(maxsize=1)
def segment_faces() -> tuple[Segments, ...]:
    """Seven-segment displays, drawn for this package."""
    return (
        _make("segments-pointed", 0.55, "pointed", {}),
        _make("segments-pointed-tailless", 0.6, "pointed", _TAILLESS),
        _make("segments-mitred", 0.52, "mitred", {}),
        _make("segments-mitred-hooked", 0.6, "mitred", _HOOKED),
        _make("segments-mitred-narrow", 0.46, "mitred", {}),
        _make("segments-blunt", 0.54, "blunt", {}),
        _make("segments-blunt-wide", 0.68, "blunt", _HOOKED),
    )


def shown(text: str, rng: np.random.Generator, *, letters: bool) -> str:
    """The text as a display can show it: letters in the case it has or not at all, digits for the rest."""
    out = []
    for char in text:
        able = next((c for c in (char, char.swapcase()) if c in _ON or c in ".:" or c.isspace()), None)
        keep = able is not None and (letters or not able.isalpha())
        out.append(able if able is not None and keep else str(below(10, rng)))
    return "".join(out)


def _make(name: str, width: float, ends: Ends, swaps: dict[str, str]) -> Segments:
    glyphs = _ON | swaps | {".": "", ":": ""}
    glyphs = {c: on for c, on in glyphs.items() if c == "6" or on != glyphs["6"]}  # a tailless 6 is a b
    advances = dict.fromkeys(glyphs, width + 0.16) | {".": _POINT - 0.02, ":": _POINT + 0.12}
    return Segments(name, width, ends, glyphs, advances)


def _segment(name: str, width: float, ends: Ends, thick: float, gap: float) -> Points:
    """A bar between two corners of the figure, lying for a, d, g and upright for the others."""
    left, right, top, middle, bottom = thick / 2, width - thick / 2, thick / 2 - 1, -0.5, -thick / 2
    starts = {
        "a": (left, top, right, top),
        "g": (left, middle, right, middle),
        "d": (left, bottom, right, bottom),
        "f": (left, top, left, middle),
        "b": (right, top, right, middle),
        "e": (left, middle, left, bottom),
        "c": (right, middle, right, bottom),
    }
    x0, y0, x1, y1 = starts[name]
    start, stop = np.array([x0, y0]), np.array([x1, y1])
    along = (stop - start) / np.hypot(*(stop - start))
    across = np.array([-along[1], along[0]]) * thick / 2
    start, stop = start + along * gap, stop - along * gap
    back = along * thick / 2
    if ends == "blunt":
        start, stop = start + back * 0.9, stop - back * 0.9
        return np.array([start - across, stop - across, stop + across, start + across])
    if ends == "pointed" or name == "g":
        inner = (start + back, stop - back)
        sides = [start, inner[0] - across, inner[1] - across, stop, inner[1] + across, inner[0] + across]
        return np.array(sides)
    centre = np.array([width / 2, -0.5])
    outward = across if float(across @ (start - centre)) > 0 else -across
    return np.array(
        [start - back + outward, stop + back + outward, stop - back - outward, start + back - outward]
    )


def _square(x: float, y: float, side: float) -> Points:
    half = side / 2
    return np.array([[x - half, y - half], [x + half, y - half], [x + half, y + half], [x - half, y + half]])
