"""Rendering one labelled sample, or a stream of them.

A sample is a function of (recipe, seed, index), of the typefaces that the recipe names and, where it names
some, of its surface photographs; nothing else.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count as counting
from pathlib import Path

import cv2
import numpy as np

from serialread.config.data_recipe import DataRecipe, Kind
from serialread.config.marks import Process
from serialread.config.section import load
from serialread.records import Origin, Pixels, Sample
from serialread.synth import distractors
from serialread.synth.code_texts import label_of, random_text
from serialread.synth.layout import TypesetLine, set_line
from serialread.synth.photography import Parameters, Shaded, photograph, reflected, visibility
from serialread.synth.processes import spec_of
from serialread.synth.rng import Rng, weighted, within
from serialread.synth.scenes import make_scene
from serialread.synth.strokes import Mark, draw
from serialread.synth.typeface_choice import face_for, name_face, other_face

_OVERSAMPLING = 2  # rendered at twice the crop's height, then photographed
_MARKED = 0.5  # coverage of distractors from which they set the exposure of a crop without a code
_LIGHTINGS = 4  # maximum number of lightings of a mark that is not visible enough


def render(recipe: DataRecipe | Path | str, seed: int = 0, *, count: int | None = None) -> Iterator[Sample]:
    """Render samples one by one.

    Example:
        >>> for sample in render("recipes/data/marks.toml", seed=1, count=3):
        ...     print(sample.text, sample.pixels.shape)

    Args:
        recipe: a data recipe, or the path of its TOML file.
        seed: another seed gives other samples.
        count: how many; None for no end.

    Yields:
        What ``make_sample`` returns for the indices 0, 1, 2, ...

    Raises:
        RecipeError: the file is no data recipe, or a folder of surface photographs holds none.
    """
    loaded = recipe if isinstance(recipe, DataRecipe) else load(Path(recipe), DataRecipe)
    indices = counting() if count is None else range(count)
    return (make_sample(loaded, seed, index) for index in indices)


def make_sample(recipe: DataRecipe, seed: int, index: int) -> Sample:
    """Render one labelled crop: grey uint8 [height, W], its text without blanks, its masks and its origin.

    A recipe with a ``scene`` section gives a whole picture with its lines instead.

    Raises:
        RecipeError: a folder of surface photographs holds none.
    """
    cv2.setNumThreads(1)
    rng = np.random.default_rng([seed, index])
    while recipe.mix:
        recipe = recipe.mix[weighted([kind.share for kind in recipe.mix], rng)]
    sample = _sample(recipe, rng) if recipe.scene is None else make_scene(recipe, recipe.scene, rng)
    return sample if not isinstance(recipe, Kind) else _of_kind(sample, recipe.name)


def _sample(recipe: DataRecipe, rng: Rng) -> Sample:
    process = recipe.processes[weighted([p.weight for p in recipe.processes], rng)]
    text = spec_of(process).writable(random_text(recipe.texts, recipe.max_length, rng), process, rng)
    face, text = face_for(text, process, recipe.typefaces, rng)
    line = set_line(
        text,
        face,
        other_face(face, process, recipe, rng),
        recipe.layout,
        spec_of(process).setting(process, rng),
        rows=recipe.height * _OVERSAMPLING,
        max_width=recipe.max_width * _OVERSAMPLING,
        rng=rng,
        named=name_face(text, recipe, rng),
    )
    if recipe.background_share > 0 and rng.random() < recipe.background_share:
        return _background(line, process, recipe, rng)
    mark = draw(line, spec_of(process).tool(process, rng), rng)
    fades = recipe.fading_share > 0 and rng.random() < recipe.fading_share
    lost = within(recipe.fading, rng) if fades else 0.0
    if lost:
        mark = mark.fading(lost, rng)
    pixels, parameters = _best_picture(mark, line, process, recipe, rng)
    if lost:
        parameters["fading"] = round(lost, 2)
    if mark.partial:
        parameters["partial"] = " ".join(str(number) for number in mark.partial)
    parameters = {**line.parameters, **parameters}
    boxes = (line.boxes / _OVERSAMPLING).round(1).tolist()
    origin = Origin(process.kind, face.name, tuple(tuple(b) for b in boxes), parameters)
    sample = Sample(pixels, label_of(text), _halved(mark.owners), origin)
    return _flipped(sample) if rng.random() < recipe.layout.upside_down_share else sample


def _of_kind(sample: Sample, name: str) -> Sample:
    assert sample.origin is not None
    parameters = {"kind": name, **sample.origin.parameters}
    return replace(sample, origin=replace(sample.origin, parameters=parameters))


def _best_picture(
    mark: Mark, line: TypesetLine, process: Process, recipe: DataRecipe, rng: Rng
) -> tuple[Pixels, Parameters]:
    """Light and photograph the mark until it is as visible as the recipe demands; the best of a few tries."""
    pictures = []
    for _ in range(_LIGHTINGS):
        pictures.append(_picture(mark, line, process, recipe, rng))
        if pictures[-1][0] >= recipe.min_visibility:
            break
    seen, pixels, parameters = max(pictures, key=lambda picture: picture[0])
    return pixels, {**parameters, "visibility": round(seen, 2), "lightings": len(pictures)}


def _background(line: TypesetLine, process: Process, recipe: DataRecipe, rng: Rng) -> Sample:
    """The surface and its distractors without the code, in the light that the code would have."""
    tool = spec_of(process).tool(process, rng)
    mark = draw(replace(line, runs=line.runs[1:]), tool, rng)
    if mark.coverage.max() >= _MARKED:
        shaded = _marked(mark, line, process, recipe, rng)
    else:
        mark = draw(line, tool, rng)
        shaded = _marked(mark, line, process, recipe, rng).bare
    shaded, pixels, taken = _photographed(shaded, mark, line, recipe, rng)
    parameters = {"bare": True, **line.parameters, **shaded.parameters, **taken}
    return Sample(pixels, "", np.zeros_like(pixels), Origin(process.kind, "", (), parameters))


def _picture(
    mark: Mark, line: TypesetLine, process: Process, recipe: DataRecipe, rng: Rng
) -> tuple[float, Pixels, Parameters]:
    """One picture of the mark: its visibility, its pixels, and the drawn parameters."""
    shaded = _marked(mark, line, process, recipe, rng)
    shaded, pixels, taken = _photographed(shaded, mark, line, recipe, rng)
    rows = min(int(taken["seen_rows"]), recipe.height)
    seen = visibility(shaded, line.boxes, rows, taken["noise"])
    return seen, pixels, {"contrast": round(shaded.strength, 4), **shaded.parameters, **taken}


def _photographed(
    shaded: Shaded, mark: Mark, line: TypesetLine, recipe: DataRecipe, rng: Rng
) -> tuple[Shaded, Pixels, dict[str, float]]:
    """The lit mark with edges, holes and reflections; its picture; and the drawn parameters."""
    if rng.random() < recipe.layout.edge_share:
        shaded = distractors.ended(shaded, mark.owners, rng)
    if rng.random() < recipe.layout.hole_share:
        shaded = distractors.drilled(shaded, mark.owners, rng)
    if recipe.surfaces.reflection_share and rng.random() < recipe.surfaces.reflection_share:
        shaded = reflected(shaded, rng)
    pixels, taken = photograph(shaded.pixels, shaded.strength, line.cap_px, recipe.camera, recipe.height, rng)
    return shaded, pixels, taken


def _marked(mark: Mark, line: TypesetLine, process: Process, recipe: DataRecipe, rng: Rng) -> Shaded:
    """The lit mark; in some samples one end of it is printed and only the other has depth."""
    part = rng.random() < recipe.overprint_share and line.length > 2
    if not part or not spec_of(process).has_depth:
        return spec_of(process).shade(mark, process, line.around, recipe.surfaces, rng)
    gaps = line.boxes[1:, 0] - line.boxes[:-1, 2]
    after = weighted((np.maximum(gaps, 1) ** 3).tolist(), rng)  # at a gap, if there is one
    cut = round((line.boxes[after, 2] + line.boxes[after + 1, 0]) / 2)
    deep, printed = mark.divided(cut)
    if rng.random() < 0.7:  # the printed part mostly comes first
        deep, printed = printed, deep
    shaded = spec_of(process).shade(deep, process, line.around, recipe.surfaces, rng)
    return distractors.overprinted(shaded, printed.coverage, rng)


def _flipped(sample: Sample) -> Sample:
    """The sample upside down, with its masks and boxes; its label stays the upright text."""
    if sample.glyphs is None or sample.origin is None:
        return sample
    rows, columns = sample.pixels.shape
    boxes = tuple(
        (columns - x1, rows - y1, columns - x0, rows - y0) for x0, y0, x1, y1 in sample.origin.boxes
    )
    origin = replace(sample.origin, boxes=boxes, parameters={**sample.origin.parameters, "flipped": True})
    pixels, glyphs = (np.ascontiguousarray(p[::-1, ::-1]) for p in (sample.pixels, sample.glyphs))
    return Sample(pixels, sample.text, glyphs, origin)


def _halved(owners: Pixels) -> Pixels:
    """Owners at the crop's resolution; the largest of each 2 x 2 keeps thin strokes."""
    upper = np.maximum(owners[::2], owners[1::2])
    return np.maximum(upper[:, ::2], upper[:, 1::2])
