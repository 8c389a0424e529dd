import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from serialread.codes import PRINTABLE, REJECT
from serialread.config import DataRecipe, load
from serialread.config.data_recipe import Kind
from serialread.errors import RecipeError
from serialread.synth import fonts, make_sample
from serialread.synth.alphabets import dot_faces, stroke_faces
from serialread.synth.code_texts import label_of, random_text

RECIPES = Path(__file__).parent.parent / "recipes" / "data"
MARKS = load(RECIPES / "marks.toml", DataRecipe)
CAMPAIGN = load(RECIPES / "campaign.toml", DataRecipe)
INK = '[[processes]]\nkind = "ink"\n'


def recipe_of(tmp_path: Path, text: str) -> DataRecipe:
    (tmp_path / "mix.toml").write_text(text)
    return load(tmp_path / "mix.toml", DataRecipe)


def ink_with(**changes: dict[str, object]) -> DataRecipe:
    """The marks of ink alone, with changed sections."""
    sections = {
        name: getattr(MARKS, name).model_copy(update=section) if isinstance(section, dict) else section
        for name, section in changes.items()
    }
    processes = tuple(p for p in MARKS.processes if p.kind == "ink")
    return MARKS.model_copy(update={"processes": processes, **sections})


def test_a_kind_is_the_recipe_with_its_own_keys_on_top(tmp_path: Path) -> None:
    mix = recipe_of(
        tmp_path,
        f"{INK}[layout]\narc_share = 0.5\nlogo_share = 0.2\n"
        '[[mix]]\nname = "arcs"\nshare = 1\nlayout = { arc_share = 1.0 }\n'
        '[[mix]]\nname = "stamps"\nshare = 3\nprocesses = [{ kind = "stamped" }]\n',
    )
    arcs, stamps = mix.mix
    assert (arcs.layout.arc_share, arcs.layout.logo_share) == (1.0, 0.2)
    assert stamps.layout == mix.layout
    assert [p.kind for p in (*arcs.processes, *stamps.processes)] == ["ink", "stamped"]
    assert DataRecipe.model_validate(mix.model_dump(mode="json")) == mix


def test_samples_are_of_the_kinds_in_their_shares_and_say_of_which(tmp_path: Path) -> None:
    mix = recipe_of(
        tmp_path,
        f'{INK}[[mix]]\nname = "print"\nshare = 1\n'
        '[[mix]]\nname = "stamps"\nshare = 3\nprocesses = [{ kind = "stamped" }]\n',
    )
    origins = [make_sample(mix, 1, index).origin for index in range(80)]
    kinds = [(o.parameters["kind"], o.process) for o in origins if o is not None]
    assert set(kinds) == {("print", "ink"), ("stamps", "stamped")}
    assert 45 <= kinds.count(("stamps", "stamped")) <= 75


def test_a_wrong_key_of_a_kind_is_named_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe_of(tmp_path, f'{INK}[[mix]]\nname = "arcs"\nshare = 1\nlayout = {{ arc_shar = 1.0 }}\n')
    assert str(caught.value) == (
        f"{tmp_path / 'mix.toml'}: 1 problem: mix.0.layout.arc_shar: no such key (did you mean arc_share?). "
        "Correct the file."
    )


def test_a_recipe_without_a_mix_keeps_its_texts_typefaces_and_places() -> None:
    """Settings of mixes draw nothing where they are off."""
    drawn = []
    for index in range(24):
        sample = make_sample(MARKS, 11, index)
        assert sample.origin is not None
        drawn.append((sample.text, sample.origin.typeface, np.round(sample.origin.boxes).tolist()))
    assert hashlib.sha256(json.dumps(drawn).encode()).hexdigest()[:16] == "ef2bef1a92db62b4"


