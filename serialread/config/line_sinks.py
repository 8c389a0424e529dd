"""Where the results of a production line go."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from serialread.config.section import Section

Name = Annotated[str, StringConstraints(pattern=r"^[\w.-]{1,64}$")]
"""Letters, digits, "_", "." and "-"."""

EnvName = Annotated[str, StringConstraints(pattern=r"^env:\w+$")]
"""A secret: ``env:NAME`` names the environment variable that holds it; see ``line_config.secret``."""


class SinkSection(Section):
    """What every sink has."""

    name: Name
    """Its name; what is delivered to it is remembered by this name."""
    stations: tuple[str, ...] = ()
    """Stations whose results it gets; (): all."""


class JsonLinesSinkConfig(SinkSection):
    """A file ``YYYY-MM-DD.jsonl`` per day of the result, one JSON object per line."""

    kind: Literal["jsonl"]
    folder: Path


class CsvSinkConfig(SinkSection):
    """A table ``YYYY-MM-DD.csv`` per day of the result."""

    kind: Literal["csv"]
    folder: Path


class SqliteSinkConfig(SinkSection):
    """A table ``results`` in an SQLite database, for other programs to read."""

    kind: Literal["sqlite"]
    path: Path


SinkConfig = Annotated[JsonLinesSinkConfig | CsvSinkConfig | SqliteSinkConfig, Field(discriminator="kind")]
"""A table ``[[sinks]]``; every kind extends ``SinkSection``."""
