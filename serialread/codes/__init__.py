"""Codes: alphabets, formats, check characters, and checks of a sequence of codes."""

from serialread.codes.alphabet import (
    CTC_CAPACITY,
    MAX_LENGTH,
    PRINTABLE,
    REJECT,
    Alphabet,
    may_be_mirrored,
    mirror_image,
    reads_upside_down,
    without_blanks,
)
from serialread.codes.automaton import Lattice
from serialread.codes.check_characters import CHECKS, Check
from serialread.codes.formats import FORMATS, Format, format_of
from serialread.codes.lookalikes import fold_lookalikes, unreadable
from serialread.codes.sequence_checks import SequenceChecker

__all__ = [
    "CHECKS",
    "CTC_CAPACITY",
    "FORMATS",
    "MAX_LENGTH",
    "PRINTABLE",
    "REJECT",
    "Alphabet",
    "Check",
    "Format",
    "Lattice",
    "SequenceChecker",
    "fold_lookalikes",
    "format_of",
    "may_be_mirrored",
    "mirror_image",
    "reads_upside_down",
    "unreadable",
    "without_blanks",
]
