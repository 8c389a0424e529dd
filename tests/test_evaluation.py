"""Evaluation: protocols, tables, attention matched with masks, two models on the same crops; text masks."""

import csv
import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sample_cases import sample, samples
from typer.testing import CliRunner

from serialread import cli, evaluation
from serialread.codes import PRINTABLE, Alphabet
from serialread.config import CropGeometry
from serialread.config.training_recipe import ReliefClusters
from serialread.datasets import write_store
from serialread.errors import RecordsError, StoreError
from serialread.evaluation import (
    AttentionQuality,
    EvaluatedCrop,
    EvaluationReport,
    ModelEvaluation,
    evaluate,
    evaluate_crops,
)
from serialread.evaluation.evaluated_crops import AttentionMatch, match_attention
from serialread.imaging import column_owners, place_masks
from serialread.imaging.masks import relief_clusters, text_cluster, two_means
from serialread.inference.session import ModelCard
from serialread.records import Floats, Origin, Sample

GEOMETRY = CropGeometry(widths=(96, 160))


class Oracle:
    """Reads every crop as a given text, with all attention on the first column."""

    def __init__(self, texts: dict[bytes, str], chars: str = PRINTABLE) -> None:
        self.card = ModelCard("oracle", Alphabet(chars), GEOMETRY, "r", 1)
        self.texts = texts

    def run(self, batch: Floats) -> tuple[Floats, ...]:
        scores = np.full((len(batch), 26, self.card.alphabet.classes), -20, np.float32)
        alpha = np.zeros((len(batch), 26, batch.shape[-1] // 4), np.float32)
        alpha[..., 0] = 1
        for row, crop in enumerate(batch):
            text = self.texts[crop.tobytes()]
            for slot, number in enumerate([*self.card.alphabet.encode(text), 0]):
                scores[row, slot, number] = 0
        return scores, alpha


def oracle(data: list[Sample], texts: list[str]) -> Oracle:
    from serialread.imaging import to_array

    return Oracle({to_array(s.pixels, GEOMETRY).tobytes(): t for s, t in zip(data, texts, strict=True)})


def case(truth: str, text: str, folded: str = "", place: str = "s:0") -> EvaluatedCrop:
    return EvaluatedCrop(place, truth, text, folded or text, 0.9, "ink", "face", None)


@pytest.mark.parametrize(
    ("truth", "text", "right"),
    [
        ("AB-1", "AB-1", (True, True, True)),
        ("AB-1", "ab1", (False, True, True)),
        ("AB-1", "AB-7", (False, False, False)),
        ("A B1", "AB1", (True, True, True)),
    ],
)
def test_protocols_count_case_and_symbols_or_not(truth: str, text: str, right: tuple[bool, ...]) -> None:
    assert tuple(case(truth, text).is_right(p) for p in ("strict", "mpsc", "36")) == right


def test_the_two_cases_of_a_letter_add_up_in_the_caseless_reading() -> None:
    class Undecided(Oracle):
        def run(self, batch: Floats) -> tuple[Floats, ...]:
            scores, alpha = super().run(batch)
            alphabet = self.card.alphabet
            scores[:, 0] = -9
            for char, share in (("s", 0.3), ("S", 0.3), ("5", 0.4)):
                scores[:, 0, alphabet.encode(char)[0]] = np.log(share)
            return scores, alpha

    data = [Sample(sample(1, 1).pixels, "S")]
    (found,) = evaluate_crops(Undecided(oracle(data, ["S"]).texts), data)

    assert (found.text, found.caseless) == ("5", "s")
    assert (found.is_right("mpsc"), found.is_right("36")) == (False, True)


def test_every_sample_gives_one_crop_with_its_id_and_origin() -> None:
    data = [
        Sample(s.pixels, s.text, s.glyphs, Origin("ink" if i % 2 else "laser", "face", ()))
        for i, s in enumerate(samples(20))
    ]
    found = list(evaluate_crops(oracle(data, [s.text for s in data]), data, "store", batch_size=3))

    assert sorted(c.crop_id for c in found) == sorted(f"store:{i}" for i in range(20))
    assert all(c.is_right("strict") for c in found)
    assert {c.process for c in found} == {"ink", "laser"}
    lines = ModelEvaluation("m", tuple(found), Counter()).rows
    assert sum(line.crops for line in lines if line.table == "process") == 20
    assert [line.right["strict"] for line in lines if line.table == "all"] == [20]


def test_attention_is_matched_with_the_masks() -> None:
    whole = sample(1, 3)
    assert whole.glyphs is not None
    own = column_owners(place_masks(whole.glyphs, GEOMETRY), 3, 4)
    right = np.stack([(own == slot) / max((own == slot).sum(), 1) for slot in (1, 2, 3)]).astype(np.float32)
    wrong = right[[1, 2, 0]]
    cells = (own[None, None] == np.arange(1, 4)[:, None, None]).repeat(8, 1).astype(np.float32)
    inside, outside = (match_attention(alpha, cells, whole, GEOMETRY) for alpha in (right, wrong))

    assert inside is not None
    assert outside is not None
    assert (inside.chars, inside.inside, inside.drifted, inside.shared) == (3, pytest.approx(3), 0, 0)
    assert (outside.inside, outside.drifted) == (0, 3)
    assert 0 < inside.overlap < 3
    assert match_attention(right, None, Sample(whole.pixels, whole.text), GEOMETRY) is None


def test_attention_is_averaged_over_characters_not_over_crops() -> None:
    one = EvaluatedCrop("s:0", "A", "A", "A", 1, "", "", AttentionMatch(1, 1.0, 0, 0.0, 0.5))
    four = EvaluatedCrop("s:1", "ABCD", "", "", 1, "", "", AttentionMatch(4, 0.0, 4, 1.5, 0.5))
    attention = AttentionQuality.of([one, four, case("X", "X")])

    assert (attention.chars, attention.inside, attention.drift) == (5, 0.2, 0.8)
    assert attention.shared == 0.5


def test_two_models_are_compared_on_the_same_crops_only() -> None:
    mine = ModelEvaluation("a", tuple(case("A", "A", place=f"s:{i}") for i in range(8)), Counter())
    theirs = ModelEvaluation(
        "b", tuple(case("A", "AB"[i > 2], place=f"s:{7 - i}") for i in range(8)), Counter()
    )
    strict = mine.compare(theirs)[0]

    assert (strict.only_first, strict.only_second, strict.crops) == (5, 0, 8)
    assert strict.p == pytest.approx(2 / 2**5)
    assert strict.difference[0] > 0
    with pytest.raises(RecordsError) as caught:
        mine.compare(ModelEvaluation("b", theirs.crops[1:], Counter()))
    assert str(caught.value) == (
        "comparison: the two models read different crops. Evaluate both on the same stores."
    )


def test_a_report_has_tables_and_is_saved_with_every_crop(tmp_path: Path) -> None:
    crops = tuple(case("A" * n, "A" * min(n, 13), place=f"s:{n}") for n in range(1, 16))
    found = ModelEvaluation("model", crops, Counter({"illegible": 2}))
    report = EvaluationReport(found, tuple(found.compare(found)), "itself")
    text = report.to_text()
    report.write(tmp_path)

    assert "model on 15 crops" in text
    assert "13+" in text
    assert "skipped: 2, illegible" in text
    assert "against itself, strict: 0 only here, 0 only there" in text
    with (tmp_path / "crops.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 15
    assert json.loads((tmp_path / "evaluation.json").read_text())["accuracy"][0]["crops"] == 15
    with pytest.raises(RecordsError, match="cannot be written"):
        report.write(tmp_path / "crops.csv")


def test_an_open_model_is_evaluated_with_its_extras_and_compared(tmp_path: Path) -> None:
    class Extras:
        def to_text(self) -> str:
            return "gates half open"

        def to_json(self) -> dict[str, object]:
            return {"gates": 0.5}

    class WithExtras(Oracle):
        def extras(self, found: ModelEvaluation, stores: list[Path]) -> Extras:
            assert (len(found.crops), stores) == (4, [tmp_path / "store"])
            return Extras()

    data = samples(4)
    write_store(tmp_path / "store", data, about={})
    plain = oracle(data, ["", *(s.text for s in data[1:])])
    report = evaluate(
        WithExtras(oracle(data, [s.text for s in data]).texts), [tmp_path / "store"], against=plain
    )

    assert report.to_json()["gates"] == 0.5
    assert report.to_text().endswith("\ngates half open")
    assert [c.only_first for c in report.comparisons] == [1, 1, 1]
    assert report.other == "oracle"


def test_the_shipped_model_is_evaluated_on_a_store_and_on_a_folder(tmp_path: Path) -> None:
    from serialread.weights import shipped_model

    write_store(tmp_path / "store", samples(4), about={})
    (tmp_path / "folder").mkdir()
    cv2.imwrite(str(tmp_path / "folder" / "a.png"), sample(1).pixels)
    (tmp_path / "folder" / "labels.csv").write_text(f"filename,text\na.png,{sample(1).text}\nb.png,###\n")
    words = [
        "model",
        "evaluate",
        shipped_model(),
        tmp_path / "store",
        tmp_path / "folder",
        "--json",
        "--out",
        tmp_path / "out",
    ]
    done = CliRunner().invoke(cli.app, [*map(str, words), "--against", str(shipped_model())])
    printed = json.loads(done.stdout.splitlines()[0])

    assert done.exit_code == 0
    assert printed["skipped"] == {"illegible": 1}
    assert [line["crops"] for line in printed["accuracy"] if line["table"] == "store"] == [1, 4]
    assert [one["p"] for one in printed["against"]] == [1, 1, 1]
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(evaluation.FILES)
    with pytest.raises(StoreError, match=r"no labels\.csv, no LMDB"):
        evaluation.labelled_samples(tmp_path / "out")


# -------------------------------------------------------------------------------------- self-supervised masks


def test_two_means_find_print_of_either_polarity() -> None:
    whole = sample(2, 4)
    assert whole.glyphs is not None
    for pixels in (whole.pixels, (255 - whole.pixels).astype(np.uint8)):
        mask = two_means(pixels)
        both, either = ((mask > 0) & (whole.glyphs > 0)).sum(), ((mask > 0) | (whole.glyphs > 0)).sum()
        assert both / either > 0.5


@pytest.mark.parametrize(
    ("sides", "length", "background_is_high"),
    [
        ("", 1.0, False),
        ("t", 1.0, False),
        ("tb", 1.0, True),  # two borders each: these own 2.4 of 4, with the corners
        ("tb", 0.6, False),  # 1.2 of 4
        ("tbl", 1.0, True),
        ("tblr", 1.0, True),
    ],
)
def test_the_background_has_most_borders_and_a_tie_goes_to_the_larger_share(
    sides: str, length: float, background_is_high: bool
) -> None:
    high = np.zeros((10, 20), np.uint8)
    for side in sides:
        along = high.T if side in "lr" else high
        along[0 if side in "tl" else -1, : round(length * along.shape[1])] = 1

    assert np.array_equal(text_cluster(high), 1 - high if background_is_high else high)


def test_a_uniform_picture_has_no_text() -> None:
    assert not two_means(np.full((8, 20), 90, np.uint8)).any()
    assert not relief_clusters(np.full((8, 20), 90, np.uint8), ReliefClusters()).any()


def test_only_relief_clusters_join_the_two_flanks_of_a_groove() -> None:
    rng = np.random.default_rng(1)
    grey = rng.normal(128, 4, (32, 96)).astype(np.float32)
    true = np.zeros((32, 96), bool)
    for left in (15, 40, 65):
        grey[6:26, left : left + 3] += 60
        grey[6:26, left + 3 : left + 6] -= 60
        true[6:26, left : left + 6] = True
    pixels = np.clip(grey, 0, 255).astype(np.uint8)

    def overlap(mask: np.ndarray) -> float:
        return float(((mask > 0) & true).sum() / ((mask > 0) | true).sum())

    assert overlap(relief_clusters(pixels, ReliefClusters())) > 0.6 > overlap(two_means(pixels))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_masks_of_any_picture_are_zero_and_one(seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 30), dtype=np.uint8)
    mask = two_means(pixels)

    assert set(np.unique(mask)) <= {0, 1}
    assert mask.dtype == np.uint8
