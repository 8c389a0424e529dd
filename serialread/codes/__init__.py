"""What a code is: its alphabet, the format that it obeys, its check characters, the codes before it."""

from serialread.codes.alphabet import MAX_LENGTH, PRINTABLE, Alphabet, either_way, without_blanks
from serialread.codes.checks import CHECKS, Check
from serialread.codes.formats import FORMATS, Format, format_of
from serialread.codes.lattice import Lattice
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
