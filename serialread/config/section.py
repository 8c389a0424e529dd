"""Reading recipe files: TOML to typed, frozen values, with all problems in one error."""

import difflib
import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError

from serialread.errors import RecipeError


class Section(BaseModel):
    """A part of a recipe; frozen, unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


S = TypeVar("S", bound=Section)


def load(path: str | Path, kind: type[S]) -> S:
    """Read one TOML file, such as a station or a recipe.

    A top-level ``extends = "other.toml"`` (relative to the file) names a base, which the file overrides table
    by table, key by key.

    Raises:
        RecipeError: missing file, invalid TOML, or all wrong keys and values with their dotted paths.
    """
    return parse(_read(Path(path), ()), kind, str(path))


def parse(table: Mapping[str, Any], kind: type[S], place: str, advice: str = "Correct the file.") -> S:
    """A section of values that were read elsewhere, such as from the options of a command.

    Raises:
        RecipeError: all wrong keys and values, after the name of their place and before the advice.
    """
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        raise RecipeError(f"{place}: {_problems(error, kind)}. {advice}") from None


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
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # some editors write a byte order mark
    except FileNotFoundError:
        raise RecipeError(
            f"{path}: no such file. Examples of recipes are in recipes/, of stations in calib/."
        ) from None
    except UnicodeDecodeError:
        raise RecipeError(f"{path}: not a text file. Give a TOML file.") from None
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path}: not valid TOML: {error}. Correct that line.") from None
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read: {error.strerror}. Give a TOML file.") from None
    base = table.pop("extends", None)
    if base is None:
        return table
    return merged(_read(path.parent / str(base), (*seen, path.resolve())), table)


def merged(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    """A table with another one on top, key by key; tables in it alike."""
    result = dict(base)
    for key, value in top.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def dotted(place: tuple[int | str, ...]) -> str:
    """The dotted path of a problem in a recipe; "" for one that concerns all of it."""
    return ".".join(map(str, place))


def _problems(error: ValidationError, kind: type[Section]) -> str:
    parts, problems = [], error.errors()
    places = [problem["loc"] for problem in problems]
    for problem in problems:
        at = problem["loc"]
        if problem["type"] == "too_short" and any(one != at and one[: len(at)] == at for one in places):
            continue  # follows from the errors of its items
        place, given = dotted(at), problem["input"]
        match problem["type"]:
            case "extra_forbidden":
                parts.append(f"{place}: no such key{_suggestion(at, kind)}")
            case "missing":
                parts.append(f"{place}: missing")
            case "union_tag_invalid":
                context = problem["ctx"]
                parts.append(f"{place}: no kind {context['tag']!r}, only {context['expected_tags']}")
            case "tuple_type" if isinstance(given, dict):
                parts.append(f"{place}: one table, where a list of them belongs. Write [[{place}]]")
            case "tuple_type":
                parts.append(f"{place}: not a list in brackets (got {given!r:.60})")
            case _:
                got = "" if isinstance(given, dict) else f" (got {given!r:.60})"
                message = problem["msg"].removeprefix("Value error, ").rstrip(".")
                parts.append(f"{place}: {message}{got}" if place else f"{message}{got}")
    count = "1 problem" if len(parts) == 1 else f"{len(parts)} problems"
    return f"{count}: {'; '.join(parts)}"


def _suggestion(place: tuple[int | str, ...], kind: type[Section]) -> str:
    """The known key that is most like a wrong one: of its own section, else of any other."""
    key, own = str(place[-1]), [kind]
    for step in place[:-1]:
        fields = [section.model_fields[step] for section in own if step in section.model_fields]
        own = [one for field in fields for one in _sections_in(field.annotation)] if fields else own
    known = sorted({name for section in own for name in section.model_fields})
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.75) or _anywhere(key, kind)
    return f" (did you mean {close[0]}?)" if close else ""


def _anywhere(key: str, kind: type[Section]) -> list[str]:
    """The key of any section that is most like a wrong one, but not the same: that is right elsewhere."""
    sections = [kind]
    for section in sections:  # grows while it is walked
        below = [one for field in section.model_fields.values() for one in _sections_in(field.annotation)]
        sections += [one for one in dict.fromkeys(below) if one not in sections]
    known = sorted({name for section in sections for name in section.model_fields} - {key})
    return difflib.get_close_matches(key, known, n=1, cutoff=0.75)


def _sections_in(annotation: Any) -> list[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for one in get_args(annotation) for section in _sections_in(one)]
