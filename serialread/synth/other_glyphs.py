"""Glyphs that are no characters of a code: letters of other scripts, symbols, logos.

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
)
"""Groups of which a text takes all of its glyphs from one. What is read as K, X, R, N or U is in several."""

EVERY = frozenset("".join(SCRIPTS))

_GROW = 1.12  # of the largest logo, ch


@lru_cache(maxsize=len(LOGOS) * 2)
def logo(char: str, cap_px: int) -> tuple[Pixels, int]:
    """Coverage uint8 [h, w] of a logo, and its top against the baseline, px (negative is above)."""
    rng = np.random.default_rng(ord(char))
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
