"""The command line: commands, help, options, exit codes, and what is printed where."""

import importlib.util
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import lmdb
import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from serialread import __version__, cli, synth
from serialread.cli import terminal
from serialread.config import DataRecipe
from serialread.datasets import SampleStore
from serialread.errors import RecipeError, StoreError
from serialread.records import Origin, Sample

ROOT = Path(__file__).parent.parent
HEAVY = {
    "cv2",
    "jinja2",
    "lmdb",
    "numpy",
    "openvino",
    "pandas",
    "pydantic",
    "scipy",
    "stdnum",
    "torch",
    "tqdm",
}
RECIPE = '[[processes]]\nkind = "ink"\n'
COMMANDS = (
    "read",
    "log verify",
    "log rerun",
    "audit",
    "study compare",
    "study plan",
    "study agreement",
    "station lens",
    "station fixture",
    "station geometry",
    "station confidence",
    "station normalize",
    "generate-synth",
    "data check",
    "data import",
    "data preview",
    "train",
    "model info",
    "model export",
    "model quantize",
    "model evaluate",
    "model explain",
)
PANELS = ("Read", "Audit", "Stations", "Data", "Models")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serialread", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, [*map(str, arguments)])


def commands(group: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every command below a group, by its full name."""
    for part in group.list_commands(None):
        command = group.commands[part]
        path = f"{name} {part}".strip()
        if hasattr(command, "commands"):
            yield from commands(command, path)
        else:
            yield path, command


EVERY = dict(commands(typer.main.get_command(cli.app)))


def stub(recipe: DataRecipe, seed: int, index: int) -> Sample:
    pixels = np.random.default_rng([seed, index]).integers(0, 256, (recipe.height, 60), dtype=np.uint8)
    return Sample(
        pixels, f"N{index}", np.ones_like(pixels), Origin("ink", "face", ((0, 0, 30, 32), (30, 0, 60, 32)))
    )


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe file, with the generator replaced by a quick one."""
    monkeypatch.setattr(synth, "make_sample", stub)
    monkeypatch.setattr(synth, "typeface_names", lambda _: ("face",))
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    return path


# --- help -----------------------------------------------------------------------------------------


def test_there_are_these_commands_and_no_others() -> None:
    assert tuple(EVERY) == COMMANDS


def test_the_help_shows_the_commands_in_panels_and_imports_nothing_heavy() -> None:
    script = "import sys, serialread.cli as c; c.app(['--help'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    *_, modules = done.stdout.splitlines()
    assert not {name.partition(".")[0] for name in modules.split()} & HEAVY
    assert re.findall(r"─ (\w+) ─", done.stdout) == ["Options", *PANELS]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_short_help_and_a_sentence_per_option(name: str) -> None:
    shown = invoke(*name.split(), "-h")
    assert shown.exit_code == 0
    assert re.search(rf"Usage: serialread {name} \[OPTIONS\]", shown.output)
    assert not EVERY[name].get_short_help_str().endswith("...")
    for option in EVERY[name].params:
        assert option.help, option.name
        assert option.help.endswith("."), option.help


@pytest.mark.parametrize("name", COMMANDS)
def test_outputs_and_quiet_runs_have_the_same_options_everywhere(name: str) -> None:
    options = {option.name: option.opts for option in EVERY[name].params}
    assert options.get("out", ["--out", "-o"]) == ["--out", "-o"]
    assert options.get("quiet", ["--quiet", "-q"]) == ["--quiet", "-q"]
    assert options.get("verbose", ["--verbose", "-v"]) == ["--verbose", "-v"]
    if name not in ("study plan", "model info"):  # these print their result and nothing else
        assert "quiet" in options


def test_the_shell_can_complete_commands() -> None:
    assert "--install-completion" in invoke("--help").output


def test_the_reference_page_is_what_the_help_says() -> None:
    spec = importlib.util.spec_from_file_location("generate_cli", ROOT / "docs" / "generate_cli.py")
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    written = generator.PAGE.read_text(encoding="utf-8")
    assert written == generator.page(), "docs/cli.md differs from the help. Regenerate it: make docs-cli"


def test_the_version_is_the_package_s() -> None:
    assert invoke("--version").output == f"serialread {__version__}\n"


# --- errors ---------------------------------------------------------------------------------------


def test_a_wrong_request_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    done = run("generate-synth", tmp_path / "none.toml", "--out", tmp_path / "out", "--count", 5)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {tmp_path}/none.toml: no such recipe. Examples are in recipes/.\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [(), ("unknown",), ("generate-synth",), ("generate-synth", "r", "--out", "o", "--count", "0")],
)
def test_a_misspelled_request_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    assert invoke(*arguments).exit_code == 2


