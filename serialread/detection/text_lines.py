"""From the maps of the line detector to text lines: straight ones, arcs, full circles and smooth curves.

Maps have cells of 4 x 4 px; points are (x, y) in px of the picture that was searched, (0, 0) its corner.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from serialread.records import Floats

CELL_PX = 4
"""Side of a cell of the maps, px."""
REFERENCE_PX = 16.0
"""Height of characters whose logarithm is 0 in the map of heights."""
END_PX = 1.0
"""How far a line reaches beyond the middles of its outermost cells, px."""
CORE, SURE = 0.5, 0.6
"""Probability from which a cell belongs to a line, and that some cell of every line has at least."""
ACROSS, LOWER = (-0.6, -0.35, 0.35, 0.6), 0.05
"""Where a cell is compared with others across its line, in heights, and by how much it may be lower."""
LONG = 0.5
"""Spread of a line's cells along it, in heights, from which its shape shows its axis."""
BAND, IN_BAND = 0.3, 0.85
"""Half the height of the band around a centre line in which cells belong to it, in heights (those of a
perfect core reach 0.2), and the share of a piece's cells in it from which all of them are one line."""
STRAIGHT, CURVED = 0.15, 0.75
"""Spread of cells around a straight line (heights; 0.12 in a perfect core) from which a curve is tried, and
the largest ratio of the spreads for which the curve is preferred."""
UNSURE = 0.5
"""Agreement of the cells' directions below which a line may be read in the other direction."""
MAX_GAP = 1.3
"""Largest gap between two pieces of one line, in heights of a capital: a wider one separates lines."""
MAX_SPAN = 4.5
"""Largest gap between two lines, as above, that may be parts of one: some characters were not detected."""
MAX_OFFSET, MAX_TURN_RAD, MAX_RATIO = 0.45, 0.5, 1.6
"""Largest offset of a piece from the line through the other (heights), its turn and its ratio of heights."""
MAX_ROWS = 12
"""Largest number of rows that touch each other and are told apart."""
MIN_AREA, MAX_PIECES = 0.1, 150
"""Area of the smallest piece, in squared heights, and the largest number of pieces that are joined."""
MIN_LENGTH = 0.3
"""Length of the shortest line, in heights: one narrow character."""
LENGTHS, LEAST_SCORES = (1.0, 2.5), (0.9, 0.82)
"""Least scores of lines of these lengths, in heights, with those in between on a line: textures give short
ones."""
POSSIBLE, POSSIBLE_LENGTH = 0.65, 2.5
"""Least score and length, in heights, of lines that are possible: only their reading can say whether they are
lines."""

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
        agreement: mean cosine between the directions of its cells and its own, 0..1: how sure it is that it
            is not to be read in the opposite direction.
    """

    centre: Points
    height: float
    score: float
    agreement: float = 1.0

    @property
    def length(self) -> float:
        """Length of its centre line, px."""
        return float(np.linalg.norm(np.diff(self.centre, axis=0), axis=1).sum())

    @property
    def is_sure(self) -> bool:
        """Whether it is a line whatever it reads as; else it is merely possible."""
        return self.score >= float(np.interp(self.length / self.height, LENGTHS, LEAST_SCORES))

    @property
    def is_straight(self) -> bool:
        """Whether its centre line is a straight one."""
        return len(self.centre) == 2

    @property
    def direction_deg(self) -> float:
        """Direction from its first to its last character, degrees clockwise from the picture's x."""
        x, y = self.centre[-1] - self.centre[0]
        return float(np.degrees(np.arctan2(y, x)))

    @property
    def upright(self) -> "TextLine":
        """The line from left to right where its direction is a guess."""
        is_upright = self.agreement >= UNSURE or self.centre[-1, 0] >= self.centre[0, 0]
        return self if is_upright else self.turned

    @property
    def turned(self) -> "TextLine":
        """The line in the opposite direction."""
        return replace(self, centre=self.centre[::-1])

    def scaled(self, factor: float) -> "TextLine":
        """The same line in a picture that is larger by a factor."""
        return replace(self, centre=self.centre * factor, height=self.height * factor)

    def polygon(self, margin: float = 0.0) -> Points:
        """Its outline, clockwise from the top-left; ``margin`` around it, in heights."""
        centre, normals = extended(self.centre, margin * self.height, margin * self.height)
        half = (0.5 + margin) * self.height * normals
        return np.concatenate([centre - half, (centre + half)[::-1]])


