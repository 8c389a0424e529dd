"""The report of an audit in a real browser engine: Chromium, by Qt WebEngine, without a window.

make browser-test
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("PySide6.QtWebEngineCore", reason="the extra browser is not installed: make browser-test")

from audit_cases import line, write_readings
from engine import DARK, Browser
from PySide6.QtCore import Qt, QUrl
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from serialread import auditing
from serialread.auditing.rerunning import FailureCase, FailurePictures

DATA = Path(__file__).parents[1] / "data" / "audit"
DOT = "data:image/webp;base64,UklGRh4AAABXRUJQVlA4TBEAAAAvAAAAAAfQ//73v/+BiOh/AAA="


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hand-worked audit, with thirty pictures of failures."""
    out = tmp_path_factory.mktemp("report")
    chars = (("X", 0.9, "Y", 0.08), ("<", 0.6, "", 0.4))
    rest = ("XY", "X<", "ACCEPT", "0.9", chars, DOT, "ab12")
    cases = [FailureCase(f"b{i % 2}/{i}.png", *rest) for i in range(30)]
    done = auditing.audit(DATA, DATA / "labels.csv")
    replace(done, failures=FailurePictures(tuple(cases))).write(out)
    return out / "report.html"


@pytest.fixture
def browser(application: QApplication, report: Path) -> Iterator[Browser]:
    opened = Browser(QUrl.fromLocalFile(str(report)))
    yield opened
    assert opened.page.messages == []  # no error, no warning
    opened.close()


FIRST = (
    "Array.from(document.querySelector('table.sheet tbody').rows).map(row => row.cells[0].textContent).join()"
)


def test_the_page_asks_for_nothing_but_itself(browser: Browser, report: Path) -> None:
    requested = [address for address in browser.requests.requested if not address.startswith("data:")]
    assert requested == [QUrl.fromLocalFile(str(report)).toString()]
    assert browser.ask("document.images.length") == 30
    assert browser.ask("Array.from(document.images).every(i => i.complete && i.naturalWidth > 0)")


def test_light_and_dark_follow_the_system(browser: Browser) -> None:
    paper = browser.ask("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(21, 24, 28)" if DARK else "rgb(255, 255, 255)")


def test_a_click_sorts_up_and_down(browser: Browser) -> None:
    head = "document.querySelector('table.sheet thead button')"
    before = browser.ask(FIRST)
    browser.ask(f"{head}.click()")
    rising = browser.ask(FIRST)
    browser.ask(f"{head}.click()")
    assert rising.split(",") == sorted(before.split(","))
    assert browser.ask(FIRST).split(",") == rising.split(",")[::-1]
    assert browser.ask(f"{head}.parentNode.getAttribute('aria-sort')") == "descending"


def test_the_keyboard_alone_sorts_and_filters(browser: Browser) -> None:
    browser.view.focusProxy().setFocus()
    browser.ask("document.querySelector('table.sheet thead button').focus()")
    browser.press(Qt.Key.Key_Return)
    assert browser.ask("document.activeElement.parentNode.getAttribute('aria-sort')") == "ascending"
    browser.press(Qt.Key.Key_Tab)
    assert browser.ask("document.activeElement.tagName") == "BUTTON"
    assert browser.ask("document.activeElement.textContent") == "release"


def test_words_filter_a_table_and_escape_shows_all(browser: Browser) -> None:
    browser.ask("for (const part of document.querySelectorAll('details')) part.open = true; 0")
    found = "Array.from(document.querySelectorAll('.find input'))[0]"
    table = f"{found}.closest('p').nextElementSibling.querySelector('table')"
    lines = int(browser.ask(f"{table}.tBodies[0].rows.length"))
    browser.view.focusProxy().setFocus()
    browser.ask(f"{found}.focus()")
    QTest.keyClicks(browser.view.focusProxy(), "zzz")
    shown = f"Array.from({table}.tBodies[0].rows).filter(row => !row.hidden).length"
    browser.until(shown, 0)
    assert (
        browser.ask(f"{found}.closest('p').querySelector('[role=status]').textContent")
        == f"0 of {lines} lines"
    )
    browser.press(Qt.Key.Key_Escape)
    browser.until(shown, lines)


