"""A trained network on disk: weights, recipe and alphabet in one file, and the model file made of them."""

import hashlib
import json
import logging
import os
import pickle
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from serialread.codes import MAX_LENGTH, Alphabet
from serialread.config import CropGeometry, recipe_id
from serialread.config.networks import Composed
from serialread.config.section import dotted
from serialread.config.training_recipe import TrainingRecipe
from serialread.errors import CheckpointError
from serialread.inference import quantization
from serialread.models import Recognizer, build

FORMAT = 1
"""Raised when what a file holds changes its meaning."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A trained network and what it was trained for.

    Attributes:
        recipe: the whole training recipe.
        alphabet: its characters.
        weights: averaged weights and running statistics by name.
        steps: steps taken.
    """

    recipe: TrainingRecipe
    alphabet: Alphabet
    weights: Mapping[str, Tensor]
    steps: int

    @property
    def model_id(self) -> str:
        """Name and twelve hex digits that change with any weight of the model file."""
        model = self.deployed()
        kept = {n: w for n, w in model.state_dict().items() if n.split(".")[0] not in model.teaching}
        return f"{self.recipe.name}-{_digest(kept)}"

    def network(self) -> Recognizer:
        """The network with these weights, ready to read; a CheckpointError if its parts have changed."""
        model = build(self.recipe.network, self.recipe.geometry, self.alphabet)
        try:
            model.load_state_dict(dict(self.weights))
        except RuntimeError:
            raise CheckpointError(
                f"checkpoint of {self.recipe.name}, step {self.steps}: its network is of another version. "
                "Start a new run from it: serialread train --from"
            ) from None
        return model.eval()

    def deployed(self) -> Recognizer:
        """The network of a model file: norms melted into convolutions, weights rounded to 16 bits."""
        model = folded(self.network())
        with torch.no_grad():
            for weight in model.parameters():
                weight.copy_(weight.half().float())
        return model


def save(checkpoint: Checkpoint, path: Path, state: Mapping[str, Any] | None = None) -> None:
    """Write a checkpoint; the file is whole at any moment. ``state`` is what a run needs to go on."""
    content = {
        "format": FORMAT,
        "recipe": checkpoint.recipe.model_dump_json(),
        "alphabet": checkpoint.alphabet.chars,
        "weights": dict(checkpoint.weights),
        "steps": checkpoint.steps,
        "state": None if state is None else dict(state),
    }
    partial = path.with_name(path.name + ".partial")
    try:
        torch.save(content, partial)
        os.replace(partial, path)  # noqa: PTH105
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be written: {error.strerror}. Free the disk or name another folder."
        ) from None


def load(path: Path) -> Checkpoint:
    """Read a checkpoint; a run's folder means its best network."""
    return _checkpoint(path / "best.pt" if path.is_dir() else path)[0]


def load_state(path: Path) -> tuple[Checkpoint, dict[str, Any]]:
    """Read a checkpoint and the state from which its run goes on."""
    checkpoint, state = _checkpoint(path)
    if state is None:
        raise CheckpointError(f"{path}: holds a network but no run to go on with. Resume from last.pt.")
    return checkpoint, state


def _checkpoint(path: Path) -> tuple[Checkpoint, dict[str, Any] | None]:
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no checkpoint here. Train one: serialread train RECIPE --data STORE --out RUN"
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        number = content["format"]
    except (RuntimeError, OSError, EOFError, KeyError, TypeError, ValueError, pickle.UnpicklingError):
        raise CheckpointError(
            f"{path}: not a checkpoint of serialread, or a torn one. Take best.pt of a run."
        ) from None
    if number != FORMAT:
        raise CheckpointError(
            f"{path}: checkpoint format {number}, this version reads {FORMAT}. Train it anew."
        )
    try:
        recipe = TrainingRecipe.model_validate_json(content["recipe"])
    except ValidationError as error:
        knob = dotted(error.errors()[0]["loc"])
        raise CheckpointError(
            f"{path}: its recipe says {knob}, which this version does not know or take. "
            "Take the version that trained it, or train it anew."
        ) from None
    checkpoint = Checkpoint(recipe, Alphabet(content["alphabet"]), content["weights"], content["steps"])
    return checkpoint, content["state"]


