"""From the network's scores to characters with their doubts, with or without a format to obey."""

from serialread.inference.decoding import boxes_of, decode, status_of
from serialread.inference.format_search import Search

__all__ = ["Search", "boxes_of", "decode", "status_of"]
