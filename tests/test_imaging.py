"""Pictures of every kind become upright 8-bit pixels or an error; text lines become network input."""

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from serialread.config import CropGeometry, StationView
from serialread.errors import ImageError
from serialread.imaging import (
    PICTURE_SUFFIXES,
    Extent,
    LevelView,
    as_image,
    content_width,
    digest,
    load_image,
    loading,
    normalize,
    to_array,
)
from serialread.imaging.crops import (
    contrast,
    estimate_tilt,
    is_one_line,
    prepare,
    text_rows,
    whole_crops,
)
from serialread.imaging.frames import Frame
from serialread.records import Crop, LoadedImage, Pixels

GEOMETRY = CropGeometry()


def propose(image: LoadedImage, view: StationView) -> tuple[Crop, ...]:
    """The whole picture in all its orientations."""
    *_, (_, frame) = prepare(image, view)
    return whole_crops(frame, view)


AS_IT_IS = StationView(find_lines=False, deskew=False)


SEGMENTS = {"0": "abcdef", "1": "bc", "2": "abged", "4": "fgbc", "5": "afgcd", "7": "abc", "9": "abcdfg"}
ENDS = {"a": (0, 0, 1, 0), "b": (1, 0, 1, 1), "c": (1, 1, 1, 2), "d": (0, 2, 1, 2), "e": (0, 1, 0, 2)}
ENDS |= {"f": (0, 0, 0, 1), "g": (0, 1, 1, 1)}


def written(text: str = "905247", width: int = 240, height: int = 60, size: int = 34) -> Pixels:
    """Dark digits of some px height on a bright, slightly rough surface, centred."""
    surface = np.random.default_rng(7).normal(170, 4, (height, width)).astype(np.float32)
    ink = np.zeros((height, width), np.uint8)
    left, top = (width - len(text) * size) // 2 + size // 4, (height - size) // 2
    for i, char in enumerate(text):
        for x0, y0, x1, y1 in (ENDS[segment] for segment in SEGMENTS[char]):
            start = (left + i * size + x0 * size // 2, top + y0 * size // 2)
            cv2.line(ink, start, (left + i * size + x1 * size // 2, top + y1 * size // 2), 255, size // 9)
    surface[ink > 0] -= 120
    return np.clip(surface, 0, 255).astype(np.uint8)


def corner_marked() -> Pixels:
    """A picture whose orientation shows: 40 high, 60 wide, bright in its top-left corner."""
    pixels = np.full((40, 60), 40, np.uint8)
    pixels[:15, :20] = 220
    return pixels


def encoded(image: Image.Image, format_: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format_, **options)
    return stream.getvalue()


def loaded(path: Path, data: bytes) -> LoadedImage:
    path.write_bytes(data)
    return load_image(path)


def image_of(pixels: Pixels) -> LoadedImage:
    return LoadedImage(Path("x.png"), "00", pixels)


# loading


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "BMP", "TIFF", "WEBP"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_common_formats_are_read(tmp_path: Path, format_: str, mode: str) -> None:
    image = Image.fromarray(corner_marked()).convert(mode)
    pixels = loaded(tmp_path / "Teil Nr. 5 – ä.bin", encoded(image, format_)).pixels
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY) if pixels.ndim == 3 else pixels
    assert grey.dtype == np.uint8
    assert grey.shape == (40, 60)
    assert np.abs(grey.astype(int) - corner_marked()).mean() < 4


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "BMP", "TIFF", "WEBP"])
def test_colours_are_blue_green_red(tmp_path: Path, format_: str) -> None:
    data = encoded(Image.new("RGB", (32, 32), (200, 100, 30)), format_)
    assert np.abs(loaded(tmp_path / "x", data).pixels[16, 16].astype(int) - (30, 100, 200)).max() <= 8


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_pictures_are_upright_by_their_exif(tmp_path: Path, orientation: int, format_: str) -> None:
    lying = cv2.cvtColor(corner_marked(), cv2.COLOR_GRAY2RGB)
    inverse = {5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, orientation)
    if inverse > 1:
        lying = np.ascontiguousarray(loading._UPRIGHT[inverse](lying))
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = loaded(tmp_path / "x", encoded(Image.fromarray(lying), format_, exif=exif.tobytes())).pixels
    assert pixels.shape[:2] == (40, 60)
    assert pixels[7, 10].min() > 180
    assert pixels[35, 55].max() < 80


