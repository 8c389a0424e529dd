"""Fields: the values of a nameplate beside their labels, in regions or of a format, one column each."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from audit_cases import line, write_readings
from station_cases import refusal
from test_reading import json_lines, reading_of, record_of, rows

from serialread import audit, read_folder
from serialread.config import DataRecipe, Station, StationField, load
from serialread.config.scene import Scene
from serialread.errors import RecipeError
from serialread.imaging.drawing import save_png
from serialread.reader import Reader
from serialread.reader.decisions import decide_by_fields
from serialread.reader.field_places import ReadText, place_of
from serialread.reader.serialization import csv_row, json_line, result_files
from serialread.records import Crop, Decision, FieldReading, Pixels, Verdict
from serialread.synth import make_sample

MARKS = load(Path(__file__).parent.parent / "recipes" / "data" / "marks.toml", DataRecipe)
CHAR_PX, HEIGHT_PX = 10, 20
FRAME = np.array([[0, 0], [1000, 0], [1000, 500], [0, 500]], np.float32)


def text_at(text: str, x: float, y: float, turned: bool = False) -> ReadText:
    """A line whose characters are 10 px wide and 20 px high; turned by a quarter clockwise if wanted."""
    width = CHAR_PX * len(text)
    quad = np.array([[x, y], [x + width, y], [x + width, y + HEIGHT_PX], [x, y + HEIGHT_PX]], np.float32)
    if turned:
        quad = np.stack([1000 - quad[:, 1], quad[:, 0]], axis=1)
    pixels = np.full((HEIGHT_PX, width), 200, np.uint8)
    pixels[5:15] = np.tile(np.repeat([200, 60, 60, 60, 200], 2), len(text))
    reading = reading_of(text)
    chars = tuple(
        replace(c, box=(CHAR_PX * i, 0.0, CHAR_PX * (i + 1), HEIGHT_PX)) for i, c in enumerate(reading.chars)
    )
    return ReadText(Crop(pixels, quad, 14.0, 0.5, 0.0), replace(reading, chars=chars))


PLATE = (
    ("ACMEDRIVES", 100, 20),
    ("TYPE", 100, 60),
    ("MX-4810", 400, 62),
    ("5ERIALNO.", 100, 100),
    ("47-20913", 400, 98),
    ("S/N:8841-KD", 100, 140),
    ("VOLTAGE400VPHASES3", 100, 180),
    ("LOT", 100, 220),
    ("YEAR", 300, 220),
    ("B7731", 98, 260),
    ("2026", 300, 260),
    ("P/N1234-KD", 100, 300),
)

PLACES = [
    ({"right_of": "Type"}, "MX-4810"),
    ({"right_of": "Serial No"}, "47-20913"),
    ({"near": "S/N"}, "8841-KD"),
    ({"right_of": "S/N", "format": r"\d{4}-[A-Z]{2}"}, "8841-KD"),
    ({"right_of": "Voltage"}, "400V"),
    ({"right_of": "Phases"}, "3"),
    ({"below": "Lot"}, "B7731"),
    ({"below": "Year"}, "2026"),
    ({"near": "Year", "format": "20\\d\\d"}, "2026"),
    ({"near": "P/N"}, "1234-KD"),
    ({"format": r"[A-Z]\d{4}"}, "B7731"),
    ({"right_of": "Weight"}, None),
    ({"right_of": "Typ 44"}, None),
    ({"format": r"\d{9}"}, None),
    ({"below": "Phases"}, None),
]


@pytest.mark.parametrize("turned", [False, True], ids=["upright", "turned"])
@pytest.mark.parametrize(("keys", "text"), PLACES)
def test_a_value_is_found_by_its_label_region_or_format(
    keys: dict[str, object], text: str | None, turned: bool
) -> None:
    others = [StationField(name=f"f{n}", **about) for n, (about, _) in enumerate(PLACES)]
    field = StationField(name="wanted", **keys)
    lines = [text_at(*line, turned=turned) for line in PLATE]
    found = place_of(field, [field, *others], lines, FRAME)
    assert (found.text if found else None) == text


@pytest.mark.parametrize(
    ("keys", "corners", "text"),
    [
        ({}, (0.35, 0.1, 0.5, 0.17), "MX-4810"),
        ({"format": r"20\d\d"}, (0, 0, 1, 1), "2026"),
        ({"right_of": "Serial No"}, (0.3, 0, 1, 1), "47-20913"),
        ({"right_of": "Serial No"}, (0, 0, 0.3, 1), None),
        ({"near": "S/N"}, (0.12, 0.2, 0.3, 0.4), "8841-KD"),
    ],
)
def test_a_region_holds_the_middle_of_the_value(
    keys: dict[str, str], corners: tuple[float, ...], text: str | None
) -> None:
    left, top, right, bottom = corners
    region = ((left, top), (right, top), (right, bottom), (left, bottom))
    field = StationField(name="wanted", region=region, **keys)
    found = place_of(field, [field], [text_at(*line) for line in PLATE], FRAME)
    assert (found.text if found else None) == text


def test_a_value_behind_its_label_is_cut_between_the_characters() -> None:
    field = StationField(name="serial", right_of="S/N")
    found = place_of(field, [field], [text_at("S/N:8841-KD", 100, 140)], FRAME)
    assert found is not None
    assert not found.whole
    left, right = found.crop.quad[0, 0], found.crop.quad[1, 0]
    assert abs(left - 140) <= 2
    assert right == 210
    assert found.crop.pixels.shape == (20, round(right - left))


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("S/N:8841", "8841"),
        ("S/N8841", "8841"),
        ("SN8841", "8841"),
        ("5/N.8841", "8841"),
        ("SXN:8841", "8841"),
        ("SXN8841", None),
        ("P/N:8841", None),
        ("SANDER-8841", None),
        ("TYPEAS/N8841", "8841"),
        ("TYPEASXN:8841", None),
    ],
)
def test_a_short_label_must_be_read_right_but_for_its_signs(line: str, text: str | None) -> None:
    field = StationField(name="serial", right_of="S/N")
    found = place_of(field, [field], [text_at(line, 100, 140)], FRAME)
    assert (found.text if found else None) == text


def test_labels_are_no_values() -> None:
    fields = [StationField(name="type", right_of="Type"), StationField(name="year", right_of="Year")]
    lines = [text_at("TYPE", 100, 100), text_at("YEAR", 300, 100), text_at("2026", 500, 100)]
    found = [place_of(field, fields, lines, FRAME) for field in fields]
    assert [one and one.text for one in found] == ["2026", "2026"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "fields.0: needs near, right_of, below, region or format (got"),
        ({"near": "SN", "below": "NO"}, "fields.0: near and below name two labels: give one"),
        ({"near": "::"}, "fields.0.near: a label needs a letter or a digit (got '::')"),
        ({"name": "serial no", "near": "SN"}, "fields.0.name: String should match pattern"),
        ({"format": "["}, "fields.0.format: format '['"),
        ({"rigth_of": "SN"}, "fields.0.rigth_of: no such key (did you mean right_of?)"),
    ],
)
def test_wrong_fields_are_errors(keys: dict[str, str], message: str, tmp_path: Path) -> None:
    table = "".join(f"{key} = '{value}'\n" for key, value in ({"name": "serial"} | keys).items())
    assert message.split(" (got")[0] in refusal(tmp_path, f"[[fields]]\n{table}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[fields]\nname = 'a'\n", "fields: one table, where a list of them belongs. Write [[fields]]."),
        ("[[field]]\nname = 'a'\n", "field: no such key (did you mean fields?)."),
        ("[view]\nregion = [0.1, 0.1, 0.9, 0.9]\n", "view.region.0: not a list in brackets (got 0.1);"),
        ("[limits]\naccept_at = 0.9\n", "1 problem: limits.accept_at and limits.review_at need the model_id"),
    ],
)
def test_wrong_tables_of_a_station_are_named(text: str, message: str, tmp_path: Path) -> None:
    assert message in refusal(tmp_path, text)


def test_a_station_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "station.toml").write_text("name = 'press'\n", encoding="utf-8-sig")
    assert load(tmp_path / "station.toml", Station).name == "press"


SN, SMALL_SN = {"name": "SN", "near": "S/N"}, {"name": "sn", "near": "S/N"}


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"fields": [SN, SMALL_SN]}, "fields: two are called sn"),
        ({"fields": [SN], "code": {"field": "lot"}}, "code.field: no field is called lot"),
        (
            {"fields": [SN], "code": {"field": "SN", "format": "vin"}},
            "code.format: give the format to the field that code.field names",
        ),
    ],
)
def test_stations_refuse_fields_that_contradict_each_other(about: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Station.model_validate(about)


def test_a_field_must_not_have_the_name_of_a_column() -> None:
    station = Station(fields=(StationField(name="Text", near="S/N"),))
    with pytest.raises(RecipeError) as error:
        Reader(station=station)
    assert str(error.value) == "field Text: results have a column of this name. Rename the field."


def test_a_format_of_the_command_goes_to_the_field_that_is_the_code() -> None:
    station = Station.model_validate({"fields": [{"name": "sn", "near": "SN"}], "code": {"field": "sn"}})
    assert station.with_format("vin").fields[0].format == "vin"
    assert station.with_format("vin").code.format == ""
    assert Station.model_validate(station.model_dump(mode="json")) == station


# decisions


def field_of(text: str, decision: Decision = Decision.ACCEPT, reason: str = "") -> FieldReading:
    reading = reading_of(text) if text else None
    return FieldReading(reading, 0.9 if text else None, Verdict.NONE, decision, reason)


@pytest.mark.parametrize(
    ("fields", "doubts", "decision", "reason"),
    [
        ({"a": field_of("1"), "b": field_of("2")}, (), "ACCEPT", ""),
        (
            {"a": field_of("1"), "b": field_of("", Decision.REVIEW, "not found")},
            (),
            "REVIEW",
            "field b: not found",
        ),
        (
            {n: field_of("", Decision.REVIEW, "not found") for n in ("a", "b")},
            ("barcode says 7",),
            "REVIEW",
            "barcode says 7; field a, b: not found",
        ),
        (
            {"a": field_of("1", Decision.REJECT, "low"), "b": field_of("", Decision.REVIEW, "not found")},
            (),
            "REJECT",
            "field a: low; field b: not found",
        ),
        ({"a": field_of("1")}, ("damaged picture: x",), "REVIEW", "damaged picture: x"),
        ({"a": field_of(""), "b": field_of("2")}, (), "ACCEPT", ""),
        ({n: field_of("") for n in ("a", "b")}, (), "REJECT", "no character found"),
    ],
)
def test_the_record_has_the_worst_decision_of_its_fields(
    fields: Mapping[str, FieldReading], doubts: tuple[str, ...], decision: str, reason: str
) -> None:
    assert decide_by_fields(fields, doubts) == (decision, reason)


def test_an_empty_picture_is_not_accepted_though_no_field_is_required() -> None:
    field = {"name": "serial", "near": "S/N", "required": False}
    empty = np.full((300, 400), 180, np.uint8)
    for code, decision in (({}, "REJECT"), ({"field": "serial"}, "REVIEW")):
        station = Station.model_validate({"fields": [field], "code": code})
        record = Reader(station=station, barcodes=False).read(empty)
        assert (record.text, record.decision) == ("", decision)


# results


def test_every_field_has_a_column_behind_the_others() -> None:
    fields = {"serial": field_of("0012,5"), "lot": field_of("", Decision.REVIEW, "not found")}
    written = json_line(record_of("a.png", fields=fields, reason="field lot: not found"))
    assert json.loads(json.dumps(written))["fields"]["lot"] == {
        "text": "",
        "free_text": "",
        "verdict": "",
        "confidence": None,
        "decision": "REVIEW",
        "reason": "not found",
        "polygon": [],
        "chars": [],
    }
    assert written["fields"]["serial"]["chars"][3]["char"] == "2"
    _, table = result_files(("serial", "lot"))
    header, row = table.header.decode(), table.encode(written).decode()
    assert header.endswith(",model_id,sha256,serial,lot\n")
    assert row == (
        "a.png,,AB12,AB12,,0.7,A,1,0.9,REVIEW,field lot: not found,,,,,,,24.0,0.5,0.0,,,,,,,3.25,"
        '2026-01-05T08:00:00.000+00:00,,stub-000000000000,sha of a.png,"0012,5",\n'
    )
    assert csv_row(json_line(record_of("b.png")), ("serial",))[-1] == ""


# audits


def test_truths_with_columns_of_fields_are_counted_for_each(tmp_path: Path) -> None:
    lines = [
        line(f"{n}.png", "A", serial=serial, Lot=lot, note="")
        for n, (serial, lot) in enumerate([("0012", "B7"), ("0013", ""), ("0041", "B9"), ("", "B1")])
    ]
    write_readings(tmp_path / "readings.csv", *lines)
    (tmp_path / "truth.csv").write_text(
        "filename,text,SERIAL,lot,weight\n0.png,A,0012,B7,1\n1.png,A,0013,B8,1\n2.png,,0014,,1\n3.png,A,0015,,1\n"
    )
    done = audit(tmp_path, tmp_path / "truth.csv")
    figures = ["field", "images", "found", "known", "right", "wrong", "missing", "edits", "accuracy"]
    assert done.fields[figures].to_numpy().tolist() == [
        ["serial", 4, 3, 4, 2, 2, 1, 6, 0.5],
        ["lot", 4, 3, 2, 1, 1, 1, 2, 0.5],
    ]
    done.write(tmp_path / "audit")
    assert "| serial | 4 | 3 | 4 | 2 | 2 | 1 |" in (tmp_path / "audit" / "audit.md").read_text()
    assert (tmp_path / "audit" / "fields.csv").read_text().count("\n") == 3
    assert audit(tmp_path).fields.empty


# rendered nameplates

TEXTS = ("ACME DRIVES", "TYPE\tMX-4810", "SERIAL NO\t47-20913", "S/N: 8841-KD", "VOLTAGE 400 V", "YEAR\t2026")


def nameplate(index: int) -> Pixels:
    scene = Scene(
        carriers={"nameplate": 1},
        texts=TEXTS,
        several=(1,),
        empty_share=0,
        distractors=0,
        upright_share=1,
        perspective_share=0,
        longer_px=(1000, 1100),
    )
    ink = tuple(process for process in MARKS.processes if process.kind in ("ink", "laser"))
    camera = MARKS.camera.model_copy(update={"blur": (0.0, 0.2), "low_resolution_share": 0.0})
    recipe = MARKS.model_copy(update={"scene": scene, "processes": ink, "camera": camera})
    return make_sample(recipe, 5, index).pixels


NAMEPLATES = Station.model_validate(
    {
        "fields": [
            {"name": "type", "right_of": "TYPE"},
            {"name": "serial", "right_of": "SERIAL NO", "format": r"\d\d-\d{5}"},
            {"name": "sn", "near": "S/N", "format": r"\d{4}-[A-Z]{2}"},
            {"name": "volts", "right_of": "VOLTAGE"},
            {"name": "year", "near": "YEAR", "format": r"20\d\d"},
            {"name": "weight", "near": "WEIGHT", "required": False},
        ],
        "code": {"field": "serial"},
    }
)
VALUES = {
    "type": "MX-4810",
    "serial": "47-20913",
    "sn": "8841-KD",
    "volts": "400V",
    "year": "2026",
    "weight": "",
}


def test_the_fields_of_rendered_nameplates_are_columns_of_the_table(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    for index in (0, 5):
        save_png(nameplate(index), pictures / f"{index}.png", "a nameplate")
    assert len(list(read_folder(pictures, tmp_path / "out", station=NAMEPLATES, barcodes=False))) == 2
    for row in rows(tmp_path / "out"):
        assert {name: row[name] for name in VALUES} == VALUES
        assert row["text"] == "47-20913"
        assert row["decision"] == "REVIEW"
        assert row["reason"].startswith("field type, serial, sn, volts, year: not calibrated")
        assert row["mark_grade"]
    for record in json_lines(tmp_path / "out"):
        fields = record["fields"]
        assert {name: field["decision"] for name, field in fields.items()} == {
            **dict.fromkeys(VALUES, "REVIEW"),
            "weight": "ACCEPT",
        }
        assert fields["serial"]["verdict"] == "obeys"
        assert len(fields["sn"]["chars"]) == 7
        (left, _), (right, _) = fields["sn"]["polygon"][:2]
        whole = next(one["polygon"] for one in record["lines"] if one["text"].startswith("S/N"))
        assert whole[0][0] + 20 < left < right <= whole[1][0] + 1


def test_a_missing_field_is_a_reason_and_no_other_line_is_the_code(tmp_path: Path) -> None:
    lot = StationField(name="LOT", below="LOT NO")
    station = NAMEPLATES.model_copy(
        update={"fields": (lot,), "code": NAMEPLATES.code.model_copy(update={"field": "LOT"})}
    )
    record = Reader(station=station, barcodes=False).read(nameplate(0))
    assert (record.text, record.decision, record.reason) == ("", "REVIEW", "field LOT: not found")
    assert record.fields["LOT"].reading is None
    assert record.lines
