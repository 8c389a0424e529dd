"""Tables as they come, and which truth belongs to which image."""

import unicodedata
from pathlib import Path

import pandas as pd
import pytest
from audit_cases import DATA, line, readings, truths, write_readings
from hypothesis import given, settings, strategies as st
from typer.testing import CliRunner

from serialread.auditing import Audit, audit, audit_tables, read_readings
from serialread.auditing.input_tables import READING_COLUMNS
from serialread.cli import app
from serialread.errors import RecordsError
from serialread.label_tables import PictureLabel, TextTable, read_labels
from serialread.review import Call, CallLabel
from serialread.review.queue import is_right

TOUCHY = [
    "00123",
    "NA",
    "nan",
    "inf",
    "1e5",
    "",
    "None",
    "TRUE",
    "#N/A",
    "-",
    '"',
    'a"b',
    "a,b;c",
    "=1+1",
    "'07",
]


def said(done: Audit) -> list[str]:
    return [f"{finding.severity}: {finding.text}" for finding in done.findings]


@pytest.mark.parametrize("text", TOUCHY)
def test_a_text_stays_the_text_it_is(tmp_path: Path, text: str) -> None:
    path = write_readings(tmp_path / "readings.csv", line("a.png", text, weakest_char=text[:1]))
    (row,) = read_readings(path).rows.to_dict("records")
    assert (row["text"], row["weakest_char"]) == (text, text[:1])
    (tmp_path / "labels.csv").write_text('filename,text\na.png,"{}"\n'.format(text.replace('"', '""')))
    assert read_labels(tmp_path / "labels.csv").rows["text"].tolist() == [text]
    done = audit(path, tmp_path / "labels.csv")
    assert done.total["right"] == (1 if text else 0)


