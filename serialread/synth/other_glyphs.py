"""Glyphs that are no characters of a code: letters of other scripts, symbols, logos, boxes.

None of them can be mistaken for a printable ASCII character: capitals of other scripts that look like Latin
ones are missing.
"""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.records import Pixels
from serialread.synth.rng import Rng, below, one_of, within

LOGOS = "".join(chr(0xE000 + n) for n in range(160))
"""Small logos, drawn here for every typeface; numbered in Unicode's private area."""

BOXES = "".join(chr(0xE100 + n) for n in range(40))
"""Empty boxes as a typeface shows them in place of a glyph that it lacks; numbered as the logos are."""

DRAWN = frozenset(LOGOS + BOXES)
"""The glyphs that are drawn here."""

SCRIPTS = (
    "ÄÖÜÑŁŠŽÅÆŒäöüñåæšž",
    "Øø",
    "ΩΔΣΠΞΦΨΓ",
    "λπφψδξζ",
    "ДЖИЙЛПФЦШЩЮЯ",
    "ЖЯ",
    "ЖИЛЦЯ",
    "джйлфшщюя",
    "אבגטכלמעפצקש",
    "سشصضطظعغفقكهيث",
    "ฐฒณฌญฬฎฏฟสชธ",
    "अआइउकखगघचछजझटडतधनपफभमयलशसह",
    "年月号型中国本製品電機番第検査合格式社米田品",
    "①②③④⑤⑥⑦⑧⑨ⒶⒷⒸⒹ",
    "®©€£±≠≈∞√∆∇",
    "←↑→↓↔⇒▲△▼▽◆◇★☆⊕⊗",
    "☎☺♠♣♥♦♪♫✓✔✗✚❖⌂⚠♻☢⚡⏚",
    LOGOS,
    BOXES,
)
"""Groups of which a text takes all of its glyphs from one. What is read as K, X, R, N or U is in several."""

EVERY = frozenset("".join(SCRIPTS))

_GROW = 1.12  # of the largest logo, ch


@lru_cache(maxsize=len(DRAWN) * 2)
def drawn(char: str, cap_px: int) -> tuple[Pixels, int]:
    """Coverage uint8 [h, w] of a logo or a box, and its top against the baseline, px (negative is above)."""
    rng = np.random.default_rng(ord(char))
    return _box(cap_px, rng) if char in BOXES else _logo(cap_px, rng)


def _box(cap_px: int, rng: Rng) -> tuple[Pixels, int]:
    """Thin lines and sharp corners tell a box from a zero."""
    high, low = round(cap_px * within((0.75, 1.1), rng)), round(cap_px * within((-0.05, 0.25), rng))
    wide = round(cap_px * within((0.3, 0.75), rng))
    pen = max(round(4 * cap_px * within((0.03, 0.08), rng)), 1)
    canvas = np.full((4 * high, 4 * wide), 255, np.uint8)
    canvas[pen:-pen, pen:-pen] = 0
    if rng.random() < 0.25:
        cv2.line(canvas, (0, 0), (4 * wide, 4 * high), 255, pen)
        cv2.line(canvas, (0, 4 * high), (4 * wide, 0), 255, pen)
    small = cv2.resize(canvas, (wide, high), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), low - high


def _logo(cap_px: int, rng: Rng) -> tuple[Pixels, int]:
    size = round(cap_px * within((0.8, _GROW), rng))
    canvas = np.zeros((4 * size, round(4 * size * within((0.8, 1.5), rng))), np.uint8)
    rows, columns = canvas.shape
    middle, room = np.array([columns, rows]) / 2, 0.44 * np.array([columns, rows])
    outer = middle + room * _shape(rng)
    pen = round(rows * within((0.05, 0.11), rng))
    filled = rng.random() < 0.45
    cv2.fillPoly(canvas, [np.rint(outer).astype(np.int32)], 255)
    if not filled:
        inner = middle + (outer - middle) * (1 - 2.2 * pen / min(rows, columns))
        cv2.fillPoly(canvas, [np.rint(inner).astype(np.int32)], 0)
    for _ in range(1 + below(2, rng)):  # what is inside keeps a logo from looking like a letter or a zero
        shape = middle + room * within((0.3, 0.6), rng) * _shape(rng) + rng.normal(0, 0.04 * rows, 2)
        points = [np.rint(shape).astype(np.int32)]
        if rng.random() < 0.5:
            cv2.fillPoly(canvas, points, 0 if filled else 255)
        else:
            cv2.polylines(canvas, points, True, 0 if filled else 255, pen)
    small = cv2.resize(canvas, (columns // 4, rows // 4), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), -round((cap_px + size) / 2)


def _shape(rng: Rng) -> NDArray[np.float64]:
    """Corners [k, 2] of a closed shape within -1..1: circle, polygon, star, arrow, wave or leaf."""
    match below(6, rng):
        case 0:
            angles = np.linspace(0, 2 * np.pi, 32, endpoint=False)
            radii = np.ones(32)
        case 1:
            corners = 3 + below(5, rng)
            angles = np.linspace(0, 2 * np.pi, corners, endpoint=False) - np.pi / 2
            radii = np.ones(corners)
        case 2:
            points = 4 + below(5, rng)
            angles = np.linspace(0, 2 * np.pi, 2 * points, endpoint=False) - np.pi / 2
            radii = np.where(np.arange(2 * points) % 2, within((0.35, 0.65), rng), 1.0)
        case 3:
            arrow = [[-1, -0.3], [0.1, -0.3], [0.1, -0.9], [1, 0], [0.1, 0.9], [0.1, 0.3], [-1, 0.3]]
            return np.array(arrow) * one_of((1, -1), rng)
        case 4:
            angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
            radii = 0.75 + 0.25 * np.sin(angles * (3 + below(6, rng)))
        case _:
            angles = np.sort(rng.uniform(0, 2 * np.pi, 7))
            radii = rng.uniform(0.4, 1.0, 7)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]