def extended(centre: Points, before_px: float, after_px: float) -> tuple[Points, Points]:
    """A centre line, longer at both ends, and its unit normals [k, 2] that point down from the text."""
    steps = np.diff(centre, axis=0)
    along = steps / np.maximum(np.linalg.norm(steps, axis=1, keepdims=True), 1e-9)
    at_points = np.concatenate([along[:1], along[:-1] + along[1:], along[-1:]])
    at_points /= np.maximum(np.linalg.norm(at_points, axis=1, keepdims=True), 1e-9)
    longer = centre.copy()
    longer[0] -= before_px * along[0]
    longer[-1] += after_px * along[-1]
    return longer, np.stack([-at_points[:, 1], at_points[:, 0]], axis=1)


@dataclass(frozen=True, eq=False)
class _Piece:
    """Connected cells of a line: middles [n, 2], unit directions [n, 2], probabilities and heights [n]."""

    middles: Points
    along: Points
    core: Points
    heights: Points

    @cached_property
    def height(self) -> float:
        return _median(self.heights)

    @cached_property
    def fit(self) -> "_Fit":
        return _fitted(self)

    @cached_property
    def line(self) -> TextLine:
        centre, agreement = self.fit.centre, _agreement(self, self.fit.centre)
        if agreement < 0:
            centre, agreement = centre[::-1], -agreement
        return TextLine(centre, self.height, float(self.core.mean()), agreement)

    @cached_property
    def is_sure(self) -> bool:
        """Whether the cells agree on the direction."""
        return self.line.agreement >= UNSURE

    @property
    def is_large(self) -> bool:
        """Whether it covers as much as half a narrow character's core."""
        return len(self.core) > 1 and len(self.core) * CELL_PX**2 >= MIN_AREA * self.height**2

    def part(self, cells: NDArray[Any]) -> "_Piece":
        """Some of its cells, by number or by mask."""
        return _Piece(self.middles[cells], self.along[cells], self.core[cells], self.heights[cells])

    def joined(self, other: "_Piece") -> "_Piece":
        return _Piece(
            *(
                np.concatenate([getattr(self, name), getattr(other, name)])
                for name in ("middles", "along", "core", "heights")
            )
        )


def lines_of(maps: Maps, *, possible: bool = False) -> tuple[TextLine, ...]:
    """All lines of a picture, the most probable first; with ``possible`` also those that are not sure."""
    parts = [part for piece in _pieces(maps) for part in _rows(piece)]
    pieces = _joined(sorted(parts, key=lambda part: -part.core.sum())[:MAX_PIECES])
    lines = [line for line in (piece.line for piece in pieces) if line.length >= MIN_LENGTH * line.height]
    kept = [line for line in lines if line.is_sure or (possible and _is_possible(line))]
    return tuple(sorted(kept, key=lambda line: -line.score * line.length))


def _is_possible(line: TextLine) -> bool:
    return line.score >= POSSIBLE and line.length >= POSSIBLE_LENGTH * line.height


