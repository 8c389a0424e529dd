"""Places of fields: which line of a picture, or which part of one, holds the value of a field.

A label is found in the text of a line, and its place by the boxes of its characters. Distances are measured
along and across the label's own line, so that nameplates may be rotated.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from rapidfuzz.distance import Levenshtein

from serialread.codes import Format, format_of
from serialread.config import StationField
from serialread.records import CharReading, Crop, Floats, Reading

SEPARATORS = ":.=#"
"""What may stand between a label and its value; "-" only if a format forbids it in the value."""
CHARS_PER_ERROR = 4
"""Characters of a label for each that may be misread."""
MIN_INNER_CHARS = 6
"""Shortest label that may be misread if it does not begin its line."""
MAX_DISTANCE = 8.0
"""Largest distance of a value from its label, in heights of the label; in a row it may be any."""
SAME_ROW, ROW_WEIGHT = 0.7, 10.0
"""Largest offset of a value in the same row, in its heights, and what an offset counts against a distance."""
PARALLEL = 0.94
"""Cosine of the angle up to which lines are parallel: short ones are found with several degrees of error."""
GAP_WIDTH = 0.2
"""Width over which columns between a label and its value are compared, in heights of the crop."""
MIN_CONFIDENCE = 0.5
"""Minimum mean confidence of the characters behind a label: less are no text."""
_ALIKE = str.maketrans("0Q1L5826", "OOIISBZG")


@dataclass(frozen=True, eq=False)
class ReadText:
    """A line of the picture, or a part of one, with its reading regardless of any format.

    Attributes:
        whole: whether it is a line, and not the part behind a label.
    """

    crop: Crop
    reading: Reading
    whole: bool = True

    @property
    def text(self) -> str:
        """Its characters."""
        return self.reading.text

    @cached_property
    def corners(self) -> Floats:
        """Corners [4, 2] in source px, clockwise from the text's top-left."""
        return self.crop.quad.astype(np.float32)

    def part(self, begin: int, end: int) -> "ReadText":
        """The part that shows some of its characters, cut between their boxes."""
        chars = self.reading.chars
        left = _gap(self.crop, chars[begin - 1], chars[begin]) if begin else 0
        right = _gap(self.crop, chars[end - 1], chars[end]) if end < len(chars) else None
        cut = _columns(self.crop, left, max(right or self.crop.pixels.shape[1], left + 1))
        return ReadText(cut, replace(self.reading, chars=chars[begin:end]), whole=False)


class Label(NamedTuple):
    """A label found in a line: its first character and the one after its last, and how well it fits."""

    line: int
    begin: int
    end: int
    errors: int
    kind: int
    """0: alone in its line, or followed by punctuation; 1: at its beginning; 2: inside it."""


def place_of(
    field: StationField, fields: Sequence[StationField], lines: Sequence[ReadText], frame_quad: Floats
) -> ReadText | None:
    """The text that holds the value of a field; None if there is none.

    Args:
        field: the field.
        fields: all fields of the station: what is a label is no value.
        lines: the lines of the picture.
        frame_quad: corners [4, 2] of the picture after the steps of the view, source px.
    """
    labels = [one.label for one in fields if one.label]
    wanted = format_of(field.format) if field.format else None
    candidates = [text for text in _candidates(field, labels, lines) if _is_inside(text, field, frame_quad)]
    if wanted is None:
        return candidates[0] if candidates else None
    fitting = (cut for text in candidates if (cut := _fitting(text, wanted)))
    return next(fitting, candidates[0] if candidates and field.label else None)


def _fitting(text: ReadText, wanted: Format) -> ReadText | None:
    """The text, without a separator in front of it, if it matches the format."""
    if wanted.matches(text.text):
        return text
    begin = len(text.text) - len(text.text.lstrip(SEPARATORS + "-"))
    if not text.whole and 0 < begin < len(text.text) and wanted.matches(text.text[begin:]):
        return text.part(begin, len(text.text))
    return None