def normalised(model: Recognizer) -> Iterator[tuple[str, nn.Sequential, nn.Conv2d, nn.BatchNorm2d]]:
    """Every convolution with the batch norm behind it, and by its name the sequence that they begin."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Sequential) and len(module) > 1:
            convolution, norm = module[0], module[1]
            if type(convolution) is nn.Conv2d and isinstance(norm, nn.BatchNorm2d):
                yield name, module, convolution, norm


def folded(model: Recognizer) -> Recognizer:
    """Melt every batch norm into the convolution before it: the same function, fewer numbers."""
    for _, sequence, convolution, norm in list(normalised(model)):
        sequence[0], sequence[1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
    return model


def _digest(weights: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def export(run: Path, out: Path) -> Path:
    """Write the model file of a run: one ONNX file that knows its alphabet, geometry and id.

    Input ``crops`` float32 [B, 1, H, W] as ``imaging.to_array`` makes them, any B, any W of whole pairs of
    columns; outputs ``scores`` float32 [B, 26, C], log-probabilities, ``attention`` float32 [B, 26, N] and
    ``glyphs`` float32 [B, 26, h, N], 0..1, of networks with glyph attention, ``upright`` float32 [B],
    log-odds, of those that tell which way up a line lies; each computed only when asked.
    Weights are 16-bit, arithmetic is 32-bit. Only what reads is inside: segmentation and CTC stay behind.

    Args:
        run: a run's folder or a checkpoint.
        out: the file to write.

    Returns:
        ``out``.
    """
    checkpoint = load(run)
    geometry = checkpoint.recipe.geometry
    about = {
        "model_id": checkpoint.model_id,
        "alphabet": checkpoint.alphabet.chars,
        "height": geometry.height,
        "widths": list(geometry.widths),
        **({"fit": geometry.fit} if geometry.fit != "pad" else {}),
        "max_length": MAX_LENGTH,
        "recipe_id": recipe_id(checkpoint.recipe),
        "steps": checkpoint.steps,
    }
    proto = traced(checkpoint.deployed(), geometry, checkpoint.recipe.network.composed())
    _store_halves(proto.graph)
    del proto.metadata_props[:]
    proto.metadata_props.add(key="serialread", value=json.dumps(about))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        quantization.remove(out)
        out.write_bytes(proto.SerializeToString())
    except OSError as error:
        raise CheckpointError(f"{out}: cannot be written: {error.strerror}. Name another file.") from None
    return out


def traced(model: Recognizer, geometry: CropGeometry, network: Composed) -> Any:
    """The network as an ONNX graph; batch stays open, and width where the network can."""
    crops = torch.zeros(2, 1, geometry.height, geometry.widths[0])
    open_sizes: dict[int, Any] = {0: torch.export.Dim("batch")}
    if not network.fixed_width:
        pair = 2 * network.column_px
        open_sizes[3] = pair * torch.export.Dim("columns", min=2, max=geometry.widths[-1] // pair)
    with torch.inference_mode():
        names = list(model.outputs(crops))
    for chatty in ("torch.onnx", "onnxscript"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own use of old torch functions
        program = torch.onnx.export(
            model,
            (crops,),
            dynamo=True,
            verbose=False,
            input_names=["crops"],
            output_names=names,
            dynamic_shapes={"crops": open_sizes},
        )
    assert program is not None
    return program.model_proto


def _store_halves(graph: Any) -> None:
    """Keep as 16-bit floats, widened where they are used, all weights that lose nothing by it."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
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
    stale = [v for v in graph.value_info if any(v.name == c.output[0] for c in casts)]
    for value in stale:
        graph.value_info.remove(value)
