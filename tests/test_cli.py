"""The command line: commands, help, options, exit codes, and what is printed where."""

import importlib.util
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import lmdb
import numpy as np
import pytest
import typer
from stub_model import write_stub
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
    "review",
    "line",
    "watch",
    "serve",
    "log verify",
    "log rerun",
    "audit",
    "study compare",
    "study plan",
    "study agreement",
    "validate",
    "station lens",
    "station fixture",
    "station geometry",
    "station confidence",
    "station normalize",
    "generate-synth",
    "data check",
    "data merge",
    "data export",
    "data import",
    "data preview",
    "train",
    "teach",
    "model info",
    "model export",
    "model average",
    "model quantize",
    "model evaluate",
    "model explain",
    "detector train",
    "detector export",
    "detector quantize",
)
PANELS = ("Read", "Line", "Audit", "Stations", "Data", "Models")


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
    assert "<bool>" not in shown.output
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
    assert written == generator.page(), (
        "docs/cli.md differs from the help. Regenerate it: make docs-reference"
    )


def test_the_version_is_the_package_s() -> None:
    assert invoke("--version").output == f"serialread {__version__}\n"


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_a_full_disk_behind_standard_output_is_one_line_and_exit_code_1() -> None:
    command = [sys.executable, "-m", "serialread", "study", "plan", "--target", "0.99"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr == (
        "error: standard output: cannot be written: No space left on device. Free the disk.\n"
    )


def test_a_wrong_request_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    done = run("generate-synth", tmp_path / "none.toml", "--out", tmp_path / "out", "--count", 5)
    assert (done.returncode, done.stdout) == (1, "")
    advice = "Examples of recipes are in recipes/, of stations in calib/."
    assert done.stderr == f"error: {tmp_path}/none.toml: no such file. {advice}\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [(), ("unknown",), ("generate-synth",), ("generate-synth", "r", "--out", "o", "--count", "0")],
)
def test_a_misspelled_request_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    assert invoke(*arguments).exit_code == 2


def test_messages_name_commands_and_options_that_exist() -> None:
    groups = {name.partition(" ")[0] for name in COMMANDS if " " in name}
    grouped = {name.partition(" ")[2] for name in COMMANDS} - {"", "import"}
    found = 0
    for path in Path(cli.__file__).parents[1].rglob("*.py"):
        for text in re.findall(r"serialread ([a-z-]+[^;.`\"\n]*)", path.read_text(encoding="utf-8")):
            first, second, *_ = f"{text} - ".split()
            name = f"{first} {second}" if first in groups else first
            wrong = first in grouped - set(COMMANDS) or (
                first in groups and name not in EVERY and second.islower()
            )
            assert not wrong, f"{path}: serialread {text}"
            if name in EVERY:
                options = {spelling for option in EVERY[name].params for spelling in option.opts}
                used = re.findall(r"--[a-z-]+", text.partition(" and serialread")[0])
                assert options.issuperset(used), f"{path}: serialread {text}"
                found += 1
    assert found > 20


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


def test_a_table_stays_aligned_in_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.table import Table

    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    view = Table("interval")
    view.add_row("64.61–98.51")
    view.add_row("Tür 1.jpg")
    terminal.table(view, quiet=False)
    stream.flush()
    lines = stream.buffer.getvalue().decode("ascii").splitlines()
    assert "| 64.61-98.51  |" in lines
    assert r"| T\xfcr 1.jpg |" in lines
    assert len(set(map(len, lines))) == 1


def test_no_progress_bar_shows_unless_standard_error_is_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert list(terminal.track(range(3), 3, "images", quiet=False)) == [0, 1, 2]
    assert capsys.readouterr().err == ""


