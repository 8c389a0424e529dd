"""How weights are updated: learning rate, optimizer, gradients of a batch, moving average."""

import copy
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, assert_never

import torch
from torch import Tensor, nn

from serialread.config.training_recipe import Adadelta, Adam, AdamW, Muon, Optimization, TrainingRecipe
from serialread.errors import RecipeError
from serialread.models import Recognizer, terms
from serialread.training.batches import Batch
from serialread.training.precision import autocast

CLASSIFIERS = frozenset(("classifier", "ctc"))
"""Names of layers whose outputs are the classes; Muon would move rare classes as far as frequent ones."""


def learning_rate(config: Optimization, step: int) -> float:
    """Learning rate of a step: a warm-up from a twentieth, then a cosine to the final rate, or constant."""
    progress = config.progress(step)
    if progress < config.warm_up:
        share = progress / config.warm_up
        if config.warm_up_shape == "cosine":
            share = 0.5 * (1 - math.cos(math.pi * share))
        return config.rate * (0.05 + 0.95 * share)
    if config.schedule == "stable":
        left = (config.steps - step) * config.batch
        return config.rate * (
            1 - math.sqrt(max(0.0, 1 - left / config.decay_crops)) if config.decay_crops else 1
        )
    wave = 0.5 * (1 + math.cos(math.pi * (progress - config.warm_up) / (1 - config.warm_up)))
    return config.rate * (config.final + (1 - config.final) * wave)


def optimizer_of(model: nn.Module, config: Optimization) -> torch.optim.Optimizer:
    """The optimizer of a recipe, over the parameters that are not frozen."""
    groups, rule = _parameter_groups(model, config.decay), config.rule
    match rule:
        case AdamW():
            return torch.optim.AdamW(groups, lr=config.rate, betas=rule.betas, eps=rule.eps, fused=True)
        case Adam():
            return torch.optim.Adam(groups, lr=config.rate, betas=rule.betas, eps=rule.eps, fused=True)
        case Adadelta():
            return torch.optim.Adadelta(groups, lr=config.rate, rho=rule.rho, eps=rule.eps)
        case Muon():
            return MuonWithAdamW(_matrices(model), groups, config.rate, rule)
        case _:
            assert_never(rule)


class MuonWithAdamW(torch.optim.AdamW):
    """Muon (Jordan et al., 2024) for some matrices and kernels [out, ...], AdamW for all other parameters.

    Muon steps along the orthogonal matrix that is nearest to the average gradient: equally far in all
    directions. Steps are 0.2 sqrt(longer side) times the rate, which moves weights as far as AdamW does (Liu
    et al., 2025), so both share the rate and the weight decay.

    Not ``torch.optim.Muon``: it takes no kernels, and leaves all else to a second optimizer.
    """

    def __init__(self, matrices: set[Tensor], groups: list[dict[str, Any]], rate: float, rule: Muon) -> None:
        self.matrices, self.rule = matrices, rule
        super().__init__(groups, lr=rate, betas=rule.betas, eps=rule.eps, fused=True)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update all parameters that have gradients, and drop the gradients of the matrices."""
        for group in self.param_groups:
            for weight in self.matrices.intersection(group["params"]):
                if weight.grad is not None:
                    self._step_of_muon(
                        weight, weight.grad, group["lr"] * self.rule.scale, group["weight_decay"]
                    )
                    weight.grad = None  # AdamW skips it
        super().step(closure)

    def _step_of_muon(self, weight: Tensor, gradient: Tensor, rate: float, decay: float) -> None:
        if not (state := self.state[weight]):  # AdamW requires a step in each state that it loads
            state.update(step=torch.zeros(()), exp_avg=torch.zeros_like(gradient))
        state["step"] += 1
        average = state["exp_avg"].lerp_(gradient, 1 - self.rule.momentum)
        direction = orthogonalized(gradient.lerp(average, self.rule.momentum).flatten(1))
        weight.mul_(1 - rate * decay)
        weight.add_(direction.view(weight.shape), alpha=-rate * 0.2 * math.sqrt(max(direction.shape)))


def orthogonalized(matrix: Tensor) -> Tensor:
    """A matrix with about the same singular vectors and singular values between 0.7 and 1.2.

    Five Newton-Schulz iterations with the coefficients of Jordan et al. (2024), who chose them to raise small
    singular values fast; on the product with the transpose, which is smaller: a third faster.
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonalized(matrix.T).T
    matrix = matrix / matrix.norm().clamp(min=1e-7)
    square = matrix @ matrix.T
    factor = product = _quintic(square)
    for _ in range(4):
        square = factor @ square @ factor
        factor = _quintic(square)
        product = factor @ product
    return product @ matrix


def _quintic(square: Tensor) -> Tensor:
    factor = torch.addmm(square, square, square, beta=-4.7750, alpha=2.0315)
    factor.diagonal().add_(3.4445)
    return factor


def _matrices(model: nn.Module) -> set[Tensor]:
    """Weights of linear layers and convolutions with at least 8 inputs and outputs, without classifiers."""
    return {
        layer.weight
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d)
        and min(layer.weight.flatten(1).shape) >= 8
        and not CLASSIFIERS.intersection(name.split("."))
    }


