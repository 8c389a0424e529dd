"""Compositions: paper sizes have the paper's shapes and parameters; all variants train and export."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sample_cases import CHARS, sample
from torch import Tensor

from serialread.codes import Alphabet
from serialread.config import CropGeometry, TrainingRecipe, load, networks as kinds
from serialread.config.training_recipe import Losses, Pretrained
from serialread.errors import CheckpointError, SerialreadError
from serialread.inference.session import Engine
from serialread.models import SLOTS, Recognizer, build, glyphs, layers, network, terms
from serialread.models.layers import warped
from serialread.models.paper import decoders, paper_parts
from serialread.models.paper.decoders import RecurrentSiga
from serialread.models.paper.paper_parts import Rectifier
from serialread.records import Sample
from serialread.training import checkpoint, export, train
from serialread.training.batches import Batch, collate
from serialread.training.checkpoint import initialize_part

RECIPES = Path(__file__).parent.parent / "recipes" / "train"
PAPER = ("siga-r", "siga-s", "siga-t", "sec-rnn", "sec-transformer")
ALL = sorted(path.stem for path in RECIPES.glob("*.toml"))


def recipe_of(name: str) -> TrainingRecipe:
    return load(RECIPES / f"{name}.toml", TrainingRecipe)


def on_paper(name: str) -> Recognizer:
    """A network of shapes alone: no numbers, no time."""
    recipe = recipe_of(name)
    with torch.device("meta"):
        return build(recipe.network, recipe.geometry, Alphabet(recipe.alphabet))


def millions(model: Recognizer) -> tuple[float, float]:
    """Parameters in training and at test."""
    sizes = {n: sum(p.numel() for p in c.parameters()) / 1e6 for n, c in model.named_children()}
    return sum(sizes.values()), sum(size for n, size in sizes.items() if n not in model.training_only)


@pytest.mark.parametrize(
    ("name", "train_m", "test_m"), [("siga-r", 46.6, 39.8), ("siga-t", 124.5, 118.2), ("siga-s", 57.0, None)]
)
def test_paper_sizes_have_the_paper_s_parameters(name: str, train_m: float, test_m: float | None) -> None:
    """Within 2 % of the counts; of SIGA_S only a rough estimate is known, 3 %."""
    trained, tested = millions(on_paper(name))

    assert trained == pytest.approx(train_m, rel=0.02 if test_m else 0.03)
    assert test_m is None or tested == pytest.approx(test_m, rel=0.02)


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("siga-r", [(32, 32, 128), (64, 16, 64), (256, 8, 32), (512, 1, 32)]),
        ("siga-s", [(96, 24, 80), (192, 12, 40), (256, 6, 40), (384, 1, 40)]),
        ("siga-t", [(0, 32, 128), (128, 16, 64), (256, 8, 32), (512, 1, 32)]),
        ("sec-rnn", [(32, 32, 128), (64, 16, 64), (256, 8, 32), (512, 8, 32)]),
    ],
)
def test_every_stage_has_the_paper_s_shape(name: str, shapes: list[tuple[int, ...]]) -> None:
    """P_0, P_1, P_2 and the last map; N is 32, and 40 in SIGA_S."""
    recipe, model = recipe_of(name), on_paper(name)
    height, width = recipe.geometry.height, recipe.geometry.widths[-1]
    taps = model.trunk(torch.empty(2, 1, height, width, device="meta"))

    assert [tuple(tap.shape[1:]) for tap in taps[:4]] == shapes


@pytest.mark.parametrize(("name", "map_shape", "cells"), [("siga-r", (8, 32), 32), ("siga-s", (12, 40), 40)])
def test_maps_have_one_channel_per_slot_and_background_and_s_m_has_the_size_of_the_crop(
    name: str, map_shape: tuple[int, int], cells: int
) -> None:
    recipe, model = recipe_of(name), on_paper(name)
    assert isinstance(model, RecurrentSiga)
    size = recipe.geometry.height, recipe.geometry.widths[-1]
    taps = model.trunk(torch.empty(2, 1, *size, device="meta"))
    columns = model.columns(taps.last)
    o1, o2 = model.pyramid(taps, columns)
    fine, coarse = model.level_1(taps.glyph_1, o1, None), model.level_2(taps.glyph_2, o2, None)

    assert columns.shape == (2, cells, 256)
    assert o1.shape[1] == o2.shape[1] == 128
    assert fine.maps.shape[1] == coarse.maps.shape[1] == 1 + 26
    assert map_shape in {tuple(level.maps.shape[2:]) for level in (fine, coarse)}
    assert fine.features.shape == coarse.features.shape == (2, 26, 256)
    assert model.segmentation(taps, o1).shape == (2, *size)


@pytest.mark.parametrize("name", ["siga-r", "siga-s", "siga-t"])
def test_the_parts_that_make_pseudo_labels_are_for_training_only(name: str) -> None:
    model = on_paper(name)
    assert {"aligner", "segmentation", "plain", "glyph_readers"} <= set(model.training_only)


def test_the_compact_network_keeps_the_names_of_its_parts() -> None:
    model = build(recipe_of("siga-tiny").network, CropGeometry(), Alphabet())
    assert {name.partition(".")[0] for name in model.state_dict()} == {
        "trunk", "columns", "counting", "attention", "pyramid", "level_1", "level_2", "fuse_1", "fuse_2",
        "fuse", "classifier", "segmentation", "ctc",
    }  # fmt: skip


# ----------------------------------------------------------------------------------------- every combination

TRUNK = {"kind": "compact", "channels": [8, 8, 16], "blocks": [0, 0, 0]}
RESNET = {"kind": "resnet", "channels": [4, 4, 8, 8, 16, 16], "blocks": [1, 1, 1, 1, 1, 1, 1]}
SVTR = {
    "kind": "svtr",
    "channels": [8, 16, 16],
    "depths": [1, 1, 1],
    "heads": [2, 2, 2],
    "local": 2,
    "out": 16,
}
VIT = {
    "kind": "vit", "width": 16, "depth": 4, "heads": 2, "map_blocks": [1, 2, 3, 4], "out": 16, "pyramid": 8,
    "features": 16,
}  # fmt: skip
MIXING = {"kind": "mixing", "width": 16, "blocks": 1, "heads": 2}
BILSTM = {"kind": "bilstm", "width": 16, "layers": 1}
CELLS = {"kind": "cells", "width": 16}
PARALLEL = {"kind": "parallel", "attention": 8}
ALIGNED = {"kind": "aligned", "outside": 0.1}
RECURRENT = {"kind": "recurrent", "attention": 8, "state": 16, "embedding": 8, "final_state": 16}
TRANSFORMER = {"kind": "transformer", "layers": 1, "heads": 2}
COMPACT = {"parts": {"kind": "compact", "pyramid": 8, "segmentation": 8}}
WIDE = {"parts": {"kind": "paper", "top": [[1, 8]], "middle": [[1, 8]], "finest": [[1, 8]], "raised": [8, 8]}}

COMPOSITIONS = {
    "ctc": (TRUNK, MIXING, {"kind": "ctc"}, None),
    "aligned": (TRUNK, MIXING, ALIGNED, COMPACT),
    "aligned-glan": (TRUNK, MIXING, ALIGNED, {**COMPACT, "fusion": False}),
    "aligned-glimpse": (TRUNK, MIXING, ALIGNED, {**COMPACT, "glyphs": False}),
    "parallel": (TRUNK, MIXING, PARALLEL, None),
    "guided": (TRUNK, MIXING, PARALLEL, {**COMPACT, "glyphs": False}),
    "glan": (TRUNK, MIXING, PARALLEL, {**COMPACT, "fusion": False}),
    "siga": (TRUNK, MIXING, PARALLEL, COMPACT),
    "siga-resnet": (RESNET, MIXING, PARALLEL, COMPACT),
    "siga-svtr": (SVTR, BILSTM, PARALLEL, COMPACT),
    "siga-vit": (VIT, MIXING, PARALLEL, COMPACT),
    "siga-paper-parts": (TRUNK, MIXING, PARALLEL, WIDE),
    "siga-recurrent": (TRUNK, MIXING, RECURRENT, COMPACT),
    "siga-r": (RESNET, BILSTM, RECURRENT, WIDE),
    "siga-s": (SVTR, BILSTM, RECURRENT, WIDE),
    "sec-rnn": (TRUNK, CELLS, RECURRENT, None),
    "sec-transformer": (TRUNK, CELLS, TRANSFORMER, None),
}


def composition(name: str, **more: object) -> TrainingRecipe:
    backbone, sequence, decoder, siga = COMPOSITIONS[name]
    network = {
        "backbone": backbone, "sequence": sequence, "decoder": decoder, "siga": siga,
    }  # fmt: skip
    table = {
        "alphabet": CHARS,
        "network": network,
        "geometry": {"widths": [96]},
        "losses": {"existence": 0.5},
        "optimization": {"crops": 24, "batch": 8, "validate_crops": 24, "workers": 0, "bf16": False},
    }
    return TrainingRecipe.model_validate(table | more)


def built(recipe: TrainingRecipe) -> Recognizer:
    torch.manual_seed(0)
    return build(recipe.network, recipe.geometry, Alphabet(recipe.alphabet))


def batch_of(recipe: TrainingRecipe, count: int = 4, length: int = 4) -> Batch:
    return collate([sample(i, length) for i in range(count)], 96, recipe, Alphabet(recipe.alphabet))


WITHOUT_GLYPHS = {"ctc", "parallel", "guided", "aligned-glimpse", "sec-rnn", "sec-transformer"}


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_parts_attach_to_any_backbone_and_either_decoder(name: str) -> None:
    """Every part that the recipe names learns, and reading needs none of those that only teach."""
    recipe = composition(name)
    model, batch = built(recipe), batch_of(recipe)
    outputs = model.train().train_forward(batch.crops, batch.targets.classes, batch.targets.columns)
    parts = terms(outputs, batch.targets, recipe.losses, 0.5)
    torch.stack(list(parts.values())).sum().backward()
    idle = [n for n, p in model.named_parameters() if p.grad is None and not n.startswith("ctc.")]
    for child in model.training_only:
        if hasattr(model, child):
            setattr(model, child, None)
    with torch.inference_mode():
        outputs = model.eval().outputs(batch.crops)
    scores, attention = outputs["scores"], outputs["attention"]

    assert not idle
    length, positions = (24, 2 * 24 // 3) if model.topology == "ctc" else (SLOTS, SLOTS)
    assert scores.shape == (4, length, 17)
    assert attention.shape == (4, positions, 24)
    assert ("glyphs" in outputs) == (name not in WITHOUT_GLYPHS)
    torch.testing.assert_close(scores.exp().sum(-1), torch.ones(4, length))
    assert (attention.sum(-1) <= 1 + 1e-5).all()


@pytest.mark.parametrize("name", ["parallel", "siga-r", "sec-transformer"])
def test_slots_are_independent_of_the_alphabet(name: str) -> None:
    """Cyrillic with the same slots: only the classifiers and the memory of the last character grow."""
    cyrillic = "БВГДЖЗИЛПУФЦЧШЩЭЮЯ0123456789"
    ours, theirs = (built(composition(name, alphabet=chars)) for chars in (CHARS, cyrillic))
    shapes = [{n: tuple(p.shape) for n, p in model.named_parameters()} for model in (ours, theirs)]
    differing = {n.rpartition(".")[0].rpartition(".")[2] for n in shapes[0] if shapes[0][n] != shapes[1][n]}

    assert differing <= {"classifier", "embedding", "ctc", "1"}  # 1: the linear layer of a classifier
    recipe = composition(name, alphabet=cyrillic)
    texts = ["ЖЩ7", "ФЮ04"]
    batch = collate(
        [Sample(sample(i, 4).pixels, t) for i, t in enumerate(texts)], 96, recipe, Alphabet(cyrillic)
    )
    assert [Alphabet(cyrillic).decode(row) for row in batch.targets.classes.tolist()] == texts
    assert theirs.eval()(batch.crops)[0].shape == (2, SLOTS, len(cyrillic) + 1)


def test_alignment_and_sec_add_no_parameters_at_test() -> None:
    """The GPC costs nothing at test, and the spatial existence loss reads by the decoder's own classifier."""
    plain, guided, siga = (millions(built(composition(n)))[1] for n in ("parallel", "guided", "siga"))
    assert plain == guided < siga
    without = built(composition("sec-rnn", losses={"existence": 0.0}))
    assert millions(without) == millions(built(composition("sec-rnn")))


