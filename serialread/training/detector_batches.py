"""Windows of scenes and the maps that a line detector should give for them, by step."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from serialread.config.detector_recipe import DetectorRecipe, Windows
from serialread.detection.text_lines import CELL_PX, REFERENCE_PX
from serialread.errors import StoreError
from serialread.models.detector import LineTargets
from serialread.records import Floats, Pixels, Sample

CORE = 0.4
"""Height of a line's core, as a part of the characters' height."""
_LEAST_CORE_PX = 4.4
_SHIFT = 4


class Window(NamedTuple):
    """A part of a scene: grey float32 [S, S], 0..1, and its lines' cells [n, 4, 2] in px of it."""

    pixels: Floats
    lines: tuple[tuple[NDArray[np.float64], bool], ...]


class DetectorBatch(NamedTuple):
    """Inputs and targets of one step."""

    pictures: Tensor
    """float32 [B, 1, H, W], 0 black .. 1 white."""
    targets: LineTargets


class DetectorBatches(torch.utils.data.Dataset[DetectorBatch]):
    """The batches of a run: each a function of (seed, step); usable in worker processes."""

    def __init__(self, scenes: Sequence[Sample], recipe: DetectorRecipe) -> None:
        self.scenes, self.recipe = scenes, recipe

    def __getitem__(self, step: int) -> DetectorBatch:
        """The batch of a step."""
        cv2.setNumThreads(1)
        rng = np.random.default_rng([self.recipe.seed, step])
        numbers = rng.integers(0, len(self.scenes), self.recipe.optimization.batch)
        windows = [draw_window(self.scenes[int(n)], self.recipe.windows, rng) for n in numbers]
        return collate(windows, self.recipe.windows)


def draw_window(scene: Sample, config: Windows, rng: np.random.Generator) -> Window:
    """A random part of a scene at a random size, in changed light.

    Raises:
        StoreError: the sample is a crop.
    """
    if scene.lines is None:
        raise StoreError(
            "a detector learns from whole pictures, and a sample is a crop. Render scenes: "
            "serialread generate-synth recipes/data/scenes.toml"
        )
    scale = float(np.exp(rng.uniform(*np.log(config.scale))))
    side = max(int(config.side_px / scale), 32)
    rows, columns = scene.pixels.shape
    focus = rng.uniform(0, 1, 2) * (columns, rows)
    if scene.lines and rng.random() < config.on_line:
        line = scene.lines[rng.integers(len(scene.lines))]
        focus = np.array(line.cells[rng.integers(len(line.cells))]).mean(0)
    spare = np.array([columns, rows]) - side
    wanted = np.clip(focus - rng.uniform(0.15, 0.85, 2) * side, 0, np.maximum(spare, 0))
    corner = np.where(spare > 0, wanted, spare / 2).astype(np.int64)
    part = _cut(scene.pixels, corner, side)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized = cv2.resize(part, (config.side_px, config.side_px), interpolation=method)
    factor, turns = float(config.side_px) / side, 0
    if rng.random() < config.quarter_turn_share:
        turns = int(rng.integers(1, 4))
    lines = tuple(
        (_turned((np.array(line.cells, np.float64) - corner) * factor, turns, config.side_px), line.legible)
        for line in scene.lines
    )
    return Window(_relit(np.rot90(resized, turns), config, rng), lines)


def _cut(pixels: Pixels, corner: NDArray[np.int_], side: int) -> Pixels:
    """A square part of a picture, with its edges continued where it reaches over them."""
    x, y = (int(v) for v in corner)
    part = pixels[max(y, 0) : y + side, max(x, 0) : x + side]
    before = max(-y, 0), max(-x, 0)
    after = side - part.shape[0] - before[0], side - part.shape[1] - before[1]
    if not any((*before, *after)):
        return part
    padded = cv2.copyMakeBorder(part, before[0], after[0], before[1], after[1], cv2.BORDER_REPLICATE)
    return np.asarray(padded, np.uint8)


def _turned(cells: NDArray[np.float64], turns: int, side: int) -> NDArray[np.float64]:
    """Points after ``turns`` counter-clockwise quarter turns of a square picture."""
    for _ in range(turns):
        cells = np.stack([cells[..., 1], side - cells[..., 0]], axis=-1)
    return cells