def _candidates(field: StationField, labels: Sequence[str], lines: Sequence[ReadText]) -> Iterator[ReadText]:
    """Texts that may be the value, the most likely first."""
    if not field.label:
        yield from sorted(lines, key=lambda line: -sum(2 * c.confidence - 1 for c in line.reading.chars))
        return
    values = [line for line in lines if not any(_is_labelled(line.text, label) for label in labels)]
    for label in sorted(_found_labels(field.label, lines), key=lambda label: label[3:]):
        line = lines[label.line]
        if field.relation != "below" and (behind := _behind(line, label, labels)):
            yield behind
        axes = _axes(line, lines)
        box = _along(axes, line.part(label.begin, label.end))
        placed = [(text, _along(axes, text)) for text in values if text is not line]
        yield from (text for text, _ in sorted(_near(field.relation, box, placed), key=lambda one: one[1]))


def _found_labels(label: str, lines: Sequence[ReadText]) -> Iterator[Label]:
    for number, line in enumerate(lines):
        found = _label_in(label, line.text)
        if found:
            yield found._replace(line=number)


def _plain(text: str) -> str:
    """Letters and digits, one for one; those that look alike are equal."""
    return "".join(char.upper()[0].translate(_ALIKE) for char in text if char.isalnum())


def _is_labelled(text: str, label: str) -> bool:
    """Whether a line begins with this label, so that it is no value of another one."""
    found = _label_in(label, text)
    return found is not None and found.kind <= (len(_plain(label)) >= CHARS_PER_ERROR)


@lru_cache(maxsize=4096)
def _label_in(label: str, text: str) -> Label | None:
    """Where a text is most like a label; None if nowhere."""
    wanted = _plain(label)
    most = len(wanted) // CHARS_PER_ERROR
    places = [place for place, char in enumerate(text) if char.isalnum()]
    plain = _plain(text)
    found: list[Label] = []
    for begin in range(len(plain)):
        allowed = most if begin == 0 or len(wanted) >= MIN_INNER_CHARS else 0
        for length in range(max(len(wanted) - allowed, 1), len(wanted) + allowed + 1):
            part = plain[begin : begin + length]
            errors = Levenshtein.distance(wanted, part, score_cutoff=allowed)
            if len(part) == length and errors <= allowed:
                end = begin + length
                last = places[end - 1] + 1
                separated = last == len(text) or not text[last].isalnum()
                kind = 2 if begin else 0 if separated else 1
                if kind < 2 or len(wanted) >= MIN_INNER_CHARS or _stands_out(label, text, places[begin]):
                    found.append(Label(0, places[begin], last, errors, kind))
    best = min(found, key=lambda one: (one.errors, one.kind, one.begin), default=None)
    return best or _with_misread_sign(label, text)


def _with_misread_sign(label: str, text: str) -> Label | None:
    """A label such as S/N at the beginning of a text, as SXN: or S1N. with a separator behind it."""
    pattern = "".join(_plain(char) or ".?" for char in label if not char.isspace())
    found = re.match(pattern, "".join(_plain(char) or char for char in text))
    if found is None or text[found.end() : found.end() + 1] not in tuple(SEPARATORS):
        return None
    return Label(0, 0, found.end(), 1, 0)


def _stands_out(label: str, text: str, at: int) -> bool:
    """Whether a short label inside a line is written there as it is, punctuation included."""
    return text.upper().startswith("".join(label.upper().split()), at)


def _behind(line: ReadText, label: Label, labels: Sequence[str]) -> ReadText | None:
    """What follows a label in its line, up to the next label."""
    begin = label.end + len(line.text[label.end :]) - len(line.text[label.end :].lstrip(SEPARATORS))
    rest = line.text[begin:]
    nexts = (found for one in labels if (found := _label_in(one, rest)) and found.kind == 2)
    end = begin + min((found.begin for found in nexts), default=len(rest))
    confidences = [char.confidence for char in line.reading.chars[begin:end]]
    sure = begin < end and sum(confidences) >= MIN_CONFIDENCE * len(confidences)
    return line.part(begin, end) if sure else None