def test_pictures_come_twelve_at_a_time_by_batch_and_print_all(browser: Browser) -> None:
    shown = "Array.from(document.querySelectorAll('.paged figure')).filter(f => !f.hidden).length"
    bar = "document.querySelector('.paged').previousElementSibling"
    assert browser.ask("document.querySelectorAll('#answer ~ .first figure').length") == 4
    assert browser.ask(shown) == 12
    browser.ask(f"{bar}.querySelectorAll('button')[1].click()")
    assert browser.ask(f"{bar}.querySelector('[role=status]').textContent") == "13 to 24 of 26"
    select = f"{bar}.querySelector('select')"
    browser.ask(f"{select}.value = 'b1'; {select}.dispatchEvent(new Event('change')); 0")
    assert browser.ask(f"{bar}.querySelector('[role=status]').textContent") == "1 to 12 of 13"
    browser.ask("dispatchEvent(new Event('beforeprint'))")
    assert browser.ask(shown) == 26
    browser.ask("dispatchEvent(new Event('afterprint'))")
    assert browser.ask(shown) == 12


def test_the_page_prints_to_pdf(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    browser.wait(browser.page.pdfPrintingFinished, lambda: browser.page.printToPdf(str(path)))
    data = path.read_bytes()
    assert data.startswith(b"%PDF-")
    assert len(data) > 10_000


WIDER = """
for (const part of document.querySelectorAll('details')) part.open = true;
const all = [document.documentElement, ...document.querySelectorAll('.scroll')];
const wider = all.filter((one) => one.scrollWidth > one.clientWidth);
wider.map((one) => one.getAttribute('aria-label') || 'page').join();
"""
"""What scrolls sideways, everything unfolded."""


@pytest.mark.parametrize(("width", "zoom"), [(1400, 1.0), (1400, 2.0), (700, 1.0), (390, 1.0)])
def test_nothing_scrolls_sideways(browser: Browser, width: int, zoom: float) -> None:
    browser.view.resize(width, 900)
    browser.page.setZoomFactor(zoom)
    QTest.qWait(300)
    assert browser.ask(WIDER) == ""


def test_the_report_is_accessible(browser: Browser) -> None:
    assert browser.violations() == []


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison and a study of agreement."""
    out, labels = tmp_path_factory.mktemp("studies"), "filename,text\na.png,B8\nb.png,B9\n"
    (out / "labels.csv").write_text(labels, "utf-8")
    a = write_readings(out / "a.csv", line("a.png", "B8"), line("b.png", "89"))
    b = write_readings(out / "b.csv", line("a.png", "B8"), line("b.png", "B9"))
    auditing.compare(a, b, out / "labels.csv").write(out)
    calls = "filename,appraiser,trial,text\na.png,Ann,1,B8\nb.png,Ann,1,B9\na.png,Ben,1,88\nb.png,Ben,1,B9\n"
    (out / "calls.csv").write_text(calls, "utf-8")
    auditing.agreement(out / "calls.csv", out / "labels.csv", a).write(out)
    return out


@pytest.mark.parametrize("name", ["compare", "agreement"])
@pytest.mark.parametrize(("width", "zoom"), [(1400, 2.0), (390, 1.0)])
def test_a_study_begins_with_its_answer_and_is_accessible(
    application: QApplication, studies: Path, name: str, width: int, zoom: float
) -> None:
    browser = Browser(QUrl.fromLocalFile(str(studies / f"{name}.html")))
    browser.view.resize(width, 900)
    browser.page.setZoomFactor(zoom)
    answer = {"compare": "The difference is not significant", "agreement": "Not all: Ben is not acceptable"}
    assert str(browser.ask("document.querySelector('#answer strong').textContent")).startswith(answer[name])
    QTest.qWait(300)
    assert browser.ask(WIDER) == ""
    assert browser.violations() == []
    browser.close()
