"""How weights are updated: learning rate, optimizer, gradients of a batch, moving average."""

import copy
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, assert_never

import torch
from torch import nn

from serialread.config.training_recipe import Adadelta, Adam, AdamW, Optimisation, TrainingRecipe
from serialread.errors import RecipeError
from serialread.models import Recognizer, terms
from serialread.training.batches import Batch


def learning_rate(config: Optimisation, progress: float) -> float:
    """Learning rate at a share of the run: a warm-up from a twentieth, then a cosine to the final rate."""
    if progress < config.warm_up:
        share = progress / config.warm_up
        if config.warm_up_shape == "cosine":
            share = 0.5 * (1 - math.cos(math.pi * share))
        return config.rate * (0.05 + 0.95 * share)
    wave = 0.5 * (1 + math.cos(math.pi * (progress - config.warm_up) / (1 - config.warm_up)))
    return config.rate * (config.final + (1 - config.final) * wave)


def optimizer_of(model: nn.Module, config: Optimisation) -> torch.optim.Optimizer:
    """The optimizer of a recipe, over the parameters that are not frozen."""
    groups, rule = _parameter_groups(model, config.decay), config.rule
    match rule:
        case AdamW():
            return torch.optim.AdamW(groups, lr=config.rate, betas=rule.betas, eps=rule.eps, fused=True)
        case Adam():
            return torch.optim.Adam(groups, lr=config.rate, betas=rule.betas, eps=rule.eps, fused=True)
        case Adadelta():
            return torch.optim.Adadelta(groups, lr=config.rate, rho=rule.rho, eps=rule.eps)
        case _:
            assert_never(rule)


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
            f"optimisation.only: the network has no part {unknown[0]!r}. It has {', '.join(parts)}."
        )
    for name, part in parts.items():
        if names and name not in names:
            part.requires_grad_(False)


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
        parts = [Batch(*p) for p in zip(*(_split(v, len(self.all)) for v in batch), strict=True)]
        if self.pool is None:
            return _backward(self.model, batch, recipe, progress)
        work = [
            self.pool.submit(_backward, m, p, recipe, progress) for m, p in zip(self.all, parts, strict=True)
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


def _backward(model: Recognizer, batch: Batch, recipe: TrainingRecipe, progress: float) -> dict[str, float]:
    model.train()
    if only := recipe.optimisation.only:
        for name, part in model.named_children():
            part.train(name in only)
    # No cache of casts: threads share it, and the first to finish clears it, which changes the order of sums.
    with torch.autocast("cpu", torch.bfloat16, enabled=recipe.optimisation.bf16, cache_enabled=False):
        outputs = model.train_forward(batch.crops, batch.targets.classes, batch.targets.columns)
    parts = terms(outputs, batch.targets, recipe.losses, progress)
    total = torch.stack(list(parts.values())).sum()
    model.zero_grad(set_to_none=True)
    if torch.isfinite(total):
        total.backward()  # type: ignore[no-untyped-call]
    return {name: part.item() for name, part in parts.items()}


def _split(value: torch.Tensor | tuple[torch.Tensor, ...], count: int) -> list[object]:
    """Chunks of a tensor, or of each tensor in a named tuple, along the batch."""
    if isinstance(value, torch.Tensor):
        return list(value.chunk(count))
    return [type(value)(*p) for p in zip(*(v.chunk(count) for v in value), strict=True)]
