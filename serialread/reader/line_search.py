"""Line detection: read a picture strip by strip, and propose lines where the network reads text.

The proposals are then read like any crop. This works because the network was trained to read nothing on bare
surfaces (``background_share`` of the generator).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

import cv2
import numpy as np

from serialread.config import Code, StationView
from serialread.imaging import Extent, FoundLine
from serialread.imaging.filling import LINE_ASPECT, is_low
from serialread.imaging.frames import Frame, Matrix, moved
from serialread.inference.session import ModelCard
from serialread.reader.orientation import clear_chars
from serialread.reader.outputs import Outputs, Steps, maps_of, reading_of, text_extent
from serialread.records import Floats, Pixels, Reading

LONGER = (4.8, 8.3, 14.6, 22.0)
"""Scales of the search: the picture's longer side, in strip heights."""
MAX_UPSCALING = 2.5
"""Maximum factor by which a picture is enlarged."""
NARROWING = 0.8
"""Horizontal scale of the search: the network reads wide characters in wide strips twice."""
STRIP, STEP = 5.0, 0.5
"""Length and vertical distance of strips, in strip heights; horizontally, strips overlap by half."""
MIN_TEXT_SHARE = 0.3
"""Minimum text height per strip height: lower text is read at another scale."""
TILTS_DEG = (12.0, -12.0)
"""Rotations for a second search if little was read; the network reads tilts of up to 8 degrees."""
ENOUGH_CHARS = 3.0
"""``clear_chars`` of the best candidate from which there is no second search."""
MIN_DEVIATION = 2.0
"""Strips with a lower standard deviation, in grey levels, are skipped."""
MIN_CHARS = 0.5
"""``clear_chars`` from which a strip contains text."""
MAX_CANDIDATES, MAX_OVERLAPPING, MAX_LINES = 24, 2, 8
"""Maximum number of candidates to read again, of those that may overlap, and of proposed lines."""
CLEAR_SHARE = 0.9
"""``clear_chars`` per character of the whole picture from which there is no search."""
OVERLAP = 0.5
"""A candidate is suppressed by better ones that cover this share of it."""
MIN_SIDE_PX = 8
"""Minimum side of a scaled picture."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """Text that was read in a strip.

    Attributes:
        frame: the picture, possibly rotated by 90 degrees.
        extent: where the text is, px of the frame.
        score: ``clear_chars`` of the reading.
    """

    frame: Frame
    standing: bool
    extent: Extent
    score: float

    def cut(self, share: float, margin: float) -> Frame:
        """The text, level; ``share``: text height per height, ``margin``: at both ends, in text heights."""
        return self.frame.warped(*self._placed(share, margin))

    @property
    def hull(self) -> Floats:
        """Left, top, right, bottom of the text in the source picture, px."""
        to_frame, width, height = self._placed(share=1.0, margin=0.0)
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
        corners = self.frame.sources(corners @ to_frame[:2, :2].T + to_frame[:2, 2])
        return np.concatenate((corners.min(axis=0), corners.max(axis=0))).astype(np.float32)

    def _placed(self, share: float, margin: float) -> tuple[Matrix, int, int]:
        """Matrix from px of the cut-out to px of the frame, and the cut-out's width and height."""
        extent, narrowed = self.extent, self.extent.narrowed
        rows, margin_px = extent.height / share, margin * extent.height
        slant = float(np.hypot(1, extent.slope))
        along, down = np.array([1, extent.slope]) / slant, np.array([-extent.slope, 1]) / slant
        begin = np.array([extent.left, extent.centre_row(extent.left)]) - margin_px * along - rows / 2 * down
        to_frame = moved(*begin.tolist())
        to_frame[:2, 0], to_frame[:2, 1] = along / narrowed, down
        length = ((extent.right - extent.left) * slant + 2 * margin_px) * narrowed
        return to_frame, max(round(length), MIN_SIDE_PX), max(round(rows), MIN_SIDE_PX)


