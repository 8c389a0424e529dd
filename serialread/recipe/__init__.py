"""What the user asks for: typed recipes for data, training and stations, each read from one TOML file."""

from serialread.recipe.base import Section, load, recipe_id, to_toml
from serialread.recipe.data import DataRecipe
from serialread.recipe.geometry import CropGeometry
from serialread.recipe.station import Calibration, Code, Limits, Station
from serialread.recipe.training import TrainingRecipe
from serialread.recipe.view import Arc, Fixture, Lens, View

__all__ = [
    "Arc",
    "Calibration",
    "Code",
    "CropGeometry",
    "DataRecipe",
    "Fixture",
    "Lens",
    "Limits",
    "Section",
    "Station",
    "TrainingRecipe",
    "View",
    "load",
    "recipe_id",
    "to_toml",
]
