"""Everything a user can be told they did wrong.

::

    SerialreadError
    ├── RecipeError        a recipe or station file that cannot be obeyed
    ├── ImageError         a picture that cannot be read (becomes a record while reading)
    ├── StoreError         a sample store that is missing, broken or full
    ├── CheckpointError    a trained network that is missing, broken or of another kind
    ├── CalibrationError   a station that does not fit the model
    └── RecordsError       results, truth or output folders that cannot be used

A message reads "place: what is wrong. What to do." on one line.
"""


class SerialreadError(Exception):
    """What the user asked for cannot be done; the message says where, what, and what to do."""


class RecipeError(SerialreadError):
    """A recipe or station file that cannot be obeyed."""


class ImageError(SerialreadError):
    """A picture that cannot be read; while reading it becomes a record with this reason."""


class StoreError(SerialreadError):
    """A sample store that is missing, broken or full."""


class CheckpointError(SerialreadError):
    """A trained network that is missing, broken or of another kind."""


class CalibrationError(SerialreadError):
    """A station that does not fit the model or the picture."""


class RecordsError(SerialreadError):
    """Results, truth tables or output folders that cannot be used."""
