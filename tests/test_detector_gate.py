"""Quantizing a line detector: it stays in 16 bits unless int8 finds as many lines of scenes."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from test_scenes import scene

from serialread.datasets import write_store
from serialread.detection import LineFinder
from serialread.errors import CheckpointError, StoreError
from serialread.evaluation import DetectorTrial, quantize, quantize_detector
from serialread.inference.quantization import load_ranges, ranges_path
from serialread.records import Sample
from serialread.weights import shipped_detector, shipped_model


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    """The shipped detector without its ranges."""
    return Path(shutil.copy(shipped_detector(), tmp_path / "lines.onnx"))


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    write_store(tmp_path / "scenes", (scene(8, index) for index in range(3)), about={})
    return tmp_path / "scenes"


def test_a_quantized_detector_keeps_its_ranges_and_finds_the_same(detector: Path, scenes: Path) -> None:
    before, pixels = LineFinder(detector), scene(8, 1).pixels
    trial = quantize_detector(detector, [scenes], 2)
    assert trial.is_as_good
    assert trial.half > 0
    after = LineFinder(detector)
    assert after.model_id == f"{before.model_id}-8bit"
    one, two = (finder.maps(pixels, 1.0) for finder in (before, after))
    apart = np.abs(one.core - two.core)
    assert apart.max() > 0
    assert apart.mean() < 0.01


def test_the_shipped_detector_is_quantized() -> None:
    assert load_ranges(shipped_detector()) is not None
    assert LineFinder(shipped_detector()).model_id.endswith("-8bit")


def test_ranges_of_another_detector_are_refused(detector: Path, scenes: Path) -> None:
    quantize_detector(detector, [scenes], 2)
    table = ranges_path(detector).read_text(encoding="utf-8")
    ranges_path(detector).write_text(table.replace('"lines-', '"other-'), encoding="utf-8")
    with pytest.raises(CheckpointError, match="ranges of another model, other-") as error:
        LineFinder(detector)
    assert f"Measure them again: serialread detector quantize {detector} STORE" in str(error.value)
    ranges_path(detector).write_text("{}", encoding="utf-8")
    with pytest.raises(CheckpointError, match="not a ranges file") as error:
        LineFinder(detector)
    assert f"Measure them: serialread detector quantize {detector} STORE" in str(error.value)


def test_a_wrong_file_or_store_costs_no_ranges(detector: Path, scenes: Path, tmp_path: Path) -> None:
    quantize_detector(detector, [scenes], 2)
    reader = Path(shutil.copy(shipped_model(), tmp_path / "reader.onnx"))
    shutil.copy(ranges_path(shipped_model()), ranges_path(reader))
    kept = {path: ranges_path(path).read_bytes() for path in (detector, reader)}
    with pytest.raises(CheckpointError, match="not a line detector"):
        quantize_detector(reader, [scenes], 2)
    with pytest.raises(StoreError, match="no sample store here"):
        quantize_detector(detector, [tmp_path / "typo"], 2)
    with pytest.raises(StoreError):
        quantize(reader, [tmp_path / "typo"], 2)
    assert {path: ranges_path(path).read_bytes() for path in kept} == kept


def test_crops_are_no_scenes(detector: Path, tmp_path: Path) -> None:
    write_store(tmp_path / "crops", [Sample(np.zeros((48, 96), np.uint8), "A")], about={})
    with pytest.raises(StoreError) as error:
        quantize_detector(detector, [tmp_path / "crops"], 1)
    assert str(error.value) == (
        f"{tmp_path / 'crops'}: no scenes. Render some: serialread generate-synth recipes/data/scenes.toml"
    )


@pytest.mark.parametrize(
    ("trial", "as_good"),
    [
        (DetectorTrial(lines=200, half=180, int8=178, half_false=10, int8_false=12), True),
        (DetectorTrial(lines=200, half=180, int8=177, half_false=10, int8_false=10), False),
        (DetectorTrial(lines=200, half=180, int8=182, half_false=10, int8_false=20), False),
    ],
)
def test_int8_may_lose_one_line_in_a_hundred(trial: DetectorTrial, as_good: bool) -> None:
    assert trial.is_as_good == as_good


def test_a_detector_that_int8_makes_worse_stays_in_16_bits(
    detector: Path, scenes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quantize_detector(detector, [scenes], 2)
    monkeypatch.setattr(DetectorTrial, "is_as_good", False)
    with pytest.raises(CheckpointError, match="The loss is too large: the detector stays in 16 bits"):
        quantize_detector(detector, [scenes], 2)
    assert not ranges_path(detector).exists()