def _parameter_groups(model: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Two groups: matrices and kernels with weight decay; biases, norms and embeddings without."""
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    decayed = [p for name, p in trained if p.ndim >= 2 and name.endswith("weight")]
    chosen = {id(p) for p in decayed}
    free = [p for _, p in trained if id(p) not in chosen]
    return [{"params": decayed, "weight_decay": decay}, {"params": free, "weight_decay": 0.0}]


def freeze_all_but(model: nn.Module, names: Sequence[str]) -> None:
    """Freeze all parts but those named; () freezes none.

    Raises:
        RecipeError: the network has no such part.
    """
    parts = dict(model.named_children())
    if unknown := [name for name in names if name not in parts]:
        raise RecipeError(
            f"optimization.only: the network has no part {unknown[0]!r}. It has {', '.join(parts)}."
        )
    for name, weight in model.named_parameters():
        if names and name.partition(".")[0] not in names:
            weight.requires_grad_(False)


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Update the exponential moving average of weights and running statistics.

    Not ``torch.optim.swa_utils``: it copies the first step and has no decay that depends on the step.
    """
    for kept, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if kept.is_floating_point():
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)


class Replicas:
    """Data parallelism in threads: each computes the gradients of its part of a batch; these are averaged.

    Threads do not synchronize inside layers, which makes two of them a fifth faster than one network on two
    cores. Replicas share their parameters; batch norms use the statistics of each part.
    """

    def __init__(self, model: Recognizer, count: int) -> None:
        self.model = model
        self.all = [model, *(_shared_copy(model) for _ in range(count - 1))]
        self.pool = ThreadPoolExecutor(count) if count > 1 else None
        self.threads = torch.get_num_threads()

    def __enter__(self) -> "Replicas":
        """Give each of several replicas one thread of torch."""
        if self.pool is not None:
            torch.set_num_threads(1)
        return self

    def __exit__(self, *_: object) -> None:
        """Restore torch's number of threads."""
        if self.pool is not None:
            self.pool.shutdown()
            torch.set_num_threads(self.threads)

    def backward(self, batch: Batch, recipe: TrainingRecipe, progress: float) -> dict[str, float]:
        """Compute the gradients of a batch; returns the weighted loss terms."""
        if self.pool is None:
            return backward(self.model, batch, recipe, progress)
        parts = split(batch, len(self.all))
        work = [
            self.pool.submit(backward, m, p, recipe, progress) for m, p in zip(self.all, parts, strict=True)
        ]
        losses = [w.result() for w in work]
        self._gather()
        return {name: sum(loss[name] for loss in losses) / len(losses) for name in losses[0]}

    @torch.no_grad()
    def _gather(self) -> None:
        """Average all gradients into the first replica, in a fixed order."""
        for own, *others in zip(*(m.parameters() for m in self.all), strict=True):
            if own.grad is None:
                continue
            for other in others:
                if other.grad is not None:
                    own.grad.add_(other.grad)
                    other.grad = None
            own.grad.div_(len(self.all))


def _shared_copy(model: Recognizer) -> Recognizer:
    twin = copy.deepcopy(model)
    for own, shared in zip(twin.parameters(), model.parameters(), strict=True):
        own.data = shared.data
    return twin


def backward(model: Recognizer, batch: Batch, recipe: TrainingRecipe, progress: float) -> dict[str, float]:
    """Leave the gradients of a batch in a network; returns the weighted loss terms."""
    model.train()
    if only := recipe.optimization.only:
        for name, part in model.named_children():
            part.train(name in only)
    if recipe.optimization.frozen_norms:
        for part in model.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.eval()
    device = next(model.parameters()).device
    batch = moved(batch, device)
    with device:  # new tensors of the losses are made there
        with autocast(device, bf16=recipe.optimization.bf16):
            outputs = model.train_forward(batch.crops, batch.targets.classes, batch.targets.columns)
        parts = terms(outputs, batch.targets, recipe.losses, progress)
    total = torch.stack(list(parts.values())).sum()
    model.zero_grad(set_to_none=True)
    if torch.isfinite(total):
        total.backward()  # type: ignore[no-untyped-call]
    return {name: part.item() for name, part in parts.items()}


def moved(value: Any, device: torch.device) -> Any:
    """A tensor, or a named tuple of tensors and of such tuples, on a device."""
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    return type(value)(*(moved(part, device) for part in value))


def split(batch: Batch, count: int) -> list[Batch]:
    """Equal parts of a batch, in its order."""
    return [Batch(*part) for part in zip(*(_split(value, count) for value in batch), strict=True)]


def _split(value: Tensor | tuple[Tensor, ...], count: int) -> list[object]:
    """Chunks of a tensor, or of each tensor in a named tuple, along the batch."""
    if isinstance(value, Tensor):
        return list(value.chunk(count))
    return [type(value)(*p) for p in zip(*(v.chunk(count) for v in value), strict=True)]