@given(text=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=25))
@settings(max_examples=50)
def test_any_code_survives_the_table(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = write_readings(tmp_path_factory.mktemp("r") / "readings.csv", line("a.png", text))
    assert read_readings(path).rows["text"].tolist() == [text]


@pytest.mark.parametrize(
    "data",
    [
        b"filename,text\na.png,007\nb.png,X;1\n",
        b"\xef\xbb\xbffilename,text\r\na.png,007\r\nb.png,X;1\r\n\r\n",
        b'filename;text\ra.png;007\rb.png;"X;1"\r',
        b'"filename"\t"text"\n"a.png"\t"007"\nb.png\tX;1',
        b"Text, FileName ,remark\n007,a.png,\nX;1,b.png,new\n",
        b"sep=,\r\nfilename,text\r\na.png,007,,\r\nb.png,X;1,,\r\n",
        "filename\ttext\na.png\t007\nb.png\tX;1\n".encode("utf-16"),
    ],
)
def test_truth_tables_come_in_many_forms(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "labels.csv").write_bytes(data)
    rows = read_labels(tmp_path / "labels.csv").rows
    assert rows[["filename", "text"]].to_numpy().tolist() == [["a.png", "007"], ["b.png", "X;1"]]


def test_a_truth_table_that_is_not_utf8_is_read_and_said(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes("filename;text\nGehäuse.png;12\n".encode("cp1252"))
    truth = read_labels(tmp_path / "labels.csv")
    assert truth.rows["filename"].tolist() == ["Gehäuse.png"]
    assert truth.warnings == (
        "labels.csv: not UTF-8, read as Windows-1252. Save it as UTF-8 if names look wrong.",
    )


@pytest.mark.parametrize(
    ("reason", "cut_after"), [("low", "b.png,,"), ("low, too dark", ',"low, t'), ("°", "°")]
)
def test_a_line_cut_off_by_a_kill_is_left_out_and_said(tmp_path: Path, reason: str, cut_after: str) -> None:
    lines = [line("a.png", "1", reason="low, dark"), line("b.png", "2", reason=reason, decision="")]
    path = write_readings(tmp_path / "readings.csv", *lines)
    whole = path.read_bytes()
    last = whole.index(b"b.png")
    cut = whole.index(cut_after.encode(), last) + len(cut_after.encode()) - (cut_after == "°")
    path.write_bytes(whole[:cut])
    read = read_readings(path)
    assert read.rows["image"].tolist() == ["a.png"]
    what = "line 3 is cut off and left out" if "," in reason else "1 line without a decision left out"
    assert read.warnings == (f"readings.csv: {what}. Resume the run if it was killed.",)


HEADER = ",".join(READING_COLUMNS) + "\n"
RUN_OUT = "Give the folder that serialread read --out wrote."
WROTE = "Give the readings.csv that serialread read wrote."
FIRST_LINE = "Its first line must name the columns filename,text."
ADD = "no labels in it. Add one line per image: filename,text."
QUOTES = 'Put double quotes around a text that holds a separator, and write a quote in it as "".'
MISSING = "cannot be read: No such file or directory."


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, f"no such file. {RUN_OUT}"),
        (HEADER, "no readings in it. Run serialread read again."),
        ("", f"no column {', '.join(READING_COLUMNS)}. {WROTE}"),
        (HEADER.replace(",model_id", ""), f"no column model_id. {WROTE}"),
        (HEADER + "," * 20 + "x\n", f"line 2: 21 columns where the header has 13. {QUOTES}"),
    ],
)
def test_readings_that_cannot_be_audited_are_one_clear_line(
    tmp_path: Path, table: str | None, message: str
) -> None:
    if table is not None:
        (tmp_path / "readings.csv").write_text(table)
    with pytest.raises(RecordsError) as caught:
        audit(tmp_path).write(tmp_path / "out")
    assert str(caught.value) == f"{tmp_path / 'readings.csv'}: {message}"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, f"{MISSING} Give a table with the columns filename,text."),
        ("", f"no column filename, text. {FIRST_LINE}"),
        ("a.png,1\n", f"no column filename, text. {FIRST_LINE}"),
        ("filename;label\na.png;1\n", f"no column text. {FIRST_LINE}"),
        ("filename,text\n", ADD),
        ("filename,text\n,1\n", ADD),
        ("filename,text\nb.png,2\na.png,1,2\n", f"line 3: 3 columns where the header has 2. {QUOTES}"),
        ('filename,text\na.png,"1\nb.png,2\n', f"line 2: a quote is opened and not closed. {QUOTES}"),
        ('filename,text\na.png,"1\nb.png,"2\n', f"line 2: a quote is opened and not closed. {QUOTES}"),
        ("filename,text,Text\na.png,1,2\n", "two columns text. Give every column a name of its own."),
    ],
)
def test_truths_without_use_are_one_clear_line(tmp_path: Path, table: str | None, message: str) -> None:
    if table is not None:
        (tmp_path / "labels.csv").write_text(table)
    with pytest.raises(RecordsError) as caught:
        audit(DATA, tmp_path / "labels.csv").write(tmp_path / "out")
    assert str(caught.value) == f"{tmp_path / 'labels.csv'}: {message}"
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        RecordsError, match=r"file/out: cannot be written: Not a directory. Give another --out folder."
    ):
        audit(DATA).write(tmp_path / "file" / "out")


def test_an_output_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(
        RecordsError, match=r": cannot be written: Is a directory. Give another --out folder."
    ):
        audit(DATA).write(tmp_path)


def test_no_input_is_ever_replaced(tmp_path: Path) -> None:
    path = write_readings(tmp_path / "batches.csv", line("a.png", "1"))
    with pytest.raises(
        RecordsError, match=r"batches.csv: the audit would replace it. Give another --out folder."
    ):
        audit(path).write(tmp_path)


@pytest.mark.parametrize(
    ("images", "labels", "matched"),
    [
        (["b/a.png"], ["b/a.png"], 1),
        (["b/a.png"], ["b\\a.png"], 1),
        (["b/a.png"], ["./b/a.png"], 1),
        (["b/a.png"], [" b/a.png "], 1),
        (["b/a.png"], ["a.png"], 1),
        (["a.png"], ["C:\\parts\\a.png"], 1),
        (["ä.png"], [unicodedata.normalize("NFD", "ä.png")], 1),
        (["b/a.png", "c/a.png"], ["a.png"], 0),  # the name is not unique among the images
        (["a.png"], ["b/a.png", "c/a.png"], 0),  # nor among the truths
        (["b/a.png", "c/a.png"], ["b/a.png", "d/a.png"], 1),  # a path fits, the other name is not unique
        (["b/a.png", "c/b.png"], ["b/a.png", "b.png"], 2),
        (["a.png"], ["A.PNG"], 0),
        (["a.png"], ["a.jpg"], 0),
    ],
)
def test_truths_match_by_path_or_by_a_unique_name(images: list[str], labels: list[str], matched: int) -> None:
    done = audit_tables(
        readings(*[line(name, "1") for name in images]), truths(*[(name, "1") for name in labels])
    )
    assert done.total["right"] == len(images) - done.total["no_truth"] == matched
    sides = done.unmatched["side"].value_counts()
    assert (sides.get("image", 0), sides.get("truth", 0)) == (len(images) - matched, len(labels) - matched)


