"""Pixels before the network: load a picture, find and deskew its text, make the network's array."""

from serialread.imaging.crops import normalize, teach_fixture, turned_180
from serialread.imaging.drawing import save_png, show_steps, tinted
from serialread.imaging.loading import PICTURE_SUFFIXES, as_image, digest, load_image
from serialread.imaging.network_input import column_owners, content_width, place_masks, to_array
from serialread.imaging.views import TIGHT_VIEWS, CropView, Extent, LevelView, TightView, extent_of

__all__ = [
    "PICTURE_SUFFIXES",
    "TIGHT_VIEWS",
    "CropView",
    "Extent",
    "LevelView",
    "TightView",
    "as_image",
    "column_owners",
    "content_width",
    "digest",
    "extent_of",
    "load_image",
    "normalize",
    "place_masks",
    "save_png",
    "show_steps",
    "teach_fixture",
    "tinted",
    "to_array",
    "turned_180",
]