def sixteen_bit_grey() -> bytes:
    return encoded(Image.fromarray(corner_marked().astype(np.uint16) * 16), "PNG")  # 12 bits in 16


def sixteen_bit_colour() -> bytes:
    deep = cv2.cvtColor(corner_marked(), cv2.COLOR_GRAY2BGR).astype(np.uint16) * 16
    return bytes(cv2.imencode(".png", deep)[1].tobytes())


def floating() -> bytes:
    return encoded(Image.fromarray(corner_marked().astype(np.float32) / 255), "TIFF")


def cmyk() -> bytes:
    return encoded(Image.fromarray(corner_marked()).convert("RGB").convert("CMYK"), "JPEG")


def palette() -> bytes:
    return encoded(Image.fromarray(corner_marked()).convert("RGB").quantize(8), "PNG")


def bilevel() -> bytes:
    return encoded(Image.fromarray(corner_marked()).convert("1", dither=Image.Dither.NONE), "TIFF")


@pytest.mark.parametrize("make", [sixteen_bit_grey, sixteen_bit_colour, floating, cmyk, palette, bilevel])
def test_uncommon_pixels_become_8_bits_of_full_range(tmp_path: Path, make: Callable[[], bytes]) -> None:
    pixels = loaded(tmp_path / "x", make()).pixels
    assert pixels.dtype == np.uint8
    assert pixels[7, 10].min() > 180
    assert pixels[35, 55].max() < 80


@pytest.mark.parametrize(("ink", "behind"), [(20, 255), (230, 0)])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparent_pictures_are_composited_on_a_contrasting_background(
    tmp_path: Path, ink: int, behind: int, mode: str
) -> None:
    opaque = np.zeros((40, 60), np.uint8)
    opaque[10:30, 20:40] = 255
    image = Image.merge("LA", (Image.new("L", (60, 40), ink), Image.fromarray(opaque))).convert(mode)
    pixels = loaded(tmp_path / "x", encoded(image, "PNG")).pixels
    assert (pixels[20, 30].max(), pixels[2, 2].max()) == (ink, behind)


@pytest.mark.parametrize("format_", ["TIFF", "GIF", "WEBP"])
def test_the_first_of_several_pages_is_read_and_the_others_are_noted(tmp_path: Path, format_: str) -> None:
    pages = [Image.fromarray(corner_marked()), Image.new("L", (60, 40), 0)]
    options = {"lossless": True} if format_ == "WEBP" else {}
    data = encoded(pages[0], format_, save_all=True, append_images=pages[1:], **options)
    image = loaded(tmp_path / "x", data)
    assert image.note == "first of 2 pages"
    assert image.pixels[7, 10].max() == 220


def test_the_digest_is_of_the_file(tmp_path: Path) -> None:
    image = loaded(tmp_path / "x", encoded(Image.fromarray(corner_marked()), "PNG"))
    assert image.sha256 == digest(tmp_path / "x") != ""
    assert digest(tmp_path / "none") == ""


FORMATS = ["JPEG", "PNG", "BMP", "TIFF", "WEBP", "PPM", "GIF", "JPEG2000", "AVIF"]


def truncated(format_: str, share: float) -> bytes:
    noisy = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    exif = Image.Exif()
    data = encoded(Image.fromarray(noisy), format_, **({"exif": exif.tobytes()} if format_ == "JPEG" else {}))
    return data[: int(len(data) * share)]


