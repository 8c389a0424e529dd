"""Training: augmentation, batches, runs that stop and resume exactly, and errors."""

import copy
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from sample_cases import sample, samples
from torch import nn
from torch.overrides import TorchFunctionMode
from typer.testing import CliRunner

from serialread import cli
from serialread.codes import Alphabet, reads_upside_down
from serialread.config import CropGeometry, DataRecipe, TrainingRecipe, load
from serialread.config.networks import RectifierConfig
from serialread.config.training_recipe import AdamW, MildAugmentation, Muon, Optimization, Shards
from serialread.datasets import ConcatenatedSamples, SampleStore, write_store
from serialread.errors import CheckpointError, RecipeError, SerialreadError, StoreError
from serialread.imaging import column_owners, to_array
from serialread.models import build
from serialread.models.layers import upside_down
from serialread.records import Sample
from serialread.synth import make_sample
from serialread.training import Progress, checkpoint, evaluate, shards, train
from serialread.training.augmentation import augment
from serialread.training.batches import Plan, StoredCrops, TrainingBatches, collate, survey
from serialread.training.loop import device_of
from serialread.training.optimization import Replicas, freeze_all_but, optimizer_of, orthogonalized
from serialread.training.shards import FreshCrops

GEOMETRY = CropGeometry(widths=(96, 160))
RECIPES = Path(__file__).parent.parent / "recipes" / "train"


def tiny(
    steps: int = 6,
    *,
    replicas: int = 1,
    rate: float = 2e-3,
    every: int = 3,
    rule: AdamW | Muon = AdamW(),  # noqa: B008, frozen
) -> TrainingRecipe:
    recipe = load(RECIPES / "siga-tiny.toml", TrainingRecipe)
    changes = {
        "crops": 8 * steps,
        "batch": 8,
        "validate_crops": 8 * every,
        "replicas": replicas,
        "rate": rate,
        "rule": rule,
    }
    network = recipe.network.model_copy(update={"dropout": 0.0 if replicas > 1 else 0.3})
    return recipe.model_copy(
        update={"network": network, "optimization": recipe.optimization.model_copy(update=changes)}
    )


def stopped() -> threading.Event:
    """What stops a run after its first step."""
    event = threading.Event()
    event.set()
    return event


def run(recipe: TrainingRecipe, out: Path, *, resume: bool = False, stop_at: int = 0) -> list[Progress]:
    """All steps of a run, or as many as it takes after ``stop_at`` requested a stop."""
    stop = threading.Event()
    seen = []
    for progress in train(recipe, [samples(30)], out, resume=resume, stop=stop):
        seen.append(progress)
        if progress.step == stop_at:
            stop.set()
    return seen


# ---------------------------------------------------------------------------------------------- augmentation


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), which=st.integers(0, 20))
def test_augmentation_keeps_the_size_the_text_and_every_character(seed: int, which: int) -> None:
    before = sample(which)
    after = augment(before, MildAugmentation(probability=1), np.random.default_rng(seed))

    assert after.glyphs is not None
    assert (after.text, after.pixels.shape) == (before.text, before.pixels.shape)
    assert set(np.unique(after.glyphs)) == set(range(len(before.text) + 1))
    assert after.pixels.dtype == after.glyphs.dtype == np.uint8


def test_augmentation_transforms_pixels_and_masks_together() -> None:
    before = sample(3)
    moves = MildAugmentation(probability=1, gamma=0, noise=0, blur_px=0, invert=0)
    after = augment(before, moves, np.random.default_rng(1))

    assert after.glyphs is not None
    assert not np.array_equal(after.glyphs, before.glyphs)
    assert after.pixels[after.glyphs > 0].mean() < after.pixels[after.glyphs == 0].mean() - 50


def test_no_augmentation_is_no_change() -> None:
    before = sample(3)
    after = augment(before, MildAugmentation(probability=0, invert=0), np.random.default_rng(1))
    assert np.array_equal(after.pixels, before.pixels)


# --------------------------------------------------------------------------------------------------- batches


