"""Typefaces, and the shape of every character in them: an outline, strokes, dots of a matrix or segments.

Lengths are in cap heights, y down, baseline at 0, unless a name says px.
"""

import hashlib
import itertools
import logging
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import assert_never

import cv2
import numpy as np
from fontTools.ttLib import TTFont, TTLibError
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from serialread.codes import PRINTABLE, REJECT
from serialread.records import Pixels
from serialread.synth import other_glyphs
from serialread.synth.alphabets import Dots, Segments, Strokes

# fontTools reports harmless oddities of font files; unusable files are detected below
logging.getLogger("fontTools").setLevel(logging.ERROR)

_HERE = Path(__file__).parent
_CAPITALS, _DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
_CAPS_NEEDED = frozenset(f"{_CAPITALS}{_DIGITS}-./")
_CACHED = 150_000
"""Characters that are kept: all that 1,200 typefaces draw, about 2 kB each."""
_KNOWN = frozenset(PRINTABLE) | other_glyphs.EVERY
_NEEDED = _CAPS_NEEDED | frozenset(_CAPITALS.lower())

_MISLEADING = frozenset(
    (
        *("Standard Symbols PS", "Ubuntu-Title", "unifur", "Fette classic UNZ Fraktur", "El Abogado Loco"),
        *("Penguin Attack", "It wasn't me", "Wargames", "Monofett", "Major Mono Display", "Unica One"),
    )
)
"""Families whose capitals are Greek, small letters, or illegible: their labels would be wrong."""

_DRAWN_HERE = ("strokes-", "dots-", "segments-")
_HELD_OUT = frozenset(
    (
        *("strokes-draughtsman", "strokes-wide-octagon", "dots-5x7-bar", "dots-7x9-slashed"),
        "segments-mitred-narrow",
        *(f"strokes-varied-{n}0" for n in range(6)),
        "dots-7x9-varied-00",
    )
)
_SHARED_DRAWINGS = {
    "nimbus": "tex c059 p052 z003 urw freesans freemono freeserif tlwg tlwgmono tlwgtypewriter garuda",
    "liberation": "arimo cousine tinos",
    "dejavu": "bitstream verana veranda aerial tymes hack arundina waree",
    "roboto": "yantramanav heebo",
    "ibm": "ia",
    "libre": "public",
    "karla": "karmilla",
    "monoid": "monoisome",
    "lato": "carlito",
    "latin": "cmu",
    "m": "mplus rounded",
}
"""First words of families that share drawings with another: they stay on one side of the split."""


@dataclass(frozen=True, slots=True, eq=False)  # compared by identity: caches use its hash often
class Outline:
    """A typeface in a font file; ``caps_only`` where small letters are missing or drawn as capitals."""

    name: str
    family: str
    path: Path
    chars: frozenset[str] = field(repr=False)
    caps_only: bool = False


@dataclass(frozen=True, slots=True)
class Glyph:
    """A rendered character: coverage uint8 [h, w], its offset from the pen (px, y down), its advance (px)."""

    alpha: Pixels
    left: int
    top: int
    advance: float


def outline_faces(folders: tuple[Path, ...] = ()) -> tuple[Outline, ...]:
    """The bundled typefaces and those of further folders, sorted by name."""
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
    """The typeface in a file, if it has the characters that codes need and plausible digits."""
    try:
        with path.open("rb") as stream, TTFont(stream, lazy=True) as font:
            mapped = frozenset(map(chr, font.getBestCmap() or {}))
            chars = (mapped & _KNOWN) | other_glyphs.DRAWN
            family, style = font["name"].getBestFamilyName(), font["name"].getBestSubFamilyName()
    except (TTLibError, OSError, KeyError, AssertionError, struct.error):
        return
    if not chars >= _CAPS_NEEDED or family in _MISLEADING:
        return
    name = f"{family} {style}".strip()
    caps_only = not chars >= _NEEDED
    face = Outline(name, family, path, chars, caps_only)
    try:
        if not _plausible(face):
            return
        yield face if caps_only else Outline(name, family, path, chars, _unicase(face))
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
    """Whether the small letters are capitals, full-size or small ones."""
    return sum(_alike(face, c, c.upper()) for c in "abdeghnqrt") >= 6


def _alike(face: Outline, one: str, other: str) -> bool:
    """Whether two characters have one shape, whatever their sizes."""
    a, b = (glyph(face, c, 48).alpha for c in (one, other))
    if not 0.7 < (a.shape[1] * b.shape[0]) / (a.shape[0] * b.shape[1]) < 1.4:
        return False
    inked, other_inked = (cv2.resize(x, (32, 32), interpolation=cv2.INTER_AREA) > 110 for x in (a, b))
    return int((inked & other_inked).sum()) > 0.75 * int((inked | other_inked).sum())


