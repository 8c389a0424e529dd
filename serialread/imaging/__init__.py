"""Pixels before the network: load a picture, find and deskew its text, make the network's array."""

from serialread.imaging.arrays import content_width, to_array
from serialread.imaging.crops import Finder, FoundLine, normalize, propose, teach_fixture, turned_180
from serialread.imaging.loading import PICTURE_SUFFIXES, as_image, digest, load_image
from serialread.imaging.overlays import tinted
from serialread.imaging.pictures_out import save_png
from serialread.imaging.steps import show_steps
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
    "content_width",
    "digest",
    "extent_of",
    "load_image",
    "normalize",
    "propose",
    "save_png",
    "show_steps",
    "teach_fixture",
    "tinted",
    "to_array",
    "turned_180",
]
