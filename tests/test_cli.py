"""The front desk: help, version, exit codes, and nothing heavy before it is needed."""

import re
import subprocess
import sys
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from serialread import __version__, cli, synth
from serialread.config import DataRecipe
from serialread.datasets import SampleStore
from serialread.errors import RecipeError, StoreError
from serialread.records import Origin, Sample

HEAVY = {
    "cv2",
    "jinja2",
    "lmdb",
    "matplotlib",
    "numpy",
    "openvino",
    "pandas",
    "pydantic",
    "scipy",
    "stdnum",
    "torch",
}
RECIPE = '[[processes]]\nkind = "ink"\n'


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serialread", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, [*map(str, arguments)])


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


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    script = "import sys, serialread.cli as c; c.app(['--help'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    *_, modules = done.stdout.splitlines()
    assert not {name.partition(".")[0] for name in modules.split()} & HEAVY
    for command in ("generate-synth", "data", "model", "study"):
        assert command in done.stdout


@pytest.mark.parametrize("command", [c.name or c.callback.__name__ for c in cli.app.registered_commands])
def test_every_command_explains_itself_and_its_options(command: str) -> None:
    shown = invoke(command, "--help")
    assert shown.exit_code == 0
    assert re.search(r"Usage: .*\[OPTIONS\]", shown.output)


def test_the_version_is_the_package_s() -> None:
    assert invoke("--version").output == f"serialread {__version__}\n"


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
