"""What the user asks for: typed recipes for data, training and stations, each read from one TOML file."""

from serialread.config.data_recipe import DataRecipe
from serialread.config.networks import CropGeometry
from serialread.config.section import Section, load, recipe_id, to_toml
from serialread.config.station import Calibration, Code, Station, StationLimits
from serialread.config.training_recipe import TrainingRecipe
from serialread.config.view import Arc, Fixture, Lens, StationView

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
