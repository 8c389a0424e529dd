"""Write docs/settings-*.md from the pydantic models of stations and recipes: ``make docs-reference``."""

import json
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from serialread.config import DataRecipe, LineConfig, Station, TrainingRecipe
from serialread.config.detector_recipe import DetectorRecipe

PAGES: dict[str, tuple[str, type[BaseModel]]] = {
    "settings-station.md": ("Station settings", Station),
    "settings-data.md": ("Data recipe settings", DataRecipe),
    "settings-training.md": ("Training recipe settings", TrainingRecipe),
    "settings-detector.md": ("Detector recipe settings", DetectorRecipe),
    "settings-line.md": ("Line settings", LineConfig),
}
INTRODUCTION = """\
One section for every table of the TOML file. A key that the file does not set has its default. An unknown key
is an error. The names in the column "type" lead to the tables that the key accepts.
"""
UNITS = {
    "_px": "px",
    "_mm": "mm",
    "_deg": "degrees",
    "_ms": "ms",
    "_share": "0..1",
    "_s": "s",
}
"""Units by the ending of a key; other units stand in the description."""


def page(name: str) -> str:
    """One page in Markdown: every section reachable from the root, the root first."""
    title, root = PAGES[name]
    text = f"# {title}\n\n{INTRODUCTION}\n" + "\n".join(section(one) for one in sections(root))
    return text.rstrip() + "\n"


def sections(root: type[BaseModel]) -> list[type[BaseModel]]:
    """The root and every section below it, each once, in the order of the fields."""
    found = [root]
    for one in found:
        for field in one.model_fields.values():
            found.extend(inner for inner in models_in(field.annotation) if inner not in found)
    return found


def section(model: type[BaseModel]) -> str:
    """Heading, docstring and table of one section."""
    rows = "\n".join(_row(name, field) for name, field in model.model_fields.items())
    table = f"| key | type | default | unit | description |\n|---|---|---|---|---|\n{rows}\n" if rows else ""
    return f"## {model.__name__}\n\n{_one_line(model.__doc__ or '')}\n\n{table}"


def _row(name: str, field: FieldInfo) -> str:
    unit = next((unit for ending, unit in UNITS.items() if name.endswith(ending)), "")
    text = _one_line(field.description or "") or ("Selects the kind." if name == "kind" else "")
    cells = (f"`{name}`", _type(field.annotation), _default(field), unit, text or "See the linked table.")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        kind = getattr(value, "kind", None)
        return f'`kind = "{kind}"`' if kind else "its defaults"
    if isinstance(value, tuple) and any(isinstance(one, BaseModel) for one in value):
        return f"{len(value)} tables"
    if value is None:
        return "unset"
    text = json.dumps(value, ensure_ascii=False, default=str)  # TOML's spelling for all that recipes hold
    return f"`{text if len(text) <= 60 else text[:57] + '...'}`"


def _type(annotation: Any) -> str:
    """A type as a reader of TOML sees it; sections are links."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(inner[0])
    if origin is Literal:
        return " or ".join(f'`"{one}"`' if isinstance(one, str) else f"`{one}`" for one in inner)
    if origin in (Union, types.UnionType):
        return " or ".join("unset" if one is type(None) else _type(one) for one in inner)
    if origin is tuple and len(inner) == 2 and inner[1] is not Ellipsis:
        return "two numbers" if inner[0] in (int, float) else f"({_type(inner[0])}, {_type(inner[1])})"
    if origin is tuple:
        return "list of " + _type(inner[0]) if inner[-1] is Ellipsis else f"{len(inner)} values"
    if origin is not None and inner:
        return "table of " + _type(inner[-1]) if issubclass(origin, dict | typing.Mapping) else str(origin)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    return {bool: "true or false", int: "whole number", float: "number", str: "text"}.get(
        annotation, getattr(annotation, "__name__", str(annotation))
    )


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The sections that an annotation names, unions and containers included."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    else:
        for inner in get_args(annotation):
            yield from models_in(inner)


def _one_line(text: str) -> str:
    return " ".join(text.replace("``", "`").split())


if __name__ == "__main__":
    for name in PAGES:
        Path(__file__).with_name(name).write_text(page(name), encoding="utf-8")