def covers(face: Outline | Strokes | Dots | Segments, text: str) -> bool:
    """Whether the typeface has every character of the text."""
    have = face.chars if isinstance(face, Outline) else face.glyphs
    return all(c in have or (c == REJECT and other_scripts(face)) for c in text)


@lru_cache(maxsize=5000)
def other_scripts(face: Outline | Strokes | Dots | Segments) -> tuple[str, ...]:
    """Glyphs of the typeface that are no characters of a code, by script; U+FFFD stands for them."""
    have = face.chars if isinstance(face, Outline) else face.glyphs
    found = ("".join(c for c in script if c in have) for script in other_glyphs.SCRIPTS)
    return tuple(script for script in found if script)


@lru_cache(maxsize=20_000)
def distinct(face: Outline | Strokes | Dots | Segments, char: str) -> bool:
    """Whether a glyph of another script has ink of a letter's size and does not look like a zero."""
    if not isinstance(face, Outline):
        return True
    alpha = glyph(face, char, 48).alpha
    rows, columns = alpha.shape
    inked = 0.03 < float((alpha > 128).mean()) < 0.95 and 14 < rows < 80 and columns < 120
    return inked and not (char in "Øø" and _alike(face, char, "0"))


@lru_cache(maxsize=_CACHED)
def glyph(face: Outline, char: str, cap_px: int = 48) -> Glyph:
    """Render a character so that "H" is ``cap_px`` high."""
    if char in other_glyphs.DRAWN:
        alpha, above = other_glyphs.drawn(char, cap_px)
        room = round(0.12 * cap_px)
        return Glyph(alpha, room, above, alpha.shape[1] + 2.0 * room)
    font = _font(face.path, cap_px)
    left, top, right, bottom = font.getbbox(char, anchor="ls")
    size = (max(int(right - left), 1), max(int(bottom - top), 1))
    image = Image.new("L", size)
    ImageDraw.Draw(image).text((-left, -top), char, 255, font=font, anchor="ls")
    return Glyph(np.asarray(image, np.uint8), int(left), int(top), float(font.getlength(char)))


@lru_cache(maxsize=2000)
def _font(path: Path, cap_px: int) -> ImageFont.FreeTypeFont:
    probe = ImageFont.truetype(path, 200, layout_engine=ImageFont.Layout.BASIC)
    high = -probe.getbbox("H", anchor="ls")[1]
    if high <= 0:
        raise ValueError(f"{path}: the letter H has no height")
    size = max(round(200 * cap_px / high), 4)
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def held_out(name: str) -> bool:
    """Whether a typeface is held out of training: one family in ten, with those that share its drawings."""
    if name.startswith(_DRAWN_HERE):
        return name in _HELD_OUT
    first = name.split()[0].lower()
    drawing = next((name for name, twins in _SHARED_DRAWINGS.items() if first in twins.split()), first)
    return hashlib.sha256(drawing.encode()).digest()[0] % 10 == 0


Face = Outline | Strokes | Dots | Segments
Points = NDArray[np.float64]

_CAP_PX = (
    48  # resolution of cached outlines: near the working resolution, so that warps neither blur nor alias
)

_TOLERANCE = 0.006  # a third of a px at the working resolution

BODY = 0.72
"""Radius, in pitches, at which the dots of a matrix join into one body."""


@lru_cache(maxsize=_CACHED)
def advance(face: Face, char: str) -> float:
    """Distance to the next character's origin."""
    match face:
        case Outline():
            return glyph(face, char, _CAP_PX).advance / _CAP_PX
        case Strokes() | Segments():
            return face.advances[char]
        case Dots():
            return (face.cols + 1) / (face.rows - 1) if char in face.glyphs else _missing(char)
        case _:
            assert_never(face)


@lru_cache(maxsize=_CACHED)
def extent(face: Face, char: str) -> tuple[float, float, float, float]:
    """Box x0, y0, x1, y1 of the character's ink."""
    match face:
        case Outline():
            g = glyph(face, char, _CAP_PX)
            rows, columns = g.alpha.shape
            return g.left / _CAP_PX, g.top / _CAP_PX, (g.left + columns) / _CAP_PX, (g.top + rows) / _CAP_PX
        case Strokes():
            points, margin = np.concatenate(strokes(face, char)), 0.05
        case Dots():
            points, margin = dots(face, char), BODY / (face.rows - 1)
        case Segments():
            points, margin = np.concatenate(segments(face, char, 0.12, 0.0)), 0.0
        case _:
            assert_never(face)
    (x0, y0), (x1, y1) = points.min(0) - margin, points.max(0) + margin
    return float(x0), float(y0), float(x1), float(y1)


@lru_cache(maxsize=_CACHED)
def corners(face: Face, char: str) -> Points:
    """Corners [4, 3] of the character's box, clockwise from the top-left, as (x, y, 1)."""
    x0, y0, x1, y1 = extent(face, char)
    return np.array([[x0, y0, 1], [x1, y0, 1], [x1, y1, 1], [x0, y1, 1]])


