"""Where the results of a production line go."""

from pathlib import Path
from string import Formatter
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from serialread.config.section import Section

Name = Annotated[str, StringConstraints(pattern=r"^[\w.-]{1,64}$")]
"""Letters, digits, "_", "." and "-"."""

EnvName = Annotated[str, StringConstraints(pattern=r"^env:\w+$")]
"""A secret: ``env:NAME`` names the environment variable that holds it; see ``line_config.secret``."""


class Confidence(float):
    """A confidence in a telegram: a text of four decimals, unless its format is one of numbers."""

    def __format__(self, spec: str) -> str:
        return format(float(self) if spec.endswith(tuple("eEfFgGn%")) else str(self), spec)

    def __str__(self) -> str:
        return f"{float(self):.4f}"


_TELEGRAM_SAMPLE: dict[str, str | int | Confidence] = {
    "trigger": "7f3a",
    "station": "press",
    "number": 10**9,
    "outcome": "REVIEW",
    "text": "AB12",
    "expected": "AB13",
    "confidence": Confidence(0.987),
    "reasons": "low | late",
    "time": "2026-11-29T12:00:00.000+00:00",
}
TELEGRAM_PLACES = tuple(_TELEGRAM_SAMPLE)
"""Places of a telegram's template."""


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
    """Folder of the files; it is made if it is missing."""


class CsvSinkConfig(SinkSection):
    """A table ``YYYY-MM-DD.csv`` per day of the result."""

    kind: Literal["csv"]
    folder: Path
    """Folder of the files; it is made if it is missing."""


class ReadingsSinkConfig(SinkSection):
    """A results folder as ``serialread read`` writes it, for review and audit; each day is a batch."""

    kind: Literal["readings"]
    folder: Path
    """Folder of readings.jsonl and readings.csv; it is made if it is missing."""


class SqliteSinkConfig(SinkSection):
    """A table ``results`` in an SQLite database, for other programs to read."""

    kind: Literal["sqlite"]
    path: Path
    """The database file; it is made if it is missing."""


class ModbusSinkConfig(SinkSection):
    """A Modbus TCP server for the PLC of one station, with a handshake; see ``docs/line/modbus.md``."""

    kind: Literal["modbus"]
    host: str = "127.0.0.1"
    """Address to listen on. Modbus has no passwords: whoever reaches the port can trigger."""
    port: int = Field(default=5020, ge=1, le=65535)
    """PLCs expect 502, which needs the right to open ports below 1024."""
    acknowledge: bool = True
    """A result stays until the PLC acknowledges it. Otherwise the next one replaces it; the result number
    tells them apart."""


class OpcUaSinkConfig(SinkSection):
    """An OPC UA server: each station is an OcrReaderDeviceType of OPC 30010; see ``docs/line/opcua.md``."""

    kind: Literal["opcua"]
    endpoint: str = Field(
        default="opc.tcp://127.0.0.1:4840/serialread/", pattern=r"^opc\.tcp://[^/\s]+:\d+(/\S*)?$"
    )
    """Address to listen on."""
    certificate: Path | None = None
    """Certificate of the server, DER or PEM; with it, only signed and encrypted connections are accepted."""
    private_key: Path | None = None
    """Its key, DER or PEM."""
    user: str = ""
    """The user that may connect; empty: everybody."""
    password: EnvName | None = None
    """The user's password; needs a certificate."""

    @model_validator(mode="after")
    def _password_is_encrypted(self) -> "OpcUaSinkConfig":
        if (self.certificate is None) != (self.private_key is None):
            raise ValueError("certificate and private_key must be given together")
        if bool(self.user) != bool(self.password):
            raise ValueError("user and password must be given together")
        if self.password and not self.certificate:
            raise ValueError("a password needs a certificate, or it is sent in plain text")
        return self


class MqttSinkConfig(SinkSection):
    """An MQTT broker: results, states and a last will go out, triggers come in; see ``docs/line/mqtt.md``."""

    kind: Literal["mqtt"]
    host: str = "127.0.0.1"
    """Address of the broker."""
    port: int = Field(default=1883, ge=1, le=65535)
    """8883 is usual with TLS."""
    prefix: str = Field(default="serialread", pattern=r"^[^+#\s/]+(/[^+#\s/]+)*$")
    """First part of all topics."""
    client_id: str = ""
    """Must be unique at the broker; empty: ``serialread-``, the name of the computer and that of the sink."""
    triggers: bool = True
    """Whether triggers and pictures are accepted over MQTT."""
    user: str = ""
    """User at the broker; empty: none."""
    password: EnvName | None = None
    """The user's password."""
    tls: bool = False
    """Whether the connection is encrypted."""
    ca: Path | None = None
    """Certificates that are trusted, PEM; unset: those of the system."""
    certificate: Path | None = None
    """Certificate of this client, PEM."""
    private_key: Path | None = None
    """Its key, PEM."""
    keepalive_s: int = Field(default=15, ge=1, le=65535)
    """The broker publishes the last will when it has heard nothing for one and a half times as long."""


