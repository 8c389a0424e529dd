"""Cameras: files, streams and GenICam cameras give the frames that a trigger asks for."""

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
from interface_cases import free_port
from plant_servers import RtspCamera, running

from serialread.config.line_sources import GenicamCameraConfig, VideoCameraConfig
from serialread.imaging import as_image
from serialread.line import CameraDown, TriggerPicture
from serialread.line.cameras import VideoCamera, _address
from serialread.line.genicam import GenicamCamera, decoded
from serialread.records import Pixels


def levels(frames: tuple[TriggerPicture, ...]) -> list[int]:
    """Mean grey of each frame."""
    return [round(float(pixels(frame).mean())) for frame in frames]


def pixels(frame: TriggerPicture) -> Pixels:
    return as_image(frame.data, frame.name).pixels


def video(path: Path, count: int = 6) -> Path:
    """A video whose frame i has the grey 20 i + 20."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48), False)  # type: ignore[attr-defined]
    for number in range(count):
        writer.write(np.full((48, 64), 20 * number + 20, np.uint8))
    writer.release()
    return path


def test_a_video_file_gives_its_frames_one_after_the_other(tmp_path: Path) -> None:
    path = video(tmp_path / "six.avi")
    settings = VideoCameraConfig(kind="video", station="press", address=str(path), frames=2)
    with closing(VideoCamera(settings)) as camera:
        found = [level for _ in range(3) for level in levels(camera.grab())]
        assert np.allclose(found, [20, 40, 60, 80, 100, 120], atol=3)
        with pytest.raises(CameraDown) as caught:
            camera.grab()
    assert str(caught.value) == f"camera {path}: has no picture. Check its address and its cable."


class UsbDevice:
    """What OpenCV gives for a USB camera: frame i has the grey i; the fifth read finds the plug loose."""

    opened: ClassVar[list[str | int]] = []

    def __init__(self, address: str | int, backend: int) -> None:
        assert backend == cv2.CAP_ANY
        self.opened.append(address)
        self._read = 0

    def read(self) -> tuple[bool, Any]:
        time.sleep(0.01)
        self._read += 1
        return self._read != 5, np.full((48, 64, 3), self._read, np.uint8)

    def release(self) -> None:
        pass


@pytest.mark.parametrize(("address", "opened"), [("0", 0), ("/dev/video2", "/dev/video2")])
def test_a_usb_camera_is_a_number_or_a_device_and_is_opened_again_after_it_was_lost(
    monkeypatch: pytest.MonkeyPatch, address: str, opened: str | int
) -> None:
    monkeypatch.setattr("serialread.line.cameras.REOPEN_S", 0.05)
    monkeypatch.setattr("cv2.VideoCapture", UsbDevice)
    UsbDevice.opened.clear()
    settings = VideoCameraConfig(kind="video", station="press", address=address, frames=2)
    with closing(VideoCamera(settings)) as camera:
        first, second = levels(camera.grab()), levels(camera.grab())
    assert len(first) == len(second) == 2, "frames on both sides of the loss"
    assert set(UsbDevice.opened) == {opened}
    assert len(UsbDevice.opened) > 1


def test_user_and_password_stand_in_the_address_and_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMERA", "a/b")
    address = f"rtsp://127.0.0.1:{free_port()}/live"
    settings = VideoCameraConfig(
        kind="video", station="a", address=address, user="me@x", password="env:CAMERA"
    )
    assert _address(settings) == address.replace("rtsp://", "rtsp://me%40x:a%2Fb@")
    monkeypatch.setattr("serialread.line.cameras.TIMEOUT_MS", 500)
    with closing(VideoCamera(settings)) as camera, pytest.raises(CameraDown) as caught:
        camera.grab()
    assert str(caught.value) == f"camera {address}: sends no frames. Check its address and its cable."


@pytest.mark.parametrize(
    ("pixel_format", "data", "expected"),
    [
        (0x01080001, bytes([0, 128]), [[0, 128]]),
        (0x01100005, np.array([0, 0x0FFF], "<u2").tobytes(), [[0, 255]]),
        (0x01100007, np.array([0x0100, 0xFFFF], "<u2").tobytes(), [[1, 255]]),
        (0x02180014, bytes([255, 0, 0, 1, 2, 3]), [[[0, 0, 255], [3, 2, 1]]]),
        (0x02180015, bytes([255, 0, 0, 1, 2, 3]), [[[255, 0, 0], [1, 2, 3]]]),
    ],
)
def test_pixel_formats_become_grey_or_bgr(pixel_format: int, data: bytes, expected: list[Any]) -> None:
    assert decoded(data, 2, 1, pixel_format).tolist() == expected


RED = {0x01080009: (0, 0), 0x0108000B: (1, 1), 0x01080008: (0, 1), 0x0108000A: (1, 0)}
"""Row and column of the first red pixel, by Bayer pattern."""


@pytest.mark.parametrize(("pixel_format", "red"), RED.items())
def test_bayer_patterns_find_the_red_of_their_name(pixel_format: int, red: tuple[int, int]) -> None:
    raw = np.zeros((8, 8), np.uint8)
    raw[red[0] :: 2, red[1] :: 2] = 200
    blue_green_red = decoded(raw.tobytes(), 8, 8, pixel_format)[2:6, 2:6].reshape(-1, 3).mean(axis=0)
    assert blue_green_red.argmax() == 2
    assert blue_green_red[2] > 150


def test_an_unknown_pixel_format_says_what_to_set() -> None:
    with pytest.raises(CameraDown) as caught:
        decoded(b"", 2, 1, 0x02100032)
    message = "pixel format 0x02100032 is not known. Set PixelFormat to Mono8, BayerRG8 or RGB8."
    assert str(caught.value) == message


def soon(grab: Callable[[], tuple[TriggerPicture, ...]]) -> tuple[TriggerPicture, ...]:
    """The frames of a camera that may still be starting."""
    end = time.monotonic() + 40
    while True:
        try:
            return grab()
        except CameraDown:
            assert time.monotonic() < end, "the camera does not start"


COUNTING = "color=black:size=64x48:rate=10,geq=lum='16+8*mod(if(lt(X,32),N,floor(N/27)),27)':cb=128:cr=128"
"""Ten frames a second for ffmpeg; the greys of their halves are the digits of the frame's number, base 27."""


