"""Normalize pictures and cut out the crops of their text lines."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from serialread.config import Fixture, StationView
from serialread.config.view import Point
from serialread.imaging.fixture import fix, teach
from serialread.imaging.frames import Frame, undistort, unwrap
from serialread.records import Crop, Floats, LoadedImage, Pixels

CROP_HEIGHT_PX = 128
"""Maximum height of a crop: its further views show the text alone, still higher than the network's 48 px, so
that scaling loses no detail (docs/benchmarks/photographs.md)."""
BANDS_PX = 64
"""Height at which rows are told apart."""
MIN_BAND = 0.12
"""Minimum height of a row of text per height of its crop."""
MIN_PICTURE_PX, LOW_PX = 64, 192
"""Lower pictures contain at most one legible line; pictures lower than the second are crops: one line, unless
two rows of similar height show."""
VERTICAL_ASPECT = 1.5
"""Height per width above which a line may be vertical; "11" in a narrow typeface reaches 1.4."""


def normalize(image: LoadedImage, view: StationView) -> Crop:
    """The whole picture, or the station's region of it, as one text line.

    Raises:
        ImageError: the station's fixture or circle is not found in the picture.
    """
    *_, (_, frame) = prepare(image, view)
    return whole_crops(frame, view)[0]


def prepare(image: LoadedImage, view: StationView) -> Iterator[tuple[str, Frame]]:
    """The grey picture, then the result of each preprocessing step of the station, with the step's name.

    Raises:
        ImageError: the station's fixture or circle is not found in the picture.
    """
    yield "picture", (frame := Frame.whole(image))
    if view.lens:
        yield "lens", (frame := undistort(frame, view.lens))
    if view.rotation:
        yield "rotation", (frame := frame.turned(view.rotation))
    if view.mirror:
        yield "mirror", (frame := frame.mirrored())
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
    """The fixture of a mark in a box (left, top, right, bottom), 0..1, of the rotated picture.

    Raises:
        CalibrationError: the box has too little structure to be found again.
    """
    before = view.model_copy(update={"fixture": None, "region": None, "arc": None})
    *_, (_, frame) = prepare(image, before)
    return teach(frame, box, by)


def whole_crops(frame: Frame, view: StationView) -> tuple[Crop, ...]:
    """The whole frame as a text line, in each orientation that the station allows.

    A tall frame may contain a single character or vertical text: both are proposed.
    """
    frames = _orientations(frame, view, standing=False, both=view.upside_down == "both")
    if is_tall(frame) and view.vertical_text != "never":
        frames += _orientations(frame, view, standing=True, both=view.upside_down == "both")
    return tuple(finish(one, estimate_tilt(one.pixels) if view.deskew else 0.0) for one in frames)


def is_tall(frame: Frame) -> bool:
    """Whether a line in the frame may be vertical."""
    height, width = frame.pixels.shape
    return bool(height > VERTICAL_ASPECT * width)


def is_low(frame: Frame) -> bool:
    """Whether the frame has the size of a crop: it is one line, or a few."""
    return bool(min(frame.pixels.shape) < LOW_PX)


def is_one_line(frame: Frame) -> bool:
    """Whether the frame can only be one text line: it is tiny, or low and shows no two rows."""
    height, width = frame.pixels.shape
    if min(height, width) < MIN_PICTURE_PX:
        return True
    if not is_low(frame):
        return False
    horizontal = frame if width >= height else frame.turned(90)
    pixels = horizontal.shrunk(BANDS_PX).pixels
    halves = np.array_split(pixels, 2, axis=1)  # a short row does not show in the whole
    return not any(map(_has_two_rows, (pixels, *halves)))


def _has_two_rows(pixels: Pixels) -> bool:
    """Whether two bands of similar height show, one below the other."""
    heights = [bottom - top for top, bottom in text_bands(pixels)]
    return any(max(pair) < 2 * min(pair) for pair in pairwise(heights))


def finish(frame: Frame, tilt_deg: float) -> Crop:
    """Downscale and measure a text line of a known tilt."""
    frame = frame.shrunk(CROP_HEIGHT_PX)
    top, bottom = text_rows(frame.pixels)
    return Crop(
        pixels=frame.pixels,
        quad=frame.quad,
        text_height_px=(bottom - top) * frame.source_per_px,
        contrast=contrast(frame.pixels[top:bottom]),
        tilt_deg=tilt_deg,
        outline=frame.outline,
    )


def cut_region(frame: Frame, region: tuple[Point, Point, Point, Point]) -> Frame:
    """The station's region with its perspective removed: four corners become a rectangle."""
    height, width = frame.pixels.shape
    corners = np.array(region, np.float32) * np.array([width, height], np.float32)
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    wide, high = max(round(max(sides[0], sides[2])), 8), max(round(max(sides[1], sides[3])), 8)
    target = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32)
    return frame.warped(np.asarray(cv2.getPerspectiveTransform(target, corners), np.float64), wide, high)


