"""Checks compare a code with what the line knows, report the distance, and survive a restart."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from line_cases import picture, read, running, settings

from serialread.config.line_config import LineChecks
from serialread.errors import RecipeError
from serialread.line import LineService, Outcome
from serialread.line.checks import StationChecks, shift_start
from serialread.line.events import utc_now
from serialread.records import Decision, Record, Verdict


def test_a_code_must_be_in_the_list_and_match_the_pattern(tmp_path: Path) -> None:
    (tmp_path / "codes.txt").write_text("57\n97\n\n")
    with running(settings(tmp_path, checks={"codes": "codes.txt", "pattern": r"9\d"})) as service:
        assert read(service, picture(9)).outcome is Outcome.PASS
        assert read(service, picture(5)).reasons == (r"57 does not match 9\d",)
        wrong = read(service, picture(6))
    assert wrong.outcome is Outcome.FAIL
    assert "67 is not in the list" in wrong.reasons[0]
    assert "distance 1" in wrong.reasons[0]
    assert wrong.reasons[1:] == (r"67 does not match 9\d",)


def test_a_list_is_read_again_on_a_reload_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    codes = tmp_path / "codes.txt"
    codes.write_text("57\n")
    with running(settings(tmp_path, checks={"codes": "codes.txt"})) as service:
        assert read(service, picture(9)).outcome is Outcome.FAIL
        codes.write_text("")
        with pytest.raises(RecipeError) as caught:
            service.reload()
        message = f"station press: {codes}: holds no code. Give a text file, one code per line."
        assert str(caught.value) == message
        assert read(service, picture(5)).outcome is Outcome.PASS
        codes.write_text("97\n")
        service.reload()
        assert read(service, picture(9)).outcome is Outcome.PASS


def test_a_byte_order_mark_is_no_part_of_the_first_code(tmp_path: Path) -> None:
    (tmp_path / "codes.txt").write_text("57\n97\n", encoding="utf-8-sig")
    with running(settings(tmp_path, checks={"codes": "codes.txt"})) as service:
        assert read(service, picture(5)).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("checks", "expected", "reasons"),
    [
        (LineChecks(), "AB12", ("expected AB12, read no code",)),
        (LineChecks(pattern=r"9\d"), "", ("no code was read",)),
        (LineChecks(), "", ()),
    ],
)
def test_a_picture_accepted_for_its_fields_fails_if_a_code_is_wanted_and_none_was_read(
    checks: LineChecks, expected: str, reasons: tuple[str, ...]
) -> None:
    nothing = dict.fromkeys(("reading", "confidence", "quad", "text_height_px", "contrast", "tilt_deg"))
    names = dict.fromkeys(
        ("image_sha256", "batch", "upside_down_text", "reason", "model_id", "station_id"), ""
    )
    values: dict[str, Any] = {**nothing, **names, "image": "a.png", "elapsed_ms": 0.0, "read_at": utc_now()}
    record = Record(verdict=Verdict.NONE, decision=Decision.ACCEPT, **values)
    verdict = StationChecks(checks, lambda since: ()).assess(record, expected, "1", utc_now())
    assert (verdict.outcome, verdict.reasons) == (Outcome.FAIL if reasons else Outcome.PASS, reasons)


def test_a_duplicate_within_the_shift_fails_after_a_restart_too(tmp_path: Path) -> None:
    config = settings(tmp_path, checks={"duplicates": True})
    with running(config) as service:
        first = read(service, picture(5))
        assert first.outcome is Outcome.PASS
    with running(config) as service:
        again = read(service, picture(5))
        assert again.outcome is Outcome.FAIL
        assert again.reasons == (f"57 was read before in this shift: trigger {first.trigger}",)
        assert read(service, picture(9)).outcome is Outcome.PASS


def test_a_gap_in_the_sequence_is_left_for_review(tmp_path: Path) -> None:
    config = settings(tmp_path, checks={"sequence": True})
    with running(config) as service:
        for digit in (4, 5, 6, 7):
            assert read(service, picture(digit)).outcome is Outcome.PASS
    with running(config) as service:
        gap = read(service, picture(9))
    assert (gap.outcome, gap.reasons) == (Outcome.REVIEW, ("1 missing after 77",))


def test_a_matching_expected_code_makes_up_for_a_low_confidence_only_if_the_line_says_so(
    tmp_path: Path,
) -> None:
    for passes, outcome in ((False, Outcome.REVIEW), (True, Outcome.PASS)):
        config = settings(tmp_path, checks={"match_passes": passes}, folder=f"spool-{passes}")
        station = tmp_path / "press.toml"
        station.write_text(station.read_text().replace("accept_at = 0.5", "accept_at = 0.99"))
        with running(config) as service:
            assert read(service, picture(5), expected="57").outcome is outcome
            assert read(service, picture(5)).outcome is Outcome.REVIEW
            assert read(service, picture(9), expected="57").reasons == (
                "confidence 0.977 is below 0.990",
                "expected 57, read 97: distance 1",
            )


def test_a_missing_list_is_an_error_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        LineService(settings(tmp_path, checks={"codes": "none.txt"}))
    assert str(caught.value) == (
        f"stations: station press: {tmp_path / 'none.txt'}: cannot be read: No such file or directory. "
        "Give a text file, one code per line."
    )


@pytest.mark.parametrize(
    ("at", "began"),
    [("07:30", "06:00"), ("05:59", "22:00 before"), ("22:00", "22:00"), ("13:59", "06:00")],
)
def test_a_shift_begins_at_its_local_time(at: str, began: str) -> None:
    day = datetime(2026, 11, 29).astimezone()
    hour, minute = map(int, at.split(":"))
    found = shift_start(("06:00", "14:00", "22:00"), day.replace(hour=hour, minute=minute))
    expected = day.replace(hour=int(began[:2])) - timedelta(days="before" in began)
    assert found == expected
