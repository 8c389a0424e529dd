"""Quantize a line detector to int8 if it then finds the lines of rendered scenes as well."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.datasets import ConcatenatedSamples, SampleStore
from serialread.detection import LineFinder, TextLine
from serialread.detection.line_finder import LONGER_PX, STEP_PX
from serialread.errors import CheckpointError, StoreError
from serialread.inference import quantization
from serialread.records import Floats, Pixels, Sample, SceneLine

MIN_IOU = 0.5
"""Intersection over union from which a found line is a true one."""
MAX_LOST, MAX_FALSE = 0.01, 0.05
"""Share of the true lines that int8 may find less, and of all found lines by which it may find more false
ones."""


@dataclass(frozen=True, slots=True)
class DetectorTrial:
    """The lines that a detector finds with and without int8.

    Attributes:
        lines: legible lines of the scenes.
        half: how many were found in 16 bits.
        int8: how many were found in int8.
        half_false: found lines in 16 bits that are none.
        int8_false: found lines in int8 that are none.
    """

    lines: int
    half: int
    int8: int
    half_false: int
    int8_false: int

    @property
    def is_as_good(self) -> bool:
        """Whether int8 loses at most ``MAX_LOST`` of the lines, or one, and adds few false ones."""
        found = self.half + self.half_false
        is_sharp = self.int8_false - self.half_false <= max(MAX_FALSE * found, 1)
        return self.half - self.int8 <= max(MAX_LOST * self.lines, 1) and is_sharp

    def to_text(self) -> str:
        """In a line."""
        return (
            f"int8 finds {self.int8} of {self.lines} lines and {self.int8_false} false ones, "
            f"16 bits {self.half} and {self.half_false}"
        )


def quantize_detector(detector: str | Path, stores: Sequence[str | Path], count: int) -> DetectorTrial:
    """Measure a line detector's activation ranges, and keep them next to its file if int8 then finds as much.

    Args:
        detector: a detector's model file.
        stores: stores of scenes, all of which are searched both ways.
        count: scenes to measure the ranges by.

    Raises:
        CheckpointError: the file is not a line detector or has nothing to quantize, or int8 finds less.
        StoreError: there is no scene.
    """
    path = Path(detector)
    scenes = ConcatenatedSamples([SampleStore(Path(store)) for store in stores])
    if not scenes or any(scenes[number].lines is None for number in range(min(count, len(scenes)))):
        raise StoreError(
            f"{', '.join(map(str, stores))}: no scenes. Render some: "
            "serialread generate-synth recipes/data/scenes.toml"
        )
    plain = LineFinder(path, int8=False)
    ranges = quantization.measure(path, plain.model_id, _arrays(scenes, count))
    finders = plain, LineFinder(path, ranges=ranges)
    lines, found, false = 0, [0, 0], [0, 0]
    for number in range(len(scenes)):
        scene = scenes[number]
        lines += sum(line.legible for line in scene.lines or ())
        for way, finder in enumerate(finders):
            seen = finder.find(scene.pixels)
            match = matched_lines(scene, seen)
            found[way] += sum(scene.lines[n].legible for n in match) if scene.lines else 0
            false[way] += len(seen) - len(match)
    trial = DetectorTrial(lines, *found, *false)
    if not trial.is_as_good:
        quantization.delete_ranges(path)  # saved ones may be an earlier file's
        raise CheckpointError(
            f"{path}: {trial.to_text()}. The loss is too large: the detector stays in 16 bits."
        )
    quantization.save_ranges(ranges, path)
    return trial


def _arrays(scenes: Sequence[Sample], count: int) -> Iterator[Floats]:
    """``count`` scenes as network input, in turn at each size at which pictures are searched."""
    for place, number in enumerate(
        np.linspace(0, len(scenes) - 1, min(count, len(scenes))).astype(int).tolist()
    ):
        pixels = scenes[number].pixels
        scale = LONGER_PX[place % len(LONGER_PX)] / max(pixels.shape)
        rows, columns = (max(round(side * scale / STEP_PX), 1) * STEP_PX for side in pixels.shape)
        sized = cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA)
        yield np.asarray(sized[None].astype(np.float32) / np.float32(255))


def true_line(line: SceneLine) -> TextLine:
    """A line of a scene as a perfect detector would find it."""
    cells = np.array(line.cells, np.float64)
    left, right, middles = (cells[:, [0, 3]].mean(1), cells[:, [1, 2]].mean(1), cells.mean(1))
    centre = np.concatenate([left[:1], middles[1:-1], right[-1:]])
    height = float(np.median(np.linalg.norm(cells[:, 0] - cells[:, 3], axis=1)))
    straight = TextLine(centre[[0, -1]], height, 1.0)
    along = (centre[-1] - centre[0]) / max(straight.length, 1e-9)
    bend = float(np.ptp((centre - centre[0]) @ np.array([-along[1], along[0]])))
    return TextLine(centre, height, 1.0) if bend > max(0.15 * height, 2.0) else straight


def area(outline: NDArray[np.float64], pixels: Pixels) -> NDArray[np.bool_]:
    """The px of a picture [H, W] within an outline."""
    inside = np.zeros(pixels.shape, np.uint8)
    cv2.fillPoly(inside, [np.round(outline).astype(np.int32)], 1)
    return inside.astype(np.bool_)


def matched(true: Sequence[NDArray[np.bool_]], seen: Sequence[NDArray[np.bool_]]) -> dict[int, int]:
    """The found area of each true one, by number, the best pairs first."""
    ious = [
        (float((one & other).sum()) / max(float((one | other).sum()), 1.0), number, place)
        for number, one in enumerate(true)
        for place, other in enumerate(seen)
    ]
    match = dict[int, int]()
    for iou, number, place in sorted(ious, reverse=True):
        if iou >= MIN_IOU and number not in match and place not in match.values():
            match[number] = place
    return match


def matched_lines(scene: Sample, found: Sequence[TextLine]) -> dict[int, int]:
    """The found line of each line of a scene, by number; those that were not found are missing."""
    lines = [true_line(line) for line in scene.lines or ()]
    true, seen = ([area(line.polygon(), scene.pixels) for line in some] for some in (lines, found))
    return matched(true, seen)