def _orientations(frame: Frame, view: StationView, *, standing: bool, both: bool) -> list[Frame]:
    """A line in each orientation it may have: vertical text rotated; with ``both`` also upside down."""
    if not standing:
        turns: tuple[int, ...] = (0,)
    else:
        turns = {"counter_clockwise": (270,), "clockwise": (90,)}.get(view.vertical_text, (270, 90))
    if both and len(turns) == 1:
        turns = (*turns, (turns[0] + 180) % 360)
    return [frame.turned(degrees) for degrees in turns]


def turned_180(crop: Crop) -> Crop:
    """A crop and its quad, rotated by 180 degrees."""
    turned = np.ascontiguousarray(crop.pixels[::-1, ::-1])
    outline = None if crop.outline is None else np.roll(crop.outline, len(crop.outline) // 2, axis=0)
    return replace(crop, pixels=turned, quad=np.roll(crop.quad, 2, axis=0), outline=outline)


def text_rows(pixels: Pixels) -> tuple[int, int]:
    """First row of the text and the row after its last, from the gradient along each row [H, W]."""
    rows = np.flatnonzero(_rows_with_text(pixels))
    return (int(rows[0]), int(rows[-1]) + 1) if rows.size else (0, pixels.shape[0])


def text_bands(pixels: Pixels) -> list[tuple[int, int]]:
    """Bands of rows with text [H, W], first row and the row after the last; low ones are left out."""
    edges = np.diff(_rows_with_text(pixels).astype(np.int8), prepend=0, append=0)
    bands = zip(np.flatnonzero(edges > 0).tolist(), np.flatnonzero(edges < 0).tolist(), strict=True)
    return [(top, bottom) for top, bottom in bands if bottom - top >= MIN_BAND * pixels.shape[0]]


def _rows_with_text(pixels: Pixels) -> NDArray[np.bool_]:
    """Whether each row has text [H]; none if no rows are distinct: text, if any, then fills the crop."""
    gradient = _row_gradient(pixels)
    ranks = 0.1 * (gradient.size - 1), 0.9 * (gradient.size - 1)
    low, high = np.interp(ranks, np.arange(gradient.size), np.sort(gradient)).tolist()
    return gradient > (low + 0.35 * (high - low) if high > 1.5 * low else np.inf)


def _row_gradient(pixels: Pixels) -> Floats:
    blurred = cv2.GaussianBlur(pixels, (3, 3), 0)
    gradient = np.abs(cv2.Sobel(blurred, cv2.CV_32F, 1, 0)).mean(axis=1)
    return np.asarray(np.convolve(gradient, np.ones(3, np.float32) / 3, mode="same"), np.float32)


def contrast(pixels: Pixels) -> float:
    """Range of the greys [H, W] between their 5 % and 95 % quantiles, 0..1."""
    below = np.cumsum(cv2.calcHist([pixels], [0], None, [256], [0, 256]))
    low, high = np.searchsorted(below, (0.05 * pixels.size, 0.95 * pixels.size))
    return float(high - low) / 255


TILTS_DEG = np.arange(-16.0, 17.0, 2.0, dtype=np.float32)
"""Tested angles; the outer two only mean that the tilt is larger. The network tolerates a degree of error."""
MIN_TILT_RATIO = 1.25
"""The rows of deskewed text must be this much more distinct than those of the picture as it is."""
TILT_ROWS, TILT_COLUMNS = 48, 48
"""Columns are blocks of px: within one, the largest tilt moves a row by little more than its height."""


def estimate_tilt(pixels: Pixels) -> float:
    """Tilt of the text line in [H, W], degrees counter-clockwise, -14..14; 0.0 if it is uncertain.

    Deskewed text has rows full of strokes and rows without. Strokes are detected by the smaller eigenvalue of
    the structure tensor, which ignores machining lines and edges: these change in one direction only.
    """
    height, width = pixels.shape
    if width < 1.5 * height or height < 16:
        return 0.0
    scores = _row_distinctness(_strokes(pixels), width / height)
    best = int(scores.argmax())
    unsure = best in (0, len(scores) - 1) or scores[best] < MIN_TILT_RATIO * scores[len(scores) // 2]
    return 0.0 if unsure else float(TILTS_DEG[best])


def _strokes(pixels: Pixels) -> Floats:
    """Strength of strokes [TILT_ROWS, TILT_COLUMNS], of one size: every picture takes the same time."""
    height, width = pixels.shape
    small = cv2.resize(
        pixels, (max(round(width * TILT_ROWS / height), 1), TILT_ROWS), interpolation=cv2.INTER_AREA
    )
    strength = np.sqrt(np.maximum(cv2.cornerMinEigenVal(small, 5), 0))
    return np.asarray(
        cv2.resize(strength, (TILT_COLUMNS, TILT_ROWS), interpolation=cv2.INTER_AREA), np.float32
    )


def _row_distinctness(strokes: Floats, aspect: float) -> Floats:
    """How unevenly the rows are filled after removing each tilt: variance / squared mean, per angle."""
    slopes = -np.tan(np.radians(TILTS_DEG)) * np.float32(aspect * TILT_ROWS / TILT_COLUMNS)
    columns = np.arange(TILT_COLUMNS)
    shifts = (
        np.rint(slopes[:, None] * (columns - TILT_COLUMNS // 2)).astype(np.int32).clip(-TILT_ROWS, TILT_ROWS)
    )
    padded = np.zeros((TILT_COLUMNS, 3 * TILT_ROWS), np.float32)
    padded[:, TILT_ROWS : 2 * TILT_ROWS] = strokes.T
    row, px = padded.strides
    windows = as_strided(padded, (TILT_COLUMNS, 2 * TILT_ROWS + 1, TILT_ROWS), (row, px, px))
    level = windows[columns, TILT_ROWS + shifts]  # [angle, column, row]
    counts = _columns_inside(shifts)
    filled = level.sum(axis=1) / np.maximum(counts, 1).astype(np.float32)
    whole = counts > TILT_COLUMNS / 3  # the other rows have mostly left the picture
    number = np.maximum(whole.sum(axis=1), 1)
    mean = (filled * whole).sum(axis=1) / number
    variance = ((filled - mean[:, None]) ** 2 * whole).sum(axis=1) / number
    return np.asarray(variance / np.maximum(mean**2, 1e-12), np.float32)


def _columns_inside(shifts: NDArray[np.int32]) -> NDArray[np.int64]:
    """How many columns are still inside the picture in each row [angle, row], for shifts [angle, column]."""
    span = 2 * TILT_ROWS + 1
    bins = shifts + TILT_ROWS + span * np.arange(len(shifts))[:, None]
    below = np.zeros((len(shifts), span + 1), np.int64)
    below[:, 1:] = np.bincount(bins.ravel(), minlength=bins.shape[0] * span).reshape(-1, span).cumsum(axis=1)
    first = TILT_ROWS - np.arange(TILT_ROWS)
    return np.asarray(below[:, first + TILT_ROWS] - below[:, first])
