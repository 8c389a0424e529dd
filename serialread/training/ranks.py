"""Training in several processes: which parts of a batch each computes, and how their results meet.

A batch is split into parts. Every part is one forward and backward pass with its own random numbers; the
gradients and the running statistics of all parts are averaged. What a step does to the weights therefore
depends on the number of parts, and not on the processes that compute them.
"""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from serialread.config.training_recipe import Optimization
from serialread.errors import RecipeError


@dataclass(frozen=True, slots=True)
class Ranks:
    """The processes of a run; one that ``torchrun`` did not start is alone.

    Attributes:
        rank: number of this process; 0 also validates and writes.
        count: of processes.
        device: of this process's network.
    """

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @classmethod
    def join(cls, device: torch.device) -> "Ranks":
        """Join the processes that ``torchrun`` started, over NCCL on GPUs and gloo on processors.

        Args:
            device: that each process trains on; of several GPUs, each takes its own.
        """
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count == 1:
            return cls(device=device)
        if device.type == "cuda":
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(dist.get_rank(), count, device)

    def close(self) -> None:
        """Leave the other processes."""
        if self.count > 1:
            dist.destroy_process_group()

    @property
    def leads(self) -> bool:
        """Whether this process validates and writes."""
        return self.rank == 0

    def parts(self, config: Optimization) -> range:
        """The parts of every batch that this process computes, of ``parts_of_all``.

        Raises:
            RecipeError: the batch cannot be split so.
        """
        total = self.parts_of_all(config)
        if config.batch % (total * config.replicas):
            raise RecipeError(
                f"optimization.batch {config.batch}: cannot be split into {total} parts for {self.count} "
                f"process(es) with {config.replicas} replica(s) each. Choose a multiple of "
                f"{total * config.replicas}."
            )
        each = total // self.count
        return range(self.rank * each, (self.rank + 1) * each)

    def parts_of_all(self, config: Optimization) -> int:
        """The least multiple of ``optimization.parts`` that all processes share evenly."""
        return math.lcm(config.parts, self.count)

    @torch.no_grad()
    def mean(self, tensors: Sequence[Tensor], values: Sequence[float]) -> list[float]:
        """Average tensors, in place, and numbers over all processes.

        Args:
            tensors: floats, of equal shapes in all processes.
            values: numbers that travel along.

        Returns:
            The means of the values.
        """
        if self.count == 1:
            return list(values)
        numbers = torch.tensor(values, dtype=torch.float32, device=self.device)
        flat = torch.cat([numbers, *(tensor.reshape(-1) for tensor in tensors)])
        dist.all_reduce(flat)
        flat /= self.count
        start = len(values)
        for tensor in tensors:
            tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
            start += tensor.numel()
        return [float(value) for value in flat[: len(values)]]

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """Run a block in the leading process, and then in the others, which find what it has written."""
        if not self.leads:
            dist.barrier()
        yield
        if self.leads and self.count > 1:
            dist.barrier()


def leads() -> bool:
    """Whether this is the process of a run that validates and writes."""
    return os.environ.get("RANK", "0") == "0"


def seed_part(seed: int, step: int, part: int) -> None:
    """Give a part of a step's batch its own random numbers, in any process."""
    torch.manual_seed(int(np.random.SeedSequence([seed, step, part]).generate_state(1)[0]))


class PartMeans:
    """Averages what the parts of a batch leave: gradients, and running statistics from the same start."""

    def __init__(self, model: nn.Module) -> None:
        self.weights = [weight for weight in model.parameters() if weight.requires_grad]
        self.buffers = list(model.buffers())
        self.start = [buffer.clone() for buffer in self.buffers]
        self.gradients: list[Tensor | None] = [None for _ in self.weights]
        self.sums = [torch.zeros_like(buffer) for buffer in self.buffers]
        self.count = 0

    @torch.no_grad()
    def add(self) -> None:
        """Take what a part has left in the network, and put the network back."""
        self.count += 1
        for number, weight in enumerate(self.weights):
            before, new = self.gradients[number], weight.grad
            self.gradients[number] = new if before is None else before if new is None else before + new
            weight.grad = None
        for buffer, start, total in zip(self.buffers, self.start, self.sums, strict=True):
            total.add_(buffer)
            buffer.copy_(start)

    @torch.no_grad()
    def finish(self, ranks: Ranks, values: Sequence[float]) -> list[float]:
        """Leave the means over the parts of all processes in the network; returns the means of ``values``."""
        found = self.gradients
        shares = [
            torch.zeros_like(weight) if gradient is None else gradient / self.count
            for weight, gradient in zip(self.weights, found, strict=True)
        ]
        for buffer, total in zip(self.buffers, self.sums, strict=True):
            buffer.copy_(total / self.count)  # a counter has counted one step in each part
        floats = [buffer for buffer in self.buffers if buffer.is_floating_point()]
        there = [float(gradient is not None) for gradient in found]
        means = ranks.mean([*shares, *floats], [*values, *there])
        for weight, share, anywhere in zip(self.weights, shares, means[len(values) :], strict=True):
            weight.grad = share if anywhere else None
        return means[: len(values)]
