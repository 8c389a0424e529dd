"""Characters, confidence, groups, trends, samples and file formats of an audit."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from audit_cases import judged, line, readings, truths, write_readings
from hypothesis import given, settings, strategies as st
from sklearn.calibration import calibration_curve

from serialread import run_log
from serialread.auditing import Audit, audit, audit_tables, read_batches, report_files, sections
from serialread.auditing.characters import character_tables
from serialread.auditing.releases import FATES, MisreadLimit, fates, releases_in_words
from serialread.auditing.sampling import images_to_label
from serialread.auditing.sections import ReportSection
from serialread.auditing.trends import read_limits
from serialread.config import Calibration, Station, StationLimits
from serialread.errors import RecordsError
from serialread.label_tables import TextTable


def said(done: Audit) -> list[str]:
    return [f"{finding.severity}: {finding.text}" for finding in done.findings]


def tables_of(*pairs: tuple[str, str], **cells: str) -> tuple[TextTable, TextTable]:
    lines = [line(f"{i}.png", read, **cells) for i, (read, _) in enumerate(pairs)]
    return readings(*lines), truths(*[(f"{i}.png", truth) for i, (_, truth) in enumerate(pairs)])


def audit_of(*pairs: tuple[str, str], **cells: str) -> Audit:
    return audit_tables(*tables_of(*pairs, **cells))


# --- characters -----------------------------------------------------------------------------------


def test_characters_are_counted_as_worked_by_hand() -> None:
    counted = audit_of(("8B", "BB"), ("BB", "BB"), ("B", "BA"), ("BAA", "BA"), ("", "BB"))
    lines = counted.characters.set_index("character")
    columns = ["in_truth", "right", "substituted", "deleted", "inserted", "mostly_read_as"]
    assert lines.loc["B", columns].tolist() == [6, 5, 1, 0, 0, "8"]
    assert lines.loc["A", columns].tolist() == [2, 1, 0, 1, 1, ""]
    assert counted.confusions[["kind", "truth", "read", "count"]].to_numpy().tolist() == [
        ["inserted", "", "A", 1],
        ["deleted", "A", "", 1],
        ["substituted", "B", "8", 1],
    ]
    columns = ["position", "in_truth", "right", "inserted"]
    assert counted.positions[columns].to_numpy().tolist() == [[1, 4, 3, 0], [2, 4, 3, 0], [3, 0, 0, 1]]
    assert counted.lengths[["truth_length", "read_length", "images"]].to_numpy().tolist() == [
        [2, 1, 1],
        [2, 3, 1],
    ]


CODES = st.text("AB08", min_size=1, max_size=6)


@given(pairs=st.lists(st.tuples(st.text("AB08", max_size=6), CODES), min_size=1, max_size=12))
@settings(max_examples=40, deadline=None)
def test_every_edit_of_a_text_that_was_read_is_in_every_table(pairs: list[tuple[str, str]]) -> None:
    rows = judged(*tables_of(*pairs))
    found = character_tables(rows)
    edits = rows["edits"][rows["read"]].sum()
    assert found.confusions["count"].sum() == edits
    for table in (found.characters, found.positions):
        assert table[["substituted", "deleted", "inserted"]].to_numpy().sum() == edits
        assert (table["in_truth"] == table["right"] + table["substituted"] + table["deleted"])[
            table["in_truth"] > 0
        ].all()
        assert table["in_truth"].sum() == sum(len(truth) for text, truth in pairs if text)
    assert found.lengths["images"].sum() == rows["length_errors"].sum()


def test_errors_say_what_was_taken_for_what() -> None:
    assert audit_of(("A8C", "ABCD")).errors["difference"].tolist() == ["2: B read as 8; 4: D deleted"]


# --- confidence -----------------------------------------------------------------------------------


def test_the_reliability_is_that_of_sklearn() -> None:
    rng = np.random.default_rng(3)
    sure = rng.random(400).round(3)
    right = rng.random(400) < sure
    lines = [line(f"{i}.png", "1", confidence=str(s)) for i, s in enumerate(sure)]
    labels = [(f"{i}.png", "1" if r else "2") for i, r in enumerate(right)]
    done = audit_tables(readings(*lines), truths(*labels))
    shares, means = calibration_curve(right, sure, n_bins=10)
    assert done.confidence["accuracy"].tolist() == pytest.approx(shares, abs=1e-6)
    assert done.confidence["mean_confidence"].tolist() == pytest.approx(means, abs=1e-6)
    assert done.coverage["kept"].iloc[-1] == 400
    assert len(done.coverage) <= 200


def test_a_decision_does_not_change_what_the_confidence_is_worth() -> None:
    both = [audit_of(("1", "1"), ("2", "3"), decision=decision) for decision in ("ACCEPT", "REJECT")]
    assert both[0].confidence_quality.summary() == both[1].confidence_quality.summary()
    assert both[0].coverage.equals(both[1].coverage)


# --- groups ---------------------------------------------------------------------------------------


def audited(tmp_path: Path, table: bytes, *, by: str | None = None) -> Audit:
    (tmp_path / "table.csv").write_bytes(table)
    lines = [line(f"{batch}/{i}.png", "1") for batch in ("b1", "b2", "b3") for i in range(2)]
    labels = [(one["image"], "1" if one["batch"] != "b2" else "2") for one in lines]
    return audit_tables(
        readings(*lines), truths(*labels), batches=read_batches(tmp_path / "table.csv"), by=by
    )


@pytest.mark.parametrize(
    "table",
    [
        b"batch,shift\nb1,early\nb2,late\nb3,late\n",
        b"\xef\xbb\xbfBatch;Shift\r\nb1;early\r\nb2;late\r\nb3;late\r\nb3;late\r\n",
        b"filename\tshift\nb1\\0.png\tearly\n1.png\tnone\nb1/1.png\tearly\n"
        + b"".join(b"b%d/%d.png\tlate\n" % (b, i) for b in (2, 3) for i in (0, 1)),
    ],
)
def test_any_column_of_a_batch_table_is_summed_up(tmp_path: Path, table: bytes) -> None:
    done = audited(tmp_path, table)
    shifts = {
        value: (images, right)
        for value, images, right in done.groups[["value", "images", "right"]].to_numpy()
    }
    assert shifts == {"early": (2, 2), "late": (4, 2)}
    assert done.batches["batch"].tolist() == ["b1", "b2", "b3", "total"]
    lines = done.groups
    assert lines[["column", "value", "images"]].to_numpy().tolist() == [
        ["shift", "early", 2],
        ["shift", "late", 4],
    ]


def test_a_column_can_make_the_batches(tmp_path: Path) -> None:
    done = audited(tmp_path, b"batch,Tool,shift\nb1,t1,x\nb2,t2,x\nb3,t1,x\n", by="tool")
    assert done.batches[["batch", "images"]].to_numpy().tolist() == [["t1", 4], ["t2", 2], ["total", 6]]
    assert set(done.groups["column"]) == {"shift"}


def test_what_a_batch_table_leaves_out_or_contradicts_is_said(tmp_path: Path) -> None:
    done = audited(tmp_path, b"batch,shift\nb1,early\nb2,early\nb2,late\nb9,late\n")
    assert said(done) == [
        "error: table.csv: lines contradict each other about b2; they are ignored.",
        "warning: table.csv: no line for 1 batch: b3.",
        "warning: table.csv: 1 line without a reading: b9.",
    ]
    assert done.groups["value"].tolist() == ["early", ""]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (b"lot,shift\n1,2\n", "no column batch. Its first line must name the column batch, or filename."),
        (b"batch\nb1\n", "needs another column than batch. Add one, such as shift."),
        (b"batch,a,a\nb1,1,2\n", "two columns a. Give every column a name of its own."),
        (b"batch,shift\n,early\n", "no line in it. Add one line per batch."),
    ],
)
def test_a_batch_table_without_use_is_one_clear_line(tmp_path: Path, table: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(table)
    with pytest.raises(RecordsError) as caught:
        read_batches(tmp_path / "t.csv")
    assert str(caught.value) == f"{tmp_path / 't.csv'}: {message}"


def test_batches_by_an_unknown_column_are_refused() -> None:
    with pytest.raises(RecordsError) as caught:
        audit_tables(readings(line("a.png", "1")), by="colour")
    assert str(caught.value) == "--by colour: no such column. Give one of batch, station_id, model_id."


# --- trends ---------------------------------------------------------------------------------------


def batch(name: str, images: int, unread: int, *, day: int = 1, **cells: str) -> list[dict[str, str]]:
    texts = [""] * unread + ["1"] * (images - unread)
    at = f"2026-01-{day:02d}T08:00:00Z"
    return [line(f"{name}/{i}.png", text, read_at=at, **cells) for i, text in enumerate(texts)]


def steady(batches: int = 10, images: int = 100) -> list[dict[str, str]]:
    return [
        row
        for b in range(batches)
        for row in batch(f"b{b}", images, 2 + b % 2, day=b + 1, contrast=f"0.{50 + b % 2}")
    ]


def test_a_batch_beyond_its_limit_is_said_in_plain_words() -> None:
    done = audit_tables(readings(*steady(), *batch("bad", 100, 20, day=20, contrast="0.5")))
    assert (
        "warning: batch bad: no-read rate 20.00 % (20 of 100) is above the limit 11.01 %: "
        "check the mark, the lens and the light."
    ) in said(done)
    assert "note: Control limits come from 11 batches: provisional until there are 20." in said(done)


def test_few_batches_have_no_limits_of_their_own() -> None:
    assert said(audit_tables(readings(*batch("a", 100, 0), *batch("b", 100, 50)))) == []


def test_batches_are_in_time_order_by_reading_or_by_the_table_s_date(tmp_path: Path) -> None:
    lines = [*batch("late", 3, 0, day=9), *batch("early", 3, 1, day=2)]
    (tmp_path / "t.csv").write_text("batch,date\nlate,2026-01-01\nearly,2026-02-01\n")
    by_reading = audit_tables(readings(*lines))
    by_date = audit_tables(readings(*lines), batches=read_batches(tmp_path / "t.csv"))
    assert by_reading.control_charts[0].batches == ("early", "late")
    assert by_date.control_charts[0].batches == ("late", "early")


def test_batches_made_of_dates_are_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("batch,date\nlate,2026-01-01\nearly,2026-02-01\n")
    lines = [*batch("early", 3, 1, day=2), *batch("late", 3, 0, day=9)]
    done = audit_tables(readings(*lines), batches=read_batches(tmp_path / "t.csv"), by="Date")
    assert done.control_charts[0].batches == ("2026-01-01", "2026-02-01")
    assert done.groups.empty


def test_limits_are_not_frozen_over_an_output(tmp_path: Path) -> None:
    write_readings(tmp_path / "r.csv", *steady(9, 10))
    done = audit(tmp_path / "r.csv")
    for name in ("audit.json", "r.csv"):
        with pytest.raises(RecordsError) as caught:
            done.freeze(tmp_path / name)
        assert str(caught.value) == (
            f"{tmp_path / name}: the audit reads or writes a file of this name. Name another file."
        )


def test_frozen_limits_judge_the_first_batch_that_comes(tmp_path: Path) -> None:
    good, bad, limits = tmp_path / "good.csv", tmp_path / "bad.csv", tmp_path / "limits.json"
    write_readings(good, *steady())
    write_readings(bad, *batch("new", 100, 15, contrast="0.20"))
    first = audit(good)
    first.freeze(limits)
    assert not [finding for finding in said(first) if "limit " in finding]
    assert read_limits(limits)["no_read"].centre == 0.025
    later = audit(bad, baseline=limits)
    assert said(later) == [
        "warning: batch new: no-read rate 15.00 % (15 of 100) is above the limit 7.18 %: "
        "check the mark, the lens and the light.",
        "warning: batch new: mean contrast 0.2, moving average 0.444, is below the limit 0.4997: "
        "check the light and the depth of the mark.",
    ]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}x", '{"no_read": 3}', '{"other": {}}', '{"no_read": {"kind": "mean"}}']
)
def test_limits_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "limits.json").write_text(text)
    with pytest.raises(RecordsError) as caught:
        read_limits(tmp_path / "limits.json")
    assert (
        str(caught.value)
        == f"{tmp_path}/limits.json: no control limits in it. Write one: serialread audit --freeze FILE."
    )


def test_limits_of_few_batches_are_not_frozen(tmp_path: Path) -> None:
    write_readings(tmp_path / "r.csv", *batch("a", 3, 0), *batch("b", 3, 0))
    with pytest.raises(RecordsError) as caught:
        audit(tmp_path / "r.csv").freeze(tmp_path / "limits.json")
    assert str(caught.value) == (
        f"{tmp_path}/limits.json: control limits need 8 batches, here are 2. Audit more batches together."
    )


def test_a_slow_fall_is_seen_by_the_moving_average_and_by_its_run() -> None:
    lines = [
        row
        for b in range(24)
        for row in batch(
            f"b{b:02d}", 5, 0, day=b + 1, contrast=f"{0.5 + 0.01 * (-1) ** b - 0.02 * max(0, b - 12):.3f}"
        )
    ]
    done = audit_tables(readings(*lines))
    assert any("mean contrast" in finding and "moving average" in finding for finding in said(done))
    assert any("mean contrast: 9 batches in a row on the wrong side of the mean" in f for f in said(done))


def test_codes_that_fail_their_format_are_followed_where_the_reader_says_so() -> None:
    lines = [line(f"b/{i}.png", "1", verdict="obeys" if i else "likely misprint") for i in range(4)]
    total = audit_tables(readings(*lines, line("b/9.png", "1"))).total
    assert (total["format_checked"], total["format_failed"]) == (4, 1)


def test_barcodes_that_differ_are_counted_and_a_finding() -> None:
    checks = ("agrees", "differs", "none", "")
    done = audit_tables(readings(*(line(f"b/{c or 'off'}.png", "1", barcode_check=c) for c in checks)))
    counts = ("barcode_checked", "barcode_differs", "barcode_difference_rate")
    assert [done.total[name] for name in counts] == [2, 1, 0.5]
    assert "warning: 1 image whose barcode says something else than the reading: b/differs.png." in said(done)


# --- draws ----------------------------------------------------------------------------------------


def test_what_to_label_is_a_fair_draw_that_anyone_can_repeat() -> None:
    lines = [
        line(f"{name}/{i}.png", "1", sha256=f"{hash_:08x}")
        for name, size in (("large", 60), ("small", 30), ("tiny", 10))
        for i, hash_ in enumerate(np.random.default_rng(len(name)).integers(0, 2**31, size))
    ]
    done = audit_tables(readings(*lines), sample=20)
    drawn = done.sampling
    assert drawn["batch"].value_counts().to_dict() == {"large": 12, "small": 6, "tiny": 2}
    assert set(drawn["text"]) == {""}
    again = audit_tables(readings(*lines[::-1]), sample=20).sampling
    assert set(again["filename"]) == set(drawn["filename"])


def test_what_has_a_truth_is_not_labelled_again() -> None:
    done = audit_tables(readings(line("a.png", "1"), line("b.png", "1")), truths(("a.png", "1")))
    assert done.sampling["filename"].tolist() == ["b.png"]


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=8), most=st.integers(1, 60))
@settings(deadline=None)
def test_a_draw_is_as_large_as_asked_and_from_every_batch_by_its_share(sizes: list[int], most: int) -> None:
    batches = [f"b{b}" for b, size in enumerate(sizes) for _ in range(size)]
    names = [f"{i}.png" for i in range(len(batches))]
    rows = pd.DataFrame({"image": names, "batch": batches, "sha256": names, "known": False})
    drawn = images_to_label(rows, most)["batch"].value_counts()
    assert drawn.sum() == min(most, len(names))
    for b, size in enumerate(sizes):
        assert abs(drawn.get(f"b{b}", 0) - size * min(1, most / len(names))) < 1


def test_a_filled_in_draw_is_a_truth_table(tmp_path: Path) -> None:
    write_readings(tmp_path / "readings.csv", line("a.png", "1"), line("b.png", "2"))
    audit(tmp_path).write(tmp_path / "out")
    filled = pd.read_csv(tmp_path / "out" / "sampling.csv", dtype=str).assign(text=["1", "3"])
    (tmp_path / "labels.csv").write_bytes(filled.to_csv(index=False, sep=";").encode("utf-8-sig"))
    done = audit(tmp_path, tmp_path / "labels.csv")
    assert (done.total["right"], done.total["wrong"]) == (1, 1)


# --- forms ----------------------------------------------------------------------------------------


def test_the_workbook_holds_every_table_and_texts_stay_texts(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    write_readings(tmp_path / "readings.csv", line("a.png", "007"), line("b.png", "=1+1"))
    (tmp_path / "labels.csv").write_text("filename,text\na.png,7\nb.png,=1+2\n")
    for name in ("1", "2"):
        done = audit(tmp_path, tmp_path / "labels.csv")
        done.write(tmp_path / name, excel=True)
    assert (tmp_path / "1" / "audit.xlsx").read_bytes() == (tmp_path / "2" / "audit.xlsx").read_bytes()
    book = openpyxl.load_workbook(io.BytesIO((tmp_path / "1" / "audit.xlsx").read_bytes()))
    assert book.sheetnames == list(done.tables)
    rows = list(book["errors"].iter_rows(values_only=True))
    at = rows[0].index("text")
    assert {row[at] for row in rows[1:]} == {"007", "=1+1"}
    assert {cell.data_type for cell in book["errors"]["D"]} == {"s"}


def test_markdown_cannot_be_broken_by_a_cell(tmp_path: Path) -> None:
    write_readings(tmp_path / "readings.csv", line("a|b.png", "x|`<b>*"))
    (tmp_path / "labels.csv").write_text("filename,text\na|b.png,1\n")
    audit(tmp_path, tmp_path / "labels.csv").write(tmp_path / "out")
    text = (tmp_path / "out" / "audit.md").read_text("utf-8")
    row = next(one for one in text.splitlines() if one.startswith("| a&#124;b"))
    assert row.count("|") == 6
    assert "<b>" not in text


def test_json_holds_every_short_table(tmp_path: Path) -> None:
    write_readings(tmp_path / "readings.csv", *steady(2, 5))
    audit(tmp_path).write(tmp_path / "out")
    document = json.loads((tmp_path / "out" / "audit.json").read_text("utf-8"))
    assert document["calibration"] == {"images": 0, "brier": None, "ece": None, "aurc": None}
    assert document["trends"][0]["measure"] == "no_read"
    assert document["sampling"] == 10


def test_a_section_is_added_to_every_format_in_one_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    last_text = ReportSection(
        "last_text",
        "Last texts",
        "The last text of each batch in order.",
        lambda found: (
            found.judged.groupby("batch")["text"].agg(lambda texts: max(texts, key=len)).reset_index()
        ),
        chart=lambda table: f'<svg class="chart" aria-label="{len(table)} batches"></svg>',
        markdown=lambda _: ("batch", "text"),
    )
    for module in (sections, report_files):
        monkeypatch.setattr(module, "SECTIONS", (*sections.SECTIONS, last_text))
    done = audit_tables(readings(line("b/a.png", "1"), line("b/b.png", "1234")))
    done.write(tmp_path, excel=True)
    assert done.last_text.to_numpy().tolist() == [["b", "1234"]]
    assert (tmp_path / "last_text.csv").read_text("utf-8") == "batch,text\nb,1234\n"
    assert json.loads((tmp_path / "audit.json").read_text("utf-8"))["last_text"] == [
        {"batch": "b", "text": "1234"}
    ]
    assert "## Last texts\n\n| batch | text |\n| --- | --- |\n| b | 1234 |" in (
        tmp_path / "audit.md"
    ).read_text("utf-8")
    assert "last_text" in openpyxl.load_workbook(tmp_path / "audit.xlsx").sheetnames
    page = (tmp_path / "report.html").read_text("utf-8")
    for part in (
        "Last texts</h3>",
        "The last text of each batch in order.",
        'aria-label="1 batches"',
        ">1234</td>",
    ):
        assert part in page


# --- releases -------------------------------------------------------------------------------------


GUARANTEED = MisreadLimit(0.01, 0.95, is_guaranteed=True)


Batch = tuple[list[dict[str, str]], list[tuple[str, str]]]
"""Readings and truths."""


def batch_of(name: str, *, right: int = 0, wrong: int = 0, trusted: int = 0, waiting: str = "") -> Batch:
    """Accepted readings with and without a truth; of those that wait r is right, w wrong, o unknown."""
    cases = [*("RIGHT",) * right, *("WRONG",) * wrong, *("TRUSTED",) * trusted, *waiting]
    codes = [f"{i:03d}".translate(str.maketrans("0123456789", "PQRSTUVWXY")) for i in range(len(cases))]
    lines = [
        line(f"{name}/{code}.png", code, decision="REVIEW" if case in "rwo" else "ACCEPT")
        for code, case in zip(codes, cases, strict=True)
    ]
    truths = {"RIGHT": "", "r": "", "WRONG": "Z", "w": "Z"}
    known = zip(codes, cases, strict=True)
    return lines, [(f"{name}/{code}.png", f"{code}{truths[case]}") for code, case in known if case in truths]


@pytest.mark.parametrize(
    ("batches", "allowed", "release", "basis", "reason"),
    [
        ([{"right": 2}], None, "SHIP", "truth known", "2 codes in the truth table."),
        (
            *([{"right": 1, "waiting": "rw"}], None, "SHIP", "truth known"),
            "3 codes in the truth table; 1 reading differs from it.",
        ),
        (
            *([{"right": 5, "wrong": 1}], None, "HOLD", "truth known"),
            "1 accepted reading is wrong: correct its record.",
        ),
        (
            *([{"wrong": 2, "trusted": 1}], GUARANTEED, "HOLD", "only calibrated"),
            "2 accepted readings are wrong: correct their records; the truth table finds 2 of 2 accepted "
            "readings wrong: the station's guarantee of 1 % does not hold.",
        ),
        ([{"waiting": "oo"}], GUARANTEED, "CHECK", "nothing", "2 readings wait for a person."),
        (
            *([{"trusted": 3}], None, "CHECK", "nothing"),
            "nothing says how many of 3 accepted readings are wrong: no truth, no calibration.",
        ),
        (
            *([{"trusted": 3}], GUARANTEED, "SHIP", "only calibrated"),
            "3 accepted readings without a truth, at most 1 % wrong by the station.",
        ),
        (
            *([{"right": 5, "trusted": 3}], GUARANTEED, "SHIP", "only calibrated"),
            "3 accepted readings without a truth, at most 1 % wrong by the station.",
        ),
        (
            *([{"right": 299, "trusted": 30}], None, "SHIP", "sample audited"),
            "299 accepted readings checked by the truth table, none wrong: at most "
            "0.997 % of the others may be.",
        ),
        (
            *([{"right": 20, "trusted": 30}], None, "CHECK", "sample audited"),
            "20 accepted readings checked by the truth table, none wrong: at most 13.9 % of the others "
            "may be, 1 % is allowed (check 279 more).",
        ),
        (
            *([{"trusted": 9}, {"right": 299}], None, "SHIP", "sample audited"),
            "299 accepted readings of all batches checked by the truth table, none wrong: at "
            "most 0.997 % of the others may be.",
        ),
        (
            *([{"trusted": 9}, {"right": 40, "wrong": 4}], GUARANTEED, "CHECK", "only calibrated"),
            "the truth table finds 4 of 44 accepted readings wrong: the station's guarantee of 1 % does not "
            "hold.",
        ),
        (
            *([{"trusted": 9}, {"right": 40, "wrong": 1}], GUARANTEED, "SHIP", "only calibrated"),
            "9 accepted readings without a truth, at most 1 % wrong by the station.",
        ),
    ],
)
def test_a_batch_ships_only_with_a_proof(
    batches: list[dict[str, Any]], allowed: MisreadLimit | None, release: str, basis: str, reason: str
) -> None:
    """The first batch; the others tell how often accepted readings of the run are wrong."""
    cases = [batch_of(f"b{i}", **case) for i, case in enumerate(batches)]
    labels = truths(*[label for _, labels in cases for label in labels])
    lines = readings(*[each for lines, _ in cases for each in lines])
    done = audit_tables(lines, labels, allowed=allowed or MisreadLimit())
    found = done.releases.set_index("batch").loc["b0"]
    assert (found["release"], found["basis"], found["reason"]) == (release, basis, reason)


def test_the_guarantee_is_that_of_the_station_in_the_run_log(tmp_path: Path) -> None:
    table = write_readings(tmp_path / "readings.csv", line("b/a.png", "A1"))
    assert audit(tmp_path).releases["basis"].tolist() == ["nothing"]
    made = Calibration(
        slope=1, offset=0, misread=0.02, certainty=0.9, protocol="strict", pictures=200, accepted=150, wrong=0
    )
    station = Station(model_id="m", limits=StationLimits(accept_at=0.8), calibration=made)
    options = {"pictures": ["."], "model": "", "engine": "auto"}
    about = {"station": station.model_dump(mode="json"), "model_id": "m"}
    run_log.append(tmp_path / run_log.LOG, run_log.LoggedRun("read", options, about, (), (table,)))
    assert audit(tmp_path).releases["reason"].tolist() == [
        "1 accepted reading without a truth, at most 2 % wrong by the station."
    ]
    elsewhere = (tmp_path / run_log.LOG).rename(tmp_path / "plant.log")
    assert audit(tmp_path).releases["release"].tolist() == ["CHECK"]
    assert audit(tmp_path, log=elsewhere).releases["release"].tolist() == ["SHIP"]
    other = run_log.LoggedRun("review", {"export": True}, {}, (), (tmp_path / "labels.csv",))
    (tmp_path / "labels.csv").touch()
    run_log.append(tmp_path / run_log.LOG, other)
    assert audit(tmp_path).releases["release"].tolist() == ["CHECK"]
    assert audit(tmp_path, log=elsewhere).releases["release"].tolist() == ["SHIP"]


def test_releases_are_listed_the_worst_first_with_what_speaks_against_them() -> None:
    lines = [
        line("ship/a.png", "A1"),
        line("ship/b.png", "B2", decision="REVIEW"),
        line("hold/a.png", "A1"),
        line("check/b.png", "B2", decision="REVIEW", confidence="0.4"),
        line("check/c.png", "", decision="REJECT", confidence=""),
        line("barcode/a.png", "A1", barcode_check="differs"),
    ]
    truth = truths(("ship/b.png", "B2"), ("hold/a.png", "B1"))
    done = audit_tables(readings(*lines), truth, allowed=MisreadLimit(0.5, is_guaranteed=True))
    shown = done.releases.drop(columns=["images", "basis"]).to_numpy().tolist()
    assert [row[:3] for row in shown[:3]] == [
        ["hold", "HOLD", "1 accepted reading is wrong: correct its record."],
        ["check", "CHECK", "2 readings wait for a person."],
        ["barcode", "CHECK", "1 barcode unlike the reading."],
    ]
    assert shown[3][1:2] + shown[3][3:] == ["SHIP", 1, 1, 0, 0, 0]
    assert done.waiting["image"].tolist() == ["check/c.png", "check/b.png"]
    assert releases_in_words(done.releases) == "Not all: hold 1 of 4 batches, and check 2 more first."


@pytest.mark.parametrize(
    ("decision", "truth", "answer"),
    [
        ("ACCEPT", "A1", "Yes: the batch can ship (1 truth known)."),
        ("ACCEPT", "", "Not yet: check 1 of 1 batch first."),
        ("REVIEW", "", "Not yet: check 1 of 1 batch first."),
    ],
)
def test_the_report_begins_with_its_answer(tmp_path: Path, decision: str, truth: str, answer: str) -> None:
    labels = truths(("a.png", truth)) if truth else None
    audit_tables(readings(line("a.png", "A1", decision=decision)), labels).write(tmp_path)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert f"Can these batches ship? <strong>{answer}</strong>" in page
    assert (">truth known</td>" in page) is bool(truth)
    assert f"- can these batches ship? {answer}" in (tmp_path / "audit.md").read_text("utf-8")


def test_a_measure_out_of_control_and_a_broken_sequence_hold_a_batch_back_for_a_check() -> None:
    lines = [
        line(f"b{batch:02d}/{i}.png", f"{batch:02d}{i:04d}", contrast="0.1" if batch == 11 else "0.5")
        for batch in range(12)
        for i in range(4)
    ]
    lines.append(line("b03/9.png", "030000", contrast="0.5"))
    done = audit_tables(readings(*lines), allowed=GUARANTEED)
    reasons = dict(zip(done.releases["batch"], done.releases["reason"], strict=True))
    assert reasons["b11"] == "mean contrast below its limit (check the light and the depth of the mark)."
    assert reasons["b03"] == "2 sequence findings."
    assert done.releases["release"].tolist() == ["CHECK"] * 2 + ["SHIP"] * 10


@given(
    lines=st.lists(
        st.tuples(
            st.sampled_from(["", "1", "2"]), st.sampled_from(["ACCEPT", "REVIEW", "REJECT"]), st.booleans()
        ),
        min_size=1,
        max_size=12,
    )
)
@settings(max_examples=30, deadline=None)
def test_every_picture_has_one_fate(lines: list[tuple[str, str, bool]]) -> None:
    rows = [line(f"{i}.png", text, decision=decision) for i, (text, decision, _) in enumerate(lines)]
    labels = [(f"{i}.png", "1") for i, (_, _, known) in enumerate(lines) if known]
    found = fates(judged(readings(*rows), truths(*labels)))
    assert tuple(found.columns) == FATES
    assert (found.sum(axis=1) == 1).all()
