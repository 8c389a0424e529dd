"""Lens undistortion, and polar unwrapping of codes on a circle."""

from functools import lru_cache

import cv2
import numpy as np

from serialread.config import Arc, Lens
from serialread.errors import ImageError
from serialread.imaging.frames import Frame, Matrix, PointMap, Points
from serialread.records import Floats, Pixels

CIRCLED_PX = 400
"""Longer side of the picture in which a circle is detected: its edge is still long enough."""


def undistort(frame: Frame, lens: Lens) -> Frame:
    """The picture as a lens without distortion would show it; what falls outside its border is lost."""
    height, width = frame.pixels.shape
    across, down = _lens_maps(lens, width, height)
    pixels = cv2.remap(frame.pixels, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return frame.remapped(pixels.astype(np.uint8, copy=False), _lens_point_map(lens, width, height))


def _camera(lens: Lens, width: int, height: int) -> Matrix:
    """The camera matrix for a picture of another size, (0, 0) its outer corner."""
    (fx, fy), (cx, cy) = lens.focus_px, lens.middle_px
    camera = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.float64)
    return np.diag([width / lens.size_px[0], height / lens.size_px[1], 1.0]) @ camera


@lru_cache(maxsize=4)
def _lens_maps(lens: Lens, width: int, height: int) -> tuple[Floats, Floats]:
    """The source (x, y) of each px [height, width], px centres; the same for all pictures of a camera."""
    camera = _camera(lens, width, height)
    camera[:2, 2] -= 0.5  # OpenCV counts from the middle of the first px
    maps = cv2.initUndistortRectifyMap(
        camera, np.array(lens.distortion), np.eye(3), camera, (width, height), cv2.CV_32FC1
    )
    return maps[0].astype(np.float32, copy=False), maps[1].astype(np.float32, copy=False)


def _lens_point_map(lens: Lens, width: int, height: int) -> PointMap:
    camera = _camera(lens, width, height)

    def to_frame(points: Points) -> Points:
        rays = np.column_stack(((points - camera[:2, 2]) / camera.diagonal()[:2], np.ones(len(points))))
        still = np.zeros(3)
        seen, _ = cv2.projectPoints(rays[:, None], still, still, camera, np.array(lens.distortion))
        return seen[:, 0].astype(np.float64, copy=False)

    return to_frame


def unwrap(frame: Frame, arc: Arc) -> Frame:
    """Unwrap a ring to a strip in reading direction, [outer - inner radius, length at its middle] px.

    A full circle is cut where the fewest marks are.

    Raises:
        ImageError: no circle is found and the station does not give its center.
    """
    height, width = frame.pixels.shape
    middle = (arc.center[0] * width, arc.center[1] * height) if arc.center else find_circle(frame.pixels)
    start = float(np.radians(arc.from_deg))
    strip = _strip(frame, arc, middle, start)
    if arc.span_deg < 360:
        return strip
    return _strip(frame, arc, middle, start + _direction(arc) * _emptiest_angle(strip.pixels))


def _strip(frame: Frame, arc: Arc, middle: tuple[float, float], start: float) -> Frame:
    x, y, width = *middle, frame.pixels.shape[1]
    inner, outer = arc.radii[0] * width, arc.radii[1] * width
    high = max(round(outer - inner), 8)
    span = np.radians(arc.span_deg)
    wide = max(round((inner + outer) / 2 * span), 8)

    def to_frame(points: Points) -> Points:
        angle = start + _direction(arc) * span * points[:, 0] / wide
        inward = (outer - inner) * points[:, 1] / high
        radius = outer - inward if arc.tops == "outward" else inner + inward
        return np.column_stack((x + radius * np.sin(angle), y - radius * np.cos(angle)))

    columns, lines = np.meshgrid(np.arange(wide) + 0.5, np.arange(high) + 0.5)
    x_px, y_px = (to_frame(np.column_stack((columns.ravel(), lines.ravel()))) - 0.5).astype(np.float32).T
    across, down = x_px.reshape(high, wide), y_px.reshape(high, wide)
    pixels = cv2.remap(frame.pixels, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return frame.remapped(pixels.astype(np.uint8, copy=False), to_frame)


def _direction(arc: Arc) -> int:
    """1, clockwise, if the characters' tops point outward; else -1."""
    return 1 if arc.tops == "outward" else -1


def _emptiest_angle(strip: Pixels) -> float:
    """Where a full circle's strip [H, W] has the fewest marks, radians; within one height of the strip."""
    height, width = strip.shape
    change = np.abs(cv2.Sobel(cv2.GaussianBlur(strip, (0, 0), 1.5), cv2.CV_32F, 1, 0)).mean(axis=0)
    window = np.ones(min(height, width), np.float32)
    round_ = np.convolve(np.concatenate((change, change[: len(window) - 1])), window, mode="valid")
    return float(2 * np.pi * (int(round_.argmin()) + len(window) / 2) / width)


def find_circle(pixels: Pixels) -> tuple[float, float]:
    """Center (x, y) of the clearest circle in [H, W], px.

    Raises:
        ImageError: there is none.
    """
    height, width = pixels.shape
    scale = min(1.0, CIRCLED_PX / max(height, width))
    small = cv2.resize(pixels, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    side = min(small.shape)
    circles = cv2.HoughCircles(
        cv2.GaussianBlur(small, (0, 0), 1.5),
        cv2.HOUGH_GRADIENT_ALT,
        dp=1.5,
        minDist=side / 2,
        param1=150,
        param2=0.6,
        minRadius=side // 10,
        maxRadius=side,
    )
    if circles is None:
        raise ImageError("no circle found. Set its center in the station's view.arc.")
    x, y = circles.reshape(-1, circles.shape[-1])[0, :2]
    return float(x + 0.5) / scale, float(y + 0.5) / scale
