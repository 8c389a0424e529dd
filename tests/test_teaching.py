"""Teaching: which labels are learned, what the gate lets through, lessons that stop and resume, undo."""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings, strategies as st
from sample_cases import sample, samples
from typer.testing import CliRunner

from serialread import cli, run_log, teaching
from serialread.calibration import ProtocolName, save_station
from serialread.codes import Alphabet
from serialread.config import Station, TrainingRecipe, load
from serialread.config.station import Calibration
from serialread.config.training_recipe import Losses
from serialread.errors import CalibrationError, CheckpointError, RecordsError, StoreError
from serialread.evaluation import EvaluatedCrop
from serialread.inference.session import Engine
from serialread.metrics import mpsc
from serialread.models import TrainingOutputs, build, departure
from serialread.models.losses import terms
from serialread.reader import Reader, read_folder
from serialread.reader.outputs import Outputs
from serialread.reader.pipeline import ReadLine, SeenView
from serialread.records import CharReading, Crop, Reading
from serialread.teaching import (
    Curriculum,
    LabelSource,
    ModelVersions,
    PairedCounts,
    PromotionGate,
    Trial,
    trials,
)
from serialread.teaching.labelled_lines import (
    HELD_OUT,
    LineCutter,
    code_of,
    completed,
    held_out_texts,
    named_line,
)
from serialread.teaching.lesson import LearningCurve
from serialread.teaching.selection import Selection
from serialread.teaching.trials import Chooser, run_trial
from serialread.training import checkpoint
from serialread.training.batches import collate
from serialread.weights import shipped_model, shipped_weights

RECIPES = Path(__file__).parent.parent / "recipes" / "train"
SMALL = Curriculum(trials=(Trial(1e-3, 0.4, 96),), replay=8, unseen=4, golden=4, workers=1)


def untrained(name: str = "siga-tiny") -> checkpoint.Checkpoint:
    recipe = load(RECIPES / f"{name}.toml", TrainingRecipe)
    torch.manual_seed(3)
    model = build(recipe.network, recipe.geometry, Alphabet(recipe.alphabet))
    return checkpoint.Checkpoint(recipe, model.state_dict(), 1)


def tiny(decoder: str) -> TrainingRecipe:
    """A small network with one of the decoders."""
    recipe = load(RECIPES / "siga-tiny.toml", TrainingRecipe).model_dump()
    recipe["network"]["decoder"] = {"kind": decoder}
    if decoder == "ctc":
        recipe["network"]["siga"] = None
    return TrainingRecipe.model_validate(recipe)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    checkpoint.save(untrained(), tmp_path / "start.pt")
    return tmp_path / "start.pt"


def labelled(folder: Path, count: int = 24, first: int = 0) -> Path:
    """A folder of pictures with labels.csv."""
    folder.mkdir(parents=True)
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["filename", "text"])
        for number in range(first, first + count):
            one = sample(number, 5)
            cv2.imwrite(str(folder / f"{number:02d}.png"), one.pixels)
            table.writerow([f"{number:02d}.png", one.text])
    return folder


# -------------------------------------------------------------------------------------------------- division


@settings(deadline=None)
@given(st.lists(st.integers(0, 60).map(str), min_size=20, max_size=80))
def test_a_third_of_the_pictures_is_held_out_by_text_in_any_order(texts: list[str]) -> None:
    try:
        held = held_out_texts(texts, place=Path("labels.csv"))
    except StoreError:
        assume(False)
    count = sum(text in held for text in texts)
    largest = max(Counter(texts).values())
    assert HELD_OUT * len(texts) <= count < HELD_OUT * len(texts) + largest
    assert held_out_texts(texts[::-1], place=Path("labels.csv")) == held


def test_a_text_that_was_learned_is_never_held_out_and_more_labels_move_few() -> None:
    texts = [f"A{n}" for n in range(100)]
    held = held_out_texts(texts[:80], place=Path("labels.csv"))
    more = held_out_texts(texts, place=Path("labels.csv"))
    assert len(held - more) <= 3
    assert not held & held_out_texts(texts, held, place=Path("labels.csv"))


