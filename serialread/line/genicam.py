"""GenICam cameras, GigE Vision and USB3 Vision, over the Aravis library."""

import ctypes
import ctypes.util
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from serialread.config.line_sources import GenicamCameraConfig
from serialread.errors import RecipeError
from serialread.line.cameras import frame_pictures
from serialread.line.events import TriggerPicture
from serialread.line.ports import CameraDown
from serialread.records import Pixels

FRAME_US = 5_000_000
"""So long may a frame take."""

_MONO = {0x01080001: 8, 0x01100003: 10, 0x01100005: 12, 0x01100025: 14, 0x01100007: 16}
"""Bits of grey by pixel format of the GenICam naming convention; more than 8 lie in the low bits of 16."""
_COLOUR = {
    0x01080008: cv2.COLOR_BayerGRBG2BGR,
    0x01080009: cv2.COLOR_BayerRGGB2BGR,
    0x0108000A: cv2.COLOR_BayerGBRG2BGR,
    0x0108000B: cv2.COLOR_BayerBGGR2BGR,
    0x02180014: cv2.COLOR_RGB2BGR,
    0x02180015: None,
}
"""How 8-bit Bayer, RGB and BGR become BGR."""


def decoded(data: bytes, width: int, height: int, pixel_format: int) -> Pixels:
    """The pixels of a frame: grey [H, W] or BGR [H, W, 3].

    Args:
        data: of the frame.
        width: of the frame, px.
        height: of the frame, px.
        pixel_format: number of the GenICam pixel format naming convention.

    Raises:
        CameraDown: the format is not known here.
    """
    if bits := _MONO.get(pixel_format):
        grey = np.frombuffer(data, "u1" if bits == 8 else "<u2", width * height)
        return np.asarray(grey.astype(np.uint16) >> (bits - 8), np.uint8).reshape(height, width)
    if pixel_format not in _COLOUR:
        raise CameraDown(
            f"pixel format {pixel_format:#010x} is not known. Set PixelFormat to Mono8, BayerRG8 or RGB8."
        )
    channels = 3 if pixel_format >> 24 == 2 else 1
    raw = np.frombuffer(data, np.uint8, width * height * channels).reshape(height, width, channels)
    how = _COLOUR[pixel_format]
    return np.array(raw if how is None else cv2.cvtColor(raw, how), np.uint8)


class GenicamCamera:
    """A camera that takes single frames."""

    def __init__(self, settings: GenicamCameraConfig) -> None:
        """Load the library; the first trigger opens the camera.

        Raises:
            RecipeError: Aravis is not installed.
        """
        self._settings = settings
        self._aravis = _Aravis()
        self._camera: int | None = None

    def grab(self) -> tuple[TriggerPicture, ...]:
        """Take the frames, as PNG."""
        try:
            if self._camera is None:
                self._camera = self._aravis.open(self._settings.camera, self._settings.features)
            return frame_pictures([self._aravis.frame(self._camera) for _ in range(self._settings.frames)])
        except CameraDown as error:
            self.close()
            raise CameraDown(f"camera {self._settings.camera or 'of any name'}: {error}") from None

    def close(self) -> None:
        """Release the camera."""
        if self._camera is not None:
            self._aravis.release(self._camera)
        self._camera = None


class _GError(ctypes.Structure):
    _fields_ = (("domain", ctypes.c_uint32), ("code", ctypes.c_int), ("message", ctypes.c_char_p))


class _Aravis:
    """The functions of libaravis 0.8 that take a frame."""

    def __init__(self) -> None:
        name = ctypes.util.find_library("aravis-0.8")
        if name is None:
            raise RecipeError(
                "GenICam cameras: libaravis-0.8 is not installed."
                " Install it, on Debian: apt install libaravis-0.8-0"
            )
        self._library = ctypes.CDLL(name)

    def open(self, camera: str, features: Mapping[str, bool | int | float | str]) -> int:
        """Open a camera and set its features."""
        pointer = self._call("arv_camera_new", ctypes.c_void_p, camera.encode() or None)
        if not pointer:
            raise CameraDown("not found. Check its name and its cable.")
        device = self._plain("arv_camera_get_device", ctypes.c_void_p, pointer)
        for name, value in features.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            try:
                self._call(
                    "arv_device_set_features_from_string", ctypes.c_int, device, f"{name}={text}".encode()
                )
            except CameraDown:
                self.release(pointer)
                raise
        return int(pointer)

    def frame(self, camera: int) -> Pixels:
        """Take one frame."""
        buffer = self._call("arv_camera_acquisition", ctypes.c_void_p, camera, ctypes.c_uint64(FRAME_US))
        if not buffer:
            raise CameraDown("sends no frame. Check whether it waits for a trigger of its own.")
        try:
            if status := self._plain("arv_buffer_get_status", ctypes.c_int, buffer):
                raise CameraDown(f"the frame is not complete (status {status}). Check the network.")
            width, height, kind = (
                self._plain(f"arv_buffer_get_image_{what}", result, buffer)
                for what, result in (
                    ("width", ctypes.c_int),
                    ("height", ctypes.c_int),
                    ("pixel_format", ctypes.c_uint32),
                )
            )
            size = ctypes.c_size_t()
            data = self._plain("arv_buffer_get_data", ctypes.c_void_p, buffer, ctypes.byref(size))
            return decoded(ctypes.string_at(data, size.value), width, height, kind)
        finally:
            self.release(buffer)

    def release(self, pointer: int) -> None:
        """Release a camera or a frame."""
        self._plain("g_object_unref", None, pointer)

    def _plain(self, name: str, result: Any, pointer: int, *more: Any) -> Any:
        function = getattr(self._library, name)
        function.restype = result
        return function(ctypes.c_void_p(pointer), *more)

    def _call(self, name: str, result: Any, first: int | bytes | None, *more: Any) -> Any:
        """Call a function whose last argument is where it puts an error."""
        error = ctypes.POINTER(_GError)()
        function = getattr(self._library, name)
        function.restype = result
        value = function(
            ctypes.c_void_p(first) if isinstance(first, int) else first, *more, ctypes.byref(error)
        )
        if error:
            message = error.contents.message.decode(errors="replace")
            self._library.g_error_free(error)
            raise CameraDown(f"{message}. Check the camera and its features.")
        return value
