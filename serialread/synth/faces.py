"""Which letter shapes there are: outline typefaces, single-stroke engraving alphabets, dot matrices.

Lengths are in cap heights, y down, baseline at 0, unless a name says px.
"""

import hashlib
import logging
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from fontTools.ttLib import TTFont, TTLibError
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from serialread.records import Pixels

# fontTools reports harmless oddities of font files; what makes a file unusable is judged below
logging.getLogger("fontTools").setLevel(logging.ERROR)

_HERE = Path(__file__).parent
_NEEDED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-./")
_CAPS_NEEDED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-./")

Polyline = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Outline:
    """A typeface in a font file; ``caps_only`` where small letters are missing or look like capitals."""

    name: str
    family: str
    path: Path
    index: int
    chars: frozenset[str] = field(repr=False, compare=False, hash=False)
    caps_only: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Strokes:
    """A single-stroke alphabet: polylines a character (a lone point is a dot), and its advances."""

    name: str
    glyphs: dict[str, tuple[Polyline, ...]] = field(repr=False)
    advances: dict[str, float] = field(repr=False)
    caps_only: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Dots:
    """A dot matrix, one cap height high: ``rows`` strings of ``cols`` characters each, "." for no dot."""

    name: str
    rows: int
    cols: int
    glyphs: dict[str, tuple[str, ...]] = field(repr=False)
    caps_only: bool = False


@dataclass(frozen=True, slots=True)
class Glyph:
    """A rendered character: coverage uint8 [h, w], its offset from the pen (px, y down), its advance (px)."""

    alpha: Pixels
    left: int
    top: int
    advance: float


def outline_faces(folders: tuple[Path, ...] = ()) -> tuple[Outline, ...]:
    """The bundled typefaces and those of further folders, sorted by name whatever the order on disk."""
    return _outline_faces(tuple(Path(f) for f in folders))


@lru_cache(maxsize=8)
def _outline_faces(folders: tuple[Path, ...]) -> tuple[Outline, ...]:
    found: dict[str, Outline] = {}
    for folder in (_HERE / "typefaces", *folders):
        for path in sorted(folder.rglob("*"), key=lambda p: p.as_posix()):
            if path.suffix.lower() in (".ttf", ".otf"):
                for face in _examined(path):
                    found.setdefault(face.name, face)
    return tuple(found[name] for name in sorted(found))


def _examined(path: Path) -> Iterator[Outline]:
    """The typeface in a file, if it has what codes need and looks like letters."""
    try:
        with path.open("rb") as stream, TTFont(stream, lazy=True) as font:
            chars = frozenset(chr(c) for c in (font.getBestCmap() or {}) if 33 <= c < 127)
            family, style = font["name"].getBestFamilyName(), font["name"].getBestSubFamilyName()
    except (TTLibError, OSError, KeyError, AssertionError, struct.error):
        return
    if not chars >= _CAPS_NEEDED:
        return
    name = f"{family} {style}".strip()
    caps_only = not chars >= _NEEDED
    face = Outline(name, family, path, 0, chars, caps_only)
    try:
        if not _plausible(face):
            return
        yield face if caps_only else Outline(name, family, path, 0, chars, _unicase(face))
    except (OSError, ValueError):
        return


def _plausible(face: Outline) -> bool:
    """Digits must be lining (as high as capitals, on the baseline), inked and different from one another."""
    tops = [glyph(face, c, 48) for c in "0123456789"]
    lining = all(-56 <= g.top <= -40 and -6 <= g.top + g.alpha.shape[0] <= 6 for g in tops)
    inked = all(0.08 < float((g.alpha > 128).mean()) < 0.98 for g in tops)
    different = len({g.alpha.tobytes() for g in tops}) == len(tops)
    return lining and inked and different and 6 < glyph(face, "0", 48).advance < 96


def _unicase(face: Outline) -> bool:
    same = sum(glyph(face, c, 48).alpha.shape == glyph(face, c.upper(), 48).alpha.shape for c in "abdeghnqrt")
    return same >= 5


