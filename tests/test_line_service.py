"""Every accepted trigger has exactly one result, which reaches every sink in order."""

import csv
import json
import sqlite3
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest
from line_cases import STATION, eventually, picture, read, running, settings

from serialread.errors import LineError, RecipeError, SerialreadError
from serialread.line import (
    BadTrigger,
    LineBusy,
    LineContext,
    LineService,
    Outcome,
    Result,
    SinkDown,
    Trigger,
    TriggerPicture,
)
from serialread.line.journal import MAX_ATTEMPTS, Journal
from serialread.line.ports import NotAcknowledged
from serialread.line.registry import open_sink
from serialread.records import Record


def test_a_trigger_is_read_and_reaches_every_sink(tmp_path: Path) -> None:
    sinks = [
        {"kind": "jsonl", "name": "lines", "folder": "lines"},
        {"kind": "csv", "name": "table", "folder": "table"},
        {"kind": "sqlite", "name": "database", "path": "database/line.sqlite"},
    ]
    with running(settings(tmp_path, sinks=sinks)) as service:
        made = [read(service, picture(5)), read(service, picture(9), expected="X")]
    assert [one.number for one in made] == [1, 2]
    (lines,) = (tmp_path / "lines").iterdir()
    assert [Result.of_json(json.loads(line)) for line in lines.read_text().splitlines()] == made
    (table,) = (tmp_path / "table").iterdir()
    assert len(table.read_text().splitlines()) == 3
    rows = sqlite3.connect(tmp_path / "database" / "line.sqlite").execute(
        "SELECT trigger FROM results ORDER BY number"
    )
    assert [row for (row,) in rows] == [one.trigger for one in made]


def test_a_reload_under_load_loses_no_trigger(tmp_path: Path) -> None:
    config = settings(tmp_path, sinks=[{"kind": "jsonl", "name": "lines", "folder": "lines"}])
    station, digits = tmp_path / "press.toml", [4 + number % 6 for number in range(60)]
    with running(config) as service, ThreadPoolExecutor(4) as senders:
        made = senders.map(lambda n: read(service, picture(digits[n], note=n)), range(len(digits)))
        for reload in range(6):
            broken = reload % 2 == 0
            station.write_text("view = 3" if broken else STATION)
            with pytest.raises(SerialreadError) if broken else nullcontext():
                service.reload()
        results = list(made)
    assert [(one.text, one.outcome) for one in results] == [(f"{digit}7", Outcome.PASS) for digit in digits]
    assert sorted(one.number for one in results) == [*range(1, len(digits) + 1)]
    (lines,) = (tmp_path / "lines").iterdir()
    delivered = [json.loads(line)["number"] for line in lines.read_text().splitlines()]
    assert delivered == [*range(1, len(digits) + 1)]


def test_a_reload_leaves_no_model_in_memory(tmp_path: Path) -> None:
    service = LineService(settings(tmp_path))
    old = weakref.ref(service._readers._readers["press"])
    service.reload()
    assert old() is None
    service.close()


class FlakySink:
    """A sink that is down while the test says so."""

    def __init__(self) -> None:
        self.name, self.down, self.got, self.attempts = "flaky", False, list[Result](), 0
        self.why = SinkDown("no connection.")

    def deliver(self, results: Sequence[Result]) -> None:
        self.attempts += 1
        if self.down:
            raise self.why
        self.got += results

    def close(self) -> None:
        pass


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch) -> FlakySink:
    sink = FlakySink()
    monkeypatch.setattr("serialread.line.service.open_sink", lambda settings, context: sink)
    return sink


SINK = {"kind": "jsonl", "name": "flaky", "folder": "unused"}


def test_a_sink_that_was_down_gets_everything_in_order(tmp_path: Path, flaky: FlakySink) -> None:
    config = settings(tmp_path, sinks=[SINK], stop_timeout_s=0.5)
    with running(config) as service:
        made = [read(service, picture(5))]
        eventually(lambda: flaky.got == made)
        flaky.down = True
        made += [read(service, picture(5 + n)) for n in range(4)]
        health = eventually(lambda: (found := service.health()).sinks["flaky"].error and found)
        assert (health.sinks["flaky"].error, health.sinks["flaky"].waiting) == ("no connection.", 4)
    flaky.down = False
    with running(config) as service:
        made.append(read(service, picture(9)))
        eventually(lambda: flaky.got == made)
        assert service.health().sinks["flaky"].waiting == 0


