"""A model file back into a network that can learn: only the file of the shipped model travels.

A model file holds what reads. The exporter melted batch norms into convolutions, turned or negated some
weights and gave them names of its own; what only teaches stayed behind and starts afresh.
"""

import copy
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from serialread.config.training_recipe import TrainingRecipe
from serialread.errors import CheckpointError
from serialread.inference.session import Engine
from serialread.models import Recognizer
from serialread.records import Floats
from serialread.training import checkpoint

TOLERANCE = 2e-3
"""Most that a log-probability may differ between the file and the network made of it."""


def unpack(path: Path, model: Recognizer, recipe: TrainingRecipe, crops: Iterable[Tensor]) -> None:
    """Give a network the weights of a model file; it then reads exactly as the file does.

    Args:
        path: the file that ``serialread model export`` wrote of a network of the same recipe.
        model: takes the weights; parts that only teach are left as they are.
        recipe: what the model was built from.
        crops: some batches [B, 1, H, W], from which batch norms learn what they have to normalise.

    Raises:
        CheckpointError: no model file, or one of another network.
    """
    engine = Engine(path, precision="exact", outputs=("scores",))
    plain = checkpoint.folded(copy.deepcopy(model).eval())
    found = _weights(path, plain, recipe)
    missing = [n for n in plain.state_dict() if n not in found and n.split(".")[0] not in model.teaching]
    fits = all(found[n].shape == w.shape for n, w in plain.state_dict().items() if n in found)
    if missing or not fits or engine.card.alphabet.chars != recipe.alphabet:
        raise CheckpointError(
            f"{path}: holds another network than the recipe's. Name the recipe that it was trained with."
        )
    plain.load_state_dict(found, strict=False)
    _unfold(model, found, crops)
    probe = torch.randn(4, 1, recipe.geometry.height, recipe.geometry.widths[0])
    with torch.inference_mode():
        both = [model.eval()(probe)[0].numpy(), engine.run(np.asarray(probe.numpy(), np.float32))[0]]
    if float(np.abs(both[0] - both[1]).max()) > TOLERANCE:
        raise CheckpointError(
            f"{path}: was exported by another version, and its matrices cannot be told apart. "
            "Start from the run's checkpoint."
        )


def _weights(path: Path, plain: Recognizer, recipe: TrainingRecipe) -> dict[str, Tensor]:
    """The file's weights by the names in a network without batch norms.

    The network is exported once more, with weights of its own: what became of these tells what became of
    those.
    """
    import onnx

    twin = copy.deepcopy(plain)
    with torch.no_grad():
        for weight in twin.state_dict().values():
            if weight.is_floating_point():
                weight.normal_()
    proto = checkpoint.traced(twin, recipe.geometry, recipe.network.composed())
    marks = {_mark(weight.numpy()): name for name, weight in twin.state_dict().items()}
    sources = twin.state_dict()
    given = _initializers(onnx.load(str(path)).graph)
    found: dict[str, Tensor] = {}
    for exported, values in _initializers(proto.graph).items():
        name = marks.get(_mark(values))
        if name is None or exported not in given:
            continue
        own = sources[name].numpy()
        turned = not np.array_equal(np.abs(values).ravel(), np.abs(own).ravel())
        theirs = given[exported].T if turned else given[exported]
        sign = 1 if np.array_equal(np.sort(values.ravel()), np.sort(own.ravel())) else -1
        if theirs.size == own.size:
            found[name] = torch.tensor(sign * theirs.reshape(own.shape))
    return found


def _initializers(graph: Any) -> dict[str, Floats]:
    from onnx import TensorProto, numpy_helper

    kinds = (TensorProto.FLOAT, TensorProto.FLOAT16)
    kept = [w for w in graph.initializer if w.data_type in kinds]
    return {w.name.removesuffix(".half"): numpy_helper.to_array(w).astype(np.float32) for w in kept}


def _mark(values: Floats) -> bytes:
    """The same for a matrix, its transpose and its negative, and for nothing else."""
    return np.sort(np.abs(values).ravel()).tobytes()


@torch.no_grad()
def _unfold(model: Recognizer, found: dict[str, Tensor], crops: Iterable[Tensor]) -> None:
    """Load weights without batch norms into a network that has them, and let these learn their statistics.

    A norm takes a channel's mean and spread over the crops, and gives them back as bias and scale: neither
    what the network says nor what it said while it learned is changed.
    """
    own, pairs = dict(found), list(checkpoint.normalised(model))
    for name, _, _, norm in pairs:
        own |= {
            f"{name}.1.bias": own.pop(f"{name}.0.bias"),
            f"{name}.1.weight": torch.ones(norm.num_features),
            f"{name}.1.running_mean": torch.zeros(norm.num_features),
            f"{name}.1.running_var": torch.full((norm.num_features,), 1 - norm.eps),
        }
    model.load_state_dict(own, strict=False)
    moments = _moments(model, {name: convolution for name, _, convolution, _ in pairs}, crops)
    for name, _, _, norm in pairs:
        mean, variance = moments[name]
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.add_(mean)


def _moments(
    model: Recognizer, convolutions: Mapping[str, nn.Conv2d], crops: Iterable[Tensor]
) -> dict[str, tuple[Tensor, Tensor]]:
    """Mean and variance [C] of what each convolution says of the crops."""
    sums = {name: torch.zeros(3, one.out_channels, dtype=torch.float64) for name, one in convolutions.items()}

    def count(name: str, _: nn.Module, __: object, out: Tensor) -> None:
        cells = out.double().transpose(0, 1).flatten(1)  # [C, cells]
        sums[name] += torch.stack([torch.ones_like(cells).sum(1), cells.sum(1), cells.square().sum(1)])

    hooks = [one.register_forward_hook(partial(count, name)) for name, one in convolutions.items()]
    model.eval()
    for batch in crops:
        model.read(batch)
    for hook in hooks:
        hook.remove()
    means = {name: total / count for name, (count, total, _) in sums.items()}
    return {
        name: (means[name], (squares / count - means[name] ** 2).clamp_min(1e-6))
        for name, (count, _, squares) in sums.items()
    }