def test_what_is_alone_is_listed_with_its_reason() -> None:
    images = ["b/a.png", "c/a.png", "d.png", "e.png", "f.png"]
    labels = [("a.png", "1"), ("d.png", ""), ("e.png", "5"), ("e.png", "6"), ("g.png", "7")]
    done = audit_tables(readings(*[line(name, "1") for name in images]), truths(*labels))
    assert [tuple(row) for row in done.unmatched.to_numpy()] == [
        ("image", "b/a.png", "1", "file name not unique"),
        ("image", "c/a.png", "1", "file name not unique"),
        ("image", "d.png", "1", "truth is empty"),
        ("image", "e.png", "1", "truths conflict"),
        ("image", "f.png", "1", "no match for this path or file name"),
        ("truth", "a.png", "1", "file name not unique"),
        ("truth", "d.png", "", "truth is empty"),
        ("truth", "e.png", "5", "truths conflict"),
        ("truth", "e.png", "6", "truths conflict"),
        ("truth", "g.png", "7", "no match for this path or file name"),
    ]
    assert said(done) == [
        "error: No image has a truth. Use the names in readings.csv, such as b/a.png.",
        "error: e.png: truths conflict: 5 / 6. The image counts as one without a truth. Correct the table.",
        "warning: 5 images without a truth: b/a.png, c/a.png, d.png, e.png, f.png. See unmatched.csv.",
        "warning: 2 truths without an image: a.png, g.png. See unmatched.csv.",
    ]


def test_the_same_truth_said_twice_is_one_truth() -> None:
    done = audit_tables(
        readings(line("a.png", "AB12")), truths(("a.png", "AB12"), ("a.png", "AB 12"), ("./a.png", "AB12"))
    )
    assert (done.total["right"], len(done.unmatched), done.findings) == (1, 0, ())


def test_many_conflicts_are_summed_up() -> None:
    labels = [(f"{i}.png", text) for i in range(23) for text in "ab"]
    done = audit_tables(readings(line("a.png", "1")), truths(*labels, ("a.png", "1")))
    assert said(done)[19:21] == [
        "error: 19.png: truths conflict: a / b. The image counts as one without a truth. Correct the table.",
        "error: 3 more conflicts: see unmatched.csv.",
    ]


def test_one_name_for_several_pictures_has_no_truth() -> None:
    lines = [line("a.png", "1", sha256="01"), line("a.png", "2", sha256="02"), line("b.png", "3")]
    done = audit_tables(readings(*lines), truths(("a.png", "1"), ("b.png", "3")))
    assert (done.total["right"] + done.total["wrong"], done.total["no_truth"]) == (1, 2)
    assert set(done.unmatched["reason"]) == {"several pictures have this name"}
    assert said(done)[0] == (
        "error: 1 image name shared by several pictures, all without truth: a.png. "
        "Read the folders separately."
    )


def test_a_picture_read_twice_counts_twice_and_is_said() -> None:
    done = audit_tables(readings(line("a.png", "1"), line("a.png", "2")), truths(("a.png", "1")))
    assert (done.total["right"], done.total["wrong"]) == (1, 1)
    assert said(done) == ["warning: 1 picture read more than once; every line counts: a.png."]


