"""Find text lines in a picture by reading it strip by strip: text is where the network reads some.

The result proposes lines and decides nothing: the proposals are read as any crop is. It works because the
network has learned to read nothing in bare surfaces (``background_share`` of the generator).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

import cv2
import numpy as np

from serialread.config import Code, StationView
from serialread.imaging import Extent, FoundLine
from serialread.imaging.crops import CROP_HEIGHT_PX
from serialread.imaging.filling import WIDE
from serialread.imaging.frames import Frame, Matrix, moved
from serialread.inference.session import ModelCard
from serialread.reader.orientation import clear_chars
from serialread.reader.outputs import Outputs, Steps, maps_of, reading_of, text_extent
from serialread.records import Floats, Pixels, Reading

LONGER = (4.8, 8.3, 14.6, 22.0)
"""Longer sides at which a picture is searched, in heights of a strip."""
ENLARGED = 2.5
"""Largest factor by which a picture is enlarged."""
NARROWED = 0.8
"""Factor by which pictures are narrowed for the search: in wide strips, wide characters are read twice."""
STRIP, STEP = 5.0, 0.5
"""Length of a strip and vertical distance between strips, in strip heights; along, strips overlap by half."""
LOWEST = 0.3
"""Least share of a strip's height that text fills: lower text is seen better at another scale."""
TILTED_DEG = (12.0, -12.0)
"""Angles at which the picture is searched again if little was read; the network reads tilts of up to 8
degrees."""
ENOUGH = 3.0
"""``clear_chars`` of the best spot from which the picture is not searched again."""
PLAIN = 2.0
"""Strips with a lower standard deviation, in grey levels, hold nothing."""
SOME = 0.5
"""``clear_chars`` from which a strip holds text."""
MOST_SPOTS, ALIKE, MOST_LINES = 24, 2, 8
"""Spots that are read again, how many of them may share one place, and lines that are proposed, at most."""
READ = 0.9
"""``clear_chars`` per character of the whole picture from which nothing is searched for."""
SHARED = 0.5
"""A spot is part of a better one that covers this share of it."""
LEAST_PX = 8
"""Least side of a scaled picture."""


@dataclass(frozen=True, slots=True)
class _Spot:
    """Text that was read in a strip.

    Attributes:
        frame: the picture, upright or turned by a quarter.
        standing: whether it is turned.
        extent: where the text is, px of the frame.
        merit: ``clear_chars`` of the reading.
    """

    frame: Frame
    standing: bool
    extent: Extent
    merit: float

    def cut(self, share: float, room: float) -> Frame:
        """The text, level: ``share`` of the height is text, with ``room`` at both ends in text heights."""
        return self.frame.warped(*self._placed(share, room))

    @property
    def hull(self) -> Floats:
        """Left, top, right, bottom of the text in the source picture, px."""
        to_frame, width, height = self._placed(share=1.0, room=0.0)
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
        corners = self.frame.sources(corners @ to_frame[:2, :2].T + to_frame[:2, 2])
        return np.concatenate((corners.min(axis=0), corners.max(axis=0))).astype(np.float32)

    def _placed(self, share: float, room: float) -> tuple[Matrix, int, int]:
        """Matrix from px of the cut-out to px of the frame, and the cut-out's width and height."""
        extent, narrowed = self.extent, self.extent.narrowed
        rows, beyond = extent.height / share, room * extent.height
        slant = float(np.hypot(1, extent.slope))
        along, down = np.array([1, extent.slope]) / slant, np.array([-extent.slope, 1]) / slant
        begin = np.array([extent.left, extent.level(extent.left)]) - beyond * along - rows / 2 * down
        to_frame = moved(*begin.tolist())
        to_frame[:2, 0], to_frame[:2, 1] = along / narrowed, down
        length = ((extent.right - extent.left) * slant + 2 * beyond) * narrowed
        return to_frame, max(round(length), LEAST_PX), max(round(rows), LEAST_PX)


def find_text_lines(frame: Frame, view: StationView, card: ModelCard) -> Steps[tuple[FoundLine, ...]]:
    """Text lines in a picture, surest first, at most ``MOST_LINES``.

    Args:
        frame: the picture.
        view: how high text may be, and whether lines may be vertical.
        card: of the network; without glyph maps among its outputs, lines are cut less closely.

    Yields:
        Strips and cut-outs to recognize; the driver sends their outputs back.
    """
    if (yield from _is_read(frame, card)):
        return ()
    spots = yield from _search(frame, view, card)
    for tilt_deg in () if _along(frame) else TILTED_DEG:
        if max((spot.merit for spot in spots), default=0.0) < ENOUGH:
            spots += yield from _search(_turned(frame, tilt_deg), view, card)
    first = yield from _read_cut_outs(_apart(spots, MOST_SPOTS, ALIKE), card)
    second = yield from _read_cut_outs(first, card)
    better = [max(pair, key=lambda spot: spot.merit) for pair in zip(first, second, strict=True)]
    sure = (spot for spot in better if spot.merit >= SOME)
    return tuple(FoundLine(spot.cut(share=0.8, room=0.5), spot.standing) for spot in _apart(sure, MOST_LINES))


def _read_cut_outs(spots: Sequence[_Spot], card: ModelCard) -> Steps[list[_Spot]]:
    """The spots, read again level and with room at their ends."""
    cut = [spot.cut(share=0.7, room=1.2) for spot in spots]
    read = yield from _read([one.pixels for one in cut], card)
    return [
        _Spot(one, spot.standing, extent, clear_chars(reading)) if extent else replace(spot, merit=0.0)
        for spot, one, (reading, extent) in zip(spots, cut, read, strict=True)
    ]