def test_pictures_of_a_code_are_in_one_part_however_its_label_is_written() -> None:
    assert code_of("AB-12") == code_of("ab12") == "ab12"
    assert code_of("--") == "--"


# --------------------------------------------------------------------------------- labels without separators


@pytest.mark.parametrize(
    ("label", "reading", "taught"),
    [
        ("NTH0518", "NTH-05I8", "NTH-0518"),  # the model's separator stays, its error goes
        ("NTH-0518", "NTH0518", "NTH0518"),  # symbols of the label do not count either
        ("59CADI", "59.CA0I", "59.CADI"),
        ("AB12", "AB-1", "AB-12"),
        ("AB12", "XAB12.", "AB12."),
        ("A1B2", "A/B2", "A1B2"),  # a symbol that was read for a character goes
        ("ab12c", "AB-12", "AB-12C"),  # labels of other case
        ("1Q", "1", "1Q"),
        ("A1", "", "A1"),
    ],
)
def test_a_label_of_letters_and_digits_teaches_no_other_separators_and_no_other_case(
    label: str, reading: str, taught: str
) -> None:
    assert completed(label, reading) == taught


@given(label=st.text("aB1-Z", max_size=8), reading=st.text("Ab1-.z\ufffd", max_size=8))
def test_a_completed_label_has_the_letters_and_digits_of_the_label(label: str, reading: str) -> None:
    assert mpsc(completed(label, reading)) == mpsc(label)
    assert completed(reading, reading) == reading


def read_line(text: str) -> ReadLine:
    """A line in which a text was read."""
    chars = tuple(CharReading(char, 0.9, ("", 0.05)) for char in text)
    crop = Crop(sample(1).pixels, np.zeros((4, 2), np.float32), 20.0, 0.5, 0.0)
    return ReadLine(crop, (SeenView(crop.pixels, Outputs(crop.pixels, crop.pixels), Reading(chars, 0.9)),))


@pytest.mark.parametrize(("protocol", "taught"), [("strict", "NTH0518"), ("mpsc", "NTH-0518")])
def test_a_lesson_learns_labels_as_they_are_or_with_what_was_read_between(
    tmp_path: Path, protocol: ProtocolName, taught: str
) -> None:
    class Station1:
        def lines(self, _: Path) -> list[ReadLine]:
            return [read_line("NTH-05I8")]

    source = LabelSource.of(labelled(tmp_path / "labelled", 2))
    named = LabelSource(source.table, source.pictures, ("NTH0518", "--"))
    cutter = LineCutter(cast("Reader", Station1()), untrained().recipe, protocol)
    first, *others = cutter.cut(named)

    assert (first.text, first.sample.text, first.code) == ("NTH0518", taught, "nth0518")
    assert [line.text for line in others] == (["--"] if protocol == "strict" else [])
    assert dict(cutter.left_out) == ({} if protocol == "strict" else {"no letter or digit": 1})


def test_labels_say_what_the_station_is_calibrated_for_unless_told(tmp_path: Path, weights: Path) -> None:
    source, file = labelled(tmp_path / "labelled"), tmp_path / "press.toml"
    made = Calibration(
        slope=1, offset=0, misread=0.01, certainty=0.95, protocol="mpsc", pictures=9, accepted=9, wrong=0
    )
    save_station(Station(name="press", model_id="m", calibration=made), file)

    def protocol(**how: Any) -> str:
        return teaching.teach(source, tmp_path / "out", start_from=weights, **how).protocol

    assert protocol() == "strict"
    assert protocol(station=file) == "mpsc"
    assert protocol(station=file, protocol="strict") == "strict"


def test_held_out_labels_are_compared_as_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    read = EvaluatedCrop(
        "0",
        truth="AB12",
        text="ab-12",
        caseless="ab-12",
        confidence=1.0,
        process="",
        typeface="",
        attention=None,
    )
    monkeypatch.setattr(trials, "evaluate_crops", lambda *_: [read])
    selection = Selection.of(untrained(), samples(4), samples(4))
    found = {name: Chooser(selection, (), name).score(untrained()) for name in ("strict", "mpsc")}
    assert found == {"strict": (0, 3), "mpsc": (1, 0)}


