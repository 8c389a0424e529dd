"""Lens, fixture, region and arc: pictures are rectified, and points map back to the source picture."""

import base64
import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from station_cases import refusal

from serialread.calibration import calibrate_fixture, calibrate_lens, save_station
from serialread.calibration.lens import fit_lens
from serialread.config import Arc, Fixture, Lens, Station, StationView, load
from serialread.errors import CalibrationError, ImageError
from serialread.imaging import normalize, show_steps, teach_fixture
from serialread.imaging.crops import prepare
from serialread.imaging.fixture import find_mark, fix
from serialread.imaging.frames import Frame, find_circle, undistort, unwrap
from serialread.reader import Reader
from serialread.records import Floats, LoadedImage, Pixels

LENS = Lens(
    size_px=(640, 480),
    focus_px=(600, 600),
    middle_px=(320, 240),
    distortion=(-0.25, 0.06, 0.001, -0.001, 0.0),
    error_px=0.1,
    pictures=9,
)


def image_of(pixels: Pixels) -> LoadedImage:
    return LoadedImage(Path("x.png"), "00", pixels)


def frame_of(pixels: Pixels) -> Frame:
    return Frame.whole(image_of(pixels))


def dotted(points: Floats, height: int, width: int) -> Pixels:
    """Bright discs about points on a dark picture."""
    pixels = np.full((height, width), 30, np.uint8)
    for x, y in points:
        cv2.circle(
            pixels, (round(float(x) * 16 - 8), round(float(y) * 16 - 8)), 4 * 16, 230, -1, cv2.LINE_AA, 4
        )
    return pixels


def middle_of(pixels: Pixels, near: tuple[float, float], reach: int = 9) -> Floats:
    """Centre of the brightness about a place, px from the outer corner."""
    x, y = round(near[0]), round(near[1])
    part = pixels[max(y - reach, 0) : y + reach, max(x - reach, 0) : x + reach].astype(np.float32) - 30
    rows, columns = np.mgrid[: part.shape[0], : part.shape[1]].astype(np.float32) + np.float32(0.5)
    weight = np.maximum(part, 0)
    middle = np.array([(weight * columns).sum(), (weight * rows).sum()], np.float32) / weight.sum()
    return np.asarray(middle + np.array([max(x - reach, 0), max(y - reach, 0)], np.float32))


# the lens


def test_lens_distortion_is_removed() -> None:
    flat = np.array([[x, y] for x in range(100, 600, 110) for y in (60, 240, 420)], np.float64)
    straight = undistort(frame_of(np.zeros((480, 640), np.uint8)), LENS)
    bent = dotted(straight.sources(flat).astype(np.float32), 480, 640)
    seen = undistort(frame_of(bent), LENS).pixels
    for x, y in flat.tolist():
        np.testing.assert_allclose(middle_of(seen, (x, y)), (x, y), atol=0.15)


def test_a_lens_applies_to_other_resolutions_of_its_camera() -> None:
    small, large = (frame_of(np.zeros(size, np.uint8)) for size in ((240, 320), (480, 640)))
    points = np.array([[20.0, 30.0], [300.0, 200.0]])
    np.testing.assert_allclose(
        2 * undistort(small, LENS).sources(points), undistort(large, LENS).sources(2 * points), atol=1e-6
    )


def board(columns: int, rows: int, side: int = 40) -> Pixels:
    squares = np.indices((rows, columns)).sum(axis=0) % 2 * 200 + 30
    return np.pad(np.kron(squares, np.ones((side, side))).astype(np.uint8), side, constant_values=230)


def charuco(columns: int, rows: int, side: int = 40) -> Pixels:
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    made = cv2.aruco.CharucoBoard((columns, rows), 1.0, 0.7, dictionary)
    return np.asarray(
        made.generateImage(((columns + 2) * side, (rows + 2) * side), marginSize=side), np.uint8
    )


