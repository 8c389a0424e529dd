"""Int8 quantization: used only if it keeps the accuracy; ranges belong to one model."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from stub_model import write_stub
from typer.testing import CliRunner

from serialread.cli import app, main
from serialread.config import DataRecipe, load
from serialread.datasets import grow
from serialread.errors import CheckpointError
from serialread.evaluation import quantization_gate
from serialread.inference import quantization
from serialread.inference.openvino_core import openvino_core
from serialread.inference.session import Engine, Precision
from serialread.synth import make_sample
from serialread.weights import shipped_model

FLAT = load(Path(__file__).parent.parent / "recipes" / "data" / "flat-print.toml", DataRecipe)


def sample(index: int) -> object:
    return make_sample(FLAT, 3, index)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "flat"
    list(grow(path, sample, 40, about={}))
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The shipped model without its ranges."""
    return Path(shutil.copy(shipped_model(), tmp_path / "model.onnx"))


def test_the_shipped_ranges_belong_to_the_shipped_model() -> None:
    plain, fast = Engine(shipped_model(), precision="half"), Engine(shipped_model())
    assert fast.card.model_id == plain.card.model_id + quantization.INT8_SUFFIX
    size = plain.card.geometry.height, plain.card.geometry.widths[0]
    crops = np.random.default_rng(1).standard_normal((4, 1, *size)).astype(np.float32)
    (sixteen, _), (eight, _) = plain.run(crops), fast.run(crops)
    assert not np.array_equal(sixteen, eight)
    np.testing.assert_allclose(np.exp(eight), np.exp(sixteen), atol=0.35)


def test_a_model_without_ranges_runs_in_16_bits(model: Path) -> None:
    assert Engine(model).card == Engine(model, precision="half").card


@pytest.mark.parametrize("precision", ["half", "exact"])
def test_ranges_are_ignored_in_higher_precision(precision: Precision) -> None:
    assert not Engine(shipped_model(), precision=precision).card.model_id.endswith(quantization.INT8_SUFFIX)
    assert not Engine(shipped_model(), "onnxruntime").card.model_id.endswith(quantization.INT8_SUFFIX)


@pytest.mark.parametrize("change", [{"model_id": "another"}, {"spans": {"node_conv2d_1": [0, 1]}}])
def test_ranges_of_another_model_are_refused(model: Path, change: dict[str, object]) -> None:
    content = json.loads(quantization.ranges_path(shipped_model()).read_text(encoding="utf-8"))
    quantization.ranges_path(model).write_text(json.dumps(content | change), encoding="utf-8")
    with pytest.raises(
        CheckpointError, match=rf"ranges of another model.*serialread model quantize {model} STORE"
    ):
        Engine(model)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"spans": 3}',
        '{"spans": {"a": [1]}, "model_id": "", "crops": 1}',
        '{"spans": {"a": [1, 1]}, "model_id": "", "crops": 1}',
        '{"spans": {"a": [0, Infinity]}, "model_id": "", "crops": 1}',
        '{"spans": {"a": [0, 1]}, "model_id": "", "crops": Infinity}',
        '{"spans": {"a": [0, 1]}, "model_id": "", "crops": 1, "scales": {"a": [0]}}',
        '{"spans": {"a": [0, 1]}, "model_id": "", "crops": 1, "scales": 1}',
    ],
)
def test_an_invalid_ranges_file_is_refused(model: Path, text: str) -> None:
    quantization.ranges_path(model).write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"model\.ranges\.json: not a ranges file\. Measure them: "):
        Engine(model)


def test_quantize_measures_compares_and_saves_the_ranges(
    model: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantization_gate, "MAX_NET_LOSS", 0.05)  # of so few crops, one may be lost
    result = CliRunner().invoke(app, ["model", "quantize", str(model), str(store), "--crops", "10"])
    assert result.exit_code == 0
    assert "of 40 crops" in result.stdout
    assert json.loads(quantization.ranges_path(model).read_text(encoding="utf-8"))["crops"] == 10
    assert Engine(model).card.model_id.endswith(quantization.INT8_SUFFIX)


