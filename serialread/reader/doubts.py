"""Doubts: what keeps a reading from being accepted, whatever its confidence."""

from collections.abc import Sequence

from rapidfuzz import fuzz

from serialread.codes import REJECT
from serialread.config import StationLimits
from serialread.reader.barcodes import check_barcodes
from serialread.reader.diacritics import marked_chars
from serialread.reader.foreign_glyphs import foreign_chars
from serialread.reader.pipeline import FieldLine, PictureReading, ReadLine
from serialread.reader.second_reader import TextComparison
from serialread.reader.segmentation import MarkSegmentation
from serialread.reader.unread import unread_gaps
from serialread.reader.wide_glyphs import wide_chars
from serialread.records import BarcodeCheck, Reading, SecondOpinion, Verdict

MAX_SHOWN = 50
"""Characters of a barcode, or of another text, that a doubt quotes."""


def doubts_about(
    found: PictureReading,
    verdict: Verdict,
    damage: str,
    barcodes: Sequence[str],
    limits: StationLimits,
) -> tuple[str, ...]:
    """The doubts about the code that was read in a picture, each as a short reason.

    Args:
        found: what was read.
        verdict: as ``judge`` gives it.
        damage: what is wrong with the picture's data; "" if nothing.
        barcodes: contents of the barcodes in the picture, to check the code against.
        limits: of the station.
    """
    reading = found.reading
    if not reading.chars:
        return (damage,) if damage else ()
    doubts = (
        damage,
        _height_doubt(found.crop.text_height_px, limits),
        *_reading_doubts(reading, found.cut_off),
        _view_doubt(_read_rows(found)),
        "characters stand below one another: see view.direction" if found.is_stacked else "",
        _mark_doubt(reading.text) if verdict is Verdict.NONE else "",
        "one character alone" if found.best and len(reading.chars) == 1 and verdict is Verdict.NONE else "",
        _ink_doubt(_rows_of(found), outside=verdict is Verdict.NONE),
        f"{verdict.value}: looks like {reading.free_text}" if verdict is Verdict.MISPRINT else "",
        f"also reads {', '.join(found.others)}" if found.others and verdict is Verdict.NONE else "",
        _doubled_doubt(found.doubled),
        f"reads {found.upside_down} upside down" if found.upside_down else "",
        f"reads {found.mirrored} mirrored" if found.mirrored and verdict is Verdict.NONE else "",
        barcode_doubt(reading.text, barcodes),
    )
    return tuple(filter(None, doubts))


def field_doubts(found: FieldLine, verdict: Verdict, limits: StationLimits) -> tuple[str, ...]:
    """The doubts about a field that was found; arguments as of ``doubts_about``."""
    misfit = f"does not match the format: looks like {found.reading.free_text}"
    doubts = (
        _height_doubt(found.line.crop.text_height_px, limits),
        *_reading_doubts(found.reading, found.cut_off),
        _view_doubt([(found.line, found.reading)]),
        _ink_doubt([(found.line.segmentations.of(found.reading), found.reading)], outside=False),
        misfit if verdict is Verdict.MISPRINT else "",
        _doubled_doubt(found.doubled),
        f"reads {found.upside_down} upside down" if found.upside_down else "",
    )
    return tuple(filter(None, doubts))


def _reading_doubts(reading: Reading, cut_off: Sequence[str]) -> tuple[str, ...]:
    """Doubts about the text of a line itself; "" for none."""
    return (
        f"may be longer than {reading.longer_than} characters" if reading.longer_than else "",
        _alphabet_doubt(reading.text),
        f"touches the {' and the '.join(cut_off)} border" if cut_off else "",
    )


def _rows_of(found: PictureReading) -> list[tuple[MarkSegmentation | None, Reading]]:
    """The segmentations and the readings of the code's rows."""
    rows = [
        (found.segmentation, found.line) if n == found.best else (line.segmentation, line.reading)
        for n, line in ((n, found.lines[n]) for n in found.rows)
    ]
    return [(line, reading) for line, reading in rows if reading]