def photographed(flat: Pixels, folder: Path, count: int = 6) -> list[Path]:
    """Pictures of a board at several tilts, through the lens."""
    rng = np.random.default_rng(3)
    height, width = flat.shape
    # where every px of the lens's picture would lie without the lens: its bend, turned round
    camera = np.array([[600, 0, 319.5], [0, 600, 239.5], [0, 0, 1]])
    places = np.stack(np.meshgrid(np.arange(640.0), np.arange(480.0)), axis=-1).reshape(-1, 1, 2)
    ideal = cv2.undistortPoints(places, camera, np.array(LENS.distortion), P=camera).reshape(480, 640, 2)
    paths = []
    for number in range(count):
        pose, _ = cv2.Rodrigues(rng.uniform(-0.5, 0.5, 3))
        away = np.array([rng.uniform(-60, 60), rng.uniform(-40, 40), 650 + rng.uniform(0, 150)])
        centred = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1]])
        to_picture = camera @ np.column_stack((pose[:, :2], away)) @ centred
        plain = cv2.warpPerspective(flat, to_picture, (640, 480), borderValue=230.0)
        bent = cv2.remap(plain, ideal.astype(np.float32), None, cv2.INTER_LINEAR, borderValue=230.0)
        paths.append(folder / f"{number}.png")
        cv2.imwrite(str(paths[-1]), bent)
    return paths


def bow(points: Floats) -> float:
    """How far points lie from the straight line through them, px, root mean square."""
    return float(np.linalg.svd(points - points.mean(axis=0), compute_uv=False)[1] / np.sqrt(len(points)))


@pytest.mark.parametrize("kind", ["checkerboard", "charuco"])
def test_a_lens_is_measured_from_pictures_of_a_board(tmp_path: Path, kind: str) -> None:
    flat = board(9, 7) if kind == "checkerboard" else charuco(9, 7)
    lens = fit_lens(photographed(flat, tmp_path), kind, 9, 7)  # type: ignore[arg-type]
    assert lens.error_px < 0.5
    assert lens.size_px == (640, 480)
    # what counts is that straight lines become straight: focal length and distortion make up for each other
    along = np.column_stack((np.linspace(120, 520, 9), np.full(9, 110.0)))
    bent = undistort(frame_of(np.zeros((480, 640), np.uint8)), LENS).sources(along)
    camera = np.array(
        [[lens.focus_px[0], 0, lens.middle_px[0]], [0, lens.focus_px[1], lens.middle_px[1]], [0, 0, 1]]
    )
    straight = cv2.undistortPoints(bent[:, None], camera, np.array(lens.distortion), P=camera)[:, 0]
    assert bow(straight) < 0.2 * bow(bent)
    save_station(Station(name="s1"), tmp_path / "s1.toml")
    done = calibrate_lens([tmp_path], kind, 9, 7, tmp_path / "s1.toml")  # type: ignore[arg-type]
    assert done.station.name == "s1"
    assert done.station.view.lens is not None
    assert done.station.view.lens.focus_px == pytest.approx(lens.focus_px)  # OpenCV sums in no fixed order
    assert done.summary.startswith(f"lens measured with {lens.pictures} of 6 pictures, reprojection error ")
    save_station(done.station, tmp_path / "s1.toml")
    assert load(tmp_path / "s1.toml", Station) == done.station


def test_too_few_pictures_of_the_board_are_one_clear_error(tmp_path: Path) -> None:
    paths = photographed(board(9, 7), tmp_path, count=2)
    with pytest.raises(CalibrationError) as caught:
        fit_lens(paths, "checkerboard", 9, 7)
    assert str(caught.value) == (
        "lens: 2 pictures show a checkerboard of 9 x 7 squares, 3 are needed. "
        "Take more, the board at several tilts and near the borders, or correct --columns and --rows."
    )


# the arc


def ring(angles_deg: Floats, radius: float = 150, center: tuple[float, float] = (200, 190)) -> Pixels:
    """Dots on a circle, clockwise from twelve o'clock, within a bright disc's edge."""
    angle = np.radians(angles_deg)
    points = np.column_stack((center[0] + radius * np.sin(angle), center[1] - radius * np.cos(angle)))
    return dotted(points.astype(np.float32), 400, 400)