# --- printing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "shown"), [("ascii", r"Gr\xf6\xdfe\u65e5.png"), ("cp1252", r"Größe\u65e5.png")]
)
def test_a_name_that_the_encoding_lacks_is_escaped(
    encoding: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    terminal.prepare_streams()
    terminal.result("Größe日.png")
    terminal.error("Größe日.png")
    out, err = (stream.flush() or stream.buffer.getvalue().decode(encoding) for stream in streams)
    assert (out, err) == (f"{shown}\n", f"error: {shown}\n")


def test_control_characters_in_names_are_printed_as_escapes() -> None:
    assert terminal.printable("a\tb\x1b[31m\n\udc80.png") == r"a\tb\x1b[31m\n\udc80.png"


def test_a_table_in_a_pipe_is_plain_and_breaks_no_cell(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.table import Table

    view = Table("batch", "[bold]images")
    view.add_row("line-2/" + "night-shift/" * 20, "1\x1b[31m", style="red")
    terminal.table(view, quiet=False)
    shown = capsys.readouterr().out
    assert "line-2/" + "night-shift/" * 20 in shown
    assert "[bold]images" in shown
    assert r"1\x1b[31m" in shown
    assert "\x1b" not in shown


def test_no_progress_bar_shows_unless_standard_error_is_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert list(terminal.track(range(3), 3, "images", quiet=False)) == [0, 1, 2]
    assert capsys.readouterr().err == ""


# --- rendering samples ----------------------------------------------------------------------------


def test_generate_synth_writes_a_store_that_knows_its_recipe(recipe: Path, tmp_path: Path) -> None:
    done = invoke(
        "generate-synth", recipe, "--out", tmp_path / "out", "--count", 20, "--seed", 3, "--workers", 2
    )
    assert done.exit_code == 0, done.output
    store = SampleStore(tmp_path / "out")
    np.testing.assert_array_equal(
        store[19].pixels, stub(DataRecipe.model_validate(store.about["recipe"]), 3, 19).pixels
    )
    assert (store.about["seed"], store.about["complete"], store.about["typefaces_offered"]) == (
        3,
        True,
        ["face"],
    )
    assert re.fullmatch(
        rf"{re.escape(str(tmp_path))}/out: 20 samples of recipe [0-9a-f]{{12}}, seed 3", done.stdout.strip()
    )


def test_generate_synth_resumes_only_when_told_and_only_the_same(recipe: Path, tmp_path: Path) -> None:
    again = ("generate-synth", recipe, "--out", tmp_path / "out", "--count", 6)
    assert invoke(*again).exit_code == 0
    assert isinstance(invoke(*again).exception, StoreError)
    assert isinstance(invoke(*again, "--resume", "--seed", 1).exception, StoreError)
    assert invoke(*again, "--resume").exit_code == 0


def test_the_real_generator_writes_the_same_store_with_any_number_of_workers(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE + '[[processes]]\nkind = "dot_peen"\n')
    for workers in (1, 2):
        arguments = (
            "generate-synth",
            tmp_path / "recipe.toml",
            "--out",
            tmp_path / f"{workers}",
            "--count",
            40,
        )
        assert invoke(*arguments, "--workers", workers).exit_code == 0
    with (
        lmdb.open(str(tmp_path / "1"), readonly=True, lock=False) as one,
        lmdb.open(str(tmp_path / "2"), readonly=True, lock=False) as two,
    ):
        assert list(one.begin().cursor()) == list(two.begin().cursor())


def test_a_quiet_command_prints_nothing(recipe: Path, tmp_path: Path) -> None:
    done = invoke("generate-synth", recipe, "-o", tmp_path / "out", "--count", 2, "--workers", 1, "-q")
    assert (done.exit_code, done.output) == (0, "")


def test_preview_draws_a_sheet(recipe: Path, tmp_path: Path) -> None:
    done = invoke(
        "data", "preview", recipe, "--out", tmp_path / "sheet.png", "--count", 6, "--columns", 3, "--masks"
    )
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path}/sheet.png: 6 samples\n")
    assert cv2.imread(str(tmp_path / "sheet.png")).shape[1] > 3 * 60


def test_preview_gives_every_process_its_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        synth, "make_sample", lambda recipe, seed, i: asked.append(recipe.processes) or stub(recipe, seed, i)
    )
    (tmp_path / "two.toml").write_text(RECIPE + '[[processes]]\nkind = "pen"\n')
    done = invoke(
        "data", "preview", tmp_path / "two.toml", "--out", tmp_path / "s.png", "--count", 4, "--by-process"
    )
    assert done.exit_code == 0, done.output
    assert [[p.kind for p in processes] for processes in asked] == [["ink"], ["ink"], ["pen"], ["pen"]]


def test_preview_refuses_a_recipe_with_unknown_keys(recipe: Path, tmp_path: Path) -> None:
    recipe.write_text(RECIPE + "colour = 3\n")
    done = invoke("data", "preview", recipe, "--out", tmp_path / "sheet.png")
    assert isinstance(done.exception, RecipeError)
    assert not (tmp_path / "sheet.png").exists()
