"""Labelled pictures of others become a store: every sample that can be used, every other one counted."""

from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest
from typer.testing import CliRunner

from serialread import cli
from serialread.datasets import ImportSource, SampleStore, write_store
from serialread.datasets.importing import cut
from serialread.errors import RecordsError, StoreError
from serialread.records import Sample


def picture(path: Path, number: int = 0, size: tuple[int, int] = (40, 90)) -> np.ndarray:
    pixels = np.random.default_rng(number).integers(0, 256, size, dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    return pixels


def imported(source: Path, out: Path) -> tuple[SampleStore, str]:
    done = CliRunner().invoke(cli.app, ["data", "import", str(source), "--out", str(out)])
    assert done.exit_code == 0, done.output
    return SampleStore(out), done.stdout


@pytest.mark.parametrize("folder", ["", "images"])
def test_a_folder_with_a_table_is_imported_in_its_order(tmp_path: Path, folder: str) -> None:
    source = tmp_path / "source"
    pictures = [picture(source / folder / f"{n}.png", n) for n in range(2)]
    (source / "broken.png").write_bytes(b"no picture")
    rows = [
        "filename,text",
        "1.png,AB 12",
        "0.png,7",
        "broken.png,9",
        "0.png,###",
        "0.png,grün",
        f"0.png,{'5' * 41}",
    ]
    (source / "labels.csv").write_text("\ufeff" + "\n".join(rows), encoding="utf-8")
    store, printed = imported(source, tmp_path / "out")
    assert [s.text for s in store[:]] == ["AB12", "7"]
    np.testing.assert_array_equal(store[0].pixels, pictures[1])
    np.testing.assert_array_equal(store[1].pixels, pictures[0])
    assert store.about["complete"]
    assert "left out: 1, illegible" in printed
    assert "left out: 1, picture unreadable" in printed
    assert "left out: 1, characters outside printable ASCII" in printed
    assert "left out: 1, longer than 40 characters" in printed


def test_an_lmdb_of_another_program_is_imported(tmp_path: Path) -> None:
    pixels = picture(tmp_path / "p.png")
    colour = cv2.imencode(".png", np.repeat(pixels[..., None], 3, axis=2))[1].tobytes()
    with lmdb.open(str(tmp_path / "lmdb")) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"num-samples", b"3")
        for number, label in ((1, b"SN1"), (2, b"###")):
            transaction.put(f"image-{number:09d}".encode(), colour)
            transaction.put(f"label-{number:09d}".encode(), label)
    store, printed = imported(tmp_path / "lmdb", tmp_path / "out")
    assert [s.text for s in store[:]] == ["SN1"]
    np.testing.assert_array_equal(store[0].pixels, pixels)
    assert "left out: 1, illegible" in printed
    assert "left out: 1, picture or label missing" in printed


def test_boxes_in_photographs_are_cut_out_and_illegible_ones_counted(tmp_path: Path) -> None:
    source = tmp_path / "source"
    whole = picture(source / "part.png", size=(120, 200))
    lines = ["10,20,70,20,70,40,10,40,A,1", "100,10,120,10,120,90,100,90,B2", "0,0,20,0,20,20,0,20,###"]
    lines.append("5,5,5,5,5,5,5,5,C")
    (source / "gt_part.txt").write_text("\n".join(lines))
    store, printed = imported(source, tmp_path / "out")
    assert [s.text for s in store[:]] == ["A,1", "B2"]
    np.testing.assert_array_equal(store[0].pixels, whole[20:40, 10:70])
    assert store[1].pixels.shape == (20, 80)  # stood on its side
    assert "left out: 1, illegible" in printed
    assert "left out: 1, picture unreadable" in printed


BOX = "0,0,40,0,40,20,0,20,"


def test_pictures_of_one_name_in_two_folders_have_the_boxes_beside_them(tmp_path: Path) -> None:
    for part in ("test", "train", "without"):
        picture(tmp_path / part / "img_1.png")
        if part != "without":
            (tmp_path / part / "gt_img_1.txt").write_text(f"{BOX}{part}")
    assert [sample.text for sample in ImportSource(tmp_path).samples()] == ["test", "train"]