def _pieces(maps: Maps) -> list[_Piece]:
    """Connected cells of the cores."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(_ridges(maps).astype(np.uint8))
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


def _ridges(maps: Maps) -> NDArray[np.bool_]:
    """Cells of cores [h, w] except those that lie lower than others across their line, between two rows."""
    ridges = np.zeros(maps.core.shape, np.bool_)
    rows, columns = np.nonzero(maps.core > CORE)
    if not rows.size:
        return ridges
    cosine, sine = maps.direction[:, rows, columns]
    high = np.exp2(maps.height[rows, columns]) * np.float32(REFERENCE_PX / CELL_PX)
    core = maps.core[rows, columns]
    highest = np.zeros_like(core)
    for share in ACROSS:
        across = high * np.float32(share)
        x, y = (
            (start + step)[:, None] for start, step in ((columns, -sine * across), (rows, cosine * across))
        )
        beside = cv2.remap(maps.core, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR)
        highest = np.maximum(highest, beside[:, 0])
    ridges[rows, columns] = core > highest - LOWER
    return ridges


# --------------------------------------------------------------------------------------------------- fitting


@dataclass(frozen=True, slots=True)
class _Fit:
    """A centre line, the spread of a piece's cells around it, px, and their share in the band around it."""

    centre: Points
    spread: float
    share: float

    @classmethod
    def of(cls, piece: _Piece, centre: Points) -> "_Fit":
        (x, y), (left, top) = piece.middles.T[..., None], centre[:-1].T
        dx, dy = np.diff(centre, axis=0).T
        x, y = x - left, y - top
        along = np.clip((x * dx + y * dy) / np.maximum(dx * dx + dy * dy, 1e-9), 0, 1)
        squares = ((x - along * dx) ** 2 + (y - along * dy) ** 2).min(axis=1)
        inside = squares < (BAND * piece.height + CELL_PX / 2) ** 2
        return cls(centre, math.sqrt(squares.mean()), np.count_nonzero(inside) / len(inside))


def _fitted(piece: _Piece) -> _Fit:
    """The centre line through a piece's cells: straight, or else an arc of a circle, or a smooth curve.

    The shape decides where it is long enough; the directions of the cells then only vote for the start.
    """
    axis = _axis(piece)
    straight = _Fit.of(piece, _straight(piece, axis))
    if len(piece.core) <= 24 or straight.spread <= STRAIGHT * piece.height + 1:
        return straight
    curves = [_Fit.of(piece, curve) for curve in (_arc(piece), _cubic(piece, axis)) if curve is not None]
    fitting = (curve for curve in curves if curve.share >= IN_BAND)
    nearest = min(fitting, key=lambda curve: curve.spread, default=straight)
    return nearest if nearest.spread < CURVED * straight.spread else straight


def _axis(piece: _Piece) -> Points:
    """Unit vector along a piece: by its shape if it is long, else by its cells' directions."""
    middles = piece.middles - piece.middles.mean(axis=0)
    spreads, axes = np.linalg.eigh(middles.T @ middles / len(middles))
    if spreads[1] > (LONG * piece.height) ** 2 and spreads[1] > 9 * spreads[0]:
        return np.asarray(axes[:, 1], np.float64)
    return _common_axis(piece)


def _common_axis(piece: _Piece) -> Points:
    """Mean axis of the cells' directions, whichever way they point."""
    x, y = piece.along.T
    angle = np.arctan2((2 * x * y).sum(), (x * x - y * y).sum()) / 2
    return np.array([np.cos(angle), np.sin(angle)])


def _rows(piece: _Piece) -> list[_Piece]:
    """The piece, or the straight lines that it joins where rows touch each other: band by band."""
    rows, rest = list[_Piece](), piece
    for _ in range(MAX_ROWS):
        if not rest.is_large:
            break
        if rest.fit.share >= IN_BAND:
            return [*rows, rest]
        along = _common_axis(rest)
        across = (rest.middles - rest.middles.mean(axis=0)) @ np.array([-along[1], along[0]])
        half = BAND * rest.height + CELL_PX / 2
        levels = np.arange(across.min(), across.max() + CELL_PX, CELL_PX / 2)
        inside = np.abs(across[None] - levels[:, None]) < half
        chosen = inside[int((inside @ rest.core).argmax())]
        if chosen.all():
            return [*rows, rest]
        rows += _runs(rest.part(chosen), along)
        rest = rest.part(~chosen)
    return rows


