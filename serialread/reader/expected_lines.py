"""The detected lines of a picture that its station expects, and longer cut-outs of those that are cut off."""

from collections.abc import Sequence

import numpy as np

from serialread.config import StationView
from serialread.detection import LineFinder, TextLine, cut_line, lone_mark
from serialread.imaging.crops import finish, turned_180
from serialread.imaging.frames import Frame
from serialread.records import Crop

MAX_DETECTED = 200
"""Largest number of detected lines that are read in a picture: some nameplates have more than a hundred."""

LEAST_SHARE = 16 / 60
"""Least height of a capital per shorter side of a crop that shows a single line, bent or oblique."""
BENT_ASPECT = 6.0
"""Longer per shorter side of a crop above which its line is not bent enough to be lost."""
OBLIQUE_DEG = 8.0
"""Angle between a straight line and the sides of its crop from which it counts as bent: the network reads
less oblique lines from the crop as it is."""


def expected_lines(finder: LineFinder, frame: Frame, view: StationView) -> list[TextLine]:
    """The lines of a picture as the station expects them, the clearest first; else its only mark."""
    longer = max(frame.pixels.shape)
    low, high = heights = tuple(share * longer for share in view.text_height or (0.0, 1.0))
    found = finder.find(frame.pixels, heights if view.text_height else None, possible=True)
    if not any(line.is_sure for line in found):
        found = (*filter(None, [lone_mark(frame.pixels)]), *found)
    lines = [_directed(line, view) for line in found if low <= line.height <= high]
    lines = [line for line in lines if not _is_unexpected(line, view)]
    return lines[: view.lines or MAX_DETECTED]


def may_be_bent(frame: Frame) -> bool:
    """Whether a crop of a single line is high enough for a bent or an oblique one."""
    return bool(max(frame.pixels.shape) <= BENT_ASPECT * min(frame.pixels.shape))


def bent_lines(finder: LineFinder, frame: Frame, view: StationView) -> list[TextLine]:
    """Bent and oblique lines of a crop that can only be one line: others are read from the crop as it is."""
    side = min(frame.pixels.shape)
    found = finder.find(frame.pixels, (LEAST_SHARE * side, side))
    lines = [_directed(line, view) for line in found if _is_bent(line)]
    return [line for line in lines if not _is_unexpected(line, view)][: view.lines or MAX_DETECTED]


def crops_of(frame: Frame, lines: Sequence[TextLine], view: StationView) -> tuple[Crop, ...]:
    """Crops of detected lines; if lines may be upside down, each followed by itself turned round."""
    crops = [finish(cut_line(frame, line), 0.0) for line in lines]
    if not may_be_upside_down(view):
        return tuple(crops)
    return tuple(one for crop in crops for one in (crop, turned_180(crop)))


def may_be_upside_down(view: StationView) -> bool:
    """Whether detected lines are also read turned round."""
    return view.upside_down != "never" and view.direction == "any"


def longer_crop(frame: Frame, line: TextLine, rooms: tuple[float, float], *, turned: bool) -> Crop:
    """A cut-out of a line with more room at its ends.

    Args:
        frame: the picture.
        line: the line, px of the frame.
        rooms: left and right of the text in the crop, in heights of a capital.
        turned: whether the crop shows the line turned round.
    """
    longer = finish(cut_line(frame, line, *(rooms[::-1] if turned else rooms)), 0.0)
    return turned_180(longer) if turned else longer


def _directed(line: TextLine, view: StationView) -> TextLine:
    """A vertical line in the station's direction; another one from left to right if that is a guess."""
    _, down = line.centre[-1] - line.centre[0]
    wanted = {"clockwise": -1, "counter_clockwise": 1}.get(view.vertical_text, 0)
    if _is_vertical(line) and wanted:
        return line if wanted * down > 0 else line.turned
    return line.upright


def _is_bent(line: TextLine) -> bool:
    from_sides = abs((line.direction_deg + 45) % 90 - 45)
    return not line.is_straight or from_sides > OBLIQUE_DEG


def _is_unexpected(line: TextLine, view: StationView) -> bool:
    across = float(line.centre[-1, 0] - line.centre[0, 0])
    if view.direction == "upright" and across <= 0:
        return True
    return _is_vertical(line) and (view.vertical_text == "never" or view.direction == "upright")


def _is_vertical(line: TextLine) -> bool:
    across, down = np.abs(line.centre[-1] - line.centre[0]).tolist()
    return bool(down > across)