def _read_rows(found: PictureReading) -> list[tuple[ReadLine, Reading]]:
    """The lines and the readings of the code's rows."""
    rows = [(found.lines[n], found.line if n == found.best else found.lines[n].reading) for n in found.rows]
    return [(line, reading) for line, reading in rows if reading]


def _view_doubt(rows: Sequence[tuple[ReadLine, Reading]]) -> str:
    """Names the first glyph that only a view reads as outside the alphabet: tight ones cut diacritics off."""
    before = 0
    for line, reading in rows:
        places = [view.reading.text.find(REJECT) for view in line.views if REJECT not in reading.text]
        if any(at >= 0 for at in places):
            return f"character {before + max(places) + 1} may be outside the alphabet"
        before += len(reading.chars)
    return ""


def _ink_doubt(rows: Sequence[tuple[MarkSegmentation | None, Reading]], *, outside: bool) -> str:
    """Names the first ink in the code's rows that the reading does not account for.

    Args:
        rows: segmentation and reading of each.
        outside: whether ink before the first and after the last character of a row counts.
    """
    before = 0
    for line, reading in rows:
        if line is not None:
            if marked := marked_chars(line, reading.chars):
                return f"character {before + marked[0] + 1} has a mark above or below it"
            if wide := wide_chars(line, reading.chars):
                return f"character {before + wide[0] + 1} is too wide for {reading.text[wide[0]]}"
            if foreign := foreign_chars(line, reading.chars):
                return f"character {before + foreign[0] + 1} may be outside the alphabet"
            if gaps := unread_gaps(line, reading.chars, outside=outside):
                return f"unread mark {_gap_name(before, gaps[0], len(reading.chars))}"
        before += len(reading.chars)
    return ""


def _gap_name(before: int, gap: int, count: int) -> str:
    """Where a gap is: before character ``gap`` of a row of ``count``; characters count from 0 in the row."""
    if 0 < gap < count:
        return f"between characters {before + gap} and {before + gap + 1}"
    return f"before character {before + 1}" if gap == 0 else f"after character {before + count}"


def _height_doubt(text_height_px: float, limits: StationLimits) -> str:
    low, high = limits.text_height_px
    if low <= text_height_px <= high:
        return ""
    return f"text is {text_height_px:.0f} px high, expected {low:.0f} to {high:.0f}"


def _doubled_doubt(number: int) -> str:
    """Names the narrow character, from 1, that may stand twice; "" for 0."""
    return f"character {number} may be two" if number else ""


def _mark_doubt(text: str) -> str:
    """What a text of punctuation alone is; "" for another one: a row of boxes reads as a dash."""
    return "" if any(char.isalnum() or char == REJECT for char in text) else "no letter and no digit"


def _alphabet_doubt(text: str) -> str:
    """Names the first glyph that is no character of the alphabet."""
    at = text.find(REJECT) + 1
    return f"character {at} is outside the alphabet" if at else ""


def barcode_doubt(text: str, barcodes: Sequence[str]) -> str:
    """What the barcode says that is most like a code; "" if one contains it, or there is none."""
    if check_barcodes(text, barcodes) is not BarcodeCheck.DIFFERS:
        return ""
    nearest = max(barcodes, key=lambda barcode: fuzz.ratio(text, barcode))
    return f"barcode says {_shown(nearest)}"


def second_doubt(text: str, second: SecondOpinion, comparison: TextComparison) -> str:
    """The doubt that a second reader raises about a code; "" if it confirms it."""
    if second.error:
        return f"second reader: failed ({_shown(second.error)})"
    return "" if comparison.agree(text, second.text) else f"second reader: {_shown(second.text) or 'nothing'}"


def _shown(text: str) -> str:
    """A text of elsewhere, short and on one line."""
    shown = "".join(char if char.isprintable() else " " for char in text)
    return shown if len(shown) <= MAX_SHOWN else shown[:MAX_SHOWN] + "..."
