"""The choice of a typeface: one that the recipe allows, that the process can make, and that has the text."""

from functools import lru_cache
from typing import get_args

from serialread.codes import REJECT, without_blanks
from serialread.config.data_recipe import DataRecipe, Typefaces
from serialread.config.marks import Process
from serialread.synth import alphabets, fonts
from serialread.synth.fonts import Face
from serialread.synth.processes import FaceKind, spec_of
from serialread.synth.rng import Rng, one_of


def typeface_names(recipe: DataRecipe) -> tuple[str, ...]:
    """Names of all typefaces that the recipe may use, sorted."""
    if recipe.mix:
        return tuple(sorted({name for kind in recipe.mix for name in typeface_names(kind)}))
    return tuple(sorted({f.name for kind in get_args(FaceKind) for f in _faces(kind, recipe.typefaces)}))


@lru_cache(maxsize=32)
def _faces(kind: FaceKind, typefaces: Typefaces) -> tuple[Face, ...]:
    found: tuple[Face, ...]
    match kind:
        case "outline":
            found = fonts.outline_faces(typefaces.folders)
            words = typefaces.families
            found = tuple(f for f in found if not words or any(word in f.family for word in words))
        case "strokes":
            found = alphabets.stroke_faces()
        case "segments":
            found = alphabets.segment_faces()
        case _:
            found = alphabets.dot_faces()
    if typefaces.held_out == "all":
        return found
    only = typefaces.held_out == "only"
    return tuple(f for f in found if fonts.held_out(f.name) == only)


@lru_cache(maxsize=32)
def _families(kind: FaceKind, typefaces: Typefaces) -> tuple[tuple[Face, ...], ...]:
    """Typefaces by family, so that a family of thirty weights is as likely as one of two."""
    groups: dict[str, list[Face]] = {}
    for face in _faces(kind, typefaces):
        groups.setdefault(face.family if isinstance(face, fonts.Outline) else face.name, []).append(face)
    return tuple(tuple(group) for group in groups.values())


def face_for(text: str, process: Process, typefaces: Typefaces, rng: Rng) -> tuple[Face, str]:
    """A typeface that has every character of the text, and the text as it is drawn.

    The text is in capitals for unicase typefaces, with glyphs of the typeface for what is no character.
    """
    families = _families(spec_of(process).face_kind(process, rng), typefaces)
    code = without_blanks(text)
    for _ in range(30):
        family = one_of(families, rng)
        face = one_of(family, rng)
        wanted, shown = (code.upper(), text.upper()) if face.caps_only else (code, text)
        if fonts.covers(face, wanted):
            return face, _with_glyphs(shown, face, rng)
    face = next(f for f in _faces("outline", typefaces) if fonts.covers(f, code) and not f.caps_only)
    return face, _with_glyphs(text, face, rng)


def _with_glyphs(text: str, face: Face, rng: Rng) -> str:
    """The text with a glyph of the typeface, all of one script, for each that is no character."""
    if REJECT not in text:
        return text
    usable = ""
    while not usable:  # a font file may name characters that it leaves blank
        usable = "".join(c for c in one_of(fonts.other_scripts(face), rng) if fonts.distinct(face, c))
    return "".join(one_of(usable, rng) if char == REJECT else char for char in text)


def other_face(face: Face, process: Process, recipe: DataRecipe, rng: Rng) -> Face:
    """The typeface of other lines: the code's own, or any that the process may use."""
    if rng.random() >= recipe.layout.neighbour_typeface_share:
        return face
    if recipe.layout.neighbour_print_share and rng.random() < recipe.layout.neighbour_print_share:
        return one_of(one_of(_families("outline", recipe.typefaces), rng), rng)
    return one_of(one_of(_families(spec_of(process).face_kind(process, rng), recipe.typefaces), rng), rng)


def name_face(text: str, recipe: DataRecipe, rng: Rng) -> Face | None:
    """The typeface of a name or unit in the code; None for the code's own."""
    if not recipe.layout.name_share or rng.random() >= recipe.layout.name_share:
        return None
    face = one_of(one_of(_families("outline", recipe.typefaces), rng), rng)
    return face if fonts.covers(face, without_blanks(text)) and not face.caps_only else None