def test_several_stores_are_one_sequence() -> None:
    joined = ConcatenatedSamples([["a", "b"], [], ["c"]])  # type: ignore[list-item]

    assert [*joined] == ["a", "b", "c"]
    assert joined[-1] == "c"
    assert joined[1:] == ["b", "c"]


@given(seed=st.integers(0, 1000), counts=st.lists(st.integers(1, 40), min_size=1, max_size=3))
def test_a_plan_takes_samples_of_one_width_and_none_twice_an_epoch(seed: int, counts: list[int]) -> None:
    buckets = np.repeat(np.array([96, 160, 256][: len(counts)], np.int32), counts)
    plan, again = (Plan(StoredCrops(samples(0), buckets), 8, seed) for _ in range(2))
    steps = max(1, len(buckets) // 8)
    epoch = [plan.at(step)[2] for step in range(steps)]
    used = np.concatenate(epoch)

    assert [plan.epoch(step) for step in (0, steps - 1, steps, 2 * steps)] == [0, 0, 1, 2]
    assert len(np.unique(used)) == min(len(used), len(buckets))
    assert sum(len(np.unique(buckets[members])) > 1 for members in epoch) < len(counts)
    assert np.array_equal(again.at(steps + 1)[2], plan.at(steps + 1)[2])


def test_epochs_differ_in_order_and_in_augmentation() -> None:
    data, recipe = samples(16), TrainingRecipe(geometry=GEOMETRY)
    plan = Plan(StoredCrops(data, survey(data, recipe)), 4, 1)
    batches = TrainingBatches(plan, recipe, Alphabet())

    assert not np.array_equal(plan.at(0)[2], plan.at(4)[2])
    assert torch.equal(batches[1].crops, batches[1].crops)


def test_a_narrow_crop_in_a_wide_batch_is_padded_with_its_masks() -> None:
    recipe, one = TrainingRecipe(geometry=GEOMETRY), [sample(1, 3)]
    narrow, wide = (collate(one, width, recipe, Alphabet()) for width in GEOMETRY.widths)

    assert torch.equal(narrow.crops, wide.crops[..., :96])
    assert torch.equal(narrow.targets.pixels, wide.targets.pixels[:, :, : narrow.targets.pixels.shape[2]])
    assert torch.equal(narrow.targets.columns, wide.targets.columns[:, : narrow.targets.columns.shape[1]])
    assert not wide.crops[..., 96:].any()


def test_a_batch_holds_the_arrays_of_the_reader_and_the_position_of_each_character() -> None:
    whole = sample(1, 4)
    tall = Sample(cv2.resize(whole.pixels, None, fx=2, fy=2), whole.text, None)  # type: ignore[arg-type]
    batch = collate([whole, tall], 96, TrainingRecipe(geometry=GEOMETRY), Alphabet())

    assert np.array_equal(batch.crops[0].numpy(), to_array(whole.pixels, GEOMETRY))
    assert Alphabet().decode(batch.targets.classes[1].tolist()) == whole.text
    assert batch.targets.characters_known.tolist() == [True, False]
    assert set(batch.targets.pixels[0].unique().tolist()) == {0, 1, 2, 3, 4}
    assert batch.targets.columns[0][batch.targets.columns[0] > 0].tolist() == sorted(
        batch.targets.columns[0][batch.targets.columns[0] > 0].tolist()
    )
    assert not batch.targets.pixels[1].any()


def test_a_column_belongs_to_the_nearest_of_its_characters() -> None:
    masks = np.zeros((32, 32), np.uint8)
    masks[8:20, 4:11] = 1
    masks[8:20, 10:15] = 2
    masks[8:20, 21] = 3

    assert column_owners(masks, 3, 4).tolist() == [0, 1, 2, 2, 0, 3, 0, 0]
    assert column_owners(masks, 3, 8).tolist() == [1, 2, 3, 0]
    assert column_owners(masks * 0, 0, 4).tolist() == [0] * 8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A" * 26, "sample 1: 26 characters, at most 25 can be read. Leave it out."),
        (
            "Aé",
            "sample 1: text 'Aé': character 2 ('é') is not in the alphabet. Leave it out.",
        ),
    ],
)
def test_samples_that_cannot_be_encoded_are_named(text: str, message: str) -> None:
    with pytest.raises(StoreError) as caught:
        survey([sample(0), Sample(sample(0).pixels, text)], TrainingRecipe(geometry=GEOMETRY))
    assert str(caught.value) == message


