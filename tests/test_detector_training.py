"""Learning to detect lines: targets, losses, the loop, and the model file."""

from pathlib import Path

import numpy as np
import pytest
import torch

from serialread.config.detector_recipe import DetectorNetworkConfig, DetectorRecipe, Windows
from serialread.detection import LineFinder, Maps, lines_of
from serialread.errors import CheckpointError, StoreError
from serialread.models.detector import LineDetector, LineMaps, detector_terms
from serialread.records import Sample, SceneLine
from serialread.training.detector_batches import DetectorBatches, Window, draw_targets, draw_window
from serialread.training.detector_export import export_detector
from serialread.training.detector_training import load_detector, train_detector

SMALL = DetectorNetworkConfig(stem=8, channels=(8, 8, 8), blocks=(1, 1, 1), neck=8)


def recipe(**changes: object) -> DetectorRecipe:
    table = {
        "network": SMALL.model_dump(),
        "windows": {"side_px": 128},
        "optimization": {"crops": 8, "batch": 2, "workers": 0, "bf16": False, **changes},
    }
    return DetectorRecipe.model_validate(table)


def scene(seed: int = 0) -> Sample:
    """A picture with one line of six squares."""
    pixels = np.random.default_rng(seed).integers(90, 110, (160, 240), dtype=np.uint8)
    cells = []
    for n in range(6):
        x = 30.0 + 28 * n
        pixels[70:94, int(x) : int(x) + 18] = 220
        cells.append(((x, 70.0), (x + 18, 70.0), (x + 18, 94.0), (x, 94.0)))
    return Sample(pixels, "", None, None, (SceneLine("HHHHHH", "ink", "face", tuple(cells)),))


def whole(sample: Sample) -> Window:
    lines = tuple((np.array(line.cells), line.legible) for line in sample.lines or ())
    return Window(sample.pixels.astype(np.float32) / 255, lines)


def test_targets_are_the_middle_of_a_line_over_its_whole_length() -> None:
    core, known, direction, height = draw_targets(whole(scene()), Windows())
    rows, columns = np.nonzero(core)
    assert (rows.min() * 4, rows.max() * 4 + 4) == (76, 88)
    assert columns.min() * 4 == pytest.approx(30, abs=4)
    assert columns.max() * 4 + 4 == pytest.approx(188, abs=4)
    assert np.allclose(direction[0][core > 0], 1)
    assert np.allclose(height[core > 0], np.log2(24 / 16))
    assert known.all()


def test_illegible_lines_are_neither_line_nor_background() -> None:
    sample = scene()
    (line,) = sample.lines or ()
    faint = SceneLine(line.text, line.process, line.typeface, line.cells, legible=False)
    core, known, *_ = draw_targets(whole(Sample(sample.pixels, "", None, None, (faint,))), Windows())
    assert not core.any()
    assert not known[18:22, 10:45].any()


def test_targets_give_back_their_line() -> None:
    core, _, direction, height = draw_targets(whole(scene()), Windows())
    (found,) = lines_of(Maps(core, direction, height))
    assert found.centre == pytest.approx(np.array([[30, 82], [188, 82]]), abs=4)


def test_windows_move_their_lines_along() -> None:
    sample, rng = scene(), np.random.default_rng(1)
    config = Windows(side_px=128, inverted_share=0.0, contrast=(1.0, 1.0), gamma=(1.0, 1.0), on_line=1.0)
    for _ in range(12):
        window = draw_window(sample, config, rng)
        for cells, _ in window.lines:
            for x, y in cells.mean(axis=1):
                if 3 < x < 125 and 3 < y < 125:
                    assert window.pixels[int(y), int(x)] > 0.7