def _near(
    relation: str, label: Floats, placed: Sequence[tuple[ReadText, Floats]]
) -> Iterator[tuple[ReadText, float]]:
    """The texts that lie as a relation says, with their distance; boxes are in heights of the label."""
    for text, box in placed:
        across, down = np.maximum(np.maximum(box[:2] - label[2:], label[:2] - box[2:]), 0).tolist()
        below = float(box[1] + box[3] - label[1] - label[3]) / 2
        in_row = abs(below) < SAME_ROW * max(1.0, float(box[3] - box[1])) and box[0] > label[2] - 0.7
        match relation:
            case "right_of":
                fits, distance = in_row, across + ROW_WEIGHT * abs(below)
            case "below":
                fits, distance = across < 0.5 and below > 0.4 and down < MAX_DISTANCE, below
            case _:
                distance = float(np.hypot(across, below))
                fits = bool(in_row or distance < MAX_DISTANCE)
        if fits:
            yield text, distance


def _axes(line: ReadText, lines: Sequence[ReadText]) -> Floats:
    """A line's direction and the one down from it, [2, 2] in its heights; its neighbours make it exact."""
    vectors = np.array([one.corners[1] - one.corners[0] for one in lines])
    own = line.corners[1] - line.corners[0]
    lengths = np.maximum(np.linalg.norm(vectors, axis=1) * float(np.linalg.norm(own)), 1e-6)
    along = vectors[vectors @ own / lengths > PARALLEL].sum(axis=0)
    along /= max(float(np.linalg.norm(along)), 1e-6)
    down = np.array([-along[1], along[0]], np.float32)
    side = line.corners[3] - line.corners[0]
    mirrored = np.float32(np.sign(side @ down) or 1.0)
    axes = np.stack([along, mirrored * down]) / max(float(np.linalg.norm(side)), 1e-6)
    return axes.astype(np.float32)


def _along(axes: Floats, text: ReadText) -> Floats:
    """Left, top, right, bottom of a text along two axes."""
    seen = text.corners @ axes.T
    return np.concatenate([seen.min(axis=0), seen.max(axis=0)])


def _is_inside(text: ReadText, field: StationField, frame_quad: Floats) -> bool:
    """Whether the middle of a text is in the field's region."""
    if field.region is None:
        return True
    unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    to_source = cv2.getPerspectiveTransform(unit, frame_quad.astype(np.float32))
    corners = cv2.perspectiveTransform(np.array([field.region], np.float32), to_source)[0]
    middle = text.corners.mean(axis=0).tolist()
    return cv2.pointPolygonTest(corners.astype(np.float32), middle, measureDist=False) >= 0


def _gap(crop: Crop, before: CharReading, after: CharReading) -> int:
    """The emptiest column between the middles of two neighbouring characters."""
    if before.box is None or after.box is None:
        return 0
    height, width = crop.pixels.shape
    begin: int = min(max(round((before.box[0] + before.box[2]) / 2), 0), width - 1)
    end: int = min(max(round((after.box[0] + after.box[2]) / 2), begin + 1), width)
    window = np.ones(max(round(GAP_WIDTH * height), 1), np.float32)
    ink = np.convolve(crop.pixels.astype(np.float32).std(axis=0), window, mode="same")
    return begin + int(np.argmin(ink[begin:end]))


def _columns(crop: Crop, left: int, right: int) -> Crop:
    """The part of a line's crop between two columns."""
    width = crop.pixels.shape[1]
    begin, end = left / width, min(right / width, 1.0)
    sides = crop.quad if crop.outline is None else crop.outline
    outline = _part_of_outline(sides, begin, end)
    count = len(outline) // 2
    return replace(
        crop,
        pixels=np.ascontiguousarray(crop.pixels[:, left:right]),
        quad=outline[[0, count - 1, count, -1]],
        outline=None if crop.outline is None else outline,
    )


def _part_of_outline(outline: Floats, begin: float, end: float) -> Floats:
    """A part of an outline [2 k, 2]: its upper side, then its lower one backwards."""
    count = len(outline) // 2
    at = np.linspace(begin, end, count) * (count - 1)
    sides = (outline[:count], outline[count:][::-1])
    upper, lower = (
        np.column_stack([np.interp(at, np.arange(count), side[:, axis]) for axis in (0, 1)]) for side in sides
    )
    return np.concatenate((upper, lower[::-1])).astype(np.float32)
