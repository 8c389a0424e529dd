"""Pixels before the network: load a picture, find and deskew its text, make the network's array."""

from serialread.imaging.crops import Finder, FoundLine, normalize, propose, teach_fixture, turned_180
from serialread.imaging.drawing import save_png, show_steps, tinted
from serialread.imaging.loading import PICTURE_SUFFIXES, as_image, digest, load_image
from serialread.imaging.network_input import column_owners, content_width, place_masks, to_array
from serialread.imaging.views import CLOSER, Closer, Extent, Level, Look, extent_of

__all__ = [
    "CLOSER",
    "PICTURE_SUFFIXES",
    "Closer",
    "Extent",
    "Finder",
    "FoundLine",
    "Level",
    "Look",
    "as_image",
    "column_owners",
    "content_width",
    "digest",
    "extent_of",
    "load_image",
    "normalize",
    "place_masks",
    "propose",
    "save_png",
    "show_steps",
    "teach_fixture",
    "tinted",
    "to_array",
    "turned_180",
]
