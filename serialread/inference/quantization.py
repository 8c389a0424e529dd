"""Eight bits where most of the work is: what wide convolutions take is measured once, kept beside the model.

Weights are rounded to 255 steps, channel by channel, what they are multiplied with to 256 steps of a span
(Jacob et al., CVPR 2018). A span is cut where the mean squared error of what is rounded is least: a few
values far out would otherwise make the steps coarse. All else stays in 16 bits.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serialread.errors import CheckpointError
from serialread.records import Floats

SUFFIX = ".ranges.json"
EIGHT_BITS = "-8bit"
"""Ends the id of a model that multiplies in eight bits: it is not quite the same reader."""

LEAST_CHANNELS = 32
"""Convolutions of fewer channels are little work, and the first ones need every step."""
KEPT = 2_000
"""Values of a crop that a span is measured by."""
CUTS = np.linspace(0.3, 1.0, 29)
"""Shares of the whole span that are tried."""


@dataclass(frozen=True, slots=True)
class Ranges:
    """What the convolutions of one model take.

    Attributes:
        model_id: of the model.
        crops: by how many it was measured.
        spans: least and largest value that counts, by the convolution's name in the file.
    """

    model_id: str
    crops: int
    spans: Mapping[str, tuple[float, float]]

    def to_json(self) -> str:
        """As it is kept beside the model."""
        return json.dumps(asdict(self), indent=1) + "\n"


def beside(path: Path) -> Path:
    """Where the ranges of a model file lie."""
    return path.with_name(path.name.removesuffix(".onnx") + SUFFIX)


def ranges_beside(path: Path) -> Ranges | None:
    """The ranges that lie beside a model file; None where there are none.

    Raises:
        CheckpointError: a file is there that holds none.
    """
    place = beside(path)
    try:
        told = json.loads(place.read_text(encoding="utf-8"))
        spans = {str(name): (float(low), float(high)) for name, (low, high) in told["spans"].items()}
        if not all(math.isfinite(low) and low < high < math.inf for low, high in spans.values()):
            raise ValueError("not spans")
        return Ranges(str(told["model_id"]), int(told["crops"]), spans)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CheckpointError(
            f"{place}: cannot be read: {error.strerror}. Make it readable, or delete it."
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise CheckpointError(
            f"{place}: holds no ranges. Measure them: serialread model quantize {path} STORE; or delete it."
        ) from None


def keep(ranges: Ranges, path: Path) -> None:
    """Write ranges beside their model file; they are whole at any moment.

    Raises:
        CheckpointError: they cannot be written.
    """
    place = beside(path)
    partial = place.with_name(place.name + ".partial")
    try:
        partial.write_text(ranges.to_json(), encoding="utf-8")
        partial.replace(place)
    except OSError as error:
        raise _unwritable(place, error) from None


def remove(path: Path) -> None:
    """Take away the ranges beside a model file that is written or measured anew.

    Raises:
        CheckpointError: they cannot be taken away.
    """
    try:
        beside(path).unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(beside(path), error) from None


def _unwritable(place: Path, error: OSError) -> CheckpointError:
    return CheckpointError(
        f"{place}: cannot be written: {error.strerror}. Free the disk, or copy the model elsewhere."
    )


def foreign(ranges: Ranges, path: Path) -> CheckpointError:
    """What is said of ranges that lie beside another model."""
    return CheckpointError(
        f"{beside(path)}: ranges of another model, {ranges.model_id}. Measure this one's: "
        f"serialread model quantize {path} STORE; or delete them."
    )


def wide_convolutions(model: Any) -> dict[str, Any]:
    """The convolutions of an OpenVINO model that are worth it, in their order, by their names in the file."""
    found = {}
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Convolution":
            outputs, inputs, *size = node.input(1).get_shape()
            if min(outputs, inputs) >= LEAST_CHANNELS and max(size) > 1:
                found[node.get_friendly_name().partition("/")[0]] = node
    return found


def quantize(model: Any, ranges: Ranges, path: Path) -> None:
    """Let the wide convolutions of an OpenVINO model, read from ``path``, multiply in eight bits.

    Raises:
        CheckpointError: the ranges are of another network.
    """
    from openvino import opset13

    convolutions = wide_convolutions(model)
    if convolutions.keys() != ranges.spans.keys():
        raise foreign(ranges, path)
    for name, node in convolutions.items():
        low, high = (opset13.constant(np.full((1, 1, 1, 1), x, np.float32)) for x in ranges.spans[name])
        taken = opset13.fake_quantize(node.input_value(0), low, high, low, high, 256)
        weights = _constant(node.input_value(1))
        most = np.maximum(np.abs(weights).max((1, 2, 3), keepdims=True), np.float32(1e-9))
        least, largest = opset13.constant(-most), opset13.constant(most)
        kept = opset13.fake_quantize(opset13.constant(weights), least, largest, least, largest, 255)
        node.input(0).replace_source_output(taken.output(0))
        node.input(1).replace_source_output(kept.output(0))


def measure(path: Path, model_id: str, crops: Iterable[Floats]) -> Ranges:
    """What the wide convolutions of a model file take in arrays [1, H, W], one at least, in 32 bits.

    Raises:
        CheckpointError: it has no wide convolution.
    """
    import openvino

    core = openvino.Core()
    model = core.read_model(path.read_bytes(), b"")
    convolutions = wide_convolutions(model)
    if not convolutions:
        raise CheckpointError(
            f"{path}: no convolution of {LEAST_CHANNELS} channels or more: nothing to win. Leave it."
        )
    taken = [openvino.opset13.result(node.input_value(0)) for node in convolutions.values()]
    network = core.compile_model(
        openvino.Model(taken, model.get_parameters()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    kept: list[list[Floats]] = [[] for _ in taken]
    rng = np.random.default_rng(0)
    for crop in crops:
        for values, found in zip(kept, network(crop[None]).values(), strict=True):
            values.append(rng.choice(found.ravel(), KEPT))
    spans = [_span(np.concatenate(values)) for values in kept]
    return Ranges(model_id, len(kept[0]), dict(zip(convolutions, spans, strict=True)))


def _span(values: Floats) -> tuple[float, float]:
    """Least and largest value to keep, so that 256 steps between them miss the values by least."""
    spans = [(float(values.min() * cut), float(values.max() * cut)) for cut in CUTS]
    low, high = min(spans, key=lambda span: _missed(values, *span))
    return low, max(high, low + 1e-6)


def _missed(values: Floats, low: float, high: float) -> float:
    step = max(high - low, 1e-9) / 255
    rounded = np.round((np.clip(values, low, high) - low) / step) * step + low
    return float(np.square(rounded - values).mean())


def _constant(output: Any) -> Floats:
    """The values of a constant, which may be stored in 16 bits and widened."""
    node = output.get_node()
    if node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return np.asarray(node.data, np.float32)
