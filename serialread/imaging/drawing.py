"""Pictures for people: tinted characters, the steps of normalization side by side, PNG files."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from serialread.errors import RecordsError, writing_errors
from serialread.imaging.frames import Frame
from serialread.imaging.views import Extent, LevelView
from serialread.records import Crop, Floats, Pixels

STEP_PX = 320
"""Longer side of a picture on the sheet."""
LINE_PX = (360, 64)
"""Width and height of a line on the sheet."""
GAP, CAPTION = 8, 18
PAPER, INK, MARKED = (250, 250, 250), (30, 30, 30), (40, 40, 220)
STRENGTH = 0.6
"""Share of the tint where a character is certain."""
_HUE_STEP = 67  # of 180 degrees of hue: neighbours differ clearly


def tinted(grey: Pixels, shares: Floats) -> Pixels:
    """A grey picture [H, W] with every character in its own colour, BGR uint8 [H, W, 3].

    Args:
        grey: the picture.
        shares: float32 [T, h, w], how much of each cell belongs to each character, 0..1; any size.
    """
    height, width = grey.shape
    out = np.repeat(grey[..., None], 3, axis=2).astype(np.float32)
    for number, cells in enumerate(shares):
        share = cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
        hue = np.array([[[(number + 1) * _HUE_STEP % 180, 255, 255]]], np.uint8)
        colour = cv2.cvtColor(hue, cv2.COLOR_HSV2BGR).astype(np.float32)
        out += np.float32(STRENGTH) * share * (colour - out)
    return out.astype(np.uint8)


def save_png(picture: Pixels, path: Path, what: str) -> None:
    """Write a picture as PNG.

    Args:
        picture: grey or BGR.
        path: the file, with the suffix .png.
        what: what the picture shows, for errors.

    Raises:
        RecordsError: the file has another suffix or cannot be written.
    """
    if path.suffix.lower() != ".png":
        raise RecordsError(f"{path}: {what} is a PNG. Name it {path.with_suffix('.png').name}.")
    with writing_errors(path, RecordsError, "Name another file."):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())


def show_steps(steps: Sequence[tuple[str, Frame]], crops: Sequence[Crop]) -> Pixels:
    """A sheet, BGR: the picture after each of the station's steps, then every proposed line.

    Args:
        steps: names and results, as ``crops.prepare`` yields them.
        crops: the proposed lines.
    """
    pictures = [_picture(name, frame) for name, frame in steps]
    pictures[0] = _picture("picture, with the lines proposed", steps[0][1], crops)
    return _stacked(
        [_side_by_side(pictures), *(_line(number, crop) for number, crop in enumerate(crops, start=1))]
    )


def _picture(name: str, frame: Frame, crops: Sequence[Crop] = ()) -> Pixels:
    height, width = frame.pixels.shape
    scale = STEP_PX / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = cv2.resize(frame.pixels, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    drawn = np.repeat(small[..., None], 3, axis=2)
    for number, crop in enumerate(crops, start=1):
        outline = crop.quad if crop.outline is None else crop.outline
        corners = np.round(outline * np.float32(scale)).astype(np.int32)
        cv2.polylines(drawn, [corners], isClosed=True, color=MARKED)
        _write(drawn, str(number), (int(corners[0, 0]), int(corners[0, 1])), MARKED)
    return _named(name, drawn)


def _line(number: int, crop: Crop) -> Pixels:
    """One proposed line: the crop, and the deskewed view that is read if the reading is doubtful."""
    height, width = crop.pixels.shape
    level = LevelView(crop.tilt_deg).of(Extent(0.0, width, 0.0, height), (height, width))
    panels = [
        (f"line {number}: {crop.text_height_px:.0f} px high, contrast {crop.contrast:.2f}", crop.pixels)
    ]
    if crop.tilt_deg:
        panels.append((f"deskewed, if doubtful: tilt {crop.tilt_deg:.0f} deg", level.cut(crop.pixels)))
    return _side_by_side([_named(name, _fitted(pixels)) for name, pixels in panels])


def _fitted(pixels: Pixels) -> Pixels:
    """A grey line scaled to fit its panel."""
    height, width = pixels.shape
    scale = min(LINE_PX[0] / width, LINE_PX[1] / height)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    place = np.full((LINE_PX[1], LINE_PX[0], 3), PAPER, np.uint8)
    scaled = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    place[: size[1], : size[0]] = scaled[..., None]
    return place


def _named(name: str, drawn: Pixels) -> Pixels:
    height, width, _ = drawn.shape
    panel = np.full((height + CAPTION, max(width, 9 * len(name)), 3), PAPER, np.uint8)
    panel[CAPTION:, :width] = drawn
    _write(panel, name, (2, 13), INK)
    return panel


def _side_by_side(panels: Sequence[Pixels]) -> Pixels:
    height = max(panel.shape[0] for panel in panels)
    return np.concatenate([_padded(panel, height - panel.shape[0], GAP) for panel in panels], axis=1)


def _stacked(rows: Sequence[Pixels]) -> Pixels:
    width = max(row.shape[1] for row in rows)
    return np.concatenate([_padded(row, GAP, width - row.shape[1]) for row in rows], axis=0)


def _padded(drawn: Pixels, below: int, right: int) -> Pixels:
    padded = cv2.copyMakeBorder(drawn, 0, below, 0, right, cv2.BORDER_CONSTANT, value=PAPER)
    return np.asarray(padded, np.uint8)


def _write(drawn: Pixels, words: str, at: tuple[int, int], ink: tuple[int, int, int]) -> None:
    cv2.putText(drawn, words, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, ink, 1, cv2.LINE_AA)