def test_boxes_in_another_folder_are_those_of_the_one_picture_of_that_name(tmp_path: Path) -> None:
    for number in (1, 2):
        picture(tmp_path / "pictures" / f"{number}.png")
        (tmp_path / "boxes").mkdir(exist_ok=True)
        (tmp_path / "boxes" / f"gt_{number}.txt").write_text(f"{BOX}SN{number}")
    assert [sample.text for sample in ImportSource(tmp_path).samples()] == ["SN1", "SN2"]


@pytest.mark.parametrize(
    ("pictures", "boxes"), [(("a", "b"), ("c",)), (("a",), ("b", "c")), (("a", "b"), ("c", "d"))]
)
def test_boxes_that_may_be_those_of_several_pictures_are_an_error(
    tmp_path: Path, pictures: tuple[str, ...], boxes: tuple[str, ...]
) -> None:
    for folder in pictures:
        picture(tmp_path / folder / "1.png")
    for folder in boxes:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.txt").write_text(f"{BOX}A")
    with pytest.raises(StoreError) as caught:
        ImportSource(tmp_path).samples()
    assert str(caught.value) == (
        f"{tmp_path}/{boxes[0]}/1.txt: whose boxes it holds is not clear: several folders have a 1. "
        "Put every text file beside its picture."
    )


def test_a_slanted_box_is_straightened() -> None:
    upright = np.zeros((60, 160), np.uint8)
    cv2.putText(upright, "A7", (10, 45), cv2.FONT_HERSHEY_SIMPLEX, 1.4, 255, 3)
    turn = cv2.getRotationMatrix2D((80, 30), 20, 1)
    turned = cv2.warpAffine(upright, turn, (200, 120))
    corners = np.array([[0, 0], [100, 0], [100, 60], [0, 60]], np.float64)
    quad = (corners @ turn[:, :2].T + turn[:, 2]).astype(np.float32)
    straight = cut(turned, quad, 2)
    assert straight.shape == (60, 100)
    wanted = upright[:, :100]
    overlap = ((straight > 128) & (wanted > 128)).sum() / ((straight > 128) | (wanted > 128)).sum()
    assert overlap > 0.5


def test_one_tall_character_stays_upright() -> None:
    whole = np.zeros((50, 50), np.uint8)
    quad = np.array([[5, 5], [15, 5], [15, 45], [5, 45]], np.float32)
    assert cut(whole, quad, 1).shape == (40, 10)
    assert cut(whole, quad, 2).shape == (10, 40)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"note.md": "-"},
            "{path}: no labels.csv, no LMDB and no pictures with text files of boxes. "
            "Name a folder that holds one of them.",
        ),
        (
            {"labels.csv": "name,label\n"},
            "{path}/labels.csv: no column filename, text. "
            "Its first line must name the columns filename,text.",
        ),
        (
            {"labels.csv": "filename,text\na.png,\n"},
            "{path}-out: no sample to write. Give at least one.",
        ),
    ],
)
def test_an_unusable_source_says_why(tmp_path: Path, files: dict[str, str], message: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name, content in files.items():
        (source / name).write_text(content)
    done = CliRunner().invoke(cli.app, ["data", "import", str(source), "--out", f"{source}-out"])
    assert isinstance(done.exception, StoreError | RecordsError)
    assert str(done.exception) == message.format(path=source)
    assert not (tmp_path / "source-out").exists()


def test_a_wrong_line_of_boxes_stops_before_anything_is_written(tmp_path: Path) -> None:
    source = tmp_path / "source"
    picture(source / "a.png")
    (source / "a.txt").write_text("1,2,3\n")
    with pytest.raises(StoreError) as caught:
        write_store(tmp_path / "out", ImportSource(source).samples(), about={})
    wanted = f"{source}/a.txt, line 1: not eight numbers and a text between commas. Correct it."
    assert str(caught.value) == wanted
    assert not (tmp_path / "out").exists()


def test_samples_may_come_one_by_one(tmp_path: Path) -> None:
    pixels = np.zeros((32, 40), np.uint8)
    assert write_store(tmp_path / "s", (Sample(pixels, str(n)) for n in range(3)), about={}) == 3
    assert (SampleStore(tmp_path / "s").about["count"], len(SampleStore(tmp_path / "s"))) == (3, 3)
