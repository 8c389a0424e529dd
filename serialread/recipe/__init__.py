"""What the user asks for: typed recipes for data, training and stations, each read from one TOML file."""

from serialread.recipe.base import Section, load, recipe_id, to_toml
from serialread.recipe.data import DataRecipe
from serialread.recipe.geometry import CropGeometry
from serialread.recipe.station import Calibration, Code, Station, StationLimits
from serialread.recipe.training import TrainingRecipe
from serialread.recipe.view import Arc, Fixture, Lens, StationView

__all__ = [
    "Arc",
    "Calibration",
    "Code",
    "CropGeometry",
    "DataRecipe",
    "Fixture",
    "Lens",
    "Section",
    "Station",
    "StationLimits",
    "StationView",
    "TrainingRecipe",
    "load",
    "recipe_id",
    "to_toml",
]