@pytest.mark.parametrize("kind", CAMPAIGN.mix, ids=lambda kind: kind.name)
def test_every_kind_of_the_campaign_has_masks_and_boxes_for_its_label(kind: Kind) -> None:
    bundled = kind.typefaces.model_copy(update={"folders": ()})
    recipe = kind.model_copy(update={"typefaces": bundled})
    drawn = wanted = 0
    for index in range(16):
        sample = make_sample(recipe, 9, index)
        assert sample.glyphs is not None
        assert sample.origin is not None
        assert sample.pixels.shape == sample.glyphs.shape
        assert sample.pixels.shape[0] == 48
        assert sample.pixels.shape[1] <= kind.max_width
        assert len(sample.origin.boxes) == len(sample.text) <= kind.max_length
        assert (sample.text == "") == (kind.background_share == 1)
        wanted += len(sample.text)
        drawn += len(set(np.unique(sample.glyphs)) - {0})
    assert drawn >= 0.96 * wanted


def test_half_of_the_campaign_are_marks_and_a_third_print_and_displays() -> None:
    shares = {kind.name: kind.share for kind in CAMPAIGN.mix}
    assert sum(shares.values()) == pytest.approx(1)
    assert sum(shares[kind] for kind in ("marks", "wide", "doubled", "engraved")) == pytest.approx(0.49)
    print_kinds = ("labels", "plates", "serif", "dates", "displays", "prices")
    assert sum(shares[kind] for kind in print_kinds) == pytest.approx(0.34)
    assert shares["signs"] == pytest.approx(0.06)


def test_glyphs_that_are_no_characters_have_a_reject_label_and_a_mask() -> None:
    recipe = ink_with(texts={"reject_share": 1.0})
    found = masked = 0
    for index in range(40):
        sample = make_sample(recipe, 2, index)
        assert sample.glyphs is not None
        assert set(sample.text) <= {*PRINTABLE, REJECT}
        numbers = [i for i, char in enumerate(sample.text, start=1) if char == REJECT]
        found += len(numbers)
        masked += len(set(numbers) & set(np.unique(sample.glyphs).tolist()))
    assert found >= 40
    assert masked >= 0.97 * found


@pytest.mark.parametrize("face", [*stroke_faces()[:3], *dot_faces(), *fonts.outline_faces()[:20]])
def test_a_typeface_offers_only_glyphs_that_it_has_and_that_are_no_characters(face: fonts.Face) -> None:
    glyphs = "".join(fonts.other_scripts(face))
    assert not set(glyphs) & set(PRINTABLE)
    assert fonts.covers(face, f"1{REJECT}") == bool(glyphs)
    for char in glyphs:
        x0, y0, x1, y1 = fonts.extent(face, char)
        assert x1 > x0
        assert y1 > y0


def test_a_lone_gap_is_one_and_often_before_the_last_character() -> None:
    texts = MARKS.texts.model_copy(update={"lone_gap_share": 1.0})
    drawn = [random_text(texts, 25, np.random.default_rng(seed)) for seed in range(200)]
    long = [text for text in drawn if len(label_of(text)) > 3]
    assert all(text.count(" ") == 1 for text in long)
    assert 0.4 < np.mean([text[-2] == " " for text in long]) < 0.8


def test_gap_pairs_have_the_same_codes_and_typefaces_with_and_without_the_gap() -> None:
    pairs = [load(RECIPES / f"gap-pairs{end}.toml", DataRecipe) for end in ("", "-closed")]
    recipes = [r.model_copy(update={"typefaces": MARKS.typefaces}) for r in pairs]  # the bundled ones
    for index in range(25):
        wide, closed = (make_sample(recipe, 4, index) for recipe in recipes)
        assert wide.origin is not None
        assert closed.origin is not None
        assert wide.text == closed.text
        assert (wide.origin.typeface, wide.origin.process) == (closed.origin.typeface, closed.origin.process)


def test_a_code_may_have_forty_characters_where_the_recipe_says_so() -> None:
    long = CAMPAIGN.mix[[kind.name for kind in CAMPAIGN.mix].index("long")]
    bundled = long.model_copy(update={"typefaces": MARKS.typefaces})
    lengths = [len(make_sample(bundled, 3, index).text) for index in range(40)]
    assert min(lengths) >= 20
    assert 36 < max(lengths) <= 40


def test_more_than_forty_characters_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe_of(tmp_path, f"max_length = 41\n{INK}")
    assert str(caught.value) == (
        f"{tmp_path / 'mix.toml'}: 1 problem: max_length: Input should be less than or equal to 40 (got 41). "
        "Correct the file."
    )