# --------------------------------------------------------------------------------------- learning and travel


@pytest.fixture
def few_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three slots, enough for texts of two characters: decoders that unroll 26 steps are slow to export."""
    for module in (glyphs, layers, network, decoders, paper_parts):
        monkeypatch.setattr(module, "SLOTS", 3)
    monkeypatch.setattr("serialread.config.networks.MAX_LENGTH", 2)


@pytest.mark.usefixtures("few_slots")
@pytest.mark.parametrize("name", ["siga-r", "siga", "sec-rnn", "sec-transformer", "ctc", "aligned"])
def test_small_networks_learn_64_crops_in_24_steps(name: str) -> None:
    recipe = composition(
        name,
        geometry={"widths": [48]},
        losses={"existence": 0.5, "ctc": 1.0 if name in {"ctc", "aligned"} else 0.0},
    )
    model = built(recipe)
    batch = collate([sample(i, 2) for i in range(64)], 48, recipe, Alphabet(recipe.alphabet))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-2)
    seen = []
    for step in range(24):
        view = model.train().train_forward(batch.crops, batch.targets.classes, batch.targets.columns)
        parts = terms(view, batch.targets, recipe.losses, step / 24)
        optimizer.zero_grad()
        torch.stack(list(parts.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        seen.append(float(parts["ctc" if model.topology == "ctc" else "reading"].detach()))

    assert seen[-1] < 0.8 * seen[0]


@pytest.mark.usefixtures("few_slots")
@pytest.mark.parametrize("name", ["aligned", "ctc", "sec-rnn", "siga-recurrent", "siga-svtr", "siga-vit"])
def test_every_composition_resumes_exactly_and_exports(name: str, tmp_path: Path) -> None:
    """Recipe, network, losses, training, checkpoint, export, engine: the same doors for all."""
    recipe, data = composition(name), [sample(i, 2) for i in range(24)]
    whole = [p.loss for p in train(recipe, [data], tmp_path / "whole")]
    stop = threading.Event()
    stop.set()  # after the first step
    parts = [p.loss for p in train(recipe, [data], tmp_path / "parts", stop=stop)]
    parts += [p.loss for p in train(recipe, [data], tmp_path / "parts", resume=True)]
    assert parts == whole
    file = export(tmp_path / "whole", tmp_path / "model.onnx")
    engine, saved = (
        Engine(file, precision="exact", threads=1, outputs=None),
        checkpoint.load(tmp_path / "whole"),
    )
    crops = batch_of(recipe, 3, 2).crops
    with torch.inference_mode():
        ours = saved.deployed()(crops)
    theirs = engine.run(crops.numpy())

    assert engine.card.model_id == saved.model_id
    assert (engine.card.topology, engine.card.capacity) == (
        ("ctc", 40) if name in {"aligned", "ctc"} else ("slots", 25)
    )
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(other, mine.numpy(), atol=2e-4)


# --------------------------------------------------------------------------- rectifier, weights of others


def test_an_untrained_rectifier_is_the_identity_and_frozen() -> None:
    rectifier = Rectifier(kinds.RectifierConfig(), 32, 96).train()
    crops = batch_of(composition("siga"), 2).crops
    straight, grid = rectifier(crops)

    torch.testing.assert_close(straight, crops, atol=2e-3, rtol=0)
    assert grid.shape == (2, 32, 96, 2)
    assert not any(p.requires_grad for p in rectifier.parameters())
    assert not any(module.training for module in rectifier.modules())


def test_masks_are_warped_with_the_crop_by_the_rectifier() -> None:
    """Both are sampled by one grid: the authors' SIGA_S passes the mask of the crop before it."""
    recipe = composition("siga")
    batch = batch_of(recipe, 1)
    grid = torch.stack(
        torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-0.5, 1.5, 96), indexing="ij")
    )
    grid = grid.flip(0).permute(1, 2, 0)[None]  # half a crop to the right
    moved = batch.targets.rectified(grid)
    picture = warped(batch.crops, grid)[:, :, ::2, ::2]
    ink = moved.pixels > 0

    assert moved.pixels.dtype == batch.targets.pixels.dtype
    assert ink.any()
    assert picture[:, 0][ink].mean() < picture[:, 0][~ink].mean() - 1  # dark print stays under its mask


