"""Two readers, people and the reader, plans: the studies around an audit, and their commands."""

import hashlib
import json
import re
import xml.etree.ElementTree as ElementTree
from base64 import b64encode
from pathlib import Path

import pytest
from audit_cases import DATA, line, readings, truths, write_readings
from typer.testing import CliRunner

from serialread.auditing import agreement, audit, compare
from serialread.auditing.agreement_study import agreement_of_tables, read_calls
from serialread.auditing.charts import ticks
from serialread.auditing.reader_comparison import compare_tables
from serialread.cli import app
from serialread.errors import RecordsError

# --- two readers ----------------------------------------------------------------------------------


def side(texts: str) -> list[dict[str, str]]:
    return [line(f"{i:02d}.png", text) for i, text in enumerate(texts)]


def test_the_better_reader_is_shown_by_the_pictures_that_differ(tmp_path: Path) -> None:
    # 12 pictures of truth X: a alone right on 1, b alone on 9; p = 2 (1 + 10) / 1024
    a, b = write_readings(tmp_path / "a.csv", *side("XX" + "O" * 9 + "O")), tmp_path / "b.csv"
    write_readings(b, *side("OX" + "X" * 9 + "Q"))
    (tmp_path / "t.csv").write_text("filename,text\n" + "".join(f"{i:02d}.png,X\n" for i in range(12)))
    done = compare(a, b, tmp_path / "t.csv")
    done.write(tmp_path / "out")
    assert "9 pictures better, 1 worse\nB reads better than A: +66.67 points" in done.summary()
    figures = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert (figures["right_a"], figures["right_b"], figures["p"]) == (2, 10, pytest.approx(22 / 1024))
    lines = (tmp_path / "out" / "compare.csv").read_text().splitlines()
    assert lines[1].startswith("worse,00.png,X,X,O,")
    assert [one.split(",")[0] for one in lines[2:]] == ["better"] * 9 + ["other text"]
    assert "# Comparison of two readers" in (tmp_path / "out" / "compare.md").read_text()


def test_pictures_that_changed_or_that_one_side_lacks_are_left_out_and_said() -> None:
    a = readings(line("a.png", "1"), line("b.png", "1"), line("c.png", "1"))
    b = readings(line("a.png", "1"), line("b.png", "1", sha256="other"), line("d.png", "1"))
    done = compare_tables(a, b, truths(*[(f"{name}.png", "1") for name in "abcd"]))
    assert (done.images, done.better, done.worse, done.p) == (1, 0, 0, 1.0)
    assert done.conclusion.startswith("The difference is not significant: +0.00 points")
    assert [finding.text for finding in done.findings] == [
        "1 picture changed between the runs, left out.",
        "2 pictures read by one side alone, left out: c.png, d.png.",
    ]


def test_readers_of_other_pictures_are_not_compared() -> None:
    with pytest.raises(
        RecordsError,
        match=r"no picture in common with readings.csv that has a truth. Read the same pictures.",
    ):
        compare_tables(readings(line("a.png", "1")), readings(line("b.png", "1")), truths(("a.png", "1")))


# --- people ---------------------------------------------------------------------------------------

CALLS = """filename,appraiser,trial,text
p1.png,Anna,1,A1
p1.png,Anna,2,A1
p2.png,Anna,1,
p2.png,Anna,2,B2
p3.png,Anna,1,
p3.png,Anna,2,
p1.png,Ben,1,A1
p1.png,Ben,2,A1
p2.png,Ben,1,B2
p2.png,Ben,2,B2
p3.png,Ben,1,C
p3.png,Ben,2,
"""
TRUTH = "filename,text\np1.png,A 1\np2.png,B2\np3.png,\n"


def study(tmp_path: Path, calls: str = CALLS) -> tuple[Path, Path]:
    (tmp_path / "calls.csv").write_text(calls)
    (tmp_path / "truth.csv").write_text(TRUTH)
    return tmp_path / "calls.csv", tmp_path / "truth.csv"


