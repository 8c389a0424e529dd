"""From a picture to its text line: upright, cut out, straight, evenly lit, measured."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import cv2
import numpy as np

from serialread.imaging.bending import undistort, unwrap
from serialread.imaging.fixing import fix, teach
from serialread.imaging.frames import Frame
from serialread.imaging.lines import find_lines
from serialread.imaging.tilting import estimate_tilt
from serialread.recipe import Fixture, View
from serialread.recipe.view import Point
from serialread.records import Crop, Floats, LoadedImage, Pixels

CROP_HEIGHT_PX = 64
"""Crops are kept at most this high: twice the network's height, so that its own scaling loses nothing."""
TALL = 1.5
"""Higher than this times the width, a line stands upright: "11" in a narrow face is no higher than 1.4."""

UNEVEN = 1.0
"""Light that varies more than this times the marks is evened."""


def normalize(image: LoadedImage, view: View) -> Crop:
    """The most likely text line of a picture."""
    return propose(image, view)[0]


def propose(image: LoadedImage, view: View) -> tuple[Crop, ...]:
    """Text lines that a picture may mean, most likely first, at least one.

    A picture that its text fills is proposed once, as it is. Only where the text fills a part, or stands
    upright, are there more proposals: the network reads them all, and the surest reading counts.

    Raises:
        ImageError: what the station knows the code's place by is not seen.
    """
    *_, (_, frame) = prepare(image, view)
    return tuple(finish(way, view) for way in ways(frame, view))


def prepare(image: LoadedImage, view: View) -> Iterator[tuple[str, Frame]]:
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
    image: LoadedImage, view: View, box: tuple[float, float, float, float], by: Literal["print", "edge"]
) -> Fixture:
    """The fixture of a mark in a box (left, top, right, bottom), 0..1, of the picture as the view turns it.

    Raises:
        CalibrationError: nothing in the box could be known again.
    """
    before = view.model_copy(update={"fixture": None, "region": None, "arc": None})
    *_, (_, frame) = prepare(image, before)
    return teach(frame, box, by)


def ways(frame: Frame, view: View) -> Iterator[Frame]:
    """The frame and the text lines found in it, each way up that the station allows."""
    whole, *found = find_lines(frame, view.text_height) if view.tighten else (frame,)
    yield from turn(whole, view, over=view.turn_over == "both")
    for line in found:
        yield from turn(line, view, over=view.turn_over != "never")


def finish(frame: Frame, view: View) -> Crop:
    """Straighten, shrink, even and measure a text line."""
    tilt_deg = estimate_tilt(frame.pixels) if view.straighten else 0.0
    frame = straighten(frame, tilt_deg).shrunk(CROP_HEIGHT_PX)
    pixels = even_light(frame.pixels)
    top, bottom = text_rows(pixels)
    return Crop(
        pixels=pixels,
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


def turn(frame: Frame, view: View, *, over: bool) -> Iterator[Frame]:
    """A line each way up that it may stand: an upright one turned to lie, ``over`` also upside down."""
    height, width = frame.pixels.shape
    if height <= TALL * width or view.turn_tall == "never":
        turns: tuple[int, ...] = (0,)
    else:
        turns = {"counter_clockwise": (270,), "clockwise": (90,), "both": (270, 90)}[view.turn_tall]
    if over and len(turns) == 1:
        turns = (*turns, (turns[0] + 180) % 360)
    for degrees in turns:
        yield frame.turned(degrees)


def upside_down(crop: Crop) -> Crop:
    """A crop the other way up."""
    turned = np.ascontiguousarray(crop.pixels[::-1, ::-1])
    return replace(crop, pixels=turned, quad=np.roll(crop.quad, 2, axis=0))


def straighten(frame: Frame, tilt_deg: float) -> Frame:
    """Turn the frame about its centre so that text tilted by ``tilt_deg`` (counter-clockwise) lies level."""
    if tilt_deg == 0.0:
        return frame
    height, width = frame.pixels.shape
    back = np.vstack((cv2.getRotationMatrix2D((width / 2, height / 2), tilt_deg, 1.0), [0, 0, 1]))
    return frame.warped(back, width, height)


def even_light(pixels: Pixels) -> Pixels:
    """Take out the light's slow change, where it hides the marks; [H, W] of any size.

    What changes slower than about a character height is light. Where it varies more than the marks do, it is
    subtracted and the middle grey put in its place.
    """
    height, width = pixels.shape
    small = cv2.resize(pixels, (max(width // 4, 4), max(height // 4, 4)), interpolation=cv2.INTER_AREA)
    slow = cv2.GaussianBlur(small.astype(np.float32), (0, 0), max(small.shape[0] / 2.5, 1.0))
    slow = cv2.resize(slow, (width, height), interpolation=cv2.INTER_LINEAR)
    marks = pixels.astype(np.float32) - slow
    if float(slow.std()) <= UNEVEN * float(marks.std()):
        return pixels
    return np.asarray(np.clip(marks + np.float32(128.5), 0, 255), np.uint8)


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
