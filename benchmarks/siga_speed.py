"""What SIGA costs: training and reading of the whole compact SIGA compared with the bare parallel recognizer.

    python benchmarks/siga_speed.py [--rounds 5] [--batch 32] [--width 160] [--out FILE]

The same trunk, columns and slots in three networks: nothing else (baseline), with alignment alone (the GPC:
segmentation, L_cor, L_dif), and with all parts. Rounds alternate, so that all three meet the same machine; a
figure is the median over rounds of a network's speed against the baseline's, in processor time of one thread.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from torch import Tensor

from serialread.codes import Alphabet
from serialread.config import CropGeometry, TrainingRecipe
from serialread.config.networks import (
    CompactParts,
    CompactTrunkConfig,
    MixingConfig,
    NetworkConfig,
    ParallelConfig,
    SigaConfig,
)
from serialread.models import SLOTS, Recognizer, Targets, build, describe, terms

NEEDED = 0.6
"""Share of the baseline's crops/s at which the whole SIGA must train."""


def networks() -> dict[str, NetworkConfig]:
    """The shipped sizes, with none, some and all parts of SIGA."""
    parts = CompactParts(pyramid=32)
    attached = {
        "baseline": None,
        "aligned": SigaConfig(parts=parts, glyphs=False),
        "siga": SigaConfig(parts=parts),
    }
    return {
        name: NetworkConfig(
            backbone=CompactTrunkConfig(channels=(32, 96, 192)),
            sequence=MixingConfig(),
            decoder=ParallelConfig(),
            siga=siga,
            dropout=0.0,
        )
        for name, siga in attached.items()
    }


def batch(count: int, width: int, classes: int) -> tuple[Tensor, Targets]:
    """Noise with texts of eight characters of five columns each."""
    crops = torch.randn(count, 1, 32, width)
    owners = (torch.arange(width // 4) // 5 + 1).clamp_max(8).repeat(count, 1)
    pixels = owners.repeat_interleave(2, 1)[:, None].repeat(1, 16, 1).to(torch.uint8)
    texts = torch.zeros(count, SLOTS, dtype=torch.long)
    texts[:, :8] = torch.randint(1, classes, (count, 8))
    known = torch.ones(count, dtype=torch.bool)
    return crops, Targets(texts, torch.full((count,), 8), pixels, owners, known, known, known)


def seconds(
    model: Recognizer, recipe: TrainingRecipe, crops: Tensor, targets: Targets, *, train: bool
) -> float:
    """Processor time of one step, or of one reading."""
    started = time.process_time()
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False), torch.set_grad_enabled(train):
        outputs = (
            model.train(train).train_forward(crops, targets.classes) if train else model.eval().read(crops)
        )
    if train:
        torch.stack(list(terms(outputs, targets, recipe.losses, 0.5).values())).sum().backward()
        model.zero_grad(set_to_none=True)
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--width", type=int, default=160)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    geometry, alphabet = CropGeometry(widths=(args.width,)), Alphabet()
    recipes = {n: TrainingRecipe(geometry=geometry, network=network) for n, network in networks().items()}
    models = {name: build(recipe.network, geometry, alphabet) for name, recipe in recipes.items()}
    crops, targets = batch(args.batch, args.width, alphabet.classes)
    found: dict[str, dict[str, float]] = {name: {} for name in models}
    for train in (True, False):
        rounds = [
            {n: seconds(m, recipes[n], crops, targets, train=train) for n, m in models.items()}
            for _ in range(args.rounds + 1)
        ][1:]
        for name in models:
            share = statistics.median(took["baseline"] / took[name] for took in rounds)
            found[name]["trains" if train else "reads"] = round(share, 3)
    for name, recipe in recipes.items():
        description = describe(name, recipe.network, geometry, alphabet)
        found[name] |= {"parameters_test": description.parameters_test, "macs": description.macs}
    for name, measures in found.items():
        print(f"{name:9s} {json.dumps(measures)}")
    share = found["siga"]["trains"]
    print(f"the whole SIGA trains at {share:.0%} of the baseline's speed, needed: {NEEDED:.0%}")
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
