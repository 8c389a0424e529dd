"""What a reviewer sees of a reading: its crop, its picture, and its glyph maps."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from serialread.config import Station, load
from serialread.errors import ImageError, RecordsError
from serialread.imaging import load_image
from serialread.imaging.crops import CROP_HEIGHT_PX
from serialread.reader import Reader
from serialread.reader.run_setups import RunSetup, find_setup, open_reader
from serialread.reader.serialization import TABLE, RecordJson
from serialread.records import Floats, Pixels
from serialread.run_log import LOG
from serialread.weights import shipped_model

MARGIN = 0.2
"""What is shown around a crop on each side, in its heights."""
_CROP_PX, _WIDEST_PX, _PICTURE_PX, _OVERLAY_PX = 200, 4000, 1600, 100
_OUTLINE = (40, 140, 250)
"""BGR."""


@dataclass(frozen=True, slots=True)
class CropBox:
    """A crop as it is shown, with its margin.

    Attributes:
        quad: corners [4, 2] of the line, (x, y) in source px, clockwise from the text's top-left.
        width, height: of the crop without its margin, source px.
    """

    quad: Floats
    width: float
    height: float

    @classmethod
    def of(cls, line: RecordJson) -> "CropBox | None":
        """The crop of a reading; None if it has none, or one without area."""
        if not line.get("quad"):
            return None
        quad = np.array(line["quad"], np.float32)
        width, height = (float(np.linalg.norm(quad[i] - quad[0])) for i in (1, 3))
        return cls(quad, width, height) if min(width, height) >= 2 else None

    def char_boxes(self, line: RecordJson) -> list[list[float] | None]:
        """Left, top, width, height of each character, as shares of the crop with its margin."""
        px = max(self.height / CROP_HEIGHT_PX, 1.0)  # source px per px of the crop that was read
        edge = MARGIN * self.height
        wide, high = self.width + 2 * edge, self.height + 2 * edge

        def placed(box: list[float] | None) -> list[float] | None:
            if not box:
                return None
            x0, y0, x1, y1 = (side * px for side in box)
            x1, y1 = min(x1, self.width), min(y1, self.height)
            shares = ((x0 + edge) / wide, (y0 + edge) / high, (x1 - x0) / wide, (y1 - y0) / high)
            return [round(share, 4) for share in shares]

        return [placed(char.get("box")) for char in line["chars"]]

    def cut(self, pixels: Pixels) -> Pixels:
        """The crop with its margin, BGRA, transparent outside the picture.

        It is at most ``_CROP_PX`` high and ``_WIDEST_PX`` wide, without its margin.
        """
        scale = min(_CROP_PX / self.height, _WIDEST_PX / self.width, 1.0)
        width, height, edge = (v * scale for v in (self.width, self.height, MARGIN * self.height))
        target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) + np.float32(edge)
        size = (max(round(width + 2 * edge), 1), max(round(height + 2 * edge), 1))
        matrix = cv2.getPerspectiveTransform(self.quad, target)
        if scale < 0.5:  # warping does not average
            pixels = _resized(pixels, 2 * scale)
            matrix = matrix @ np.diag([0.5 / scale, 0.5 / scale, 1.0])
        opaque = cv2.cvtColor(pixels, cv2.COLOR_BGR2BGRA if pixels.ndim == 3 else cv2.COLOR_GRAY2BGRA)
        return np.asarray(cv2.warpPerspective(opaque, matrix, size, flags=cv2.INTER_LINEAR), np.uint8)


class ReviewPictures:
    """The pictures of a run, found by the run's log or in given folders.

    Attributes:
        station: of the run; the default station if it is not known.
    """

    def __init__(self, results: Path, folders: Sequence[Path] = (), station: Path | None = None) -> None:
        """Find the run's setup.

        Args:
            results: the results folder.
            folders: further places of the pictures, looked into first.
            station: replaces the station that the log names.

        Raises:
            RecordsError: the log does not name the pictures, and no folder is given.
            RecipeError: the station file is not valid.
        """
        self._opening, self._model_id = threading.Lock(), ""
        self._reader: Reader | None = None
        try:
            setup, self._model_id = find_setup(results / TABLE, [results / LOG], shipped_model())
        except RecordsError as error:
            if not folders:
                raise RecordsError(
                    f"{results}: its pictures are not known. {error} Give their folder with --pictures."
                ) from None
            setup = RunSetup((), shipped_model(), Station(), "openvino")
        self._setup = replace(setup, places=(*folders, *setup.places))
        if station:
            self._setup = replace(self._setup, station=load(station, Station))
        self.station = self._setup.station

    def crop(self, line: RecordJson) -> bytes:
        """The line that was read, as WebP; raises as ``picture``."""
        box = CropBox.of(line)
        if box is None:
            raise ImageError(f"{line['image']}: no line was read in it.")
        return _encoded(".webp", box.cut(self._load(line)), cv2.IMWRITE_WEBP_QUALITY, 90)

    def picture(self, line: RecordJson) -> bytes:
        """The picture with the outline of the line that was read, as JPEG.

        Raises:
            ImageError: the picture is missing, has changed since it was read, or cannot be read.
        """
        pixels = self._load(line)
        scale = min(_PICTURE_PX / max(pixels.shape[:2]), 1.0)
        if scale < 1:
            pixels = _resized(pixels, scale)
        if box := CropBox.of(line):
            pixels = pixels.copy() if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
            corners = np.round(box.quad * scale).astype(np.int32)
            cv2.polylines(pixels, [corners], True, _OUTLINE, 2, cv2.LINE_AA)
        return _encoded(".jpg", pixels, cv2.IMWRITE_JPEG_QUALITY, 85)

    def glyphs(self, line: RecordJson) -> bytes:
        """The crop and its glyph maps, by the model that read it, as WebP.

        Raises:
            SerialreadError: the picture or the model is not available, or the model has no glyph maps.
        """
        with self._opening:
            self._reader = reader = self._reader or open_reader(
                self._setup, self._model_id or line["model_id"]
            )
            seen = reader.explain(self._found(line))
        return _encoded(".webp", seen.overlay(_OVERLAY_PX), cv2.IMWRITE_WEBP_QUALITY, 90)

    def _load(self, line: RecordJson) -> Pixels:
        return load_image(self._found(line)).pixels

    def _found(self, line: RecordJson) -> Path:
        path = self._setup.find(line["image"], line["sha256"]) if line["sha256"] else None
        if path is None:
            raise ImageError(f"{line['image']}: the picture is missing or has changed since it was read.")
        return path


def _resized(pixels: Pixels, scale: float) -> Pixels:
    return np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def _encoded(suffix: str, pixels: Pixels, *quality: int) -> bytes:
    done: Any = cv2.imencode(suffix, pixels, quality)[1]
    return bytes(done.tobytes())
