"""Frames: a picture's pixels with the mapping to the source picture; undistort a lens, unwrap a ring."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.config import Arc, Lens
from serialread.errors import ImageError
from serialread.records import Floats, LoadedImage, Pixels

Matrix = NDArray[np.float64]
"""3 x 3 for (x, y, 1); double, because products of several are taken, and no pixels are made of it."""

Points = NDArray[np.float64]
"""[N, 2], (x, y)."""
OUTLINE_POINTS = 24
"""Points of an outline along each long side of a curved line."""
PointMap = Callable[[Points], Points]
"""Maps points of a remapped picture to the picture that it was made from."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Grey pixels and the mapping to the source picture; a pixel is a unit square, (0, 0) its outer corner.

    Attributes:
        pixels: grey, [H, W], 0 is black.
        to_source: maps frame px to source px, or to those of the last remapped picture.
        point_map: maps the latter to source px; None if nothing was remapped.
    """

    pixels: Pixels
    to_source: Matrix
    point_map: PointMap | None = None

    @classmethod
    def whole(cls, image: LoadedImage) -> Self:
        """The whole picture in grey."""
        pixels = image.pixels
        grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY) if pixels.ndim == 3 else pixels
        return cls(np.asarray(grey, np.uint8), np.eye(3))

    @property
    def quad(self) -> Floats:
        """The frame's corners [4, 2] in source px, clockwise from its top-left."""
        height, width = self.pixels.shape
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
        return self.sources(corners).astype(np.float32)

    @property
    def outline(self) -> Floats | None:
        """The frame's outline [N, 2] in source px, clockwise from its top-left; None if ``quad`` is."""
        if self.point_map is None:
            return None
        height, width = self.pixels.shape
        x = np.linspace(0, width, OUTLINE_POINTS)
        top = np.column_stack((x, np.zeros_like(x)))
        bottom = np.column_stack((x[::-1], np.full_like(x, height)))
        return self.sources(np.concatenate((top, bottom))).astype(np.float32)

    @property
    def source_per_px(self) -> float:
        """Source px per px of the frame's height."""
        quad = self.quad
        sides = np.linalg.norm(quad[3] - quad[0]) + np.linalg.norm(quad[2] - quad[1])
        return float(sides / 2 / self.pixels.shape[0])

    def sources(self, points: Points) -> Points:
        """Map px of this frame to px of the source picture, [N, 2] each."""
        seen = cv2.perspectiveTransform(points[None], self.to_source)[0].astype(np.float64, copy=False)
        return self.point_map(seen) if self.point_map else seen

    def remapped(self, pixels: Pixels, point_map: PointMap) -> "Frame":
        """A picture made from this one by remapping; ``point_map`` maps its px to those of this frame."""
        return Frame(pixels, np.eye(3), lambda points: self.sources(point_map(points)))

    def cut(self, left: int, top: int, right: int, bottom: int) -> "Frame":
        """The upright box between these px, end excluded."""
        to_source = self.to_source @ moved(left, top)
        return replace(self, pixels=self.pixels[top:bottom, left:right], to_source=to_source)

    def turned(self, degrees_clockwise: int) -> "Frame":
        """The frame rotated by a multiple of 90 degrees."""
        height, width = self.pixels.shape
        match degrees_clockwise % 360:
            case 90:
                back = [[0, 1, 0], [-1, 0, height], [0, 0, 1]]
            case 180:
                back = [[-1, 0, width], [0, -1, height], [0, 0, 1]]
            case 270:
                back = [[0, -1, width], [1, 0, 0], [0, 0, 1]]
            case _:
                return self
        pixels = np.ascontiguousarray(np.rot90(self.pixels, -degrees_clockwise // 90))
        return replace(self, pixels=pixels, to_source=self.to_source @ np.array(back, np.float64))

    def mirrored(self) -> "Frame":
        """The frame with left and right swapped."""
        back = np.array([[-1, 0, self.pixels.shape[1]], [0, 1, 0], [0, 0, 1]], np.float64)
        pixels = np.ascontiguousarray(self.pixels[:, ::-1])
        return replace(self, pixels=pixels, to_source=self.to_source @ back)

    def warped(self, to_this: Matrix, width: int, height: int) -> "Frame":
        """Warp to [height, width] px; ``to_this`` maps its px to this frame's. Borders are replicated."""
        centres = moved(-0.5, -0.5) @ to_this @ moved(0.5, 0.5)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        pixels = cv2.warpPerspective(
            self.pixels, centres, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        return replace(self, pixels=pixels.astype(np.uint8, copy=False), to_source=self.to_source @ to_this)

    def shrunk(self, most_height: int) -> "Frame":
        """The frame at this height or less; areas are averaged, so that thin strokes stay visible."""
        height, width = self.pixels.shape
        if height <= most_height:
            return self
        small = max(round(width * most_height / height), 1)
        pixels = cv2.resize(self.pixels, (small, most_height), interpolation=cv2.INTER_AREA)
        scale = np.diag([width / small, height / most_height, 1.0])
        return replace(self, pixels=pixels.astype(np.uint8, copy=False), to_source=self.to_source @ scale)


def moved(x: float, y: float) -> Matrix:
    """The translation by (x, y)."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)


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