def find_text_lines(frame: Frame, view: StationView, card: ModelCard) -> Steps[tuple[FoundLine, ...]]:
    """Detect text lines in a picture: the best first, at most ``MAX_LINES``.

    Args:
        frame: the picture.
        view: expected text height, and whether lines may be vertical.
        card: of the network; without its glyph maps, lines are cut less tightly.

    Yields:
        Strips and cut-outs to recognize, whose outputs it receives.
    """
    candidates = yield from _search(frame, view, card)
    for tilt_deg in () if _along(frame) or is_low(frame) else TILTS_DEG:
        if max((candidate.score for candidate in candidates), default=0.0) < ENOUGH_CHARS:
            candidates += yield from _search(_turned(frame, tilt_deg), view, card)
    first = yield from _read_cut_outs(_suppressed(candidates, MAX_CANDIDATES, MAX_OVERLAPPING), card)
    second = yield from _read_cut_outs(first, card)
    better = [max(pair, key=lambda candidate: candidate.score) for pair in zip(first, second, strict=True)]
    strong = (candidate for candidate in better if candidate.score >= MIN_CHARS)
    return tuple(
        FoundLine(candidate.cut(share=0.8, margin=0.5), candidate.standing)
        for candidate in _suppressed(strong, MAX_LINES)
    )


def _read_cut_outs(candidates: Sequence[_Candidate], card: ModelCard) -> Steps[list[_Candidate]]:
    """The candidates, read again level and with a margin at their ends."""
    cut = [candidate.cut(share=0.7, margin=1.2) for candidate in candidates]
    read = yield from _read([one.pixels for one in cut], card)
    return [
        _Candidate(one, candidate.standing, extent, clear_chars(reading))
        if extent
        else replace(candidate, score=0.0)
        for candidate, one, (reading, extent) in zip(candidates, cut, read, strict=True)
    ]


def _search(frame: Frame, view: StationView, card: ModelCard) -> Steps[list[_Candidate]]:
    """Candidates from all strips of a frame, horizontal and vertical, at all scales."""
    along = _along(frame)
    tilings = _tilings(frame, False, view, card) if along != "vertical" else []
    if along != "horizontal" and view.vertical_text != "never":
        tilings += _tilings(frame.turned(90), True, view, card)
    read = yield from _read([strip for tiling in tilings for strip in tiling.strips], card)
    seen, candidates = iter(read), list[_Candidate]()
    for tiling in tilings:
        for place, (reading, extent) in zip(tiling.places, islice(seen, len(tiling.places)), strict=True):
            if extent and (found := tiling.extent_in_frame(place, extent)):
                candidates.append(_Candidate(tiling.frame, tiling.standing, found, clear_chars(reading)))
    return candidates


def _along(frame: Frame) -> Literal["horizontal", "vertical", ""]:
    """Direction of the text in a picture that is cropped to a line, by its aspect; "" for a full view."""
    height, width = frame.pixels.shape
    if width > LINE_ASPECT * height:
        return "horizontal"
    return "vertical" if height > LINE_ASPECT * width else ""


def _turned(frame: Frame, degrees: float) -> Frame:
    """The frame, rotated clockwise about its centre; its corners are cut off."""
    height, width = frame.pixels.shape
    back = np.vstack((cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0), [0, 0, 1]))
    return frame.warped(back, width, height)


def is_clear(reading: Reading) -> bool:
    """Whether the reading of a whole picture is so clear that there is no search."""
    return clear_chars(reading) >= max(CLEAR_SHARE * len(reading.chars), MIN_CHARS)


