"""From the network's scores to characters with their doubts, with or without a format to obey."""

from serialread.inference.decoding import boxes_of, decode, status_of
from serialread.inference.format_search import FormatSearch

__all__ = ["FormatSearch", "boxes_of", "decode", "status_of"]
