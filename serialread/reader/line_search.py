"""Where in a picture text lines lie: the network reads it strip by strip, and text is where it reads some.

Good enough to propose, not to decide: the proposals are read as any crop is. A network that has learned to
read nothing in bare surfaces (``background_share`` of the generator) is what makes this work.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from serialread.config import Code, StationView
from serialread.imaging import Extent, Finder, FoundLine, to_array
from serialread.imaging.crops import CROP_HEIGHT_PX
from serialread.imaging.filling import WIDE
from serialread.imaging.frames import Frame, Matrix, moved
from serialread.inference.session import Engine, EngineKind
from serialread.reader.orientation import worth
from serialread.reader.outputs import Outputs, looked_at, reading_of, where
from serialread.reader.scheduler import BATCH
from serialread.records import Floats, Pixels, Reading

LONGER = (4.8, 8.3, 14.6, 22.0)
"""Longer sides at which a picture is searched, in heights of a strip."""
ENLARGED = 2.5
"""A picture is enlarged no more than this."""
NARROWED = 0.8
"""Pictures are so much narrower when searched: in wide strips, wide characters are read twice."""
STRIP, STEP = 5.0, 0.5
"""Length of a strip, and how far down the next one lies, in its heights; along, they overlap by half."""
LOWEST = 0.3
"""Least share of a strip's height that text takes: what is lower is seen better at another scale."""
TILTED_DEG = (12.0, -12.0)
"""So far the picture is turned if little was read; the network reads what is tilted by 8 degrees and less."""
ENOUGH = 3.0
"""Characters of the surest spot, surely read less surely wrong, with which the picture is not turned."""
PLAIN = 2.0
"""Strips of less deviation, in greys, hold nothing."""
SOME = 0.5
"""Characters surely read, less those surely wrong, from which on a strip holds text."""
MOST_SPOTS, ALIKE, MOST_LINES = 24, 2, 8
"""Best spots that are looked at again, so many of one place, and lines that are proposed, at most."""
READ = 0.9
"""Share of a whole picture's characters, surely read less surely wrong, with which nothing is looked for."""
SHARED = 0.5
"""A spot of which a surer one covers so much is part of it."""
LEAST_PX = 8
"""No picture is made smaller."""


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where some strip was read.

    Attributes:
        frame: the picture, as it lies or turned by a quarter.
        standing: whether it is turned.
        extent: where the text is, px of the frame.
        merit: how surely it was read.
    """

    frame: Frame
    standing: bool
    extent: Extent
    merit: float

    def cut(self, share: float, room: float) -> Frame:
        """The text level: it takes a share of the height, with room beside it in text heights."""
        return self.frame.warped(*self._placed(share, room))

    @property
    def hull(self) -> Floats:
        """Left, top, right, bottom of the text in the source picture, px."""
        to_frame, width, height = self._placed(share=1.0, room=0.0)
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
        corners = self.frame.sources(corners @ to_frame[:2, :2].T + to_frame[:2, 2])
        return np.concatenate((corners.min(axis=0), corners.max(axis=0))).astype(np.float32)

    def _placed(self, share: float, room: float) -> tuple[Matrix, int, int]:
        """From px of the text, cut out, to px of the frame, and its width and height."""
        extent, narrowed = self.extent, self.extent.narrowed
        rows, beyond = extent.height / share, room * extent.height
        slant = float(np.hypot(1, extent.slope))
        along, down = np.array([1, extent.slope]) / slant, np.array([-extent.slope, 1]) / slant
        begin = np.array([extent.left, extent.level(extent.left)]) - beyond * along - rows / 2 * down
        to_frame = moved(*begin.tolist())
        to_frame[:2, 0], to_frame[:2, 1] = along / narrowed, down
        length = ((extent.right - extent.left) * slant + 2 * beyond) * narrowed
        return to_frame, max(round(length), LEAST_PX), max(round(rows), LEAST_PX)


def line_finder(model: Path, kind: EngineKind = "openvino") -> Finder:
    """What finds text lines with a model file; raises as ``Engine`` does."""
    return partial(find_text_lines, Engine(model, kind, outputs=None))


def find_text_lines(engine: Engine, frame: Frame, view: StationView) -> tuple[FoundLine, ...]:
    """Text lines in a picture, surest first, at most ``MOST_LINES``.

    Args:
        engine: the network; without glyph maps among its outputs, lines are cut less closely.
        frame: what is searched.
        view: how high text may be, and whether lines may stand upright.
    """
    if _is_read(engine, frame):
        return ()
    found = _everywhere(engine, frame, view)
    for tilt_deg in () if _along(frame) else TILTED_DEG:
        if max((spot.merit for spot in found), default=0.0) < ENOUGH:
            found += _everywhere(engine, _turned(frame, tilt_deg), view)
    first = _closer(engine, _apart(found, MOST_SPOTS, ALIKE))
    again = [
        max(pair, key=lambda spot: spot.merit) for pair in zip(first, _closer(engine, first), strict=True)
    ]
    sure = (spot for spot in again if spot.merit >= SOME)
    return tuple(FoundLine(spot.cut(share=0.8, room=0.5), spot.standing) for spot in _apart(sure, MOST_LINES))


def _closer(engine: Engine, spots: Sequence[_Spot]) -> list[_Spot]:
    """The spots as they show cut out with some room: level, and with what goes on at their ends."""
    cut = [spot.cut(share=0.7, room=1.2) for spot in spots]
    read = _read(engine, [one.pixels for one in cut])
    return [
        _Spot(one, spot.standing, extent, worth(reading)) if extent else replace(spot, merit=0.0)
        for spot, one, (reading, extent) in zip(spots, cut, read, strict=True)
    ]


def _everywhere(engine: Engine, frame: Frame, view: StationView) -> list[_Spot]:
    """Where strips of a frame were read, lying or standing."""
    along = _along(frame)
    lying = along != "standing"
    standing = along != "lying" and view.vertical_text != "never"
    found = list(_spots(engine, frame, False, view)) if lying else []
    return [*found, *_spots(engine, frame.turned(90), True, view)] if standing else found


def _along(frame: Frame) -> Literal["lying", "standing", ""]:
    """How text runs in a picture that is cut round a line, by its shape; "" of a whole view."""
    height, width = frame.pixels.shape
    return "lying" if width > WIDE * height else "standing" if height > WIDE * width else ""


def _turned(frame: Frame, degrees: float) -> Frame:
    """The frame turned about its middle, clockwise; what lies in its corners is lost."""
    height, width = frame.pixels.shape
    back = np.vstack((cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0), [0, 0, 1]))
    return frame.warped(back, width, height)


def _is_read(engine: Engine, frame: Frame) -> bool:
    """Whether the network reads the frame as a whole, and surely: there is nothing to look for."""
    small = frame.shrunk(CROP_HEIGHT_PX).pixels
    ((reading, extent),) = _read(engine, [small])
    if extent is None or extent.height < LOWEST * small.shape[0]:
        return False
    return worth(reading) >= READ * len(reading.chars)


def _spots(engine: Engine, frame: Frame, standing: bool, view: StationView) -> Iterator[_Spot]:
    """Where strips of a frame were read, at all scales."""
    height, width = frame.pixels.shape
    rows = engine.card.geometry.height
    least, most = (share * max(height, width) for share in view.text_height or (0.0, 1.0))
    for longer in LONGER:
        scale = longer * rows / max(height, width)
        if scale > ENLARGED or rows / scale < least or LOWEST * rows / scale > most:
            continue
        size = max(round(width * scale * NARROWED), LEAST_PX), max(round(height * scale), rows)
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        small = np.asarray(cv2.resize(frame.pixels, size, interpolation=way), np.uint8)
        across, down = width / size[0], height / size[1]
        places, strips = _strips(small, rows)
        for (left, top), (reading, extent) in zip(places, _read(engine, strips), strict=True):
            if extent and extent.height >= LOWEST * rows:
                found = extent.seen_from(left, top, across, down)
                if least <= found.height <= most:
                    yield _Spot(frame, standing, found, worth(reading))


def _strips(pixels: Pixels, rows: int) -> tuple[list[tuple[int, int]], list[Pixels]]:
    """Where strips of a picture [H, W] begin (left, top) that are not plain, and the strips [rows, w]."""
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
    """Where parts begin that cover the whole, evenly and at most ``step`` apart."""
    count = -(-max(whole - part, 0) // step)
    return [round(i * (whole - part) / count) for i in range(count + 1)] if count else [0]


def _read(engine: Engine, strips: Sequence[Pixels]) -> list[tuple[Reading, Extent | None]]:
    """What is in each strip, and where; None where there is no text."""
    found: dict[int, tuple[Reading, Extent | None]] = {}
    arrays = [to_array(strip, engine.card.geometry) for strip in strips]
    order = sorted(range(len(strips)), key=lambda i: arrays[i].shape[2])
    for _, alike in groupby(order, key=lambda i: arrays[i].shape[2]):
        while batch := list(islice(alike, BATCH)):
            each = Outputs.of_each(engine, np.stack([arrays[i] for i in batch]))
            found |= {i: _seen(engine, strips[i], one) for i, one in zip(batch, each, strict=True)}
    return [found[i] for i in range(len(strips))]


def _seen(engine: Engine, strip: Pixels, outputs: Outputs) -> tuple[Reading, Extent | None]:
    reading = reading_of(outputs, strip, engine.card, Code(), None)
    if worth(reading) < SOME:
        return reading, None
    return reading, where(looked_at(outputs, strip, engine.card, len(reading.chars)), strip)


def _apart(spots: Iterable[_Spot], most: int, alike: int = 1) -> list[_Spot]:
    """The surest spots, without those of which so many surer ones hold half."""
    kept: list[tuple[_Spot, Floats]] = []
    for spot in sorted(spots, key=lambda spot: -spot.merit):
        if len(kept) == most:
            break
        hull = spot.hull
        if sum(_shared(hull, other) >= SHARED for _, other in kept) < alike:
            kept.append((spot, hull))
    return [spot for spot, _ in kept]


def _shared(box: Floats, other: Floats) -> float:
    """Part of a box that another covers: one that reaches far beyond it is not the same line."""
    sides = np.maximum(np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2]), 0)
    return float(np.prod(sides)) / max(float(np.prod(box[2:] - box[:2])), 1e-6)
