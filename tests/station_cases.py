"""What is said of wrong station files."""

from pathlib import Path

import pytest

from serialread.config import Station, load
from serialread.errors import RecipeError


def refusal(folder: Path, text: str) -> str:
    """The error that a station file with this text gives."""
    (folder / "station.toml").write_text(text)
    with pytest.raises(RecipeError) as error:
        load(folder / "station.toml", Station)
    return str(error.value)
