"""From the network's scores to characters with their doubts, with or without a format to obey."""

from serialread.decoding.readings import boxes_of, decode, status_of
from serialread.decoding.search import Search

__all__ = ["Search", "boxes_of", "decode", "status_of"]