def _runs(piece: _Piece, along: Points) -> list[_Piece]:
    """The parts of a piece between gaps that separate lines."""
    place = piece.middles @ along
    order = np.argsort(place)
    cuts = np.flatnonzero(np.diff(place[order]) > MAX_GAP * piece.height) + 1
    parts = (piece.part(part) for part in np.split(order, cuts))
    return [part for part in parts if part.is_large and part.core.max() >= SURE]


def _agreement(piece: _Piece, centre: Points) -> float:
    """Mean cosine between the cells' directions and a centre line, -1..1."""
    dx, dy = np.diff(centre, axis=0).T
    lengths = np.maximum(np.hypot(dx, dy), 1e-9)
    (x, y), (to_x, to_y) = piece.middles.T[..., None], (centre[:-1] + centre[1:]).T / 2
    nearest = ((x - to_x) ** 2 + (y - to_y) ** 2).argmin(axis=1)
    cosine, sine = piece.along.T
    return float((cosine * (dx / lengths)[nearest] + sine * (dy / lengths)[nearest]).mean())


def _straight(piece: _Piece, along: Points) -> Points:
    """A straight line along a direction, two points; twice fitted to the cells in its band."""
    centre, inside = piece.middles.mean(axis=0), np.ones(len(piece.core), np.bool_)
    half = BAND * piece.height + CELL_PX / 2
    for _ in range(2):
        across = np.array([-along[1], along[0]])
        x, y = ((piece.middles - centre) @ np.stack([along, across], axis=1)).T
        slope, offset = 0.0, 0.0
        if np.ptp(x[inside]) > 2 * piece.height:
            slope, offset = _slope_and_offset(x[inside], y[inside], piece.core[inside])
        else:
            offset = _median(y[inside])
        centre = centre + offset * across
        along = _unit(along + slope * across)
        near = np.abs((piece.middles - centre) @ np.array([-along[1], along[0]])) < half
        inside = near if np.count_nonzero(near) > 1 else inside
    x = ((piece.middles - centre) @ along)[inside]
    ends = np.array([x.min() - END_PX, x.max() + END_PX])
    return np.asarray(centre + ends[:, None] * along, np.float64)


