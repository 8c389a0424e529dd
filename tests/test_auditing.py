"""Audits: hand-worked figures, odd tables, odd names, and laws that every audit obeys."""

import csv
import io
import json
import math
import re
import sys
from pathlib import Path

import pytest
from audit_cases import DATA, judged, line, readings, truths, write_readings
from hypothesis import given, settings, strategies as st
from rich.console import Console
from typer.testing import CliRunner

from serialread.auditing import FILES, Audit, audit, audit_tables, console_view
from serialread.auditing.html_page import differing_chunks
from serialread.auditing.sections import MAX_ERRORS
from serialread.auditing.wording import percent
from serialread.cli import app, main
from serialread.metrics import AccuracyCounts, mpsc, strict


def said(done: Audit) -> list[str]:
    return [f"{finding.severity}: {finding.text}" for finding in done.findings]


# --- the hand-worked audit ------------------------------------------------------------------------


def test_the_tables_are_the_hand_worked_ones(tmp_path: Path) -> None:
    audit(DATA, DATA / "labels.csv").write(tmp_path)
    for path in sorted((DATA / "expected").iterdir()):
        assert (tmp_path / path.name).read_text("utf-8") == path.read_text("utf-8"), path.name


def test_the_figures_are_the_hand_worked_ones() -> None:
    # Truth and read: 00123 00123, AB-12 AB-12, "AB 12" ab12 (2 edits), 5567 "" (4), 7 007 (2);
    # NA NA, 1e5 1e5, XOY X0Y (1), K9 K9 rejected; j.png has two truths and so none.
    done = audit(DATA, DATA / "labels.csv")
    counts = ["right", "wrong", "edits", "truth_chars", "mpsc_right", "mpsc_edits", "mpsc_truth_chars"]
    lines = done.batches.set_index("batch")
    assert lines.loc["day1", counts].tolist() == [
        2,
        3,
        2 + 4 + 2,
        5 + 5 + 4 + 4 + 1,
        3,
        4 + 2,
        5 + 4 + 4 + 4 + 1,
    ]
    assert lines.loc["day2", counts].tolist() == [2, 2, 1, 2 + 3 + 3 + 2, 2, 1, 2 + 3 + 3 + 2]
    similarities = ["one_minus_ned", "mpsc_one_minus_ned"]
    assert lines.loc["day1", similarities].tolist() == pytest.approx(
        [(1 + 1 + 2 / 4 + 0 + 1 / 3) / 5, (3 + 0 + 1 / 3) / 5], abs=1e-6
    )
    assert lines.loc["day2", similarities].tolist() == pytest.approx([(3 + 2 / 3) / 4] * 2, abs=1e-6)
    total = done.total
    decisions = ("images", "read", "accepted", "review", "rejected")
    assert [total[name] for name in decisions] == [10, 9, 5, 3, 2]
    assert (total["no_truth"], total["right"], total["wrong"]) == (1, 4, 5)
    assert (total["accepted_known"], total["misread"], total["misread_rate"]) == (5, 2, 0.4)
    assert total["cer"] == pytest.approx(9 / 29, abs=1e-6)
    # 4 of 9, Wilson; 2 of 5, exact
    assert (total["accuracy_low"], total["accuracy_high"]) == pytest.approx((0.1888, 0.7333), abs=5e-5)
    exact = (total["misread_rate_exact_low"], total["misread_rate_exact_high"])
    assert exact == pytest.approx((0.0527, 0.8534), abs=5e-5)


