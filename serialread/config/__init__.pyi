"""Names of the package and where they are defined; ``__init__.py`` imports them lazily."""

from .crop_geometry import (
    CropGeometry as CropGeometry,
)
from .data_recipe import (
    DataRecipe as DataRecipe,
)
from .field import (
    StationField as StationField,
)
from .line_config import (
    LineChecks as LineChecks,
    LineConfig as LineConfig,
    LineStation as LineStation,
    WebConfig as WebConfig,
    load_line as load_line,
    secret as secret,
)
from .section import (
    Section as Section,
    load as load,
    recipe_id as recipe_id,
    to_toml as to_toml,
)
from .station import (
    Calibration as Calibration,
    Code as Code,
    Station as Station,
    StationLimits as StationLimits,
)
from .training_recipe import (
    TrainingRecipe as TrainingRecipe,
)
from .view import (
    Arc as Arc,
    Fixture as Fixture,
    Lens as Lens,
    StationView as StationView,
)