def _median(values: Points) -> float:
    """Of a few values [n]; ``np.median`` takes twenty times as long."""
    ordered = np.sort(values)
    return float(ordered[(len(values) - 1) // 2] + ordered[len(values) // 2]) / 2


def _slope_and_offset(x: Points, y: Points, weights: Points) -> tuple[float, float]:
    """The straight line y = slope x + offset of the least weighted squares; all arrays [n]."""
    total = weights.sum()
    middle, level = (weights @ x) / total, (weights @ y) / total
    away = x - middle
    weighted = weights * away
    slope = float(weighted @ y / (weighted @ away))
    return slope, float(level - slope * middle)


def _cubic(piece: _Piece, along: Points) -> Points:
    """A cubic over a straight line."""
    centre = piece.middles.mean(axis=0)
    across = np.array([-along[1], along[0]])
    x, y = (piece.middles - centre) @ along, (piece.middles - centre) @ across
    half, middle = max(float(np.ptp(x)) / 2, 1.0), (float(x.max()) + float(x.min())) / 2
    fit = np.polynomial.polynomial.polyfit((x - middle) / half, y, 3, w=np.sqrt(piece.core))
    reach = 1 + END_PX / half
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
    radius = _median(radii)
    if radius < 0.8 * piece.height:
        return None
    angles = np.sort(np.mod(np.arctan2(rays[:, 1], rays[:, 0]), 2 * np.pi))
    gaps = np.diff(angles, append=angles[0] + 2 * np.pi)
    start = (int(gaps.argmax()) + 1) % len(angles)
    edge = END_PX / radius
    length = min(2 * np.pi - float(gaps.max()) + 2 * edge, 2 * np.pi)
    count = max(round(radius * length / max(piece.height, CELL_PX)) * 2, 8)
    turned = float(angles[start]) - edge + np.linspace(0, length, count)
    return np.asarray(middle + radius * np.stack([np.cos(turned), np.sin(turned)], axis=1), np.float64)


# --------------------------------------------------------------------------------------------------- joining


def _joined(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Pieces of which one continues the other as one, until none does."""
    whole = list(pieces)
    for one, other in _near([piece.line for piece in pieces], MAX_GAP):
        first, second = whole[one], whole[other]
        if first is not second and (_continues(first, second) or _continues(second, first)):
            line = first.joined(second)
            whole = [line if piece is first or piece is second else piece for piece in whole]
    return list(dict.fromkeys(whole))


def spanning(lines: Sequence[TextLine]) -> list[tuple[int, int, TextLine]]:
    """Pairs of straight lines that may be parts of one, by number, with that line; the nearest first."""
    spans = (
        (i, j, _span(lines[i], lines[j]) or _span(lines[j], lines[i])) for i, j in _near(lines, MAX_SPAN)
    )
    return [(one, other, whole) for one, other, whole in spans if whole]


def _span(first: TextLine, second: TextLine) -> TextLine | None:
    """The straight line through both, if the second one, in any direction, goes on where the first ends."""
    (start, end), height = first.centre[[0, -1]], max(first.height, second.height)
    onward = (
        second.centre if (second.centre[-1] - second.centre[0]) @ (end - start) > 0 else second.turned.centre
    )
    alike = (
        height <= MAX_RATIO * min(first.height, second.height) and first.is_straight and second.is_straight
    )
    if not alike or not _follows(first.centre, onward, height, MAX_SPAN):
        return None
    return replace(first, centre=np.stack([start, onward[-1]]), height=height)


def _near(lines: Sequence[TextLine], gap: float) -> list[tuple[int, int]]:
    """Pairs of lines with ends that may be neighbours on a line, by number, the nearest first.

    Args:
        lines: the lines.
        gap: between the ends, in heights.
    """
    ends = np.array([line.centre[[0, -1]] for line in lines]).reshape(-1, 2, 2)
    heights = np.array([line.height for line in lines])
    apart = np.linalg.norm(ends[:, None, :, None] - ends[None, :, None], axis=-1).min(axis=(2, 3))
    apart /= np.maximum(heights[:, None], heights[None])
    pairs = np.argwhere(np.triu(apart < gap + 0.5, 1))
    return [(one, other) for one, other in pairs[np.argsort(apart[tuple(pairs.T)])].tolist()]


def _continues(first: _Piece, second: _Piece) -> bool:
    """Whether the second piece follows the first one on the same line; an unsure one may be turned round."""
    one, other = first.line.centre, second.line.centre
    height = max(first.height, second.height)
    if height > MAX_RATIO * min(first.height, second.height):
        return False
    ways = [(one, other)]
    if not second.is_sure:
        ways.append((one, other[::-1]))
    if not first.is_sure:
        ways.append((one[::-1], other))
    return any(_follows(before, after, height) for before, after in ways)


def _follows(first: Points, second: Points, height: float, most: float = MAX_GAP) -> bool:
    """Whether a centre line goes on where another one ends, within ``most`` heights."""
    gap = second[0] - first[-1]
    leaving, entering = _unit(first[-1] - first[-2]), _unit(second[1] - second[0])
    ahead, aside = float(gap @ leaving), float(leaving[0] * gap[1] - leaving[1] * gap[0])
    turned = float(np.arccos(np.clip(leaving @ entering, -1, 1)))
    near = -0.6 * height < ahead < most * height
    return near and abs(aside) < MAX_OFFSET * height and turned < MAX_TURN_RAD


def _unit(vector: Points) -> Points:
    return np.asarray(vector / max(float(np.hypot(*vector)), 1e-9), np.float64)
