"""Fixtures: a mark on the part gives its pose, and the picture is moved to the pose that was taught."""

import base64
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np

from serialread.config import Fixture
from serialread.errors import CalibrationError, ImageError
from serialread.imaging.frames import Frame, moved
from serialread.records import Pixels

TAUGHT_PX = 64
"""Longer side of a template: enough to recognize a mark, small enough for a station file."""
COARSE_DEG, FINE_DEG = 4.0, 0.5
"""Angle steps of the two searches; the rim of a mark of 64 px moves by two px per coarse step."""


def teach(frame: Frame, box: tuple[float, float, float, float], by: Literal["print", "edge"]) -> Fixture:
    """The fixture of a mark in the box (left, top, right, bottom), fractions of the frame's sides.

    Raises:
        CalibrationError: the box is empty, or contains nothing that can be recognized again.
    """
    height, width = frame.pixels.shape
    left, top, right, bottom = (round(v * side) for v, side in zip(box, (width, height) * 2, strict=True))
    part = frame.pixels[max(top, 0) : bottom, max(left, 0) : right]
    if min(part.shape) < 8 or float(part.std()) < 4:
        raise CalibrationError(
            f"box {box}: nothing here can be recognized again. "
            "Draw it around a clear mark, in fractions of the picture."
        )
    scale = min(1.0, TAUGHT_PX / max(part.shape))
    size = (max(round(part.shape[1] * scale), 6), max(round(part.shape[0] * scale), 6))
    png = cv2.imencode(".png", cv2.resize(part, size, interpolation=cv2.INTER_AREA))[1].tobytes()
    return Fixture(
        template=base64.b64encode(png).decode(),
        by=by,
        at=((left + right) / 2 / width, (top + bottom) / 2 / height),
        width=(right - left) / width,
    )


def fix(frame: Frame, fixture: Fixture) -> Frame:
    """Move and rotate the frame so that the fixture's mark is where it was taught.

    Raises:
        ImageError: the feature is not found.
    """
    height, width = frame.pixels.shape
    x, y, angle_deg, correlation = find_mark(frame.pixels, fixture)
    if correlation < fixture.min_correlation:
        raise ImageError(
            f"the station's fixture was not found (correlation {correlation:.2f}, "
            f"needs {fixture.min_correlation:.2f}). Check the pose of the part."
        )
    turn = np.eye(3)
    angle = np.radians(angle_deg)
    turn[:2, :2] = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
    to_this = moved(x, y) @ turn @ moved(-fixture.at[0] * width, -fixture.at[1] * height)
    return frame.warped(to_this, width, height)


def find_mark(pixels: Pixels, fixture: Fixture) -> tuple[float, float, float, float]:
    """Middle (x, y) of the feature in [H, W], px; rotation, degrees counter-clockwise; correlation, -1..1."""
    height, width = pixels.shape
    template = _template(fixture.template)
    scale = template.shape[1] / (fixture.width * width)
    reach = fixture.reach * width + np.hypot(*template.shape) / 2 / scale
    middle = (fixture.at[0] * width, fixture.at[1] * height)
    left, top = (max(int(m - reach), 0) for m in middle)
    right, bottom = min(int(middle[0] + reach) + 1, width), min(int(middle[1] + reach) + 1, height)
    part = pixels[top:bottom, left:right]
    size = (max(round(part.shape[1] * scale), 8), max(round(part.shape[0] * scale), 8))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    searched = cv2.resize(part, size, interpolation=way).astype(np.uint8, copy=False)
    count = int(np.ceil(fixture.turn_deg / COARSE_DEG))
    coarse = [float(a) for a in np.linspace(-fixture.turn_deg, fixture.turn_deg, 2 * count + 1)]
    found = max(_match(searched, template, angle, fixture) for angle in coarse)
    if fixture.turn_deg:
        fine = np.arange(found[3] - COARSE_DEG, found[3] + COARSE_DEG + FINE_DEG, FINE_DEG)
        found = max(_match(searched, template, float(angle), fixture) for angle in fine)
    correlation, x, y, angle_deg = found
    return left + x / scale, top + y / scale, angle_deg, correlation


def _match(
    searched: Pixels, template: Pixels, angle_deg: float, fixture: Fixture
) -> tuple[float, float, float, float]:
    """Correlation, x, y of the middle and the angle, where the template so rotated fits best."""
    turned = _compared(_turned(template, angle_deg), fixture.by)
    inset = 1 if angle_deg == 0 else max(round(0.1 * min(turned.shape)), 1)  # the corners were extrapolated
    core = turned[inset:-inset, inset:-inset]
    if core.shape[0] > searched.shape[0] or core.shape[1] > searched.shape[1]:
        return 0.0, 0.0, 0.0, angle_deg
    correlation = cv2.matchTemplate(_compared(searched, fixture.by), core, cv2.TM_CCOEFF_NORMED)
    _, best, _, (x, y) = cv2.minMaxLoc(correlation)
    return float(best), x + core.shape[1] / 2, y + core.shape[0] / 2, angle_deg


def _turned(template: Pixels, angle_deg: float) -> Pixels:
    if angle_deg == 0:
        return template
    height, width = template.shape
    back = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), angle_deg, 1.0)
    turned = cv2.warpAffine(template, back, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return turned.astype(np.uint8, copy=False)


def _compared(pixels: Pixels, by: Literal["print", "edge"]) -> Pixels:
    """What is compared: the greys, or the strength of their edges."""
    if by == "print":
        return pixels
    smooth = cv2.GaussianBlur(pixels, (0, 0), 1.0)
    across, down = (cv2.Sobel(smooth, cv2.CV_32F, *way) for way in ((1, 0), (0, 1)))
    return np.asarray(np.clip(cv2.magnitude(across, down), 0, 255), np.uint8)


@lru_cache(maxsize=4)
def _template(encoded: str) -> Pixels:
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(encoded), np.uint8), cv2.IMREAD_GRAYSCALE)
    if decoded is None:
        raise ImageError("the station's fixture is not a picture. Teach it again: serialread station fixture")
    return np.asarray(decoded, np.uint8)