@lru_cache(maxsize=20_000)
def strokes(face: Strokes, char: str) -> tuple[Points, ...]:
    """Polylines [k, 2] of a single-stroke character; a lone point is a dot."""
    return tuple(np.asarray(line, np.float64).reshape(-1, 2) for line in face.glyphs[char])


@lru_cache(maxsize=20_000)
def joined(face: Strokes, char: str) -> tuple[Points, tuple[slice, ...]]:
    """Points [k, 2] of all strokes in one array, simplified invisibly; each stroke's part of it."""
    lines = [np.repeat(p, 2, axis=0) if len(p) == 1 else _simplified(p) for p in strokes(face, char)]
    ends = np.cumsum([len(line) for line in lines]).tolist()
    return np.concatenate(lines), tuple(slice(a, b) for a, b in itertools.pairwise([0, *ends]))


def _simplified(line: Points) -> Points:
    kept = cv2.approxPolyDP(line.astype(np.float32), _TOLERANCE, closed=False)
    return np.asarray(kept, np.float64).reshape(-1, 2)


@lru_cache(maxsize=20_000)
def bendable(face: Strokes, char: str) -> tuple[Points, tuple[slice, ...]]:
    """The same with points every eighth of a cap height, so that moving them bends straight strokes."""
    points, parts = joined(face, char)
    lines = [_divided(points[part], 1 / 8) for part in parts]
    ends = np.cumsum([len(line) for line in lines]).tolist()
    return np.concatenate(lines), tuple(slice(a, b) for a, b in itertools.pairwise([0, *ends]))


def _divided(line: Points, step: float) -> Points:
    """A line of points about ``step`` apart, its own among them."""
    counts = np.maximum(np.ceil(np.hypot(*np.diff(line, axis=0).T) / step).astype(int), 1)
    places = np.concatenate([i + np.arange(n) / n for i, n in enumerate(counts.tolist())] + [[len(line) - 1]])
    own = np.arange(len(line))
    return np.stack([np.interp(places, own, line[:, i]) for i in (0, 1)], axis=1)


@lru_cache(maxsize=20_000)
def dots(face: Dots, char: str) -> Points:
    """Centres [k, 2] of a dot-matrix character; the matrix is one cap height high."""
    row, column = np.nonzero(np.array([[c != "." for c in line] for line in face.glyphs[char]]))
    pitch = 1 / (face.rows - 1)
    return np.stack([column * pitch, row * pitch - 1], axis=1)


@lru_cache(maxsize=5_000)
def segments(face: Segments, char: str, thick: float, gap: float) -> tuple[Points, ...]:
    """Polygons [k, 2] of a character on a seven-segment display."""
    return face.polygons(char, thick, gap)


@lru_cache(maxsize=20_000)
def along(face: Strokes, char: str, pitch: float) -> Points:
    """Points [k, 2] every ``pitch`` along the strokes, both ends included, none closer than half a pitch."""
    found: list[Points] = []
    for line in strokes(face, char):
        if len(line) == 1:
            found.append(line)
            continue
        steps = np.hypot(*np.diff(line, axis=0).T)
        where = np.concatenate([[0.0], np.cumsum(steps)])
        count = max(round(where[-1] / pitch), 1)
        places = np.linspace(0, where[-1], count + 1)
        found.append(np.stack([np.interp(places, where, line[:, i]) for i in (0, 1)], axis=1))
    return _spread(np.concatenate(found), pitch / 2)


def _spread(points: Points, least: float) -> Points:
    distance = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
    taken = np.triu(distance < least, 1).any(0)
    return np.asarray(points[~taken], np.float64)


@lru_cache(maxsize=_CACHED)
def outline(face: Outline, char: str) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Coverage [h, w] of an outline character, and the matrix [3, 3] from its px to cap heights."""
    g = glyph(face, char, _CAP_PX)
    return g.alpha, np.array([[1, 0, g.left], [0, 1, g.top], [0, 0, _CAP_PX]]) / _CAP_PX


def _missing(char: str) -> float:
    raise KeyError(char)


def placed(faces: Sequence[Face], chars: str, matrices: NDArray[np.float64]) -> Points:
    """Corners [n, 4, 2] of the characters' boxes after their matrices [n, 3, 3]."""
    moved = np.array([corners(*one) for one in zip(faces, chars, strict=True)]) @ matrices.transpose(0, 2, 1)
    return np.asarray(moved[:, :, :2] / moved[:, :, 2:], np.float64)


def scales(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Length of a cap height after each matrix [n, 3, 3], the mean of both directions."""
    m = matrices / matrices[:, 2:, 2:]
    along = m[:, :2, 0] - m[:, :2, 2] * m[:, 2:, 0]
    down = m[:, :2, 1] - m[:, :2, 2] * m[:, 2:, 1]
    areas = along[:, 0] * down[:, 1] - along[:, 1] * down[:, 0]
    return np.asarray(np.sqrt(np.abs(areas)), np.float64)
