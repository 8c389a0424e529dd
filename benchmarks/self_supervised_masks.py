"""How well text masks made of the picture alone agree with the rendered ones, process by process.

    python benchmarks/self_supervised_masks.py RECIPE [--count 200] [--seed 11] [--out masks.md]

Intersection over union of the text's pixels with the rendered text mask of the same crop, mean over the
crops of a
process; then the share of crops whose mask is reversed or void (IoU below 0.1). ``two_means`` is
the paper's.
"""

import argparse
from pathlib import Path

import numpy as np

from serialread import synth
from serialread.config import DataRecipe, load
from serialread.config.training_recipe import Masks, ReliefClusters, TwoMeans
from serialread.imaging.masks import text_mask
from serialread.records import Sample

KINDS: tuple[Masks, ...] = (TwoMeans(), ReliefClusters())
LOST = 0.1


def overlap(sample: Sample, kind: Masks) -> float:
    drawn = text_mask(sample.pixels, kind, None)
    assert drawn is not None
    assert sample.glyphs is not None
    true = sample.glyphs > 0
    return float((true & (drawn > 0)).sum() / max((true | (drawn > 0)).sum(), 1))


def line(name: str, overlaps: np.ndarray) -> str:
    """One row: for every kind mean overlap, its standard error and the share lost."""
    cells = [
        f"{kind.mean():.3f} ± {kind.std() / max(len(kind), 1) ** 0.5:.3f} | {100 * (kind < LOST).mean():.1f}"
        for kind in overlaps.T
    ]
    return f"| {name} | {len(overlaps)} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows = [
        "| process | crops | " + " | ".join(f"{k.kind} IoU | lost %" for k in KINDS) + " |",
        "|---|" + "---|" * (1 + 2 * len(KINDS)),
    ]
    everything = []
    for part in load(args.recipe, DataRecipe).by_process():
        crops = [synth.make_sample(part, args.seed, i) for i in range(args.count)]
        overlaps = np.array([[overlap(crop, kind) for kind in KINDS] for crop in crops])
        everything.append(overlaps)
        rows.append(line(part.processes[0].kind, overlaps))
        print(rows[-1], flush=True)
    rows.append(line("all", np.concatenate(everything)))
    print(rows[-1])
    if args.out:
        args.out.write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
