"""Cameras that OpenCV opens: streams, USB cameras, video files."""

import threading
from time import monotonic
from urllib.parse import quote, urlsplit

import cv2
import numpy as np

from serialread.config import secret
from serialread.config.line_sources import VideoCameraConfig
from serialread.line.events import TriggerPicture
from serialread.line.ports import CameraDown
from serialread.records import Pixels

TIMEOUT_MS = 5000
"""So long may a stream take to open and to send a frame."""
REOPEN_S = 1.0
"""Pause before a camera that was lost is opened again."""


def frame_pictures(frames: list[Pixels]) -> tuple[TriggerPicture, ...]:
    """Frames of one part as PNG files.

    Args:
        frames: grey [H, W] or BGR [H, W, 3].
    """
    fast = (cv2.IMWRITE_PNG_COMPRESSION, 1)
    return tuple(
        TriggerPicture(f"frame-{number}.png", cv2.imencode(".png", frame, fast)[1].tobytes())
        for number, frame in enumerate(frames, 1)
    )


class VideoCamera:
    """A camera that runs all the time, or a video file.

    The frames of a camera are read as they come, and only the newest is kept: a trigger gets frames that were
    read after it. A file gives its frames one after the other.
    """

    def __init__(self, settings: VideoCameraConfig) -> None:
        """Take the settings; the first trigger opens the camera.

        Raises:
            RecipeError: the environment variable of the password is not set.
        """
        self._settings = settings
        self._address = _address(settings)
        self._usb = settings.address.isdigit() or settings.address.startswith("/dev/")
        self._live = self._usb or "://" in settings.address
        self._capture: cv2.VideoCapture | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._new = threading.Condition()
        self._frame: tuple[int, Pixels | None] = (0, None)

    def grab(self) -> tuple[TriggerPicture, ...]:
        """The next frames, as PNG."""
        if not self._live:
            return frame_pictures([self._read() for _ in range(self._settings.frames)])
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._watch, name=f"camera {self._settings.station}", daemon=True
            )
            self._thread.start()
        return frame_pictures(self._next_frames(self._settings.frames))

    def close(self) -> None:
        """Release the camera."""
        self._stop.set()
        if self._thread:
            self._thread.join(TIMEOUT_MS / 1000)
        self._release()

    def _next_frames(self, count: int) -> list[Pixels]:
        """Frames that are read from now on."""
        frames: list[Pixels] = []
        end = monotonic() + TIMEOUT_MS / 1000
        with self._new:
            last = self._frame[0] + 1  # the one that is being read was taken before
            while len(frames) < count:
                if self._frame[0] > last and self._frame[1] is not None:
                    last = self._frame[0]
                    frames.append(self._frame[1])
                elif not self._new.wait(end - monotonic()):
                    raise self._down("sends no frames")
        return frames

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                frame = self._read()
            except CameraDown:
                self._stop.wait(REOPEN_S)
                continue
            with self._new:
                self._frame = (self._frame[0] + 1, frame)
                self._new.notify_all()

    def _read(self) -> Pixels:
        """The next frame; opens the camera if need be."""
        if self._capture is None:
            options = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, TIMEOUT_MS]
            if self._usb:
                number = self._address.isdigit()
                self._capture = cv2.VideoCapture(int(self._address) if number else self._address, cv2.CAP_ANY)
            else:
                self._capture = cv2.VideoCapture(self._address, cv2.CAP_FFMPEG, options)
        found, frame = self._capture.read()
        if not found:
            self._release()
            raise self._down("has no picture")
        return np.asarray(frame, np.uint8)

    def _release(self) -> None:
        if self._capture:
            self._capture.release()
        self._capture = None

    def _down(self, what: str) -> CameraDown:
        return CameraDown(f"camera {self._settings.address}: {what}. Check its address and its cable.")


def _address(settings: VideoCameraConfig) -> str:
    """The address, with user and password if the settings have them."""
    if not settings.user:
        return settings.address
    password = quote(secret(settings.password), safe="") if settings.password else ""
    parts = urlsplit(settings.address)
    return parts._replace(netloc=f"{quote(settings.user, safe='')}:{password}@{parts.netloc}").geturl()
