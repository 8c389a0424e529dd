"""Parts of a code that are set apart: names and units in another typeface, smaller parts, boxed groups."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serialread.codes import without_blanks
from serialread.config.data_recipe import Layout
from serialread.synth import fonts
from serialread.synth.alphabets import Segments
from serialread.synth.distractors import DistractorShape
from serialread.synth.fonts import Face
from serialread.synth.rng import Rng, below, within

Part = tuple[int, int]
"""First character and the one after the last, counted without blanks."""


@dataclass(frozen=True, slots=True)
class Emphasis:
    """What sets parts of a code apart.

    Attributes:
        faces: typefaces of the characters [n].
        sizes: of the characters [n], ch.
        raised: share of the room above smaller characters by which they are raised [n]: at 1 their tops are
            at the cap line.
        underlined: number of characters at the end that have a line below.
        boxes: parts with a box around them.
        room: inside the boxes, ch.
    """

    faces: tuple[Face, ...]
    sizes: NDArray[np.float64]
    raised: NDArray[np.float64]
    underlined: int = 0
    boxes: tuple[Part, ...] = ()
    room: float = 0.0

    @property
    def drops(self) -> NDArray[np.float64]:
        """How far the characters' baselines are below that of the line [n], ch."""
        return self.raised * (self.sizes - 1)

    @property
    def shifts(self) -> NDArray[np.float64]:
        """How far the characters give way to the sides of boxes [n], ch."""
        place = np.arange(len(self.sizes))
        sides = [edge for box in self.boxes for edge in box if edge > 0]
        return np.asarray(1.3 * self.room * sum((place >= edge for edge in sides), np.zeros(len(place))))

    def shapes(self, chars: str, matrices: NDArray[np.float64], rng: Rng) -> list[DistractorShape]:
        """Boxes and the underline, in the space that ``matrices`` [n, 3, 3] lead to."""
        if not self.boxes and not self.underlined:
            return []
        width = within((0.03, 0.09), rng)

        def placed(number: int, x: float, y: float) -> tuple[float, float]:
            u, v, w = (matrices[number] @ (x, y, 1.0)).tolist()
            return u / w, v / w

        def outline(part: Part, top: float | None, low: float, room: float) -> DistractorShape:
            first, last = part[0], part[1] - 1
            x0 = fonts.extent(self.faces[first], chars[first])[0] - room
            x1 = fonts.extent(self.faces[last], chars[last])[2] + room
            below_it = [placed(last, x1, low), placed(first, x0, low)]
            above = [] if top is None else [placed(first, x0, top), placed(last, x1, top)]
            return DistractorShape(np.array(above + below_it), False, width)

        if self.underlined:
            part = (len(chars) - self.underlined, len(chars))
            return [outline(part, None, within((0.1, 0.3), rng), 0.0)]
        return [outline(part, -1 - self.room, self.room, self.room) for part in self.boxes]


def parts_of(text: str) -> list[Part]:
    """The parts of a text between its gaps."""
    ends = np.cumsum([len(part) for part in text.split()]).tolist()
    return list(zip([0, *ends], ends, strict=False))


def named_part(text: str, rng: Rng) -> Part | None:
    """The first or last part of a text, if it has a letter and another part has a digit."""
    parts, code = parts_of(text), without_blanks(text)
    found = [
        part
        for part in (parts[0], parts[-1])
        if any(c.isalpha() for c in code[slice(*part)])
        and any(c.isdigit() for other in parts if other != part for c in code[slice(*other)])
    ]
    return found[below(len(found), rng)] if found else None


def _decimals(text: str) -> int:
    """Number of characters behind the point, if it is one of the last four places."""
    _, point, behind = without_blanks(text)[-4:].rpartition(".")
    return len(behind) if point else 0


def changed_part(text: str, rng: Rng) -> Part | None:
    """The characters before or behind a change between letters, digits and signs: $, OFF, cents, a unit."""
    code = without_blanks(text)
    kinds = [c.isalpha() + 2 * c.isdigit() for c in code]
    changes = [n for n in range(1, len(code)) if kinds[n] != kinds[n - 1]]
    if not changes:
        return None
    at = changes[below(len(changes), rng)]
    return (0, at) if rng.random() < 0.3 else (at, len(code))


def plain(text: str, face: Face) -> Emphasis:
    """Nothing set apart."""
    count = len(without_blanks(text))
    return Emphasis((face,) * count, np.ones(count), np.zeros(count))


def emphasis(text: str, face: Face, named: Face | None, layout: Layout, rng: Rng) -> Emphasis:
    """Draw what sets parts of a text apart; ``named`` is the typeface of a name or unit, mostly smaller."""
    parts, count = parts_of(text), len(without_blanks(text))
    faces, sizes, raised = [face] * count, np.ones(count), np.zeros(count)
    if layout.suffix_share and count > 3 and rng.random() < layout.suffix_share:
        if isinstance(face, Segments):
            last = _decimals(text) or 1 + below(2, rng)
            sizes[-last:] = within((0.5, 0.85), rng)
            raised[-last:] = rng.random() < 0.2
            return Emphasis(tuple(faces), sizes, raised)
        last = 1 + below(3, rng)
        sizes[-last:] = within((0.55, 0.8), rng)
        raised[-last:] = 1
        return Emphasis(tuple(faces), sizes, raised, last if rng.random() < 0.75 else 0)
    if layout.resized_share and rng.random() < layout.resized_share and (part := changed_part(text, rng)):
        sizes[slice(*part)] = within((0.35, 0.8), rng)
        raised[slice(*part)] = (0.0, 0.0, 0.5, 1.0, 1.0)[below(5, rng)]
        if named and rng.random() < 0.5:
            faces[slice(*part)] = [named] * (part[1] - part[0])
        return Emphasis(tuple(faces), sizes, raised)
    name = named_part(text, rng) if named else None
    if named and name:
        faces[slice(*name)] = [named] * (name[1] - name[0])
        sizes[slice(*name)] = within((0.6, 1.05), rng)
    if not layout.boxed_share or count < 2 or rng.random() >= layout.boxed_share:
        return Emphasis(tuple(faces), sizes, raised)
    chance, room = rng.random(), within((0.1, 0.35), rng)
    boxes: tuple[Part, ...] = ((count - 1, count),)
    if len(parts) > 1 and chance < 0.5:
        boxes = (parts[below(len(parts), rng)],)
    elif chance > 0.8 and count < 14:
        boxes = tuple((i, i + 1) for i in range(count))
    return Emphasis(tuple(faces), sizes, raised, boxes=boxes, room=room)
