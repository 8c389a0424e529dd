"""The public interface: names and where they are defined; ``__init__.py`` imports them lazily."""

from .auditing import (
    agreement as agreement,
    audit as audit,
    compare as compare,
    plan_claim as plan_claim,
    plan_sampling as plan_sampling,
    rerun as rerun,
    validate as validate,
)
from .calibration import (
    calibrate_confidence as calibrate_confidence,
    calibrate_fixture as calibrate_fixture,
    calibrate_geometry as calibrate_geometry,
    calibrate_lens as calibrate_lens,
    save_station as save_station,
)
from .config import (
    Code as Code,
    DataRecipe as DataRecipe,
    Station as Station,
    StationField as StationField,
    StationLimits as StationLimits,
    StationView as StationView,
    TrainingRecipe as TrainingRecipe,
    load as load,
)
from .datasets import (
    SampleStore as SampleStore,
    generate as generate,
)
from .errors import (
    CalibrationError as CalibrationError,
    CheckpointError as CheckpointError,
    ImageError as ImageError,
    LineError as LineError,
    RecipeError as RecipeError,
    RecordsError as RecordsError,
    SerialreadError as SerialreadError,
    StoreError as StoreError,
)
from .evaluation import (
    evaluate as evaluate,
    quantize as quantize,
)
from .reader import (
    Explanation as Explanation,
    FolderRun as FolderRun,
    Reader as Reader,
    SecondReader as SecondReader,
    read_folder as read_folder,
)
from .records import (
    BarcodeCheck as BarcodeCheck,
    CharReading as CharReading,
    Decision as Decision,
    FieldReading as FieldReading,
    MarkQuality as MarkQuality,
    Reading as Reading,
    Record as Record,
    Sample as Sample,
    SecondOpinion as SecondOpinion,
    Verdict as Verdict,
)
from .run_log import (
    verify as verify,
)
from .synth import (
    make_sample as make_sample,
    render as render,
)
from .teaching import (
    teach as teach,
    undo_lesson as undo_lesson,
)
from .training import (
    export as export,
    train as train,
)
from .weights import (
    shipped_model as shipped_model,
)

__version__: str
__all__: list[str]