# ------------------------------------------------------------------------------------------------------ gate


@pytest.mark.parametrize(
    ("pictures", "before", "won", "lost", "better"),
    [
        (34, 22, 11, 0, True),  # the test is passed
        (34, 22, 12, 5, False),  # p 0.07
        (13, 9, 3, 0, True),  # too few errors for the test: three of four are gone, nothing is lost
        (13, 9, 1, 0, False),
        (13, 9, 3, 1, False),
        (13, 3, 3, 0, False),  # less than half of the errors
        (13, 3, 5, 0, True),
    ],
)
def test_a_gain_is_proven_or_as_clear_as_few_errors_allow(
    pictures: int, before: int, won: int, lost: int, better: bool
) -> None:
    assert PairedCounts("held-out labels", pictures, before, won, lost).is_better is better


def test_one_in_two_hundred_of_the_golden_set_may_be_lost() -> None:
    held = PairedCounts("held-out labels", 34, 22, 11, 0)
    assert PromotionGate(held, PairedCounts("golden set", 1000, 900, 3, 8)).ok
    refused = PromotionGate(held, PairedCounts("golden set", 1000, 900, 3, 9), ("a.png: read 1",))
    assert refused.problems == (
        "worse on the golden set: 9 lost, 3 won of 1000; 5 may be lost on balance.",
        "job validation: a.png: read 1.",
    )
    assert refused.to_text().split("\n")[2:] == [
        "| held-out labels | 34 | 22 (64.7 %) | 33 (97.1 %) | 11 | 0 | 0.000 |",
        "| golden set | 1000 | 900 (90.0 %) | 894 (89.4 %) | 3 | 9 | 1.000 |",
    ]


def test_a_parent_without_errors_cannot_be_taught() -> None:
    gate = PromotionGate(PairedCounts("h", 10, 9, 1, 0), PairedCounts("g", 1000, 900, 0, 0))
    assert gate.problems == ("the parent makes 1 error(s) on held-out labels: there is too little to gain.",)


def test_counts_are_of_pairs() -> None:
    found = PairedCounts.of("x", [True, True, False, False], [True, False, True, True])
    assert (found.before, found.after, found.won, found.lost) == (2, 3, 2, 1)


@pytest.mark.parametrize(
    ("right", "words"),
    [((5, 8, 11), "56 would give about 12"), ((5, 11, 11), "more of the same would add little")],
)
def test_the_learning_curve_says_what_more_labels_bring(right: tuple[int, int, int], words: str) -> None:
    text = LearningCurve((0, 14, 28), 13, right).to_text()
    assert text == (
        f"learning curve, right of 13 held-out: 0 labels {right[0]}, 14 labels {right[1]}, "
        f"28 labels {right[2]}; {words}"
    )


# ---------------------------------------------------------------------------------------------------- trials


@pytest.mark.parametrize("name", ["siga-s-compact", "siga-compact", "siga-aligned", "lean-ctc"])
def test_a_trial_keeps_the_network_and_teaches_no_part_that_only_training_uses(name: str) -> None:
    start = load(RECIPES / f"{name}.toml", TrainingRecipe)
    recipe = Trial(1e-4, 0.4, 480).recipe(start)
    TrainingRecipe.model_validate(recipe.model_dump())

    assert (recipe.network, recipe.geometry, recipe.alphabet) == (
        start.network,
        start.geometry,
        start.alphabet,
    )
    assert (recipe.optimization.schedule, recipe.optimization.steps) == ("cosine", 20)
    assert (recipe.losses.ctc > 0) is (name != "siga-s-compact")


