"""Int8 quantization of wide convolutions; their input ranges are measured once and saved with the model.

Weights are quantized to 255 levels per output channel, inputs to 256 levels per layer (Jacob et al., CVPR
2018). An input range is clipped where the mean squared quantization error is least, so that outliers do not
make the levels coarse. All other layers stay in 16 bits.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
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
SAMPLED_VALUES = 2_000
"""Values per crop and layer from which a range is measured."""
CLIP_RATIOS = np.linspace(0.3, 1.0, 29)
"""Candidate ranges, as fractions of the full range."""


@dataclass(frozen=True, slots=True)
class Ranges:
    """Input ranges of the quantized convolutions of one model.

    Attributes:
        model_id: id of the model, without ``INT8_SUFFIX``.
        crops: number of crops they were measured on.
        spans: lower and upper limit of each input, by the convolution's name in the file.
    """

    model_id: str
    crops: int
    spans: Mapping[str, tuple[float, float]]

    def to_json(self) -> str:
        """The content of the ranges file."""
        return json.dumps(asdict(self), indent=1) + "\n"


def ranges_path(path: Path) -> Path:
    """Path of the ranges file that belongs to a model file."""
    return path.with_name(path.name.removesuffix(".onnx") + RANGES_SUFFIX)


def load_ranges(path: Path) -> Ranges | None:
    """Load the ranges of a model file; None if it has none.

    Raises:
        CheckpointError: the ranges file is unreadable or invalid.
    """
    place = ranges_path(path)
    try:
        content = json.loads(place.read_text(encoding="utf-8"))
        spans = {str(name): (float(low), float(high)) for name, (low, high) in content["spans"].items()}
        if not all(math.isfinite(low) and low < high < math.inf for low, high in spans.values()):
            raise ValueError("not a range")
        return Ranges(str(content["model_id"]), int(content["crops"]), spans)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CheckpointError(
            f"{place}: cannot be read: {error.strerror}. Make it readable, or delete it."
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise CheckpointError(
            f"{place}: not a ranges file. Measure them: serialread model quantize {path} STORE; or delete it."
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


def ranges_mismatch(ranges: Ranges, path: Path) -> CheckpointError:
    """The error for ranges that were measured on another model."""
    return CheckpointError(
        f"{ranges_path(path)}: ranges of another model, {ranges.model_id}. Measure them again: "
        f"serialread model quantize {path} STORE; or delete them."
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


def quantize(model: Any, ranges: Ranges, path: Path) -> None:
    """Quantize the wide convolutions of an OpenVINO model, read from ``path``, to int8.

    Raises:
        CheckpointError: the ranges belong to another network.
    """
    from openvino import opset13

    convolutions = wide_convolutions(model)
    if convolutions.keys() != ranges.spans.keys():
        raise ranges_mismatch(ranges, path)
    for name, node in convolutions.items():
        low, high = (opset13.constant(np.full((1, 1, 1, 1), x, np.float32)) for x in ranges.spans[name])
        inputs = opset13.fake_quantize(node.input_value(0), low, high, low, high, 256)
        weights = _constant(node.input_value(1))
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
    import openvino

    core = openvino_core()
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
            values.append(rng.choice(found.ravel(), SAMPLED_VALUES))
    spans = [_span(np.concatenate(values)) for values in samples]
    return Ranges(model_id, len(samples[0]), dict(zip(convolutions, spans, strict=True)))


def _span(values: Floats) -> tuple[float, float]:
    """The range whose 256 levels have the least mean squared error over the values."""
    spans = [(float(values.min() * ratio), float(values.max() * ratio)) for ratio in CLIP_RATIOS]
    low, high = min(spans, key=lambda span: _quantization_error(values, *span))
    return low, max(high, low + 1e-6)


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
