"""Pitfalls in implementing SIGA and SEC from their papers, one test each.

Shapes: slots T, columns N, half-resolution pixels.
"""

from typing import Any

import numpy as np
import pytest
import torch
from sample_cases import sample
from torch import Tensor

from serialread.codes import Alphabet
from serialread.config import CropGeometry, TrainingRecipe
from serialread.config.training_recipe import (
    AbinetAugmentation,
    Losses,
    Optimization,
    PaperBands,
    RandomAugmentation,
    TwoMeans,
)
from serialread.datasets import to_lowercase
from serialread.models import TrainingOutputs
from serialread.models.losses import (
    _cells,
    _shares,
    correlation,
    difference,
    drawing,
    existence,
    pooled,
    pseudo_labels,
    segment,
)
from serialread.models.targets import Targets, filled_cells, interpolated, text_cells
from serialread.records import Sample
from serialread.training.augmentation import augment
from serialread.training.batches import Plan, StoredCrops, TrainingBatches, collate
from serialread.training.optimization import learning_rate

PAPER = Losses(paper_bands=PaperBands(), glyph_labels="attention")


def targets_of(pixels: Tensor, length: int = 2) -> Targets:
    one = torch.ones(len(pixels), dtype=torch.bool)
    columns = torch.zeros(len(pixels), 8).long()
    return Targets(
        torch.ones(len(pixels), 3).long(), torch.full((len(pixels),), length), pixels, columns, one, one, one
    )


def attention_at(*peaks: int, columns: int = 8) -> Tensor:
    alpha = torch.full((1, len(peaks), columns), 0.01)
    for slot, peak in enumerate(peaks):
        alpha[0, slot, peak] = 1 - 0.01 * (columns - 1)
    return alpha


# ------------------------------------------------------------------------------ where paper and code differ


def test_l_cel_separates_characters_unless_it_is_binary_as_in_the_paper() -> None:
    ids = torch.tensor([[[0, 1, 2, 0]]])
    swapped = torch.nn.functional.one_hot(torch.tensor([[[0, 2, 1, 0]]]), 4).permute(0, 3, 1, 2) * 30.0
    logs = swapped.log_softmax(1)

    assert _cells(logs, ids, Losses()) > 5
    assert _cells(logs, ids, Losses(binary_text=True)) == pytest.approx(0, abs=1e-4)
    assert (
        drawing(swapped, ids, torch.tensor([2]), Losses(binary_text=True)) > 0.3
    )  # dice still separates them


def test_slot_weights_are_one_beyond_those_given() -> None:
    ids = torch.tensor([[[0, 1, 2, 3]]])
    logs = torch.zeros(1, 4, 1, 4).log_softmax(1)
    logs[0, :, 0, 1] = torch.tensor([-9.0, -9, -0.01, -9])

    assert _cells(logs, ids, Losses(slot_weights=(5.0,))) > _cells(logs, ids, Losses())


def test_l_ins_is_an_ordinary_cross_entropy_of_logits_without_a_floor() -> None:
    """The authors' code applies a softmax to probabilities again: its minimum is 0.313."""
    pixels = torch.zeros(1, 4, 8, dtype=torch.uint8)
    pixels[:, 1:3, 2:5] = 1
    sure = torch.where(pixels > 0, 20.0, -20.0)

    assert segment(sure, targets_of(pixels), Losses(), 0.5) < 1e-6


def test_masks_of_reversed_polarity_are_ignored_after_the_warm_up() -> None:
    pixels = torch.zeros(2, 4, 8, dtype=torch.uint8)
    pixels[:, 1:3, 2:5] = 1
    logits = torch.where(pixels > 0, 5.0, -5.0)
    logits[1] = -logits[1]  # reversed polarity
    knobs = Losses(disagreement=0.69, disagreement_from=0.125)
    early, late = (segment(logits, targets_of(pixels), knobs, progress) for progress in (0.1, 0.2))

    assert early > 2
    assert late < 0.01


def test_l_cor_does_not_depend_on_the_batch_size_and_is_zero_for_one_character() -> None:
    together = attention_at(3, 3)
    length = torch.tensor([2])

    assert correlation(together, length) > 0.3
    torch.testing.assert_close(
        correlation(together.repeat(7, 1, 1), length.repeat(7)), correlation(together, length)
    )
    assert correlation(attention_at(3), torch.tensor([1])) == 0


def outputs_of(alpha: Tensor, segmentation: Tensor) -> TrainingOutputs:
    return TrainingOutputs(scores={}, alpha=alpha, segmentation=segmentation)


