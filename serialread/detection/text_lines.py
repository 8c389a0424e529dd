"""From the maps of the line detector to text lines: straight ones, arcs, full circles and smooth curves.

Maps have cells of 4 x 4 px; points are (x, y) in px of the picture that was searched, (0, 0) its corner.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.records import Floats

CELL_PX = 4
"""Side of a cell of the maps, px."""
REFERENCE_PX = 16.0
"""Height of characters whose logarithm is 0 in the map of heights."""
CORE, SURE = 0.35, 0.6
"""Probability from which a cell belongs to a line, and that some cell of every line has at least."""
LONG, STRAIGHT = 0.5, 0.17
"""Spreads of a line's cells, in heights: along it, from which its shape shows its axis; across a straight
one, at most (uniform within the core it is 0.12)."""
UNSURE = 0.5
"""Agreement of the cells' directions below which a line may be read in the other direction."""
MAX_GAP = 1.3
"""Largest gap between two pieces of one line, in heights of a capital: a wider one separates lines."""
MAX_OFFSET, MAX_TURN_RAD, MAX_RATIO = 0.45, 0.5, 1.6
"""Largest offset of a piece from the line through the other (heights), its turn and its ratio of heights."""
MIN_LENGTH = 0.4
"""Length of the shortest line, in heights: one narrow character."""

Points = NDArray[np.float64]
"""[N, 2], (x, y)."""


class Maps(NamedTuple):
    """What the detector says about every cell of a picture.

    Attributes:
        core: probability that the cell belongs to the core of a line [h, w].
        direction: cosine and sine of the reading direction [2, h, w].
        height: binary logarithm of the height of a capital over ``REFERENCE_PX`` [h, w].
    """

    core: Floats
    direction: Floats
    height: Floats


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of text in a picture.

    Attributes:
        centre: its centre line [k, 2], k >= 2, in reading direction: half a capital above the baseline.
        height: of a capital, px.
        score: mean probability of its cells, 0..1.
    """

    centre: Points
    height: float
    score: float

    @property
    def length(self) -> float:
        """Length of its centre line, px."""
        return float(np.linalg.norm(np.diff(self.centre, axis=0), axis=1).sum())

    @property
    def is_straight(self) -> bool:
        """Whether its centre line is a straight one."""
        return len(self.centre) == 2

    @property
    def direction_deg(self) -> float:
        """Direction from its first to its last character, degrees clockwise from the picture's x."""
        x, y = self.centre[-1] - self.centre[0]
        return float(np.degrees(np.arctan2(y, x)))

    def scaled(self, factor: float) -> "TextLine":
        """The same line in a picture that is larger by a factor."""
        return replace(self, centre=self.centre * factor, height=self.height * factor)

    def polygon(self, margin: float = 0.0) -> Points:
        """Its outline, clockwise from the top-left; ``margin`` around it, in heights."""
        centre, normals = extended(self.centre, margin * self.height)
        half = (0.5 + margin) * self.height * normals
        return np.concatenate([centre - half, (centre + half)[::-1]])


