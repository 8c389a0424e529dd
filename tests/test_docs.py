"""The documentation is true: its examples run, its links lead somewhere, its commands and settings exist."""

import contextlib
import doctest
import importlib.util
import io
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from test_layers import LAYERS

import serialread
from serialread.cli import app
from serialread.config import DataRecipe
from serialread.reader.serialization import COLUMNS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    page for at in (".", "docs", "docs/line", "docs/benchmarks") for page in (ROOT / at).glob("*.md")
)
CURRENT = [
    page for page in PAGES if page.name not in ("CHANGELOG.md", "cli.md") and page.parent.name != "benchmarks"
]
"""Pages that describe this version; the others quote commands of earlier ones, or are generated."""
RUN = [ROOT / "README.md", DOCS / "tutorial.md", DOCS / "rendering.md"]
"""Pages with plain Python examples."""


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory laid out as the repository, whose new files vanish after the test."""
    for name in ("sample_images", "recipes", "calib"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", RUN, ids=name_of)
@pytest.mark.usefixtures("checkout")
def test_python_examples_run(page: Path) -> None:
    names: dict[str, object] = {}
    assert blocks(page, "python")
    for block in blocks(page, "python"):
        with contextlib.redirect_stdout(io.StringIO()) as shown:
            exec(compile(block, name_of(page), "exec"), names)
        assert shown.getvalue() or "print(" not in block


@pytest.mark.usefixtures("checkout")
def test_examples_of_the_api_print_what_the_page_says() -> None:
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    code = "\n".join(blocks(DOCS / "api.md", "pycon"))
    assert code.count(">>>") > 20
    test = doctest.DocTestParser().get_doctest(code, {}, "docs/api.md", "docs/api.md", 0)
    failed = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    result = runner.run(test, out=failed.write)
    assert result.failed == 0, failed.getvalue()
    assert "{{" not in text


def test_the_api_page_names_and_shows_everything_public() -> None:
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    shown = "\n".join(blocks(DOCS / "api.md", "(?:pycon|python)"))
    for name in serialread.__all__:
        assert f"::: serialread.{name}\n" in f"{text}\n" or f"`{name}`: see [its settings]" in text, name
        assert re.search(rf"\b{name}\b", shown), name


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_of_the_repository(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path = target.partition("#")[0]
        if path and "://" not in path:
            assert (page.parent / path).exists(), f"{name_of(page)}: {target}"


@pytest.mark.parametrize("page", CURRENT, ids=name_of)
def test_commands_exist(page: Path) -> None:
    commands = subcommands(typer.main.get_command(app))
    text = re.sub(r"```(?:python|pycon)\n.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    spans = "\n".join(re.findall(r"`+[^`]*`+", text))
    for first, second in re.findall(r"\bserialread ([a-z][a-z-]+)(?: ([a-z][a-z-]+)\b)?", spans):
        assert first in commands, f"{name_of(page)}: serialread {first}"
        if inner := subcommands(commands[first]):
            assert second in inner, f"{name_of(page)}: serialread {first} {second}"


@pytest.mark.parametrize("page", CURRENT, ids=name_of)
def test_named_files_exist(page: Path) -> None:
    places = r"`((?:serialread|tests|benchmarks|recipes|docs|calib|\.ci)/[\w./-]+)`"
    for path in re.findall(places, page.read_text(encoding="utf-8")):
        assert (ROOT / path).exists(), f"{name_of(page)}: {path}"


def test_the_layers_of_the_contributing_guide_are_those_of_the_tests() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    picture = text.partition("## Layers")[2].split("```")[1]
    assert tuple(re.findall(r"^(\w+) ", picture, re.MULTILINE)) == LAYERS


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_named_scripts_and_recipes_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if page.name != "CHANGELOG.md":
        for path in re.findall(r"\b((?:benchmarks|recipes)/[\w./-]+\.(?:py|toml|sh|csv))\b", text):
            assert (ROOT / path).exists(), f"{name_of(page)}: {path}"


def test_the_page_of_results_explains_every_column() -> None:
    text = (DOCS / "results.md").read_text(encoding="utf-8")
    assert [column for column in COLUMNS if f"`{column}`" not in text] == []


def test_the_workflow_runs_tests_that_exist() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert [path for path in re.findall(r"tests/\w+\.py", workflow) if not (ROOT / path).exists()] == []


def test_changelog_and_citation_name_this_version() -> None:
    assert f"## {serialread.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\nversion: {serialread.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def subcommands(command: Any) -> dict[str, Any]:
    """Commands of a group by name; empty for a single command."""
    return dict(getattr(command, "commands", {}))


def test_recipes_of_the_generator_page_are_valid() -> None:
    recipes = blocks(DOCS / "generator.md", "toml")
    assert len(recipes) > 20
    for recipe in recipes:
        DataRecipe.model_validate(tomllib.loads(recipe))


def test_reference_of_the_settings_describes_every_key() -> None:
    reference = settings_reference()
    for name, (_, root) in reference.PAGES.items():
        page = reference.page(name)
        written = (DOCS / name).read_text(encoding="utf-8")
        assert written == page, f"docs/{name} differs from the settings. Regenerate it: make docs-reference"
        for section in reference.sections(root):
            assert f"## {section.__name__}\n" in page
            for key, field in section.model_fields.items():
                assert f"| `{key}` |" in page
                described = field.description or key == "kind" or list(reference.models_in(field.annotation))
                assert described, f"{section.__name__}.{key} has no docstring"


def settings_reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("settings_reference", DOCS / "settings_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