def test_the_findings_name_what_is_odd() -> None:
    assert said(audit(DATA, DATA / "labels.csv")) == [
        "error: day2/j.png: truths conflict: one / two. The image counts as one without a truth. "
        "Correct the table.",
        "warning: 1 image without a truth: day2/j.png. See unmatched.csv.",
        "warning: 1 truth without an image: day9/z.png. See unmatched.csv.",
        "warning: 1 image: the truth seems to have lost its leading zeros; counted as wrong: day1/e.png. "
        "Format the column as text before you save the table.",
        "note: 1 image matched by file name alone.",
    ]


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        audit(DATA / "readings.csv", DATA / "labels.csv").write(tmp_path / name)
    for name in FILES:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_json_says_what_the_table_says_and_nothing_undefined(tmp_path: Path) -> None:
    write_readings(
        tmp_path / "readings.csv", line("a.png", "1"), line("b/c.png", "", decision="REJECT", confidence="")
    )
    (tmp_path / "labels.csv").write_text("filename,text\na.png,1\n")
    audit(tmp_path, tmp_path / "labels.csv").write(tmp_path)
    document = json.loads((tmp_path / "audit.json").read_text("utf-8"), parse_constant=pytest.fail)
    table = list(csv.DictReader(io.StringIO((tmp_path / "batches.csv").read_text("utf-8"))))
    for row, line_ in zip([*document["batches"], document["total"]], table, strict=True):
        assert row.keys() == line_.keys()
        assert all(
            cell == "" if row[name] is None else str(row[name]) == cell for name, cell in line_.items()
        )
    assert document["batches"][1]["accuracy"] is None
    assert document["unmatched"] == {"images": 1, "truths": 0}


# --- right and wrong ------------------------------------------------------------------------------


def test_a_rejected_image_is_not_right_whatever_its_text() -> None:
    lines = [line("a.png", "1", decision="REJECT"), line("b.png", "", decision="REJECT"), line("c.png", "--")]
    done = audit_tables(readings(*lines), truths(("a.png", "1"), ("b.png", "--"), ("c.png", "--")))
    assert (done.total["right"], done.total["mpsc_right"]) == (1, 1)
    assert done.errors["edits"].tolist() == [0, 2]
    assert done.errors["mpsc_right"].tolist() == ["no", "no"]


@pytest.mark.parametrize(
    ("read", "truth", "finding"),
    [
        ("007", "7", "lost its leading zeros"),
        ("0007", "07", "lost its leading zeros"),
        ("000", "0", "lost its leading zeros"),
        ("7", "007", ""),
        ("17", "7", ""),
        ("0X7", "X7", ""),
        ("123456789012", "1.23457E+11", "rewritten the truth as a number"),
        ("123456789012", "1,23E+11", "rewritten the truth as a number"),
        ("1E5", "1E5", ""),
        ("A1", "1E5", ""),
    ],
)
def test_what_spreadsheets_do_to_truths_is_noticed(read: str, truth: str, finding: str) -> None:
    done = audit_tables(readings(line("a.png", read)), truths(("a.png", truth)))
    assert done.total["right"] == (read == truth)
    assert finding in " ".join(said(done))
    assert len(done.findings) == (1 if finding else 0)
    assert all(finding in note for note in done.errors["note"])


def test_errors_come_most_confident_first() -> None:
    sure = {"a": "0.5", "b": "", "c": "0.99", "d": "NA", "e": "0.99", "f": "7", "g": "1e-3"}
    lines = [line(f"{name}.png", "X", confidence=confidence) for name, confidence in sure.items()]
    done = audit_tables(readings(*lines), truths(*[(f"{name}.png", "Y") for name in sure]))
    assert "".join(name[0] for name in done.errors["image"]) == "ceagbdf"
    assert done.errors["confidence"].tolist() == ["0.99", "0.99", "0.5", "1e-3", "", "NA", "7"]
    assert said(done) == ["warning: 3 images without a confidence between 0 and 1: b.png, d.png, f.png."]


def test_several_models_are_said() -> None:
    done = audit_tables(readings(line("a.png", "1", model_id="m1"), line("b.png", "2", model_id="m2")))
    assert (said(done), done.models) == (["note: Read by 2 models: m1, m2."], ("m1", "m2"))


def test_without_truth_it_counts_what_was_read(tmp_path: Path) -> None:
    done = audit(DATA)
    done.write(tmp_path)
    total = done.total
    decisions = ("images", "read", "accepted", "review", "rejected")
    assert [total[name] for name in decisions] == [10, 9, 5, 3, 2]
    quantiles = [total[f"confidence_p{p}"] for p in ("05", "50", "95")]
    assert quantiles == pytest.approx([0.42, 0.9, 0.986])
    assert (total["no_truth"], len(done.errors), len(done.unmatched)) == (10, 0, 0)
    assert [total[name] for name in ("right", "wrong", "edits", "truth_chars", "misread")] == [0] * 5
    assert all(math.isnan(total[name]) for name in ("accuracy", "cer", "one_minus_ned", "misread_rate"))
    assert done.findings == ()
    assert "no truth table, accuracy not computed" in (tmp_path / "report.html").read_text("utf-8")