def extended(centre: Points, by_px: float) -> tuple[Points, Points]:
    """A centre line, longer at both ends, and its unit normals [k, 2] that point down from the text."""
    steps = np.diff(centre, axis=0)
    along = steps / np.maximum(np.linalg.norm(steps, axis=1, keepdims=True), 1e-9)
    at_points = np.concatenate([along[:1], along[:-1] + along[1:], along[-1:]])
    at_points /= np.maximum(np.linalg.norm(at_points, axis=1, keepdims=True), 1e-9)
    longer = centre.copy()
    longer[0] -= by_px * along[0]
    longer[-1] += by_px * along[-1]
    return longer, np.stack([-at_points[:, 1], at_points[:, 0]], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """Connected cells of a line: middles [n, 2], unit directions [n, 2], probabilities and heights [n]."""

    middles: Points
    along: Points
    core: Points
    heights: Points
    line: TextLine = field(init=False)
    sure: bool = field(init=False)
    """Whether the cells agree on the direction."""

    def __post_init__(self) -> None:
        centre = _fitted(self)
        object.__setattr__(self, "line", TextLine(centre, self.height, float(self.core.mean())))
        object.__setattr__(self, "sure", _agreement(self, centre) >= UNSURE)

    @property
    def height(self) -> float:
        return float(np.median(self.heights))

    def joined(self, other: "_Piece") -> "_Piece":
        return _Piece(
            *(
                np.concatenate([getattr(self, name), getattr(other, name)])
                for name in ("middles", "along", "core", "heights")
            )
        )


def lines_of(maps: Maps) -> tuple[TextLine, ...]:
    """All lines of a picture, the most probable first."""
    pieces = _joined([piece for piece in _pieces(maps) if piece is not None])
    lines = (piece.line for piece in pieces)
    long_enough = (line for line in lines if line.length >= MIN_LENGTH * line.height)
    return tuple(sorted(long_enough, key=lambda line: -line.score * line.length))


def _pieces(maps: Maps) -> list[_Piece]:
    """Connected cells of the cores."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((maps.core > CORE).astype(np.uint8))
    found = []
    for number in range(1, count):
        left, top, width, height, area = stats[number].tolist()
        where = np.s_[top : top + height, left : left + width]
        rows, columns = np.nonzero(labels[where] == number)
        core = maps.core[where][rows, columns].astype(np.float64)
        if area < 2 or core.max() < SURE:
            continue
        along = maps.direction[:, top : top + height, left : left + width][:, rows, columns].T
        along = along.astype(np.float64) / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
        heights = REFERENCE_PX * np.exp2(maps.height[where][rows, columns].astype(np.float64))
        middles = np.stack([columns + left + 0.5, rows + top + 0.5], axis=1) * CELL_PX
        found.append(_Piece(middles, along, core, heights))
    return found


# --------------------------------------------------------------------------------------------------- fitting


def _fitted(piece: _Piece) -> Points:
    """The centre line through a piece's cells: straight, an arc of a circle, or a smooth curve.

    The shape decides where it is long enough; the directions of the cells then only vote for the start.
    """
    mean = _unit(piece.along.mean(axis=0))
    middles = piece.middles - piece.middles.mean(axis=0)
    spreads, axes = np.linalg.eigh(middles.T @ middles / len(middles))
    long = float(np.sqrt(spreads[1])) > LONG * piece.height
    axis = axes[:, 1] if long else mean
    centre = _straight(piece, axis)
    if long and len(middles) > 24 and np.sqrt(max(spreads[0], 0)) > STRAIGHT * piece.height + 0.7:
        arc = _arc(piece)
        centre = _cubic(piece, axis) if arc is None else arc
    return centre if _agreement(piece, centre) >= 0 else centre[::-1]


def _agreement(piece: _Piece, centre: Points) -> float:
    """Mean cosine between the cells' directions and a centre line, -1..1."""
    steps = np.diff(centre, axis=0)
    places = (centre[:-1] + centre[1:]) / 2
    nearest = np.linalg.norm(piece.middles[:, None] - places[None], axis=2).argmin(axis=1)
    along = steps / np.maximum(np.linalg.norm(steps, axis=1, keepdims=True), 1e-9)
    return float((piece.along * along[nearest]).sum(axis=1).mean())


def _straight(piece: _Piece, along: Points) -> Points:
    """A straight line along a direction, through all cells, two points."""
    centre = piece.middles.mean(axis=0)
    x = (piece.middles - centre) @ along
    ends = np.array([x.min() - CELL_PX / 2, x.max() + CELL_PX / 2])
    return np.asarray(centre + ends[:, None] * along, np.float64)


def _cubic(piece: _Piece, along: Points) -> Points:
    """A cubic over a straight line."""
    centre = piece.middles.mean(axis=0)
    across = np.array([-along[1], along[0]])
    x, y = (piece.middles - centre) @ along, (piece.middles - centre) @ across
    half, middle = max(float(np.ptp(x)) / 2, 1.0), (float(x.max()) + float(x.min())) / 2
    fit = np.polynomial.polynomial.polyfit((x - middle) / half, y, 3, w=np.sqrt(piece.core))
    reach = 1 + CELL_PX / 2 / half
    ends = np.linspace(-reach, reach, max(round(2 * half / piece.height), 8))
    offsets = np.polynomial.polynomial.polyval(ends, fit)
    placed = centre + (middle + half * ends)[:, None] * along + offsets[:, None] * across
    return np.asarray(placed, np.float64)


def _arc(piece: _Piece) -> Points | None:
    """The arc of a circle through a piece, clockwise; None if it lies on none."""
    shifted = piece.middles - piece.middles.mean(axis=0)
    equations = np.concatenate([2 * shifted, np.ones((len(shifted), 1))], axis=1)
    solved, *_ = np.linalg.lstsq(equations, (shifted * shifted).sum(axis=1), rcond=None)
    middle = solved[:2] + piece.middles.mean(axis=0)
    for _ in range(3):  # refined: the same distance of all cells
        rays = piece.middles - middle
        radii = np.maximum(np.linalg.norm(rays, axis=1), 1e-6)
        away = np.concatenate([rays / radii[:, None], np.ones((len(radii), 1))], axis=1)
        middle = middle + np.linalg.lstsq(away, radii - radii.mean(), rcond=None)[0][:2]
    rays = piece.middles - middle
    radii = np.linalg.norm(rays, axis=1)
    radius = float(np.median(radii))
    # cells of a core lie up to 0.2 heights aside of its centre line
    if radius < 0.8 * piece.height or np.percentile(np.abs(radii - radius), 80) > 0.25 * piece.height + 2:
        return None
    angles = np.sort(np.mod(np.arctan2(rays[:, 1], rays[:, 0]), 2 * np.pi))
    gaps = np.diff(angles, append=angles[0] + 2 * np.pi)
    start = (int(gaps.argmax()) + 1) % len(angles)
    edge = CELL_PX / 2 / radius
    length = min(2 * np.pi - float(gaps.max()) + 2 * edge, 2 * np.pi)
    count = max(round(radius * length / max(piece.height, CELL_PX)) * 2, 8)
    turned = float(angles[start]) - edge + np.linspace(0, length, count)
    return np.asarray(middle + radius * np.stack([np.cos(turned), np.sin(turned)], axis=1), np.float64)


# --------------------------------------------------------------------------------------------------- joining


def _joined(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Pieces of which one continues the other as one, until none does."""
    left = list(pieces)
    while pair := next(((a, b) for a, b in itertools.permutations(left, 2) if _continues(a, b)), None):
        left = [piece for piece in left if piece not in pair]
        left.append(pair[0].joined(pair[1]))
    return left


def _continues(first: _Piece, second: _Piece) -> bool:
    """Whether the second piece follows the first one on the same line; an unsure one may be turned round."""
    one, other = first.line.centre, second.line.centre
    height = max(first.height, second.height)
    if height > MAX_RATIO * min(first.height, second.height):
        return False
    ways = [(one, other)]
    if not second.sure:
        ways.append((one, other[::-1]))
    if not first.sure:
        ways.append((one[::-1], other))
    return any(_follows(before, after, height) for before, after in ways)


def _follows(first: Points, second: Points, height: float) -> bool:
    """Whether a centre line goes on where another one ends."""
    gap = second[0] - first[-1]
    leaving, entering = _unit(first[-1] - first[-2]), _unit(second[1] - second[0])
    ahead, aside = float(gap @ leaving), float(leaving[0] * gap[1] - leaving[1] * gap[0])
    turned = float(np.arccos(np.clip(leaving @ entering, -1, 1)))
    near = -0.6 * height < ahead < MAX_GAP * height
    return near and abs(aside) < MAX_OFFSET * height and turned < MAX_TURN_RAD


def _unit(vector: Points) -> Points:
    return np.asarray(vector / max(float(np.hypot(*vector)), 1e-9), np.float64)
