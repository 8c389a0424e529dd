"""Results reach an MQTT broker in order, also when it is killed; triggers and pictures come from it."""

import json
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from interface_cases import StubLine, certificate, free_port, result
from line_cases import eventually, picture, running, settings
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from plant_servers import Mosquitto, mosquitto, program

from serialread.config.line_sinks import MqttSinkConfig
from serialread.errors import LineError, RecipeError
from serialread.line import BadTrigger, LineBusy, SinkDown, Trigger, TriggerPicture
from serialread.line.mqtt import TOPICS, MqttBroker, trigger_of

STATIONS = ("press", "oven")
COUNT, DOWN = 150, 15
"""Number of triggers, and during how many of them the broker is down."""


def test_a_trigger_message_is_json_or_empty() -> None:
    body = json.dumps({"id": "7", "expected": "AB12", "format": "ean13"}).encode()
    trigger = trigger_of("press", "trigger", body, "broker")
    assert (trigger.station, trigger.id, trigger.expected, trigger.format) == ("press", "7", "AB12", "ean13")
    assert trigger_of("press", "trigger", b"", "broker").pictures == ()
    (found,) = trigger_of("press", "picture", b"\xff\xd8", "broker").pictures
    assert found == TriggerPicture("picture", b"\xff\xd8")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"go", "the message is not JSON. Send {} or nothing, or see the table of topics."),
        (b"[1]", "the message must be a JSON object of texts."),
        (b'{"expected": 7}', "the message must be a JSON object of texts."),
        (b'{"code": "A"}', "code: no such key, only id, expected, format."),
        (b"\xff", "the message is not JSON. Send {} or nothing, or see the table of topics."),
    ],
)
def test_other_messages_are_refused(body: bytes, message: str) -> None:
    with pytest.raises(BadTrigger) as caught:
        trigger_of("press", "trigger", body, "broker")
    assert str(caught.value) == message


def test_a_broker_that_cannot_be_reached_takes_no_results() -> None:
    port = free_port()
    sink = MqttBroker(MqttSinkConfig(kind="mqtt", name="broker", port=port), StubLine().context)
    with pytest.raises(SinkDown) as caught:
        sink.deliver([result()])
    assert str(caught.value) == f"broker 127.0.0.1:{port}: Connection refused. It is tried again."
    sink.close()


def test_topics_differ() -> None:
    assert len({topic.of("serialread", "press") for topic in TOPICS}) == len(TOPICS)


class Listener:
    """A client with a persistent session that collects all messages, and connects again after a kill."""

    def __init__(self, port: int) -> None:
        self.messages: list[tuple[str, str]] = []
        self.client = Client(CallbackAPIVersion.VERSION2, "listener", clean_session=False)
        self.client.on_message = lambda _c, _d, m: self.messages.append((m.topic, m.payload.decode()))
        self.client.on_connect = lambda client, *_: client.subscribe("serialread/#", qos=1)
        self.client.reconnect_delay_set(1, 1)
        eventually(lambda: self._connect(port))
        self.client.loop_start()

    def _connect(self, port: int) -> bool:
        try:
            self.client.connect("127.0.0.1", port)
        except OSError:
            return False
        return True

    def last(self, topic: str) -> Any:
        """The last message of a topic; None if there is none."""
        found = [body for name, body in self.messages if name == f"serialread/{topic}"]
        return found[-1] if found else None

    def send(self, topic: str, body: str | bytes = b"", retain: bool = False) -> None:
        """Publish a message."""
        self.client.publish(f"serialread/{topic}", body, qos=1, retain=retain).wait_for_publish(20)

    def close(self) -> None:
        """Disconnect."""
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path) as one:
        yield one


@pytest.fixture
def listener(broker: Mosquitto) -> Iterator[Listener]:
    one = Listener(broker.port)
    yield one
    one.close()


@pytest.mark.plant
def test_triggers_come_in_and_states_go_out(broker: Mosquitto, listener: Listener) -> None:
    line, stop = StubLine(), threading.Event()
    sink = MqttBroker(MqttSinkConfig(kind="mqtt", name="broker", port=broker.port), line.context)
    listener.send("press/trigger", '{"id": "stale"}', retain=True)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(sink.run, line.accept, stop)
        try:
            _talk(line, listener)
        finally:
            stop.set()
            running.result(20)
            sink.close()
    eventually(lambda: listener.last("status") == "offline")


def _talk(line: StubLine, listener: Listener) -> None:
    eventually(lambda: listener.last("status") == "online")
    state = json.loads(eventually(lambda: listener.last("press/state")))
    assert state == {"waiting": 0, "results": 0, "last_result_at": None}
    listener.send("press/trigger", '{"id": "7", "expected": "AB12"}')
    eventually(lambda: line.triggers)
    assert [(one.id, one.expected, one.source) for one in line.triggers] == [("7", "AB12", "broker")]
    eventually(lambda: json.loads(listener.last("press/state"))["results"] == 1)
    listener.send("press/picture", b"GIF89a")
    eventually(lambda: len(line.triggers) == 2)
    listener.send("press/trigger", "go")
    eventually(lambda: "not JSON" in (listener.last("press/refused") or ""))
    line.refuses = LineBusy("full")
    listener.send("press/trigger", '{"id": "8"}')
    time.sleep(0.7)
    line.refuses = None
    eventually(lambda: line.triggers[-1].id == "8")
    assert json.loads(listener.last("health"))["ready"]


