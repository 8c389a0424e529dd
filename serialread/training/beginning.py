"""Weights to begin with: of another network of ours, or of others for one part."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from serialread import checkpoint
from serialread.errors import CheckpointError
from serialread.recipe.training import Pretrained


def take_over(model: nn.Module, path: Path) -> None:
    """Start with another network's weights; parts that it lacks, or has in another shape, start afresh."""
    if not _taken(model, checkpoint.load(path).weights):
        raise CheckpointError(f"{path}: no part fits this recipe's network. Name a checkpoint of its family.")


def take_given(part: nn.Module, given: Pretrained) -> None:
    """Start a part with weights of others, by name, where the shapes agree.

    Raises:
        CheckpointError: no such file, no tensors in it, or none that fits.
    """
    try:
        found = torch.load(given.file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError):
        raise CheckpointError(
            f"{given.file}: no weights can be read here. Correct pretrained.file, or leave pretrained out."
        ) from None
    for key in ("model", "state_dict"):
        found = found.get(key, found) if isinstance(found, dict) else {}
    weights = {n.removeprefix(given.prefix): w for n, w in found.items() if n.startswith(given.prefix)}
    if not _taken(part, {n: w for n, w in weights.items() if isinstance(w, Tensor)}):
        raise CheckpointError(
            f"{given.file}: nothing in it fits the {given.part}. Correct pretrained.prefix; its names begin "
            f"with {next(iter(found), 'nothing')}."
        )


def _taken(model: nn.Module, given: Mapping[str, Tensor]) -> bool:
    """Take what has the name and the shape; whether anything had."""
    own = model.state_dict()
    fitting = {name: value for name, value in given.items() if name in own and own[name].shape == value.shape}
    model.load_state_dict(fitting, strict=False)
    return bool(fitting)
