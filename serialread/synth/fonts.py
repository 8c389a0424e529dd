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
from PIL import Image, ImageDraw, ImageFont

from serialread.records import Pixels
from serialread.synth.alphabets import Dots, Strokes, dot_faces, stroke_faces
from serialread.synth.segments import Segments, segment_faces

__all__ = [
    "Dots",
    "Glyph",
    "Outline",
    "Segments",
    "Strokes",
    "covers",
    "dot_faces",
    "glyph",
    "held_out",
    "outline_faces",
    "segment_faces",
    "stroke_faces",
]

# fontTools reports harmless oddities of font files; what makes a file unusable is judged below
logging.getLogger("fontTools").setLevel(logging.ERROR)

_HERE = Path(__file__).parent
_CAPITALS, _DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
_CAPS_NEEDED = frozenset(f"{_CAPITALS}{_DIGITS}-./")
_NEEDED = _CAPS_NEEDED | frozenset(_CAPITALS.lower())

_MISLEADING = frozenset(
    (
        *("Standard Symbols PS", "Ubuntu-Title", "unifur", "Fette classic UNZ Fraktur", "El Abogado Loco"),
        *("Penguin Attack", "It wasn't me", "Wargames", "Monofett", "Major Mono Display", "Unica One"),
    )
)
"""Families whose capitals are Greek, small letters, or past reading: their labels would lie."""

_OWN = ("strokes-", "dots-", "segments-")
_HELD_OUT = frozenset(
    (
        *("strokes-draughtsman", "strokes-wide-octagon", "dots-5x7-bar", "dots-7x9-slashed"),
        "segments-mitred-narrow",
        *(f"strokes-varied-{n}0" for n in range(6)),
        "dots-7x9-varied-00",
    )
)
_HOUSES = {
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
"""First words of families that share drawings with another: twins stay on one side of the split."""


@dataclass(frozen=True, slots=True, eq=False)  # told apart by identity: caches ask for its hash all the time
class Outline:
    """A typeface in a font file; ``caps_only`` where small letters are missing or look like capitals."""

    name: str
    family: str
    path: Path
    index: int
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
    if not chars >= _CAPS_NEEDED or family in _MISLEADING:
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


def held_out(name: str) -> bool:
    """Whether a typeface is kept from training: one family in ten, whole and with its twins."""
    if name.startswith(_OWN):
        return name in _HELD_OUT
    first = name.split()[0].lower()
    house = next((h for h, twins in _HOUSES.items() if first in twins.split()), first)
    return hashlib.sha256(house.encode()).digest()[0] % 10 == 0
