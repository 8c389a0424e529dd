"""An explanation shows the crop, the glyph maps and the attention of every character."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from stub_model import write_stub
from typer.testing import CliRunner

from serialread import cli
from serialread.errors import ImageError, RecordsError
from serialread.imaging import save_png
from serialread.reader import Reader, explanation

pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stub(tmp_path_factory.mktemp("model") / "stub.onnx")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pixels = np.full((60, 200), 200, np.uint8)
    cv2.putText(pixels, "A7", (40, 45), cv2.FONT_HERSHEY_SIMPLEX, 1.5, 20, 4)
    path = tmp_path / "a7.png"
    cv2.imwrite(str(path), pixels)
    return path


def test_every_character_has_a_row_and_maps_as_wide_as_the_crop(stub: Path, picture: Path) -> None:
    found = Reader(stub).explain(picture)
    (line,) = found.lines
    count, columns = line.attention.shape

    assert len(found.reading.text) == count == 2
    assert line.glyphs.shape == (count, 8, columns)
    assert columns == pytest.approx(line.pixels.shape[1] / line.pixels.shape[0] * 8, abs=1)
    drawn = found.drawn()
    assert drawn.shape[1] == explanation.LEFT + explanation.ZOOM * 4 * columns
    assert (drawn.dtype, drawn.shape[2]) == (np.uint8, 3)


def test_the_command_writes_the_drawing(stub: Path, picture: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "why.png"
    result = CliRunner().invoke(
        cli.app,
        ["model", "explain", str(picture), "--model", str(stub), "--out", str(out)],
        catch_exceptions=False,
    )

    assert result.stdout.startswith(f"{out}: ")
    assert cv2.imread(str(out)) is not None


def test_a_bad_picture_or_suffix_is_one_clear_error(stub: Path, picture: Path, tmp_path: Path) -> None:
    with pytest.raises(RecordsError) as caught:
        save_png(np.zeros((4, 4, 3), np.uint8), tmp_path / "why.jpg", "an explanation")
    assert str(caught.value) == f"{tmp_path / 'why.jpg'}: an explanation is a PNG. Name it why.png."
    torn = tmp_path / "torn.png"
    torn.write_bytes(picture.read_bytes()[:60])
    with pytest.raises(ImageError, match=r"torn\.png"):
        Reader(stub).explain(torn)
