"""Model sessions, int8 quantization, and decoding of scores to a reading."""

from serialread.inference.decoding import boxes_of, decode, status_of
from serialread.inference.format_search import FormatSearch

__all__ = ["FormatSearch", "boxes_of", "decode", "status_of"]
