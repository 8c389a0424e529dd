"""Cameras that take the pictures of triggers."""

import cv2

from serialread.config.line_sources import VideoCameraConfig
from serialread.line.events import TriggerPicture
from serialread.line.ports import CameraDown


class VideoCamera:
    """What OpenCV opens: RTSP, USB, video files."""

    def __init__(self, settings: VideoCameraConfig) -> None:
        self._settings = settings
        self._capture: cv2.VideoCapture | None = None

    def grab(self) -> tuple[TriggerPicture, ...]:
        """The next frame, as PNG."""
        address = self._settings.address
        if self._capture is None or not self._capture.isOpened():
            self._capture = cv2.VideoCapture(int(address) if address.isdigit() else address)
        ok, pixels = self._capture.read()
        if not ok:
            self.close()
            raise CameraDown(f"camera {address}: no picture. Check its address and its cable.")
        _, data = cv2.imencode(".png", pixels)
        return (TriggerPicture("frame.png", data.tobytes()),)

    def close(self) -> None:
        """Release the device."""
        if self._capture:
            self._capture.release()
        self._capture = None
