"""One network, learned by several threads at once."""

import copy
from concurrent.futures import ThreadPoolExecutor

import torch

from serialread.config.training_recipe import TrainingRecipe
from serialread.models import Recognizer, terms
from serialread.training.batches import Batch


class Replicas:
    """The network, once a thread: each learns from its part of a batch, and the gradients are averaged.

    A thread that works alone waits at no barrier inside a layer, which makes two of them a fifth faster than
    one network spread over two cores. Replicas share their parameters; each normalises by its own part.
    """

    def __init__(self, model: Recognizer, count: int) -> None:
        self.model = model
        self.all = [model, *(_sharing(model) for _ in range(count - 1))]
        self.pool = ThreadPoolExecutor(count) if count > 1 else None

    def learn(self, batch: Batch, recipe: TrainingRecipe, progress: float) -> dict[str, float]:
        """Leave the batch's gradient in the network's parameters; returns the weighted loss terms."""
        parts = [Batch(*p) for p in zip(*(_split(v, len(self.all)) for v in batch), strict=True)]
        if self.pool is None:
            return _learn(self.model, batch, recipe, progress)
        work = [
            self.pool.submit(_learn, m, p, recipe, progress) for m, p in zip(self.all, parts, strict=True)
        ]
        losses = [w.result() for w in work]
        self._gather()
        return {name: sum(loss[name] for loss in losses) / len(losses) for name in losses[0]}

    @torch.no_grad()
    def _gather(self) -> None:
        """Average all gradients into the first replica's, always in the same order."""
        for own, *others in zip(*(m.parameters() for m in self.all), strict=True):
            if own.grad is None:
                continue
            for other in others:
                if other.grad is not None:
                    own.grad.add_(other.grad)
                    other.grad = None
            own.grad.div_(len(self.all))


def _sharing(model: Recognizer) -> Recognizer:
    twin = copy.deepcopy(model)
    for own, shared in zip(twin.parameters(), model.parameters(), strict=True):
        own.data = shared.data
    return twin


def _learn(model: Recognizer, batch: Batch, recipe: TrainingRecipe, progress: float) -> dict[str, float]:
    model.train()
    if only := recipe.optimisation.only:
        for name, part in model.named_children():
            part.train(name in only)
    # Threads share one cache of casts, and whoever ends first empties it: sums would change their order.
    with torch.autocast("cpu", torch.bfloat16, enabled=recipe.optimisation.bf16, cache_enabled=False):
        view = model.learn(batch.crops, batch.targets.classes)
    parts = terms(view, batch.targets, recipe.losses, progress)
    total = torch.stack(list(parts.values())).sum()
    model.zero_grad(set_to_none=True)
    if torch.isfinite(total):
        total.backward()  # type: ignore[no-untyped-call]
    return {name: part.item() for name, part in parts.items()}


def _split(value: torch.Tensor | tuple[torch.Tensor, ...], count: int) -> list[object]:
    """Equal neighbours of a tensor's batch, or of each tensor in a named tuple."""
    if isinstance(value, torch.Tensor):
        return list(value.chunk(count))
    return [type(value)(*p) for p in zip(*(v.chunk(count) for v in value), strict=True)]
