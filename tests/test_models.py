"""Networks, losses and targets: shapes, and the minimum of every loss."""

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from sample_cases import samples
from torch import Tensor

from serialread.codes import Alphabet, reads_upside_down
from serialread.config import CropGeometry, TrainingRecipe
from serialread.config.networks import NetworkConfig
from serialread.config.training_recipe import Losses
from serialread.models import SLOTS, Recognizer, TrainingOutputs, build, describe, terms
from serialread.models.glyphs import Glyphs
from serialread.models.layers import Counting, GatedUnit, upside_down
from serialread.models.losses import (
    alignment,
    correlation,
    counting as counting_loss,
    difference,
    drawing,
    orientation,
)
from serialread.models.targets import Targets, assigned, bands, from_masks, text_cells
from serialread.models.trunk import ReliefChannels
from serialread.training.batches import Batch, collate
from serialread.training.checkpoint import expanded

GEOMETRY = CropGeometry(widths=(96, 160))
BACKBONE = {"kind": "compact", "channels": [16, 16, 32], "blocks": [0, 1, 1]}
DECODER = {"kind": "parallel", "attention": 16}


def small(**parts: object) -> NetworkConfig:
    """A small compact SIGA with some parts replaced."""
    table = {
        "backbone": BACKBONE,
        "sequence": {"kind": "mixing", "width": 32, "heads": 2},
        "decoder": DECODER,
        "siga": {"parts": {"kind": "compact", "pyramid": 16}},
    }
    return NetworkConfig.model_validate(table | parts)


NETWORK = small()
RECIPE = TrainingRecipe(geometry=CropGeometry(widths=(160,)), network=NETWORK)


def learned(model: Recognizer, batch: Batch) -> TrainingOutputs:
    return model.train().train_forward(batch.crops, batch.targets.classes)


@pytest.fixture(scope="module")
def model() -> Recognizer:
    torch.manual_seed(0)
    return build(NETWORK, GEOMETRY, Alphabet())


