"""Weights to begin with: of another network of ours, or of others for one part."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from serialread.config.training_recipe import Pretrained
from serialread.errors import CheckpointError
from serialread.training import checkpoint


def take_over(model: nn.Module, path: Path) -> None:
    """Start with another network's weights, see ``grown``; parts that it lacks start afresh."""
    if not _taken(model, grown(model.state_dict(), checkpoint.load(path).weights)):
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


def grown(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a compact trunk for one of finer cells and more channels, which then says the same at first.

    Cells of 3 x 3 px see what cells of 2 x 2 saw of the same crop at two thirds of its size, by the means of
    areas. What is new in a layer begins by chance; what layers after it make of that begins at nothing.

    Args:
        own: fresh weights by name, of the network to be.
        given: of the network that was.
    """
    stem, found = "trunk.stages.0.0.0.weight", dict(given)
    if stem in own and stem in given:
        found[stem] = _finer(given[stem], own[stem].shape[1])
    for name, old in found.items():
        if not name.startswith(("trunk.", "segmentation.")) or name not in own:
            continue
        whole = own[name].clone()
        if whole.ndim == old.ndim and all(n >= o for n, o in zip(whole.shape, old.shape, strict=True)):
            if whole.ndim > 1:
                whole[: old.shape[0]] = 0
            whole[tuple(slice(size) for size in old.shape)] = old
            found[name] = whole
    return found


def _finer(stem: Tensor, inputs: int) -> Tensor:
    """A stem [C, 4n, k, k] on cells of 2 x 2 px as one [C, 9n, k, k] on cells of 3 x 3, if that is meant."""
    kinds, size = stem.shape[1] // 4, stem.shape[2:]
    if inputs != 9 * kinds:
        return stem
    share = torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0]]) / 3  # of each of three px in each of two
    squares = stem.view(-1, kinds, 2, 2, *size)
    return torch.einsum("cnijyx,ip,jq->cnpqyx", squares, share, share).flatten(1, 3)


def _taken(model: nn.Module, given: Mapping[str, Tensor]) -> bool:
    """Take what has the name and the shape; whether anything had."""
    own = model.state_dict()
    fitting = {name: value for name, value in given.items() if name in own and own[name].shape == value.shape}
    model.load_state_dict(fitting, strict=False)
    return bool(fitting)
