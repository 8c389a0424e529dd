"""Reading recipe files: TOML to typed, frozen values, with all problems in one error."""

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError

from serialread.errors import RecipeError


class Section(BaseModel):
    """A part of a recipe; frozen, unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


S = TypeVar("S", bound=Section)


def load(path: Path, kind: type[S]) -> S:
    """Read one TOML file into a section.

    A top-level ``extends = "other.toml"`` (relative to the file) names a base, which the file overrides table
    by table, key by key.

    Raises:
        RecipeError: missing file, invalid TOML, or all wrong keys and values with their dotted paths.
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
        raise RecipeError(f"{path}: extends itself. Remove one of the extends lines.")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"{path}: no such recipe. Examples are in recipes/.") from None
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
    """The dotted path of a problem in a recipe; ``recipe`` for one that concerns all of it."""
    return ".".join(map(str, place)) or "recipe"


def _problems(error: ValidationError) -> str:
    parts, problems = [], error.errors()
    places = [problem["loc"] for problem in problems]
    for problem in problems:
        at = problem["loc"]
        if problem["type"] == "too_short" and any(one != at and one[: len(at)] == at for one in places):
            continue  # follows from the errors of its items
        place = dotted(at)
        if problem["type"] == "extra_forbidden":
            parts.append(f"{place}: no such key")
        else:
            given = problem["input"]
            got = "" if isinstance(given, dict) else f", got {given!r:.60}"
            parts.append(f"{place}: {problem['msg'].removeprefix('Value error, ')}{got}")
    return f"{len(parts)} problem(s): " + "; ".join(parts) + ". Correct the recipe."
