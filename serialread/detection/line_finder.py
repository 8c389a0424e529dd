"""Finding text lines in a picture with a detector's model file, at one or several scales."""

import json
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.detection.text_lines import CELL_PX, Maps, TextLine, lines_of
from serialread.errors import CheckpointError
from serialread.inference.openvino_core import (
    CompilationError,
    compiled,
    openvino_core,
    require_another_engine,
)
from serialread.inference.quantization import INT8_SUFFIX, Ranges, load_ranges, quantize, ranges_mismatch
from serialread.inference.session import EngineKind
from serialread.records import Floats, Pixels

DETECTOR_KEY = "serialread-detector"
"""Key of the card in the metadata of a detector's model file."""
LONGER_PX = (960, 480)
"""Longer sides of the picture at which it is searched, if its sides are as 4 to 3, else those of such a
picture of the same area: small print, then print that is as high as a fifth."""
FINE_PX, FINE_FROM_PX = 1600, 1900
"""Longer side of a further search for the smallest print, in pictures at least so large."""
CLOSE_PX, CLOSE_BELOW_PX = 200, 800
"""Longer side of a further search for print as high as half the picture, in pictures smaller than that."""
LOWEST_PX, HIGHEST_PX = 16.0, 60.0
"""Heights of the lowest and the highest expected text at which a picture is searched, if they are known."""
MAX_LONGER_PX = 3200
"""Longer side, as above, to which a picture is enlarged at most for low text."""
FINER, MIN_FINER = 1.6, 1.25
"""By how much a picture of small print is enlarged once more, and the least enlargement that is worth it: of
print of 6 to 9 px, as on nameplates, half is missed (docs/benchmarks/detector.md)."""
SMALL_PX, MIN_SMALL = 18.0, 12
"""A picture of small print has at least so many lines lower than this, and they are most of its lines. Print
of 6 to 9 px is found higher than it is."""
MAX_UPSCALING = 2.0
"""Largest factor by which a small picture is enlarged."""
STEP_PX = 160
"""Sides of the searched picture are multiples of it: libraries compile kernels for every size."""
HEIGHTS_PX = (6.0, 110.0)
"""Heights of capitals that are found at a scale."""
COARSE_PX = 18.0
"""Least height at the coarser scales: the finer ones find lower lines better."""
SURE_COARSE_PX, SURE = 10.0, 0.97
"""The same of lines with at least this score, which a finer scale may have missed or cut."""
MAX_OVERLAP = 0.4
"""Share of a line that better lines may cover."""
MAX_SHARED = 0.1
"""Share of the smaller of a sure and a merely possible line that both may cover."""
ALIKE = 0.5
"""Intersection over union from which two lines of different scales are one. Others that overlap are both
found, and what they read decides: a line cut in two at one scale may be whole at the other."""

_QUANTIZE = "detector quantize"
"""The command that measures a detector's ranges, for errors."""

_Network = Callable[[Floats], Maps]


