"""MQTT: results, retained states and a last will go out; triggers and pictures come in."""

import json
import logging
import queue
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from time import monotonic
from typing import Any

from paho.mqtt.client import Client, MQTTMessage, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from serialread.config import secret
from serialread.config.line_sinks import MqttSinkConfig
from serialread.errors import LineError
from serialread.line.events import Result, Trigger, TriggerPicture
from serialread.line.ports import (
    Accept,
    BadTrigger,
    CameraDown,
    LineBusy,
    LineContext,
    SinkDown,
    require_files,
)

PATIENCE_S = 5.0
"""So long may the broker take to confirm a connection or a batch of results."""
STATE_S = 1.0
"""Time between two looks whether a state has changed."""
BUSY_S = 0.5
"""Pause before a trigger is offered again while the line is busy."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Topic:
    """A row of the table of topics.

    Attributes:
        name: below the prefix; ``STATION`` stands for the name of a station.
        direction: ``out`` of serialread or ``in``.
        retained: whether the broker keeps the last message.
        meaning: what a message holds.
    """

    name: str
    direction: str
    retained: bool
    meaning: str

    def of(self, prefix: str, station: str = "") -> str:
        """The whole topic."""
        return f"{prefix}/{self.name.replace('STATION', station)}"


STATUS = Topic(
    "status", "out", True, "`online`; `offline` after a stop, and, as last will, after a lost connection"
)
HEALTH = Topic(
    "health",
    "out",
    True,
    "JSON: `ready`, `problems`, and of each sink `error` and `waiting`; when it changes",
)
STATE = Topic("STATION/state", "out", True, "JSON: `waiting`, `results`, `last_result_at`; when it changes")
RESULT = Topic("STATION/result", "out", False, "JSON: a result; `trigger` is its id")
REFUSED = Topic(
    "STATION/refused", "out", False, "JSON: `error` says why a trigger was not accepted; `id` is its id"
)
TRIGGER = Topic(
    "STATION/trigger",
    "in",
    False,
    "empty, or JSON with any of `id`, `expected`, `format`; the station's camera takes the picture",
)
PICTURE = Topic("STATION/picture", "in", False, "bytes of a picture file, which is a trigger")
TOPICS = (STATUS, HEALTH, STATE, RESULT, REFUSED, TRIGGER, PICTURE)
"""All topics; quality of service is 1 everywhere."""


def trigger_of(station: str, kind: str, payload: bytes, source: str) -> Trigger:
    """The trigger of a message.

    Args:
        station: name of the station.
        kind: last part of the topic, ``trigger`` or ``picture``.
        payload: of the message.
        source: name of the sink.

    Raises:
        BadTrigger: the message is no trigger.
    """
    if kind == "picture":
        return Trigger(station, (TriggerPicture("picture", payload),), source=source)
    try:
        values = json.loads(payload) if payload else {}
    except ValueError:
        raise BadTrigger("the message is not JSON. Send {} or nothing, or see the table of topics.") from None
    if not isinstance(values, dict) or not all(isinstance(one, str) for one in values.values()):
        raise BadTrigger("the message must be a JSON object of texts.")
    if unknown := set(values) - {"id", "expected", "format"}:
        raise BadTrigger(f"{min(unknown)}: no such key, only id, expected, format.")
    return Trigger(station, source=source, **values)


class MqttBroker:
    """Source and sink over an MQTT broker.

    A connection lives in one paho client; after it is lost, a new client is made, so that no old message
    waits in it: what the broker has not confirmed comes again from the journal.

    Attributes:
        name: of the sink.
    """

    def __init__(self, settings: MqttSinkConfig, context: LineContext) -> None:
        """Check the settings.

        Raises:
            RecipeError: the environment variable of the password is not set, or a file is missing.
        """
        require_files(settings, "ca", "certificate", "private_key")
        self.name = settings.name
        self._settings, self._context = settings, context
        self._stations = settings.stations or context.stations
        self._password = secret(settings.password) if settings.password else None
        self._mutex = threading.Lock()
        self._client: Client | None = None
        self._messages: queue.Queue[tuple[Client, MQTTMessage]] = queue.Queue()
        self._states: dict[str, str] = {}

    def run(self, accept: Accept, stop: threading.Event) -> None:
        """Take triggers and publish states until ``stop`` is set."""
        next_state = 0.0
        while not stop.is_set():
            client = self._connected()
            if monotonic() >= next_state:
                self._publish_states(client)
                next_state = monotonic() + STATE_S
            try:
                taken_by, message = self._messages.get(timeout=0.1)
            except queue.Empty:
                continue
            try:
                if taken_by is client and self._take(client, message, accept, stop):
                    client.ack(message.mid, message.qos)  # others come again with the next connection
            except Exception:  # the broker keeps the message and sends it over a new connection
                client.disconnect()
                raise

    def deliver(self, results: Sequence[Result]) -> None:
        """Publish results; return when the broker has confirmed them."""
        try:
            client = self._connected()
        except LineError as error:
            raise SinkDown(str(error)) from None
        topics = [RESULT.of(self._settings.prefix, one.station) for one in results]
        bodies = [json.dumps(one.to_json(), ensure_ascii=False) for one in results]
        self._confirm(client, [client.publish(*one, qos=1) for one in zip(topics, bodies, strict=True)])

    def close(self) -> None:
        """Say ``offline`` and disconnect."""
        with self._mutex:
            client, self._client = self._client, None
        if client:
            with suppress(ValueError, RuntimeError):  # it is not connected: the will has said so
                said = client.publish(STATUS.of(self._settings.prefix), "offline", qos=1, retain=True)
                said.wait_for_publish(PATIENCE_S)
            client.disconnect()
            client.loop_stop()

    def _take(self, client: Client, message: MQTTMessage, accept: Accept, stop: threading.Event) -> bool:
        """Send the trigger of a message; False if the broker must keep it."""
        if message.retain:
            return True  # left from earlier: no part is at the station now
        station, kind = message.topic.removeprefix(f"{self._settings.prefix}/").rsplit("/", 1)
        trigger_id = ""
        try:
            trigger = trigger_of(station, kind, bytes(message.payload), self.name)
            trigger_id = trigger.id
            while not stop.is_set():
                try:
                    accept(trigger)
                    return True
                except LineBusy:
                    stop.wait(BUSY_S)
            return False
        except (BadTrigger, CameraDown) as error:
            log.warning("sink %s: a trigger was not accepted: %s", self.name, error)
            body = json.dumps({"id": trigger_id, "error": str(error)}, ensure_ascii=False)
            client.publish(REFUSED.of(self._settings.prefix, station), body, qos=1)
            return True

    def _publish_states(self, client: Client) -> None:
        """Publish what has changed of the states, retained."""
        health, prefix = self._context.health(), self._settings.prefix
        states: dict[str, Any] = {
            STATE.of(prefix, name): {
                "waiting": one.waiting,
                "results": one.results,
                "last_result_at": one.last_result_at.isoformat(timespec="milliseconds")
                if one.last_result_at
                else None,
            }
            for name, one in health.stations.items()
            if name in self._stations
        }
        states[HEALTH.of(prefix)] = {
            "ready": health.ready,
            "problems": health.problems,
            "sinks": {name: asdict(one) for name, one in health.sinks.items()},
        }
        for topic, state in states.items():
            body = json.dumps(state, ensure_ascii=False)
            if self._states.get(topic) != body:
                client.publish(topic, body, qos=1, retain=True)
                self._states[topic] = body

    def _connected(self) -> Client:
        """The client of the present connection, or of a new one.

        Raises:
            LineError: the broker cannot be reached, or refuses the connection.
        """
        with self._mutex:
            if self._client and self._client.is_connected():
                return self._client
            if self._client:
                self._client.loop_stop()
            self._client = self._connect()
            self._states.clear()
            return self._client

    def _connect(self) -> Client:
        settings, answers = self._settings, queue.Queue[Any]()
        client = Client(
            CallbackAPIVersion.VERSION2,
            settings.client_id or f"serialread-{socket.gethostname()}-{self.name}",
            clean_session=False,
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.username_pw_set(settings.user or None, self._password)
        if settings.tls:
            files = (settings.ca, settings.certificate, settings.private_key)
            ca, certificate, key = (str(path) if path else None for path in files)
            client.tls_set(ca, certificate, key)
        status = STATUS.of(settings.prefix)
        client.will_set(status, "offline", qos=1, retain=True)
        client.on_connect = lambda _client, _data, _flags, reason, _properties: answers.put(reason)
        client.on_message = lambda one, _data, message: self._messages.put((one, message))
        place = f"broker {settings.host}:{settings.port}"
        try:
            client.connect(settings.host, settings.port, keepalive=settings.keepalive_s)
            client.loop_start()
            reason = answers.get(timeout=PATIENCE_S)
        except (OSError, queue.Empty) as error:
            client.loop_stop()
            why = getattr(error, "strerror", None) or str(error) or "no answer"
            raise LineError(f"{place}: {why}. It is tried again.") from None
        if reason.is_failure:
            client.loop_stop()
            raise LineError(f"{place}: refuses the connection: {reason}. Check user and password.")
        client.publish(status, "online", qos=1, retain=True)
        if settings.triggers:
            topics = [
                (one.of(settings.prefix, name), 1) for name in self._stations for one in (TRIGGER, PICTURE)
            ]
            client.subscribe(topics)
        return client

    def _confirm(self, client: Client, sent: Sequence[MQTTMessageInfo]) -> None:
        """Wait until the broker has confirmed messages."""
        end = monotonic() + PATIENCE_S
        try:
            for info in sent:
                while not info.is_published():
                    if not client.is_connected():
                        raise SinkDown("the connection to the broker was lost")
                    if monotonic() > end:
                        raise SinkDown(f"the broker does not confirm messages within {PATIENCE_S:.0f} s")
                    info.wait_for_publish(0.1)
        except (ValueError, RuntimeError) as error:
            raise SinkDown(f"the broker did not get a message: {error}") from None
