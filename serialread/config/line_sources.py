"""Where the triggers of a production line come from, and the cameras that take their pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from serialread.config.line_sinks import EnvName
from serialread.config.section import Section


class HotFolderConfig(Section):
    """A folder into which a camera or another program writes pictures; each one is a trigger."""

    kind: Literal["folder"]
    station: str
    """Station that reads them."""
    path: Path
    """The folder, with everything below it; hidden files and other suffixes are left alone."""
    done: Path | None = None
    """Pictures are moved there after they are read; unset: ``done`` beside the folder."""
    failed: Path | None = None
    """Pictures that cannot be loaded are moved there, each with a text file that says why; unset: ``failed``
    beside the folder."""
    poll_s: float = Field(default=0.25, gt=0)
    """Time between two looks at the folder; polling works on network shares too."""
    settle_s: float = Field(default=0.5, ge=0)
    """A file is complete when its size and time have not changed for so long."""
    give_up_s: float = Field(default=30, gt=0)
    """A stable file that is no complete picture yet is given up after so long: its writer may have paused."""


class IntervalConfig(Section):
    """Triggers at regular times; the station's camera takes the pictures."""

    kind: Literal["interval"]
    station: str
    """Station that reads them."""
    every_s: float = Field(gt=0)
    """Time between two triggers."""


SourceConfig = Annotated[HotFolderConfig | IntervalConfig, Field(discriminator="kind")]
"""A table ``[[sources]]``; every kind has ``station``, the station of its triggers."""


class VideoCameraConfig(Section):
    """A camera that OpenCV opens: a stream, a USB camera, a video file."""

    kind: Literal["video"]
    station: str
    """Station whose triggers it serves."""
    address: str
    """``rtsp://...``, a number such as ``0`` or a device such as ``/dev/video0`` for a USB camera, or a file,
    which gives one frame after the other."""
    user: str = ""
    """User of the stream; empty: none."""
    password: EnvName | None = None
    """The user's password."""
    frames: int = Field(default=1, ge=1, le=32)
    """Frames of one trigger; their readings are fused."""


class GenicamCameraConfig(Section):
    """A GigE Vision or USB3 Vision camera; needs the library Aravis 0.8."""

    kind: Literal["genicam"]
    station: str
    """Station whose triggers it serves."""
    camera: str = ""
    """Name, as ``arv-tool-0.8`` lists it, or IP address; empty: the first that is found."""
    features: Mapping[str, bool | int | float | str] = Field(default_factory=dict)
    """GenICam features that are set when it is opened, such as ``ExposureTime = 2000.0``."""
    frames: int = Field(default=1, ge=1, le=32)
    """Frames of one trigger; their readings are fused."""


CameraConfig = Annotated[VideoCameraConfig | GenicamCameraConfig, Field(discriminator="kind")]
"""A table ``[[cameras]]``; every kind has ``station``."""