def test_a_truth_table_as_a_newcomer_keeps_it_is_read_and_its_flaws_are_said(tmp_path: Path) -> None:
    # saved by a spreadsheet: byte order mark, separator line, semicolons, Windows line ends, lost zeros;
    # b.png stands twice and says the same, c.png twice and not, d.png is missing, f.png is of another day
    results = write_readings(
        tmp_path / "readings.csv",
        line("a.png", "007"),
        line("b.png", "B8"),
        line("c.png", "C9"),
        line("d.png", "D1"),
        line("e.png", "0042-A"),
        line("g.png", "123456789012"),
    )
    table = ["sep=;", "Filename;Text", "a.png;7", "b.png;B8", "b.png;B8", "c.png;C9", "c.png;C8"]
    table += ["e.png;0042-A", "f.png;F1", "g.png;1,23457E+11", ""]
    (tmp_path / "labels.csv").write_bytes("\r\n".join(table).encode("utf-8-sig"))
    done = CliRunner().invoke(
        app, ["audit", str(results), "--truth", str(tmp_path / "labels.csv"), "--out", str(tmp_path / "out")]
    )
    assert done.exit_code == 0, done.output
    page = (tmp_path / "out" / "audit.md").read_text("utf-8")
    findings = page.split("## Findings\n\n")[1].split("\n\n")[0].splitlines()
    assert findings == [
        "- **error**: c.png: truths conflict: C9 / C8. The image counts as one without a truth. "
        "Correct the table.",
        "- **warning**: 2 images without a truth: c.png, d.png. See unmatched.csv.",
        "- **warning**: 1 truth without an image: f.png. See unmatched.csv.",
        "- **warning**: 1 image: the truth seems to have lost its leading zeros; counted as wrong: a.png. "
        "Format the column as text before you save the table.",
        "- **warning**: 1 image: a spreadsheet seems to have rewritten the truth as a number; "
        "counted as wrong: g.png. Format the column as text and enter these truths again.",
        "- **warning**: Batch without a name: 2 sequence findings: "
        "e.png has the form 9999-A, most have A9; g.png has the form 999999999999, most have A9.",
    ]
    assert "- accuracy, strict: 50.00 %, 2 of 4 (95 %: " in page


# --- labels ---------------------------------------------------------------------------------------


def labelled(*lines: tuple[str, str, str]) -> TextTable:
    rows = pd.DataFrame(list(lines), columns=["filename", "text", "label"], dtype=object)
    return TextTable(Path("labels.csv"), "00", rows)


FATES = ["confirmed", "trusted", "corrected", "open", "misread"]


@pytest.mark.parametrize(
    ("label", "text", "decision", "fate", "known", "right"),
    [
        ("read", "A1", "ACCEPT", "confirmed", 1, 1),
        ("", "A1", "ACCEPT", "confirmed", 1, 1),
        ("no code", "", "ACCEPT", "misread", 1, 0),
        ("No Code ", "A1", "ACCEPT", "misread", 1, 0),
        ("no code", "", "REVIEW", "corrected", 1, 0),
        ("no code", "", "REJECT", "confirmed", 1, 1),
        ("wrong crop", "", "ACCEPT", "misread", 1, 0),
        ("wrong crop", "A1", "ACCEPT", "misread", 1, 0),
        ("wrong crop", "A1", "REVIEW", "corrected", 1, 0),
        ("wrong crop", "", "REVIEW", "open", 1, 0),
        ("unreadable", "", "ACCEPT", "misread", 0, 0),
        ("unreadable", "A1", "REVIEW", "open", 0, 0),
    ],
)
def test_what_a_reviewer_said_about_a_reading_counts_in_the_audit(
    label: str, text: str, decision: str, fate: str, known: int, right: int
) -> None:
    lines = [line(f"{i}.png", "A1") for i in range(3)] + [line("x.png", "A1", decision=decision)]
    given = [(f"{i}.png", "A1", "read") for i in range(3)]
    before = audit_tables(readings(*lines), labelled(*given))
    done = audit_tables(readings(*lines), labelled(*given, ("x.png", text, label)))
    assert done.releases[FATES].sum().to_dict() == dict.fromkeys(FATES, 0) | {"confirmed": 3, fate: 1} | (
        {"confirmed": 4} if fate == "confirmed" else {}
    )
    assert (done.total["right"], done.total["wrong"]) == (3 + right, known - right)
    assert (done.total["misread"], done.total["edits"]) == (fate == "misread", 0)
    release = {"misread": "HOLD", "open": "CHECK"}.get(fate, "SHIP")
    assert done.releases["release"].tolist() == [release]
    assert ("x.png" in list(done.errors["image"])) == (fate in ("misread", "corrected") or known > right)
    assert ("x.png" in list(done.waiting["image"])) == (fate == "open")
    compared = known and label in ("", "read")
    assert done.characters["in_truth"].sum() == before.characters["in_truth"].sum() + 2 * bool(compared)
    assert "x.png" not in list(done.sampling["filename"])