class PicturesSinkConfig(SinkSection):
    """A folder of pictures of parts that did not pass, for people, ``serialread review`` and ``teach``."""

    kind: Literal["pictures"]
    folder: Path
    """The folder, with one for each station and day."""
    outcomes: tuple[Literal["PASS", "FAIL", "REVIEW"], ...] = ("FAIL", "REVIEW")
    """Results whose pictures are written; the journal must keep them: ``retention.pictures``."""
    days: float = Field(default=30, gt=0)
    """Older pictures are deleted."""
    size_mb: float = Field(default=1000, gt=0)
    """Size of the folder; the oldest pictures are deleted first."""


class PostgresSinkConfig(SinkSection):
    """A table ``results`` in a PostgreSQL database."""

    kind: Literal["postgres"]
    conninfo: str
    """Address of the database: ``postgresql://user@host/database``, or ``host=... dbname=...``."""
    password: EnvName | None = None
    """Password of the user."""
    schema_name: str = Field(default="serialread", pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    """Schema of the table; it is created if the user has the right to, and brought up to date."""


class TelegramSinkConfig(SinkSection):
    """A receiver of lines of text over plain TCP."""

    kind: Literal["telegram"]
    host: str
    """Address of the receiver."""
    port: int = Field(ge=1, le=65535)
    """Port of the receiver."""
    template: str = "{number};{station};{outcome};{text};{confidence}"
    """A line; its places: trigger (the id), station, number, outcome, text, expected, confidence, reasons,
    time. A place may have a format of Python, such as ``{number:06d}`` or ``{confidence:.2f}``; number is a
    whole number, confidence has four decimals unless its format says otherwise, all others are texts."""
    answer: str = ""
    """Line with which the receiver confirms each telegram, with the same places, such as ``ACK {number}``.
    Empty: none; lines that were under way when the connection broke may then be lost."""
    terminator: Literal["lf", "crlf", "cr"] = "crlf"
    """Ends a line."""
    encoding: Literal["ascii", "latin-1", "utf-8"] = "utf-8"
    """Of the lines; characters that it has not are sent as ``?``."""

    @field_validator("template", "answer")
    @classmethod
    def _can_be_filled_in(cls, template: str) -> str:
        try:
            parsed = Formatter().parse(template)
            places = [(place, spec or "") for _, place, spec, _ in parsed if place is not None]
        except ValueError as error:
            raise ValueError(f"not a template: {error}") from None
        if unknown := [place for place, _ in places if place not in TELEGRAM_PLACES]:
            raise ValueError(f"no place {{{unknown[0]}}}, only {', '.join(TELEGRAM_PLACES)}")
        if nested := [place for place, spec in places if "{" in spec]:
            raise ValueError(f"the format of {nested[0]} holds a place. Write the format out")
        try:
            template.format(**_TELEGRAM_SAMPLE)
        except (ValueError, OverflowError, MemoryError) as error:
            raise ValueError(f"cannot be filled in: {error}. Correct the formats of its places") from None
        return template


class WebhookSinkConfig(SinkSection):
    """An address that receives each result as the JSON body of a POST request."""

    kind: Literal["webhook"]
    url: str = Field(pattern=r"^https?://[^/\s@]+(/\S*)?$")
    """Address of the receiver, without user and password."""
    token: EnvName | None = None
    """Sent as ``Authorization: Bearer``."""
    signing_key: EnvName | None = None
    """The body is signed with it: ``X-Serialread-Signature: sha256=...`` (HMAC)."""
    ca: Path | None = None
    """Certificates that are trusted, PEM; unset: those of the system."""


SinkConfig = Annotated[
    JsonLinesSinkConfig
    | CsvSinkConfig
    | ReadingsSinkConfig
    | SqliteSinkConfig
    | PicturesSinkConfig
    | PostgresSinkConfig
    | MqttSinkConfig
    | ModbusSinkConfig
    | OpcUaSinkConfig
    | TelegramSinkConfig
    | WebhookSinkConfig,
    Field(discriminator="kind"),
]
"""A table ``[[sinks]]``; every kind extends ``SinkSection``."""
