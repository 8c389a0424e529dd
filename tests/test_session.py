"""Model sessions in both libraries; invalid model files are refused."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from stub_model import ABOUT, GEOMETRY, MODEL_ID, write_stub

from serialread import weights
from serialread.config import CropGeometry
from serialread.errors import CheckpointError
from serialread.inference.session import Engine, EngineKind, _parts, full_batch

pytest.importorskip("onnx")
KINDS: tuple[EngineKind, ...] = ("openvino", "onnxruntime")


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stub(tmp_path_factory.mktemp("model") / "stub.onnx")


@pytest.mark.parametrize("kind", KINDS)
def test_the_card_has_the_metadata_of_the_model(stub: Path, kind: EngineKind) -> None:
    card = Engine(stub, kind).card
    assert (card.model_id, card.geometry, card.alphabet.chars) == (MODEL_ID, GEOMETRY, ABOUT["alphabet"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("crops", "width"), [(1, 96), (5, 160), (16, 384)])
def test_outputs_have_their_shapes(stub: Path, kind: EngineKind, crops: int, width: int) -> None:
    scores, attention = Engine(stub, kind).run(np.ones((crops, 1, 32, width), np.float32))
    assert (scores.shape, attention.shape) == ((crops, 26, 95), (crops, 26, width // 4))
    assert scores.dtype == attention.dtype == np.float32


@pytest.mark.parametrize("kind", KINDS)
def test_glyph_maps_are_returned_on_request(stub: Path, kind: EngineKind) -> None:
    (maps,) = Engine(stub, kind, outputs=("glyphs",)).run(np.ones((3, 1, 32, 96), np.float32))
    assert maps.shape == (3, 26, 8, 24)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_without_glyph_maps_reads_but_does_not_explain(tmp_path: Path, kind: EngineKind) -> None:
    import onnx

    model = onnx.load(str(write_stub(tmp_path / "full.onnx")))
    del model.graph.output[2]
    path = tmp_path / "older.onnx"
    onnx.save(model, str(path))

    assert len(Engine(path, kind).run(np.ones((1, 1, 32, 96), np.float32))) == 2
    with pytest.raises(CheckpointError) as caught:
        Engine(path, kind, outputs=("scores", "glyphs"))
    assert (
        str(caught.value)
        == f"{path}: a model without glyphs. Export it again: serialread model export RUN --out {path}"
    )


@pytest.mark.parametrize("crops", [3, 5, 23])
def test_a_batch_of_any_size_reads_as_its_crops_alone(stub: Path, crops: int) -> None:
    engine = Engine(stub, "openvino", "exact")
    batch = np.random.default_rng(0).standard_normal((crops, 1, 32, 96)).astype(np.float32)
    alone = [engine.run(batch[number : number + 1]) for number in range(crops)]
    for whole, parts in zip(engine.run(batch), zip(*alone, strict=True), strict=True):
        np.testing.assert_allclose(whole, np.concatenate(parts), atol=1e-4)


def test_both_libraries_give_the_same_outputs(stub: Path) -> None:
    batch = np.random.default_rng(0).standard_normal((3, 1, 32, 96)).astype(np.float32)
    batch[1, :, :, 40:] = 0
    exact = Engine(stub, "openvino", "exact").run(batch)
    for ours, theirs in zip(exact, Engine(stub, "onnxruntime").run(batch), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_results_are_not_overwritten_by_the_next_run(stub: Path) -> None:
    opened = Engine(stub)
    scores, _ = opened.run(np.ones((2, 1, 32, 96), np.float32))
    before = scores.copy()
    opened.run(np.zeros((2, 1, 32, 96), np.float32))
    np.testing.assert_array_equal(scores, before)


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_model_is_one_clear_error(tmp_path: Path, kind: EngineKind) -> None:
    path = tmp_path / "none.onnx"
    with pytest.raises(CheckpointError) as caught:
        Engine(path, kind)
    assert str(caught.value) == f"{path}: no such model. Make one: serialread model export RUN --out {path}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x07" * 50])
def test_a_file_that_is_not_a_model_is_refused(tmp_path: Path, kind: EngineKind, content: bytes) -> None:
    path = tmp_path / "foreign.onnx"
    path.write_bytes(content)
    with pytest.raises(
        CheckpointError, match=r"not a model of serialread. Make one: serialread model export"
    ):
        Engine(path, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_without_a_card_is_refused(tmp_path: Path, kind: EngineKind) -> None:
    with pytest.raises(CheckpointError, match="not a model of serialread"):
        Engine(write_stub(tmp_path / "other.onnx", {}), kind)


@pytest.mark.parametrize("about", [{"model_id": "x"}, {**ABOUT, "height": 7}, {**ABOUT, "alphabet": "AA"}])
def test_an_invalid_card_is_refused(tmp_path: Path, about: dict[str, object]) -> None:
    with pytest.raises(CheckpointError, match="its card is broken"):
        Engine(write_stub(tmp_path / "broken.onnx", about))


def test_a_library_that_is_not_installed_is_named(stub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(
        CheckpointError, match=r"not installed. Install it: pip install 'serialread\[onnxruntime\]'"
    ):
        Engine(stub, "onnxruntime")


def refuse_to_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise RuntimeError("Exception from src/core.cpp:109:\nunsupported instruction set\n")

    monkeypatch.setattr("openvino.Core.compile_model", refused)


def test_where_openvino_cannot_compile_onnx_runtime_reads(
    stub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = np.zeros((1, 1, GEOMETRY.height, GEOMETRY.widths[0]), np.float32)
    usual = Engine(stub).run(batch)
    refuse_to_compile(monkeypatch)
    engine = Engine(stub)
    assert (engine.kind, engine.card.model_id) == ("onnxruntime", MODEL_ID)
    np.testing.assert_allclose(engine.run(batch)[0], usual[0], atol=1e-3)


def test_where_openvino_cannot_compile_and_nothing_replaces_it_is_one_clear_error(
    stub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_compile(monkeypatch)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(CheckpointError) as caught:
        Engine(stub)
    assert str(caught.value) == (
        "engine openvino: cannot compile the model on this processor (unsupported instruction set). "
        "Install the other engine: pip install 'serialread[onnxruntime]'"
    )


def test_a_missing_shipped_model_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(weights, "_SHIPPED", tmp_path / "serialread.onnx")
    with pytest.raises(CheckpointError, match=r"no model was shipped here. Name one: --model FILE"):
        weights.shipped_model()
    (tmp_path / "serialread.onnx").touch()
    assert weights.shipped_model() == tmp_path / "serialread.onnx"


SIGNALS = """
import gc, os, signal, sys
from pathlib import Path
from serialread.inference.session import Engine