@pytest.mark.parametrize("columns", [32, 40, 64])
def test_paper_thresholds_scale_with_the_number_of_columns(columns: int) -> None:
    """delta 0.05, centre 0.1 and slope 70 hold at 32 columns; at 40 they are 0.04, 0.08 and 87.5."""
    outputs = outputs_of(attention_at(3, columns=columns), torch.ones(1, 4, 4 * columns))
    _, slope, centre = _shares(outputs, torch.tensor([1]), PAPER)

    assert centre == pytest.approx(0.1 * 32 / columns)
    assert slope * centre == pytest.approx(7)


def test_attention_is_interpolated_along_the_width_without_renormalization() -> None:
    alpha = attention_at(3, 5)
    beta = interpolated(alpha, torch.tensor([1]), 32)

    assert beta.shape == (1, 2, 32)
    assert beta[0, 0].sum() == pytest.approx(4 * alpha[0, 0].sum().item(), rel=0.01)
    assert beta[0, 0].max() <= alpha.max()
    assert not beta[0, 1].any()  # past the end


def test_l_dif_fits_the_bands_to_the_text_without_a_gradient_to_the_segmentation() -> None:
    segmentation = torch.full((1, 4, 32), -5.0)
    segmentation[..., 12:16] = segmentation[..., 20:24] = 5.0  # columns 3 and 5 of 8
    segmentation.requires_grad_(True)
    alpha = attention_at(3, 5).requires_grad_(True)
    length = torch.tensor([2])
    right, wrong = (outputs_of(a, segmentation) for a in (alpha, attention_at(3, 0)))
    covered = difference(*_shares(right, length, PAPER), segmentation)
    missed = difference(*_shares(wrong, length, PAPER), segmentation)
    covered.backward()

    assert covered < 0.3 < missed
    assert segmentation.grad is None
    assert alpha.grad is not None


def test_pseudo_labels_have_no_gradient_and_are_made_per_level() -> None:
    segmentation = torch.full((1, 8, 32), -5.0)
    segmentation[:, 2:6, 12:16] = segmentation[:, 2:6, 20:24] = 5.0
    alpha = attention_at(3, 5).requires_grad_(True)
    view = TrainingOutputs(scores={}, alpha=alpha, segmentation=segmentation)
    coarse, fine = (
        pseudo_labels(view, targets_of(torch.zeros(1, 8, 32)), PAPER, size) for size in ((2, 8), (4, 16))
    )

    assert not coarse.requires_grad
    assert coarse[0, 0].tolist() == [0, 0, 0, 1, 0, 2, 0, 0]
    assert fine.shape == (1, 4, 16)
    assert set(fine.unique().tolist()) == {0, 1, 2}


def test_two_characters_in_one_column_cannot_be_separated() -> None:
    """Bands are columns: vertical text must be rotated first."""
    segmentation = torch.full((1, 8, 32), 5.0)
    view = TrainingOutputs(scores={}, alpha=attention_at(3, 3), segmentation=segmentation)
    labels = pseudo_labels(view, targets_of(torch.zeros(1, 8, 32)), Losses(), (4, 8))

    assert all(len(column.unique()) == 1 for column in labels[0].T)


def test_thin_strokes_are_kept_in_our_cells_but_not_in_the_paper_s() -> None:
    thin = torch.full((1, 16, 32), -5.0)
    thin[:, 4] = 5.0

    assert text_cells(thin, (4, 8)).any()
    assert not filled_cells(thin, (4, 8), 0.4).any()


# --------------------------------------------------------------------------------------------- augmentation


@pytest.mark.parametrize(
    "knobs", [AbinetAugmentation(kind="abinet", geometry=1), RandomAugmentation(kind="random", skipped=0)]
)
def test_strong_augmentation_is_drawn_per_picture_and_warps_the_mask_alike(knobs: object) -> None:
    """The authors draw once per run, or shift mask and picture by independent offsets."""
    before = sample(3, 6)
    variants = [augment(before, knobs, np.random.default_rng(seed)) for seed in range(12)]  # type: ignore[arg-type]
    seen = [v for v in variants if v.glyphs is not None and (v.glyphs > 0).sum() > 40]

    assert len({v.pixels.tobytes() for v in variants}) > 6
    assert all(v.pixels.dtype == np.uint8 and v.pixels.shape == before.pixels.shape for v in variants)
    contrasts = [
        abs(float(v.pixels[v.glyphs > 0].mean()) - float(v.pixels[v.glyphs == 0].mean()))  # type: ignore[operator]
        for v in seen
    ]
    assert np.median(contrasts) > 30  # the mask is still on the ink