# ------------------------------------------------------------------------------------------------------- run


@pytest.mark.parametrize(("rule", "replicas"), [(AdamW(), 1), (AdamW(), 2), (Muon(), 1), (Muon(), 2)])
def test_a_resumed_run_equals_one_that_was_not_stopped(
    tmp_path: Path, rule: AdamW | Muon, replicas: int
) -> None:
    recipe = tiny(replicas=replicas, rule=rule)
    whole = run(recipe, tmp_path / "whole")
    first = run(recipe, tmp_path / "parts", stop_at=3)
    second = run(recipe, tmp_path / "parts", resume=True)

    assert len(first) in {3, 4}
    assert [p.step for p in first + second] == [1, 2, 3, 4, 5, 6]
    assert [p.loss for p in first + second] == [p.loss for p in whole]
    ends = [torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "parts")]
    assert all(torch.equal(ends[0]["weights"][n], ends[1]["weights"][n]) for n in ends[0]["weights"])
    lines = [(tmp_path / name / "log.jsonl").read_text() for name in ("whole", "parts")]
    assert lines[0] == lines[1]


def test_a_signal_stops_a_run_after_it_has_saved_its_state(tmp_path: Path) -> None:
    write_store(tmp_path / "store", samples(30), about={})
    long = f'extends = "{RECIPES / "siga-tiny.toml"}"\n[optimization]\ncrops = 1_000_000\n'
    (tmp_path / "long.toml").write_text(long)
    out = tmp_path / "run"
    words = ["train", tmp_path / "long.toml", "--data", tmp_path / "store", "--out", out]
    program = [sys.executable, "-m", "serialread", *map(str, words)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as run:
        while not (out / "log.jsonl").exists() and run.poll() is None:
            time.sleep(0.1)
        run.send_signal(signal.SIGTERM)
        output, _ = run.communicate(timeout=60)

    assert run.returncode == 0
    assert "of 62500 steps taken" in output
    assert (out / "last.pt").exists()


def test_a_run_learns_and_writes_checkpoints_and_a_log(tmp_path: Path) -> None:
    steps = run(tiny(60, every=20), tmp_path)

    assert np.mean([p.loss for p in steps[-5:]]) < 0.8 * np.mean([p.loss for p in steps[:5]])
    assert {"best.pt", "last.pt", "log.jsonl"} <= {path.name for path in tmp_path.iterdir()}
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "terms" in line] == [50]
    assert [line["step"] for line in lines if "validation" in line] == [20, 40, 60]
    assert steps[-1].validation is not None
    assert steps[-1].seconds_left == 0