def test_a_picture_without_a_code_of_which_nothing_was_read_is_right() -> None:
    done = audit_tables(
        readings(line("a.png", "", decision="REVIEW", confidence="")), labelled(("a.png", "", "no code"))
    )
    assert (done.total["right"], done.total["mpsc_right"], done.total["one_minus_ned"]) == (1, 1, 1)
    assert done.releases["release"].tolist() == ["SHIP"]


def test_what_reviewers_refused_is_said_in_the_report(tmp_path: Path) -> None:
    path = write_readings(tmp_path / "readings.csv", *[line(f"{name}.png", "A1") for name in "abcd"])
    rows = ["a.png,A1,read", "b.png,,no code", "c.png,A1,wrong crop", "d.png,,unreadable"]
    (tmp_path / "labels.csv").write_text("\n".join(["filename,text,label", *rows]) + "\n")
    done = audit(path, tmp_path / "labels.csv")
    assert said(done) == [
        "warning: 1 image that nobody can read, by the label: d.png; in no accuracy.",
        "warning: 1 image: the picture has no code, by its label; counted as wrong: b.png. "
        "Take these codes off the record.",
        "warning: 1 image: read from the wrong place, by its label; counted as wrong: c.png. "
        "Correct their records, and the place where the station looks.",
        "warning: 1 image: accepted, and nobody can read the mark, by its label; counted as wrong: d.png. "
        "Look at the parts.",
    ]
    done.write(tmp_path / "out")
    assert "the picture has no code, by its label" in (tmp_path / "out" / "report.html").read_text("utf-8")
    assert done.releases["reason"].tolist() == ["3 accepted readings are wrong: correct their records."]
    assert done.unmatched["reason"].tolist() == ["nobody can read it"] * 2


def test_labels_that_contradict_each_other_are_a_conflict_and_unknown_ones_are_said() -> None:
    given = [("a.png", "A1", ""), ("a.png", "A1", "wrong crop"), ("b.png", "A1", "no-code")]
    done = audit_tables(readings(line("a.png", "A1"), line("b.png", "A1")), labelled(*given))
    assert said(done)[:2] == [
        "error: a.png: truths conflict: A1 / A1 (wrong crop). The image counts as one without a truth. "
        "Correct the table.",
        "error: 1 truth with an unknown label, counted by the text alone: b.png. "
        "Use read, unreadable, wrong crop, no code.",
    ]


def test_a_column_label_of_other_words_changes_nothing() -> None:
    done = audit_tables(readings(line("a.png", "A1")), labelled(("a.png", "A1", "scratched")))
    assert (done.total["right"], done.findings) == (1, ())


def test_the_audit_knows_the_labels_of_the_review_page() -> None:
    assert set(PictureLabel) == set(CallLabel)


@pytest.mark.parametrize("decision", ["ACCEPT", "REVIEW", "REJECT"])
@pytest.mark.parametrize("label", list(CallLabel))
@pytest.mark.parametrize(("text", "truth"), [("A1", "A1"), ("A1", "B1"), ("", "A1")])
def test_the_audit_judges_as_the_review_page_does(label: str, text: str, truth: str, decision: str) -> None:
    if decision == "ACCEPT" and not text:
        return  # no such reading
    call = Call.of(label, truth, "Ann")
    done = audit_tables(
        readings(line("a.png", text, decision=decision)), labelled(("a.png", call.text, call.label))
    )
    expected = is_right(call, text, decision)
    assert (done.total["right"], done.total["wrong"]) == (expected is True, expected is False)


def test_fields_may_have_any_name(tmp_path: Path) -> None:
    fields = ["name", "path", "why", "compared", "label", "known", "row"]
    values = {name: f"{name.upper()}1" for name in fields}
    write_readings(tmp_path / "readings.csv", *[line(f"b/{i}.png", "A1") | values for i in range(3)])
    rows = [f"b/{i}.png,A1,{','.join(values.values())}" for i in (2, 0, 1)]
    (tmp_path / "labels.csv").write_text("\n".join([f"filename,text,{','.join(fields)}", *rows]) + "\n")
    table = audit(tmp_path, tmp_path / "labels.csv").fields
    assert table[["field", "right", "wrong"]].to_numpy().tolist() == [[name, 3, 0] for name in fields]