@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
@pytest.mark.parametrize("format_", FORMATS)
def test_a_truncated_picture_is_refused(tmp_path: Path, format_: str, share: float) -> None:
    with pytest.raises(ImageError):
        loaded(tmp_path / "x", truncated(format_, share))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty. Copy it again."),
        (b"no picture", "not a picture of a known format. Give a JPEG, PNG, TIFF, BMP or WebP."),
        (truncated("JPEG", 0.7), "truncated: the file ends before the picture does. Copy it again."),
        (truncated("PNG", 0.7), "truncated: the file ends before the picture does. Copy it again."),
        (encoded(Image.new("L", (1, 1)), "PNG"), "1x1 px are too few to hold text. Give a larger picture."),
        (
            encoded(Image.new("L", (300, 7)), "JPEG"),
            "300x7 px are too few to hold text. Give a larger picture.",
        ),
    ],
)
def test_the_reason_is_one_plain_line(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "x.jpg"
    with pytest.raises(ImageError) as caught:
        loaded(path, data)
    assert str(caught.value) == f"{path}: {reason}"


@pytest.mark.parametrize("side", [10_001, 14_000, 60_000])
def test_a_huge_picture_is_refused_by_its_header(tmp_path: Path, side: int) -> None:
    header = bytearray(encoded(Image.new("1", (16, 16)), "PNG"))
    header[16:24] = side.to_bytes(4, "big") * 2
    header[29:33] = crc_of(bytes(header[12:29]))
    with pytest.raises(ImageError, match="million"):
        loaded(tmp_path / "x.png", bytes(header))


def crc_of(chunk: bytes) -> bytes:
    return zlib.crc32(chunk).to_bytes(4, "big")


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "TIFF", "BMP"])
def test_the_header_tells_the_size_of_a_file_and_of_its_bytes(tmp_path: Path, format_: str) -> None:
    path = tmp_path / "picture"
    Image.new("RGB", (70, 30)).save(path, format_)

    assert loading.header_px(path) == loading.header_px(path.read_bytes()) == 2100
    assert loading.header_px(path.read_bytes()[:12]) == loading.header_px(tmp_path / "none") == 0


def test_a_header_behind_long_notes_is_found(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    Image.new("RGB", (70, 30)).save(path, comment=b"x" * 40_000)

    assert loading.header_px(path) == 2100


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot be read"):
        load_image(tmp_path)
    with pytest.raises(ImageError, match="No such file"):
        load_image(tmp_path / "none.jpg")


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), format_=st.sampled_from(FORMATS))
def test_damaged_bytes_give_pixels_or_an_image_error(seed: int, format_: str) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray(truncated(format_, 1.0))
    for place in rng.integers(0, len(data), rng.integers(1, 8)):
        data[place] = rng.integers(0, 256)
    try:
        decoded = loading.decode_image(bytes(data))
    except ImageError:
        return
    assert decoded.pixels.dtype == np.uint8


