"""Measure the distortion of a camera's lens from pictures of a board."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from serialread.calibration.station_files import CalibratedStation
from serialread.config import Lens
from serialread.config.station import StationSource, load_station
from serialread.errors import CalibrationError, ImageError
from serialread.imaging import load_image
from serialread.reader import find_images
from serialread.reader.picture_files import paths_of
from serialread.records import Floats, Pixels

Board = Literal["checkerboard", "charuco"]
MIN_PICTURES = 3
"""Pictures of the board: fewer cannot separate focal length and distortion; ten are better."""
MIN_CORNERS = 6
"""Corners of a ChArUco board that is partly visible."""


def calibrate_lens(
    pictures: str | Path | Sequence[str | Path],
    board: Board,
    columns: int,
    rows: int,
    station: StationSource = None,
) -> CalibratedStation:
    """Add the lens that took some pictures of a board to a station.

    Args:
        pictures: files, or folders of them, all of one size.
        board: what is printed on the board: squares alone, or squares with ArUco markers (4x4_50).
        columns: squares across, of either colour.
        rows: squares down.
        station: the station to extend; an empty one by default.

    Raises:
        CalibrationError: too few pictures show the board, or they differ in size.
        RecordsError: there are no pictures.
    """
    start = load_station(station)
    paths = [picture.path for picture in find_images(paths_of(pictures)).pictures]
    lens = fit_lens(paths, board, columns, rows)
    summary = (
        f"lens measured with {lens.pictures} of {len(paths)} pictures, "
        f"reprojection error {lens.error_px:.2f} px"
    )
    return CalibratedStation(start.with_view(lens=lens), summary)


def fit_lens(paths: Iterable[Path], board: Board, columns: int, rows: int) -> Lens:
    """Fit Brown's model of a lens to pictures of a flat board at several tilts.

    Args:
        paths: the pictures, all of one size.
        board: what is printed on the board.
        columns: squares across, of either colour.
        rows: squares down.

    Raises:
        CalibrationError: too few pictures show the board, or they differ in size.
    """
    seen: list[tuple[Floats, Floats]] = []
    sizes: set[tuple[int, int]] = set()
    for path in paths:
        grey = _grey(path)
        found = _corners(grey, board, columns, rows)
        if found is not None:
            seen.append(found)
            sizes.add((grey.shape[1], grey.shape[0]))
    if len(seen) < MIN_PICTURES:
        raise CalibrationError(
            f"lens: {len(seen)} pictures show a {board} of {columns} x {rows} squares, {MIN_PICTURES} are "
            "needed. Take more, the board at several tilts and near the borders, or correct --columns and "
            "--rows."
        )
    if len(sizes) > 1:
        raise CalibrationError(f"lens: pictures of {len(sizes)} sizes. Give those of one camera and setting.")
    return _fitted(seen, sizes.pop())


def _fitted(seen: list[tuple[Floats, Floats]], size_px: tuple[int, int]) -> Lens:
    on_board, in_picture = [one for one, _ in seen], [one for _, one in seen]
    error, camera, distortion, _, _ = cv2.calibrateCamera(
        on_board, in_picture, size_px, np.eye(3), np.zeros(5)
    )
    middle = camera[:2, 2] + 0.5  # OpenCV counts from the middle of the first px, we from its corner
    return Lens(
        size_px=size_px,
        focus_px=(float(camera[0, 0]), float(camera[1, 1])),
        middle_px=(float(middle[0]), float(middle[1])),
        distortion=tuple(float(value) for value in distortion.ravel()[:5]),
        error_px=float(error),
        pictures=len(seen),
    )


def _grey(path: Path) -> Pixels:
    try:
        pixels = load_image(path).pixels
    except ImageError as error:
        raise CalibrationError(f"lens: {error}") from None
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY) if pixels.ndim == 3 else pixels, np.uint8)


def _corners(grey: Pixels, board: Board, columns: int, rows: int) -> tuple[Floats, Floats] | None:
    """Inner corners on the board [N, 3], in squares, and in the picture [N, 1, 2], px; None: not found."""
    if board == "charuco":
        return _charuco_corners(grey, columns, rows)
    found, corners = cv2.findChessboardCornersSB(grey, (columns - 1, rows - 1))
    if not found:
        return None
    across, down = np.meshgrid(np.arange(columns - 1), np.arange(rows - 1))
    flat = np.column_stack((across.ravel(), down.ravel(), np.zeros(across.size))).astype(np.float32)
    return flat, np.asarray(corners, np.float32)


def _charuco_corners(grey: Pixels, columns: int, rows: int) -> tuple[Floats, Floats] | None:
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    board = cv2.aruco.CharucoBoard((columns, rows), 1.0, 0.7, dictionary)
    corners, numbers, _, _ = cv2.aruco.CharucoDetector(board).detectBoard(grey)
    if numbers is None or len(numbers) < MIN_CORNERS:
        return None
    flat = np.asarray(board.getChessboardCorners(), np.float32)[np.asarray(numbers).ravel()]
    return flat, np.asarray(corners, np.float32)
