"""How a marked surface looks: renders codes on metal, plastic and paper, with exact masks.

A sample is a function of (recipe, seed, index) and of the typefaces that the recipe names; nothing else.
"""

from functools import lru_cache
from typing import assert_never

import cv2
import numpy as np

from serialread.codes import without_blanks
from serialread.recipe.data import (
    DataRecipe,
    DotPeen,
    Embossed,
    Engraved,
    Ink,
    InkJet,
    Laser,
    Process,
    Stamped,
    Typefaces,
)
from serialread.records import Origin, Pixels, Sample
from serialread.synth import faces, markings
from serialread.synth.camera import photograph
from serialread.synth.drawing import Mark, Tool, draw
from serialread.synth.layout import Line, set_line
from serialread.synth.shapes import Face
from serialread.synth.surfaces import draw_surface
from serialread.synth.texts import random_text

__all__ = ["make_sample", "typeface_names"]

_OVERSAMPLING = 2  # rendered at twice the crop's height, then photographed


def make_sample(recipe: DataRecipe, seed: int, index: int) -> Sample:
    """Render one labelled crop: grey uint8 [height, W], its text without blanks, its masks and its origin."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng([seed, index])
    process = _process(recipe, rng)
    text = random_text(recipe.texts, recipe.longest, rng)
    face, text = _face(text, process, recipe.typefaces, rng)
    tool = _tool(process, rng)
    line = set_line(
        text,
        face,
        recipe.layout,
        hand_set=isinstance(process, Stamped) or rng.random() < 0.08,
        rows=recipe.height * _OVERSAMPLING,
        widest=recipe.widest * _OVERSAMPLING,
        rng=rng,
    )
    mark = draw(face, line, tool, rng)
    shaded = _marked(mark, line, process, recipe, rng)
    if rng.random() < recipe.layout.edge_share:
        shaded = markings.ended(shaded, mark, rng)
    pixels, taken = photograph(shaded.pixels, shaded.strength, line.cap_px, recipe.camera, recipe.height, rng)
    boxes = np.round(line.boxes / _OVERSAMPLING, 1).tolist()
    parameters = {"contrast": round(shaded.strength, 4), **line.parameters, **shaded.parameters, **taken}
    origin = Origin(process.kind, face.name, tuple(tuple(b) for b in boxes), parameters)
    return Sample(pixels, without_blanks(text), _halved(mark.owners), origin)


def typeface_names(recipe: DataRecipe) -> tuple[str, ...]:
    """Every typeface that the recipe may use, sorted."""
    kinds = ("outline", "strokes", "dots")
    return tuple(sorted({f.name for kind in kinds for f in _faces(kind, recipe.typefaces)}))


def _process(recipe: DataRecipe, rng: np.random.Generator) -> Process:
    weights = np.array([p.weight for p in recipe.processes])
    return recipe.processes[rng.choice(len(weights), p=weights / weights.sum())]


@lru_cache(maxsize=8)
def _faces(kind: str, knobs: Typefaces) -> tuple[Face, ...]:
    found: tuple[Face, ...]
    match kind:
        case "outline":
            found = faces.outline_faces(knobs.folders)
        case "strokes":
            found = faces.stroke_faces()
        case _:
            found = faces.dot_faces()
    if knobs.held_out == "all":
        return found
    only = knobs.held_out == "only"
    return tuple(f for f in found if faces.held_out(f.name) == only)


@lru_cache(maxsize=8)
def _families(kind: str, knobs: Typefaces) -> tuple[tuple[Face, ...], ...]:
    """Typefaces by family, so that a family of thirty weights is drawn no more often than one of two."""
    groups: dict[str, list[Face]] = {}
    for face in _faces(kind, knobs):
        groups.setdefault(face.family if isinstance(face, faces.Outline) else face.name, []).append(face)
    return tuple(tuple(group) for group in groups.values())


def _face(text: str, process: Process, knobs: Typefaces, rng: np.random.Generator) -> tuple[Face, str]:
    """A typeface that has every character of the text; unicase faces get capitals."""
    families = _families(_kind_of_face(process, rng), knobs)
    code = without_blanks(text)
    for _ in range(30):
        family = families[rng.integers(len(families))]
        face = family[rng.integers(len(family))]
        wanted, shown = (code.upper(), text.upper()) if face.caps_only else (code, text)
        if faces.covers(face, wanted):
            return face, shown
    face = next(f for f in _faces("outline", knobs) if faces.covers(f, code) and not f.caps_only)
    return face, text


def _kind_of_face(process: Process, rng: np.random.Generator) -> str:
    match process:
        case Engraved() | Stamped() | Laser():
            return "outline" if rng.random() < process.outline_share else "strokes"
        case Embossed() | Ink():
            return "outline"
        case DotPeen():
            return "dots" if rng.random() < process.matrix_share else "strokes"
        case InkJet():
            return "dots"
        case _:
            assert_never(process)


def _tool(process: Process, rng: np.random.Generator) -> Tool:
    match process:
        case Engraved() | Laser():
            return Tool(width=rng.uniform(*process.stroke))
        case Stamped():
            return Tool(width=rng.uniform(*process.stroke), uneven=rng.uniform(0, 0.9))
        case Embossed() | Ink():
            return Tool(width=0.12)
        case DotPeen():
            pitch = rng.uniform(*process.pitch)
            return Tool(
                width=pitch,
                pitch=pitch,
                dot=rng.uniform(*process.dot),
                scatter=rng.uniform(*process.scatter),
                missing=rng.uniform(*process.missing),
            )
        case InkJet():
            return Tool(
                width=0.12,
                dot=rng.uniform(*process.dot),
                scatter=rng.uniform(*process.scatter),
                missing=rng.uniform(*process.missing),
            )
        case _:
            assert_never(process)


def _marked(
    mark: Mark, line: Line, process: Process, recipe: DataRecipe, rng: np.random.Generator
) -> markings.Shaded:
    """The lit mark; now and then one end of it is printed and only the other has depth."""
    has_depth = not isinstance(process, Laser | Ink | InkJet)
    if not has_depth or line.length < 3 or rng.random() >= recipe.overprint_share:
        return _shaded(mark, process, recipe, rng)
    gaps = line.boxes[1:, 0] - line.boxes[:-1, 2]
    likely = np.maximum(gaps, 1) ** 3  # at a gap, if there is one
    after = int(rng.choice(len(gaps), p=likely / likely.sum()))
    cut = round((line.boxes[after, 2] + line.boxes[after + 1, 0]) / 2)
    deep, printed = mark.divided(cut)
    if rng.random() < 0.7:  # what is printed mostly comes first
        deep, printed = printed, deep
    return markings.overprinted(_shaded(deep, process, recipe, rng), printed, rng)


def _shaded(mark: Mark, process: Process, recipe: DataRecipe, rng: np.random.Generator) -> markings.Shaded:
    size = (mark.coverage.shape[0], mark.coverage.shape[1])
    match process:
        case Engraved() | Stamped() | Embossed() | DotPeen():
            surface = draw_surface(recipe.surfaces.metal, recipe.surfaces, size, rng)
            return markings.relief(mark, surface, process, recipe.surfaces, rng)
        case Laser() | Ink() | InkJet():
            surface = draw_surface(recipe.surfaces.printed, recipe.surfaces, size, rng)
            return markings.flat(mark, surface, process, recipe.surfaces, rng)
        case _:
            assert_never(process)


def _halved(owners: Pixels) -> Pixels:
    """Owners at the crop's resolution; the largest of each 2 x 2 keeps thin strokes."""
    rows, columns = owners.shape
    n = _OVERSAMPLING
    return np.asarray(owners.reshape(rows // n, n, columns // n, n).max(axis=(1, 3)), np.uint8)