LINES = st.tuples(
    st.sampled_from(["", "day1", "day2/left", "total"]),
    st.text("A0o-7", max_size=4),
    st.none() | st.text("A0o-7", max_size=4),
    st.sampled_from(["ACCEPT", "REVIEW", "REJECT"]),
    st.sampled_from(["", "0.1", "0.95", "x"]),
)


@given(rows=st.lists(LINES, min_size=1, max_size=30), order=st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_every_audit_adds_up(rows: list[tuple[str, str, str | None, str, str]], order: object) -> None:
    lines = [
        line(f"{i}.png", text, batch=batch, decision=decision, confidence=confidence)
        for i, (batch, text, _, decision, confidence) in enumerate(rows)
    ]
    labels = [(f"{i}.png", row[2]) for i, row in enumerate(rows) if row[2] is not None]
    done = audit_tables(readings(*lines), truths(*labels))
    total, batches = done.total, done.batches.iloc[:-1]
    names = ("images", "read", "accepted", "review", "rejected", "no_truth", "accepted_known", "misread")
    for name in names:
        assert total[name] == batches[name].sum()
    for score in done.batches.to_dict("records"):
        assert score["images"] == score["accepted"] + score["review"] + score["rejected"]
        assert score["images"] == score["right"] + score["wrong"] + score["no_truth"]
        assert score["right"] <= score["mpsc_right"]
        assert score["misread"] <= score["accepted_known"] <= score["accepted"]
    assert len(done.errors) == total["wrong"]
    assert done.errors["edits"].sum() == total["edits"]
    # Without rejections an audit counts as AccuracyCounts does.
    kept = [row for row in rows if row[3] != "REJECT" and row[2]]
    pairs = [(text, truth) for _, text, truth, _, _ in kept if truth is not None]
    reads = [(read, truth) for read, truth in pairs if read or mpsc(truth)]
    assert total["right"] == AccuracyCounts.of(pairs, strict).right
    assert total["mpsc_right"] == AccuracyCounts.of(reads, mpsc).right
    order.shuffle(lines)  # type: ignore[attr-defined]
    again = judged(readings(*lines), truths(*labels))
    assert [again[name].sum() for name in ("right", "edits", "mpsc_right")] == [
        total[name] for name in ("right", "edits", "mpsc_right")
    ]


# --- what people see ------------------------------------------------------------------------------


def test_the_page_escapes_everything_and_fetches_nothing(tmp_path: Path) -> None:
    nasty = "<script>alert(1)</script>&\"'"
    path = write_readings(
        tmp_path / "readings.csv", line(f"{nasty}/a.png", nasty, reason=nasty, model_id=nasty)
    )
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["filename", "text"], [f"{nasty}/a.png", "X"], [f"{nasty}.png", nasty]])
    audit(path, tmp_path / "labels.csv").write(tmp_path)
    html = (tmp_path / "report.html").read_text("utf-8")
    assert html.count("<script") == 1
    assert "alert(1)" in html
    assert not re.search(r"https?://|\bsrc=|\bhref=\"[^#]|@import|url\(", html)
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html


def test_the_page_marks_where_truth_and_text_differ(tmp_path: Path) -> None:
    audit(DATA, DATA / "labels.csv").write(tmp_path)
    html = (tmp_path / "report.html").read_text("utf-8")
    assert "X<mark>O</mark>Y" in html
    assert "X<mark>0</mark>Y" in html


@given(truth=st.text("AB0", max_size=8), text=st.text("AB0", max_size=8))
def test_marked_pieces_join_to_the_whole(truth: str, text: str) -> None:
    left, right = differing_chunks(truth, text)
    assert "".join(piece for piece, _ in left) == truth
    assert "".join(piece for piece, _ in right) == text
    assert [p for p, differs in left if not differs] == [p for p, differs in right if not differs]