@pytest.mark.parametrize("tops", ["outward", "inward"])
def test_a_circle_becomes_a_strip_in_reading_direction(tops: str) -> None:
    arc = Arc(center=(0.5, 0.475), radii=(0.325, 0.425), tops=tops, from_deg=-30, span_deg=90)  # type: ignore[arg-type]
    strip = unwrap(frame_of(ring(np.array([0.0, 20.0, -45.0], np.float32))), arc)
    high, wide = strip.pixels.shape
    assert (high, wide) == (40, round(150 * np.radians(90)))
    along = (30, 50) if tops == "outward" else (-30 + 45,)
    along_deg = [a if tops == "outward" else 15 for a in along]
    for degrees in along_deg:
        x = degrees / 90 * wide
        np.testing.assert_allclose(middle_of(strip.pixels, (x, 20)), (x, 20), atol=0.5)


@given(x=st.floats(0, 235), y=st.floats(0, 40))
@settings(max_examples=30, deadline=None)
def test_points_of_the_strip_map_to_the_circle(x: float, y: float) -> None:
    arc = Arc(center=(0.5, 0.475), radii=(0.325, 0.425), span_deg=90)
    strip = unwrap(frame_of(np.zeros((400, 400), np.uint8)), arc)
    ((seen_x, seen_y),) = strip.sources(np.array([[x, y]])).tolist()
    assert np.hypot(seen_x - 200, seen_y - 190) == pytest.approx(170 - y, abs=1e-6)
    assert np.degrees(np.arctan2(seen_x - 200, 190 - seen_y)) == pytest.approx(90 * x / 236, abs=0.1)


def test_a_full_circle_is_cut_at_a_gap() -> None:
    angles = np.arange(100, 360 + 60, 12, dtype=np.float32)  # none from 60 to 100
    arc = Arc(center=(0.5, 0.475), radii=(0.325, 0.425))
    strip = unwrap(frame_of(ring(angles)), arc).pixels
    assert strip[:, :10].max() < 60
    assert strip[:, -10:].max() < 60


def test_the_center_of_a_circle_is_found_and_a_missing_circle_is_an_error() -> None:
    pixels = np.full((400, 400), 60, np.uint8)
    cv2.circle(pixels, (210, 180), 120, 200, -1, cv2.LINE_AA)
    assert find_circle(pixels) == pytest.approx((210.5, 180.5), abs=2)
    with pytest.raises(ImageError) as caught:
        find_circle(np.full((400, 400), 60, np.uint8))
    assert str(caught.value) == "no circle found. Set its center in the station's view.arc."


# the fixture


def part(dx: float = 0, dy: float = 0, degrees: float = 0, light: float = 1.0) -> Pixels:
    """A part, 300 x 400: a cross with a notch as its mark, a line of dots as its code."""
    pixels = np.random.default_rng(5).normal(90, 3, (300, 400)).astype(np.float32)
    cv2.rectangle(pixels, (60, 70), (110, 90), 180, -1)
    cv2.rectangle(pixels, (75, 55), (95, 115), 180, -1)
    cv2.rectangle(pixels, (75, 55), (84, 64), 20, -1)
    for x in range(220, 340, 20):
        cv2.circle(pixels, (x, 200), 5, 200, -1)
    turn = cv2.getRotationMatrix2D((200, 150), degrees, 1.0)
    turn[:, 2] += (dx, dy)
    moved = cv2.warpAffine(pixels, turn, (400, 300), borderMode=cv2.BORDER_REPLICATE)
    return np.clip(moved * np.float32(light), 0, 255).astype(np.uint8)


BOX = (0.12, 0.14, 0.3, 0.42)


@pytest.mark.parametrize("by", ["print", "edge"])
@pytest.mark.parametrize(("dx", "dy", "degrees"), [(0, 0, 0), (25, -14, 0), (-20, 18, 9), (10, 5, -17)])
def test_a_moved_part_is_brought_to_the_taught_pose(by: str, dx: float, dy: float, degrees: float) -> None:
    taught = teach_fixture(image_of(part()), StationView(), BOX, by)  # type: ignore[arg-type]
    fixture = taught.model_copy(update={"turn_deg": 20.0 if degrees else 0.0})
    laid = fix(frame_of(part(dx, dy, degrees, light=0.8)), fixture)
    for x in (220, 320):
        found = middle_of(laid.pixels, (x + 0.5, 200.5), reach=8)
        np.testing.assert_allclose(found, (x + 0.5, 200.5), atol=2.5)


