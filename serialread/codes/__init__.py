"""Codes: alphabets, formats, check characters, and checks of a sequence of codes."""

from serialread.codes.alphabet import MAX_LENGTH, PRINTABLE, Alphabet, either_way, without_blanks
from serialread.codes.automaton import Lattice
from serialread.codes.check_characters import CHECKS, Check
from serialread.codes.formats import FORMATS, Format, format_of
from serialread.codes.sequence_checks import Serials

__all__ = [
    "CHECKS",
    "FORMATS",
    "MAX_LENGTH",
    "PRINTABLE",
    "Alphabet",
    "Check",
    "Format",
    "Lattice",
    "Serials",
    "either_way",
    "format_of",
    "without_blanks",
]