def torn(format_: str, tmp_path: Path) -> bytes:
    """A picture with noise, without a piece from its middle."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 256, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole", format_)
    data = (tmp_path / "whole").read_bytes()
    return data[: len(data) // 2] + data[len(data) // 2 + 700 :]


def test_a_torn_jpeg_is_loaded_with_its_damage_and_says_nothing_on_stderr(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    image = loaded(tmp_path / "x.jpg", torn("JPEG", tmp_path))
    assert image.pixels.shape == (64, 256, 3)
    assert image.damage == "damaged picture: premature end of data segment"
    assert capfd.readouterr().err == ""


def test_a_torn_png_is_an_error_and_says_nothing_on_stderr(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ImageError) as caught:
        loaded(tmp_path / "x.png", torn("PNG", tmp_path))
    assert str(caught.value).endswith(": damaged: its data do not match their checksum. Copy it again.")
    assert capfd.readouterr().err == ""


def test_a_png_with_a_chunk_that_libpng_warns_of_is_loaded_silently(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = truncated("PNG", 1.0)
    chunk = b"iCCP" + b"profile\0\0" + zlib.compress(b"no profile")
    data = data[:33] + len(chunk[4:]).to_bytes(4, "big") + chunk + crc_of(chunk) + data[33:]
    plain = loaded(tmp_path / "y.png", truncated("PNG", 1.0))
    image = loaded(tmp_path / "x.png", data)
    assert (image.damage, capfd.readouterr().err) == ("", "")
    np.testing.assert_array_equal(image.pixels, plain.pixels)


def test_loading_warns_of_nothing(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded(tmp_path / "x", truncated("JPEG", 1.0))


# every source of pictures


def colour_marked() -> Pixels:
    return np.stack([corner_marked(), corner_marked() // 2, corner_marked() // 4], axis=-1)


@pytest.mark.parametrize("suffix", sorted(PICTURE_SUFFIXES))
def test_every_listed_format_is_read(tmp_path: Path, suffix: str) -> None:
    name = {".jfif": ".jpg", ".pnm": ".ppm"}.get(suffix, suffix)
    if suffix == ".avif" and "AVIF" not in Image.OPEN:
        pytest.skip("Pillow was built without AVIF")
    written = {".pbm": corner_marked() // 128, ".pgm": corner_marked()}.get(suffix, colour_marked())
    ok, data = cv2.imencode(name, written)
    assert ok
    pixels = loaded(tmp_path / f"x{suffix}", data.tobytes()).pixels
    assert pixels.shape[:2] == (40, 60)
    assert pixels[7, 10].max() > 180
    assert pixels[35, 55].max() < 80


WITH_TRANSPARENCY = (".png", ".tif")


@pytest.mark.parametrize(
    ("suffix", "colours"),
    [
        *((suffix, colours) for suffix in (*WITH_TRANSPARENCY, ".pnm", ".jp2") for colours in (1, 3)),
        *((suffix, 4) for suffix in WITH_TRANSPARENCY),
    ],
)
def test_16_bit_files_and_arrays_become_the_same_8_bits(tmp_path: Path, suffix: str, colours: int) -> None:
    deep = {1: corner_marked(), 3: colour_marked()}.get(
        colours, np.dstack([colour_marked(), corner_marked()])
    )
    deep = deep.astype(np.uint16) * 16  # 12 bits in 16
    if colours == 4:
        deep[..., 3] = 65535
    pixels = loaded(tmp_path / f"x{suffix}", cv2.imencode(suffix, deep)[1].tobytes()).pixels
    np.testing.assert_array_equal(pixels, as_image(deep).pixels)
    assert pixels[7, 10].max() > 250
    assert pixels[35, 55].max() < 80


def test_a_16_bit_colour_tiff_is_upright(tmp_path: Path) -> None:
    deep = colour_marked().astype(np.uint16) * 257
    data = cv2.imencode(".tif", np.ascontiguousarray(np.rot90(deep)))[1].tobytes()
    assert loaded(tmp_path / "x.tif", with_orientation(data, 6)).pixels[7, 10].max() > 200


def with_orientation(tiff: bytes, orientation: int) -> bytes:
    """A little-endian TIFF with one more tag; its directory is written again at the end."""
    start = int.from_bytes(tiff[4:8], "little")
    count = int.from_bytes(tiff[start : start + 2], "little")
    entries = [tiff[at : at + 12] for at in range(start + 2, start + 2 + 12 * count, 12)]
    entries.append(struct.pack("<HHII", 0x0112, 3, 1, orientation))
    directory = struct.pack("<H", count + 1) + b"".join(sorted(entries, key=lambda e: e[1::-1])) + bytes(4)
    return tiff[:4] + struct.pack("<I", len(tiff)) + tiff[8:] + directory


@pytest.mark.parametrize("make", [corner_marked, colour_marked])
def test_a_file_its_bytes_and_its_array_give_the_same_pixels(
    tmp_path: Path, make: Callable[[], Pixels]
) -> None:
    data = cv2.imencode(".png", make())[1].tobytes()
    (tmp_path / "x.png").write_bytes(data)
    from_file, from_bytes = as_image(str(tmp_path / "x.png")), as_image(data, "camera 1")
    from_array = as_image(make(), "camera 1")
    for image in (from_bytes, from_array, as_image(make()[..., None] if make().ndim == 2 else make())):
        np.testing.assert_array_equal(image.pixels, from_file.pixels)
    assert (from_file.path, from_bytes.path) == (tmp_path / "x.png", Path("camera 1"))
    assert from_file.sha256 == from_bytes.sha256 == digest(tmp_path / "x.png")
    assert from_array.sha256 == as_image(make().copy(), "other").sha256
    assert from_array.sha256 != as_image(make().astype(np.uint16)).sha256


def test_a_transparent_array_is_composited_as_its_file_is() -> None:
    rgba = np.dstack([colour_marked(), corner_marked()])
    data = cv2.imencode(".png", rgba)[1].tobytes()
    np.testing.assert_array_equal(as_image(rgba).pixels, as_image(data).pixels)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (np.zeros((0, 5), np.uint8), "the array is empty. Give a picture."),
        (np.full((20, 20), np.nan, np.float32), "an array of float32 is ambiguous. Give uint8 or uint16."),
        (np.zeros((20, 20), np.int64), "an array of int64 is ambiguous. Give uint8 or uint16."),
        (np.zeros((20, 20), bool), "an array of bool is ambiguous. Give uint8 or uint16."),
        (
            np.zeros((20, 20, 2), np.uint8),
            "an array of shape (20, 20, 2) is not a picture. "
            "Give grey [H, W], BGR [H, W, 3] or BGRA [H, W, 4].",
        ),
        (
            np.zeros(20, np.uint8),
            "an array of shape (20,) is not a picture. Give grey [H, W], BGR [H, W, 3] or BGRA [H, W, 4].",
        ),
        (np.zeros((7, 20), np.uint16), "20x7 px are too few to hold text. Give a larger picture."),
        (
            np.broadcast_to(np.uint8(0), (20_000, 20_000)),
            "20000x20000 px are too many. Crop or shrink it to 100 million.",
        ),
        (b"", "the file is empty. Copy it again."),
        (None, "no picture: NoneType. Give a path, bytes or an array."),
    ],
)
def test_a_source_that_is_no_picture_is_one_error(source: object, reason: str) -> None:
    with pytest.raises(ImageError) as caught:
        as_image(source, "camera 1")  # type: ignore[arg-type]
    assert str(caught.value) == f"camera 1: {reason}"


# frames


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_rotated_frame_maps_its_px_to_the_source(degrees: int) -> None:
    pixels = corner_marked()
    frame = Frame.whole(image_of(pixels)).turned(degrees).cut(2, 3, 30, 33)
    x, y = frame.quad[0]
    inward = (frame.quad[2] - frame.quad[0]) / np.abs(frame.quad[2] - frame.quad[0])
    row, column = int(np.floor(y + 0.5 * inward[1])), int(np.floor(x + 0.5 * inward[0]))
    assert frame.pixels[0, 0] == pixels[row, column]
    assert frame.source_per_px == pytest.approx(1)


def test_a_shrunk_frame_has_the_same_quad() -> None:
    frame = Frame.whole(image_of(written()))
    np.testing.assert_allclose(frame.shrunk(32).quad, frame.quad, atol=1e-3)
    assert frame.shrunk(32).pixels.shape == (32, 128)
    assert frame.shrunk(64) is frame


def test_an_identity_warp_changes_nothing() -> None:
    frame = Frame.whole(image_of(written()))
    np.testing.assert_array_equal(frame.warped(np.eye(3), 240, 60).pixels, frame.pixels)


# normalizing


def test_a_tight_crop_stays_whole() -> None:
    crop = normalize(image_of(written()), StationView())
    np.testing.assert_allclose(crop.quad, [[0, 0], [240, 0], [240, 60], [0, 60]])
    np.testing.assert_array_equal(crop.pixels, written())
    assert crop.tilt_deg == 0.0


def test_a_crop_is_kept_at_twice_the_networks_height() -> None:
    assert normalize(image_of(written(width=960, height=240, size=136)), AS_IT_IS).pixels.shape == (128, 512)


@pytest.mark.parametrize(
    "view",
    [StationView(), StationView(vertical_text="clockwise"), StationView(vertical_text="counter_clockwise")],
)
def test_a_tall_picture_is_turned_as_the_station_says(view: StationView) -> None:
    tall = np.ascontiguousarray(np.rot90(written()))
    proposals = propose(image_of(tall), view)
    as_it_is, *turned = proposals  # a single character is as tall
    np.testing.assert_allclose(as_it_is.quad, [[0, 0], [60, 0], [60, 240], [0, 240]])
    assert len(turned) == (2 if view.vertical_text == "both" else 1)
    assert all(crop.pixels.shape == (60, 240) for crop in turned)
    right = turned[-1].pixels
    turned_180 = view.vertical_text == "counter_clockwise"
    np.testing.assert_array_equal(right, written()[::-1, ::-1] if turned_180 else written())


def test_a_station_that_never_turns_leaves_tall_pictures() -> None:
    assert normalize(image_of(written()[:, :30]), StationView(vertical_text="never")).pixels.shape == (60, 30)


def test_a_stations_region_is_cut_and_straightened() -> None:
    canvas = np.full((300, 600), 90, np.uint8)
    canvas[120:180, 300:540] = written()
    view = StationView(
        region=((0.5, 0.4), (0.9, 0.4), (0.9, 0.6), (0.5, 0.6)), find_lines=False, deskew=False
    )
    crop = normalize(image_of(canvas), view)
    assert crop.pixels.shape == (60, 240)
    assert np.abs(crop.pixels.astype(int) - written()).max() <= 1
    np.testing.assert_allclose(crop.quad, [[300, 120], [540, 120], [540, 180], [300, 180]], atol=0.01)


def test_a_station_that_is_mounted_upside_down_turns_its_pictures() -> None:
    crop = normalize(image_of(written()[::-1, ::-1]), StationView(rotation=180))
    np.testing.assert_array_equal(crop.pixels, written())


@pytest.mark.parametrize("tilt", [-12.0, -6.0, 5.0, 9.0])
def test_a_tilt_is_estimated_and_can_be_removed(tilt: float) -> None:
    level = written(width=320, height=110, size=45)
    turn = cv2.getRotationMatrix2D((160, 55), tilt, 1.0)
    tilted = cv2.warpAffine(level, turn, (320, 110), borderMode=cv2.BORDER_REPLICATE)
    assert estimate_tilt(tilted) == pytest.approx(tilt, abs=2.5)
    crop = normalize(image_of(tilted), StationView(find_lines=False))
    assert crop.tilt_deg == estimate_tilt(tilted)
    height, width = crop.pixels.shape
    level = LevelView(crop.tilt_deg).of(Extent(0, width, 0, height), (height, width)).cut(crop.pixels)
    assert abs(estimate_tilt(level)) <= 2.0
    assert normalize(image_of(tilted), AS_IT_IS).tilt_deg == 0.0


@pytest.mark.parametrize("shape", [(8, 8), (8, 900), (64, 64), (40, 4000), (900, 8)])
@pytest.mark.parametrize("value", [0, 255, None])
def test_pictures_without_text_pass(shape: tuple[int, int], value: int | None) -> None:
    noise = np.random.default_rng(1).integers(0, 255, shape, np.uint8)
    pixels = noise if value is None else np.full(shape, value, np.uint8)
    for crop in propose(image_of(pixels), StationView()):
        assert min(crop.pixels.shape) >= 1
        assert np.isfinite(crop.quad).all()
        assert np.isfinite(to_array(crop.pixels, GEOMETRY)).all()


def test_the_text_rows_are_those_of_the_strokes() -> None:
    top, bottom = text_rows(written(height=160))
    assert (top, bottom) == pytest.approx((63, 97), abs=5)


def test_text_height_is_in_source_px() -> None:
    crop = normalize(image_of(written(width=960, height=240, size=136)), AS_IT_IS)
    assert crop.text_height_px == pytest.approx(136, rel=0.15)


def test_contrast_is_the_spread_of_greys() -> None:
    assert contrast(np.full((32, 100), 80, np.uint8)) == 0.0
    assert contrast(np.tile(np.array([0, 255], np.uint8), (32, 50))) == 1.0


# is there anything to search for?


def test_a_picture_of_one_line_is_distinguished_from_one_with_lines_to_find() -> None:
    canvas = np.full((600, 1000), 170, np.uint8)
    canvas[350:410, 550:790] = written()
    row = written(width=300, height=60, size=30)
    for pixels, expected in (
        (written(width=240, height=80, size=38), True),
        (written(), True),
        (canvas, False),
        (np.pad(row, ((60, 60), (20, 20)), "edge"), True),  # a crop with wide margins
        (np.full((100, 120), 128, np.uint8), True),
        (np.concatenate((row, row, row)), False),
    ):
        assert is_one_line(Frame.whole(image_of(pixels))) is expected


# the array


@given(height=st.integers(8, 100), width=st.integers(8, 1200), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_network_input_is_normalized_with_zero_padding(height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width), np.uint8)
    array, filled = to_array(pixels, GEOMETRY), content_width(pixels, GEOMETRY)
    assert array.shape == (1, 32, GEOMETRY.bucket(filled))
    assert array.dtype == np.float32
    assert not array[..., filled:].any()
    assert abs(float(array[..., :filled].mean())) < 0.1
    assert np.abs(array).max() <= 4