@pytest.mark.parametrize("decoder", ["parallel", "aligned", "ctc"])
def test_networks_of_both_topologies_are_taught_and_chosen_by_the_held_out_labels(
    tmp_path: Path, decoder: str
) -> None:
    recipe = tiny(decoder)
    model = build(recipe.network, recipe.geometry, Alphabet())
    start = checkpoint.Checkpoint(recipe, model.state_dict(), 0)
    checkpoint.save(start, tmp_path / "start.pt")
    trial, held = Trial(1e-3, 0.4, 96), [sample(n, 4, masks=False) for n in range(90, 98)]
    learned = [sample(n, 4, masks=False) for n in range(20)]
    steps = list(run_trial(trial, tmp_path / "start.pt", learned, samples(30), held, tmp_path / "run"))
    chooser = Chooser(Selection.of(start, samples(30), samples(8)), held)
    found = chooser.candidate(trial, tmp_path / "run", learned)
    taught = found.checkpoint.part("taught")

    assert [step.step for step in steps] == [1, 2, 3, 4]
    assert list(run_trial(trial, tmp_path / "start.pt", learned, samples(30), held, tmp_path / "run")) == []
    assert found.right == 0
    assert (found.checkpoint.lessons, taught.lessons, taught.steps) == (1, 0, 4)
    assert found.edits >= 8
    for name, before in start.weights.items():
        assert torch.equal(found.checkpoint.part("parent").weights[name], before)
        if "running" in name:  # statistics of few crops of one kind would spoil the reading
            assert torch.equal(taught.weights[name], before)


def test_the_weights_of_the_second_generation_can_be_taught(tmp_path: Path) -> None:
    start = RECIPES.parent / "weights" / "siga-aligned.safetensors"
    learned, held = [sample(n, 4, masks=False) for n in range(8)], [sample(90, 4, masks=False)]
    trial, before = Trial(1e-4, 0.4, 48), checkpoint.load(start)
    steps = list(run_trial(trial, start, learned, samples(12), held, tmp_path / "run"))
    selection = Selection.of(before, samples(12), samples(4))
    found = Chooser(selection, held).candidate(trial, tmp_path / "run", learned)

    assert [step.step for step in steps] == [1, 2]
    assert found.checkpoint.recipe.network == before.recipe.network


def test_glyph_maps_learn_from_crops_with_masks_alone() -> None:
    recipe = load(RECIPES / "siga-tiny.toml", TrainingRecipe)
    model = untrained().network().train()
    both = [sample(1, 4), sample(2, 4, masks=False)]

    def found(samples: list[Any], labels: str) -> float:
        batch = collate(samples, 96, recipe, Alphabet())
        outputs = model.train_forward(batch.crops, batch.targets.classes)
        losses = Losses.model_validate({"glyph_labels": labels})
        return float(terms(outputs, batch.targets, losses, 0.5)["glyph_maps"].detach())

    model.eval()
    assert found(both, "masks") == pytest.approx(found(both[:1], "masks"), rel=1e-3)
    assert found(both[1:], "masks") == 0
    assert found(both, "rendered") != pytest.approx(found(both[:1], "rendered"), rel=1e-3)


@pytest.mark.parametrize("decoder", ["parallel", "aligned", "ctc"])
def test_a_network_that_reads_as_before_has_not_departed_whatever_the_labels_say(decoder: str) -> None:
    recipe = tiny(decoder)
    batch = collate([sample(1, 4), sample(2, 4)], 96, recipe, Alphabet())

    def outputs(seed: int) -> TrainingOutputs:
        torch.manual_seed(seed)
        model = build(recipe.network, recipe.geometry, Alphabet()).eval()
        return model.train_forward(batch.crops, batch.targets.classes, batch.targets.columns)

    same, other = (departure(outputs(seed), outputs(1), batch.targets, recipe.losses) for seed in (1, 2))
    assert same.item() == pytest.approx(0, abs=1e-6)
    assert other.item() > 0.01


def test_the_line_that_is_most_like_the_label_is_learned() -> None:
    lines = [read_line("MADE"), read_line("A1Z4"), read_line("")]
    assert named_line(lines, "A124") is lines[1]
    assert named_line(lines, "777777") is None
    assert named_line(lines[:1], "777777") is lines[0]
    assert named_line([ReadLine(lines[0].crop)], "A1") is None


# --------------------------------------------------------------------------------------------------- lessons


def test_the_shipped_weights_are_those_of_the_shipped_model() -> None:
    card = Engine(shipped_model(), precision="half").card
    assert checkpoint.load(shipped_weights()).model_id == card.model_id