def _search(frame: Frame, view: StationView, card: ModelCard) -> Steps[list[_Spot]]:
    """Where strips of a frame were read, horizontal or vertical, at all scales."""
    along = _along(frame)
    tilings = _tilings(frame, False, view, card) if along != "vertical" else []
    if along != "horizontal" and view.vertical_text != "never":
        tilings += _tilings(frame.turned(90), True, view, card)
    read = yield from _read([strip for tiling in tilings for strip in tiling.strips], card)
    seen, spots = iter(read), list[_Spot]()
    for tiling in tilings:
        for place, (reading, extent) in zip(tiling.places, islice(seen, len(tiling.places)), strict=True):
            if extent and (found := tiling.extent_in_frame(place, extent)):
                spots.append(_Spot(tiling.frame, tiling.standing, found, clear_chars(reading)))
    return spots


def _along(frame: Frame) -> Literal["horizontal", "vertical", ""]:
    """How text runs in a picture that is cut out around a line, by its shape; "" of a whole view."""
    height, width = frame.pixels.shape
    return "horizontal" if width > WIDE * height else "vertical" if height > WIDE * width else ""


def _turned(frame: Frame, degrees: float) -> Frame:
    """The frame turned clockwise about its centre; its corners are lost."""
    height, width = frame.pixels.shape
    back = np.vstack((cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0), [0, 0, 1]))
    return frame.warped(back, width, height)


def _is_read(frame: Frame, card: ModelCard) -> Steps[bool]:
    """Whether the network reads the frame as a whole, and surely: then there is nothing to search for."""
    small = frame.shrunk(CROP_HEIGHT_PX).pixels
    ((reading, extent),) = yield from _read([small], card)
    if extent is None or extent.height < LOWEST * small.shape[0]:
        return False
    return clear_chars(reading) >= READ * len(reading.chars)


@dataclass(frozen=True, slots=True)
class _Tiling:
    """A frame at one scale, cut into strips.

    Attributes:
        frame: the picture, turned by a quarter where vertical text is searched for.
        standing: whether it is turned.
        scale: px of the frame per px of a strip, across and down.
        heights: least and most height of text, px of the frame.
        rows: height of a strip, px.
        places: where strips begin (left, top), px of the scaled frame.
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
        """The text of a strip in px of the frame; None if its height is not one that is searched for."""
        if extent.height < LOWEST * self.rows:
            return None
        found = extent.seen_from(*place, *self.scale)
        return found if self.heights[0] <= found.height <= self.heights[1] else None


def _tilings(frame: Frame, standing: bool, view: StationView, card: ModelCard) -> list[_Tiling]:
    height, width = frame.pixels.shape
    rows, longer = card.geometry.height, max(height, width)
    least, most = (share * longer for share in view.text_height or (0.0, 1.0))
    tilings: list[_Tiling] = []
    for side in LONGER:
        scale = side * rows / longer
        if scale > ENLARGED or rows / scale < least or LOWEST * rows / scale > most:
            continue
        size = max(round(width * scale * NARROWED), LEAST_PX), max(round(height * scale), rows)
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        small = np.asarray(cv2.resize(frame.pixels, size, interpolation=method), np.uint8)
        factors = width / size[0], height / size[1]
        tilings.append(_Tiling(frame, standing, factors, (least, most), rows, *_strips(small, rows)))
    return tilings


def _strips(pixels: Pixels, rows: int) -> tuple[list[tuple[int, int]], list[Pixels]]:
    """Strips [rows, W] of a picture [H, W] that are not plain, and where they begin (left, top)."""
    length = round(STRIP * rows)
    height, width = pixels.shape
    places = [
        (left, top)
        for top in _steps(height, rows, round(STEP * rows))
        for left in _steps(width, length, length // 2)
    ]
    cut = {(x, y): np.ascontiguousarray(pixels[y : y + rows, x : x + length]) for x, y in places}
    kept = {place: strip for place, strip in cut.items() if strip.std() > PLAIN}
    return list(kept), list(kept.values())


def _steps(whole: int, part: int, step: int) -> list[int]:
    """Starts of parts that cover the whole evenly, at most ``step`` apart."""
    count = -(-max(whole - part, 0) // step)
    return [round(i * (whole - part) / count) for i in range(count + 1)] if count else [0]


def _read(strips: Sequence[Pixels], card: ModelCard) -> Steps[list[tuple[Reading, Extent | None]]]:
    """What is in each strip, and where; None where there is no text."""
    outputs = (yield strips) if strips else ()
    return [_seen(strip, one, card) for strip, one in zip(strips, outputs, strict=True)]


def _seen(strip: Pixels, outputs: Outputs, card: ModelCard) -> tuple[Reading, Extent | None]:
    reading = reading_of(outputs, strip, card, Code(), None)
    if clear_chars(reading) < SOME:
        return reading, None
    return reading, text_extent(maps_of(outputs, strip, card, len(reading.chars)), strip)


def _apart(spots: Iterable[_Spot], most: int, alike: int = 1) -> list[_Spot]:
    """The best spots, without those that ``alike`` better ones share half with."""
    kept: list[tuple[_Spot, Floats]] = []
    for spot in sorted(spots, key=lambda spot: -spot.merit):
        if len(kept) == most:
            break
        hull = spot.hull
        if sum(_shared(hull, other) >= SHARED for _, other in kept) < alike:
            kept.append((spot, hull))
    return [spot for spot, _ in kept]


def _shared(box: Floats, other: Floats) -> float:
    """Share of a box that another one covers."""
    sides = np.maximum(np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2]), 0)
    return float(np.prod(sides)) / max(float(np.prod(box[2:] - box[:2])), 1e-6)
