"""A trained network on disk: weights, recipe and alphabet in one file, and the model file made of them."""

import hashlib
import json
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from serialread.codes import Alphabet
from serialread.errors import CheckpointError
from serialread.model import Recognizer
from serialread.recipe import recipe_id
from serialread.recipe.training import TrainingRecipe

FORMAT = 1
"""Raised when what a file holds changes its meaning."""

AT_TEST = ("segmentation", "ctc")
"""Parts of the network that only teach; they are left out of a model file."""


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
        """Name and twelve hex digits that change with any weight used at test time, as a model file stores it."""
        return f"{self.recipe.name}-{_digest(rounded(self.weights))}"

    def network(self) -> Recognizer:
        """The network with these weights, ready to read."""
        model = Recognizer(self.recipe.network, self.recipe.geometry, self.alphabet)
        model.load_state_dict(dict(self.weights))
        return model.eval()


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
        raise CheckpointError(f"{path}: cannot be written: {error.strerror}. Free the disk or name another folder.") from None


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
        raise CheckpointError(f"{path}: no checkpoint here. Train one: serialread train RECIPE --data STORE --out RUN")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        number = content["format"]
    except (RuntimeError, OSError, EOFError, KeyError, TypeError, ValueError, pickle.UnpicklingError):
        raise CheckpointError(f"{path}: not a checkpoint of serialread, or a torn one. Take best.pt of a run.") from None
    if number != FORMAT:
        raise CheckpointError(f"{path}: checkpoint format {number}, this version reads {FORMAT}. Train it anew.")
    recipe = TrainingRecipe.model_validate_json(content["recipe"])
    checkpoint = Checkpoint(recipe, Alphabet(content["alphabet"]), content["weights"], content["steps"])
    return checkpoint, content["state"]


def rounded(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights as a model file stores them: 16-bit floats, and no part that only teaches."""
    kept = {n: w for n, w in weights.items() if n.split(".")[0] not in AT_TEST and not n.endswith("num_batches_tracked")}
    return {name: weight.half().float() if weight.is_floating_point() else weight for name, weight in kept.items()}


def _digest(weights: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def export(run: Path, out: Path) -> Path:
    """Write the model file of a run: one ONNX file that knows its alphabet, its geometry and its id.

    Input ``crops`` float32 [B, 1, H, W], any B and any W of the recipe's buckets (as ``imaging.to_array`` makes
    them); outputs ``scores`` float32 [B, 26, C], log-probabilities, and ``attention`` float32 [B, 26, W / 4].
    Weights are 16-bit, arithmetic is 32-bit. Only what reads is inside: segmentation and CTC stay behind.

    Args:
        run: a run's folder or a checkpoint.
        out: the file to write.

    Returns:
        ``out``.
    """
    from serialread.exporting import write_onnx

    checkpoint = load(run)
    recipe = checkpoint.recipe
    about = {
        "model_id": checkpoint.model_id,
        "alphabet": checkpoint.alphabet.chars,
        "height": recipe.geometry.height,
        "widths": list(recipe.geometry.widths),
        "max_length": 25,
        "recipe_id": recipe_id(recipe),
        "steps": checkpoint.steps,
    }
    model = checkpoint.network()
    model.load_state_dict(rounded(checkpoint.weights), strict=False)
    write_onnx(model, recipe.geometry, json.dumps(about), out)
    return out