def test_people_are_judged_as_worked_by_hand(tmp_path: Path) -> None:
    calls, truth = study(tmp_path)
    done = agreement(calls, truth)
    done.write(tmp_path / "out")
    figures = json.loads((tmp_path / "out" / "agreement.json").read_text())
    anna, ben = figures["appraisers"]
    names = ("parts", "effective", "good_calls", "refused", "misread", "bad_calls", "missed", "consistent")
    assert [anna[name] for name in names] == [3, 2, 4, 1, 0, 2, 0, 2]
    assert [ben[name] for name in names] == [3, 2, 4, 0, 0, 2, 1, 2]
    assert anna["false_alarm_rate"] == 0.25
    assert ben["miss_rate"] == 0.5
    # Anna's trials: A1 A1, - B2, - -: p = 2/3, chance (1/3)^2 + (1/2)^2 + (1/6)^2 = 7/18, kappa 5/11
    assert anna["kappa_within"] == pytest.approx(5 / 11, abs=1e-6)
    assert done.summary().startswith(
        "Anna: effective 66.67 % of 3 parts, misread 0.00 %, miss 0.00 %, false alarm 25.00 %"
    )
    assert "# Agreement of appraisers" in (tmp_path / "out" / "agreement.md").read_text()


def test_the_reader_takes_part(tmp_path: Path) -> None:
    calls, truth = study(tmp_path)
    lines = [line("p1.png", "A1"), line("p2.png", "8Z"), line("p3.png", "C3", decision="REJECT")]
    write_readings(tmp_path / "readings.csv", *lines)
    agreement(calls, truth, tmp_path).write(tmp_path / "out")
    *_, reader = json.loads((tmp_path / "out" / "agreement.json").read_text())["appraisers"]
    assert (reader["appraiser"], reader["effective"], reader["misread"]) == ("reader", 2, 1)
    assert (reader["missed"], reader["kappa_within"]) == (0, None)


@pytest.mark.parametrize(
    ("calls", "message"),
    [
        (CALLS + "p1.png,Ben,2,A1\n", "p1.png: Ben calls it twice in trial '2'. Number the trials."),
        ("filename,appraiser,trial,text\nq.png,Ben,1,A1\n", "no call on a part of "),
        (
            "filename,appraiser,text\n",
            "no column trial. Its first line must name the columns filename,appraiser,",
        ),
        ("filename,appraiser,trial,text\n", "no line in it. Add one: filename,appraiser,trial,text."),
    ],
)
def test_calls_without_use_are_one_clear_line(tmp_path: Path, calls: str, message: str) -> None:
    paths = study(tmp_path, calls)
    with pytest.raises(RecordsError) as caught:
        agreement(*paths).write(tmp_path / "out")
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_what_is_left_out_of_a_study_is_said(tmp_path: Path) -> None:
    calls, _ = study(tmp_path, CALLS + "p9.png,Ben,1,A1\np1.png,Ben,3,A1\n")
    done = agreement_of_tables(
        read_calls(calls),
        truths(("p1.png", "A1"), ("p2.png", "B2"), ("p3.png", "1"), ("p3.png", "2")),
    )
    assert [finding.text for finding in done.findings] == [
        "1 part with several truths, left out: p3.png.",
        "2 parts without truth, left out: p3.png, p9.png.",
        "1 part not called by all in all trials, left out of the kappa between all.",
    ]


# --- the commands ---------------------------------------------------------------------------------