def test_published_weights_load_where_name_and_shape_agree(tmp_path: Path) -> None:
    model = built(composition("siga-vit"))
    theirs: dict[str, Tensor] = {
        "module.blocks.0.attn.qkv.weight": torch.ones(48, 16),
        "module.pos_embed": torch.ones(1, 7, 16),
        "head.weight": torch.ones(3, 3),
    }
    torch.save({"model": theirs}, tmp_path / "deit.pth")
    before = model.trunk.pos_embed.clone()
    initialize_part(model.trunk, Pretrained(part="trunk", file=tmp_path / "deit.pth", prefix="module."))

    assert (model.trunk.blocks[0].attn.qkv.weight == 1).all()
    assert torch.equal(model.trunk.pos_embed, before)  # another shape starts afresh
    with pytest.raises(CheckpointError) as nothing:
        initialize_part(model.trunk, Pretrained(part="trunk", file=tmp_path / "deit.pth", prefix="x."))
    assert str(nothing.value) == (
        f"{tmp_path / 'deit.pth'}: no weights fit the trunk. Correct pretrained.prefix; "
        "names in this file start with module.blocks.0.attn.qkv.weight."
    )
    with pytest.raises(CheckpointError, match="no weights can be read"):
        initialize_part(model.trunk, Pretrained(part="trunk", file=tmp_path / "none.pth"))