def covers(face: Outline | Strokes | Dots, text: str) -> bool:
    """Whether the typeface has every character of the text."""
    have = face.chars if isinstance(face, Outline) else face.glyphs
    return all(c in have for c in text)


@lru_cache(maxsize=60_000)
def glyph(face: Outline, char: str, cap_px: int = 48) -> Glyph:
    """Render a character so that "H" is ``cap_px`` high."""
    font = _font(face.path, face.index, cap_px)
    left, top, right, bottom = font.getbbox(char, anchor="ls")
    size = (max(int(right - left), 1), max(int(bottom - top), 1))
    image = Image.new("L", size)
    ImageDraw.Draw(image).text((-left, -top), char, 255, font=font, anchor="ls")
    return Glyph(np.asarray(image, np.uint8), int(left), int(top), float(font.getlength(char)))


@lru_cache(maxsize=2000)
def _font(path: Path, index: int, cap_px: int) -> ImageFont.FreeTypeFont:
    probe = ImageFont.truetype(str(path), 200, index, layout_engine=ImageFont.Layout.BASIC)
    high = -probe.getbbox("H", anchor="ls")[1]
    if high <= 0:
        raise ValueError(f"{path}: the letter H has no height")
    return ImageFont.truetype(
        str(path), max(round(200 * cap_px / high), 4), index, layout_engine=ImageFont.Layout.BASIC
    )


@dataclass(frozen=True, slots=True)
class _Cut:
    """A variant of the stroke skeleton."""

    name: str
    width: float
    rounding: int
    swaps: tuple[str, ...]
    gap: float = 0.26


_CUTS = (
    _Cut("strokes-iso", 1.0, 3, ()),
    _Cut("strokes-iso-slashed", 1.0, 3, ("0/slashed", "7/bar")),
    _Cut("strokes-plotter", 1.0, 0, ("0/slashed", "1", "4/open")),
    _Cut("strokes-plotter-plain", 0.95, 0, ("2/round", "M/short")),
    _Cut("strokes-plotter-foot", 1.05, 0, ("1/foot", "I/serif", "0/dotted")),
    _Cut("strokes-narrow", 0.72, 3, ("1/plain", "4/open"), 0.22),
    _Cut("strokes-narrow-octagon", 0.75, 0, ("3/flat", "1/plain", "M/short"), 0.22),
    _Cut("strokes-wide", 1.3, 3, ("4/open", "I/serif", "2/round")),
    _Cut("strokes-wide-octagon", 1.25, 1, ("0/slashed", "6/straight", "9/straight")),
    _Cut("strokes-pen", 0.9, 2, ("6/straight", "9/straight", "1/foot", "3/flat", "7/hook", "l/tail")),
    _Cut("strokes-machinist", 0.85, 1, ("4/high", "7/bar", "Z/bar", "A/flat", "0/open", "l/tail")),
    _Cut("strokes-draughtsman", 0.9, 3, ("2/round", "6/straight", "9/straight", "M/short", "4/high"), 0.3),
)
_GRIDS = ((5, 7), (5, 7), (5, 7), (7, 9), (7, 9), (9, 13))
_GRID_CUTS = (
    _Cut("5x7", 1.0, 0, ("A/flat", "M/short", "I/serif", "1/foot", "l/tail", "4/open")),
    _Cut("5x7-slashed", 1.0, 0, ("A/flat", "M/short", "I/serif", "1/foot", "0/slashed", "3/flat")),
    _Cut("5x7-plain", 1.0, 0, ("M/short", "1", "6/straight", "9/straight", "2/round")),
    _Cut("7x9", 1.0, 1, ("I/serif", "1/foot", "M/short")),
    _Cut("7x9-slashed", 1.0, 0, ("0/slashed", "1", "7/bar")),
    _Cut("9x13-slashed", 1.0, 1, ("0/slashed", "1/foot", "I/serif")),
)


@lru_cache(maxsize=1)
def stroke_faces() -> tuple[Strokes, ...]:
    """Single-stroke alphabets as engraving machines and plotters cut them; drawn for this package."""
    return tuple(_cut(c) for c in _CUTS)