def test_a_run_learns_to_read_nothing_on_bare_surfaces(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    bare = [rng.integers(90, 160, (32, 100 + 4 * i), dtype=np.uint8) for i in range(8)]
    surfaces = [Sample(pixels, "", np.zeros_like(pixels)) for pixels in bare]
    steps = list(train(tiny(30, every=10), [surfaces], tmp_path, valid=[surfaces]))

    assert steps[-1].loss < 0.5 * steps[0].loss
    assert steps[-1].best == 1.0


def test_training_the_orientation_head_alone_changes_nothing_else(tmp_path: Path) -> None:
    recipe = tiny(40, rate=2e-2)
    decoder = recipe.network.decoder.model_copy(update={"upright": True})
    network = recipe.network.model_copy(update={"decoder": decoder})
    optimization = recipe.optimization.model_copy(update={"only": ("upright",), "validate_crops": 320})
    recipe = recipe.model_copy(update={"network": network, "optimization": optimization})
    list(train(recipe, [samples(30)], tmp_path / "start", stop=stopped()))
    before = checkpoint.load(tmp_path / "start" / "last.pt").weights
    list(train(recipe, [samples(30)], tmp_path / "run", start_from=tmp_path / "start" / "last.pt"))
    after = checkpoint.load(tmp_path / "run" / "best.pt")

    changed = {name for name, weight in after.weights.items() if not torch.equal(weight, before[name])}
    assert changed == {"upright.says.weight", "upright.says.bias"}
    model = after.deployed()
    short = [s for s in samples(30) if len(s.text) < 5 and not reads_upside_down(s.text)]
    crops = collate(short, 96, recipe, Alphabet()).crops
    with torch.inference_mode():
        right, over = (model.outputs(way)["upright"] for way in (crops, upside_down(crops)))
    assert (right > over).float().mean() > 0.7


def test_training_a_part_freezes_the_weights_of_no_part() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head, self.trunk = nn.Linear(2, 1), nn.Linear(2, 2)
            self.exponents = nn.Parameter(torch.zeros(2))

    network = Network()
    freeze_all_but(network, ["head"])
    trained = [name for name, weight in network.named_parameters() if weight.requires_grad]
    assert trained == ["head.weight", "head.bias"]


def test_a_frozen_part_stays_frozen_when_all_parts_are_trained(tmp_path: Path) -> None:
    recipe = tiny(3)
    network = recipe.network.model_copy(update={"rectifier": RectifierConfig(points=6)})
    exact = recipe.optimization.model_copy(update={"bf16": False})
    losses = recipe.losses.model_copy(update={"align": 0.0, "counting": 0.0, "dense_columns": 0.0})
    changes = {"network": network, "geometry": CropGeometry(widths=(96,)), "optimization": exact}
    recipe = recipe.model_copy(update=changes | {"losses": losses})
    alphabet = Alphabet(recipe.alphabet)
    torch.manual_seed(recipe.seed)
    fresh = build(network, recipe.geometry, alphabet).state_dict()
    list(train(recipe, [samples(30)], tmp_path))
    learned = checkpoint.load(tmp_path / "best.pt").weights

    changed = {
        name.partition(".")[0] for name, weight in learned.items() if not torch.equal(weight, fresh[name])
    }
    assert "trunk" in changed
    frozen = [name for name in fresh if name.startswith("rectifier.") and not _of_norms(name)]
    assert frozen
    assert all(torch.equal(learned[name], fresh[name]) for name in frozen)


def _of_norms(name: str) -> bool:
    """Whether it is a statistic, which moves though nothing is learned."""
    return name.endswith(("running_mean", "running_var", "num_batches_tracked"))


def test_training_a_part_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    recipe = tiny()
    optimization = recipe.optimization.model_copy(update={"only": ("uprigth",)})
    with pytest.raises(
        RecipeError, match=r"optimization\.only: the network has no part .uprigth.\. It has trunk, "
    ):
        next(train(recipe.model_copy(update={"optimization": optimization}), [samples(30)], tmp_path))


def test_a_run_is_neither_overwritten_nor_resumed_by_another_recipe(tmp_path: Path) -> None:
    run(tiny(2), tmp_path)

    with pytest.raises(CheckpointError) as caught:
        run(tiny(2), tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: holds a run already. Continue it with --resume, or name another folder."
    )
    with pytest.raises(CheckpointError, match="a run of another recipe"):
        run(tiny(3), tmp_path, resume=True)


def test_muon_steps_like_that_of_torch_and_leaves_biases_and_classifiers_to_adamw() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel, self.matrix, self.classifier = (
                nn.Conv2d(12, 8, 3),
                nn.Linear(24, 16),
                nn.Linear(16, 9),
            )

    torch.manual_seed(0)
    ours = Network()
    theirs = copy.deepcopy(ours)
    config = Optimization(rule=Muon(scale=3.0), rate=0.01, decay=0.1)
    muon = optimizer_of(ours, config)
    matrix = torch.optim.Muon(
        [theirs.matrix.weight], lr=0.03, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"
    )
    rest = [theirs.matrix.bias, theirs.classifier.bias]
    adamw = torch.optim.AdamW(
        [{"params": [theirs.classifier.weight], "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}],
        lr=0.01,
        betas=(0.9, 0.98),
    )
    before = ours.kernel.weight.detach().clone()
    for _ in range(3):
        for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            own.grad = torch.randn_like(own)
            other.grad = own.grad.clone()
        for optimizer in (muon, matrix, adamw):
            optimizer.step()

    assert torch.allclose(ours.matrix.weight, theirs.matrix.weight, atol=2e-3)  # torch rounds to 8 bits
    for layer in ("matrix.bias", "classifier.weight", "classifier.bias"):
        assert torch.allclose(ours.get_parameter(layer), theirs.get_parameter(layer), atol=1e-6), layer
    assert (ours.kernel.weight - before).abs().max() > 0.03


@pytest.mark.parametrize("shape", [(8, 72), (72, 8), (16, 16)])
def test_an_orthogonalized_matrix_is_equally_long_in_all_directions(shape: tuple[int, int]) -> None:
    rng = torch.Generator().manual_seed(3)
    matrix = torch.randn(shape, generator=rng)
    left, before, right = torch.linalg.svd(matrix, full_matrices=False)
    found = left.T @ orthogonalized(matrix) @ right.T

    assert before.max() > 1.5 * before.min()
    assert found.diagonal().min() > 0.6
    assert found.diagonal().max() < 1.25
    assert (found - found.diagonal().diag()).abs().max() < 1e-4


def test_a_recipe_may_spell_optimization_as_in_0_1() -> None:
    old = TrainingRecipe.model_validate({"optimisation": {"batch": 16}})

    assert old.optimization.batch == 16
    assert "optimisation" not in old.model_dump()


def stable(steps: int) -> TrainingRecipe:
    recipe = tiny(steps)
    config = recipe.optimization.model_copy(update={"schedule": "stable", "horizon": 64})
    return recipe.model_copy(update={"optimization": config})


def test_a_run_with_a_constant_rate_is_extended_exactly(tmp_path: Path) -> None:
    whole = run(stable(6), tmp_path / "whole")
    first = run(stable(3), tmp_path / "parts")
    second = run(stable(6), tmp_path / "parts", resume=True)

    assert [p.loss for p in first + second] == [p.loss for p in whole]


def test_a_branch_decays_and_leaves_the_other_run_as_it_is(tmp_path: Path) -> None:
    kept, branch = tmp_path / "run", tmp_path / "branch"
    run(stable(3), kept)
    before = (kept / "last.pt").read_bytes()
    given = {"branch": kept, "decay_crops": 8 * 4}
    first = [next(iter(train(stable(9), [samples(30)], branch, stop=stopped(), **given))).step]
    rest = list(train(stable(9), [samples(30)], branch, resume=True))

    assert first + [p.step for p in rest] == [4, 5, 6, 7]
    assert (kept / "last.pt").read_bytes() == before
    assert (branch / "best.pt").exists()
    saved = [torch.load(folder / "last.pt", weights_only=True) for folder in (kept, branch)]
    rates = [file["state"]["optimizer"]["param_groups"][0]["lr"] for file in saved]
    assert 0 < rates[1] < 0.2 * rates[0]
    with pytest.raises(CheckpointError) as caught:
        next(iter(train(stable(9), [samples(30)], tmp_path / "other", branch=branch)))
    assert str(caught.value) == (
        f"{branch / 'last.pt'}: its rate is not constant. "
        'Branch a run with optimization.schedule = "stable" that is no branch itself.'
    )


def test_a_cosine_has_no_last_decay() -> None:
    with pytest.raises(
        ValueError, match=r'optimization\.decay_crops needs optimization\.schedule = "stable"'
    ):
        TrainingRecipe(optimization=Optimization(decay_crops=100))


def test_networks_with_ctc_learn_texts_of_40_characters() -> None:
    recipe = load(RECIPES / "lean-ctc.toml", TrainingRecipe)
    long = [Sample(sample(0).pixels, "A" * 40)]

    assert survey(long, recipe).tolist() == [192]
    assert collate(long, 192, recipe, Alphabet()).targets.classes.shape == (1, 41)


# ---------------------------------------------------------------------------------------------------- shards

PLATES = DataRecipe.model_validate(
    {
        "height": 32,
        "max_width": 150,
        "max_length": 6,
        "texts": {"patterns": ["##", "@##"]},
        "processes": [{"kind": "ink"}],
    }
)
LABELS = PLATES.model_copy(update={"background_share": 0.5})


def rendering(steps: int) -> TrainingRecipe:
    recipe = stable(steps)
    optimization = recipe.optimization.model_copy(update={"workers": 1, "save_minutes": 1e-9})
    return recipe.model_copy(update={"shards": Shards(size=16, window=2), "optimization": optimization})


class AtOnce:
    """An executor that does the work before ``submit`` returns."""

    def __init__(self, workers: int) -> None:
        pass

    def submit(self, work: Callable[..., None], *arguments: object) -> Future[None]:
        done: Future[None] = Future()
        try:
            done.set_result(work(*arguments))
        except Exception as error:
            done.set_exception(error)
        return done

    def shutdown(self, **_: object) -> None:
        pass


@pytest.fixture
def one_renderer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Render in this process, at once: new processes take seconds, and fonts do not bear two threads."""
    monkeypatch.setattr(shards, "_cores", lambda: 1)
    monkeypatch.setattr(shards, "ThreadPoolExecutor", AtOnce)


def rendered(steps: int, out: Path, **more: Any) -> list[Progress]:
    return list(train(rendering(steps), [PLATES, LABELS], out, valid=[samples(4)], **more))


def test_each_shard_is_seen_in_as_many_epochs_as_the_window_has(tmp_path: Path) -> None:
    crops = FreshCrops([PLATES], rendering(1), tmp_path)
    plan = Plan(crops, 8, 1)

    assert [crops.count(epoch) for epoch in range(4)] == [16, 32, 32, 32]
    assert [plan.epoch(step) for step in (0, 1, 2, 5, 6, 9, 10)] == [0, 0, 1, 1, 2, 2, 3]


def test_a_run_renders_its_crops_a_shard_ahead_and_deletes_those_that_it_has_seen(
    tmp_path: Path, one_renderer: None
) -> None:
    seen, there = [], []
    for progress in train(rendering(14), [PLATES, LABELS], tmp_path, valid=[samples(4)]):
        seen.append(progress.step)
        there.append(sorted(int(path.name) for path in (tmp_path / "shards").iterdir()))

    assert seen == [*range(1, 15)]
    assert all(max(numbers) - min(numbers) <= 3 for numbers in there)
    assert there[-1] == [3]
    store = SampleStore(tmp_path / "shards" / "000003")
    assert [store[0].text, store[5].text] == [
        make_sample(recipe, 1, index).text for recipe, index in ((PLATES, 48), (LABELS, 53))
    ]


def test_a_resumed_run_with_its_own_crops_equals_one_that_was_not_stopped(
    tmp_path: Path, one_renderer: None
) -> None:
    whole = rendered(10, tmp_path / "whole")
    first = rendered(7, tmp_path / "parts")
    newest = tmp_path / "parts" / "shards" / "000002" / "data.mdb"
    made = newest.stat().st_mtime_ns
    shutil.rmtree(tmp_path / "parts" / "shards" / "000001")
    second = rendered(10, tmp_path / "parts", resume=True)
    branch = rendered(7, tmp_path / "branch", branch=tmp_path / "parts", decay_crops=8)

    assert [p.loss for p in first + second] == [p.loss for p in whole]
    assert made <= newest.stat().st_mtime_ns
    assert [p.step for p in branch] == [11]
    assert (tmp_path / "branch" / "shards" / "000003").exists()


def test_a_shard_that_cannot_be_rendered_ends_the_run_with_its_reason(
    tmp_path: Path, one_renderer: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(recipe: DataRecipe, seed: int, index: int) -> Sample:
        raise MemoryError("no memory")

    monkeypatch.setattr("serialread.synth.make_sample", fail)
    with pytest.raises(StoreError) as caught:
        rendered(4, tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'shards' / '000000'}: sample 0 could not be made: MemoryError: no memory. "
        "What came before it is kept; correct the cause and add --resume."
    )


def test_a_run_stops_while_it_waits_for_crops(tmp_path: Path, one_renderer: None) -> None:
    assert rendered(4, tmp_path, stop=stopped()) == []
    assert len(rendered(4, tmp_path, resume=True)) == 4


@pytest.mark.parametrize(
    ("data", "valid", "message"),
    [
        (
            [PLATES],
            [],
            "training data: a run that renders its own crops takes data recipes alone, and a store for "
            "validation. Generate a store for each recipe, or name only recipes and --valid STORE.",
        ),
        (
            [PLATES.model_copy(update={"max_length": 40})],
            [samples(4)],
            "data recipe: max_length 40, this network reads at most 25 characters. "
            "Lower max_length, or train a network with CTC.",
        ),
    ],
)
def test_data_recipes_that_cannot_be_trained_on_are_refused(
    tmp_path: Path, data: list[DataRecipe], valid: list[list[Sample]], message: str
) -> None:
    with pytest.raises(SerialreadError) as caught:
        next(iter(train(rendering(4), data, tmp_path, valid=valid)))
    assert str(caught.value) == message


def test_a_gpu_that_is_not_there_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(RecipeError) as caught:
        next(train(tiny(), [samples(30)], tmp_path, device="cuda"))
    assert str(caught.value) == (
        "device cuda: torch finds no GPU. Train with --device cpu, or install torch for CUDA."
    )
    assert [device_of(name).type for name in ("auto", "cpu")] == ["cpu", "cpu"]


def test_a_network_is_trained_where_it_lies_and_so_are_the_tensors_of_its_losses(tmp_path: Path) -> None:
    seen = []

    class Watch(TorchFunctionMode):
        def __torch_function__(self, call: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if call in (torch.arange, torch.zeros, torch.ones, torch.full, torch.tensor):
                seen.append((kwargs or {}).get("device"))
            return call(*args, **(kwargs or {}))

    recipe = tiny()
    model = build(recipe.network, recipe.geometry, Alphabet())
    batch = collate([sample(i, 3) for i in range(8)], 96, recipe, Alphabet())
    with Watch(), Replicas(model, 1) as replicas:
        replicas.backward(batch, recipe, 0.5)

    assert seen
    assert {str(device) for device in seen} == {"cpu"}


def test_a_diverging_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"step \d+: the loss is .* Lower optimization\.rate and train"):
        run(tiny(20, rate=1e30), tmp_path)


def test_too_little_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        next(train(tiny(), [samples(1)], tmp_path))
    assert str(caught.value) == ("training data: 1 sample(s), at least 2 are needed. Name more stores.")


# ------------------------------------------------------------------------------------------------ evaluation


def test_the_measures_of_an_untrained_network_are_shares() -> None:
    recipe = tiny()
    torch.manual_seed(0)
    model = build(recipe.network, recipe.geometry, Alphabet())
    measures = evaluate(model, samples(20), recipe)

    assert (measures.samples, measures.strict) == (20, 0)
    shares = [*measures.gates, measures.glyph_iou, measures.attention_inside, measures.drift]
    assert all(0 <= share <= 1 for share in shares)


def test_training_without_torch_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = CliRunner().invoke(cli.app, ["train", "r.toml", "--data", "store", "--out", str(tmp_path)])

    assert isinstance(result.exception, SerialreadError)
    assert str(result.exception) == (
        "training: torch is not installed. Install it: pip install 'serialread[train]'"
    )


def test_the_shipped_recipes_are_valid() -> None:
    for path in set(RECIPES.glob("*.toml")) - {RECIPES / "detector.toml"}:  # of another kind of network
        assert path.stem.startswith(load(path, TrainingRecipe).name)