def invoke(*arguments: object) -> str:
    done = CliRunner().invoke(app, [*map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done.output


def test_plans_are_printed() -> None:
    assert re.search(r"^ +0 +2,995 +54.93 %$", invoke("study", "plan", "--target", 0.999), re.MULTILINE)
    assert "Inspect 80 parts; accept the lot with 1 bad or fewer, reject it with 2 or more." in invoke(
        "study", "plan", "--aql", 0.65, "--lot", 1200
    )


@pytest.mark.parametrize("arguments", [[], ["--lot", "5"], ["--target", "0.9", "--aql", "1"], ["--aql", "1"]])
def test_a_plan_for_nothing_in_particular_is_wrong_usage(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, ["study", "plan", *arguments]).exit_code == 2


@pytest.mark.parametrize("arguments", [["--target", "2"], ["--aql", "0.7", "--lot", "100"]])
def test_an_impossible_plan_is_an_error(arguments: list[str]) -> None:
    assert isinstance(CliRunner().invoke(app, ["study", "plan", *arguments]).exception, RecordsError)


def test_an_audit_leaves_a_line_in_the_log_that_can_be_verified(tmp_path: Path) -> None:
    out, labels = tmp_path / "out", DATA / "labels.csv"
    invoke("audit", DATA, "--truth", labels, "--out", out, "--operator", "Anna", "--excel")
    assert "the chain is intact (lines: 1, unchanged files: 19)." in invoke("log", "verify", out / "runs.log")
    (out / "batches.csv").write_text("better\n")
    broken = CliRunner().invoke(app, ["log", "verify", str(out / "runs.log")])
    assert (broken.exit_code, broken.output.count("\n")) == (1, 1)
    assert "batches.csv was changed after the run of line 1." in broken.output


def test_two_audits_and_a_study_run_from_the_command_line(tmp_path: Path) -> None:
    labels, calls = DATA / "labels.csv", tmp_path / "calls.csv"
    calls.write_text("filename;appraiser;trial;text\nday1/a.png;Anna;1;00123\n")
    assert "0 pictures better, 0 worse" in invoke(
        "study", "compare", DATA, DATA, "--truth", labels, "--out", tmp_path
    )
    shown = invoke("study", "agreement", calls, "--truth", labels, "--results", DATA, "--out", tmp_path)
    assert "Anna: effective 100.00 % of 1 part" in shown


# --- the page -------------------------------------------------------------------------------------


def test_only_the_page_s_own_script_may_run_and_every_chart_is_whole(tmp_path: Path) -> None:
    lines = [line(f"b{b}/<{i}>.png", "B8", contrast=f"0.{b + 1}") for b in range(9) for i in range(3)]
    write_readings(tmp_path / "readings.csv", *lines)
    labels = "".join(f"{one['image']},{'BB' if i % 3 else 'B8'}\n" for i, one in enumerate(lines))
    (tmp_path / "labels.csv").write_text("filename,text\n" + labels)
    audit(tmp_path, tmp_path / "labels.csv").write(tmp_path / "out")
    html = (tmp_path / "out" / "report.html").read_text("utf-8")
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert f"script-src 'sha256-{b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in html
    charts = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert len(charts) == 8
    for chart in charts:
        root = ElementTree.fromstring(chart)
        assert root.get("aria-label")
        assert "nan" not in chart
    folded = re.findall(r'<details class="fold">', html)
    assert len(folded) == 9  # every table but that of the batches; figures, inputs, definitions


def test_ten_thousand_readings_make_a_page_below_five_megabytes(tmp_path: Path) -> None:
    lines = [
        line(f"b{i // 100}/{i:05d}.png", f"SN{i:08d}", confidence=f"{i % 97 / 97:.3f}") for i in range(10_000)
    ]
    write_readings(tmp_path / "readings.csv", *lines)
    labels = "".join(f"{one['image']},SN{i + (i % 7 == 0):08d}\n" for i, one in enumerate(lines))
    (tmp_path / "labels.csv").write_text("filename,text\n" + labels)
    audit(tmp_path, tmp_path / "labels.csv").write(tmp_path / "out")
    assert (tmp_path / "out" / "report.html").stat().st_size < 5_000_000


@pytest.mark.parametrize(
    ("span", "expected"), [((0, 1), [0, 0.2, 0.4, 0.6, 0.8, 1]), ((0.5, 3.5), [1, 2, 3]), ((2, 2), [2])]
)
def test_axes_have_round_numbers(span: tuple[float, float], expected: list[float]) -> None:
    assert ticks(span) == expected


def test_studies_have_a_page_that_fetches_nothing_and_escapes_all(tmp_path: Path) -> None:
    lines = [line("<i>.png", "B8"), line("b.png", "<b>")]
    a = write_readings(tmp_path / "a.csv", *lines)
    b = write_readings(tmp_path / "b.csv", line("<i>.png", "B8"), line("b.png", "B9"))
    labels = tmp_path / "labels.csv"
    labels.write_text("filename,text\n<i>.png,B8\nb.png,B9\n", "utf-8")
    compare(a, b, labels).write(tmp_path / "compare")
    calls = tmp_path / "calls.csv"
    calls.write_text("filename,appraiser,trial,text\n<i>.png,<u>,1,B8\nb.png,<u>,1,B9\n", "utf-8")
    agreement(calls, labels).write(tmp_path / "agreement")
    for name, said in (
        ("compare", "The difference is not significant"),
        ("agreement", "acceptable: 90 % effective"),
    ):
        page = (tmp_path / name / f"{name}.html").read_text("utf-8")
        assert said in page
        assert "&lt;" in page
        assert not any(tag in page for tag in ("<i>", "<b>", "<u>", "http:", "https:", "<link", "src="))
