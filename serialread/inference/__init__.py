"""Model sessions, int8 quantization, and decoding of scores to a reading."""

from serialread.inference.char_readings import boxes_of, status_of
from serialread.inference.ctc_decoding import decode_as, posteriors
from serialread.inference.ctc_paths import best_strings
from serialread.inference.decoding import decode, search_of
from serialread.inference.format_search import FormatSearch

__all__ = [
    "FormatSearch",
    "best_strings",
    "boxes_of",
    "decode",
    "decode_as",
    "posteriors",
    "search_of",
    "status_of",
]