def test_a_stop_does_not_hammer_at_a_sink_that_is_down(tmp_path: Path, flaky: FlakySink) -> None:
    with running(settings(tmp_path, sinks=[SINK], stop_timeout_s=2)) as service:
        flaky.down = True
        read(service, picture(5))
        eventually(lambda: service.health().sinks["flaky"].error)
        before = flaky.attempts
    assert 1 <= flaky.attempts - before <= 15


def test_a_late_acknowledgement_does_not_delay_the_next_result(
    tmp_path: Path, flaky: FlakySink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serialread.line.delivery.BACKOFF_S", (0.01, 30.0))
    with running(settings(tmp_path, sinks=[SINK])) as service:
        flaky.down, flaky.why = True, NotAcknowledged("the PLC has not acknowledged result 1")
        made = read(service, picture(5))
        eventually(lambda: flaky.attempts > 15, 5)  # with a growing pause: after minutes
        assert service.health().sinks["flaky"].error == "the PLC has not acknowledged result 1"
        flaky.down = False
        eventually(lambda: flaky.got == [made], 5)


def test_frames_are_not_accepted_together_if_none_of_them_is_alone(tmp_path: Path) -> None:
    config = settings(tmp_path)
    frames = tuple(TriggerPicture(f"{n}.png", picture(5, note=n)) for n in range(3))
    station = tmp_path / "press.toml"
    alone = {0.97: Outcome.PASS, 0.98: Outcome.REVIEW}  # one frame has the confidence 0.977
    for accept_at, outcome in alone.items():
        station.write_text(STATION.replace("accept_at = 0.5", f"accept_at = {accept_at}"))
        with running(config) as service:
            made = [service.accept(Trigger("press", frames[:count])).result(30) for count in (1, 3)]
        assert [one.outcome for one in made] == [outcome] * 2
        assert made[0].record["confidence"] == pytest.approx(made[1].record["confidence"])


def test_a_sink_is_owed_the_results_of_its_own_triggers_until_it_has_them(
    tmp_path: Path, flaky: FlakySink
) -> None:
    with running(settings(tmp_path, sinks=[SINK])) as service:
        flaky.down = True
        made = [read(service, picture(5 + n), source="flaky", id=f"own {n}") for n in range(2)]
        read(service, picture(5), source="folder in")
        assert service.journal.owed("flaky", "press") == [one.trigger for one in made]
        assert service.journal.owed("flaky", "mill") == service.journal.owed("other", "press") == []
        flaky.down = False
        eventually(lambda: not service.journal.owed("flaky", "press"))
        assert flaky.got[:2] == made


def test_triggers_that_wait_are_read_after_a_restart(tmp_path: Path) -> None:
    config = settings(tmp_path, stop_timeout_s=0.01)
    journal = Journal(config.folder)
    for number in range(5):
        assert journal.accept(Trigger("press", (TriggerPicture("a.png", picture(5)),), id=str(number)))
    assert not journal.accept(Trigger("press", (TriggerPicture("b.png", picture(9)),), id="3"))
    journal.close()
    with running(config) as service:
        eventually(lambda: service.journal.waiting() == 0)
        found = [(result.trigger, result.number) for _, result in service.journal.results()]
    assert found == [(str(number), number + 1) for number in range(4, -1, -1)]


def test_a_trigger_that_kills_the_process_again_and_again_is_given_up(tmp_path: Path) -> None:
    config = settings(tmp_path)
    journal = Journal(config.folder)
    journal.accept(Trigger("press", (TriggerPicture("a.png", picture(5)),), id="deadly"))
    for _ in range(MAX_ATTEMPTS):  # as if it was killed: the journal is not closed
        journal._database.execute("UPDATE triggers SET attempts = attempts + 1")
    journal._database.close()
    journal._claim.release()
    with running(config) as service:
        result = eventually(lambda: service.journal.result_of("deadly"))
    assert (result.outcome, result.reasons) == (Outcome.FAIL, ("reading it was interrupted 11 times",))


def test_a_full_queue_refuses_triggers(tmp_path: Path) -> None:
    service = LineService(settings(tmp_path, max_queue=2))
    with pytest.raises(LineBusy) as caught:
        service.accept(Trigger("press", (TriggerPicture("a.png", picture(5)),)))
    assert str(caught.value) == "the service does not run. Send the trigger again later."
    service._accepting = True
    for _ in range(2):
        service.accept(Trigger("press", (TriggerPicture("a.png", picture(5)),)))
    with pytest.raises(LineBusy) as caught:
        service.accept(Trigger("press", (TriggerPicture("a.png", picture(5)),)))
    assert str(caught.value) == "2 triggers wait. Send the trigger again later."
    service.close()


def test_pictures_and_results_are_kept_as_long_as_the_line_says(tmp_path: Path) -> None:
    config = settings(tmp_path, retention={"pictures_mb": 0.0005})
    with running(config) as service:
        kept = [read(service, picture(5, note=n), expected="97").trigger for n in range(3)]
        passed = read(service, picture(5)).trigger
        journal = service.journal
        assert journal.picture(passed) is None
        assert all(journal.picture(trigger) for trigger in kept)
        size = len(journal.picture(kept[-1]) or b"")
        journal.prune({}, days=30, pictures_bytes=size)
        assert [bool(journal.picture(trigger)) for trigger in kept] == [False, False, True]
        journal.prune({}, days=0, pictures_bytes=size)
        assert journal.results() == []
        assert read(service, picture(5)).number == 5


def test_a_sink_keeps_only_results_that_it_has_to_receive(tmp_path: Path) -> None:
    stations = [{"name": name, "file": "press.toml"} for name in ("press", "mill")]
    with running(settings(tmp_path, stations=stations)) as service:
        journal = service.journal
        for sink in ("all", "press", "mill"):
            journal.add_sink(sink)
        made = [read(service, picture(5, note=n)).trigger for n in range(3)]
        place = journal.undelivered("all", (), 2)[1]

        def left(**sinks: tuple[str, ...]) -> list[str]:
            journal.prune(sinks, days=0, pictures_bytes=0)
            return [result.trigger for _, result in journal.results()][::-1]

        assert left(all=(), mill=("mill",)) == made, "nothing is delivered"
        journal.delivered("all", place)
        assert left(all=(), press=("press", "mill"), mill=("mill",)) == made
        journal.delivered("press", place)
        assert left(all=(), press=("press", "mill"), mill=("mill",)) == made[2:]
        assert left(mill=("mill",)) == [], "the idle sink of another station blocks nothing"


def test_a_station_survives_a_defect_and_reads_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finish, failures = Journal.finish, [ValueError("odd record"), ValueError()]

    def failing(journal: Journal, result: Result, *, keep_pictures: bool) -> Result:
        if failures:
            raise failures[0]
        return finish(journal, result, keep_pictures=keep_pictures)

    monkeypatch.setattr(Journal, "finish", failing)
    monkeypatch.setattr("serialread.line.service.PAUSE_S", 0.01)
    with running(settings(tmp_path)) as service:
        future = service.accept(Trigger("press", (TriggerPicture("a.png", picture(5)),)))
        for problem in ("station press: odd record", "station press: ValueError"):
            eventually(lambda: problem in service.health().problems)  # noqa: B023 - called at once
            failures.pop(0)
        assert future.result(30).text == "57"
        eventually(lambda: not service.health().problems)
        assert service.alive()


def test_a_listener_that_fails_does_not_stop_the_station(tmp_path: Path) -> None:
    shown: list[str] = []

    def broken(result: Result, record: Record) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    with running(settings(tmp_path)) as service:
        service.listeners += [broken, lambda result, record: shown.append(result.text)]
        assert [read(service, picture(digit)).text for digit in (5, 9)] == ["57", "97"]
        eventually(lambda: shown == ["57", "97"])
        assert service.health().problems == ("results are no longer shown: [Errno 32] Broken pipe",)


def test_an_id_that_is_no_part_of_an_address_is_refused(tmp_path: Path) -> None:
    with running(settings(tmp_path)) as service, pytest.raises(BadTrigger) as caught:
        read(service, picture(5), id="order 7/3")
    message = "id: holds a slash, which cannot be part of /v1/readings/ID. Send another id."
    assert str(caught.value) == message


def test_two_services_do_not_share_a_folder(tmp_path: Path) -> None:
    config = settings(tmp_path)
    with running(config), pytest.raises(LineError) as caught:
        LineService(config)
    assert str(caught.value) == (
        f"{config.folder}: another service runs there. Stop it, or set another folder."
    )


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serialread.line.ports.find_spec", lambda name: None)
    sinks = [{"kind": "postgres", "name": "base", "conninfo": "dbname=line"}]
    config = settings(tmp_path, sinks=sinks, checks={"codes": "none.txt"})
    with pytest.raises(RecipeError) as caught:
        LineService(config)
    assert str(caught.value) == (
        f"stations: station press: {tmp_path / 'none.txt'}: cannot be read: No such file or directory. "
        "Give a text file, one code per line. sink base: sink postgres: psycopg is not installed. "
        "Install it: pip install 'serialread[postgres]'"
    )


def test_a_torn_line_of_a_killed_service_is_removed_and_nothing_is_written_twice(tmp_path: Path) -> None:
    for kind in ("jsonl", "csv"):
        config = settings(tmp_path, sinks=[{"kind": kind, "name": kind, "folder": kind}], folder=f"s-{kind}")
        with running(config) as service:
            made = [read(service, picture(5 + n)) for n in range(3)]
        (path,) = (tmp_path / kind).iterdir()
        whole = path.read_bytes()
        path.write_bytes(whole[:-20])  # the last line is torn
        journal = service.journal
        context = LineContext((), service.health, service.reload, journal.picture, journal.owed)
        sink = open_sink(config.sinks[0], context)
        sink.deliver(made[1:])
        assert path.read_bytes() == whole


def readings_with_fields(folder: Path, *fields: str) -> list[dict[str, str]]:
    """Read a picture with a station of these fields; the rows of the table of readings afterwards."""
    config = settings(folder, sinks=[{"kind": "readings", "name": "readings", "folder": "out"}])
    tables = "".join(f"[[fields]]\nname = '{name}'\nformat = '[0-9]{{2}}'\n" for name in fields)
    (folder / "press.toml").write_text(STATION + tables)
    with running(config) as service:
        read(service, picture(5))
    with (folder / "out" / "readings.csv").open(newline="") as file:
        return list(csv.DictReader(file, restkey="more", restval="less"))


def test_the_table_of_readings_has_the_columns_of_fields(tmp_path: Path) -> None:
    (row,) = readings_with_fields(tmp_path, "lot", "part")
    assert list(row)[-3:] == ["sha256", "lot", "part"]
    assert row["lot"] == "57"


def test_a_table_of_readings_keeps_the_columns_that_it_has(tmp_path: Path) -> None:
    readings_with_fields(tmp_path, "lot")
    table = tmp_path / "out" / "readings.csv"
    table.write_text("\ufeff" + table.read_text(), encoding="utf-8")  # as spreadsheets save it
    rows = readings_with_fields(tmp_path, "lot", "part")
    assert len(rows) == 2
    assert list(rows[1])[-2:] == ["sha256", "lot"]
    assert [row["lot"] for row in rows] == ["57", "57"]
    assert "less" not in rows[1].values()


def test_triggers_of_a_station_that_is_gone_are_not_forgotten(tmp_path: Path) -> None:
    config = settings(tmp_path)
    journal = Journal(config.folder)
    journal.accept(Trigger("mill", (TriggerPicture("a.png", picture(5)),)))
    journal.close()
    with pytest.raises(RecipeError) as caught:
        LineService(config)
    assert str(caught.value) == (
        f"{config.folder}: triggers wait for station mill, which the line does not have. "
        "Add the station, or set another folder."
    )