def test_a_page_of_many_errors_stays_readable(tmp_path: Path) -> None:
    lines = [line(f"{i}.png", "X") for i in range(MAX_ERRORS + 7)]
    write_readings(tmp_path / "readings.csv", *lines)
    (tmp_path / "labels.csv").write_text(
        "filename,text\n" + "".join(f"{i}.png,Y\n" for i in range(len(lines)))
    )
    audit(tmp_path, tmp_path / "labels.csv").write(tmp_path)
    html = (tmp_path / "report.html").read_text("utf-8")
    assert f"the first {MAX_ERRORS} of {MAX_ERRORS + 7}, errors.csv holds all" in html
    assert html.count("<mark>X</mark>") == MAX_ERRORS
    assert len((tmp_path / "errors.csv").read_text("utf-8").splitlines()) == 1 + len(lines)


@pytest.mark.parametrize(
    ("share", "shown"),
    [(1.0, "100.00"), (0.99999, "99.99"), (0.0, "0.00"), (1e-9, "0.01"), (1.25, "125.00"), (math.nan, "–")],
)
def test_percentages_never_round_an_error_away(share: float, shown: str) -> None:
    assert percent(share) == shown


def printed(done: Audit, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO())
    console.print(console_view(done))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_the_terminal_shows_batches_total_and_findings() -> None:
    shown = printed(audit(DATA, DATA / "labels.csv"))
    rows = [row.split() for row in shown.splitlines()]
    assert ["day1", "5", "4", "1", "0", "2", "3", "40.00", "60.00", "42.11", "0.5667"] in rows
    assert ["total", "10", "9", "2", "1", "4", "5", "44.44", "55.56", "31.03", "0.7222"] in rows
    assert "error: day2/j.png: truths conflict: one / two." in shown
    assert "…" not in shown


def test_the_terminal_takes_batch_names_literally_and_stops_at_thirty() -> None:
    lines = [line(f"[red]{i}[/red]/a.png", "1") for i in range(40)]
    shown = printed(audit_tables(readings(*lines)))
    assert "[red]0[/red]" in shown
    assert "[red]30[/red]" not in shown
    assert "10 more batches in batches.csv." in shown


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_the_terminal_breaks_names_of_batches_between_words_only(width: int) -> None:
    names = ["assembly", "press-shop/2026-01-05 early", "machining"]
    lines = [line(f"{name}/{i}.png", "1") for name in names for i in range(1200)]
    done = audit_tables(readings(*lines), truths(*[(one["image"], "1") for one in lines]))
    shown = printed(done, width)
    words = {row.split()[0] for row in shown.splitlines() if row.strip()}
    assert {"assembly", "machining", "total"} <= words
    assert max(len(row.rstrip()) for row in shown.splitlines()) <= width
    assert "…" not in shown
    assert ("Not shown:" in " ".join(shown.split())) == (width < 120)


def test_the_terminal_sums_up_many_findings() -> None:
    labels = [(f"{i}.png", text) for i in range(15) for text in "ab"]
    assert "more findings in report.html" in printed(
        audit_tables(readings(line("a.png", "1")), truths(*labels))
    )


def test_the_documentation_names_every_column(tmp_path: Path) -> None:
    audit(DATA, DATA / "labels.csv").write(tmp_path)
    documented = (Path(__file__).parents[1] / "docs" / "audit.md").read_text("utf-8")
    for path in tmp_path.glob("*.csv"):
        assert f"## {path.name}" in documented
        for column in path.read_text("utf-8").splitlines()[0].split(","):
            bound = re.sub("_(exact_)?(low|high)$", "", column)
            named = re.sub("^(mpsc|weakest)_(?!right).*", r"\1_...", bound)
            assert f"`{named}`" in documented or f"`{column}`" in documented, f"{path.name}: {column}"


# --- the command ----------------------------------------------------------------------------------


def test_the_command_writes_and_prints(tmp_path: Path) -> None:
    labels = str(DATA / "labels.csv")
    result = CliRunner().invoke(
        app, ["audit", str(DATA), "--truth", labels, "--out", str(tmp_path / "new" / "out")]
    )
    assert result.exit_code == 0
    assert "44.44" in result.output
    written = {path.name for path in (tmp_path / "new" / "out").iterdir()}
    assert written == {*FILES, "runs.log", ".runs.log.lock"}


def test_the_command_says_in_one_line_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["serialread", "audit", str(tmp_path), "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 1
    shown = capsys.readouterr().err
    assert shown.startswith(f"error: {tmp_path / 'readings.csv'}: no such file. ")
    assert shown.count("\n") == 1
