"""Weight initialization: from another network of this package, or from published weights for one part."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from serialread.config.training_recipe import Pretrained
from serialread.errors import CheckpointError
from serialread.training import checkpoint


def initialize_from(model: nn.Module, path: Path) -> None:
    """Initialize a network with the weights of another one, where names and shapes agree.

    Args:
        model: the network; parts that the other one lacks keep their weights.
        path: a run's folder, a .pt or a .safetensors file.

    Raises:
        CheckpointError: no checkpoint, or no part of it fits.
    """
    if path.suffix == ".onnx":
        raise CheckpointError(
            f"{path}: a model file cannot be trained. Name a run, a .pt or a .safetensors file; that of the "
            "shipped model is recipes/weights/siga-compact.safetensors."
        )
    if not _load_fitting(model, expanded(model.state_dict(), checkpoint.load(path).weights)):
        raise CheckpointError(f"{path}: no part fits this recipe's network. Name a checkpoint of its family.")


def initialize_part(part: nn.Module, pretrained: Pretrained) -> None:
    """Initialize a part with published weights, where names and shapes agree.

    Raises:
        CheckpointError: no such file, no tensors in it, or none that fits.
    """
    try:
        found = torch.load(pretrained.file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError):
        raise CheckpointError(
            f"{pretrained.file}: no weights can be read. Correct pretrained.file, or leave pretrained out."
        ) from None
    for key in ("model", "state_dict"):
        found = found.get(key, found) if isinstance(found, dict) else {}
    prefix = pretrained.prefix
    weights = {n.removeprefix(prefix): w for n, w in found.items() if n.startswith(prefix)}
    if not _load_fitting(part, {n: w for n, w in weights.items() if isinstance(w, Tensor)}):
        raise CheckpointError(
            f"{pretrained.file}: no weights fit the {pretrained.part}. Correct pretrained.prefix; "
            f"names in this file start with {next(iter(found), 'nothing')}."
        )


def expanded(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a compact trunk for one with smaller cells or more channels, which then computes the same.

    A cell of 3 x 3 px gets the area-weighted weights of a cell of 2 x 2 px, which saw the same crop at two
    thirds of its size. New channels keep their initial weights; the layers after them get zeros.

    Args:
        own: initial weights by name, of the larger network.
        given: of the smaller network.
    """
    stem, found = "trunk.stages.0.0.0.weight", dict(given)
    if stem in own and stem in given:
        found[stem] = _finer_cells(given[stem], own[stem].shape[1])
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


def _finer_cells(stem: Tensor, inputs: int) -> Tensor:
    """A stem [C, 4n, k, k] on cells of 2 x 2 px as [C, 9n, k, k] on cells of 3 x 3; else unchanged."""
    kinds, size = stem.shape[1] // 4, stem.shape[2:]
    if inputs != 9 * kinds:
        return stem
    share = torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0]]) / 3  # of each of three px in each of two
    squares = stem.view(-1, kinds, 2, 2, *size)
    return torch.einsum("cnijyx,ip,jq->cnpqyx", squares, share, share).flatten(1, 3)


def _load_fitting(model: nn.Module, given: Mapping[str, Tensor]) -> bool:
    """Load all weights whose name and shape agree; whether there were any."""
    own = model.state_dict()
    fitting = {name: value for name, value in given.items() if name in own and own[name].shape == value.shape}
    model.load_state_dict(fitting, strict=False)
    return bool(fitting)
