"""Read a picture: a generator that yields crops to recognize and receives the network's outputs.

Its driver batches the crops: ``scheduler.Scheduler`` of many pictures, ``run_alone`` of one. There is no
other implementation.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field as dataclass_field, replace
from functools import cached_property
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from serialread.codes import REJECT, may_be_mirrored, mirror_image, reads_upside_down
from serialread.config import Code, Station
from serialread.detection import LineFinder, TextLine, spanning
from serialread.detection.cutting import ROOM
from serialread.imaging import CropView, Extent
from serialread.imaging.crops import finish, is_low, is_one_line, is_tall, prepare, turned_180, whole_crops
from serialread.imaging.frames import Frame
from serialread.imaging.stacks import stacked_chars, unstacked
from serialread.inference import FormatSearch
from serialread.inference.session import ModelCard
from serialread.reader.ambiguity import settle_shapes
from serialread.reader.borders import cut_off_sides
from serialread.reader.decisions import log_odds
from serialread.reader.doubled import doubled_char
from serialread.reader.expected_lines import (
    bent_lines,
    crops_of,
    expected_lines,
    longer_crop,
    may_be_bent,
    may_be_upside_down,
)
from serialread.reader.field_places import ReadText, place_of
from serialread.reader.fusion import fuse, likely_string, next_view
from serialread.reader.orientation import (
    choose_line,
    clear_chars,
    is_upside_down_twin,
    surely_upright,
    surely_upside_down,
    upside_down_text,
    upside_down_twins,
)
from serialread.reader.outputs import (
    Outputs,
    Steps,
    compared,
    maps_of,
    nearest_strings,
    probabilities_of,
    read_as,
    reading_of,
    text_extent,
)
from serialread.reader.rows import join_rows, other_texts, overlaps, rows_of
from serialread.reader.segmentation import MarkSegmentation, Segmentations
from serialread.records import Crop, Floats, LineReading, LoadedImage, Pixels, Reading

MIN_CHARS = 0.5
"""``clear_chars`` from which a line contains text."""
CLEAR_SHARE = 0.9
"""``clear_chars`` per character of the whole picture from which no lines are searched."""
BENT_SHARE = 0.85
"""The same of a crop of one line, its views fused, from which no bent line is searched."""
LEAST_ROOM = 0.3
"""Surface between the text and an end of a detected line's crop, in text heights, below which the line may go
on there."""
MORE_ROOM, MAX_EXTENSIONS = 2.0, 3
"""By how much a line is then cut out longer, in heights of a capital, twice as much each further time, and
how often at most."""
JOINED_GAIN = 0.5
"""``clear_chars`` that two detected lines must gain if they are read as one."""
MIN_TEXT_SHARE = 0.3
"""Height of the text per height of its picture below which the picture may hold other lines."""
MIN_SETTLED = 3
"""Characters of a picture that is not low from which it may need no search."""
CONFIRMING_CHARS, CONFIRMING = 4, 0.8
"""Characters and confidence from which on a reading confirms a line of which the detector is not sure."""
MIN_MIRRORED = 5
"""Characters from which a code of mirror-symmetric ones alone is suspicious: few codes are such by chance."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SeenView:
    """One view of a line with the network's outputs."""

    pixels: Pixels
    outputs: Outputs
    reading: Reading


@dataclass(frozen=True)
class ReadLine:
    """A proposed text line and its views.

    Attributes:
        views: the crop itself first, then retries; none if the line is the upside-down twin of one that is
            surely upright.
    """

    crop: Crop
    views: tuple[SeenView, ...] = ()

    @property
    def reading(self) -> Reading | None:
        """Of the crop itself; None if it was not read."""
        return self.views[0].reading if self.views else None

    @cached_property
    def segmentations(self) -> Segmentations:
        """Of the crop, by the characters of any reading of its views."""
        return Segmentations(self.crop.pixels)

    @property
    def segmentation(self) -> MarkSegmentation | None:
        """Of the crop, by the characters of ``reading``; None without characters."""
        return self.segmentations.of(self.reading) if self.reading else None

    def fused(self, code: Code) -> Reading | None:
        """Of all views; None if it was not read."""
        return fuse([view.reading for view in self.views], code) if self.views else None