def number_of(frame: TriggerPicture) -> int:
    """The number of a counting frame."""
    grey = pixels(frame).reshape(48, 64, -1).mean(axis=2)
    low, high = (round((half[8:40].mean() - 0.5) / 255 * 219 / 8) for half in (grey[:, 4:28], grey[:, 36:60]))
    return low + 27 * high


def check_stream(address: str, **login: str) -> None:
    """Frames are consecutive, and newer than the trigger."""
    settings = VideoCameraConfig(kind="video", station="press", address=address, frames=3, **login)
    with closing(VideoCamera(settings)) as camera:
        first = [number_of(frame) for frame in soon(camera.grab)]
        time.sleep(1)
        second = [number_of(frame) for frame in camera.grab()]
    assert np.diff(first).tolist() == [1, 1]
    assert np.diff(second).tolist() == [1, 1]
    assert second[0] - first[-1] > 5, "frames that were read before the trigger are not given"


@pytest.mark.plant
def test_a_stream_gives_frames_that_are_newer_than_the_trigger() -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    stream = ("-c:v", "mpeg2video", "-q:v", "2", "-g", "1", "-f", "mpegts", f"{address}?listen=1")
    with running("ffmpeg", "-loglevel", "error", "-re", "-f", "lavfi", "-i", COUNTING, *stream):
        check_stream(address)


@pytest.mark.plant
def test_a_network_camera_gives_its_frames_to_who_knows_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMERA", "p@ss/word")
    with closing(RtspCamera(tmp_path, COUNTING, login="me:p@ss/word")) as camera:
        check_stream(camera.address, user="me", password="env:CAMERA")


@pytest.mark.plant
def test_a_genicam_camera_gives_frames_and_features_are_set() -> None:
    settings = GenicamCameraConfig(
        kind="genicam", station="press", camera="127.0.0.1", features={"Width": 256, "Height": 128}, frames=2
    )
    with running("arv-fake-gv-camera-0.8", "-i", "127.0.0.1"), closing(GenicamCamera(settings)) as camera:
        frames = soon(camera.grab)
        assert [pixels(frame).shape for frame in frames] == [(128, 256)] * 2
        assert frames[0].data != frames[1].data
        camera.close()
        wrong = GenicamCamera(settings.model_copy(update={"features": {"NoSuchFeature": 1}}))
        with closing(wrong), pytest.raises(CameraDown) as caught:
            wrong.grab()
    assert str(caught.value).startswith("camera 127.0.0.1: ")
    assert "NoSuchFeature" in str(caught.value)