first, second = (Engine(Path(sys.argv[1])) for _ in range(2))
del first
gc.collect()
del second
gc.collect()
signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
os.kill(os.getpid(), signal.SIGUSR1)
"""


def test_a_signal_is_handled_after_engines_ended_in_any_order(tmp_path: Path) -> None:
    write_stub(tmp_path / "stub.onnx")
    command = [sys.executable, "-X", "faulthandler", "-c", SIGNALS, str(tmp_path / "stub.onnx")]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr


def test_reading_imports_neither_the_model_converter_nor_the_telemetry_of_openvino() -> None:
    code = """if True:
        import sys
        from serialread.inference.session import Engine
        from serialread.weights import shipped_model
        Engine(shipped_model())
        unused = ("openvino.tools.ovc", "openvino_telemetry")
        loaded = [name for name in sys.modules if name.startswith(unused)]
        from openvino.tools.ovc import convert_model
        print(loaded, callable(convert_model))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[] True\n"


def test_of_many_width_buckets_those_are_used_that_differ_much() -> None:
    widths = (96, 144, 192, 240, 288, 384, 480, 576, 672, 768)
    assert CropGeometry(widths=widths).sparse(4 / 3).widths == (96, 144, 192, 288, 384, 576, 768)


def test_full_batches_of_wide_crops_are_smaller() -> None:
    widths = (1, 96, 288, 384, 576, 768, 1152, 2304, 9000)
    assert [full_batch(width) for width in widths] == [8, 8, 8, 4, 4, 2, 2, 1, 1]


@pytest.mark.parametrize(
    ("crops", "sizes"),
    [(1, [1]), (3, [1, 1, 1]), (5, [1] * 5), (6, [8]), (11, [8, 1, 1, 1]), (14, [8, 8]), (22, [8, 8, 8])],
)
def test_a_part_of_a_batch_that_is_nearly_full_is_padded(crops: int, sizes: list[int]) -> None:
    parts = list(_parts(np.ones((crops, 1, 8, 288), np.float32)))
    assert [len(part) for part, _ in parts] == sizes
    assert (
        sum(count for _, count in parts) == sum(float(part[:, 0, 0, 0].sum()) for part, _ in parts) == crops
    )