@dataclass(frozen=True, slots=True)
class _Tiling:
    """A frame at one scale, cut into strips.

    Attributes:
        frame: the picture, rotated by 90 degrees to search for vertical text.
        scale: frame px per strip px, horizontal and vertical.
        heights: minimum and maximum text height, px of the frame.
        rows: height of a strip, px.
        places: left and top of the strips, px of the scaled frame.
        strips: grey [rows, W] each.
    """

    frame: Frame
    standing: bool
    scale: tuple[float, float]
    heights: tuple[float, float]
    rows: int
    places: list[tuple[int, int]]
    strips: list[Pixels]

    def extent_in_frame(self, place: tuple[int, int], extent: Extent) -> Extent | None:
        """The text of a strip in px of the frame; None if its height is out of range."""
        if extent.height < MIN_TEXT_SHARE * self.rows:
            return None
        found = extent.to_picture(*place, *self.scale)
        return found if self.heights[0] <= found.height <= self.heights[1] else None


def _tilings(frame: Frame, standing: bool, view: StationView, card: ModelCard) -> list[_Tiling]:
    height, width = frame.pixels.shape
    rows, longer = card.geometry.height, max(height, width)
    least, most = (share * longer for share in view.text_height or (0.0, 1.0))
    tilings: list[_Tiling] = []
    for side in LONGER:
        scale = side * rows / longer
        if scale > MAX_UPSCALING or rows / scale < least or MIN_TEXT_SHARE * rows / scale > most:
            continue
        size = max(round(width * scale * NARROWING), MIN_SIDE_PX), max(round(height * scale), rows)
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        small = np.asarray(cv2.resize(frame.pixels, size, interpolation=method), np.uint8)
        factors = width / size[0], height / size[1]
        tilings.append(_Tiling(frame, standing, factors, (least, most), rows, *_strips(small, rows)))
    return tilings


def _strips(pixels: Pixels, rows: int) -> tuple[list[tuple[int, int]], list[Pixels]]:
    """Left and top of the strips of a picture [H, W] that are not uniform, and the strips [rows, W]."""
    length = round(STRIP * rows)
    height, width = pixels.shape
    places = [
        (left, top)
        for top in _steps(height, rows, round(STEP * rows))
        for left in _steps(width, length, length // 2)
    ]
    cut = {(x, y): np.ascontiguousarray(pixels[y : y + rows, x : x + length]) for x, y in places}
    kept = {place: strip for place, strip in cut.items() if strip.std() > MIN_DEVIATION}
    return list(kept), list(kept.values())


def _steps(whole: int, part: int, step: int) -> list[int]:
    """Starts of parts that cover the whole evenly, at most ``step`` apart."""
    count = -(-max(whole - part, 0) // step)
    return [round(i * (whole - part) / count) for i in range(count + 1)] if count else [0]


def _read(strips: Sequence[Pixels], card: ModelCard) -> Steps[list[tuple[Reading, Extent | None]]]:
    """The reading of each strip, and the extent of its text; None without text."""
    outputs = (yield strips) if strips else ()
    return [_seen(strip, one, card) for strip, one in zip(strips, outputs, strict=True)]


def _seen(strip: Pixels, outputs: Outputs, card: ModelCard) -> tuple[Reading, Extent | None]:
    reading = reading_of(outputs, strip, card, Code(), None)
    if clear_chars(reading) < MIN_CHARS:
        return reading, None
    return reading, text_extent(maps_of(outputs, strip, card, len(reading.chars)), strip)


def _suppressed(candidates: Iterable[_Candidate], most: int, overlapping: int = 1) -> list[_Candidate]:
    """Non-maximum suppression: the best candidates, without those that ``overlapping`` better ones cover."""
    kept: list[tuple[_Candidate, Floats]] = []
    for candidate in sorted(candidates, key=lambda candidate: -candidate.score):
        if len(kept) == most:
            break
        hull = candidate.hull
        if sum(_shared(hull, other) >= OVERLAP for _, other in kept) < overlapping:
            kept.append((candidate, hull))
    return [candidate for candidate, _ in kept]


def _shared(box: Floats, other: Floats) -> float:
    """Share of a box that another one covers."""
    sides = np.maximum(np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2]), 0)
    return float(np.prod(sides)) / max(float(np.prod(box[2:] - box[:2])), 1e-6)
