"""How a camera's lens bends straight lines, from pictures of a board."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from serialread.config import Lens
from serialread.errors import CalibrationError, ImageError
from serialread.imaging import load_image
from serialread.records import Floats, Pixels

Board = Literal["checkerboard", "charuco"]
FEWEST = 3
"""Pictures of the board: of fewer, focal length and distortion cannot be told apart; ten are better."""
LEAST_CORNERS = 6
"""Corners of a charuco board that is seen in part."""


def calibrate_lens(paths: Iterable[Path], board: Board, columns: int, rows: int) -> Lens:
    """Fit Brown's model of a lens to pictures of a flat board at several tilts.

    Args:
        paths: the pictures, all of one size.
        board: what is printed on it: squares alone, or squares with ArUco markers (dictionary 4x4_50).
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
    if len(seen) < FEWEST:
        raise CalibrationError(
            f"lens: {len(seen)} pictures show a {board} of {columns} x {rows} squares, {FEWEST} are needed. "
            "Take more, the board at several tilts and near the borders, or correct --columns and --rows."
        )
    if len(sizes) > 1:
        raise CalibrationError(f"lens: pictures of {len(sizes)} sizes. Give those of one camera and setting.")
    return _fitted(seen, sizes.pop())


def _fitted(seen: list[tuple[Floats, Floats]], size_px: tuple[int, int]) -> Lens:
    flat, shown = [one for one, _ in seen], [one for _, one in seen]
    start = np.eye(3)
    error, camera, bent, _, _ = cv2.calibrateCamera(flat, shown, size_px, start, np.zeros(5))
    return Lens(
        size_px=size_px,
        focus_px=(float(camera[0, 0]), float(camera[1, 1])),
        middle_px=(
            float(camera[0, 2]) + 0.5,
            float(camera[1, 2]) + 0.5,
        ),  # from a px's corner, not its middle
        distortion=tuple(float(value) for value in bent.ravel()[:5]),
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
    """Inner corners on the board [N, 3], in squares, and in the picture [N, 1, 2], px; None: not seen."""
    if board == "charuco":
        return _charuco(grey, columns, rows)
    found, corners = cv2.findChessboardCornersSB(grey, (columns - 1, rows - 1))
    if not found:
        return None
    across, down = np.meshgrid(np.arange(columns - 1), np.arange(rows - 1))
    flat = np.column_stack((across.ravel(), down.ravel(), np.zeros(across.size))).astype(np.float32)
    return flat, np.asarray(corners, np.float32)


def _charuco(grey: Pixels, columns: int, rows: int) -> tuple[Floats, Floats] | None:
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    board = cv2.aruco.CharucoBoard((columns, rows), 1.0, 0.7, dictionary)
    corners, numbers, _, _ = cv2.aruco.CharucoDetector(board).detectBoard(grey)
    if numbers is None or len(numbers) < LEAST_CORNERS:
        return None
    flat = np.asarray(board.getChessboardCorners(), np.float32)[np.asarray(numbers).ravel()]
    return flat, np.asarray(corners, np.float32)
