"""The order of review: what gains most first, a fixed random share, second reviews, disputes settled."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from review_cases import opened, part_of, reading, write_results

from serialread import auditing, run_log
from serialread.errors import RecordsError
from serialread.label_tables import read_labels
from serialread.metrics import wilson
from serialread.review import (
    Call,
    Filters,
    ReviewQueue,
    calls_csv,
    export_labels,
    import_labels,
    labels_csv,
)
from serialread.review.queue import error_probability, is_right


def save(queue: ReviewQueue, part: str, text: str, reviewer: str = "Ann", **more: Any) -> None:
    line = queue.reading(part)
    assert line
    queue.store.save(part, line["image"], Call.of("read", text, reviewer, **more))


def test_signs_of_an_error_make_it_likelier() -> None:
    plain = error_probability(reading("a.png", confidence=0.9))
    assert plain == pytest.approx(0.1)
    for sign in (
        {"free_text": "A18"},
        {"second_text": "A18"},
        {"barcode_check": "differs"},
        {"upside_down_text": "L1V"},
        {"other_texts": ["B"]},
        {"sequence_findings": ["1 missing"]},
    ):
        assert plain < error_probability(reading("a.png", confidence=0.9, **sign)) < 1
    assert error_probability(reading("a.png", "", 0.9)) == 1
    agreeing = reading("a.png", confidence=0.9, second_text="A17")
    assert error_probability(agreeing) == plain


def test_what_gains_most_comes_first_and_batches_that_nobody_saw_before_others(tmp_path: Path) -> None:
    lines = [reading(f"{b}/{i}.png", confidence=c) for b in "ab" for i, c in enumerate((0.99, 0.5, 0.8))]
    queue = opened(write_results(tmp_path, lines), random_share=0, second_share=0)
    order = []
    while tasks := queue.next("Ann"):
        line = queue.reading(tasks[0].part)
        assert line
        order.append(line["image"])
        save(queue, tasks[0].part, "A17")
    assert order == ["a/1.png", "b/1.png", "a/2.png", "b/2.png", "a/0.png", "b/0.png"]


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 1.0])
def test_the_random_share_is_kept_and_its_order_is_that_of_the_keys(tmp_path: Path, share: float) -> None:
    lines = [reading(f"{i}.png", confidence=i / 200) for i in range(200)]
    queue = opened(write_results(tmp_path, lines), random_share=share, second_share=0)
    drawn = []
    for _ in range(100):
        (task,) = queue.next("Ann")
        drawn += [task.part] if task.source == "random" else []
        save(queue, task.part, "A17", source=task.source)
    by_key = sorted(map(part_of, lines))
    assert drawn == [part for part in by_key if part in set(drawn)]
    due = by_key[: round(100 * share)]
    assert all(queue.store.calls(part) for part in due)
    assert queue.progress().sample in (len(due), len(due) + 1)


@settings(max_examples=15, deadline=None)
@given(wrong=st.sets(st.integers(0, 59)), share=st.sampled_from((0.1, 0.3, 1.0)), reviews=st.integers(0, 60))
def test_the_accuracy_is_that_of_a_prefix_of_the_random_order_whatever_is_reviewed(
    tmp_path_factory: pytest.TempPathFactory, wrong: set[int], share: float, reviews: int
) -> None:
    lines = [reading(f"{i}.png", confidence=0.1 if i in wrong else 0.9) for i in range(60)]
    queue = opened(write_results(tmp_path_factory.mktemp("r"), lines), random_share=share, second_share=0)
    truths = {part_of(line): "B" if i in wrong else "A17" for i, line in enumerate(lines)}
    for _ in range(reviews):
        (task,) = queue.next("Ann")
        save(queue, task.part, truths[task.part], source=task.source)
    found = queue.progress()
    due = min(int(reviews * share) + 1, 60)
    assert found.sample in (due, due - 1)  # the last that is due may be the next to show
    prefix = sorted(truths)[: found.sample]
    assert found.right == sum(truths[part] == "A17" for part in prefix)
    assert found.interval == wilson(found.right, found.sample)
    queue.store.close()


def test_a_filter_draws_nothing_at_random_and_does_not_move_the_sample(tmp_path: Path) -> None:
    lines = [reading(f"a/{i}.png", decision="ACCEPT" if i % 2 else "REVIEW") for i in range(20)]
    lines += [reading("b/X.png", "B9", sequence_findings=["2 missing after B6"])]
    queue = opened(write_results(tmp_path, lines), second_share=0)
    shown = {}
    for filters in (Filters(batch="b"), Filters(text="x.PNG"), Filters(text="b9"), Filters(reason="missing")):
        (task,) = queue.next("Ann", 1, filters)
        shown[task.part] = task.source
    assert shown == {part_of(lines[-1]): "filter"}
    while tasks := queue.next("Ann", 1, Filters(batch="a", decision="ACCEPT")):
        save(queue, tasks[0].part, "A17", source=tasks[0].source)
    assert (queue.progress().reviewed, queue.progress().sample) in ((10, 0), (10, 1))
    assert queue.next("Ann", 9, Filters(text="%")) == []


def test_a_second_review_is_for_another_person_and_a_dispute_is_settled(tmp_path: Path) -> None:
    lines = [reading(f"{i}.png") for i in range(3)]
    queue = opened(write_results(tmp_path, lines), second_share=1.0)
    parts = [task.part for task in queue.next("Ann", 3)]
    for part in parts:
        save(queue, part, "A17")
    assert queue.next("Ann", 3) == []
    assert queue.progress().waiting == 3
    seconds = queue.next("Ben", 3)
    assert {(task.part, task.role) for task in seconds} == {(part, "second") for part in parts}
    save(queue, parts[0], "A18", "Ben")
    assert queue.next("Ben", 1)[0].role == "second"  # not the dispute that Ann and Ben caused
    assert queue.next("Ann", 1) == []
    assert [queue.task(parts[0], name).role for name in ("Ann", "Ben")] == ["first", "second"]
    (dispute,) = queue.next("Cem", 1)
    assert (dispute.part, dispute.role) == (parts[0], "final")
    assert (queue.progress().disputed, labels_csv(queue).count(b"\n")) == (1, 3)
    queue.store.save(parts[0], "0.png", Call.of("read", "A18", "Cem"))
    assert (queue.progress().disputed, labels_csv(queue).count(b"A18")) == (0, 1)


def test_the_second_share_is_kept(tmp_path: Path) -> None:
    lines = [reading(f"{i}.png") for i in range(1000)]
    queue = opened(write_results(tmp_path, lines), random_share=0, second_share=0.1)
    with queue.store.locked() as database:
        chosen = database.execute("SELECT SUM(second) FROM readings").fetchone()[0]
    assert 70 < chosen < 130


def test_readings_that_are_written_later_are_found(tmp_path: Path) -> None:
    queue = opened(write_results(tmp_path, [reading("a.png")]), second_share=0)
    write_results(tmp_path, [reading("b.png")])
    with queue.path.open("a") as file:
        file.write('{"image": "torn')
    assert queue.progress().readings == 2
    with queue.path.open("a") as file:
        file.write("\n")
    write_results(tmp_path, [reading("c.png")])
    assert queue.progress().readings == 3
    assert len(queue.next("Ann", 9)) == 3


def test_calls_stay_with_their_pictures_when_the_results_are_replaced(tmp_path: Path) -> None:
    lines = [reading(f"{i}.png", f"A{i}") for i in range(4)]
    queue = opened(write_results(tmp_path, lines), second_share=0)
    save(queue, part_of(lines[2]), "A2")
    queue.path.rename(tmp_path / "old")
    write_results(tmp_path, [reading("2.png", "A9"), reading("1.png", "A1", sha256="f" * 64)])
    assert (queue.progress().readings, queue.progress().reviewed) == (2, 1)
    assert labels_csv(queue).splitlines()[1:] == [b"2.png,A2,read,Ann,A9"]


def test_a_folder_without_readings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordsError) as caught:
        opened(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: no readings.jsonl in it. Name the folder that serialread read --out writes."
    )


@pytest.mark.parametrize(
    ("label", "text", "decision", "right"),
    [
        ("read", "A17", "REVIEW", True),
        ("read", "A18", "ACCEPT", False),
        ("read", "A17", "REJECT", False),
        ("no code", "", "REVIEW", False),
        ("no code", "", "REJECT", True),
        ("wrong crop", "A17", "REVIEW", False),
        ("unreadable", "", "REVIEW", None),
    ],
)
def test_what_counts_as_right(label: str, text: str, decision: str, right: bool | None) -> None:
    assert is_right(Call.of(label, text, "Ann"), "A17", decision) is right


def test_labels_go_out_to_the_audit_and_to_the_study_of_agreement(tmp_path: Path) -> None:
    lines = [reading(f"{i}.png", f"A{i}") for i in range(4)]
    queue = opened(write_results(tmp_path, lines), second_share=1.0)
    for i, line in enumerate(lines[:3]):
        save(queue, part_of(line), f"A{i}")
        save(queue, part_of(line), f"A{i}", "Ben")
    queue.store.save(part_of(lines[3]), "3.png", Call.of("unreadable", "", "Ann"))
    labels, calls = export_labels(queue, tmp_path / "out", "Ann")
    assert labels.read_bytes() == labels_csv(queue)
    assert read_labels(labels).pairs() == [("0.png", "A0"), ("1.png", "A1"), ("2.png", "A2"), ("3.png", "")]
    study = auditing.agreement(calls, labels)
    assert list(study.appraisers["appraiser"]) == ["Ann", "Ben"]
    assert list(study.appraisers["effective"]) == [3, 3]
    logged = run_log.run_of(tmp_path / "out" / "runs.log", "review", wrote=labels)
    assert (logged["about"]["head"], logged["about"]["review"]) == (queue.store.head, "../review.sqlite")


def test_a_hostile_name_is_exported_as_it_is_in_the_readings(tmp_path: Path) -> None:
    names = [
        "=cmd|'/c calc'!A1.png",
        'a,"b"\n.png',
        "\udcff.png",
        "<script>alert(1)</script>.png",
        "../../etc/passwd",
    ]
    lines = [reading(name, f"A{i}") for i, name in enumerate(names)]
    queue = opened(write_results(tmp_path, lines), second_share=0)
    for task in queue.next("Ann", 9):
        save(queue, task.part, "Z")
    rows = labels_csv(queue).decode().splitlines()
    assert len(rows) == 7  # one name has a line end
    assert rows[4] == r"\udcff.png,Z,read,Ann,A2"


STUDIO = [
    {
        "id": 1,
        "data": {"image": "/data/upload/3/0a1b2c3d-0.png"},
        "annotations": [
            {
                "completed_by": {"email": "cem@plant"},
                "result": [
                    {"type": "rectangle", "value": {"x": 1}},
                    {"type": "textarea", "value": {"text": ["X 0"]}},
                ],
            }
        ],
    },
    {"data": {"ocr": "/data/local-files/?d=parts%2F1.png"}, "annotations": [{"result": []}]},
    {
        "data": {"image": "s3://bucket/parts/2.png"},
        "annotations": [{"result": [{"type": "textarea", "value": {"text": [t]}} for t in ("A", "B")]}],
    },
    {"image": "https://host/parts/3.png", "transcription": "X3"},
    {"data": {"image": "other.png"}, "annotations": []},
]
REGION = {"x": 1, "y": 2, "width": 3, "height": 4, "rotation": 0, "labels": ["Text"]}
ODD_STUDIO = [
    {"ocr": "/data/upload/1/abcdef12-0.png", "label": [REGION], "transcription": "X0", "annotator": 1},
    {
        "data": {"image": "https://host/parts/1.png?sig=a%2Fb.c"},
        "annotations": [{"result": [{"type": "textarea", "value": {"text": ["X1"]}}, None]}],
    },
    {"image": "https://host/parts/2.png?d=5", "value": [REGION], "code": [{"text": ["X2"]}, "X2", 7]},
    {"data": {"image": "parts/3.png"}, "annotations": None},
    {"data": {"image": "parts/3.png"}, "annotations": [{"result": [{"type": "textarea", "value": None}]}]},
    {"data": {"text": "no picture"}, "annotations": []},
    {"data": None},
]
CVAT = """<?xml version="1.0"?><annotations><version>1.1</version>
<image id="0" name="parts/0.png"><box label="code"><attribute name="text">X0</attribute></box></image>
<image id="1" name="parts/1.png"><box label="code"/></image>
<image id="2" name="parts/2.png"><tag label="code"><attribute name="Serial">X2</attribute></tag></image>
</annotations>"""
TABLE = "filename,text,label,reviewer\n0.png,X0,,\n1.png,,no code,Cem\n2.png,,,\n3.png,A\x07,,\n"


@pytest.mark.parametrize(
    ("name", "data", "said", "summary"),
    [
        (
            "studio.json",
            json.dumps(STUDIO),
            {"0": ("read", "X0", "cem@plant"), "3": ("read", "X3", "studio.json")},
            "2 labels imported, 0 known before, "
            "1 left out (no reading of this picture), 2 left out (no text)",
        ),
        (
            "studio.json",
            json.dumps(ODD_STUDIO),
            {str(i): ("read", f"X{i}", "studio.json") for i in range(3)},
            "3 labels imported, 0 known before, 2 left out (no name of a picture), 2 left out (no text)",
        ),
        (
            "cvat.xml",
            CVAT,
            {"0": ("read", "X0", "cvat.xml"), "2": ("read", "X2", "cvat.xml")},
            "2 labels imported, 0 known before, 1 left out (no text)",
        ),
        (
            "labels.csv",
            TABLE,
            {"0": ("read", "X0", "labels.csv"), "1": ("no code", "", "Cem")},
            "2 labels imported, 0 known before, 1 left out (no text), "
            "1 left out (text: not 1 to 200 printable characters)",
        ),
    ],
)
def test_labels_of_others_are_imported(
    tmp_path: Path, name: str, data: str, said: dict[str, tuple[str, str, str]], summary: str
) -> None:
    lines = [reading(f"parts/{i}.png", f"A{i}") for i in range(4)]
    queue = opened(write_results(tmp_path / "results", lines), second_share=0)
    path = tmp_path / name
    path.write_text(data)
    done = import_labels(queue, path)
    assert done.summary() == f"{path}: {summary}"
    calls = {str(i): queue.store.calls(part_of(line)).get("first") for i, line in enumerate(lines)}
    assert {i: (c.label, c.text, c.reviewer) for i, c in calls.items() if c} == said
    assert import_labels(queue, path).saved == 0
    assert queue.progress().sample <= 1  # of the random order, only the first reading is due


def test_an_imported_label_never_replaces_a_call(tmp_path: Path) -> None:
    queue = opened(write_results(tmp_path / "results", [reading("a.png")]))
    part = part_of(reading("a.png"))
    save(queue, part, "A17")
    (tmp_path / "labels.csv").write_text("filename,text\na.png,A18\n")
    assert import_labels(queue, tmp_path / "labels.csv", "Ben").saved == 1
    assert {role: call.text for role, call in queue.store.calls(part).items()} == {
        "first": "A17",
        "second": "A18",
    }
    assert queue.progress().disputed == 1


@pytest.mark.parametrize("decided", [("A17", "A17"), ("A17", "A18"), ("A17", "A18", "A19")])
def test_an_imported_label_leaves_what_two_people_decided_as_it_is(
    tmp_path: Path, decided: tuple[str, ...]
) -> None:
    queue = opened(write_results(tmp_path / "results", [reading("a.png")]))
    part = part_of(reading("a.png"))
    for reviewer, text in zip(("Ann", "Ben", "Cem"), decided, strict=False):
        save(queue, part, text, reviewer)
    before, labels = queue.store.calls(part), tmp_path / "labels.csv"
    for text, operator in (("OLD9", "erp"), ("OLD9", "Ann"), ("OLD9", "Cem")):
        labels.write_text(f"filename,text\na.png,{text}\n")
        done = import_labels(queue, labels, operator)
        counts = "0 labels imported, 0 known before, 1 left out (decided by two people)"
        assert done.summary() == f"{labels}: {counts}"
    assert queue.store.calls(part) == before
    assert len(before) == len(decided)


def test_a_file_imported_again_is_known_where_its_label_was_changed_since(tmp_path: Path) -> None:
    queue = opened(write_results(tmp_path / "results", [reading("a.png")]))
    labels, part = tmp_path / "labels.csv", part_of(reading("a.png"))
    labels.write_text("filename,text\na.png,A18\n")
    assert import_labels(queue, labels, "Ann").saved == 1
    save(queue, part, "A19", "Ann")
    again = import_labels(queue, labels, "Ann")
    assert (again.saved, again.same) == (0, 1)
    assert queue.store.calls(part)["first"].text == "A19"


def test_a_second_person_s_label_that_agrees_is_the_second_call(tmp_path: Path) -> None:
    lines = [reading(f"{i}.png", f"A{i}") for i in range(3)]
    queue = opened(write_results(tmp_path / "results", lines), second_share=0)
    labels = tmp_path / "labels.csv"
    labels.write_text("filename,text\n0.png,A0\n1.png,A1\n2.png,A2\n")
    assert import_labels(queue, labels, "Ann").saved == 3
    again = import_labels(queue, labels, "Ann")
    assert (again.saved, again.same) == (0, 3)
    assert import_labels(queue, labels, "Ben").saved == 3
    assert import_labels(queue, labels, "Cem").same == 3  # two have settled it
    assert calls_csv(queue).count(b"\n") == 7
    for line in lines:
        assert {role: call.reviewer for role, call in queue.store.calls(part_of(line)).items()} == {
            "first": "Ann",
            "second": "Ben",
        }


def test_exported_labels_are_imported_into_another_review(tmp_path: Path) -> None:
    lines = [reading(f"{i}.png", f"A{i}") for i in range(3)]
    queue = opened(write_results(tmp_path / "one", lines), second_share=0)
    for line, label in zip(lines, ("read", "unreadable", "wrong crop"), strict=True):
        queue.store.save(part_of(line), line["image"], Call.of(label, "B1", "Ann"))
    labels, _ = export_labels(queue, tmp_path / "out")
    other = opened(write_results(tmp_path / "two", lines), second_share=0)
    assert import_labels(other, labels).saved == 3
    assert labels_csv(other) == labels_csv(queue)
    assert calls_csv(other) == b"filename,appraiser,trial,text\n"


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.json", "{}", "not a list of tasks. Export as JSON or JSON-MIN from Label Studio."),
        (
            "a.json",
            "[",
            "cannot be read as JSON: Expecting value: line 1 column 2 (char 1). Export it again.",
        ),
        ("a.xml", "<a/>", 'no CVAT export. Export it from CVAT as "CVAT for images 1.1".'),
        ("a.xml", "<a", "cannot be read as XML: unclosed token: line 1, column 0. Export it again."),
    ],
)
def test_a_file_that_is_no_export_is_refused(tmp_path: Path, name: str, data: str, message: str) -> None:
    queue = opened(write_results(tmp_path, [reading("a.png")]))
    (tmp_path / name).write_text(data)
    with pytest.raises(RecordsError) as caught:
        import_labels(queue, tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}: {message}"
