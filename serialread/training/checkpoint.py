"""A trained network on disk, weights and recipe in one file; and starting other networks from it.

A run writes ``.pt`` files, which also hold the state to resume from. A ``.safetensors`` file holds a
trainable network in half the size, to publish and to start other runs from.
"""

import hashlib
import pickle
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import safetensors.torch
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from serialread.codes import Alphabet
from serialread.config.section import dotted
from serialread.config.training_recipe import Pretrained, TrainingRecipe
from serialread.errors import CheckpointError, writing_errors
from serialread.models import Recognizer, Selector, TaughtRecognizer, build
from serialread.weights import shipped_weights

M = TypeVar("M", bound=nn.Module)

FORMAT = 2
"""Changes with the meaning of a file's content."""
_LESSONS = "selector.bias"
"""One entry for each lesson of a taught network."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A trained network, or a taught one beside its parent.

    Attributes:
        weights: averaged weights and running statistics by name.
        steps: steps taken.
    """

    recipe: TrainingRecipe
    weights: Mapping[str, Tensor]
    steps: int

    @property
    def alphabet(self) -> Alphabet:
        """The characters that it reads."""
        return Alphabet(self.recipe.alphabet)

    @property
    def model_id(self) -> str:
        """Name and twelve hex digits that change with any weight of the model file."""
        model = self.deployed()
        left_out = tuple(f"{part}." for part in model.training_only)
        kept = {n: w for n, w in model.state_dict().items() if not n.startswith(left_out)}
        return f"{self.recipe.name}-{digest(kept)}"

    @property
    def lessons(self) -> int:
        """Lessons since the parent was trained; 0 for one network without a parent."""
        return len(self.weights.get(_LESSONS, ()))

    def part(self, name: str) -> "Checkpoint":
        """``parent`` or ``taught`` of both networks; one network is its own part."""
        if not self.lessons:
            return self
        start = f"{name}."
        weights = {n.removeprefix(start): w for n, w in self.weights.items() if n.startswith(start)}
        return Checkpoint(self.recipe, weights, self.steps)

    def network(self) -> Recognizer:
        """The network with these weights in evaluation mode.

        Raises:
            CheckpointError: the weights are of another network than the recipe's.
        """

        def built() -> Recognizer:
            return build(self.recipe.network, self.recipe.geometry, self.alphabet)

        model = TaughtRecognizer(built(), built(), self.lessons) if self.lessons else built()
        try:
            model.load_state_dict(dict(self.weights))
        except RuntimeError:
            raise CheckpointError(
                f"checkpoint of {self.recipe.name}, step {self.steps}: its weights do not fit the network of "
                "this version. Start a new run from it: serialread train --from"
            ) from None
        return model.eval()

    def deployed(self) -> Recognizer:
        """The network of a model file: batch norms fused into convolutions, weights rounded to 16 bits."""
        model = fused(self.network())
        with torch.no_grad():
            for weight in model.parameters():
                weight.copy_(weight.half().float())
        return model


def joined(parent: Checkpoint, taught: Checkpoint, selector: Selector) -> Checkpoint:
    """A taught network beside its parent."""
    parts = {"parent": parent.weights, "taught": taught.weights, "selector": selector.state_dict()}
    weights = {f"{part}.{name}": weight for part, found in parts.items() for name, weight in found.items()}
    return Checkpoint(taught.recipe, weights, taught.steps)


def load_one(path: Path) -> Checkpoint:
    """Read a file as ``load`` does, but one network alone.

    Raises:
        CheckpointError: no checkpoint, or a taught model.
    """
    checkpoint = load(path)
    if checkpoint.lessons:
        raise CheckpointError(
            f"{path}: a taught model, two networks in one file. Teach it again with serialread teach, or "
            "name weights of one network, such as versions/0/weights.safetensors of the folder that was "
            "taught."
        )
    return checkpoint


def fused(model: M) -> M:
    """Fuse every batch norm into the convolution before it."""
    for _, module in list(_normalized(model)):
        module[0], module[1] = fuse_conv_bn_eval(module[0], module[1]), nn.Identity()
    return model