def test_self_supervised_masks_are_made_before_augmentation_and_are_binary() -> None:
    recipe = TrainingRecipe(geometry=CropGeometry(widths=(96,)), masks=TwoMeans())
    data = [sample(i, 4) for i in range(4)]
    batch = TrainingBatches(Plan(StoredCrops(data, np.full(4, 96, np.int32)), 4, 1), recipe, Alphabet())[0]

    assert batch.targets.text_known.all()
    assert not batch.targets.characters_known.any()
    assert set(batch.targets.pixels.unique().tolist()) == {0, 1}
    assert not batch.targets.columns.any()
    ink = batch.targets.pixels > 0
    assert 0.03 < ink.float().mean() < 0.4


# -------------------------------------------------------------------------------------------------- existence


def cell_scores() -> Tensor:
    scores = torch.zeros(1, 6, 5)
    scores[0, :, 0] = 12.0
    scores[0, 2, 3] = 24.0
    return scores


@pytest.mark.parametrize("pooling", ["top", "noisy_or"])
def test_existence_loss_is_low_for_the_characters_present(pooling: str) -> None:
    knobs = Losses.model_validate({"existence_pooling": pooling})
    present, absent = torch.tensor([[3, 0]]), torch.tensor([[2, 0]])

    assert existence(cell_scores(), present, knobs) < 0.01
    assert existence(cell_scores(), absent, knobs) > 1


def test_existence_loss_ignores_counts() -> None:
    once, twice = torch.tensor([[3, 0, 0]]), torch.tensor([[3, 3, 0]])
    assert existence(cell_scores(), once, Losses()) == existence(cell_scores(), twice, Losses())


def test_noisy_or_saturates_on_a_large_map_and_the_top_cells_do_not() -> None:
    logs = torch.full((1, 256, 1), 0.005).log()

    assert pooled(logs, Losses(existence_pooling="noisy_or")).item() == pytest.approx(0.72, abs=0.01)
    assert pooled(logs, Losses(existence_pool=3)).item() == pytest.approx(0.005, rel=1e-3)


def test_positives_can_have_a_higher_weight() -> None:
    absent = torch.tensor([[2, 0]])
    assert existence(cell_scores(), absent, Losses(existence_positives=4.0)) > 2 * existence(
        cell_scores(), absent, Losses()
    )


def test_a_blank_map_has_a_finite_loss() -> None:
    assert torch.isfinite(existence(torch.full((1, 4, 3), -1e4), torch.tensor([[1]]), Losses()))


# --------------------------------------------------------------------------------------- labels and schedules


def test_lowercase_labels_drop_characters_outside_the_alphabet_and_their_masks() -> None:
    whole = Sample(sample(1, 4).pixels, "A-7b", sample(1, 4).glyphs)
    plain = to_lowercase(whole, Alphabet("ab7"))

    assert plain.text == "a7b"
    assert plain.glyphs is not None
    assert whole.glyphs is not None
    assert [int(plain.glyphs[whole.glyphs == i].max()) for i in (1, 2, 3, 4)] == [1, 0, 2, 3]


def test_a_stretched_crop_fills_its_array() -> None:
    recipe = TrainingRecipe(geometry=CropGeometry(widths=(128,), fit="stretch"))
    batch = collate([sample(1, 2), sample(2, 6)], 128, recipe, Alphabet())

    assert batch.crops.shape == (2, 1, 32, 128)
    assert (batch.crops[:, 0, :, -8:] != 0).any((1, 2)).all()


ONE_CYCLE = {"warm_up": 0.3, "warm_up_shape": "cosine", "final": 5e-5}
STABLE = {"schedule": "stable", "horizon": 500, "warm_up": 0.2}


@pytest.mark.parametrize(
    ("knobs", "step", "rate"),
    [
        (ONE_CYCLE, 0, 0.05),
        (ONE_CYCLE, 150, 0.525),
        (ONE_CYCLE, 1000, 5e-5),
        ({"warm_up": 0.2, "final": 2e-4}, 100, 0.525),
        ({"warm_up": 0.0}, 0, 1.0),
        ({"warm_up": 0.0}, 500, 0.5),
        (STABLE, 0, 0.05),
        (STABLE, 50, 0.525),
        (STABLE, 100, 1.0),
        (STABLE, 999, 1.0),
        (STABLE | {"decay_crops": 400}, 600, 1.0),
        (STABLE | {"decay_crops": 400}, 700, 0.5),
        (STABLE | {"decay_crops": 400}, 999, 1 - (399 / 400) ** 0.5),
    ],
)
def test_schedules_match_the_papers(knobs: dict[str, Any], step: int, rate: float) -> None:
    config = Optimization(rate=1.0, crops=1000, batch=1, **knobs)
    assert learning_rate(config, step) == pytest.approx(rate, rel=1e-6)
