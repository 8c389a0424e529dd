"""From a picture to its text lines: upright, cut out, measured."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np

from serialread.config import Fixture, StationView
from serialread.config.view import Point
from serialread.imaging.distortion import undistort, unwrap
from serialread.imaging.filling import is_filled
from serialread.imaging.fixture import fix, teach
from serialread.imaging.frames import Frame
from serialread.imaging.tilt import estimate_tilt
from serialread.records import Crop, Floats, LoadedImage, Pixels

CROP_HEIGHT_PX = 64
"""Crops are kept at most this high: twice the network's height, so that its own scaling loses nothing."""
TALL = 1.5
"""Higher than this times the width, a line may stand upright: "11" in a narrow face is no higher than 1.4."""


@dataclass(frozen=True, slots=True)
class FoundLine:
    """A text line that was found in a picture, cut out and level.

    Attributes:
        frame: the line, lying.
        standing: whether it stands upright in its picture, and was turned by a quarter, clockwise.
    """

    frame: Frame
    standing: bool = False


Finder = Callable[[Frame, StationView], Sequence[FoundLine]]
"""What finds text lines in a frame, likeliest first."""


def normalize(image: LoadedImage, view: StationView) -> Crop:
    """The most likely text line of a picture."""
    return propose(image, view)[0]


def propose(image: LoadedImage, view: StationView, find: Finder | None = None) -> tuple[Crop, ...]:
    """Text lines that a picture may mean, most likely first, at least one.

    A picture that its text fills is proposed once, as it is. Only where the text fills a part, or stands
    upright, are there more proposals: the network reads them all, and the surest reading counts.

    Args:
        image: the picture.
        view: what to do to it.
        find: what finds lines where the text fills only a part; None: nothing does.

    Raises:
        ImageError: what the station knows the code's place by is not seen.
    """
    *_, (_, frame) = prepare(image, view)
    return tuple(finish(way, tilt_deg) for way, tilt_deg in ways(frame, view, find))


def prepare(image: LoadedImage, view: StationView) -> Iterator[tuple[str, Frame]]:
    """The picture in grey, and after each step that the station asks for, with the step's name.

    Raises:
        ImageError: the station's fixture, or the circle that its code lies on, is not seen.
    """
    yield "picture", (frame := Frame.whole(image))
    if view.lens:
        yield "lens", (frame := undistort(frame, view.lens))
    if view.rotation:
        yield "rotation", (frame := frame.turned(view.rotation))
    if view.fixture:
        yield "fixture", (frame := fix(frame, view.fixture))
    if view.region:
        yield "region", (frame := cut_region(frame, view.region))
    if view.arc:
        yield "arc", unwrap(frame, view.arc)


def teach_fixture(
    image: LoadedImage,
    view: StationView,
    box: tuple[float, float, float, float],
    by: Literal["print", "edge"],
) -> Fixture:
    """The fixture of a mark in a box (left, top, right, bottom), 0..1, of the picture as the view turns it.

    Raises:
        CalibrationError: nothing in the box could be known again.
    """
    before = view.model_copy(update={"fixture": None, "region": None, "arc": None})
    *_, (_, frame) = prepare(image, before)
    return teach(frame, box, by)


def ways(frame: Frame, view: StationView, find: Finder | None) -> Iterator[tuple[Frame, float]]:
    """The frame and the text lines found in it, each way up that the station allows, and its tilt.

    Degrees, counter-clockwise; found lines are level.
    """
    for way in whole_ways(frame, view):
        yield way, estimate_tilt(way.pixels) if view.deskew else 0.0
    if find and view.find_lines and not is_filled(frame):
        for line in find(frame, view):
            whole = line.frame.turned(270) if line.standing else line.frame
            for way in turn(whole, view, standing=line.standing, over=view.upside_down != "never"):
                yield way, 0.0


def finish(frame: Frame, tilt_deg: float) -> Crop:
    """Shrink and measure a text line, tilted by so much."""
    frame = frame.shrunk(CROP_HEIGHT_PX)
    top, bottom = text_rows(frame.pixels)
    return Crop(
        pixels=frame.pixels,
        quad=frame.quad,
        text_height_px=(bottom - top) * frame.source_per_px,
        contrast=contrast(frame.pixels[top:bottom]),
        tilt_deg=tilt_deg,
    )


def cut_region(frame: Frame, region: tuple[Point, Point, Point, Point]) -> Frame:
    """The station's region, its perspective taken out: four corners become a rectangle."""
    height, width = frame.pixels.shape
    corners = np.array(region, np.float32) * np.array([width, height], np.float32)
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    wide, high = max(round(max(sides[0], sides[2])), 8), max(round(max(sides[1], sides[3])), 8)
    target = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32)
    return frame.warped(np.asarray(cv2.getPerspectiveTransform(target, corners), np.float64), wide, high)


def whole_ways(frame: Frame, view: StationView) -> Iterator[Frame]:
    """The whole frame each way up that it may stand; a tall one may be a single character, and lie right."""
    over = view.upside_down == "both"
    yield from turn(frame, view, standing=False, over=over)
    if frame.pixels.shape[0] > TALL * frame.pixels.shape[1] and view.vertical_text != "never":
        yield from turn(frame, view, standing=True, over=over)


def turn(frame: Frame, view: StationView, *, standing: bool, over: bool) -> Iterator[Frame]:
    """A line each way up that it may be: one that stands upright laid down, ``over`` also upside down."""
    if not standing:
        turns: tuple[int, ...] = (0,)
    else:
        turns = {"counter_clockwise": (270,), "clockwise": (90,)}.get(view.vertical_text, (270, 90))
    if over and len(turns) == 1:
        turns = (*turns, (turns[0] + 180) % 360)
    for degrees in turns:
        yield frame.turned(degrees)


def turned_180(crop: Crop) -> Crop:
    """A crop the other way up."""
    turned = np.ascontiguousarray(crop.pixels[::-1, ::-1])
    return replace(crop, pixels=turned, quad=np.roll(crop.quad, 2, axis=0))


def text_rows(pixels: Pixels) -> tuple[int, int]:
    """First row of the text and the row after its last, from how much changes along each row; [H, W]."""
    height = pixels.shape[0]
    change = _row_change(pixels)
    low, high = (float(v) for v in np.percentile(change, (10, 90)))
    if high <= 1.5 * low:  # nothing stands out: text, if any, fills the crop
        return 0, height
    rows = np.flatnonzero(change > low + 0.35 * (high - low))
    return int(rows[0]), int(rows[-1]) + 1


def _row_change(pixels: Pixels) -> Floats:
    blurred = cv2.GaussianBlur(pixels, (3, 3), 0)
    change = np.abs(cv2.Sobel(blurred, cv2.CV_32F, 1, 0)).mean(axis=1)
    return np.asarray(np.convolve(change, np.ones(3, np.float32) / 3, mode="same"), np.float32)


def contrast(pixels: Pixels) -> float:
    """Spread between the marks' grey and the surface's, 0..1; the outer 5 % on either side do not count."""
    below = np.cumsum(np.bincount(pixels.ravel(), minlength=256))
    low, high = np.searchsorted(below, (0.05 * pixels.size, 0.95 * pixels.size))
    return float(high - low) / 255
