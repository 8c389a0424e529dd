"""Manifests: one JSON file that names the shards of a large store, with their counts, digests and origins.

A shard is a store of consecutive samples of one recipe and seed. It holds the same samples wherever it is
made: sample i of a shard is sample ``first + i`` of (recipe, seed).
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from serialread import __version__
from serialread.errors import StoreError, writing_errors

MANIFEST = "manifest.json"
"""File name of a manifest in the folder of its shards."""
FORMAT = 1


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """A shard of a manifest.

    Attributes:
        path: its folder, relative to the manifest's; forward slashes.
        first: number of its first sample among those of its recipe and seed.
        count: its samples.
        sha256: hex digest of its samples, see ``SampleStore.digest``.
        recipe_id: digest of its recipe; "" of a shard that was not rendered.
        seed: random seed; None of a shard that was not rendered.
    """

    path: str
    first: int
    count: int
    sha256: str
    recipe_id: str = ""
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """The shards of a store.

    Attributes:
        folder: that their paths are relative to.
        recipes: the recipes of the shards, by their id, as JSON.
        shards: in the order of the samples.
    """

    folder: Path
    recipes: Mapping[str, Any]
    shards: tuple[ShardEntry, ...]

    @property
    def count(self) -> int:
        """Samples of all shards."""
        return sum(shard.count for shard in self.shards)

    @property
    def about(self) -> dict[str, Any]:
        """What the file says beside the shards."""
        return {
            "serialread": __version__,
            "format": FORMAT,
            "samples": self.count,
            "recipes": dict(self.recipes),
        }

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all.

        Raises:
            StoreError: it cannot be written.
        """
        document = {**self.about, "shards": [asdict(shard) for shard in self.shards]}
        write_json(path, document)


def manifest_path(path: Path) -> Path | None:
    """The manifest that a path names, or that lies in the folder it names; None if there is none."""
    if path.suffix == ".json" and path.is_file():
        return path
    return found if (found := path / MANIFEST).is_file() else None


def read_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        StoreError: it cannot be read, or another version wrote it.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        number, shards = found["format"], tuple(ShardEntry(**shard) for shard in found["shards"])
        recipes = dict(found["recipes"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: no manifest of shards ({error}). Make the store again.") from None
    if number != FORMAT:
        raise StoreError(f"{path}: manifest format {number}, this version reads {FORMAT}. Update serialread.")
    return Manifest(path.parent, recipes, shards)


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write JSON under another name, then give it its own.

    Raises:
        StoreError: it cannot be written.
    """
    with writing_errors(path, StoreError, "Free some space, or name another folder."):
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.{os.getpid()}.new")
        new.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        new.replace(path)
