"""Lines found and read on rendered nameplates: many small lines of labels and values, in columns and frames.

    python -m benchmarks.nameplates [--count N] [--seed N] [--folder TYPEFACES...] [--show FOLDER]
        [--general PYTHON]

A plate stands in a picture of 900 to 2400 px, tilted and seen at an angle: a name, a title, one to three
columns of labels and values (side by side, or one above the other), a note; dark or light print; rules
between the rows, boxes around values, a frame, a matrix code. Every label and every value is a line. One is
covered if a found line has 95 % of its length and its middle within 0.4 heights; joined if that line goes
on for 2 heights more; cut if found lines have a third of it, missed otherwise. It counts as read if a line
of the record contains it; blanks and case do not count. ``--general`` is the interpreter of an environment
with rapidocr, which reads the same pictures.
"""

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.photographs import Photograph, plain, read_general
from serialread import Reader
from serialread.detection import TextLine
from serialread.records import Floats, Pixels
from serialread.synth.fonts import Outline, outline_faces
from serialread.weights import shipped_detector

LABELS = (
    *("Type", "Model No.", "Serial No.", "S/N", "P/N", "Art. Nr.", "Year", "Voltage", "Current", "Power"),
    *("Frequency", "Weight", "Max. pressure", "Test pressure", "Speed", "IP", "Phase", "Duty", "Ins. cl."),
    *("Order no.", "Batch", "Drawing", "Temp. range", "Capacity", "Medium", "Made in", "Date", "Design code"),
)
UNITS = ("V", "A", "kW", "Hz", "kg", "bar", "rpm", "°C", "l", "mm")
NAMES = ("HELMANN PUMPEN", "NORDVIK", "ATLAS DRIVES", "KOBAYASHI MFG", "TERRALIFT", "OKSAN VALVES", "BRUNEL")
NOTES = ("MADE IN GERMANY", "CAUTION: DISCONNECT FROM SUPPLY", "www.example.com", "See manual before use")
SAFE = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"


@dataclass(frozen=True, slots=True)
class Printed:
    """A line on a plate: its text, left end and width, middle and height of its capitals, px."""

    text: str
    left: float
    width: float
    middle: float
    height: float


class Plate:
    """A plate that is drawn, and its lines."""

    def __init__(self, shape: tuple[int, int], ink: int, ground: int, rng: np.random.Generator) -> None:
        self.image = Image.new("L", shape[::-1], ground)
        self.draw, self.ink, self.rng = ImageDraw.Draw(self.image), ink, rng
        self.lines = list[Printed]()

    def write(self, text: str, at: tuple[float, float], face: Outline, cap_px: float) -> float:
        """Write a line with the top left of its capitals at a place; its width, px."""
        font = ImageFont.truetype(str(face.path), 100)
        font = ImageFont.truetype(
            str(face.path), round(100 * cap_px / (font.getbbox("H")[3] - font.getbbox("H")[1]))
        )
        _, top, _, bottom = font.getbbox("H")
        left, _, right, _ = font.getbbox(text)
        self.draw.text((at[0] - left, at[1] - top), text, fill=self.ink, font=font)
        self.lines.append(Printed(text, at[0], right - left, at[1] + (bottom - top) / 2, bottom - top))
        return float(right - left)


def value(rng: np.random.Generator) -> str:
    """What stands behind a label: a code, a number with a unit, a date."""
    kind = int(rng.integers(4))
    if kind == 0:
        return (
            f"{rng.integers(1, 1000)}{('', '.' + str(rng.integers(10)))[rng.integers(2)]} {rng.choice(UNITS)}"
        )
    if kind == 1:
        return f"{rng.integers(1, 13):02}/{rng.integers(1990, 2026)}"
    code = "".join(rng.choice(list(SAFE), rng.integers(4, 13)))
    cut = int(rng.integers(2, len(code) - 1))
    return f"{code[:cut]}-{code[cut:]}" if kind == 2 else code


def nameplate(
    rng: np.random.Generator, faces: tuple[Outline, ...]
) -> tuple[Pixels, list[tuple[str, Floats]]]:
    """A picture of a nameplate, and its lines: text, corners [4, 2] of the capitals."""
    ink, ground = int(rng.integers(15, 70)), int(rng.integers(140, 225))
    if rng.random() < 0.4:
        ink, ground = ground, ink
    wide = int(rng.integers(800, 2000))
    plate = Plate((round(wide * rng.uniform(0.5, 1.0)), wide), ink, ground, rng)
    _fill(plate, [faces[n] for n in rng.integers(len(faces), size=3)])
    return _photographed(plate, rng)