@dataclass(frozen=True, slots=True)
class FieldLine:
    """The line of a field.

    Attributes:
        line: it, or the part of a line behind the field's label.
        reading: its views fused.
        cut_off: the borders that cut off its text, see ``cut_off_sides``.
        upside_down: another text that it reads upside down, if no other line shows which way is up; else "".
        doubled: its character, from 1, that may be two of its kind; 0 for none.
    """

    line: ReadLine
    reading: Reading
    cut_off: tuple[str, ...] = ()
    upside_down: str = ""
    doubled: int = 0


@dataclass(frozen=True)
class PictureReading:
    """All readings of a picture.

    Attributes:
        lines: all proposals; the first is the whole picture.
        best: the number of the line that contains the code.
        rows: the numbers of the lines that form the code, from top to bottom.
        line: the best line's reading, its views fused.
        reading: the code: the readings of all its rows joined.
        upside_down: another code that the best line reads upside down with similar confidence; "" if none.
        mirrored: another code that its mark reads if mirrored, where the station does not say so; "" if none.
        doubled: the character of the code, from 1, that may be two of its kind; 0 for none.
        cut_off: the borders that cut off a row of the code, see ``cut_off_sides``.
        others: texts of other lines that are read clearly, the clearest first.
        is_stacked: whether the picture is a column of characters, and the code was read across it.
        detected: the detected lines that were read, each in its better orientation, from top to bottom.
        fields: the line of every field that the station names; None if it was not found.
    """

    lines: tuple[ReadLine, ...]
    best: int
    rows: tuple[int, ...]
    line: Reading
    reading: Reading
    upside_down: str
    mirrored: str = ""
    doubled: int = 0
    cut_off: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    is_stacked: bool = False
    detected: tuple[LineReading, ...] = ()
    fields: Mapping[str, FieldLine | None] = dataclass_field(default_factory=dict)

    @property
    def crop(self) -> Crop:
        """The best line's."""
        return self.lines[self.best].crop

    @property
    def segmentation(self) -> MarkSegmentation | None:
        """Of the crop, by the characters of ``line``; None without characters."""
        return self.lines[self.best].segmentations.of(self.line)


def _distinct(lines: Sequence[ReadLine]) -> list[ReadLine]:
    """The lines that were read, each once and in its better orientation, from top to bottom.

    Of lines that lie on each other only the clearest counts.
    """
    read = [line for line in lines if line.reading is not None]
    kept = list[ReadLine]()
    for line in sorted(read, key=_clearness, reverse=True):
        if _clearness(line) < MIN_CHARS:
            break
        if not overlaps(line.crop.quad, [one.crop.quad for one in kept]):
            kept.append(line)
    return sorted(kept, key=lambda line: float(line.crop.quad[:, 1].mean()))


def _in_one_direction(kept: Sequence[ReadLine], every: Sequence[ReadLine]) -> list[ReadLine]:
    """The lines; those that read as a code upside down, too (1008), in the direction of the others."""
    clear = [line for line in kept if not reads_upside_down(line.views[0].reading.text)]
    along = sum((_clearness(line) * _direction(line.crop) for line in clear), np.zeros(2))

    def turned(line: ReadLine) -> ReadLine:
        if not reads_upside_down(line.views[0].reading.text) or along @ _direction(line.crop) >= 0:
            return line
        twins = (one for one in every if one.views and is_upside_down_twin(one.crop, line.crop))
        return next(twins, line)

    return [turned(line) for line in kept]


def _upside_down(line: ReadLine, every: Sequence[ReadLine]) -> str:
    """Another code that a line reads upside down; "" if none."""
    number = next(n for n, one in enumerate(every) if one.crop is line.crop)
    return upside_down_text([one.crop for one in every], [one.reading for one in every], number)


def _direction(crop: Crop) -> Floats:
    """Unit vector [2] from a line's first to its last character."""
    along = crop.quad[1] - crop.quad[0]
    return np.asarray(along / max(float(np.linalg.norm(along)), 1e-6), np.float32)


