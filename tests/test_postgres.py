"""Results are rows of PostgreSQL, each once, also when the server is killed; old schemas are migrated."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from interface_cases import free_port, result
from line_cases import eventually, picture, running, settings
from plant_servers import Postgres, postgres

from serialread.config.line_sinks import PostgresSinkConfig
from serialread.line import Outcome, Result, SinkDown, Trigger, TriggerPicture
from serialread.line.postgres import MIGRATIONS, PostgresTable, migrate


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as one:
        yield one


def rows(server: Postgres, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(server.conninfo) as connection:
        return connection.execute(query).fetchall()  # type: ignore[arg-type]


def deliver(server: Postgres, schema: str, *results: Result) -> None:
    settings = PostgresSinkConfig(kind="postgres", name="db", conninfo=server.conninfo, schema_name=schema)
    with closing(PostgresTable(settings)) as table:
        table.deliver(results)


def test_a_server_that_cannot_be_reached_takes_no_results() -> None:
    conninfo = f"postgresql://plant@127.0.0.1:{free_port()}/postgres"
    table = PostgresTable(PostgresSinkConfig(kind="postgres", name="db", conninfo=conninfo))
    with pytest.raises(SinkDown, match=r"^PostgreSQL: connection failed: .*Connection refused"):
        table.deliver([result()])


@pytest.mark.plant
def test_a_result_is_one_row_also_if_it_comes_again(server: Postgres) -> None:
    odd = result("A\0B", 2, Outcome.FAIL, reasons=("not \udcff",), expected="AXB", distance=1)
    for _ in range(2):
        deliver(server, "once", result("AB12", 1), odd)
    columns = "trigger, number, outcome, text, reasons, distance, record->>'text'"
    query = f"SELECT {columns} FROM once.results ORDER BY number"
    assert rows(server, query) == [
        ("trigger-1", 1, "PASS", "AB12", [], None, "AB12"),
        ("trigger-2", 2, "FAIL", "A\ufffdB", ["not ?"], 1, "A\ufffdB"),
    ]
    assert (
        rows(server, "SELECT confidence, accepted_at = finished_at FROM once.results") == [(0.987, True)] * 2
    )


@pytest.mark.plant
def test_an_older_schema_is_migrated_and_a_newer_one_is_left_alone(server: Postgres) -> None:
    added = (*MIGRATIONS, "ALTER TABLE results ADD COLUMN shift text; CREATE INDEX ON results (shift)")
    deliver(server, "grows", result())
    with psycopg.connect(server.conninfo, autocommit=True) as connection:
        migrate(connection, "grows", added)
        migrate(connection, "grows", added)
    assert rows(server, "SELECT version FROM grows.versions ORDER BY 1") == [(1,), (2,)]
    assert rows(server, "SELECT trigger, shift FROM grows.results") == [("trigger-1", None)]
    with pytest.raises(SinkDown, match=r"^schema grows has version 2, not 1. Update serialread.$"):
        deliver(server, "grows", result())


@pytest.mark.plant
def test_a_migration_that_fails_changes_nothing(server: Postgres) -> None:
    with psycopg.connect(server.conninfo, autocommit=True) as connection, pytest.raises(psycopg.Error):
        migrate(connection, "half", (*MIGRATIONS, "CREATE TABLE other (a int); SELECT 1/0"))
    assert rows(server, "SELECT 1 FROM pg_namespace WHERE nspname = 'half'") == []


@pytest.mark.plant
def test_a_killed_server_loses_nothing_and_gets_everything_once_and_in_order(
    server: Postgres, tmp_path: Path
) -> None:
    sinks = [{"kind": "postgres", "name": "db", "conninfo": server.conninfo, "schema_name": "killed"}]
    with running(settings(tmp_path, sinks=sinks)) as service:
        for number in range(80):
            service.accept(Trigger("press", (TriggerPicture("a.png", picture()),), id=f"t{number}"))
            if number == 30:
                server.kill()
            if number == 50:
                server.start()
        eventually(lambda: service.health().stations["press"].results == 80, 60)
        eventually(lambda: not service.health().sinks["db"].waiting, 60)
    in_order_of_commits = "SELECT number, trigger FROM killed.results ORDER BY xmin::text::bigint, number"
    found = rows(server, in_order_of_commits)
    assert found == [(number, f"t{number - 1}") for number in range(1, 81)]
