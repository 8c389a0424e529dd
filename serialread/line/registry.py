"""Which class serves which kind of source, camera and sink; libraries of extras are imported on demand."""

from typing import assert_never

from serialread.config.line_sinks import (
    CsvSinkConfig,
    JsonLinesSinkConfig,
    ModbusSinkConfig,
    MqttSinkConfig,
    OpcUaSinkConfig,
    PicturesSinkConfig,
    PostgresSinkConfig,
    ReadingsSinkConfig,
    SinkConfig,
    SqliteSinkConfig,
    TelegramSinkConfig,
    WebhookSinkConfig,
)
from serialread.config.line_sources import (
    CameraConfig,
    GenicamCameraConfig,
    HotFolderConfig,
    IntervalConfig,
    SourceConfig,
    VideoCameraConfig,
)
from serialread.line.ports import FrameGrabber, LineContext, Sink, Source, require_extra


def open_source(settings: SourceConfig, context: LineContext) -> Source:
    """The source of a table ``[[sources]]``. If it is a ``Sink`` too, it also gets the results.

    Raises:
        SerialreadError: the settings cannot be used.
    """
    match settings:
        case HotFolderConfig():
            from serialread.line.hot_folder import HotFolder

            return HotFolder(settings)
        case IntervalConfig():
            from serialread.line.interval_trigger import IntervalTrigger

            return IntervalTrigger(settings)
        case _:
            assert_never(settings)


def open_camera(settings: CameraConfig) -> FrameGrabber:
    """The camera of a table ``[[cameras]]``.

    Raises:
        SerialreadError: the settings cannot be used.
    """
    match settings:
        case VideoCameraConfig():
            from serialread.line.cameras import VideoCamera

            return VideoCamera(settings)
        case GenicamCameraConfig():
            from serialread.line.genicam import GenicamCamera

            return GenicamCamera(settings)
        case _:
            assert_never(settings)


def open_sink(settings: SinkConfig, context: LineContext) -> Sink:
    """The sink of a table ``[[sinks]]``. If it is a ``Source`` too, it also sends triggers.

    Raises:
        SerialreadError: the settings cannot be used.
    """
    match settings:
        case JsonLinesSinkConfig() | CsvSinkConfig():
            from serialread.line.file_sinks import DailyFiles

            return DailyFiles(settings)
        case ReadingsSinkConfig():
            from serialread.line.file_sinks import ReadingsFolder

            return ReadingsFolder(settings, context)
        case SqliteSinkConfig():
            from serialread.line.file_sinks import SqliteTable

            return SqliteTable(settings)
        case PicturesSinkConfig():
            from serialread.line.picture_folder import PictureFolder

            return PictureFolder(settings, context)
        case PostgresSinkConfig():
            require_extra("sink postgres", "postgres", "psycopg")
            from serialread.line.postgres import PostgresTable

            return PostgresTable(settings)
        case MqttSinkConfig():
            require_extra("sink mqtt", "mqtt", "paho")
            from serialread.line.mqtt import MqttBroker

            return MqttBroker(settings, context)
        case ModbusSinkConfig():
            require_extra("sink modbus", "modbus", "pymodbus")
            from serialread.line.modbus_server import ModbusServer

            return ModbusServer(settings, context)
        case OpcUaSinkConfig():
            require_extra("sink opcua", "opcua", "asyncua")
            from serialread.line.opcua_server import OpcUaServer

            return OpcUaServer(settings, context)
        case TelegramSinkConfig():
            from serialread.line.telegrams import TelegramClient

            return TelegramClient(settings)
        case WebhookSinkConfig():
            from serialread.line.webhook import Webhook

            return Webhook(settings)
        case _:
            assert_never(settings)