def test_a_picture_without_the_mark_is_an_error() -> None:
    fixture = teach_fixture(image_of(part()), StationView(), BOX, "print")
    noise = np.random.default_rng(1).integers(0, 255, (300, 400), np.uint8)
    _, _, _, correlation = find_mark(noise, fixture)
    with pytest.raises(ImageError) as caught:
        normalize(image_of(noise), StationView(fixture=fixture))
    assert str(caught.value) == (
        f"the station's fixture was not found (correlation {correlation:.2f}, needs 0.60). "
        "Check the pose of the part."
    )


def test_an_empty_box_cannot_be_taught() -> None:
    with pytest.raises(CalibrationError) as caught:
        teach_fixture(image_of(np.full((300, 400), 90, np.uint8)), StationView(), BOX, "print")
    assert str(caught.value) == (
        f"box {BOX}: nothing here can be recognized again. "
        "Draw it around a clear mark, in fractions of the picture."
    )


def test_a_fixture_is_added_to_a_station(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "part.png"), part())
    start = Station(name="s", view=StationView(rotation=180))
    done = calibrate_fixture(tmp_path / "part.png", BOX, start, by="edge", turn_deg=5, reach=0.1)
    fixture = done.station.view.fixture
    assert fixture is not None
    assert (fixture.by, fixture.turn_deg, fixture.reach, done.station.view.rotation) == ("edge", 5, 0.1, 180)
    assert done.summary == "fixture taught from part.png, recognized by its edge"
    save_station(done.station, tmp_path / "s.toml")
    assert load(tmp_path / "s.toml", Station) == done.station


# all together


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ('[view.fixture]\nat = [0.5, 0.5]\nwidth = 0.1\ntemplate = "no picture"', "must be a PNG in base64"),
        ("[view.arc]\nradii = [0.4, 0.3]", "radii must be (inner, outer)"),
        ("[view]\ntext_height = [0.4, 0.3]", "text_height must be (minimum, maximum)"),
    ],
)
def test_an_invalid_view_is_refused(tmp_path: Path, values: str, problem: str) -> None:
    assert problem in refusal(tmp_path, values)


def full_view() -> StationView:
    fixture = teach_fixture(image_of(part()), StationView(), BOX, "print").model_copy(
        update={"min_correlation": 0.3}
    )
    region = ((0.05, 0.05), (0.95, 0.1), (0.9, 0.9), (0.1, 0.95))
    lens = LENS.model_copy(update={"distortion": (0.01, 0.0, 0.0, 0.0, 0.0)})
    return StationView(
        lens=lens, fixture=fixture, region=region, arc=Arc(center=(0.5, 0.5), radii=(0.2, 0.4))
    )


def test_only_configured_steps_are_applied_in_order() -> None:
    assert [name for name, _ in prepare(image_of(part()), StationView())] == ["picture"]
    names = [name for name, _ in prepare(image_of(part()), full_view())]
    assert names == ["picture", "lens", "fixture", "region", "arc"]


def test_steps_are_deterministic_and_do_not_change_the_picture() -> None:
    pixels = part()
    first, second = (list(prepare(image_of(pixels), full_view())) for _ in range(2))
    for (_, one), (_, other) in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)
    np.testing.assert_array_equal(pixels, part())


@pytest.mark.parametrize("view", [StationView(), full_view()])
def test_the_steps_are_drawn_side_by_side(view: StationView) -> None:
    image = image_of(part())
    sheet = show_steps(list(prepare(image, view)), [normalize(image, view)])
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] > 320 * len(list(prepare(image_of(part()), view)))


def test_a_template_is_small_enough_for_a_station_file() -> None:
    fixture = teach_fixture(image_of(cv2.resize(part(), (4000, 3000))), StationView(), BOX, "print")
    assert len(base64.b64decode(fixture.template)) < 6000
    assert isinstance(fixture, Fixture)


def test_a_picture_given_as_bytes_has_its_digest_though_its_circle_is_not_found() -> None:
    data = cv2.imencode(".png", np.full((200, 200), 128, np.uint8))[1].tobytes()
    station = Station.model_validate({"view": {"arc": {"radii": (0.2, 0.4)}}})
    record = Reader(station=station).read(data)
    assert "no circle found" in record.reason
    assert record.image_sha256 == hashlib.sha256(data).hexdigest()
