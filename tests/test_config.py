"""Recipe files: what is written is read back as the same value."""

import tomllib
from pathlib import Path

import pytest

from serialread.config import Code, Station, load, to_toml


@pytest.mark.parametrize("text", ["plain", "𐐷𝒜-1", 'quo"te \\ back', "tab\tand\x7f", "ß–é"])
def test_any_text_survives_a_toml_file(tmp_path: Path, text: str) -> None:
    """Also characters outside the basic plane, which JSON escapes in a way that TOML does not know."""
    station = Station.model_construct(name=text, code=Code())
    (tmp_path / "station.toml").write_text(to_toml(station), encoding="utf-8")

    assert tomllib.loads((tmp_path / "station.toml").read_text(encoding="utf-8"))["name"] == text


def test_a_station_name_outside_the_basic_plane_is_read_as_it_was_written(tmp_path: Path) -> None:
    station = Station(name="𐐷𐐨")
    (tmp_path / "station.toml").write_text(to_toml(station), encoding="utf-8")

    assert load(tmp_path / "station.toml", Station) == station