def _fill(plate: Plate, faces: list[Outline]) -> None:
    rng, (wide, high) = plate.rng, plate.image.size
    cap = wide * rng.uniform(0.011, 0.024)
    name, title, small = (float(cap * rng.uniform(*span)) for span in ((2, 3.5), (1.0, 1.6), (0.6, 1.0)))
    edge, top = 0.04 * wide, 0.05 * high
    plate.write(str(rng.choice(NAMES)), (edge, top), faces[0], name)
    top += name + 1.2 * title
    plate.write(" ".join(("TYPE", value(rng))), (edge, top), faces[0], title)
    top += title + 1.5 * cap
    columns, above, pitch = int(rng.integers(1, 4)), rng.random() < 0.25, float(rng.uniform(1.7, 2.8)) * cap
    boxed, ruled = rng.random() < 0.35, rng.random() < 0.35
    step = (wide - 2 * edge) / columns
    ahead = min(12 * cap * rng.uniform(0.8, 1.1), 0.55 * step)
    bottom = high - 0.06 * high - 3 * cap
    while top + 2 * cap < bottom:
        for column in range(columns):
            if rng.random() < 0.08:
                continue
            left = edge + column * step
            label = str(rng.choice(LABELS)) + ("", ":")[int(rng.integers(2))]
            _pair(plate, (label, value(rng)), (left, top), faces, (small, cap), (ahead, step, above, boxed))
        top += pitch + (1.4 * cap if above else 0.0)
        if ruled:
            y = top - (pitch - cap) / 2
            plate.draw.line((edge, y, wide - edge, y), fill=plate.ink, width=max(round(cap / 10), 1))
    plate.write(str(rng.choice(NOTES)), (edge, high - 0.05 * high - small), faces[2], small)
    if rng.random() < 0.6:
        inset = 0.012 * wide
        box = (inset, inset, wide - inset, high - inset)
        plate.draw.rounded_rectangle(box, 0.02 * wide, outline=plate.ink, width=max(round(cap / 6), 1))
    if rng.random() < 0.3:
        _matrix(plate, 3 * cap)


def _pair(
    plate: Plate,
    texts: tuple[str, str],
    at: tuple[float, float],
    faces: list[Outline],
    caps: tuple[float, float],
    form: tuple[float, float, bool, bool],
) -> None:
    """A label, and its value to the right or below, as far as there is room."""
    (left, top), (small, cap), (ahead, step, above, boxed) = at, caps, form
    if above:
        plate.write(texts[0], (left, top), faces[2], 0.8 * small)
        top += small + 0.4 * cap
        ahead = 0.0
    else:
        used = plate.write(texts[0], (left, top + (cap - small)), faces[1], small)
        ahead = max(ahead, used + cap)
    if ahead + 9 * cap > step:
        return
    text = texts[1][: max(int((step - ahead - cap) / (0.9 * cap)), 3)].strip(" -/.")
    width = plate.write(text, (left + ahead, top), faces[1], cap)
    if boxed:
        room = 0.3 * cap
        box = (
            left + ahead - room,
            top - room,
            max(left + 0.95 * step, left + ahead + width + room),
            top + cap + room,
        )
        plate.draw.rectangle(box, outline=plate.ink, width=max(round(cap / 12), 1))


def _matrix(plate: Plate, side: float) -> None:
    """A matrix code in the corner on the right above."""
    cells = (plate.rng.random((18, 18)) < 0.5).astype(np.uint8) * 255
    code = Image.fromarray(cells).resize((round(side), round(side)), Image.Resampling.NEAREST)
    plate.image.paste(
        plate.ink, (round(plate.image.size[0] * 0.96 - side), round(0.05 * plate.image.size[1])), code
    )


def _photographed(plate: Plate, rng: np.random.Generator) -> tuple[Pixels, list[tuple[str, Floats]]]:
    """The plate on a surface: turned, in perspective, unevenly lit, blurred, noisy, compressed."""
    wide, high = plate.image.size
    corners = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32)
    angle = np.radians(rng.normal(0, 3))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    seen = (corners - corners.mean(0)) @ turn.T + rng.uniform(-0.02, 0.02, (4, 2)) * wide
    margin = rng.uniform(0.03, 0.2) * wide
    seen = (seen - seen.min(0) + margin).astype(np.float32)
    size = np.ceil(seen.max(0) + margin).astype(int)
    to_picture = cv2.getPerspectiveTransform(corners, seen)
    ground = cv2.resize(
        rng.normal(0, 12, (9, 12)), size.tolist(), interpolation=cv2.INTER_CUBIC
    ) + rng.integers(60, 190)
    art = cv2.warpPerspective(np.asarray(plate.image), to_picture, size.tolist(), flags=cv2.INTER_AREA)
    inside = cv2.warpPerspective(np.ones((high, wide), np.float32), to_picture, size.tolist())
    light = 1 + cv2.resize(rng.normal(0, 0.12, (3, 4)), size.tolist(), interpolation=cv2.INTER_CUBIC)
    picture = cv2.GaussianBlur((ground + inside * (art - ground)) * light, (0, 0), rng.uniform(0.4, 1.1))
    picture = np.clip(picture + rng.normal(0, rng.uniform(1, 6), picture.shape), 0, 255).astype(np.uint8)
    _, packed = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(55, 95))))
    lines = []
    for one in plate.lines:
        x0, x1, y0, y1 = (
            one.left,
            one.left + one.width,
            one.middle - one.height / 2,
            one.middle + one.height / 2,
        )
        quad = np.array([[[x0, y0], [x1, y0], [x1, y1], [x0, y1]]], np.float32)
        lines.append((one.text, np.asarray(cv2.perspectiveTransform(quad, to_picture)[0], np.float32)))
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8), lines


