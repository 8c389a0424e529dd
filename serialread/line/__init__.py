"""The service of a production line: triggers in, results out."""

from serialread.line.events import Outcome, Result, Trigger, TriggerPicture
from serialread.line.ports import (
    Accept,
    BadTrigger,
    CameraDown,
    FrameGrabber,
    LineBusy,
    LineContext,
    LineHealth,
    Sink,
    SinkDown,
    Source,
    require_extra,
)
from serialread.line.service import LineService

__all__ = [
    "Accept",
    "BadTrigger",
    "CameraDown",
    "FrameGrabber",
    "LineBusy",
    "LineContext",
    "LineHealth",
    "LineService",
    "Outcome",
    "Result",
    "Sink",
    "SinkDown",
    "Source",
    "Trigger",
    "TriggerPicture",
    "require_extra",
]