def _normalized(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """The sequences that begin with a convolution and its batch norm, by name."""
    for name, module in model.named_modules():
        if not isinstance(module, nn.Sequential) or len(module) < 2:
            continue
        if type(module[0]) is nn.Conv2d and isinstance(module[1], nn.BatchNorm2d):
            yield name, module


def digest(weights: Mapping[str, Tensor]) -> str:
    """Twelve hex digits that change with any weight."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


# --------------------------------------------------------------------------------------------------- writing


def save(checkpoint: Checkpoint, path: Path, state: Mapping[str, Any] | None = None) -> None:
    """Write a checkpoint atomically.

    Args:
        checkpoint: the network.
        path: the file to write, a .pt.
        state: what a run needs to resume.

    Raises:
        CheckpointError: the file cannot be written.
    """
    content = {
        "format": FORMAT,
        "recipe": checkpoint.recipe.model_dump_json(),
        "weights": dict(checkpoint.weights),
        "steps": checkpoint.steps,
        "state": None if state is None else dict(state),
    }
    with _atomic(path) as partial:
        torch.save(content, partial)


def save_trainable(run: Path, out: Path) -> Path:
    """Write the best network of a run as a .safetensors file that other runs can start from.

    Matrices and kernels are stored in 16 bits; biases, norms, running statistics and the kernels into which
    norms are fused in 32, so that a model file made from it has the same id; so is the selector of a taught
    model. The metadata holds the recipe, which includes the alphabet, and the steps taken.

    Args:
        run: a run's folder or a checkpoint.
        out: the file to write.

    Returns:
        ``out``.

    Raises:
        CheckpointError: no checkpoint, or the file cannot be written.
    """
    checkpoint = load(run)
    exact = {"selector.weight", *(f"{name}.0.weight" for name, _ in _normalized(checkpoint.network()))}
    weights = {
        name: (weight.half() if _is_matrix(weight) and name not in exact else weight).contiguous()
        for name, weight in checkpoint.weights.items()
    }
    about = {
        "format": str(FORMAT), "recipe": checkpoint.recipe.model_dump_json(), "steps": str(checkpoint.steps)
    }  # fmt: skip
    with _atomic(out) as partial:
        partial.write_bytes(safetensors.torch.save(weights, about))
    return out


def save_mean(runs: Sequence[Path], out: Path) -> Checkpoint:
    """Write the mean of several networks' weights as a checkpoint.

    Networks that went on from common weights may be averaged: their mean often reads more than each of them
    (Wortsman et al., Model soups, ICML 2022). Whole numbers, and the recipe, are those of the first.

    Args:
        runs: folders of runs, or checkpoints.
        out: the file to write, a .pt.

    Returns:
        What was written; its steps are those of all runs together.

    Raises:
        CheckpointError: no checkpoint, a taught model, networks of different shapes, or the file cannot be
            written.
    """
    checkpoints = [load_one(run) for run in runs]
    first, *others = checkpoints
    shapes = {name: weight.shape for name, weight in first.weights.items()}
    for run, other in zip(runs[1:], others, strict=True):
        if shapes != {name: weight.shape for name, weight in other.weights.items()} or (
            other.recipe.alphabet != first.recipe.alphabet
        ):
            raise CheckpointError(
                f"{run}: another network than {runs[0]}. Average runs of one network and alphabet."
            )
    share = 1 / len(checkpoints)
    weights = {
        name: sum((share * one.weights[name].float() for one in checkpoints), start=torch.zeros(()))
        if weight.is_floating_point()
        else weight
        for name, weight in first.weights.items()
    }
    mean = Checkpoint(first.recipe, weights, sum(one.steps for one in checkpoints))
    save(mean, out)
    return mean


def _is_matrix(weight: Tensor) -> bool:
    return weight.is_floating_point() and weight.ndim > 1


@contextmanager
def _atomic(path: Path) -> Iterator[Path]:
    """A neighbour to write to, which then replaces the file."""
    partial = path.with_name(path.name + ".partial")
    with writing_errors(path, CheckpointError, "Free disk space or name another folder."):
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)


# --------------------------------------------------------------------------------------------------- reading


def load(path: Path) -> Checkpoint:
    """Read the network of a run's folder (its best), of a .pt or of a .safetensors file.

    Raises:
        CheckpointError: no checkpoint, or one that this version cannot read.
    """
    return _read(path / "best.pt" if path.is_dir() else path)[0]


def load_state(path: Path) -> tuple[Checkpoint, dict[str, Any]]:
    """Read a checkpoint and the state from which its run resumes.

    Raises:
        CheckpointError: no checkpoint, or one without such a state.
    """
    checkpoint, state = _read(path)
    if state is None:
        raise CheckpointError(f"{path}: holds a network but no state to resume from. Resume from last.pt.")
    return checkpoint, state


def _read(path: Path) -> tuple[Checkpoint, dict[str, Any] | None]:
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no checkpoint here. Train one: serialread train RECIPE --data STORE --out RUN"
        )
    try:
        content = _safetensors(path) if path.suffix == ".safetensors" else _pickled(path)
        number = int(content["format"])
    except (
        RuntimeError,
        OSError,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
        pickle.UnpicklingError,
        safetensors.SafetensorError,
    ):
        raise CheckpointError(
            f"{path}: not a checkpoint of serialread, or incomplete. Name a run's folder, its best.pt, or a "
            ".safetensors file made by: serialread model export RUN --trainable FILE"
        ) from None
    if number != FORMAT:
        raise CheckpointError(
            f"{path}: checkpoint format {number}, this version reads {FORMAT}. "
            "Export it with the version that trained it, or train it again."
        )
    try:
        recipe = TrainingRecipe.model_validate_json(content["recipe"])
    except ValidationError as error:
        raise CheckpointError(
            f"{path}: its recipe has {dotted(error.errors()[0]['loc']) or 'values'}, which this version does "
            "not accept. Use the version that trained it, or train it again."
        ) from None
    return Checkpoint(recipe, content["weights"], int(content["steps"])), content["state"]


def _pickled(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return content


def _safetensors(path: Path) -> dict[str, Any]:
    with safetensors.safe_open(path, framework="pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        floats = {name: w.float() if w.is_floating_point() else w for name, w in weights.items()}
        return {**(file.metadata() or {}), "weights": floats, "state": None}


def initialize_from(model: nn.Module, path: Path) -> None:
    """Initialize a network with the weights of another one, where names and shapes agree.

    Args:
        model: the network; parts that the other one lacks keep their weights.
        path: a run's folder, a .pt or a .safetensors file.

    Raises:
        CheckpointError: no checkpoint, a taught model, or no part of it fits.
    """
    if path.suffix == ".onnx":
        raise CheckpointError(
            f"{path}: a model file cannot be trained. Name a run, a .pt or a .safetensors file; that of the "
            f"shipped model is {shipped_weights()}."
        )
    if not _load_fitting(model, expanded(model.state_dict(), load_one(path).weights)):
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


_BLOCK_END = re.compile(r"trunk\.stages\.\d+\.\d+\.second\.(weight|bias)")
"""Names of the weights of a residual block's second convolution."""


def expanded(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a compact trunk for one of smaller cells, more channels or blocks that computes the same.

    A cell of 3 x 3 px gets the area-weighted weights of a cell of 2 x 2 px, which saw the same crop at two
    thirds of its size. New channels keep their initial weights; the layers after them get zeros. So does the
    second convolution of a new residual block, which is then the identity.

    Args:
        own: initial weights by name, of the larger network.
        given: of the smaller network.
    """
    stem, found = "trunk.stages.0.0.0.weight", dict(given)
    found |= {n: torch.zeros_like(w) for n, w in own.items() if n not in given and _BLOCK_END.fullmatch(n)}
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
