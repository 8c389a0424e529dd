"""The service of a production line: stations with checks, sources, cameras, sinks and the web server."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, StringConstraints, field_validator, model_validator

from serialread.config.field import known_format
from serialread.config.line_sinks import EnvName, Name, SinkConfig
from serialread.config.line_sources import CameraConfig, SourceConfig
from serialread.config.section import Section, load
from serialread.errors import RecipeError


class LineChecks(Section):
    """What a code must be besides well read."""

    codes: Path | None = None
    """A text file with one expected code per line; any other code fails. It is read again on a reload."""
    pattern: str = ""
    """Name of a format, or a pattern, that the code must match; other than ``code.format`` of the station it
    does not influence the reading."""
    duplicates: bool = False
    """A code that the station has read in this shift fails."""
    sequence: bool = False
    """A code that is out of sequence within the shift (missing numbers, another form) is left for review."""
    shifts: tuple[Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")], ...] = Field(
        default=("06:00", "14:00", "22:00"), min_length=1
    )
    """Local times at which a shift begins."""
    match_passes: bool = False
    """A reading below the acceptance threshold passes if it is exactly the code that its trigger expects.
    Doubts of any other kind remain for review."""

    @field_validator("pattern")
    @classmethod
    def _known(cls, name: str) -> str:
        return known_format(name)


class LineStation(Section):
    """One station of the line."""

    name: Name
    """Name by which triggers, results and sinks know it."""
    file: Path | None = None
    """The station's TOML file, see docs/stations.md; unset: pictures from anywhere."""
    format: str = ""
    """Format of its codes; replaces that of the file."""
    checks: LineChecks = LineChecks()

    @field_validator("format")
    @classmethod
    def _known(cls, name: str) -> str:
        return known_format(name)


class Retention(Section):
    """How long the journal keeps what is done."""

    days: float = Field(default=30, gt=0)
    """Results, and the ids by which repeated triggers are recognized, are kept so long."""
    pictures: Literal["none", "not_passed", "all"] = "not_passed"
    """Which pictures are kept after they are read."""
    pictures_mb: float = Field(default=1000, ge=0)
    """Size of the kept pictures; the oldest are deleted first."""


class ApiKey(Section):
    """A key for the REST interface."""

    name: Name
    """Who has it; part of the audit lines."""
    key: EnvName
    """``env:NAME``: the environment variable that holds the key, of at least 16 characters."""
    roles: tuple[Literal["read", "trigger", "admin"], ...] = Field(default=("read",), min_length=1)
    """``read``: readings, stations, metrics and the live page; ``trigger``: POST /v1/read; ``admin``:
    reloads. Each role is given by itself."""


class WebConfig(Section):
    """REST interface, metrics and live page."""

    host: str = "127.0.0.1"
    """Address to listen on. Others than the loopback need keys."""
    port: int = Field(default=8401, ge=0, le=65535)
    """0 takes a free one."""
    names: tuple[str, ...] = ()
    """Host names by which clients may address it, besides ``host``; (): on the loopback only its names, else
    any."""
    keys: tuple[ApiKey, ...] = ()
    """API keys; without any, all requests are allowed, on the loopback only."""
    review: str = Field(default="", pattern=r"^(https?://\S+)?$")
    """Address of the review page (``serialread review``), to which the live page leads."""
    certificate: Path | None = None
    """TLS certificate chain, PEM."""
    private_key: Path | None = None
    """Its key, PEM."""
    max_body_mb: float = Field(default=32, gt=0, le=1024)
    """Largest body of a request."""
    max_pictures: int = Field(default=16, ge=1, le=256)
    """Pictures of one trigger at most."""
    body_timeout_s: float = Field(default=20, gt=0)
    """A body that is not complete by then is refused."""
    result_timeout_s: float = Field(default=30, gt=0)
    """A result that is not there by then is answered with 202 and the trigger's id."""
    requests_per_s: float = Field(default=50, gt=0)
    """Mean number of requests of one client; bursts may have twice as many. Others get 429."""
    connections: int = Field(default=200, ge=1)
    """Connections at the same time at most."""

    @model_validator(mode="after")
    def _tls_is_complete(self) -> "WebConfig":
        if (self.certificate is None) != (self.private_key is None):
            raise ValueError("certificate and private_key must be given together")
        return self


class LineConfig(Section):
    """A production line, as ``serialread line`` runs it. Paths are relative to the file."""

    folder: Path = Path("spool")
    """Folder of the journal: accepted triggers, results, what is not delivered yet. One service at a time."""
    model: Path | None = None
    """A model file; unset: the shipped model."""
    engine: Literal["openvino", "onnxruntime"] = "openvino"
    """Library that runs the model."""
    max_queue: int = Field(default=10_000, ge=1)
    """Triggers that may wait; sources then wait, and REST answers 503."""
    stop_timeout_s: float = Field(default=10, gt=0)
    """When the service stops, so long are results still delivered; the rest after the next start."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level of the log lines (JSON, on standard error)."""
    retention: Retention = Retention()
    stations: tuple[LineStation, ...] = Field(min_length=1)
    sources: tuple[SourceConfig, ...] = ()
    """Where triggers come from, besides REST."""
    cameras: tuple[CameraConfig, ...] = ()
    """Take the pictures of triggers that bring none."""
    sinks: tuple[SinkConfig, ...] = ()
    """Where results go."""
    web: WebConfig | None = None
    """REST interface and live page; unset: none."""

    @model_validator(mode="after")
    def _names_are_known(self) -> "LineConfig":
        stations = [station.name for station in self.stations]
        sinks = [sink.name for sink in self.sinks]
        cameras = [camera.station for camera in self.cameras]
        for what, names in (("stations", stations), ("sinks", sinks), ("cameras of station", cameras)):
            if twice := next((name for name in names if names.count(name) > 1), ""):
                raise ValueError(f"{what}: two are called {twice}")
        wanted = [*cameras, *(source.station for source in self.sources)]
        wanted += [name for sink in self.sinks for name in sink.stations]
        if unknown := next((name for name in wanted if name and name not in stations), ""):
            raise ValueError(f"no station is called {unknown}, only {', '.join(stations)}")
        return self


S = TypeVar("S", bound=Section)


def load_line(path: str | Path) -> LineConfig:
    """Read a LINE.toml file.

    Raises:
        RecipeError: missing file, invalid TOML, or all wrong keys and values with their dotted paths.
    """
    return rooted(load(path, LineConfig), Path(path).resolve().parent)


def rooted(section: S, folder: Path) -> S:
    """The same section with absolute paths, in all sections below too.

    Args:
        section: a section.
        folder: to which its paths are relative.
    """

    def absolute(value: Any) -> Any:
        match value:
            case Section():
                return rooted(value, folder)
            case Path():
                return folder / value
            case tuple():
                return tuple(map(absolute, value))
            case _:
                return value

    return section.model_copy(
        update={name: absolute(getattr(section, name)) for name in type(section).model_fields}
    )


def secret(name: str) -> str:
    """The value of a secret.

    Args:
        name: ``env:NAME``, the environment variable that holds it.

    Raises:
        RecipeError: there is no such variable, or it is empty.
    """
    found = os.environ.get(name.removeprefix("env:"), "")
    if not found:
        raise RecipeError(f"{name}: this environment variable is not set. Set it before the service starts.")
    return found