# ------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"geometry": {"widths": [96, 160]}, "network": "siga-r"}, "this network needs crops of one width"),
        (
            {"geometry": {"widths": [96]}, "network": "fine"},
            "height and widths must be multiples of 12 for this backbone",
        ),
        ({"network": "sec-rnn", "losses": {"existence": 0.5}, "state": 8}, "to share the classifier"),
        ({"network": "rectified"}, "a rectifier moves the columns"),
        ({"network": "ctc-siga"}, "siga needs an aligned, parallel or recurrent decoder, not ctc"),
    ],
)
def test_parts_that_do_not_fit_are_refused(table: dict[str, object], message: str) -> None:
    name = str(table.pop("network"))
    base = composition("siga" if name in {"rectified", "ctc-siga", "fine"} else name).model_dump(mode="json")
    if name == "rectified":
        base["network"]["rectifier"] = {}
    if name == "fine":
        base["network"]["backbone"]["cell"] = 3
    if name == "ctc-siga":
        base["network"]["decoder"] = {"kind": "ctc"}
    if state := table.pop("state", None):
        base["network"]["decoder"]["state"] = state
    with pytest.raises(ValidationError, match=message):
        TrainingRecipe.model_validate(base | table)


@pytest.mark.parametrize("name", ALL)
def test_every_recipe_builds_a_network(name: str) -> None:
    assert sum(p.numel() for p in on_paper(name).parameters()) > 0


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(SerialreadError, match="no such file"):
        recipe_of("siga-x")
    with pytest.raises(ValidationError, match="kind"):
        TrainingRecipe.model_validate({"network": {"backbone": {"kind": "vgg"}}})


def test_losses_default_to_those_of_the_shipped_model() -> None:
    assert (Losses().late_attention, Losses().paper_bands, Losses().disagreement) == ((1.0, 1.0), None, 1.0)