def _relit(pixels: Pixels, config: Windows, rng: np.random.Generator) -> Floats:
    grey = pixels.astype(np.float32) / np.float32(255)
    grey = grey ** np.float32(rng.uniform(*config.gamma))
    contrast = np.float32(rng.uniform(*config.contrast))
    grey = grey * contrast + np.float32(rng.uniform(0, 1)) * (1 - contrast)
    return 1 - grey if rng.random() < config.inverted_share else grey


def collate(windows: Sequence[Window], config: Windows) -> DetectorBatch:
    """Arrays of a step."""
    maps = [draw_targets(window, config) for window in windows]
    core, known, direction, height = (np.stack(part) for part in zip(*maps, strict=True))
    pictures = np.stack([np.ascontiguousarray(window.pixels) for window in windows])
    return DetectorBatch(
        torch.from_numpy(pictures)[:, None],
        LineTargets(*(torch.from_numpy(part) for part in (core, known, direction, height))),
    )


def draw_targets(window: Window, config: Windows) -> tuple[Floats, Floats, Floats, Floats]:
    """Core, known cells, direction and height of a window; see ``LineTargets``."""
    size = window.pixels.shape[0] // CELL_PX, window.pixels.shape[1] // CELL_PX
    fine = np.zeros((2 * size[0], 2 * size[1]), np.uint8)
    known = np.ones(size, np.uint8)
    cosine, sine, height = (np.zeros(size, np.float32) for _ in range(3))
    for cells, legible in window.lines:
        if (cells.max((0, 1)) < 0).any() or (cells.min((0, 1)) > window.pixels.shape[::-1]).any():
            continue
        up = (cells[:, 0] - cells[:, 3] + cells[:, 1] - cells[:, 2]) / 2
        high = float(np.median(np.linalg.norm(up, axis=1)))
        strips = strips_of(cells)
        if not legible or not config.text_px[0] <= high <= config.text_px[1]:
            for strip in strips:
                _fill(known, (strip + _aside(strip, 1.2 * high)) / CELL_PX, 0)
            continue
        half = max(CORE * high, _LEAST_CORE_PX) / 2
        for strip in strips:
            _fill(fine, 2 * (strip + _aside(strip, half)) / CELL_PX, 255)
            wide = (strip + _aside(strip, half + CELL_PX)) / CELL_PX
            along = strip[1] - strip[0]
            length = float(np.hypot(*along)) + 1e-6
            _fill(cosine, wide, float(along[0]) / length)
            _fill(sine, wide, float(along[1]) / length)
            _fill(height, wide, float(np.log2(high / REFERENCE_PX)))
    core = cv2.resize(fine, size[::-1], interpolation=cv2.INTER_AREA) > 100
    return (
        core.astype(np.float32),
        np.where(core, 1, known).astype(np.float32),
        np.stack([cosine, sine]),
        height,
    )


def strips_of(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """The centre line of a line of characters [n, 4, 2] as pieces [m, 4, 2]: start, end, end, start."""
    left, right = (cells[:, 0] + cells[:, 3]) / 2, (cells[:, 1] + cells[:, 2]) / 2
    points = np.stack([left, right], axis=1).reshape(-1, 2)
    if len(cells) > 1:  # a thin character such as I or 1 is no measure of the direction
        middles = (left + right) / 2
        points = np.concatenate([left[:1], middles[1:-1], right[-1:]])
    starts, ends = points[:-1], points[1:]
    return np.stack([starts, ends, ends, starts], axis=1)


def _aside(strip: NDArray[np.float64], half: float) -> NDArray[np.float64]:
    """What widens a piece of a centre line to a strip."""
    along = strip[1] - strip[0]
    across = np.array([-along[1], along[0]]) / (float(np.hypot(*along)) + 1e-6) * half
    return np.stack([-across, -across, across, across])


def _fill(field: Floats | Pixels, polygon: NDArray[np.float64], value: float) -> None:
    # OpenCV's pixel centres lie at whole numbers
    points = np.round((np.clip(polygon, -2000, 4000) - 0.5) * (1 << _SHIFT)).astype(np.int32)
    cv2.fillConvexPoly(field, points, value, cv2.LINE_8, _SHIFT)