# --- reading --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnx")
    return write_stub(tmp_path_factory.mktemp("model") / "stub.onnx")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two pictures, one with a tab in its name, and twelve files that are none."""
    folder = tmp_path / "pictures"
    (folder / "a").mkdir(parents=True)
    for name, width in (("a/1.png", 100), ("tab\t2.png", 60)):
        cv2.imwrite(str(folder / name), np.full((32, width), 140, np.uint8))
    for number in range(12):
        (folder / f"{number:02}.txt").touch()
    return folder


def test_one_picture_prints_its_code_and_nothing_else(model: Path, pictures: Path) -> None:
    done = invoke("read", pictures / "a" / "1.png", "--model", model)
    assert done.exit_code == 0, done.output
    assert re.fullmatch(r"\d7\n", done.stdout)
    assert done.stderr == "1.png: REVIEW: not calibrated: the station has no acceptance threshold\n"


def test_several_pictures_print_a_line_each_with_tabs(model: Path, pictures: Path) -> None:
    done = invoke("read", pictures, "--model", model)
    assert done.exit_code == 0, done.output
    first, second = done.stdout.splitlines()
    assert re.fullmatch(r"a/1\.png\t\d7\t[01]\.\d{3}\tREVIEW", first)
    assert second.startswith("tab\\t2.png\t")
    names = ", ".join(f"{number:02}.txt" for number in range(10))
    assert done.stderr == f"12 files skipped (not a picture suffix): {names}, ... and 2 more\n"
    (pictures / ".hidden.png").write_bytes(b"")
    done = invoke("read", pictures, "--model", model)
    assert "13 files skipped (hidden, or not a picture suffix): .hidden.png, 00.txt, " in done.stderr


def test_json_prints_the_records_that_readings_jsonl_holds(
    model: Path, pictures: Path, tmp_path: Path
) -> None:
    printed = [
        json.loads(line) for line in invoke("read", pictures, "--model", model, "--json").stdout.splitlines()
    ]
    done = invoke("read", pictures, "--model", model, "--json", "-o", tmp_path / "out")
    written = [json.loads(line) for line in (tmp_path / "out" / "readings.jsonl").read_text().splitlines()]
    changing = {"elapsed_ms": None, "read_at": None}
    assert [line | changing for line in printed] == [line | changing for line in written]
    assert json.loads(done.stdout) == {
        "images": 2,
        "read": 2,
        "accept": 0,
        "review": 2,
        "reject": 0,
        "kept": 0,
        "read_again": 0,
        "not_accepted": 2,
        "skipped": [f"{number:02}.txt" for number in range(12)],
    }


def test_a_picture_is_read_from_standard_input(model: Path, pictures: Path) -> None:
    data = (pictures / "a" / "1.png").read_bytes()
    done = CliRunner().invoke(cli.app, ["read", "-", "--model", str(model), "-q", "--strict"], input=data)
    assert (done.exit_code, done.stderr) == (3, "")
    assert done.stdout == invoke("read", pictures / "a" / "1.png", "--model", model).stdout


def test_what_is_no_picture_prints_an_empty_line_and_its_reason(model: Path) -> None:
    done = CliRunner().invoke(cli.app, ["read", "-", "--model", str(model)], input=b"no picture")
    assert (done.exit_code, done.stdout) == (0, "\n")
    assert done.stderr.startswith("-: REJECT: ")


def test_a_run_with_out_is_summed_up_with_the_names_of_skipped_files(
    model: Path, pictures: Path, tmp_path: Path
) -> None:
    arguments = ("read", pictures, "--model", model, "--out", tmp_path / "out")
    done = invoke(*arguments)
    assert done.exit_code == 0, done.output
    *_, files, skipped = done.stdout.splitlines()
    assert files == f"{tmp_path}/out: readings.csv, readings.jsonl"
    assert skipped.startswith("12 files skipped (not a picture suffix): 00.txt, 01.txt, ")
    assert skipped.endswith("09.txt, ... and 2 more")
    again = invoke(*arguments, "--resume")
    assert f"{tmp_path}/out: readings.csv, readings.jsonl; 2 kept from before\n" in again.stdout
    quiet = invoke(*arguments, "--overwrite", "--quiet")
    assert (quiet.exit_code, quiet.output) == (0, "")
    verbose = invoke(*arguments, "--overwrite", "--verbose")
    assert verbose.stderr.count(": REVIEW: not calibrated") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a.png", "--resume"), "--resume requires --out"),
        (("a.png", "--log", "runs.log"), "--log requires --out"),
        (("a.png", "--out", "o", "--resume", "--overwrite"), "give one"),
        (("-", "a.png"), "give it alone"),
        (("-", "--out", "o"), "give it alone"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(arguments: tuple[str, ...], message: str) -> None:
    done = invoke("read", *arguments)
    assert done.exit_code == 2
    assert message in " ".join(re.sub("[│╭╰─╮╯]", "", done.stderr).split())


def test_a_log_that_the_environment_names_does_not_need_out(
    model: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERIALREAD_LOG", str(tmp_path / "runs.log"))
    assert invoke("read", pictures / "a" / "1.png", "--model", model).exit_code == 0
    assert not (tmp_path / "runs.log").exists()


# --- models ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "files"),
    [
        ((), {"model.onnx"}),
        (("--trainable", "w.safetensors"), {"w.safetensors"}),
        (("-o", "m.onnx", "--trainable", "w.safetensors"), {"m.onnx", "w.safetensors"}),
    ],
)
def test_export_writes_the_model_file_or_the_trainable_weights(
    options: tuple[str, ...], files: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    from serialread import training
    from serialread.training import checkpoint

    monkeypatch.setattr(checkpoint, "load", lambda run: SimpleNamespace(model_id="name-0123456789ab"))
    monkeypatch.setattr(checkpoint, "save_trainable", lambda run, out: out.write_bytes(b""))
    monkeypatch.setattr(training, "export", lambda run, out: out.write_bytes(b""))
    monkeypatch.chdir(tmp_path)
    done = invoke("model", "export", "run", *options)
    assert done.exit_code == 0, done.output
    assert {path.name for path in tmp_path.iterdir()} == files
    assert done.stdout.count("name-0123456789ab") == len(files)


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


def test_generate_synth_resumes_only_on_request_and_only_the_same(recipe: Path, tmp_path: Path) -> None:
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
            20,
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
    rendered = []
    monkeypatch.setattr(
        synth,
        "make_sample",
        lambda recipe, seed, i: rendered.append(recipe.processes) or stub(recipe, seed, i),
    )
    (tmp_path / "two.toml").write_text(RECIPE + '[[processes]]\nkind = "pen"\n')
    done = invoke(
        "data", "preview", tmp_path / "two.toml", "--out", tmp_path / "s.png", "--count", 4, "--by-process"
    )
    assert done.exit_code == 0, done.output
    assert [[p.kind for p in processes] for processes in rendered] == [["ink"], ["ink"], ["pen"], ["pen"]]


def test_preview_refuses_a_recipe_with_unknown_keys(recipe: Path, tmp_path: Path) -> None:
    recipe.write_text(RECIPE + "colour = 3\n")
    done = invoke("data", "preview", recipe, "--out", tmp_path / "sheet.png")
    assert isinstance(done.exception, RecipeError)
    assert not (tmp_path / "sheet.png").exists()