@lru_cache(maxsize=1)
def dot_faces() -> tuple[Dots, ...]:
    """Dot matrices from 5 x 7 to 9 x 13, with plain and slashed zeros; set from the stroke skeleton."""
    return tuple(_dotted(c, cols, rows) for c, (cols, rows) in zip(_GRID_CUTS, _GRIDS, strict=True))


def held_out(name: str) -> bool:
    """Whether a typeface is kept from training: one family in ten, whole families together."""
    if name.startswith("strokes-"):
        return name in ("strokes-draughtsman", "strokes-wide-octagon")
    if name.startswith("dots-"):
        return name == "dots-7x9-slashed"
    family = name.split()[0].lower()
    return hashlib.sha256(family.encode()).digest()[0] % 10 == 0


@lru_cache(maxsize=1)
def _skeleton() -> dict[str, tuple[float, tuple[NDArray[np.float64], ...]]]:
    """Width and strokes [k, 2] of every character and variant, grid units."""
    table = {}
    for line in (_HERE / "data" / "strokes.txt").read_text(encoding="utf-8").splitlines():
        parts = line.split(" ")
        if len(parts) < 3 or not parts[1].isdigit():
            continue
        strokes = tuple(
            np.array([[int(s[i], 36), int(s[i + 1], 36)] for i in range(0, len(s), 2)], np.float64)
            for s in parts[2:]
        )
        table[parts[0]] = (float(parts[1]), strokes)
    return table


def _cut(cut: _Cut) -> Strokes:
    glyphs, advances = {}, {}
    for char, (width, strokes) in _swapped(cut).items():
        lines = tuple(_rounded(s, cut.rounding) for s in strokes)
        glyphs[char] = tuple(
            tuple((float(x) * cut.width / 8, float(y) / 8 - 1) for x, y in line) for line in lines
        )
        advances[char] = width * cut.width / 8 + cut.gap
    return Strokes(cut.name, glyphs, advances)


def _swapped(cut: _Cut) -> dict[str, tuple[float, tuple[NDArray[np.float64], ...]]]:
    table = _skeleton()
    plain = {name: value for name, value in table.items() if len(name) == 1}
    return plain | {name[0]: table[name] for name in cut.swaps}


def _rounded(line: NDArray[np.float64], times: int) -> NDArray[np.float64]:
    """Cut every corner of a polyline at its quarters, again and again (Chaikin); closed lines stay closed."""
    closed = len(line) > 3 and bool(np.all(line[0] == line[-1]))
    for _ in range(times if len(line) > 2 else 0):
        a, b = line[:-1], line[1:]
        points = np.stack([0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b], axis=1).reshape(-1, 2)
        line = (
            np.concatenate([points, points[:1]])
            if closed
            else np.concatenate([line[:1], points[1:-1], line[-1:]])
        )
    return line


def _dotted(cut: _Cut, cols: int, rows: int) -> Dots:
    """Set every character on a matrix; small letters' tails are lifted onto the baseline, as matrices do."""
    glyphs = {}
    for char, (width, strokes) in _swapped(cut).items():
        grid = np.zeros((rows, cols), np.uint8)
        lowest = max(float(s[:, 1].max()) for s in strokes)
        lift = max(lowest - 8, 0.0)
        across = (cols - 1) / max(width, 5.0)
        shift = round((cols - 1 - width * across) / 2)
        for stroke in strokes:
            line = _rounded(stroke, cut.rounding)
            x = np.round(line[:, 0] * across + shift)
            y = np.round((line[:, 1] - lift).clip(0) * (rows - 1) / 8)
            points = np.stack([x, y], axis=1).astype(np.int32)
            cv2.polylines(grid, [points], False, 1) if len(points) > 1 else grid.__setitem__(
                (points[0, 1], points[0, 0]), 1
            )
        glyphs[char] = tuple("".join("#" if v else "." for v in row) for row in grid)
    return Dots(f"dots-{cut.name}", rows, cols, glyphs)