def polygon_of(crop: Crop) -> tuple[tuple[float, float], ...]:
    """Outline of a line (x, y) in source px, clockwise from the text's top-left."""
    outline = crop.quad if crop.outline is None else crop.outline
    return tuple((float(x), float(y)) for x, y in outline)


def _line_reading(line: ReadLine) -> LineReading:
    crop, reading = line.crop, fuse([view.reading for view in line.views])
    x, y = (crop.quad[1] - crop.quad[0]).tolist()
    return LineReading(
        text=reading.text,
        confidence=reading.confidence,
        polygon=polygon_of(crop),
        direction_deg=float(np.degrees(np.arctan2(y, x))),
        height_px=crop.text_height_px,
    )


def _clearest(ways: Sequence[ReadLine]) -> float:
    """``clear_chars`` of a line in its better orientation; 0 if it is no text."""
    return max([0.0, *(clear_chars(line.reading) for line in ways if line.reading)])


def _clearness(line: ReadLine) -> float:
    """``clear_chars`` of a line that was read, in its first view."""
    return clear_chars(line.views[0].reading)


def _continues(longer: ReadLine, line: ReadLine) -> bool:
    """Whether a longer cut-out of a line reads more characters around the middle ones of the shorter one."""
    more, text = longer.views[0].reading.text, line.views[0].reading.text
    return len(more) > len(text) > 2 and text[1:-1] in more


def _is_doubtful(whole: Reading | None) -> bool:
    """Whether a crop of one line reads so badly that its line may be bent."""
    return whole is None or clear_chars(whole) < max(BENT_SHARE * len(whole.chars), MIN_CHARS)


def _is_text(reading: Reading) -> bool:
    return clear_chars(reading) >= MIN_CHARS


