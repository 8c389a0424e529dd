"""Int8 quantization of wide convolutions; their input ranges are measured once and saved with the model.

Weights are quantized to 255 levels per output channel, inputs to 256 levels per layer (Jacob et al., CVPR
2018). An input range is clipped where the mean squared quantization error is least, so that outliers do not
make the levels coarse; zero is a level, since a rounded zero would shift all values of a layer alike. Input
channels of a small range are enlarged and their weights reduced by the same factor before both are rounded
(after Xiao et al., SmoothQuant, ICML 2023). All other layers stay in 16 bits.

Letters: C input channels.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from serialread.errors import CheckpointError, writing_errors
from serialread.inference.openvino_core import openvino_core
from serialread.records import Floats

_ADVICE = "Free the disk, or copy the model elsewhere."
RANGES_SUFFIX = ".ranges.json"
INT8_SUFFIX = "-8bit"
"""Ends the id of a quantized model: its readings differ slightly from those in 16 bits."""

MIN_CHANNELS = 32
"""Narrower convolutions are cheap, and the first layers need full precision."""
SAMPLED_CELLS = 60
"""Cells per crop and layer, with all channels, from which a range is measured."""
CHANNEL_QUANTILE = 0.999
"""The range of a channel is this quantile of its absolute values."""
EQUALIZATION = 0.75
"""How much of the difference between channels is taken from their inputs; the rest remains in the weights."""
CLIP_RATIOS = np.linspace(0.3, 1.0, 29)
"""Candidate ranges, as fractions of the full range."""


@dataclass(frozen=True, slots=True)
class Ranges:
    """Input ranges of the quantized convolutions of one model.

    Attributes:
        model_id: id of the model, without ``INT8_SUFFIX``.
        crops: number of crops they were measured on.
        spans: lower and upper limit of each input, by the convolution's name in the file.
        scales: what each input's channels [C] are divided by before they are rounded, by the same name; 1
            where it is missing.
    """

    model_id: str
    crops: int
    spans: Mapping[str, tuple[float, float]]
    scales: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def to_json(self) -> str:
        """The content of the ranges file."""
        return json.dumps(asdict(self), indent=1) + "\n"


def ranges_path(path: Path) -> Path:
    """Path of the ranges file that belongs to a model file."""
    return path.with_name(path.name.removesuffix(".onnx") + RANGES_SUFFIX)


def load_ranges(path: Path, command: str = "model quantize") -> Ranges | None:
    """Load the ranges of a model file; None if it has none.

    Args:
        path: the model file.
        command: that measures the ranges of such a file, for the error.

    Raises:
        CheckpointError: the ranges file is unreadable or invalid.
    """
    place = ranges_path(path)
    try:
        content = json.loads(place.read_text(encoding="utf-8"))
        spans = {str(name): (float(low), float(high)) for name, (low, high) in content["spans"].items()}
        if not all(math.isfinite(low) and low < high < math.inf for low, high in spans.values()):
            raise ValueError("not a range")
        scales = {str(name): tuple(map(float, found)) for name, found in content.get("scales", {}).items()}
        if not all(0 < scale < math.inf for found in scales.values() for scale in found):
            raise ValueError("not a scale")
        return Ranges(str(content["model_id"]), int(content["crops"]), spans, scales)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CheckpointError(
            f"{place}: cannot be read: {error.strerror}. Make it readable, or delete it."
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise CheckpointError(
            f"{place}: not a ranges file. Measure them: serialread {command} {path} STORE; or delete it."
        ) from None


def save_ranges(ranges: Ranges, path: Path) -> None:
    """Save the ranges of a model file atomically.

    Raises:
        CheckpointError: the file cannot be written.
    """
    place = ranges_path(path)
    partial = place.with_name(place.name + ".partial")
    with writing_errors(place, CheckpointError, _ADVICE):
        partial.write_text(ranges.to_json(), encoding="utf-8")
        partial.replace(place)


def delete_ranges(path: Path) -> None:
    """Delete the ranges of a model file, if there are any.

    Raises:
        CheckpointError: the file cannot be deleted.
    """
    with writing_errors(ranges_path(path), CheckpointError, _ADVICE):
        ranges_path(path).unlink(missing_ok=True)


def ranges_mismatch(ranges: Ranges, path: Path, command: str = "model quantize") -> CheckpointError:
    """The error for ranges that were measured on another model; ``command`` measures them again."""
    return CheckpointError(
        f"{ranges_path(path)}: ranges of another model, {ranges.model_id}. Measure them again: "
        f"serialread {command} {path} STORE; or delete them."
    )


def wide_convolutions(model: Any) -> dict[str, Any]:
    """The convolutions of an OpenVINO model that are quantized, in execution order, by name in the file."""
    found = {}
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Convolution":
            outputs, inputs, *size = node.input(1).get_shape()
            if min(outputs, inputs) >= MIN_CHANNELS and max(size) > 1:
                found[node.get_friendly_name().partition("/")[0]] = node
    return found


def quantize(model: Any, ranges: Ranges, path: Path, command: str = "model quantize") -> None:
    """Quantize the wide convolutions of an OpenVINO model, read from ``path``, to int8.

    Args:
        model: the model, which is changed.
        ranges: of its convolutions.
        path: its file.
        command: that measures the ranges of such a file, for the error.

    Raises:
        CheckpointError: the ranges belong to another network.
    """
    from openvino import opset13

    convolutions = wide_convolutions(model)
    if convolutions.keys() != ranges.spans.keys():
        raise ranges_mismatch(ranges, path, command)
    for name, node in convolutions.items():
        weights = _constant(node.input_value(1))
        scales = np.array(ranges.scales.get(name) or np.ones(weights.shape[1]), np.float32)
        if len(scales) != weights.shape[1]:
            raise ranges_mismatch(ranges, path, command)
        weights = weights * scales[:, None, None]
        low, high = (np.full((1, 1, 1, 1), limit, np.float32) for limit in ranges.spans[name])
        own = (limit * scales[:, None, None] for limit in (low, high))
        inputs = opset13.fake_quantize(
            node.input_value(0), *map(opset13.constant, (*own, low, high)), levels=256
        )
        peak = np.maximum(np.abs(weights).max((1, 2, 3), keepdims=True), np.float32(1e-9))
        lower, upper = opset13.constant(-peak), opset13.constant(peak)
        quantized = opset13.fake_quantize(opset13.constant(weights), lower, upper, lower, upper, 255)
        node.input(0).replace_source_output(inputs.output(0))
        node.input(1).replace_source_output(quantized.output(0))


def measure(path: Path, model_id: str, crops: Iterable[Floats]) -> Ranges:
    """Measure the input ranges of a model file in 32 bits, on one or more arrays [1, H, W].

    Raises:
        CheckpointError: the model has no wide convolution.
    """
    core = openvino_core()
    import openvino

    model = core.read_model(path.read_bytes(), b"")
    convolutions = wide_convolutions(model)
    if not convolutions:
        raise CheckpointError(
            f"{path}: no convolution of {MIN_CHANNELS} channels or more to quantize. Use the model as it is."
        )
    inputs = [openvino.opset13.result(node.input_value(0)) for node in convolutions.values()]
    network = core.compile_model(
        openvino.Model(inputs, model.get_parameters()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    samples: list[list[Floats]] = [[] for _ in inputs]
    rng = np.random.default_rng(0)
    for crop in crops:
        for values, found in zip(samples, network(crop[None]).values(), strict=True):
            cells = np.moveaxis(found[0], 0, -1).reshape(-1, found.shape[1])
            values.append(rng.choice(cells, SAMPLED_CELLS))
    spans, scales = {}, {}
    for (name, node), values in zip(convolutions.items(), samples, strict=True):
        cells = np.concatenate(values)
        scales[name] = _scales(cells, _constant(node.input_value(1)))
        spans[name] = _span(np.divide(cells, scales[name], dtype=np.float32))
    return Ranges(model_id, len(samples[0]), spans, scales)


def with_shared_ranges(ranges: Ranges, path: Path, parent: Path) -> Ranges:
    """Ranges of a model file, with the parent's for the convolutions that both have, by name and weights.

    So a taught model's parent reads in int8 exactly as it did alone.
    """
    known = load_ranges(parent)
    if known is None:
        return ranges
    core = openvino_core()
    models = [core.read_model(file.read_bytes(), b"") for file in (path, parent)]
    own, before = map(wide_convolutions, models)
    same = {name for name in own.keys() & before.keys() if _same_weights(own[name], before[name])}
    spans = {name: span for name, span in known.spans.items() if name in same}
    scales = {name: scale for name, scale in known.scales.items() if name in same}
    return replace(ranges, spans={**ranges.spans, **spans}, scales={**ranges.scales, **scales})


def _same_weights(one: Any, other: Any) -> bool:
    """Whether two convolutions have the same weights."""
    first, second = (_constant(node.input_value(1)) for node in (one, other))
    return np.array_equal(first, second)


def _scales(cells: Floats, weights: Floats) -> tuple[float, ...]:
    """By what the channels of inputs [n, C] are divided to make their ranges more alike; 1 on average."""
    ranges = np.maximum(np.quantile(np.abs(cells), CHANNEL_QUANTILE, axis=0), 1e-6)
    used = np.maximum(np.sqrt(np.square(weights).mean((0, 2, 3))), 1e-9)
    powers = EQUALIZATION * np.log(ranges) - (1 - EQUALIZATION) * np.log(used)
    return tuple(float(f"{scale:.4g}") for scale in np.exp(powers - powers.mean()))


def _span(values: Floats) -> tuple[float, float]:
    """The range whose 256 levels, one of them zero, have the least mean squared error over the values."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 1e-6)
    zero = round(255 * -low / (high - low))  # the level of zero
    step = max(high / max(255 - zero, 1), -low / max(zero, 1))
    spans = [(-zero * step * ratio, (255 - zero) * step * ratio) for ratio in CLIP_RATIOS.tolist()]
    return min(spans, key=lambda span: _quantization_error(values, *span))


def _quantization_error(values: Floats, low: float, high: float) -> float:
    step = max(high - low, 1e-9) / 255
    rounded = np.round((np.clip(values, low, high) - low) / step) * step + low
    return float(np.square(rounded - values).mean())


def _constant(output: Any) -> Floats:
    """The values of a constant, which may be stored in 16 bits and converted."""
    node = output.get_node()
    if node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return np.asarray(node.data, np.float32)