@pytest.mark.parametrize("width", [64, 96, 136, 160])
def test_any_width_that_is_a_multiple_of_eight_gives_one_column_for_four_px(
    model: Recognizer, width: int
) -> None:
    scores, attention, glyphs = model.eval()(torch.randn(3, 1, 32, width))

    assert scores.shape == (3, SLOTS, 95)
    assert attention.shape == (3, SLOTS, width // 4)
    assert glyphs.shape == (3, SLOTS, 8, width // 4)
    assert ((glyphs >= 0) & (glyphs.sum(1, keepdim=True) <= 1 + 1e-5)).all()
    torch.testing.assert_close(scores.exp().sum(-1), torch.ones(3, SLOTS))
    total = attention.sum(-1)  # the rest attends to the null cell
    assert (total >= 0).all()
    assert (total <= 1 + 1e-5).all()


def test_an_expanded_network_reads_a_crop_enlarged_by_half_as_the_smaller_network_reads_the_original() -> (
    None
):
    coarse = small(backbone=BACKBONE | {"relief": False})
    fine = small(backbone=BACKBONE | {"relief": False, "cell": 3, "channels": [32, 16, 32]})
    taller = CropGeometry(height=48, widths=(144, 240))
    before, after = (build(n, g, Alphabet()).eval() for n, g in ((coarse, GEOMETRY), (fine, taller)))
    after.load_state_dict(expanded(after.state_dict(), before.state_dict()))
    crop = np.random.default_rng(1).standard_normal((48, 240), np.float32)
    shrunk = cv2.resize(crop, (160, 32), interpolation=cv2.INTER_AREA)

    now, was = (net(torch.from_numpy(seen)[None, None]) for net, seen in ((after, crop), (before, shrunk)))

    for new, old in zip(now, was, strict=True):
        torch.testing.assert_close(new, old, atol=1e-4, rtol=1e-4)


def test_a_network_with_more_residual_blocks_starts_with_the_readings_of_the_smaller_one() -> None:
    small_one, deeper = (
        build(small(backbone=BACKBONE | {"blocks": blocks}), GEOMETRY, Alphabet()).eval()
        for blocks in ([0, 1, 1], [1, 2, 3])
    )
    deeper.load_state_dict(expanded(deeper.state_dict(), small_one.state_dict()), strict=False)
    crops = torch.randn(2, 1, 32, 96)

    for new, old in zip(deeper(crops), small_one(crops), strict=True):
        torch.testing.assert_close(new, old)


def test_a_crop_reads_the_same_alone_and_in_a_batch(model: Recognizer) -> None:
    crops = torch.randn(4, 1, 32, 96)
    together, *_ = model.eval()(crops)
    alone, *_ = model(crops[2:3])

    torch.testing.assert_close(together[2:3], alone, atol=1e-5, rtol=1e-4)


def test_zeroed_glyphs_change_the_scores_and_nothing_before_them(model: Recognizer) -> None:
    crops = torch.randn(2, 1, 32, 96)
    normal, zeroed = model.eval().read(crops), model.read(crops, zero_glyphs=True)

    assert torch.equal(normal.alpha, zeroed.alpha)
    assert torch.equal(normal.levels[0].features, zeroed.levels[0].features)
    assert not torch.allclose(normal.scores, zeroed.scores)


def test_a_gate_interpolates_between_two_bounded_features() -> None:
    fused, gate = GatedUnit(8)(torch.full((1, 2, 8), 50.0), torch.full((1, 2, 8), -50.0))

    assert ((gate >= 0) & (gate <= 1)).all()
    torch.testing.assert_close(fused, 2 * gate - 1)  # z * 1 + (1 - z) * -1


def bumps(*columns: int, count: int = 12) -> Tensor:
    """Attention [1, slots, count]: one slot a given column, spread a little to its neighbours."""
    alpha = torch.zeros(1, len(columns), count)
    for slot, column in enumerate(columns):
        alpha[0, slot, column] = 0.6
        alpha[0, slot, column - 1] = alpha[0, slot, column + 1] = 0.2
    return alpha


def test_bands_are_shares_of_each_slots_peak_and_empty_past_the_end() -> None:
    shares = bands(bumps(2, 6, 9), torch.tensor([2]))

    assert shares[0, 0, 1:4].tolist() == pytest.approx([1 / 3, 1, 1 / 3])
    assert not shares[0, 2].any()


def test_a_text_cell_belongs_to_the_slot_with_the_largest_attention_on_its_column() -> None:
    text = torch.ones(1, 2, 12, dtype=torch.bool)
    text[0, 1] = False
    ids = assigned(bands(bumps(2, 6, 9), torch.tensor([2])), text, threshold=0.3)

    assert ids[0, 0].tolist() == [0, 1, 1, 1, 0, 2, 2, 2, 0, 0, 0, 0]
    assert not ids[0, 1].any()


def test_max_pooling_keeps_a_thin_stroke_at_every_level() -> None:
    pixels = torch.zeros(1, 16, 24, dtype=torch.uint8)
    pixels[0, 3, 5] = 7

    assert from_masks(pixels, (8, 12))[0, 1, 2] == 7
    assert from_masks(pixels, (4, 12))[0, 0, 2] == 7
    assert text_cells(torch.where(pixels > 0, 3.0, -3.0), (4, 12)).sum() == 1


def test_correlation_penalizes_slots_that_share_columns_at_any_batch_size() -> None:
    apart, together = bumps(2, 6), bumps(5, 6)
    length = torch.tensor([2])

    assert correlation(apart, length) == 0
    assert correlation(together, length) > 0
    torch.testing.assert_close(
        correlation(together.repeat(5, 1, 1), length.repeat(5)), correlation(together, length)
    )


def test_difference_is_small_only_where_the_slots_cover_the_text() -> None:
    segmentation = torch.full((1, 4, 24), -5.0)
    segmentation[0, :, 4:8] = segmentation[0, :, 12:14] = 5.0  # columns 2, 3 and 6
    covered, missed = (
        difference(bands(bumps(*columns), torch.tensor([2])), 20.0, 0.35, segmentation)
        for columns in ((2, 6), (2, 9))
    )

    assert covered < 0.5
    assert missed > 2


def test_alignment_is_zero_where_all_attention_lies_inside() -> None:
    columns = torch.tensor([[0, 1, 1, 1, 0, 2, 2, 2, 0, 0, 0, 0]])
    one = torch.ones(1)
    targets = Targets(torch.zeros(1, 2).long(), torch.tensor([2]), torch.zeros(1), columns, one, one, one)

    assert alignment(bumps(2, 6), targets) == pytest.approx(0, abs=1e-5)
    assert alignment(bumps(6, 2), targets) > 5


def test_the_glyph_map_loss_is_zero_for_the_right_map_and_large_for_a_wrong_one() -> None:
    ids = torch.tensor([[[0, 1, 1, 0, 2, 2], [0, 1, 1, 0, 2, 2]]])
    right = torch.nn.functional.one_hot(ids, 4).permute(0, 3, 1, 2) * 30.0
    length = torch.tensor([2])

    assert drawing(right, ids, length, Losses()) == pytest.approx(0, abs=1e-4)
    assert drawing(right[:, [0, 2, 1, 3]], ids, length, Losses()) > 5


def test_a_slot_attends_where_the_count_of_character_starts_is_its_own() -> None:
    """Characters begin in columns 1, 4 and 6 of 8: the third slot is free on 6 and 7, the fourth on null."""
    counting = Counting(slots=5, dim=1)
    torch.nn.init.constant_(counting.start.weight, 1.0)
    torch.nn.init.constant_(counting.start.bias, 0.0)
    columns = torch.full((1, 8, 1), -20.0)
    columns[0, [1, 4, 6]] = 20.0

    window = counting(columns).window[0]

    free = [(window[slot] > -0.01).nonzero().flatten().tolist() for slot in range(5)]
    assert free == [[1, 2, 3], [4, 5], [6, 7], [8], [8]]


def test_an_upside_down_crop_keeps_its_padding_on_the_right() -> None:
    crops = torch.zeros(2, 1, 2, 5)
    crops[0, 0, :, :3] = torch.tensor([[1.0, 2, 3], [4, 0, 6]])
    crops[1] = torch.arange(1.0, 11).view(1, 2, 5)

    over = upside_down(crops)
    assert over[0, 0].tolist() == [[6, 0, 4, 0, 0], [3, 2, 1, 0, 0]]
    assert over[1, 0].tolist() == [[10, 9, 8, 7, 6], [5, 4, 3, 2, 1]]
    torch.testing.assert_close(upside_down(over), crops)


def test_orientation_is_learned_only_from_codes_that_are_no_codes_upside_down() -> None:
    right, wrong = torch.tensor([[9.0, -9], [-9, 9]]), torch.tensor([[9.0, 9], [-9, -9]])
    oriented = torch.tensor([True, False, True])  # of three crops two were upside-down
    assert orientation(right, oriented) < 0.01
    assert orientation(wrong, oriented) < 0.01
    assert orientation(right, ~oriented) > 1


@pytest.mark.parametrize(("text", "whether"), [("69", True), ("HOH-1008", True), ("", True), ("SN74", False)])
def test_a_code_is_a_code_upside_down_if_all_its_characters_are(text: str, whether: bool) -> None:
    assert reads_upside_down(text) == whether


def test_the_orientation_head_adds_a_last_output_and_does_not_change_the_others() -> None:
    torch.manual_seed(0)
    plain = build(NETWORK, GEOMETRY, Alphabet()).eval()
    oriented = build(small(decoder=DECODER | {"upright": True}), GEOMETRY, Alphabet()).eval()
    oriented.load_state_dict(plain.state_dict(), strict=False)
    crops = torch.randn(3, 1, 32, 96)

    found = oriented.outputs(crops)
    assert [*found] == ["scores", "attention", "glyphs", "upright"]
    assert found["upright"].shape == (3,)
    torch.testing.assert_close(tuple(found.values())[:3], plain(crops))


@pytest.mark.parametrize("cell", [2, 3])
def test_the_relief_channels_are_grey_and_gradient_magnitude(cell: int) -> None:
    grey = torch.randn(2, 1, 4 * cell, 5 * cell)
    around = F.pad(grey, (1, 1, 1, 1), mode="replicate")
    across = around[:, :, 1:-1, 2:] - around[:, :, 1:-1, :-2]
    down = around[:, :, 2:, 1:-1] - around[:, :, :-2, 1:-1]

    shown = F.pixel_shuffle(ReliefChannels(cell)(grey).unflatten(1, (3, -1)).flatten(0, 1), cell).unflatten(
        0, (2, 3)
    )
    torch.testing.assert_close(shown[:, 0], grey)
    torch.testing.assert_close(shown[:, 2], (across**2 + down**2 + 1e-4).sqrt())


def test_character_starts_are_learned_from_the_columns_that_characters_own() -> None:
    targets = Targets(
        classes=torch.zeros(1, 26, dtype=torch.long),
        lengths=torch.tensor([2]),
        pixels=torch.zeros(1, 16, 12, dtype=torch.uint8),
        columns=torch.tensor([[0, 1, 1, 0, 2, 2]]),
        characters_known=torch.tensor([True]),
        text_known=torch.tensor([True]),
        oriented=torch.tensor([True]),
    )
    right = torch.tensor([[-9.0, 9, -9, -9, 9, -9]])
    wrong = torch.tensor([[-9.0, 9, 9, -9, -9, 9]])
    assert counting_loss(right, targets) < 0.01 < 1 < counting_loss(wrong, targets)


def test_terms_that_need_masks_are_zero_without_masks(model: Recognizer) -> None:
    batches = [collate(samples(6, masks=known), 160, RECIPE, Alphabet()) for known in (True, False)]
    known, unknown = (terms(learned(model, b), b.targets, Losses(), 0.5) for b in batches)

    assert all(torch.isfinite(value) for value in [*known.values(), *unknown.values()])
    assert list(known) == [
        "reading", "fused", "glimpse", "glyph", "segment", "correlation", "difference", "glyph_maps", "null",
        "dense_columns", "dense_cells", "counting", "align", "ctc", "existence",
    ]  # fmt: skip
    assert all(known[name] > 0 for name in known if name not in {"difference", "existence"})
    silent = {name for name, value in unknown.items() if value == 0} - {"difference"}
    assert silent == {"segment", "dense_columns", "dense_cells", "align", "existence"}


def test_a_term_of_weight_zero_is_zero_and_existence_can_be_switched_on(model: Recognizer) -> None:
    batch = collate(samples(4), 160, RECIPE, Alphabet())
    view = learned(model, batch)
    silent = Losses.model_validate(dict.fromkeys(terms(view, batch.targets, Losses(), 0.5), 0))

    assert all(value == 0 for value in terms(view, batch.targets, silent, 0.5).values())
    assert terms(view, batch.targets, Losses(existence=0.5), 0.5)["existence"] > 0


@pytest.mark.parametrize("labels", ["rendered", "attention"])
def test_glyph_maps_learn_from_rendered_masks_or_from_attention(model: Recognizer, labels: str) -> None:
    batch = collate(samples(4), 160, RECIPE, Alphabet())
    losses = Losses.model_validate({"glyph_labels": labels})
    terms(learned(model, batch), batch.targets, losses, 0.5)["glyph_maps"].backward()

    assert model.level_1.maps.weight.grad is not None
    assert model.attention.queries.grad is None  # S_gt is a constant target
    model.zero_grad()


def test_slots_past_the_end_are_trained_to_attend_to_the_null_cell() -> None:
    from serialread.models.losses import _null

    maps, length = torch.zeros(1), torch.tensor([1])
    right = Glyphs(maps, maps, torch.tensor([[0.0, 1.0, 1.0]]), maps)
    wrong = Glyphs(maps, maps, torch.tensor([[1.0, 0.0, 0.0]]), maps)

    assert _null(right, length) < 0.001
    assert _null(wrong, length) > 5


# ---------------------------------------------------------------------------------------------- description


def test_a_description_names_every_part_with_its_shapes_and_parameters(model: Recognizer) -> None:
    description = describe("small", NETWORK, GEOMETRY, Alphabet(), 96)

    assert {part.name for part in description.parts} == {name for name, _ in model.named_children()}
    shapes = {part.name: part.outputs for part in description.parts}
    assert shapes["counting"][0] == (1, 24)
    assert shapes["segmentation"] == ((1, 16, 48),)
    assert description.parameters_train == sum(p.numel() for p in model.parameters())
    assert sum(part.parameters for part in description.parts) == description.parameters_train
    training_only = sum(part.parameters for part in description.parts if part.training_only)
    assert description.parameters_test == description.parameters_train - training_only > 0
    assert description.crops_per_s > 0
    assert "segmentation" in description.to_text()


def test_the_macs_grow_with_the_crop_and_exceed_those_of_the_first_layer() -> None:
    narrow, wide = (describe("small", NETWORK, GEOMETRY, Alphabet(), w).macs for w in (96, 160))
    first = 9 * 12 * BACKBONE["channels"][0] * 16 * 48  # 12 relief channels at half resolution of 32 x 96 px
    assert narrow > first
    assert 160 / 96 * 0.9 < wide / narrow < (160 / 96) ** 2