@pytest.mark.plant
def test_a_trigger_that_cannot_be_stored_comes_again(broker: Mosquitto, listener: Listener) -> None:
    line, stop = StubLine(), threading.Event()
    sink = MqttBroker(MqttSinkConfig(kind="mqtt", name="broker", port=broker.port), line.context)
    line.refuses = LineError("disk full")
    with ThreadPoolExecutor() as pool, closing(sink):
        running = pool.submit(sink.run, line.accept, stop)
        eventually(lambda: listener.last("status") == "online")
        listener.send("press/trigger", '{"id": "7"}')
        with pytest.raises(LineError, match=r"^disk full$"):
            running.result(20)
        line.refuses = None
        running = pool.submit(sink.run, line.accept, stop)
        try:
            eventually(lambda: [one.id for one in line.triggers] == ["7"])
        finally:
            stop.set()
        running.result(20)


@pytest.mark.parametrize("key", ["ca", "certificate", "private_key"])
def test_a_missing_file_is_an_error_before_anything_starts(tmp_path: Path, key: str) -> None:
    values = {"kind": "mqtt", "name": "broker", "tls": True, key: tmp_path / "none.pem"}
    with pytest.raises(RecipeError) as caught:
        MqttBroker(MqttSinkConfig.model_validate(values), StubLine().context)
    message = f"{key}: {tmp_path / 'none.pem'}: no such file. Create it, or correct the path."
    assert str(caught.value) == message


@pytest.mark.plant
def test_the_last_will_says_that_the_service_is_gone(broker: Mosquitto, listener: Listener) -> None:
    line = StubLine()
    sink = MqttBroker(MqttSinkConfig(kind="mqtt", name="broker", port=broker.port), line.context)
    sink.deliver([result()])
    eventually(lambda: listener.last("status") == "online")
    assert json.loads(listener.last("press/result"))["trigger"] == "trigger-1"
    assert sink._client is not None
    sink._client.socket().close()  # type: ignore[union-attr]
    eventually(lambda: listener.last("status") == "offline")


@pytest.mark.plant
def test_a_broker_that_is_killed_loses_nothing_and_mixes_up_nothing(
    broker: Mosquitto, listener: Listener, tmp_path: Path
) -> None:
    kills = sorted(random.Random(5).sample(range(20, 130), 2))
    sinks = [{"kind": "mqtt", "name": "broker", "port": broker.port}]
    stations = [{"name": name, "file": "press.toml"} for name in STATIONS]
    with running(settings(tmp_path, sinks=sinks, stations=stations)) as service:
        eventually(lambda: listener.last("status") == "online")
        for number in range(COUNT):
            station = STATIONS[number % 2]
            service.accept(Trigger(station, (TriggerPicture("a.png", picture()),), id=f"t{number}"))
            if number in kills:
                broker.kill()
            if number - DOWN in kills:
                broker.start()
        eventually(lambda: not service.health().sinks["broker"].waiting, 60)
        results = eventually(lambda: len(found := received(listener)) == COUNT and found, 30)
    for at, station in enumerate(STATIONS):
        expected = [(station, number, f"t{2 * number - 2 + at}") for number in range(1, COUNT // 2 + 1)]
        assert [one for one in results if one[0] == station] == expected


def received(listener: Listener) -> list[tuple[str, int, str]]:
    """Station, number and trigger of each result, repeats dropped."""
    bodies = [json.loads(body) for topic, body in listener.messages if topic.endswith("/result")]
    return list(dict.fromkeys((one["station"], one["number"], one["trigger"]) for one in bodies))


@pytest.mark.plant
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho leaves a refused socket
def test_a_broker_with_tls_and_passwords(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER", "right")
    monkeypatch.setenv("WRONG", "wrong")
    chain, key = certificate(tmp_path, "broker")
    subprocess.run([program("mosquitto_passwd"), "-b", "-c", tmp_path / "users", "line", "right"], check=True)
    more = f"certfile {chain}\nkeyfile {key}\nallow_anonymous false\npassword_file {tmp_path / 'users'}"
    with mosquitto(tmp_path, more) as broker:
        values = {"kind": "mqtt", "name": "b", "port": broker.port, "tls": True, "ca": chain, "user": "line"}

        def deliver(**other: Any) -> None:
            sink = MqttBroker(MqttSinkConfig.model_validate(values | other), StubLine().context)
            with closing(sink):
                sink.deliver([result()])

        eventually(lambda: not_refused(lambda: deliver(password="env:BROKER")))
        with pytest.raises(
            SinkDown, match=r"refuses the connection: Not authorized. Check user and password.$"
        ):
            deliver(password="env:WRONG")
        with pytest.raises(SinkDown, match=r"certificate verify failed"):
            deliver(password="env:BROKER", ca=None)


def not_refused(deliver: Callable[[], None]) -> bool:
    """Whether a delivery works; False while the broker starts."""
    try:
        deliver()
    except SinkDown as error:
        if "Connection refused" in str(error):
            return False
        raise
    return True
