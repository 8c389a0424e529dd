"""A model file with a known reading: a digit for how full its bucket is, then a "7"."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from serialread.codes import MAX_LENGTH, Alphabet
from serialread.config import CropGeometry

MODEL_ID = "stub-000000000000"
GEOMETRY = CropGeometry()
ABOUT = {
    "model_id": MODEL_ID,
    "alphabet": Alphabet().chars,
    "height": GEOMETRY.height,
    "widths": list(GEOMETRY.widths),
    "max_length": MAX_LENGTH,
    "recipe_id": "0123456789ab",
    "steps": 0,
}


def digit(filled: float) -> str:
    """The first digit that the stub reads in an array that is filled to this share, 0..1."""
    return str(min(round(filled * 10), 9))


def write_stub(path: Path, about: dict[str, Any] | None = None, upright: float | None = None) -> Path:
    """Write the stub; ``about`` replaces its card, {}: no card; ``upright`` is its output for any line."""
    import onnx
    from onnx import TensorProto, helper

    upright_output = [helper.make_tensor_value_info("upright", TensorProto.FLOAT, ["batch"])]
    graph = helper.make_graph(
        _nodes(),
        "stub",
        [helper.make_tensor_value_info("crops", TensorProto.FLOAT, ["batch", 1, 32, "width"])],
        [
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 26, 95]),
            helper.make_tensor_value_info("attention", TensorProto.FLOAT, ["batch", 26, "columns"]),
            helper.make_tensor_value_info("glyphs", TensorProto.FLOAT, ["batch", 26, 8, "columns"]),
            *(upright_output if upright is not None else ()),
        ],
        [
            helper.make_tensor(n, _kind(v), v.shape, v.flatten().tolist())
            for n, v in (_constants() | {"odds": np.array(upright or 0, np.float32)}).items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    if about != {}:
        model.metadata_props.add(key="serialread", value=json.dumps(about or ABOUT))
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path


def _kind(values: np.ndarray) -> int:
    from onnx import TensorProto

    return TensorProto.INT64 if values.dtype == np.int64 else TensorProto.FLOAT


def _constants() -> dict[str, np.ndarray]:
    chars = Alphabet().chars
    tenths = np.full((1, 95), 1000, np.float32)
    for d in range(10):
        tenths[0, 1 + chars.index(str(d))] = d
    rest = np.zeros((1, 25, 95), np.float32)
    rest[0, 0, 1 + chars.index("7")] = 9
    rest[0, 1:, 0] = 9
    return {
        "tenths": tenths,
        "rest": rest,
        "many": np.array(1000, np.float32),
        "surer": np.array(40, np.float32),
        "one": np.array(1, np.float32),
        "ten": np.array(10, np.float32),
        "zero": np.array(0, np.float32),
        "steps": np.array([1, 26, 1], np.int64),
        "slots": np.array([1, 26, 1, 1], np.int64),
        "middle": np.array([1, 2], np.int64),
        "second": np.array([1], np.int64),
        "whole": np.array([1, 2, 3], np.int64),
    }


def _nodes() -> list[Any]:
    from onnx import helper

    make = helper.make_node
    return [
        make("Abs", ["crops"], ["abs"]),
        make("Mul", ["abs", "many"], ["large"]),
        make("Min", ["large", "one"], ["ink"]),
        make("ReduceMean", ["ink", "whole"], ["filled4"], keepdims=0),
        make("Unsqueeze", ["filled4", "second"], ["filled"]),
        make("Mul", ["filled", "ten"], ["tenth"]),
        make("Sub", ["tenth", "tenths"], ["off"]),
        make("Mul", ["off", "surer"], ["far"]),
        make("Mul", ["off", "far"], ["squared"]),
        make("Neg", ["squared"], ["first2"]),
        make("Unsqueeze", ["first2", "second"], ["first"]),
        make("Mul", ["first", "zero"], ["nothing"]),
        make("Add", ["rest", "nothing"], ["later"]),
        make("Concat", ["first", "later"], ["logits"], axis=1),
        make("LogSoftmax", ["logits"], ["scores"], axis=2),
        make("AveragePool", ["ink"], ["pooled"], kernel_shape=[32, 4], strides=[32, 4]),
        make("Squeeze", ["pooled", "second"], ["columns3"]),
        make("Softmax", ["columns3"], ["looked"], axis=2),
        make("Tile", ["looked", "steps"], ["attention"]),
        make("AveragePool", ["ink"], ["cells"], kernel_shape=[4, 4], strides=[4, 4]),
        make("Tile", ["cells", "slots"], ["glyphs"]),
        make("Mul", ["filled4", "zero"], ["of_each"]),
        make("Add", ["of_each", "odds"], ["upright"]),
    ]
