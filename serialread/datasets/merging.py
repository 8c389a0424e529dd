"""Merging of stores: one manifest that names the shards of all."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from serialread.datasets.manifests import MANIFEST, Manifest, ShardEntry
from serialread.datasets.sample_store import SampleStore
from serialread.errors import StoreError


def merge(stores: Sequence[Path | str], out: Path | str) -> Manifest:
    """Write a manifest of the shards of several stores, which stay where they are.

    Args:
        stores: stores and manifests, in the order of the samples.
        out: the folder of the manifest, new or empty.

    Raises:
        StoreError: a store cannot be read, two hold the same samples of a recipe and seed, or ``out`` is not
            empty.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StoreError(f"{out}: is not empty. Name a new folder.")
    found = [_manifest_of(Path(store)) for store in stores]
    shards = [
        replace(shard, path=_relative(manifest.folder / shard.path, out))
        for manifest in found
        for shard in manifest.shards
    ]
    for one, other in _overlapping(shards):
        raise StoreError(
            f"{other.path}: holds samples that {one.path} holds, too (recipe {one.recipe_id}, "
            f"seed {one.seed}). Leave one of them out."
        )
    recipes = {name: recipe for manifest in found for name, recipe in manifest.recipes.items()}
    made = Manifest(out, recipes, tuple(shards))
    made.write(out / MANIFEST)
    return made


def _manifest_of(path: Path) -> Manifest:
    """The manifest of a store; a single LMDB counts as its only shard."""
    with SampleStore(path) as store:
        if store.manifest is not None:
            return store.manifest
        about = store.about
        rendered = "recipe_id" in about
        shard = ShardEntry(
            path=path.name,
            first=int(about.get("first", 0)),
            count=len(store),
            sha256=store.digest(),
            recipe_id=about["recipe_id"] if rendered else "",
            seed=about["seed"] if rendered else None,
        )
        recipes = {shard.recipe_id: about["recipe"]} if rendered else {}
        return Manifest(path.resolve().parent, recipes, (shard,))


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def _overlapping(shards: Iterable[ShardEntry]) -> Iterator[tuple[ShardEntry, ShardEntry]]:
    rendered = sorted(
        (shard for shard in shards if shard.seed is not None), key=lambda s: (s.recipe_id, s.seed, s.first)
    )
    for one, other in pairwise(rendered):
        same = (one.recipe_id, one.seed) == (other.recipe_id, other.seed)
        if same and other.first < one.first + one.count:
            yield one, other