def test_tight_windows_show_a_line_in_each_quarter_with_its_edges_continued() -> None:
    even = {"inverted_share": 0.0, "contrast": (1.0, 1.0), "gamma": (1.0, 1.0), "quarter_turn_share": 0.0}
    config = Windows(side_px=256, tight_share=1.0, tight_px=(20.0, 40.0), tight_margin=(0.1, 0.4), **even)
    window = draw_window(scene(), config, np.random.default_rng(2))
    assert len(window.lines) == 4
    for quarter, (cells, legible) in enumerate(window.lines):
        corner = np.array([quarter % 2, quarter // 2]) * 128
        assert legible
        assert (corner <= cells.min((0, 1))).all()
        assert (cells.max((0, 1)) < corner + 128).all()
        assert all(window.pixels[int(y), int(x)] > 0.7 for x, y in cells.mean(axis=1))
        column, row = (cells.max((0, 1)) + 24).astype(int).clip(max=corner + 126)  # beyond the cut-out
        part = window.pixels[corner[1] : corner[1] + 128, corner[0] : corner[0] + 128]
        assert (part[row - corner[1] :, : column - corner[0]] == part[-1, : column - corner[0]]).all()


def test_tight_windows_teach_nothing_of_other_lines() -> None:
    sample = scene()
    assert sample.lines is not None
    below = SceneLine("I", "ink", "face", (((30.0, 96.0), (40.0, 96.0), (40.0, 104.0), (30.0, 104.0)),))
    both = Sample(sample.pixels, "", None, None, (*sample.lines, below))
    config = Windows(side_px=256, tight_share=1.0, tight_margin=(0.5, 0.5), quarter_turn_share=0.0)
    others = 0
    for step in range(8):
        lines = draw_window(both, config, np.random.default_rng(step)).lines
        quarters = [tuple(cells.mean((0, 1)) // 128) for cells, _ in lines]
        taught = [quarter for quarter, (_, legible) in zip(quarters, lines, strict=True) if legible]
        assert sorted(taught) == [(0, 0), (0, 1), (1, 0), (1, 1)]
        others += len(lines) - len(taught)
    assert others


def test_a_step_is_a_function_of_seed_and_step() -> None:
    one, two = (DetectorBatches([scene(0), scene(1)], recipe())[3] for _ in range(2))
    assert torch.equal(one.pictures, two.pictures)
    assert torch.equal(one.targets.core, two.targets.core)


def test_a_perfect_detector_has_almost_no_loss() -> None:
    targets = DetectorBatches([scene()], recipe())[0].targets
    perfect = LineMaps(40 * targets.core - 20, 3 * targets.direction, targets.height)
    terms = detector_terms(perfect, targets, recipe().losses)
    assert {name: round(float(term), 3) for name, term in terms.items()} == {
        "core": 0.0, "overlap": 0.0, "direction": 0.0, "height": 0.0
    }  # fmt: skip
    turned = perfect._replace(direction=-perfect.direction)
    assert float(detector_terms(turned, targets, recipe().losses)["direction"]) == pytest.approx(2)


def test_a_detector_learns_stops_and_resumes_to_the_same_weights(tmp_path: Path) -> None:
    stores, run = [[scene(n) for n in range(3)]], recipe(schedule="stable", crops=8, horizon=8)
    steps = [*train_detector(run, stores, tmp_path / "one")]
    assert [progress.step for progress in steps] == [1, 2, 3, 4]
    for _ in train_detector(recipe(schedule="stable", crops=8, horizon=8), stores, tmp_path / "two"):
        break  # closing the iterator ends the run; nothing is kept
    assert not (tmp_path / "two" / "last.pt").exists()
    detector, kept = load_detector(tmp_path / "one" / "detector.safetensors")
    assert kept == run
    with pytest.raises(CheckpointError) as error:
        next(train_detector(run, stores, tmp_path / "one"))
    assert str(error.value) == (
        f"{tmp_path / 'one'}: holds a run already. Continue it with --resume, or name another folder."
    )
    assert [*train_detector(run, stores, tmp_path / "one", resume=True)] == []
    assert not detector.training


def test_a_run_starts_from_weights_of_its_network_and_no_other(tmp_path: Path) -> None:
    stores, weights = [[scene()]], tmp_path / "one" / "detector.safetensors"
    [*train_detector(recipe(), stores, tmp_path / "one")]
    still = recipe(crops=2, rate=1e-9, decay=0.0)
    [*train_detector(still, stores, tmp_path / "two", start_from=weights)]
    (one, _), (two, _) = load_detector(weights), load_detector(tmp_path / "two" / "detector.safetensors")
    for name, weight in one.named_parameters():
        assert torch.allclose(weight, two.get_parameter(name), atol=1e-3), name
    with pytest.raises(CheckpointError) as error:
        next(train_detector(DetectorRecipe(), stores, tmp_path / "three", start_from=weights))
    assert str(error.value) == (f"{weights}: weights of another network. Name those of a run of this recipe.")


def test_a_detector_does_not_learn_from_crops(tmp_path: Path) -> None:
    crop = Sample(np.zeros((48, 96), np.uint8), "A")
    with pytest.raises(StoreError) as error:
        next(train_detector(recipe(), [[crop]], tmp_path / "run"))
    assert str(error.value) == (
        "a detector learns from whole pictures, and a sample is a crop. Render scenes: "
        "serialread generate-synth recipes/data/scenes.toml"
    )


def test_a_model_file_gives_the_maps_of_the_network(tmp_path: Path) -> None:
    [*train_detector(recipe(), [[scene()]], tmp_path / "run")]
    detector, _ = load_detector(tmp_path / "run" / "detector.safetensors")
    finder = LineFinder(export_detector(tmp_path / "run" / "detector.safetensors", tmp_path / "lines.onnx"))
    pixels = scene(7).pixels
    found = finder.maps(pixels, 1.0)
    padded = np.pad(pixels, ((0, 0), (0, 80)), mode="edge").astype(np.float32) / 255
    with torch.inference_mode():
        maps = detector(torch.from_numpy(padded)[None, None])
    assert found.core.shape == (40, 60)
    assert np.abs(found.core - torch.sigmoid(maps.core)[0, :, :60].numpy()).max() < 0.03
    assert np.abs(found.height - maps.height[0, :, :60].numpy()).max() < 0.1
    assert finder.model_id.startswith("lines-")
    assert isinstance(finder.find(pixels), tuple)


def test_a_reader_of_codes_is_no_line_detector(tmp_path: Path) -> None:
    from serialread.weights import shipped_model

    with pytest.raises(CheckpointError) as error:
        LineFinder(shipped_model())
    assert str(error.value) == (
        f"{shipped_model()}: not a line detector of serialread. Give a detector's model file."
    )


def test_the_network_is_small() -> None:
    detector = LineDetector(DetectorNetworkConfig())
    assert sum(weight.numel() for weight in detector.parameters()) < 1_000_000
