"""The model file: a trained network as one ONNX file that is read without torch."""

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from serialread.config import CropGeometry, recipe_id
from serialread.config.networks import NetworkConfig
from serialread.errors import CheckpointError, writing_errors
from serialread.inference import quantization
from serialread.models import Recognizer
from serialread.training import checkpoint as checkpoints


def export(run: str | Path, out: str | Path) -> Path:
    """Write the model file of a run: one ONNX file with its alphabet, geometry and id.

    Input ``crops`` float32 [B, 1, H, W] as made by ``imaging.to_array``, any B, any W that is a multiple of
    two columns. Outputs ``scores`` float32, log-probabilities [B, 26, C] of slots or [B, N, C] of CTC columns
    (the card's ``topology``); ``attention`` float32 [B, T, N], T being 26 slots or 40 characters of the best
    path; ``glyphs`` float32 [B, T, h, N], 0..1, of networks with glyph attention; ``upright`` float32 [B],
    log-odds, of networks with an orientation head. Weights are 16-bit, arithmetic is 32-bit. The file
    contains only the parts that are used at test time.

    Args:
        run: a run's folder or a checkpoint.
        out: the file to write.

    Returns:
        ``out``.

    Raises:
        CheckpointError: no checkpoint, or the file cannot be written.
    """
    run, out = Path(run), Path(out)
    checkpoint = checkpoints.load(run)
    geometry, model = checkpoint.recipe.geometry, checkpoint.deployed()
    about = {
        "model_id": checkpoint.model_id,
        "alphabet": checkpoint.alphabet.chars,
        "height": geometry.height,
        "widths": list(geometry.widths),
        **({"fit": geometry.fit} if geometry.fit != "pad" else {}),
        "topology": model.topology,
        "capacity": model.capacity,
        "recipe_id": recipe_id(checkpoint.recipe),
        "steps": checkpoint.steps,
    }
    proto = _traced(model, geometry, checkpoint.recipe.network)
    compact(proto.graph)
    del proto.metadata_props[:]
    proto.metadata_props.add(key="serialread", value=json.dumps(about))
    with writing_errors(out, CheckpointError, "Name another file."):
        out.parent.mkdir(parents=True, exist_ok=True)
        quantization.delete_ranges(out)
        out.write_bytes(proto.SerializeToString())
    return out


def _traced(model: Recognizer, geometry: CropGeometry, network: NetworkConfig) -> Any:
    """The network as an ONNX graph with a dynamic batch and, if the network allows it, width."""
    crops = torch.zeros(2, 1, geometry.height, geometry.widths[0])
    dynamic: dict[int, Any] = {0: torch.export.Dim("batch")}
    if not network.fixed_width:
        step = 2 * network.column_px
        dynamic[3] = step * torch.export.Dim("columns", min=2, max=geometry.widths[-1] // step)
    with torch.inference_mode():
        outputs = list(model.outputs(crops))
    for name in ("torch.onnx", "onnxscript"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the exporter
        program = torch.onnx.export(
            model,
            (crops,),
            dynamo=True,
            verbose=False,
            input_names=["crops"],
            output_names=outputs,
            dynamic_shapes={"crops": dynamic},
        )
    assert program is not None
    return program.model_proto


def compact(graph: Any) -> None:
    """Leave out what nobody needs to run a network: shapes, and the exporter's notes with local paths.

    All weights that are exact in 16 bits are stored as such, cast to 32 bits where they are used.
    """
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for node in graph.node:
        del node.metadata_props[:]
    for value in (*graph.input, *graph.output):
        del value.metadata_props[:]
    del graph.value_info[:], graph.metadata_props[:]
    for weight in [w for w in graph.initializer if w.data_type == TensorProto.FLOAT]:
        values = numpy_helper.to_array(weight)
        halves = values.astype(np.float16)
        if values.size < 16 or not np.array_equal(halves.astype(np.float32), values):
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(halves, name + ".half"))
        casts.append(helper.make_node("Cast", [name + ".half"], [name], to=TensorProto.FLOAT))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend([*casts, *nodes])
