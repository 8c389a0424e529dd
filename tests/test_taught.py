"""A taught network beside its parent: which crops it reads, as a file and in the next lesson."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sample_cases import sample, samples

from serialread.codes import Alphabet
from serialread.config import TrainingRecipe, load
from serialread.errors import CheckpointError
from serialread.imaging import to_array
from serialread.inference.session import Engine
from serialread.models import build, crop_features
from serialread.records import Sample
from serialread.teaching.selection import Selection, count_selected
from serialread.training import checkpoint, export, save_trainable
from serialread.training.checkpoint import Checkpoint

RECIPES = Path(__file__).parent.parent / "recipes" / "train"


def network(seed: int, decoder: str = "aligned") -> Checkpoint:
    """A small network, as after training: no two weights alike."""
    document = load(RECIPES / "siga-tiny.toml", TrainingRecipe).model_dump()
    document["network"]["decoder"] = {"kind": decoder}
    if decoder == "ctc":
        document["network"]["siga"] = None
    recipe = TrainingRecipe.model_validate(document)
    torch.manual_seed(seed)
    model = build(recipe.network, recipe.geometry, Alphabet())
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.01 * torch.randn_like(weight))
    return Checkpoint(recipe, model.state_dict(), seed)


def faint(count: int) -> list[Sample]:
    """Crops of another kind: bright print with a shadow along the lower edge."""
    found = []
    for one in samples(count):
        shadow = np.linspace(1.0, 0.3, one.pixels.shape[0])[:, None]
        found.append(Sample(((255 - one.pixels) * shadow).astype(np.uint8), one.text))
    return found


def two_kinds() -> torch.Tensor:
    """A crop that no lesson taught, and one of the taught kind [2, 1, H, W]."""
    geometry = network(1).recipe.geometry
    crops = [to_array(one.pixels, geometry) for one in (sample(2, 4), faint(3)[2])]
    array = np.zeros((2, *crops[0].shape), np.float32)
    array[0], array[1, :, :, : crops[1].shape[2]] = crops[0], crops[1]
    return torch.from_numpy(array)


@pytest.fixture(scope="module")
def parent() -> Checkpoint:
    return network(1)


@pytest.fixture(scope="module")
def selection(parent: Checkpoint) -> Selection:
    return Selection.of(parent, samples(60), [sample(n) for n in range(60, 120)])


@pytest.fixture(scope="module")
def taught(selection: Selection) -> Checkpoint:
    return selection.joined(network(2), faint(12))


def test_crops_like_the_labelled_ones_are_selected_and_rendered_ones_are_not(taught: Checkpoint) -> None:
    assert count_selected(taught, faint(40)[12:]) == 28
    assert count_selected(taught, [sample(n) for n in range(60, 120)]) == 0  # these set the threshold
    assert count_selected(taught, [sample(n) for n in range(120, 180)]) <= 2


@pytest.mark.parametrize("decoder", ["aligned", "parallel", "ctc"])
def test_every_output_of_a_crop_is_that_of_the_network_that_reads_it(decoder: str) -> None:
    before, after = network(1, decoder), network(2, decoder)
    both = Selection.of(before, samples(40), samples(20)).joined(after, faint(8))
    with torch.inference_mode():
        parent, taught, found = (one.network().outputs(two_kinds()) for one in (before, after, both))

    assert list(found) == list(parent)
    for name, output in found.items():
        torch.testing.assert_close(output[0], parent[name][0])
        torch.testing.assert_close(output[1], taught[name][1])
        assert not torch.allclose(parent[name][1], taught[name][1], atol=1e-3)


def test_a_model_file_reads_each_crop_by_one_of_both_networks(tmp_path: Path, taught: Checkpoint) -> None:
    checkpoint.save(taught, tmp_path / "taught.pt")
    trainable = save_trainable(tmp_path / "taught.pt", tmp_path / "taught.safetensors")
    file = export(trainable, tmp_path / "model.onnx")
    crops = two_kinds()
    with torch.inference_mode():
        expected = taught.deployed().outputs(crops)
    for kind in ("openvino", "onnxruntime"):
        engine = Engine(file, kind, "exact", threads=1, outputs=None)
        found = dict(zip(engine.outputs, engine.run(crops.numpy()), strict=True))
        assert engine.card.model_id == taught.model_id
        assert found.keys() == expected.keys()
        np.testing.assert_allclose(found["scores"], expected["scores"], atol=1e-4)


def test_a_trainable_file_keeps_both_networks_and_the_selection(tmp_path: Path, taught: Checkpoint) -> None:
    checkpoint.save(taught, tmp_path / "taught.pt")
    found = checkpoint.load(save_trainable(tmp_path / "taught.pt", tmp_path / "taught.safetensors"))

    assert found.model_id == taught.model_id
    assert found.part("parent").model_id == network(1).model_id
    assert found.part("taught").model_id == network(2).model_id
    assert torch.equal(found.weights["selector.weight"], taught.weights["selector.weight"])


def test_the_id_changes_with_the_selection_alone(selection: Selection, taught: Checkpoint) -> None:
    assert selection.joined(network(2), faint(13)).model_id != taught.model_id


def test_another_lesson_keeps_the_parent_and_what_was_selected(taught: Checkpoint) -> None:
    again = Selection.of(taught, samples(60), [sample(n) for n in range(60, 120)])
    inverted = [Sample(255 - one.pixels, one.text) for one in samples(12)]
    twice = again.joined(network(3), inverted)

    assert (twice.lessons, twice.part("taught").model_id) == (2, network(3).model_id)
    assert twice.part("parent").model_id == network(1).model_id
    assert torch.equal(twice.weights["selector.weight"][0], taught.weights["selector.weight"][0])
    assert count_selected(twice, faint(12)) == count_selected(twice, inverted) == 12


def test_a_taught_model_is_not_averaged_and_no_run_starts_from_it(tmp_path: Path, taught: Checkpoint) -> None:
    path = tmp_path / "taught.pt"
    checkpoint.save(taught, path)
    message = (
        f"{path}: a taught model, two networks in one file. Teach it again with serialread teach, or name "
        "weights of one network, such as versions/0/weights.safetensors of the folder that was taught."
    )
    with pytest.raises(CheckpointError) as averaged:
        checkpoint.save_mean([path], tmp_path / "mean.pt")
    with pytest.raises(CheckpointError) as started:
        checkpoint.initialize_from(network(1).network(), path)
    assert str(averaged.value) == str(started.value) == message


def test_the_padding_of_a_crop_does_not_change_its_features(parent: Checkpoint) -> None:
    model, pixels = parent.network(), sample(5, 4).pixels
    narrow = torch.from_numpy(to_array(pixels, parent.recipe.geometry)[None])
    wide = torch.nn.functional.pad(narrow, (0, 96))
    with torch.inference_mode():
        first, second = (crop_features(crops, model.features(crops)[0]) for crops in (narrow, wide))
    torch.testing.assert_close(first, second, atol=0.02, rtol=0.02)
