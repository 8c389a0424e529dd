"""Checking a store: statistics of its samples, and every defective sample."""

from dataclasses import replace
from pathlib import Path

import lmdb
import numpy as np
import pytest
from typer.testing import CliRunner

from serialread import cli
from serialread.datasets import SampleStore, StoreReport, write_store
from serialread.datasets.sample_store import key
from serialread.records import Origin, Sample


def sample(index: int, text: str = "A1") -> Sample:
    pixels = np.random.default_rng(index).integers(0, 256, (32, 60), dtype=np.uint8)
    glyphs = np.zeros_like(pixels)
    glyphs[8:24, 5:25], glyphs[8:24, 30:50] = 1, 2
    boxes = ((5.0, 8.0, 25.0, 24.0), (30.0, 8.0, 50.0, 24.0))
    return Sample(pixels, text, glyphs, Origin("ink", f"face-{index % 2}", boxes, {"visibility": 2.0}))


def census(path: Path, samples: list[Sample]) -> StoreReport:
    write_store(path / "store", samples, about={})
    found = StoreReport()
    assert [*found.check(SampleStore(path / "store"))] == [*range(1, len(samples) + 1)]
    return found


def test_a_sound_store_has_no_problems_and_its_parts_are_counted(tmp_path: Path) -> None:
    found = census(tmp_path, [sample(i) for i in range(6)])
    assert found.problems == []
    assert (found.samples, found.masked) == (6, 6)
    assert found.lengths == {2: 6}
    assert found.chars == {"A": 6, "1": 6}
    assert found.processes == {"ink": 6}
    assert found.typefaces == {"face-0": 3, "face-1": 3}
    assert found.visibilities == [2.0] * 6
    assert all(0.8 < contrast <= 1 for contrast in found.contrasts)


def bare(index: int, text: str = "") -> Sample:
    pixels = sample(index).pixels
    return Sample(pixels, text, np.zeros_like(pixels), Origin("ink", "", (), {"bare": True}))


def test_a_crop_without_a_code_may_have_an_empty_label_and_no_other(tmp_path: Path) -> None:
    found = census(tmp_path, [sample(0), bare(1), bare(2, text="A1")])
    assert found.lengths == {0: 1, 2: 2}
    assert [(p.index, p.what) for p in found.problems] == [(2, "it shows no code, its label is not empty")]


def spoilt(what: str) -> Sample:
    good = sample(3)
    assert good.origin is not None
    match what:
        case "its label is empty":
            return Sample(good.pixels, "")
        case "its label has 41 characters, more than 40":
            return Sample(good.pixels, "7" * 41)
        case "its label holds 'é', neither printable ASCII nor U+FFFD":
            return Sample(good.pixels, "é7")
        case "its picture is blank":
            return Sample(np.full((32, 60), 80, np.uint8), "A1")
        case "its picture is that of sample 0":
            return Sample(sample(0).pixels, "A1")
        case "its masks have the size (16, 60), its picture (32, 60)":
            return replace(good, glyphs=np.zeros((16, 60), np.uint8))
        case "its masks count 2 characters, its label 1":
            return Sample(good.pixels, "A", good.glyphs)
        case _:
            return replace(good, origin=replace(good.origin, boxes=good.origin.boxes[:1]))


@pytest.mark.parametrize(
    "what",
    [
        "its label is empty",
        "its label has 41 characters, more than 40",
        "its label holds 'é', neither printable ASCII nor U+FFFD",
        "its picture is blank",
        "its picture is that of sample 0",
        "its masks have the size (16, 60), its picture (32, 60)",
        "its masks count 2 characters, its label 1",
        "it has 1 boxes for 2 characters",
    ],
)
def test_every_problem_names_its_sample(tmp_path: Path, what: str) -> None:
    found = census(tmp_path, [sample(0), sample(1), spoilt(what)])
    assert [(p.index, p.what) for p in found.problems] == [(2, what)]
    assert f"  sample 2: {what}" in found.to_text()


def test_a_broken_picture_is_a_problem_and_the_rest_is_checked(tmp_path: Path) -> None:
    write_store(tmp_path / "store", [sample(i) for i in range(3)], about={})
    with (
        lmdb.open(str(tmp_path / "store"), map_size=1 << 24) as store,
        store.begin(write=True) as transaction,
    ):
        transaction.put(key("image", 1), b"no picture")
    done = CliRunner().invoke(cli.app, ["data", "check", str(tmp_path / "store")])
    assert done.exit_code == 3
    assert "sample 1: its picture cannot be decoded" in done.stdout
    assert "samples      3, 2 with masks" in done.stdout


def test_a_sound_store_is_exit_code_0(tmp_path: Path) -> None:
    write_store(tmp_path / "store", [sample(i) for i in range(3)], about={})
    done = CliRunner().invoke(cli.app, ["data", "check", str(tmp_path / "store")])
    assert done.exit_code == 0, done.output
    assert "problems     0" in done.stdout


def test_the_text_names_the_first_problems_and_counts_the_rest(tmp_path: Path) -> None:
    blank = [Sample(np.full((32, 40 + i), 80, np.uint8), "A1") for i in range(25)]
    lines = census(tmp_path, blank).to_text().splitlines()
    assert sum(line.startswith("  sample") for line in lines) == 20
    assert lines[-1] == "  and 5 more"
