"""The public interface: names and where they are defined; ``__init__.py`` imports them lazily."""

from .auditing import (
    agreement as agreement,
)
from .auditing import (
    audit as audit,
)
from .auditing import (
    compare as compare,
)
from .auditing import (
    plan_claim as plan_claim,
)
from .auditing import (
    plan_sampling as plan_sampling,
)
from .auditing import (
    rerun as rerun,
)
from .calibration import (
    calibrate_confidence as calibrate_confidence,
)
from .calibration import (
    calibrate_fixture as calibrate_fixture,
)
from .calibration import (
    calibrate_geometry as calibrate_geometry,
)
from .calibration import (
    calibrate_lens as calibrate_lens,
)
from .calibration import (
    save_station as save_station,
)
from .config import (
    Code as Code,
)
from .config import (
    DataRecipe as DataRecipe,
)
from .config import (
    Station as Station,
)
from .config import (
    StationLimits as StationLimits,
)
from .config import (
    StationView as StationView,
)
from .config import (
    TrainingRecipe as TrainingRecipe,
)
from .config import (
    load as load,
)
from .datasets import (
    SampleStore as SampleStore,
)
from .datasets import (
    generate as generate,
)
from .errors import (
    CalibrationError as CalibrationError,
)
from .errors import (
    CheckpointError as CheckpointError,
)
from .errors import (
    ImageError as ImageError,
)
from .errors import (
    RecipeError as RecipeError,
)
from .errors import (
    RecordsError as RecordsError,
)
from .errors import (
    SerialreadError as SerialreadError,
)
from .errors import (
    StoreError as StoreError,
)
from .evaluation import (
    evaluate as evaluate,
)
from .evaluation import (
    quantize as quantize,
)
from .reader import (
    Explanation as Explanation,
)
from .reader import (
    FolderRun as FolderRun,
)
from .reader import (
    Reader as Reader,
)
from .reader import (
    read_folder as read_folder,
)
from .records import (
    BarcodeCheck as BarcodeCheck,
)
from .records import (
    CharReading as CharReading,
)
from .records import (
    Decision as Decision,
)
from .records import (
    MarkQuality as MarkQuality,
)
from .records import (
    Reading as Reading,
)
from .records import (
    Record as Record,
)
from .records import (
    Sample as Sample,
)
from .records import (
    Verdict as Verdict,
)
from .run_log import (
    verify as verify,
)
from .synth import (
    make_sample as make_sample,
)
from .synth import (
    render as render,
)
from .training import (
    export as export,
)
from .training import (
    train as train,
)
from .weights import (
    shipped_model as shipped_model,
)

__version__: str
__all__: list[str]