def test_a_lesson_stops_resumes_goes_live_and_is_undone(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, source = tmp_path / "taught", labelled(tmp_path / "labelled")
    how: dict[str, Any] = {"curriculum": SMALL, "device": "cpu", "operator": "mk"}
    parent, versions = checkpoint.load(weights).model_id, ModelVersions(out)
    how["station"] = tmp_path / "press.toml"
    save_station(Station(name="press"), how["station"])
    begun = iter(teaching.teach(source, out, start_from=weights, **how))
    assert any(progress.stage == "trial 1 of 1" for progress in begun)
    begun.close()  # type: ignore[attr-defined] # the iterator of a lesson is a generator
    with pytest.raises(CheckpointError) as refused:
        teaching.teach(source, out, **how)
    assert str(refused.value) == (
        f"{out}: holds a lesson that was stopped. Continue it with --resume, or delete {out / 'work'}."
    )

    # golden pictures beside the station file are checked; this small network learns nothing in 128 crops
    (labelled(tmp_path / "golden", 1) / "labels.csv").write_text("filename,text\n00.png,X1\n")
    lesson = teaching.teach(source, out, resume=True, **how)
    stages = {progress.stage for progress in lesson}
    assert stages == {
        *("rendering replay", "rendering golden", "selection", "trial 1 of 1", "learning curve", "gate"),
    }
    assert lesson.outcome is not None
    assert not lesson.outcome.ok
    assert f"refused: {parent} stays" in lesson.outcome.summary()
    assert versions.live["version"] == 0
    assert sorted(path.name for path in (out / "refused").iterdir()) == ["CARD.md", "lesson.json"]
    card = (out / "refused" / "CARD.md").read_text(encoding="utf-8")
    assert "Refused: not clearly better on held-out labels: 0 won, 0 lost (p 1.00)." in card
    assert "job validation: 00.png: read " in card
    assert not (out / "work").exists()
    entry = run_log.run_of(out / "runs.log", "teach")
    assert (entry["operator"], entry["about"]["accepted"]) == ("mk", False)

    monkeypatch.setattr(PromotionGate, "problems", ())
    with_earlier = {**versions.live, "learned": ["EARLIER1"]}  # as if the live version had learned this
    (out / "lesson.json").write_text(json.dumps(with_earlier), encoding="utf-8")
    lesson = teaching.teach(source, out, **how)
    list(lesson)
    assert lesson.outcome is not None
    live = versions.live
    assert (live["version"], live["parent"]) == (1, 0)
    assert Engine(out / "model.onnx").card.model_id == lesson.outcome.model_id == live["model_id"]
    assert load(out / "station.toml", Station).model_id == live["model_id"] != parent
    assert lesson.outcome.station.startswith("every reading stays REVIEW: ")
    assert live["labels"]["learned"] + live["labels"]["held_out"] == 24
    assert "EARLIER1" in live["learned"]  # the next lesson holds out neither this nor what was learned now
    assert len(live["learned"]) > 1
    with pytest.raises(CheckpointError, match=r"holds a taught model\. Teach it without --from"):
        teaching.teach(source, out, start_from=weights)
    taught, card = checkpoint.load(out / "weights.safetensors"), (out / "CARD.md").read_text("utf-8")
    assert (taught.lessons, taught.part("parent").model_id) == (1, parent)
    names = ("held-out labels", "golden crops")
    assert [(kind.name, kind.crops) for kind in lesson.outcome.selected] == [*zip(names, (8, 4), strict=True)]
    assert f"| read by the taught network | {lesson.outcome.selected[0]}, " in card

    # the next lesson goes on from the taught network
    begun = iter(teaching.teach(labelled(tmp_path / "more", 24, 100), out, **how))
    assert any(progress.stage == "selection" for progress in begun)
    begun.close()  # type: ignore[attr-defined] # the iterator of a lesson is a generator
    assert checkpoint.load(out / "work" / "start.pt").model_id == taught.part("taught").model_id
    shutil.rmtree(out / "work")

    done = CliRunner().invoke(cli.app, ["teach", "--undo", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert Engine(out / "model.onnx").card.model_id == parent
    with pytest.raises(RecordsError) as nothing:
        teaching.undo_lesson(out)
    assert str(nothing.value) == (
        f"{out}: nothing to undo. Teach a model first: serialread teach LABELLED --out {out}"
    )
    assert run_log.verify(out / "runs.log").ok


def test_a_copy_of_a_version_beside_the_versions_is_no_version(tmp_path: Path) -> None:
    for name in ("0", "1-backup", "12.old", "notes"):
        (tmp_path / "versions" / name).mkdir(parents=True)
    assert ModelVersions(tmp_path).next() == 1


def test_results_are_taught_by_the_corrections_beside_them(tmp_path: Path) -> None:
    pictures, results = labelled(tmp_path / "pictures", 4), tmp_path / "results"
    run = read_folder(pictures, results, station=Station(name="s1"))
    list(run)
    (results / "labels.csv").write_text("filename,text\n02.png,A 1\n00.png,\n")
    found = LabelSource.of(results)

    assert ([p.image for p in found.pictures], found.texts) == (["02.png"], ("A1",))
    assert found.station == Station(name="s1")
    assert LabelSource.confirmed_by(results, found).pictures == ()
    (results / "labels.csv").write_text("filename,text\n02.png,A 1\n02.png,A1\n02.png,B2\n")
    with pytest.raises(CalibrationError) as twofold:
        LabelSource.of(results)
    assert str(twofold.value) == (f"{results / 'labels.csv'}: 02.png is both A1 and B2. Keep the right line.")
    (results / "labels.csv").write_text("filename,text\n02.png,A1\n")
    (pictures / "02.png").unlink()
    with pytest.raises(RecordsError) as gone:
        LabelSource.of(results)
    assert str(gone.value) == (
        f"{results / 'labels.csv'}: 02.png: no such picture among the readings, or it has changed since "
        "(1 in all). Put the pictures back, or read them again."
    )


@pytest.mark.parametrize(
    ("code", "line", "confirmed"),
    [
        ("imei", {"verdict": "obeys"}, True),
        ("digits", {"verdict": "obeys"}, False),
        ("imei", {"verdict": "obeys", "free_text": "490154203237519"}, False),
        ("", {"barcode_check": "agrees"}, True),
        ("", {"barcode_check": "differs"}, False),
        ("", {"second_text": "490154203237518"}, True),
        ("", {"second_text": "490154203237519"}, False),
        ("imei", {"verdict": "misprint", "barcode_check": "none"}, False),
    ],
)
def test_unlabelled_readings_need_a_second_witness(
    tmp_path: Path, code: str, line: dict[str, str], confirmed: bool
) -> None:
    pictures, results = labelled(tmp_path / "pictures", 1), tmp_path / "results"
    list(read_folder(pictures, results, station=Station(code={"format": code})))
    path = results / "readings.jsonl"
    record = json.loads(path.read_text()) | {"text": "490154203237518", "free_text": ""} | line
    path.write_text(json.dumps(record) + "\n")
    nobody = LabelSource(path, (), ())
    assert bool(LabelSource.confirmed_by(results, nobody).pictures) is confirmed


def test_too_few_labels_and_too_few_texts_are_errors(tmp_path: Path, weights: Path) -> None:
    few = labelled(tmp_path / "few", 6)
    (few / "labels.csv").write_text("filename,text\n" + "".join(f"0{n}.png,A\n" for n in range(6)))
    with pytest.raises(StoreError) as refused:
        teaching.teach(few, tmp_path / "out", start_from=weights)
    assert str(refused.value) == (
        f"{few / 'labels.csv'}: 6 labelled pictures. Teaching needs 20: label more."
    )
    same = labelled(tmp_path / "same", 24)
    (same / "labels.csv").write_text("filename,text\n" + "".join(f"{n:02d}.png,A\n" for n in range(24)))
    with pytest.raises(StoreError, match=r"too few different texts to hold some out \(1 in 24 pictures\)"):
        teaching.teach(same, tmp_path / "out", start_from=weights)
    assert not (tmp_path / "out").exists()
