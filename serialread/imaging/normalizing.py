"""From a picture to its text line: upright, cut out, straight, evenly lit, measured."""

import cv2
import numpy as np

from serialread.imaging.frames import Frame
from serialread.imaging.lines import find_lines
from serialread.imaging.tilting import estimate_tilt
from serialread.recipe import View
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
    """
    frame = Frame.whole(image).turned(view.rotation)
    frame = cut_region(frame, view)
    lines = find_lines(frame) if view.tighten else (frame,)
    return tuple(finish(way, view) for line in lines for way in turn(line, view))


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


def cut_region(frame: Frame, view: View) -> Frame:
    """The station's region, straightened to a rectangle; the whole frame if the station names none."""
    if view.region is None:
        return frame
    height, width = frame.pixels.shape
    corners = np.array(view.region, np.float32) * np.array([width, height], np.float32)
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    wide, high = max(round(max(sides[0], sides[2])), 8), max(round(max(sides[1], sides[3])), 8)
    target = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32)
    return frame.warped(np.asarray(cv2.getPerspectiveTransform(target, corners), np.float64), wide, high)


def turn(frame: Frame, view: View) -> tuple[Frame, ...]:
    """A line each way up that the station allows: an upright one turned to lie, a lying one as it is."""
    height, width = frame.pixels.shape
    if height <= TALL * width or view.turn_tall == "never":
        turns: tuple[int, ...] = (0,)
    else:
        turns = {"counter_clockwise": (270,), "clockwise": (90,), "both": (270, 90)}[view.turn_tall]
    if view.turn_over == "both" and len(turns) == 1:
        turns = (*turns, (turns[0] + 180) % 360)
    return tuple(frame.turned(degrees) for degrees in turns)


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