def outcome(quad: Floats, found: tuple[TextLine, ...]) -> str:
    """How a line with these corners [4, 2] is found."""
    height = float(np.linalg.norm(quad[3] - quad[0]))
    begin, end = quad[[0, 3]].mean(0), quad[[1, 2]].mean(0)
    length = float(np.linalg.norm(end - begin))
    along = (end - begin) / length
    shares = []
    for line in found:
        x = (line.centre - begin) @ along
        y = (line.centre - begin) @ np.array([-along[1], along[0]])
        order = np.argsort(x)
        inside = np.interp(np.clip([0, length / 2, length], x.min(), x.max()), x[order], y[order])
        alike = 0.5 < line.height / height < 2
        if alike and np.abs(inside).max() < 0.4 * height:
            covered = min(x.max(), length) - max(x.min(), 0)
            shares.append((covered / length, max(-x.min(), x.max() - length) / height))
    whole = [beyond for share, beyond in shares if share >= min(0.95, 1 - 0.5 * height / length)]
    if whole:
        return "covered" if min(whole) < 2 else "joined"
    return "cut" if sum(max(share, 0) for share, _ in shares) > 1 / 3 else "missed"


def is_read(text: str, lines: Iterable[str]) -> bool:
    """Whether one of the lines that were read contains a text."""
    return any(plain(text) in plain(line) for line in lines)


def read_by_general(python: Path, plates: Sequence[tuple[Pixels, list[tuple[str, Floats]]]]) -> int:
    """How many lines of the plates rapidocr reads."""
    with tempfile.TemporaryDirectory() as folder:
        pictures = [Photograph(Path(folder) / f"{number}.png", ()) for number in range(len(plates))]
        for picture, (pixels, _) in zip(pictures, plates, strict=True):
            cv2.imwrite(str(picture.path), pixels)
        found = read_general(python, pictures)
    every = zip(plates, found, strict=True)
    return sum(is_read(text, one.lines) for (_, lines), one in every for text, _ in lines)


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, nargs="*", default=(), help="of further typefaces")
    parser.add_argument("--show", type=Path, help="folder for the pictures, with what is not covered")
    parser.add_argument("--general", type=Path, help="Python of an environment with rapidocr")
    given = parser.parse_args()
    reader, faces = Reader(barcodes=False, workers=1), outline_faces(tuple(given.folder))
    faces = tuple(face for face in faces if not face.caps_only and "DSEG" not in face.name)
    finder, counts, heights = reader._finder(shipped_detector()), Counter[str](), Counter[str]()
    plates = [nameplate(np.random.default_rng([given.seed, number]), faces) for number in range(given.count)]
    for number, (picture, lines) in enumerate(plates):
        found, record = finder.find(picture), reader.read(picture)
        texts = [line.text for line in record.lines]
        outcomes = [outcome(quad, found) for _, quad in lines]
        counts.update(outcomes)
        counts["lines"] += len(lines)
        counts["found lines"] += len(found)
        counts["lines of records"] += len(record.lines)
        for (text, quad), how in zip(lines, outcomes, strict=True):
            cap = float(np.linalg.norm(quad[3] - quad[0]))
            band = f"from {[n for n in (0, 8, 10, 12, 16, 24) if n <= cap][-1]:2d} px"
            read = is_read(text, texts)
            counts["read"] += read
            counts[f"{how}, read"] += read
            heights[f"{band}: lines"] += 1
            heights[f"{band}: read"] += read
            heights[f"{band}: found"] += how in ("covered", "joined")
        if given.show:
            given.show.mkdir(parents=True, exist_ok=True)
            shown = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
            for line in found:
                cv2.polylines(shown, [np.round(line.polygon()).astype(np.int32)], True, (0, 160, 0), 1)
            for (text, quad), how in zip(lines, outcomes, strict=True):
                if how != "covered" or not is_read(text, texts):
                    colour = {"covered": (200, 120, 0), "joined": (255, 0, 255), "cut": (0, 140, 255)}.get(
                        how, (0, 0, 255)
                    )
                    cv2.polylines(shown, [np.round(quad).astype(np.int32)], True, colour, 1)
            cv2.imwrite(str(given.show / f"{number:02}.png"), shown)
    if given.general:
        counts["read by PP-OCRv6 small"] = read_by_general(given.general, plates)
    for name, count in sorted(counts.items()) + sorted(heights.items()):
        print(f"{name}: {count}")


if __name__ == "__main__":
    main()
