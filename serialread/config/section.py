"""How a recipe file becomes a typed, frozen value: TOML, strict keys, every problem at once."""

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError

from serialread.errors import RecipeError


class Section(BaseModel):
    """A part of a recipe; unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


S = TypeVar("S", bound=Section)


def load(path: Path, kind: type[S]) -> S:
    """Read one TOML file into a section.

    A top-level ``extends = "other.toml"`` (relative to the file) is read first; the file then overrides it
    table by table, key by key.

    Raises:
        RecipeError: missing file, bad TOML, or every wrong key and value with its dotted place.
    """
    try:
        return kind.model_validate(_read(path, ()))
    except ValidationError as error:
        raise RecipeError(f"{path}: {_problems(error)}") from None


def to_toml(recipe: Section) -> str:
    """A recipe as the text of a TOML file; values that are the defaults are left out."""
    return tomli_w.dumps(recipe.model_dump(mode="json", exclude_defaults=True, exclude_none=True))


def recipe_id(recipe: Section) -> str:
    """Twelve hex digits that change with any value of the recipe."""
    text = json.dumps(recipe.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _read(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in seen:
        raise RecipeError(f"{path}: extends itself in a circle. Remove one of the extends lines.")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"{path}: no such recipe. Ready-made ones lie in recipes/.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not valid TOML: {error}. Correct the line it names.") from None
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read: {error.strerror}. Give a recipe file.") from None
    base = table.pop("extends", None)
    if base is None:
        return table
    return _merged(_read(path.parent / str(base), (*seen, path.resolve())), table)


def _merged(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in top.items():
        old = result.get(key)
        result[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def dotted(place: tuple[int | str, ...]) -> str:
    """Where in a recipe a problem is; of one that concerns all of it, ``recipe``."""
    return ".".join(map(str, place)) or "recipe"


def _problems(error: ValidationError) -> str:
    parts, problems = [], error.errors()
    places = [problem["loc"] for problem in problems]
    for problem in problems:
        at = problem["loc"]
        if problem["type"] == "too_short" and any(one != at and one[: len(at)] == at for one in places):
            continue  # only because its items are wrong, which is told
        place = dotted(at)
        if problem["type"] == "extra_forbidden":
            parts.append(f"{place}: no such key")
        else:
            given = problem["input"]  # a whole table says nothing
            got = "" if isinstance(given, dict) else f", got {given!r:.60}"
            parts.append(f"{place}: {problem['msg'].removeprefix('Value error, ')}{got}")
    return f"{len(parts)} problem(s): " + "; ".join(parts) + ". Correct the recipe."
