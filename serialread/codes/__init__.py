"""What a code is: its alphabet, the format that it obeys, its check characters."""

from serialread.codes.alphabet import MAX_LENGTH, PRINTABLE, Alphabet, without_blanks
from serialread.codes.checks import CHECKS, Check
from serialread.codes.formats import FORMATS, Format, format_of
from serialread.codes.lattice import Lattice

__all__ = [
    "CHECKS",
    "FORMATS",
    "MAX_LENGTH",
    "PRINTABLE",
    "Alphabet",
    "Check",
    "Format",
    "Lattice",
    "format_of",
    "without_blanks",
]
