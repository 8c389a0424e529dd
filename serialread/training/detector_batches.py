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


_Lines = list[tuple[NDArray[np.float64], bool]]
"""Cells [n, 4, 2] of lines in px of a window, and whether the lines are legible."""


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
    tight = bool(scene.lines) and rng.random() < config.tight_share
    resized, lines = (_tight_parts if tight else _part)(scene, config, rng)
    turns = 0
    if rng.random() < config.quarter_turn_share:
        turns = int(rng.integers(1, 4))
    turned = tuple((_turned(cells, turns, config.side_px), legible) for cells, legible in lines)
    return Window(_relit(np.rot90(resized, turns), config, rng), turned)


def _part(scene: Sample, config: Windows, rng: np.random.Generator) -> tuple[Pixels, _Lines]:
    """A square part of a scene at the size of a window, and its lines."""
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
    factor = float(config.side_px) / side
    return np.asarray(resized, np.uint8), [
        ((np.array(line.cells, np.float64) - corner) * factor, line.legible) for line in scene.lines or ()
    ]


def _tight_parts(scene: Sample, config: Windows, rng: np.random.Generator) -> tuple[Pixels, _Lines]:
    """Four lines of a scene, each cut out tightly, in the quarters of a window."""
    half = config.side_px // 2
    window, lines = np.empty((config.side_px, config.side_px), np.uint8), _Lines()
    for corner in ((0, 0), (half, 0), (0, half), (half, half)):
        pixels, found = _tight_part(scene, config, half, rng)
        window[corner[1] : corner[1] + half, corner[0] : corner[0] + half] = pixels
        lines += ((cells + corner, legible) for cells, legible in found)
    return window, lines


def _tight_part(scene: Sample, config: Windows, side: int, rng: np.random.Generator) -> tuple[Pixels, _Lines]:
    """One line of a scene cut out tightly, in a square of ``side`` px that continues its edges.

    The other lines teach nothing: the cut-out may show little of them.
    """
    assert scene.lines is not None
    chosen = int(rng.integers(len(scene.lines)))
    cells = np.array(scene.lines[chosen].cells, np.float64)
    high = float(np.median(np.linalg.norm(cells[:, 0] - cells[:, 3], axis=1)))
    edge = np.array(scene.pixels.shape[::-1])
    low, top = cells.min((0, 1)), cells.max((0, 1))
    first = np.clip(low - rng.uniform(*config.tight_margin, 2) * high, 0, edge - 8).astype(np.int64)
    last = np.clip(top + rng.uniform(*config.tight_margin, 2) * high, first + 8, edge).astype(np.int64)
    part = scene.pixels[first[1] : last[1], first[0] : last[0]]
    scale = min(float(rng.uniform(*config.tight_px)) / min(part.shape), side / max(part.shape), 3.0)
    size = [min(max(round(length * scale), 8), side) for length in part.shape[::-1]]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(part, size, interpolation=method)
    padded = cv2.copyMakeBorder(small, 0, side - size[1], 0, side - size[0], cv2.BORDER_REPLICATE)
    lines = _Lines()
    for number, line in enumerate(scene.lines):
        moved = (np.array(line.cells, np.float64) - first) * (np.array(size) / part.shape[::-1])
        middles = moved.mean(axis=1)
        shown = moved[((middles > 0) & (middles < size)).all(axis=1)]
        if len(shown):
            lines.append((shown, line.legible and number == chosen))
    return np.asarray(padded, np.uint8), lines


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
