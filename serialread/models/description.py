"""A description of a network: parts, shapes, parameters, multiply-accumulates, speed. Nothing is trained."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from serialread.codes import Alphabet
from serialread.config import CropGeometry
from serialread.config.networks import NetworkConfig
from serialread.models.building import build
from serialread.models.layers import SLOTS
from serialread.models.network import Recognizer


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a network.

    Attributes:
        name: as in the code.
        outputs: shapes of its outputs for one crop, batch included.
        parameters: number of parameters.
        training_only: whether it is used in training only.
    """

    name: str
    outputs: tuple[tuple[int, ...], ...]
    parameters: int
    training_only: bool


@dataclass(frozen=True, slots=True)
class Description:
    """A network in figures.

    Attributes:
        name: of the recipe.
        width: of the crop, px.
        parts: in call order.
        parameters_train: of all parts.
        parameters_test: of those used at test time.
        macs: multiply-accumulates of reading one crop of this width.
        crops_per_s: with torch on all threads, batches of 16 crops of this width, median of five.
    """

    name: str
    width: int
    parts: tuple[Part, ...]
    parameters_train: int
    parameters_test: int
    macs: int
    crops_per_s: float

    def to_text(self) -> str:
        """The description as text."""
        lines = [f"{self.name}, crops {self.width} px wide"]
        for part in self.parts:
            shapes = ", ".join("x".join(map(str, shape)) for shape in part.outputs)
            note = "  (training only)" if part.training_only else ""
            lines.append(f"  {part.name:14s} {part.parameters:>10,}  {shapes}{note}")
        lines += [
            f"parameters_train {self.parameters_train:,}",
            f"parameters_test  {self.parameters_test:,}",
            f"MACs per crop    {self.macs / 1e6:,.1f} million",
            f"speed            {self.crops_per_s:,.0f} crops/s (torch, this machine, batches of 16)",
        ]
        return "\n".join(lines)


def describe(
    name: str, network: NetworkConfig, geometry: CropGeometry, alphabet: Alphabet, width: int | None = None
) -> Description:
    """Build a network and measure it.

    Args:
        name: of the description.
        network: its parts.
        geometry: height and width buckets of its crops.
        alphabet: its classes.
        width: of the crop, px; by default the bucket nearest to five times the height.
    """
    wide = width or min(geometry.widths, key=lambda w: abs(w - 5 * geometry.height))
    model = build(network, geometry, alphabet).eval()
    crop = torch.zeros(1, 1, geometry.height, wide)
    parts = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    total = sum(p.numel() for p in model.parameters())
    training_only = sum(parts.get(name, 0) for name in model.training_only)
    return Description(
        name=name,
        width=wide,
        parts=tuple(Part(n, s, parts[n], n in model.training_only) for n, s in _shapes(model, crop).items()),
        parameters_train=total,
        parameters_test=total - training_only,
        macs=_macs(model, crop),
        crops_per_s=_speed(model, crop),
    )


def _shapes(model: Recognizer, crop: Tensor) -> dict[str, tuple[tuple[int, ...], ...]]:
    """Shapes of the outputs of every part at its first call."""
    found: dict[str, tuple[tuple[int, ...], ...]] = {}
    names = {part: name for name, part in model.named_children()}

    def record(part: nn.Module, _: object, out: object) -> None:
        found.setdefault(names[part], _sizes(out))

    hooks = [part.register_forward_hook(record) for part in names]
    with torch.inference_mode():
        model.train_forward(crop, torch.zeros(1, SLOTS, dtype=torch.long))
    for hook in hooks:
        hook.remove()
    return found


def _sizes(out: object) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(tensor.shape) for tensor in {id(one): one for one in _tensors(out)}.values())


def _tensors(out: object) -> Iterator[Tensor]:
    """All tensors of an output, in order."""
    if isinstance(out, Tensor):
        yield out
    elif isinstance(out, tuple):
        for one in out:
            yield from _tensors(one)


def _macs(model: Recognizer, crop: Tensor) -> int:
    counter, recurrent = FlopCounterMode(display=False), list[int]()
    hooks = [
        layer.register_forward_hook(
            lambda layer, inputs, _: recurrent.append(_recurrent_macs(layer, inputs[0]))
        )
        for layer in model.modules()
        if isinstance(layer, nn.LSTM)
    ]
    with torch.inference_mode(), counter:
        model(crop)
    for hook in hooks:
        hook.remove()
    counts: Counter[object] = Counter(counter.get_flop_counts()["Global"])
    return counts.total() // 2 + sum(recurrent)


def _recurrent_macs(layer: nn.Module, places: Tensor) -> int:
    """MACs of an LSTM over places [B, N, C], which the counter does not see."""
    weights = sum(p.numel() for name, p in layer.named_parameters() if name.startswith("weight"))
    return weights * places.shape[0] * places.shape[1]


def _speed(model: Recognizer, crop: Tensor, rounds: int = 5) -> float:
    batch = crop.repeat(16, 1, 1, 1)
    times = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for _ in range(rounds + 1):
            started = time.perf_counter()
            model(batch)
            times.append(time.perf_counter() - started)
    return len(batch) / median(times[1:])