def test_convolutions_that_a_model_shares_with_its_parent_keep_their_ranges(model: Path) -> None:
    import onnx

    document = onnx.load(model)
    kernels = {node.output[0]: node.input[0] for node in document.graph.node if node.op_type == "Cast"}
    changed = next(node for node in document.graph.node if node.name == "node_conv2d_4")
    kernel = next(w for w in document.graph.initializer if w.name == kernels[changed.input[1]])
    values = onnx.numpy_helper.to_array(kernel)
    kernel.CopyFrom(onnx.numpy_helper.from_array(values * np.float16(2), kernel.name))
    onnx.save(document, model)
    known = quantization.load_ranges(shipped_model())
    assert known is not None
    measured = replace(known, spans=dict.fromkeys(known.spans, (0.0, 1.0)), scales={})
    found = quantization.with_shared_ranges(measured, model, shipped_model())

    assert {name for name, span in found.spans.items() if span == (0.0, 1.0)} == {"node_conv2d_4"}
    assert dict(known.scales) == {**known.scales, **found.scales}
    assert quantization.with_shared_ranges(measured, model, model) == measured  # has no ranges


def test_a_model_that_loses_accuracy_stays_in_16_bits(
    model: Path, store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(quantization_gate, "MAX_NET_LOSS", -1.0)
    shutil.copy(quantization.ranges_path(shipped_model()), quantization.ranges_path(model))
    monkeypatch.setattr("sys.argv", ["serialread", "model", "quantize", str(model), str(store)])
    with pytest.raises(SystemExit):
        main()
    assert "The loss is too large: the model stays in 16 bits." in capsys.readouterr().err
    assert not quantization.ranges_path(model).exists()
    assert not Engine(model).card.model_id.endswith(quantization.INT8_SUFFIX)


def test_a_model_without_wide_convolutions_is_refused(tmp_path: Path, store: Path) -> None:
    stub = write_stub(tmp_path / "stub.onnx")
    with pytest.raises(CheckpointError, match="no convolution of 32 channels or more"):
        quantization_gate.quantize(stub, [store], 5)


def test_every_model_of_a_folder_has_its_own_ranges_file(tmp_path: Path) -> None:
    names = ["reader.onnx", "reader-1.2", "reader-1.3"]
    assert len({quantization.ranges_path(tmp_path / name) for name in names}) == 3
    assert quantization.ranges_path(tmp_path / names[0]).name == "reader.ranges.json"


@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=50))
def test_zero_is_a_level_of_every_range_and_clipping_costs_no_accuracy(values: list[float]) -> None:
    array = np.array(values, np.float32)
    low, high = quantization._span(array)
    assert low < high
    zero = -255 * low / (high - low)
    assert zero == pytest.approx(round(zero), abs=1e-6)
    full_step = (max(*values, 0) - min(*values, 0)) / 255
    assert quantization._quantization_error(array, low, high) <= full_step**2 + 1e-9


def test_channels_of_a_small_range_are_enlarged_before_they_are_rounded() -> None:
    cells = np.random.default_rng(0).uniform(-1, 1, (500, 3)).astype(np.float32) * (1, 10, 10)
    weights = np.ones((4, 3, 3, 3), np.float32)
    small, *large = quantization._scales(cells, weights)
    assert large == pytest.approx([large[0]] * 2, rel=0.02)
    assert large[0] / small == pytest.approx(10**quantization.EQUALIZATION, rel=0.02)


def test_scales_leave_the_network_as_it_is_but_for_rounding(model: Path) -> None:
    content = json.loads(quantization.ranges_path(shipped_model()).read_text(encoding="utf-8"))
    ranges = quantization.Ranges(content["model_id"], 1, content["spans"])
    sizes = {
        name: node.get_input_shape(1)[1]
        for name, node in quantization.wide_convolutions(openvino_core().read_model(model)).items()
    }
    scales = {name: tuple(np.linspace(0.8, 1.25, size).tolist()) for name, size in sizes.items()}
    crops = np.random.default_rng(1).standard_normal((2, 1, 48, 96)).astype(np.float32)
    ((even, _), (scaled, _)) = (
        Engine(model, ranges=replace(ranges, scales=found)).run(crops) for found in ({}, scales)
    )
    assert not np.array_equal(even, scaled)
    np.testing.assert_allclose(np.exp(scaled), np.exp(even), atol=0.35)


def test_scales_of_another_network_are_refused(model: Path) -> None:
    content = json.loads(quantization.ranges_path(shipped_model()).read_text(encoding="utf-8"))
    name = next(iter(content["spans"]))
    scaled = json.dumps(content | {"scales": {name: [1.0, 2.0]}})
    quantization.ranges_path(model).write_text(scaled, encoding="utf-8")
    with pytest.raises(CheckpointError, match="ranges of another model"):
        Engine(model)
