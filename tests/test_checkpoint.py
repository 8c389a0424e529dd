"""Checkpoints, trainable weights and model files."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from sample_cases import sample

from serialread.codes import PRINTABLE, Alphabet
from serialread.config import DataRecipe, TrainingRecipe, load, recipe_id
from serialread.errors import CheckpointError
from serialread.imaging import to_array
from serialread.inference import quantization
from serialread.inference.openvino_core import openvino_core
from serialread.inference.session import Engine
from serialread.models import SLOTS, build
from serialread.records import Floats
from serialread.synth import make_sample
from serialread.training import checkpoint, export, save_trainable
from serialread.training.checkpoint import Checkpoint, initialize_from
from serialread.weights import shipped_model, shipped_weights

RECIPES = Path(__file__).parent.parent / "recipes" / "train"
TOLERANCE = 1e-4
"""Log-probabilities and attention, the same 16-bit weights in 32-bit arithmetic on both sides."""


def trained() -> Checkpoint:
    recipe = load(RECIPES / "siga-tiny.toml", TrainingRecipe)
    torch.manual_seed(3)
    model = build(recipe.network, recipe.geometry, Alphabet())
    with torch.no_grad():
        for _ in range(5):  # running statistics that differ from those of a new network
            model.train().train_forward(torch.randn(8, 1, 32, 96) * 2 + 0.3, torch.zeros(8, SLOTS).long())
        for weight in model.parameters():  # as after training: no two alike, which a file would store once
            weight.add_(0.01 * torch.randn_like(weight))
    return Checkpoint(recipe, model.state_dict(), 42)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    checkpoint.save(trained(), folder / "best.pt")
    out = folder / "model.onnx"
    shutil.copy(quantization.ranges_path(shipped_model()), quantization.ranges_path(out))
    return export(folder, out)


def test_an_export_removes_the_ranges_of_another_model(model_file: Path) -> None:
    assert not quantization.ranges_path(model_file).exists()
    assert Engine(model_file).card.model_id == trained().model_id


def crops(count: int, length: int) -> Floats:
    geometry = trained().recipe.geometry
    return np.stack([to_array(sample(seed, length).pixels, geometry) for seed in range(count)])


def test_a_checkpoint_is_read_as_it_was_written(tmp_path: Path) -> None:
    before = trained()
    checkpoint.save(before, tmp_path / "best.pt")
    after = checkpoint.load(tmp_path)

    assert (after.recipe, after.steps) == (before.recipe, 42)
    assert all(torch.equal(after.weights[name], before.weights[name]) for name in before.weights)
    assert [path.name for path in tmp_path.iterdir()] == ["best.pt"]


def test_the_model_id_depends_on_the_weights_used_at_test_only() -> None:
    one = trained()
    taught = dict(one.weights) | {"ctc.weight": one.weights["ctc.weight"] + 1}
    changed = dict(one.weights) | {"classifier.1.bias": one.weights["classifier.1.bias"] + 1}

    assert one.model_id.startswith("siga-tiny-")
    assert len(one.model_id) == len("siga-tiny-") + 12
    assert Checkpoint(one.recipe, taught, 7).model_id == one.model_id
    assert Checkpoint(one.recipe, changed, 42).model_id != one.model_id


def test_a_recipe_with_unknown_settings_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    checkpoint.save(trained(), path)
    content = torch.load(path, weights_only=True)
    changed = json.loads(content["recipe"])
    changed["losses"]["novel"] = 0.5
    torch.save({**content, "recipe": json.dumps(changed)}, path)

    with pytest.raises(CheckpointError, match=r"its recipe has losses\.novel, which this version"):
        checkpoint.load(path)


def test_files_that_are_no_checkpoints_are_refused(tmp_path: Path) -> None:
    torn, future, bare = (tmp_path / name for name in ("torn.pt", "future.pt", "bare.pt"))
    torn.write_bytes(b"no zip")
    torch.save({"format": 99}, future)
    checkpoint.save(trained(), bare)

    with pytest.raises(CheckpointError) as missing:
        checkpoint.load(tmp_path)
    assert str(missing.value) == (
        f"{tmp_path / 'best.pt'}: no checkpoint here. "
        "Train one: serialread train RECIPE --data STORE --out RUN"
    )
    with pytest.raises(CheckpointError, match="not a checkpoint of serialread, or incomplete"):
        checkpoint.load(torn)
    with pytest.raises(CheckpointError, match="checkpoint format 99, this version reads 2"):
        checkpoint.load(future)
    with pytest.raises(CheckpointError, match="no state to resume from"):
        checkpoint.load_state(bare)


@pytest.mark.parametrize(("count", "length"), [(1, 4), (3, 4), (2, 8)])
def test_the_model_file_gives_the_outputs_of_torch_in_both_engines(
    model_file: Path, count: int, length: int
) -> None:
    array = crops(count, length)
    with torch.inference_mode():
        by_torch = trained().deployed()(torch.from_numpy(array))

    session = onnxruntime.InferenceSession(str(model_file), providers=["CPUExecutionProvider"])
    compiled = openvino_core().compile_model(str(model_file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    names = ["scores", "attention", "glyphs"]
    by_ort = session.run(names, {"crops": array})
    by_openvino = [compiled(array)[name] for name in names]

    columns = array.shape[-1] // 4
    assert [a.shape for a in by_torch] == [(count, 26, 95), (count, 26, columns), (count, 26, 8, columns)]
    for ours, *theirs in zip(by_torch, by_ort, by_openvino, strict=True):
        for answer in theirs:
            np.testing.assert_allclose(answer, ours.numpy(), atol=TOLERANCE)


def test_rounding_and_fusing_hardly_change_the_scores() -> None:
    array = torch.from_numpy(crops(3, 4))
    with torch.inference_mode():
        exact, *_ = trained().network()(array)
        stored, *_ = trained().deployed()(array)
    torch.testing.assert_close(stored, exact, atol=0.02, rtol=0)


def test_the_model_file_contains_its_card(model_file: Path) -> None:
    meta = onnxruntime.InferenceSession(str(model_file)).get_modelmeta().custom_metadata_map
    one = trained()

    assert json.loads(meta["serialread"]) == {
        "model_id": one.model_id,
        "alphabet": PRINTABLE,
        "height": 32,
        "widths": list(one.recipe.geometry.widths),
        "topology": "slots",
        "capacity": 25,
        "recipe_id": recipe_id(one.recipe),
        "steps": 42,
    }


def test_the_model_file_stores_16_bit_weights_and_no_training_only_parts(model_file: Path) -> None:
    import onnx

    graph = onnx.load(model_file).graph
    sizes = dict.fromkeys((onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16), 0)
    for weight in graph.initializer:
        sizes[weight.data_type] = sizes.get(weight.data_type, 0) + int(np.prod(weight.dims))
    names = " ".join(weight.name for weight in graph.initializer)

    assert sizes[onnx.TensorProto.FLOAT] < 0.05 * sizes[onnx.TensorProto.FLOAT16]
    assert "segmentation" not in names
    assert "ctc" not in names


def test_the_model_file_does_not_say_where_it_was_made(model_file: Path) -> None:
    assert b".py" not in model_file.read_bytes()


# ------------------------------------------------------------------------------------------------ trainable


SHIPPED = shipped_weights()


def test_a_trainable_file_holds_the_recipe_and_16_bit_weights(tmp_path: Path) -> None:
    before = trained()
    checkpoint.save(before, tmp_path / "best.pt")
    after = checkpoint.load(save_trainable(tmp_path, tmp_path / "small.safetensors"))

    assert (after.recipe, after.steps) == (before.recipe, 42)
    assert (tmp_path / "small.safetensors").stat().st_size < 0.7 * (tmp_path / "best.pt").stat().st_size
    for name, weight in before.weights.items():
        torch.testing.assert_close(after.weights[name], weight, atol=1e-6, rtol=1e-3)


def test_the_mean_of_networks_has_the_mean_of_their_weights_and_all_their_steps(tmp_path: Path) -> None:
    one = trained()
    moved = {
        name: weight + 0.5 if weight.is_floating_point() else weight for name, weight in one.weights.items()
    }
    for name, weights in (("a", one.weights), ("b", moved), ("c", one.weights)):
        checkpoint.save(Checkpoint(one.recipe, weights, 42), tmp_path / name / "best.pt")
    mean = checkpoint.save_mean([tmp_path / name for name in "abc"], tmp_path / "mean.pt")

    assert (checkpoint.load(tmp_path / "mean.pt").model_id, mean.recipe) == (mean.model_id, one.recipe)
    assert mean.steps == 3 * 42
    for name, weight in one.weights.items():
        nearer = weight + 0.5 / 3 if weight.is_floating_point() else weight
        torch.testing.assert_close(mean.weights[name], nearer)


def test_the_mean_of_different_networks_is_refused(tmp_path: Path) -> None:
    one = trained()
    fewer = {name: weight for name, weight in one.weights.items() if not name.startswith("ctc")}
    for name, weights in (("a", one.weights), ("b", fewer)):
        checkpoint.save(Checkpoint(one.recipe, weights, 42), tmp_path / f"{name}.pt")
    with pytest.raises(CheckpointError) as refused:
        checkpoint.save_mean([tmp_path / "a.pt", tmp_path / "b.pt"], tmp_path / "mean.pt")
    assert str(refused.value) == (
        f"{tmp_path / 'b.pt'}: another network than {tmp_path / 'a.pt'}. Average runs of one network and "
        "alphabet."
    )
    assert not (tmp_path / "mean.pt").exists()


def test_a_run_starts_from_a_trainable_file_or_a_run_and_not_from_a_model_file(
    model_file: Path, tmp_path: Path
) -> None:
    one = trained()
    file = save_trainable(model_file.parent, tmp_path / "small.safetensors")
    for start in (file, model_file.parent, model_file.parent / "best.pt"):
        torch.manual_seed(9)
        model = build(one.recipe.network, one.recipe.geometry, one.alphabet)
        initialize_from(model, start)
        array = torch.from_numpy(crops(2, 4))
        with torch.inference_mode():
            torch.testing.assert_close(model.eval()(array)[0], one.network()(array)[0], atol=0.02, rtol=0)
    with pytest.raises(CheckpointError) as refused:
        initialize_from(model, model_file)
    assert str(refused.value) == (
        f"{model_file}: a model file cannot be trained. Name a run, a .pt or a .safetensors file; that of "
        f"the shipped model is {SHIPPED}."
    )


def test_a_file_that_is_no_trainable_checkpoint_is_refused(tmp_path: Path) -> None:
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(SHIPPED.read_bytes()[:1000])
    with pytest.raises(CheckpointError) as refused:
        checkpoint.load(torn)
    assert str(refused.value) == (
        f"{torn}: not a checkpoint of serialread, or incomplete. Name a run's folder, its best.pt, or a "
        ".safetensors file made by: serialread model export RUN --trainable FILE"
    )


def test_the_trainable_weights_give_the_scores_of_the_shipped_model() -> None:
    """They are the weights of the model file, whose id follows from them."""
    saved = checkpoint.load(SHIPPED)
    engine = Engine(shipped_model(), precision="exact", threads=1, outputs=("scores",))
    recipe = load(RECIPES / "siga-aligned-upright.toml", TrainingRecipe)
    marks = load(RECIPES.parent / "data" / "marks.toml", DataRecipe)
    found = [make_sample(marks, 77, index) for index in range(4)]
    array = np.zeros((4, 1, 48, 576), np.float32)
    for crop, one in zip(array, found, strict=True):
        crops_of_one = to_array(one.pixels, recipe.geometry)
        crop[:, :, : crops_of_one.shape[-1]] = crops_of_one
    with torch.inference_mode():
        ours = saved.deployed()(torch.from_numpy(array))[0].numpy()

    assert SHIPPED.stat().st_size <= 8_000_000
    assert saved.recipe == recipe
    assert (saved.model_id, saved.steps) == (engine.card.model_id, engine.card.steps)
    np.testing.assert_allclose(ours, engine.run(array)[0], atol=2e-3)


def test_the_compact_network_has_2_274_677_parameters() -> None:
    recipe = load(RECIPES / "siga-compact.toml", TrainingRecipe)
    with torch.device("meta"):
        model = build(recipe.network, recipe.geometry, Alphabet())
    assert sum(p.numel() for p in model.parameters()) == 2_274_677
