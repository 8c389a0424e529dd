"""Rendering a recipe into shards, on any number of workers, and the manifest that names them."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

from serialread.config import DataRecipe, load, recipe_id
from serialread.datasets import SampleStore, generate_part
from serialread.datasets.manifests import MANIFEST, Manifest, ShardEntry, write_json
from serialread.errors import StoreError
from serialread.scale.engines import Processes, RayActors

MARKER = "shard.json"
"""Written into a shard's folder when it is complete: its line of the manifest."""
Runner = Processes[ShardEntry, ShardEntry] | RayActors[ShardEntry, ShardEntry]


def generate_shards(
    recipe: DataRecipe | Path | str,
    out: str | Path,
    count: int,
    *,
    shard_size: int,
    seed: int = 0,
    runner: Runner | None = None,
    resume: bool = False,
) -> Iterator[int]:
    """Render a recipe's samples into shards; the manifest is written when all are complete.

    Args:
        recipe: a data recipe, or the path of its TOML file.
        out: the folder of the shards, which every worker must see.
        count: samples of all shards.
        shard_size: samples of a shard; the last may have fewer. One process makes a shard.
        seed: another seed gives other samples.
        runner: who renders; by default this process.
        resume: keep the shards that are complete, and continue those that are not.

    Yields:
        The number of samples in complete shards.

    Raises:
        RecipeError: the file is no data recipe.
        StoreError: the folder holds something else, or a shard cannot be made; what is complete is kept.
    """
    from serialread import synth

    out = Path(out)
    loaded = recipe if isinstance(recipe, DataRecipe) else load(Path(recipe), DataRecipe)
    if out.exists() and not (resume and out.is_dir()) and (not out.is_dir() or any(out.iterdir())):
        raise StoreError(f"{out}: is not empty. Add --resume to continue its shards, or name a new folder.")
    named = recipe_id(loaded)
    planned = [
        ShardEntry(f"{number:05d}", first, min(shard_size, count - first), "", named, seed)
        for number, first in enumerate(range(0, count, shard_size))
    ]
    make = partial(_make_shard, loaded, out.resolve(), synth.typeface_names(loaded))
    done: dict[str, ShardEntry] = {}
    for shard in (runner or Processes()).run(partial(partial, make), planned):
        done[shard.path] = shard
        yield sum(one.count for one in done.values())
    recipes = {named: loaded.model_dump(mode="json")}
    Manifest(out, recipes, tuple(done[one.path] for one in planned)).write(out / MANIFEST)


def _make_shard(
    recipe: DataRecipe, folder: Path, typefaces: tuple[str, ...], wanted: ShardEntry
) -> ShardEntry:
    """Render a shard, or continue it; one that is complete is returned as it is."""
    from serialread import synth

    path = folder / wanted.path
    if (path / MARKER).is_file():
        found = ShardEntry(**json.loads((path / MARKER).read_text(encoding="utf-8")))
        if asdict(found) == {**asdict(wanted), "sha256": found.sha256}:
            return found
        raise StoreError(
            f"{path}: holds samples {found.first} to {found.first + found.count - 1} of recipe "
            f"{found.recipe_id}, seed {found.seed}. Resume with the same recipe, seed and shard size, or "
            "name a new folder."
        )
    if synth.typeface_names(recipe) != typefaces:
        raise StoreError(
            f"{path}: this machine has other typefaces than the one that started the work. Install the same "
            "on all."
        )
    part = range(wanted.first, wanted.first + wanted.count)
    for _ in generate_part([recipe], path, part, seed=wanted.seed or 0, workers=1):
        pass
    with SampleStore(path) as store:
        made = ShardEntry(**{**asdict(wanted), "sha256": store.digest()})
    write_json(path / MARKER, asdict(made))
    return made