class LineFinder:
    """A loaded line detector; thread-safe.

    Attributes:
        model_id: name and digest of its weights.

    Args:
        path: an ONNX file that ``training.export_detector`` wrote.
        threads: processor threads; 0: one per core.
        streams: pictures that are searched at once; they share the threads.
        ranges: input ranges for int8; None: those saved with the file, if any. ONNX Runtime takes none.
        int8: whether to use ranges at all.
        kind: the library that runs it. ONNX Runtime replaces OpenVINO where that is not installed or cannot
            compile the model.

    Raises:
        CheckpointError: the file is missing or no line detector, has ranges of another one, or no library can
            run it.
    """

    def __init__(
        self,
        path: Path,
        threads: int = 0,
        streams: int = 1,
        ranges: Ranges | None = None,
        *,
        int8: bool = True,
        kind: EngineKind = "openvino",
    ) -> None:
        try:
            data = path.read_bytes()
        except OSError as error:
            reason = f"cannot be read: {error.strerror}"
            raise CheckpointError(f"{path}: {reason}. Give a detector's model file.") from None
        ranges = (ranges or load_ranges(path, _QUANTIZE)) if int8 else None
        if kind == "openvino" and find_spec("openvino"):
            try:
                about, self._network = _openvino(path, data, (threads, streams), ranges)
            except CompilationError as error:
                require_another_engine(error)
                kind = "onnxruntime"
        else:
            kind = "onnxruntime"
        if kind == "onnxruntime":
            ranges, (about, self._network) = None, _onnxruntime(path, data, threads, streams)
        self._pool = ThreadPoolExecutor(2, "scales") if threads != 1 else None
        try:
            self.model_id = str(json.loads(about)["model_id"])
        except (ValueError, KeyError):
            raise _no_detector(path) from None
        if ranges is not None:
            if ranges.model_id != self.model_id:
                raise ranges_mismatch(ranges, path, _QUANTIZE)
            self.model_id += INT8_SUFFIX

    def find(
        self, pixels: Pixels, heights: tuple[float, float] | None = None, *, possible: bool = False
    ) -> tuple[TextLine, ...]:
        """All text lines of a grey picture, the most probable first, in px of the picture.

        Args:
            pixels: the picture [H, W].
            heights: lowest and highest expected capital, px of the picture, which choose the size at which it
                is searched.
            possible: also find lines that are not sure, behind those that are, where none of them lies.
        """
        scales = list(dict.fromkeys(_scales(pixels.shape, heights)))  # small pictures have one
        at_each = self._pool.map if self._pool else map

        def at(scale: float) -> tuple[list[TextLine], list[TextLine]]:
            lines = lines_of(self.maps(pixels, scale), possible=possible)
            return [line for line in lines if line.is_sure], [line for line in lines if not line.is_sure]

        found = list(zip(scales, at_each(at, scales), strict=True))
        if heights is None and (finer := _finer(scales[0], found[0][1][0], pixels.shape)):
            found.insert(0, (finer, at(finer)))
        kept = merged([(scale, sure) for scale, (sure, _) in found], pixels.shape)
        others = merged([(scale, merely) for scale, (_, merely) in found], pixels.shape)
        return (*kept, *apart(others, kept, pixels.shape))

    def maps(self, pixels: Pixels, scale: float) -> Maps:
        """The network's maps of a picture [H, W] at another scale."""
        rows, columns = (max(round(side * scale), 8) for side in pixels.shape)
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = cv2.resize(pixels, (columns, rows), interpolation=method)
        below, right = -rows % STEP_PX, -columns % STEP_PX
        padded = cv2.copyMakeBorder(small, 0, below, 0, right, cv2.BORDER_REPLICATE)
        maps = self._network(padded[None, None].astype(np.float32) / np.float32(255))
        h, w = -(-rows // CELL_PX), -(-columns // CELL_PX)
        return Maps(maps.core[:h, :w], maps.direction[:, :h, :w], maps.height[:h, :w])


def _longer_px(shape: tuple[int, ...]) -> float:
    """Longer side of a picture of 4 to 3 with the area of this one [H, W]."""
    return math.sqrt(4 / 3 * shape[0] * shape[1])


def _scales(shape: tuple[int, ...], heights: tuple[float, float] | None) -> Iterator[float]:
    """Factors on the size of a picture [H, W] at which it is searched, the largest first."""
    longer = _longer_px(shape)
    if heights is None:
        fine, close = (FINE_PX,) * (longer >= FINE_FROM_PX), (CLOSE_PX,) * (longer < CLOSE_BELOW_PX)
        yield from (min(side / longer, MAX_UPSCALING) for side in (*fine, *LONGER_PX, *close))
        return
    scale = min(LOWEST_PX / max(heights[0], 1.0), MAX_LONGER_PX / longer, MAX_UPSCALING)
    yield scale
    while scale * heights[1] > HIGHEST_PX and scale * longer > LONGER_PX[-1]:
        scale /= 2
        yield scale


def _finer(scale: float, lines: Sequence[TextLine], shape: tuple[int, ...]) -> float | None:
    """A larger scale for a picture [H, W] that holds small print; None for another picture.

    Args:
        scale: the largest scale at which it was searched.
        lines: the sure ones that were found at it, in px of that size.
        shape: of the picture.
    """
    small = sum(line.height < SMALL_PX for line in lines)
    if small < max(MIN_SMALL, len(lines) / 2):
        return None
    finer = min(scale * FINER, MAX_LONGER_PX / _longer_px(shape), MAX_UPSCALING)
    return finer if finer >= MIN_FINER * scale else None


def merged(found: Sequence[tuple[float, Sequence[TextLine]]], shape: tuple[int, ...]) -> list[TextLine]:
    """Lines found at several scales, the finest first, in px of the picture [H, W].

    Lines of one scale that better ones cover are left out, and of those of several scales that are alike all
    but the best; better ones are longer, in heights, and surer.
    """
    lines = [
        (number, line.scaled(1 / scale))
        for number, (scale, at_scale) in enumerate(found)
        for line in at_scale
        if _least_px(line, finest=number == 0) <= line.height <= HEIGHTS_PX[1]
    ]
    kept = list[tuple[int, TextLine, _Area]]()
    for number, line in sorted(lines, key=lambda one: -_worth(one[1])):
        area = _Area.of(line, shape)
        most = MAX_OVERLAP * area.size
        over = [(other, covered, area.shared(covered)) for other, _, covered in kept]
        hidden = sum(shared for other, _, shared in over if other == number) > most
        covered = sum(shared for *_, shared in over) > most
        alike = any(shared >= ALIKE * (area.size + other.size - shared) for _, other, shared in over)
        if not hidden and not (covered and alike):
            kept.append((number, line, area))
    return [line for _, line, _ in kept]


def apart(lines: Sequence[TextLine], kept: Sequence[TextLine], shape: tuple[int, ...]) -> list[TextLine]:
    """Those lines that lie where none of the kept ones does, in a picture [H, W]."""
    taken = [_Area.of(line, shape) for line in kept] if lines else []

    def is_apart(line: TextLine) -> bool:
        own = _Area.of(line, shape)
        return all(own.shared(area) <= MAX_SHARED * min(own.size, area.size) for area in taken)

    return [line for line in lines if is_apart(line)]


def _least_px(line: TextLine, *, finest: bool) -> float:
    """Least height of a line that is found at a scale, px of that scale."""
    if finest:
        return HEIGHTS_PX[0]
    return SURE_COARSE_PX if line.score >= SURE else COARSE_PX


def _worth(line: TextLine) -> float:
    return line.score * min(line.length / line.height, 6.0)


@dataclass(frozen=True, eq=False)
class _Area:
    """The px within a line's outline in a picture that was made smaller: a mask [h, w] and its place."""

    mask: NDArray[np.bool_]
    left: int
    top: int

    @classmethod
    def of(cls, line: TextLine, shape: tuple[int, ...]) -> "_Area":
        """Of a line in a picture [H, W]."""
        scale = min(1.0, 480 / max(shape))
        outline = np.round(line.polygon() * scale).astype(np.int32)
        least = outline.min(axis=0)
        wide, high = (outline.max(axis=0) - least + 1).tolist()
        mask = np.zeros((high, wide), np.uint8)
        cv2.fillPoly(mask, [outline - least], 1)
        return cls(mask.astype(np.bool_), int(least[0]), int(least[1]))

    @cached_property
    def size(self) -> int:
        """Its px."""
        return int(self.mask.sum())

    def shared(self, other: "_Area") -> int:
        """The px that both have."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        right = min(self.left + self.mask.shape[1], other.left + other.mask.shape[1])
        bottom = min(self.top + self.mask.shape[0], other.top + other.mask.shape[0])
        if left >= right or top >= bottom:
            return 0
        one, two = (
            area.mask[top - area.top : bottom - area.top, left - area.left : right - area.left]
            for area in (self, other)
        )
        return int((one & two).sum())


class _DetectorRequests(threading.local):
    """One request per thread."""

    request: Any = None


def _openvino(
    path: Path, data: bytes, parallelism: tuple[int, int], ranges: Ranges | None
) -> tuple[str, _Network]:
    core, (threads, streams) = openvino_core(), parallelism
    try:
        model = core.read_model(data, b"")
        about = str(model.get_rt_info(["framework", DETECTOR_KEY]).value)
    except RuntimeError:
        raise _no_detector(path) from None
    if ranges is not None:
        quantize(model, ranges, path, _QUANTIZE)
    settings: dict[str, Any] = {"NUM_STREAMS": streams, "ENABLE_CPU_PINNING": False}
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    network, local = compiled(model, settings), _DetectorRequests()

    def run(pictures: Floats) -> Maps:
        local.request = local.request or network.create_infer_request()
        outputs = local.request.infer({"pictures": pictures})
        return Maps(*(np.array(outputs[name][0]) for name in ("core", "direction", "height")))

    return about, run


def _onnxruntime(path: Path, data: bytes, threads: int, streams: int) -> tuple[str, _Network]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(threads // streams, 1) if threads else 0
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        if type(error).__module__.startswith("onnxruntime"):
            raise _no_detector(path) from None
        raise

    def run(pictures: Floats) -> Maps:
        outputs = session.run(["core", "direction", "height"], {"pictures": pictures})
        return Maps(*(np.asarray(output[0]) for output in outputs))

    return session.get_modelmeta().custom_metadata_map.get(DETECTOR_KEY, ""), run


def _no_detector(path: Path) -> CheckpointError:
    return CheckpointError(f"{path}: not a line detector of serialread. Give a detector's model file.")
