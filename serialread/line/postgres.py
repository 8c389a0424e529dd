"""A table of results in PostgreSQL, with migrations."""

import json
from collections.abc import Sequence

import psycopg
from psycopg import sql

from serialread.config import secret
from serialread.config.line_sinks import PostgresSinkConfig
from serialread.line.events import Result
from serialread.line.ports import SinkDown

PATIENCE_S = 5
"""So long may the server take to answer."""
LOCK = 0x5E12_1A1D
"""Key of the advisory lock that lets one service at a time migrate."""

MIGRATIONS = (
    """
    CREATE TABLE results (
        trigger text PRIMARY KEY,
        station text NOT NULL,
        number bigint NOT NULL,
        outcome text NOT NULL CHECK (outcome IN ('PASS', 'FAIL', 'REVIEW')),
        text text NOT NULL,
        reasons text[] NOT NULL,
        expected text NOT NULL,
        distance integer,
        confidence double precision,
        source text NOT NULL,
        accepted_at timestamptz NOT NULL,
        finished_at timestamptz NOT NULL,
        record jsonb NOT NULL
    );
    CREATE INDEX results_by_time ON results (station, finished_at);
    CREATE INDEX results_by_text ON results (text);
    """,
)
"""Statements by schema version, from 1; never changed once released, only added to."""

_INSERT = """
INSERT INTO results (trigger, station, number, outcome, text, reasons, expected, distance, confidence, source,
    accepted_at, finished_at, record)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (trigger) DO NOTHING
"""


class PostgresTable:
    """Sink of a PostgreSQL database; a result that comes again is the same row.

    Attributes:
        name: of the sink.
    """

    def __init__(self, settings: PostgresSinkConfig) -> None:
        """Check the settings; the first delivery connects.

        Raises:
            RecipeError: the environment variable of the password is not set.
        """
        self.name = settings.name
        self._settings = settings
        self._password = secret(settings.password) if settings.password else None
        self._connection: psycopg.Connection | None = None

    def deliver(self, results: Sequence[Result]) -> None:
        """Insert results in one transaction."""
        try:
            connection = self._connection or self._connect()
            self._connection = connection
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany(_INSERT, list(map(_row, results)))
        except psycopg.Error as error:
            self.close()
            raise SinkDown(f"PostgreSQL: {str(error).strip() or type(error).__name__}") from None

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection:
            connection.close()

    def _connect(self) -> psycopg.Connection:
        connection = psycopg.connect(
            self._settings.conninfo,
            password=self._password,
            autocommit=True,
            connect_timeout=PATIENCE_S,
            keepalives_idle=PATIENCE_S,
            tcp_user_timeout=1000 * PATIENCE_S,
            application_name="serialread",
            options=f"-c statement_timeout={1000 * PATIENCE_S}",
        )
        try:
            migrate(connection, self._settings.schema_name)
        except BaseException:
            connection.close()
            raise
        return connection


def migrate(connection: psycopg.Connection, schema: str, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Bring a schema to the newest version, and make it the one that statements use.

    Args:
        connection: an open connection.
        schema: name of the schema, which is created if it is missing.
        migrations: statements of version 1, 2, ...

    Raises:
        SinkDown: the schema is of a later version.
    """
    name = sql.Identifier(schema)
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        found = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,)).fetchone()
        if not found:  # IF NOT EXISTS would need the right to create one
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
        connection.execute(sql.SQL("SET search_path TO {}").format(name))
        connection.execute(
            "CREATE TABLE IF NOT EXISTS versions (version int PRIMARY KEY, at timestamptz NOT NULL)"
        )
        row = connection.execute("SELECT coalesce(max(version), 0) FROM versions").fetchone()
        version = int(row[0]) if row else 0
        if version > len(migrations):
            raise SinkDown(
                f"schema {schema} has version {version}, not {len(migrations)}. Update serialread."
            )
        for number, statements in enumerate(migrations[version:], version + 1):
            connection.execute(sql.SQL(statements))
            connection.execute("INSERT INTO versions VALUES (%s, now())", (number,))


def _row(result: Result) -> tuple[object, ...]:
    return (
        result.trigger,
        result.station,
        result.number,
        result.outcome.value,
        _storable(result.text),
        [_storable(reason) for reason in result.reasons],
        _storable(result.expected),
        result.distance,
        result.record["confidence"],
        result.source,
        result.accepted_at,
        result.finished_at,
        _storable(json.dumps(result.record, ensure_ascii=False).replace("\\u0000", "\\ufffd")),
    )


def _storable(text: str) -> str:
    """A text without NUL and lone surrogates, which PostgreSQL cannot hold."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
