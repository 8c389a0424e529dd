import hashlib
from pathlib import Path

import numpy as np
import pytest

from serialread.codes import PRINTABLE
from serialread.synth import alphabets, fonts
from serialread.synth.other_glyphs import EVERY

TYPEFACES = Path(fonts.__file__).parent / "typefaces"
OUTLINES = fonts.outline_faces()
PROBED = [OUTLINES[i] for i in range(0, len(OUTLINES), 9)]
NAMES = [f.name for f in (*OUTLINES, *alphabets.stroke_faces(), *alphabets.dot_faces())]


def test_the_bundle_is_large_varied_and_small_on_disk() -> None:
    assert len(OUTLINES) >= 60
    assert len({f.family for f in OUTLINES}) >= 40
    assert sum(p.stat().st_size for p in TYPEFACES.rglob("*")) <= 8_000_000


def test_every_bundled_typeface_has_its_licence_next_to_it() -> None:
    allowed = (
        "permission & conditions",
        "permission is hereby granted",
        "redistribution and use",
        "apache license",
    )
    for folder in TYPEFACES.iterdir():
        licence = (folder / "LICENSE.txt").read_text("utf-8").lower()
        assert any(words in licence for words in allowed), folder.name


def test_typefaces_are_sorted_and_named_once() -> None:
    assert [f.name for f in OUTLINES] == sorted({f.name for f in OUTLINES})
    assert len(set(NAMES)) == len(NAMES)


def test_further_folders_add_and_bundled_names_come_first(tmp_path: Path) -> None:
    known = OUTLINES[0]
    (tmp_path / known.path.name).write_bytes(known.path.read_bytes())
    (tmp_path / "broken.ttf").write_bytes(b"not a font")
    (tmp_path / "empty.otf").write_bytes(b"")
    (tmp_path / "cut.otf").write_bytes(known.path.read_bytes()[:5000])
    assert [face.path for face in fonts.outline_faces((tmp_path,))] == [face.path for face in OUTLINES]


@pytest.mark.parametrize("face", PROBED, ids=lambda f: f.name)
def test_capitals_and_digits_are_as_high_as_asked(face: fonts.Outline) -> None:
    for cap_px in (24, 48):
        for char in "HE7":
            glyph = fonts.glyph(face, char, cap_px)
            assert glyph.alpha.dtype == np.uint8
            assert abs(-glyph.top - cap_px) <= 0.1 * cap_px
            assert abs(glyph.top + glyph.alpha.shape[0]) <= 0.06 * cap_px
            assert 0 < glyph.advance < 2 * cap_px


@pytest.mark.parametrize("face", PROBED, ids=lambda f: f.name)
def test_all_digits_and_all_capitals_differ(face: fonts.Outline) -> None:
    for group in ("0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
        assert len({fonts.glyph(face, c).alpha.tobytes() for c in group}) == len(group)


def test_covers_knows_what_is_missing() -> None:
    with_all = next(f for f in OUTLINES if f.chars >= set(PRINTABLE))
    assert fonts.covers(with_all, PRINTABLE)
    assert not fonts.covers(with_all, "A\N{SNOWMAN}")
    assert all(fonts.covers(f, "AZ09-./") for f in OUTLINES)


@pytest.mark.parametrize("face", alphabets.stroke_faces(), ids=lambda f: f.name)
def test_a_stroke_alphabet_draws_every_printable_character(face: alphabets.Strokes) -> None:
    assert set(face.glyphs) == set(face.advances)
    assert set(PRINTABLE) <= set(face.glyphs) <= {*PRINTABLE, *EVERY}
    for char, lines in face.glyphs.items():
        points = np.concatenate([np.array(line, float).reshape(-1, 2) for line in lines])
        assert points[:, 0].min() >= -1e-9, char
        assert points[:, 0].max() < face.advances[char], char
        assert points[:, 1].min() >= -1.01, char
        assert points[:, 1].max() <= 0.45, char
    for char in "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789":
        ys = [y for line in face.glyphs[char] for _, y in line]
        assert (min(ys), max(ys)) == pytest.approx((-1, 0), abs=0.02), char


@pytest.mark.parametrize("face", alphabets.dot_faces(), ids=lambda f: f.name)
def test_a_dot_matrix_has_its_characters_on_its_grid(face: alphabets.Dots) -> None:
    """Small letters' tails may hang below; small matrices have capitals, digits and a few joiners only."""
    assert set(PRINTABLE) <= set(face.glyphs) or face.caps_only
    assert fonts.covers(face, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-./+():,#&")
    for char, rows in face.glyphs.items():
        assert len(rows) >= face.rows, char
        assert {len(row) for row in rows} == {face.cols}, char
        assert "#" in "".join(rows), char
    for char in "ABDEFGHKLMNPRXZ0123456789":
        assert "#" in face.glyphs[char][0], char
        assert "#" in face.glyphs[char][face.rows - 1], char
        assert len(face.glyphs[char]) == face.rows, char


@pytest.mark.parametrize("size", ["5x7", "7x9", "9x13"])
def test_matrices_have_plain_slashed_dotted_and_open_zeros(size: str) -> None:
    zeros = {f.glyphs["0"] for f in alphabets.dot_faces() if f.name.startswith(f"dots-{size}")}
    assert len(zeros) >= 4


@pytest.mark.parametrize(
    "group", ["0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "B8", "5S", "2Z", "0OD", "1I7", "g9q", "pP"]
)
def test_confusable_characters_differ_in_every_alphabet_of_this_package(group: str) -> None:
    for face in (*alphabets.stroke_faces(), *alphabets.dot_faces()):
        drawn = [face.glyphs[c] for c in group if c in face.glyphs]
        assert len(set(drawn)) == len(drawn), face.name


def test_random_alphabets_differ_from_the_drawn_ones_and_from_one_another() -> None:
    by_chance = [f for f in alphabets.stroke_faces() if "varied" in f.name]
    assert len(by_chance) >= 60
    every = {tuple(f.glyphs[c] for c in PRINTABLE) for f in alphabets.stroke_faces()}
    assert len(every) == len(alphabets.stroke_faces())
    widths = [f.advances["0"] for f in by_chance]
    assert max(widths) > 1.6 * min(widths)


def test_typefaces_with_the_same_drawings_are_held_out_together() -> None:
    for one, other in (("Roboto Bold", "Heebo Bold"), ("TeX Gyre Heros Bold", "Nimbus Sans Bold")):
        assert fonts.held_out(one) == fonts.held_out(other)


@pytest.mark.parametrize(("family", "caps_only"), [("Bebas Neue", True), ("Hermit", False), ("Cabin", False)])
def test_small_letters_that_are_capitals_are_known(family: str, caps_only: bool) -> None:
    found = [f for f in OUTLINES if f.family == family]
    assert found
    assert all(f.caps_only == caps_only for f in found)


def test_one_family_in_ten_is_held_out_whole() -> None:
    """Of each kind at least one, and all weights of a family on the same side."""
    assert any(map(fonts.held_out, (f.name for f in OUTLINES)))
    assert any(map(fonts.held_out, (f.name for f in alphabets.stroke_faces())))
    assert any(map(fonts.held_out, (f.name for f in alphabets.dot_faces())))
    for face in OUTLINES:
        assert fonts.held_out(face.name) == fonts.held_out(f"{face.family} Some Other Weight")
    many = [fonts.held_out(hashlib.sha256(bytes([i])).hexdigest()) for i in range(256)]
    assert 0.05 < np.mean(many) < 0.16
