"""The report of an audit in a real browser engine: Chromium, by Qt WebEngine, without a window.

make browser-test
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("PySide6.QtWebEngineCore", reason="the extra browser is not installed: make browser-test")

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
    cases = [FailureCase(f"{i}.png", "XY", "X<", "ACCEPT", "0.9", chars, DOT) for i in range(30)]
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
    assert browser.ask("document.activeElement.textContent") == "images"


def test_words_filter_a_table_and_escape_shows_all(browser: Browser) -> None:
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


def test_pictures_come_twelve_at_a_time_and_print_all(browser: Browser) -> None:
    shown = "Array.from(document.querySelectorAll('.cases figure')).filter(f => !f.hidden).length"
    bar = "document.querySelector('.cases').previousElementSibling"
    assert browser.ask(shown) == 12
    browser.ask(f"{bar}.querySelectorAll('button')[1].click()")
    assert browser.ask(f"{bar}.querySelector('[role=status]').textContent") == " 13 to 24 of 30"
    browser.ask("dispatchEvent(new Event('beforeprint'))")
    assert browser.ask(shown) == 30
    browser.ask("dispatchEvent(new Event('afterprint'))")
    assert browser.ask(shown) == 12


def test_the_page_prints_to_pdf(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    browser.wait(browser.page.pdfPrintingFinished, lambda: browser.page.printToPdf(str(path)))
    data = path.read_bytes()
    assert data.startswith(b"%PDF-")
    assert len(data) > 10_000


def test_nothing_is_wider_than_the_window_of_a_phone(browser: Browser) -> None:
    browser.view.resize(390, 800)
    QTest.qWait(200)
    assert browser.ask("document.documentElement.scrollWidth <= innerWidth")
