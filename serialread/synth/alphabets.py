"""Alphabets drawn for this package: single strokes, dot matrices and seven-segment displays.

Lengths are in cap heights, y down, baseline at 0. Segments are named a to g clockwise from the top, the bar
in the middle last, as data sheets name them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.synth.rng import Rng, below, one_of, within

_DATA = Path(__file__).parent / "data"

T = TypeVar("T")
Polyline = tuple[tuple[float, float], ...]
Skeleton = Mapping[str, tuple[float, tuple[NDArray[np.float64], ...]]]
"""Width and strokes [k, 2] of every character, grid units: cap top 0, baseline 8."""


@dataclass(frozen=True, slots=True, eq=False)
class Strokes:
    """A single-stroke alphabet: polylines a character (a lone point is a dot), and its advances."""

    name: str
    glyphs: dict[str, tuple[Polyline, ...]] = field(repr=False)
    advances: dict[str, float] = field(repr=False)
    caps_only: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Dots:
    """A dot matrix: strings of ``cols`` characters, "." for no dot.

    The first ``rows`` of them are one cap height high; what follows hangs below the baseline.
    """

    name: str
    rows: int
    cols: int
    glyphs: dict[str, tuple[str, ...]] = field(repr=False)
    caps_only: bool = False


@dataclass(frozen=True, slots=True)
class _Cut:
    """A variant of an alphabet: other shapes for some characters, another width, rounder corners.

    ``waist`` lowers points at half height, grid units; ``uneven`` is the spread of the characters' widths,
    as a part of them.
    """

    name: str
    swaps: str
    width: float = 1.0
    rounding: int = 0
    gap: float = 0.26
    waist: float = 0.0
    uneven: float = 0.0


_STROKES = (
    _Cut("strokes-iso", "", 1.0, 3),
    _Cut("strokes-iso-slashed", "0/slashed 7/bar", 1.0, 3),
    _Cut("strokes-plotter", "0/slashed 1 4/open", 1.0, 0),
    _Cut("strokes-plotter-plain", "2/round M/short", 0.95, 0),
    _Cut("strokes-plotter-foot", "1/foot I/serif 0/dotted", 1.05, 0),
    _Cut("strokes-narrow", "1/plain I/serif l/tail 4/open", 0.72, 3, 0.22),
    _Cut("strokes-narrow-octagon", "3/flat 1/plain I/serif l/tail M/short", 0.75, 0, 0.22),
    _Cut("strokes-wide", "4/open I/serif 2/round", 1.3, 3),
    _Cut("strokes-wide-octagon", "0/slashed 6/straight 9/straight", 1.25, 1),
    _Cut("strokes-pen", "6/straight 9/straight 1/foot 3/flat 7/hook l/tail", 0.9, 2),
    _Cut("strokes-machinist", "4/high 7/bar Z/bar A/flat 0/open l/tail", 0.85, 1),
    _Cut("strokes-draughtsman", "2/round 6/straight 9/straight M/short 4/high", 0.9, 3, 0.3),
)
_FIVE_BY_SEVEN = (
    _Cut("dots-5x7", "0/pointed"),
    _Cut("dots-5x7-slashed", "0/slashed 1/foot 5/round"),
    _Cut("dots-5x7-dotted", "0/dotted 4/open A/flat M/deep W/deep D/square"),
    _Cut("dots-5x7-open", "0/open 1/foot 3/flat 6/straight 9/straight"),
    _Cut("dots-5x7-bar", "0/narrow 1/plain 7/bar Z/bar J/bar"),
    _Cut("dots-5x7-square", "1/foot 7/steep I/bar O/square"),
)
_FIVE_BY_FIVE = (
    _Cut("dots-5x5", ""),
    _Cut("dots-5x5-slashed", "0/slashed 1/foot"),
)
_SET = (
    (7, 9, _Cut("dots-7x9", "s/short I/serif 1/foot M/short", rounding=1)),
    (7, 9, _Cut("dots-7x9-slashed", "s/short 0/slashed 1 7/bar")),
    (7, 9, _Cut("dots-7x9-dotted", "s/short 0/dotted I/serif 4/open A/flat")),
    (7, 9, _Cut("dots-7x9-open", "s/short 0/gap 1/foot I/serif 3/flat", rounding=1)),
    (9, 13, _Cut("dots-9x13", "s/short 2/round M/short", rounding=1)),
    (9, 13, _Cut("dots-9x13-slashed", "s/short 0/slashed 1/foot I/serif", rounding=1)),
    (9, 13, _Cut("dots-9x13-dotted", "s/short 0/dotted 7/bar 6/straight 9/straight")),
    (9, 13, _Cut("dots-9x13-open", "s/short 0/gap 4/high I/serif Z/bar", rounding=2)),
)
_VARIED = 60
"""Randomly composed alphabets: each manufacturer of markers has its own shapes, more than a list can hold."""
_VARIED_SETS = ((7, 9), (9, 13), (7, 9), (8, 11), (9, 13), (6, 9), (7, 11), (8, 11), (10, 15), (7, 9))


@lru_cache(maxsize=1)
def stroke_faces() -> tuple[Strokes, ...]:
    """Single-stroke alphabets as engraving machines and plotters cut them; drawn for this package."""
    return tuple(_strokes(cut) for cut in (*_STROKES, *(_varied("strokes", n) for n in range(_VARIED))))


@lru_cache(maxsize=1)
def dot_faces() -> tuple[Dots, ...]:
    """Dot matrices from 5 x 5 to 9 x 13, with plain, slashed, dotted and open zeros.

    The small ones are drawn dot by dot; the large ones are set from the stroke skeleton.
    """
    large, small = _read_matrix("dots-5x7.txt"), _read_matrix("dots-5x5.txt")
    return (
        *(Dots(cut.name, 7, 5, _swapped(large, cut)) for cut in _FIVE_BY_SEVEN),
        *(Dots(cut.name, 5, 5, _swapped(small, cut), caps_only=True) for cut in _FIVE_BY_FIVE),
        *(_set(cut, cols, rows) for cols, rows, cut in _SET),
        *(_set(_varied(f"dots-{c}x{r}", n, "s/short"), c, r) for n, (c, r) in enumerate(_VARIED_SETS)),
    )


def _varied(kind: str, number: int, *more: str) -> _Cut:
    """A randomly composed variant, the same for the same number; ``more`` swaps are fixed."""
    rng = np.random.default_rng([len(kind), number])
    table = _skeleton()
    shapes = {char: [name for name in table if name[0] == char] for char in table if len(char) == 1}
    drawn = {char: one_of(names, rng) for char, names in shapes.items() if len(names) > 1}
    if drawn["1"] == "1/plain":  # else 1, I and l have one shape
        drawn |= {"I": "I/serif", "l": "l/tail"}
    return _Cut(
        f"{kind}-varied-{number:02}",
        " ".join([*drawn.values(), *more]),
        within((0.62, 1.3), rng),
        below(4, rng),
        within((0.2, 0.34), rng),
        within((-0.7, 0.7), rng),
        within((0.0, 0.12), rng),
    )


def _swapped(table: Mapping[str, T], cut: _Cut) -> dict[str, T]:
    plain = {name: value for name, value in table.items() if len(name) == 1}
    return plain | {name[0]: table[name] for name in cut.swaps.split()}


def _read_matrix(file: str) -> dict[str, tuple[str, ...]]:
    """Rows of every character and variant: blocks of a line of names, then their rows side by side."""
    table: dict[str, tuple[str, ...]] = {}
    for block in (_DATA / file).read_text(encoding="utf-8").split("\n\n")[1:]:
        names, *rows = (line.split() for line in block.strip().split("\n"))
        table |= zip(names, zip(*rows, strict=True), strict=True)
    return table


@lru_cache(maxsize=1)
def _skeleton() -> Skeleton:
    table = {}
    for line in (_DATA / "strokes.txt").read_text(encoding="utf-8").splitlines():
        parts = line.split(" ")
        if len(parts) < 3 or not parts[1].isdigit():
            continue
        strokes = tuple(
            np.array([[int(s[i], 36), int(s[i + 1], 36)] for i in range(0, len(s), 2)], np.float64)
            for s in parts[2:]
        )
        table[parts[0]] = (float(parts[1]), strokes)
    return table


def _strokes(cut: _Cut) -> Strokes:
    glyphs, advances = {}, {}
    rng = np.random.default_rng(len(cut.swaps))  # any fixed seed: a cut is the same whenever it is drawn
    for char, (width, strokes) in _swapped(_skeleton(), cut).items():
        wide = cut.width * (1 + cut.uneven * within((-1, 1), rng)) / 8
        lines = (_waisted(_rounded(s, cut.rounding), cut.waist) for s in strokes)
        glyphs[char] = tuple(tuple((float(x) * wide, float(y) / 8 - 1) for x, y in line) for line in lines)
        advances[char] = width * wide + cut.gap
    return Strokes(cut.name, glyphs, advances)


def _waisted(line: NDArray[np.float64], waist: float) -> NDArray[np.float64]:
    """Lower points between cap top and baseline, most at half height; both ends stay."""
    if not waist:
        return line
    x, y = line.T
    return np.stack([x, y + waist * np.sin(np.clip(y, 0, 8) * np.pi / 8)], axis=1)


def _rounded(line: NDArray[np.float64], times: int) -> NDArray[np.float64]:
    """Cut every corner of a polyline at its quarters, again and again (Chaikin); closed lines stay closed."""
    closed = len(line) > 3 and bool(np.all(line[0] == line[-1]))
    for _ in range(times if len(line) > 2 else 0):
        a, b = line[:-1], line[1:]
        points = np.stack([0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b], axis=1).reshape(-1, 2)
        if closed:
            line = np.concatenate([points, points[:1]])
        else:
            line = np.concatenate([line[:1], points[1:-1], line[-1:]])
    return line


def _set(cut: _Cut, cols: int, rows: int) -> Dots:
    """Set the stroke skeleton on a matrix; tails hang below the baseline."""
    glyphs = {}
    for char, (width, strokes) in _swapped(_skeleton(), cut).items():
        across, down = (cols - 1) / max(width, 5.0), (rows - 1) / 8
        shift = round((cols - 1 - width * across) / 2)
        deepest = max(float(s[:, 1].max()) for s in strokes)
        grid = np.zeros((max(round(deepest * down) + 1, rows), cols), np.uint8)
        for stroke in strokes:
            points = np.round(_rounded(stroke, cut.rounding) * (across, down) + (shift, 0)).astype(np.int32)
            cv2.polylines(grid, [np.repeat(points, 2, axis=0) if len(points) == 1 else points], False, 1)
        glyphs[char] = tuple("".join("#" if v else "." for v in row) for row in grid)
    return Dots(cut.name, rows, cols, glyphs)


Points = NDArray[np.float64]
Ends = Literal["pointed", "mitred", "blunt"]

ALL_ON = "8"
"""The character with all segments on."""

_ON = dict(line.split() for line in (_DATA / "segments.txt").read_text().splitlines()[1:])
"""Segments that are on, by character."""
_TAILLESS = {"6": "cdefg", "9": "abcfg"}
_HOOKED = {"7": "abcf"}
_POINT = 0.16
"""Advance of a decimal point, which lies in the gap between two digits."""


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


def displayable(text: str, rng: Rng, *, letters: bool) -> str:
    """The text as a display can show it: letters in a case that it has, digits for what it cannot show."""
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