def is_clear(reading: Reading) -> bool:
    """Whether the reading of a whole picture is so clear that no lines are searched.

    Marks alone never are: an empty picture with a little print reads as a dash.
    """
    written = any(char.char.isalnum() for char in reading.chars)
    return written and clear_chars(reading) >= max(CLEAR_SHARE * len(reading.chars), MIN_CHARS)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Reads pictures with one model at one station.

    Attributes:
        search: decodes by the station's format; None without one.
        has_orientation: whether the model has an orientation output.
        finder: opens what finds the lines of a picture.
        fields: reads one field of the station each, by its name.
    """

    card: ModelCard
    station: Station
    search: FormatSearch | None
    has_orientation: bool
    finder: Callable[[], LineFinder]
    fields: Mapping[str, "Pipeline"] = dataclass_field(default_factory=dict)

    def read(self, image: LoadedImage) -> Steps[PictureReading]:
        """Read one picture.

        Raises:
            ImageError: the station's fixture or circle is not found in the picture.
        """
        *_, (_, frame) = prepare(image, self.station.view)
        lines = yield from self._lines(frame)
        if len(lines) == 1 and self._may_be_bent(frame):
            lines[0] = yield from self._retry(lines[0])
            if _is_doubtful(lines[0].fused(self.station.code)):
                bent = bent_lines(self.finder(), frame, self.station.view)
                lines += yield from self._found(frame, bent)
        free = [self._freed(line) for line in lines]
        kept = _distinct(free[1:])
        if self.search is None and not self.fields:  # else the code and the fields are read again
            numbers = [n for n, line in enumerate(free) if any(line is one for one in kept)]
            retried = yield from side_by_side([self._retry(free[n]) for n in numbers])
            for number, line in zip(numbers, retried, strict=True):
                lines[number] = free[number] = line
            kept = _distinct(free[1:])
        fields = yield from self._fields(frame, _in_one_direction(kept, free) or free[:1], free)
        found = yield from self._code(lines)
        across = found.best == 0 and self.station.view.direction != "stacked"
        found = replace(
            found,
            is_stacked=across and is_tall(frame) and len(stacked_chars(frame.pixels)) > 0,
            detected=tuple(map(_line_reading, kept)),
        )
        return self._with_fields(found, fields)

    def _code(self, lines: list[ReadLine]) -> Steps[PictureReading]:
        """The code among the lines of a picture."""
        every, first = tuple(line.crop for line in lines), [line.reading for line in lines]
        first[0] = lines[0].fused(self.station.code)  # one view, unless a bent line was searched
        best = choose_line(every, first, mostly_upright=self._mostly_upright)
        lines[best] = yield from self._retry(lines[best])
        fused = [line.fused(self.station.code) for line in lines]
        readings = [
            reading and settle_shapes(reading, line.segmentations, self.station.code)
            for line, reading in zip(lines, fused, strict=True)
        ]
        rows, code = self._rows(every, readings, best)
        mirrored = yield from self._mirrored(lines[best] if len(rows) == 1 else None, code)
        return PictureReading(
            lines=tuple(lines),
            best=best,
            rows=rows,
            line=fused[best] or Reading((), 0.0),
            reading=code,
            upside_down=upside_down_text(every, first, best),
            mirrored=mirrored,
            doubled=self._doubled([(lines[n], fused[n] or Reading((), 0.0)) for n in rows]),
            cut_off=self._cut_off([lines[n] for n in rows]),
            others=other_texts(every, readings, rows),
        )

    def _mirrored(self, line: ReadLine | None, code: Reading) -> Steps[str]:
        """Another code that a code reads as if its mark is mirrored; "" if none.

        Characters that are others in a mirror are enough. For those that are merely read like some, as a Q
        for a 9, the mirrored line is read, too.

        Args:
            line: of the code; None if it has several rows.
            code: what was read.
        """
        known = self.station.view.mirror or self.search is not None
        if known or len(code.text) < MIN_MIRRORED or not may_be_mirrored(code.text):
            return ""
        if other := mirror_image(code.text):
            return "" if other == code.text else other
        if line is None:
            return ""
        pixels = np.ascontiguousarray(line.crop.pixels[:, ::-1])
        (outputs,) = yield [pixels]
        seen = reading_of(outputs, pixels, self.card, Code(), None)
        better = log_odds(seen) > log_odds(code) and REJECT not in seen.text
        return seen.text if better and is_clear(seen) else ""

    def _fields(
        self, frame: Frame, lines: Sequence[ReadLine], every: Sequence[ReadLine]
    ) -> Steps[dict[str, FieldLine | None]]:
        """The line of every field of the station, read with the field's format.

        Args:
            frame: the picture.
            lines: that may be fields.
            every: all lines of the picture, in every orientation.
        """
        found: dict[str, FieldLine | None] = {}
        texts = [ReadText(line.crop, line.views[0].reading) for line in lines]
        ambiguous = all(reads_upside_down(text.text) for text in texts)
        for field in self.station.fields:
            text = place_of(field, self.station.fields, texts, frame.quad)
            if text is None:
                found[field.name] = None
                continue
            line = lines[texts.index(text)] if text.whole else None
            value = yield from self.fields[field.name].read_again(text.crop, line)
            if ambiguous and line is not None:
                value = replace(value, upside_down=_upside_down(line, every))
            found[field.name] = value
        return found

    def read_again(self, crop: Crop, line: ReadLine | None) -> Steps[FieldLine]:
        """Read a line of a picture as the only one, with this station's format.

        Args:
            crop: of the line.
            line: the line, if the network has read it.
        """
        if line is None:
            (first,) = yield from self._read([crop])
        else:
            first = ReadLine(crop, (self._seen(crop.pixels, line.views[0].outputs),))
        every = yield from self._retry(first)
        reading = fuse([view.reading for view in every.views], self.station.code)
        cut_off = () if line is None else self._cut_off([every])  # the label borders on a part
        settled = settle_shapes(reading, every.segmentations, self.station.code)
        return FieldLine(every, settled, cut_off, doubled=self._doubled([(every, reading)]))

    def _freed(self, line: ReadLine) -> ReadLine:
        """A line as it reads regardless of the format."""
        if not line.views or line.views[0].reading.free is None:
            return line
        view = line.views[0]
        reading = reading_of(view.outputs, view.pixels, self.card, Code(), None)
        return replace(line, views=(replace(view, reading=reading),))

    def _with_fields(self, found: PictureReading, fields: Mapping[str, FieldLine | None]) -> PictureReading:
        """The reading of a picture with its fields; one of them may be the code."""
        if not self.station.code.field:
            return replace(found, fields=fields)
        code = fields[self.station.code.field]
        if code is None:
            return replace(found, fields=fields, reading=Reading((), 0.0))
        at = len(found.lines)
        return replace(
            found,
            fields=fields,
            lines=(*found.lines, code.line),
            best=at,
            rows=(at,),
            line=code.reading,
            reading=code.reading,
            upside_down="",
            doubled=code.doubled,
            cut_off=code.cut_off,
        )

    def propose(self, image: LoadedImage) -> Steps[tuple[Crop, ...]]:
        """Text lines that may contain the code; the first is the whole picture."""
        *_, (_, frame) = prepare(image, self.station.view)
        lines = yield from self._lines(frame)
        return tuple(line.crop for line in lines)

    def _lines(self, frame: Frame) -> Steps[list[ReadLine]]:
        """The whole picture in its allowed orientations, and the lines found in it unless it is one line."""
        view = self.station.view
        if view.direction == "stacked":
            return (yield from self._read([finish(unstacked(frame), 0.0)]))
        lines = yield from self._read_lines(whole_crops(frame, view))
        if self._mostly_upright and surely_upside_down(lines[0].views[0].reading):
            lines += yield from self._read([turned_180(lines[0].crop)])
        if view.find_lines and not self._is_settled(frame, self._freed(lines[0]).views[0]):
            lines += yield from self._found(frame, expected_lines(self.finder(), frame, view))
        return lines

    def _found(self, frame: Frame, found: list[TextLine]) -> Steps[list[ReadLine]]:
        """Read detected lines; those that are merely possible count where they read clearly."""
        read = yield from self._read_lines(crops_of(frame, found, self.station.view))
        ways = self._ways
        kept = [n for n, line in enumerate(found) if line.is_sure or self._confirms(read[n * ways :][:ways])]
        found, read = [found[n] for n in kept], [one for n in kept for one in read[n * ways :][:ways]]
        yield from self._join(frame, found, read)
        return (yield from self._complete(frame, found, read))

    def _confirms(self, ways: Sequence[ReadLine]) -> bool:
        """Whether a line that is merely possible is one, by what it reads as regardless of the format."""
        readings = [self._freed(line).views[0].reading for line in ways if line.views]
        return any(
            len(one.chars) >= CONFIRMING_CHARS and one.confidence >= CONFIRMING and is_clear(one)
            for one in readings
        )

    def _join(self, frame: Frame, found: list[TextLine], lines: list[ReadLine]) -> Steps[None]:
        """Replace two detected lines by one that spans both, if that reads better than they do."""
        spans, ways = spanning(found), self._ways
        read = yield from self._read_lines(crops_of(frame, [span for *_, span in spans], self.station.view))
        gone = set[int]()
        for number, (one, other, span) in enumerate(spans):
            parts, whole = (lines[n * ways :][:ways] for n in (one, other)), read[number * ways :][:ways]
            if gone.isdisjoint((one, other)) and _clearest(whole) > sum(map(_clearest, parts)) + JOINED_GAIN:
                found[one], lines[one * ways : (one + 1) * ways] = span, whole
                gone.add(other)
        for number in sorted(gone, reverse=True):
            del found[number], lines[number * ways : (number + 1) * ways]

    def _complete(
        self, frame: Frame, found: Sequence[TextLine], lines: list[ReadLine]
    ) -> Steps[list[ReadLine]]:
        """Detected lines; those that an end of their crop cuts off are cut out longer until they have room.

        A longer cut-out may end in the middle of a character and read worse for it; the next one shows it.
        """
        ways = self._ways
        rooms = {n: (ROOM, ROOM) for n, line in enumerate(lines) if line.reading and _is_text(line.reading)}
        latest = {number: lines[number] for number in rooms}
        for extension in range(MAX_EXTENSIONS):
            more = MORE_ROOM * 2**extension
            longer = dict[int, Crop]()
            for number, (left, right) in rooms.items():
                line = latest[number]
                sides = {*self._cut_off([line]), *self._without_room(line.views[0])}
                if sides & {"left", "right"}:
                    rooms[number] = left + more * ("left" in sides), right + more * ("right" in sides)
                    turned = number % ways == 1
                    longer[number] = longer_crop(frame, found[number // ways], rooms[number], turned=turned)
            again = dict(zip(longer, (yield from self._read(list(longer.values()))), strict=True))
            better = {n for n, line in again.items() if _clearness(line) > _clearness(lines[n])}
            for number in better:
                lines[number] = again[number]
            goes_on = better | {n for n, line in again.items() if _continues(line, latest[n])}
            rooms, latest = {n: rooms[n] for n in goes_on}, {n: again[n] for n in goes_on}
        return lines

    def _is_settled(self, frame: Frame, whole: SeenView) -> bool:
        """Whether there is nothing to search for: the whole picture is read clearly, or is one line.

        Args:
            frame: the picture.
            whole: its view, read regardless of the format: a clear reading against it needs no search.
        """
        clear = is_clear(whole.reading) and not self.fields
        if clear and not is_low(frame):
            # text much lower than the picture may not be its only line, and an arc may read as an r or a 7
            large = self._extent(whole).height >= MIN_TEXT_SHARE * whole.pixels.shape[0]
            clear = large and len(whole.reading.text) >= MIN_SETTLED
        return clear or is_one_line(frame)

    def _may_be_bent(self, frame: Frame) -> bool:
        """Whether a picture may be a single line that is bent or oblique."""
        view = self.station.view
        single = view.find_lines and view.direction != "stacked" and not self.fields
        return single and is_one_line(frame) and may_be_bent(frame)

    @property
    def _ways(self) -> int:
        """Crops of each detected line."""
        return 1 + may_be_upside_down(self.station.view)

    @property
    def _mostly_upright(self) -> bool:
        return self.station.view.upside_down == "found"

    def _read_lines(self, crops: tuple[Crop, ...]) -> Steps[list[ReadLine]]:
        """Read proposals; an upside-down twin only where the network is not sure that the line is upright."""
        twins = upside_down_twins(crops) if self.has_orientation else set()
        numbers = [n for n in range(len(crops)) if n not in twins]
        lines = dict(zip(numbers, (yield from self._read([crops[n] for n in numbers])), strict=True))
        more = {n: crops[n] for n in sorted(twins) if not surely_upright(lines[n - 1].views[0].reading)}
        lines |= zip(more, (yield from self._read(list(more.values()))), strict=True)
        return [lines.get(n, ReadLine(crop)) for n, crop in enumerate(crops)]

    def _read(self, crops: Sequence[Crop]) -> Steps[list[ReadLine]]:
        if not crops:
            return []
        outputs = yield [crop.pixels for crop in crops]
        return [
            ReadLine(crop, (self._seen(crop.pixels, found),))
            for crop, found in zip(crops, outputs, strict=True)
        ]

    def _retry(self, line: ReadLine) -> Steps[ReadLine]:
        """Read a doubtful line in further views, once, until they are settled (see ``fusion.next_view``)."""
        if len(line.views) > 1:
            return line
        views, cuts, extent = list(line.views), list[CropView](), None
        size = line.crop.pixels.shape
        how = line.crop.tilt_deg, self.card.topology, self.station.view.retry_below
        while wanted := next_view([view.reading for view in views], *how):
            extent = extent or self._extent(views[0])
            view = wanted.of(extent, size)
            cuts.append(view)
            pixels = view.cut(line.crop.pixels)
            (outputs,) = yield [pixels]
            seen = self._seen(pixels, outputs)
            views = self._compared([*views, replace(seen, reading=view.to_crop(seen.reading, size))])
        return replace(line, views=tuple(self._likely(views, cuts, size)))

    def _likely(
        self, views: list[SeenView], cuts: Sequence[CropView], size: tuple[int, int]
    ) -> list[SeenView]:
        """Views of a crop, one of which reads the string that all of them support most if it has the format.

        Args:
            views: of the crop, compared.
            cuts: the places of the second and further ones.
            size: of the crop.
        """
        readings, outputs = [view.reading for view in views], [view.outputs for view in views]
        if len(views) == 1 or not all(reading.alternatives for reading in readings):
            return views
        nearest = [nearest_strings(view.outputs, view.reading, self.card) for view in views]
        text = likely_string(readings, nearest, lambda text: probabilities_of(text, outputs, self.card))
        known = text in {reading.free_text for reading in readings}
        if known or (self.search is not None and not self.search.matches(text)):
            return views
        chances = probabilities_of(text, outputs, self.card)
        number = 1 + int(np.argmax(chances[1:]))  # the first view's maps say where the text is
        if not text or not chances[number]:
            return views
        seen = views[number]
        reading = read_as(text, chances[number], seen.reading, seen.outputs, seen.pixels, self.card)
        placed = replace(seen, reading=cuts[number - 1].to_crop(reading, size))
        return self._compared([*views[:number], placed, *views[number + 1 :]])

    def _compared(self, views: Sequence[SeenView]) -> list[SeenView]:
        """Views of a crop, each with what it says about the strings of all of them."""
        scores = [view.outputs.scores for view in views]
        readings = compared([view.reading for view in views], scores, self.card)
        return [replace(view, reading=reading) for view, reading in zip(views, readings, strict=True)]

    def _extent(self, view: SeenView) -> Extent:
        """Extent of the text, by the free reading: it does not depend on the format."""
        return text_extent(
            maps_of(view.outputs, view.pixels, self.card, len(view.reading.free_text)), view.pixels
        )

    def _without_room(self, view: SeenView) -> tuple[str, ...]:
        """The ends of a detected line's crop that its text reaches."""
        extent = self._extent(view)
        free = {"left": extent.left, "right": view.pixels.shape[1] - extent.right}
        return tuple(side for side, px in free.items() if px < LEAST_ROOM * extent.height)

    def _cut_off(self, rows: Sequence[ReadLine]) -> tuple[str, ...]:
        """The borders that cut off one of these lines."""
        sides: set[str] = set()
        for row in rows:
            view = row.views[0]
            if row.segmentation:
                sides |= set(cut_off_sides(row.segmentation, self._extent(view)))
        return tuple(sorted(sides))

    def _doubled(self, rows: Sequence[tuple[ReadLine, Reading]]) -> int:
        """The character of a code, from 1, that may be two of its kind; 0 for none."""
        before = 0
        for line, reading in rows if self.card.topology == "ctc" else ():
            outputs = [view.outputs for view in line.views]
            allows = self.search.matches if self.search is not None else lambda text: True
            if number := doubled_char(reading.text, outputs, self.card, allows):
                return before + number
            before += len(reading.text)
        return 0

    def _seen(self, pixels: Pixels, outputs: Outputs) -> SeenView:
        reading = reading_of(outputs, pixels, self.card, self.station.code, self.search)
        return SeenView(pixels, outputs, reading)

    def _rows(
        self, crops: Sequence[Crop], readings: Sequence[Reading | None], best: int
    ) -> tuple[tuple[int, ...], Reading]:
        """The rows of the code, and the code; a single row with a format, which describes one row."""
        line = readings[best] or Reading((), 0.0)
        if len(crops) < 3 or self.station.view.rows == "best" or self.station.code.format:
            return (best,), line
        rows = rows_of(crops, readings, best)
        if len(rows) == 1:
            return rows, line
        joined = [reading for n in rows if (reading := readings[n])]
        return rows, join_rows([crops[n] for n in rows], joined, rows.index(best))


def side_by_side(every: Sequence[Steps[T]]) -> Steps[list[T]]:
    """Run several generators: each request holds the crops for which all of them wait."""
    results = dict[int, T]()
    sent: dict[int, Any] = dict.fromkeys(range(len(every)))  # a generator is started by sending it None
    while sent:
        wanted = dict[int, Sequence[Pixels]]()
        for number, outputs in sent.items():
            try:
                wanted[number] = every[number].send(outputs)
            except StopIteration as done:
                results[number] = done.value
        found = iter((yield [crop for crops in wanted.values() for crop in crops])) if wanted else iter(())
        sent = {number: list(islice(found, len(crops))) for number, crops in wanted.items()}
    return [results[number] for number in range(len(every))]


def run_alone(steps: Steps[T], recognize: Callable[[Sequence[Pixels]], Sequence[Outputs]]) -> T:
    """Run one generator to its end."""
    try:
        wanted = next(steps)
        while True:
            wanted = steps.send(recognize(wanted))
    except StopIteration as done:
        result: T = done.value
        return result
