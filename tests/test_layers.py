"""Packages form ordered layers: each imports only earlier ones; torch is imported only by training code."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import serialread

PACKAGE = Path(serialread.__file__).parent

WITHOUT_TORCH = (
    "errors",
    "storage",
    "worker_processes",
    "records",
    "codes",
    "label_tables",
    "config",
    "imaging",
    "metrics",
    "synth",
    "datasets",
    "weights",
    "inference",
    "detection",
    "run_log",
    "reader",
    "calibration",
    "evaluation",
    "auditing",
    "review",
    "scale",
    "line",
)
WITH_TORCH = ("models", "training", "teaching", "cli")
LAYERS = (*WITHOUT_TORCH, *WITH_TORCH)
TRAINING_ONLY = {"torch", "onnx", "onnxscript", "torchvision"}

BLOCKED = """
import importlib, sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError("No module named " + name + " (blocked)", name=name)
sys.meta_path.insert(0, NoTorch())
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def layer(name: str) -> str:
    """The layer of a dotted module name; "" for the package itself."""
    return (*name.split("."), "")[1]


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(path: Path, *, at_import_only: bool = False) -> set[str]:
    """Every module that a file imports; with ``at_import_only`` without those inside functions."""
    found: set[str] = set()
    pending: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; the layers are checked by full names"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            pending.extend(node.orelse)
        elif not (at_import_only and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            pending.extend(ast.iter_child_nodes(node))
    return found


def reached(start: str) -> set[str]:
    """Every module that importing ``start`` imports, directly or through serialread's own modules."""
    seen: set[str] = set()
    pending = [start]
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in MODULES:
            parents = {name.rpartition(".")[0]} - {""}
            pending.extend(imports(MODULES[name], at_import_only=True) | parents)
    return seen


def test_every_module_is_in_a_known_layer() -> None:
    unknown = {layer(name) for name in MODULES} - {*LAYERS, "", "__main__"}
    assert not unknown, f"give {unknown} a place among the layers"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_layer_imports_only_earlier_layers(name: str) -> None:
    if layer(name) in ("", "__main__"):
        return
    place = LAYERS.index(layer(name))
    for wanted in sorted(imports(MODULES[name])):
        top, _, _ = wanted.partition(".")
        if top != "serialread" or layer(wanted) not in LAYERS:
            continue
        assert LAYERS.index(layer(wanted)) <= place, f"{name} imports {wanted}, a later layer"


def test_no_module_name_and_no_class_name_occurs_twice() -> None:
    paths = [path for path in MODULES.values() if path.name != "__init__.py"]
    classes = [
        node.name
        for path in paths
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    names = Counter(path.stem for path in paths)
    assert not [name for name, count in (names + Counter(classes)).items() if count > 1]
    assert not names.keys() & {"utils", "common", "base", "types", "helpers"}


def test_importing_the_package_imports_no_layer_and_no_library() -> None:
    script = "import sys, serialread; print([m for m in sys.modules if m.partition('.')[0] in sys.argv[1:]])"
    heavy = ["cv2", "numpy", "openvino", "pandas", "pydantic", "torch"]
    done = subprocess.run([sys.executable, "-c", script, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert (
        "serialread.records"
        not in subprocess.run(
            [sys.executable, "-c", "import sys, serialread; print(*sys.modules)"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
    )


@pytest.mark.parametrize("name", sorted(n for n in MODULES if layer(n) in WITHOUT_TORCH))
def test_layers_without_torch_never_import_it(name: str) -> None:
    own = {wanted.partition(".")[0] for wanted in imports(MODULES[name])}
    through_others = {wanted.partition(".")[0] for wanted in reached(name)}
    assert not (own | through_others) & TRAINING_ONLY


def test_the_command_line_imports_torch_only_on_demand() -> None:
    assert not {wanted.partition(".")[0] for wanted in reached("serialread.cli")} & TRAINING_ONLY


def test_every_layer_without_torch_imports_where_torch_is_missing() -> None:
    names = [name for name in MODULES if layer(name) in (*WITHOUT_TORCH, "cli")]
    script = BLOCKED.format(blocked=TRAINING_ONLY)
    done = subprocess.run([sys.executable, "-c", script, *names], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_reader_imports_no_recipes() -> None:
    script = "import sys, serialread.reader; print([m for m in sys.modules if m.endswith('_recipe')])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
