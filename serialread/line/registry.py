"""Which class serves which kind of source, camera and sink; libraries of extras are imported on demand."""

from typing import assert_never

from serialread.config.line_sinks import CsvSinkConfig, JsonLinesSinkConfig, SinkConfig, SqliteSinkConfig
from serialread.config.line_sources import (
    CameraConfig,
    HotFolderConfig,
    IntervalConfig,
    SourceConfig,
    VideoCameraConfig,
)
from serialread.line.ports import FrameGrabber, LineContext, Sink, Source


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
        case SqliteSinkConfig():
            from serialread.line.file_sinks import SqliteTable

            return SqliteTable(settings)
        case _:
            assert_never(settings)
