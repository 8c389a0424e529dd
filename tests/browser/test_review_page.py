"""The review page in a real browser engine, by keyboard: see ``engine``.

make browser-test
"""

import csv
import json
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("PySide6.QtWebEngineCore", reason="the extra browser is not installed: make browser-test")

from engine import DARK, Browser
from monkey import ALT, Monkey, Server, lost
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from review_cases import part_of, pictured, reading, write_results

from serialread import run_log
from serialread.review import ReviewQueue, ReviewStore
from serialread.review.store import DATABASE, LOG

PART = "document.getElementById('work').dataset.part"
TEXT = "document.getElementById('text').value"
PROGRESS = "document.getElementById('progress').textContent"
TROUBLE = "document.getElementById('trouble').hidden ? '' : document.getElementById('trouble').textContent"
Started = Callable[..., Server]
Visited = Callable[..., Browser]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    servers: list[Server] = []

    def start(lines: list[dict[str, object]], *options: str) -> Server:
        results = write_results(tmp_path / "results", lines)
        (tmp_path / "pictures").mkdir(exist_ok=True)
        servers.append(Server(results, "--pictures", str(tmp_path / "pictures"), *options))
        return servers[-1]

    yield start
    for server in servers:
        server.kill(signal.SIGINT)


@pytest.fixture
def visited(application: QApplication) -> Iterator[Visited]:
    browsers: list[Browser] = []

    def visit(server: Server, name: str = "Ann", downloads: Path | None = None) -> Browser:
        browser = Browser(server.address, downloads)
        browsers.append(browser)
        browser.until("document.activeElement.id", "name")
        browser.type(name)
        browser.press(Qt.Key.Key_Return)
        browser.until("tasks.length > 0 && document.activeElement.id", "text")
        return browser

    yield visit
    for browser in browsers:
        browser.close()


def decide(
    browser: Browser, key: Qt.Key = Qt.Key.Key_Return, modifiers: Qt.KeyboardModifier | None = None
) -> str:
    """Press a key that decides; the reading that was decided."""
    part = str(browser.ask(PART))
    browser.press(key, modifiers or Qt.KeyboardModifier.NoModifier)
    browser.until(f"!busy && (!tasks.length || {PART} !== {json.dumps(part)})")
    return part


def events(results: Path) -> list[dict[str, Any]]:
    with sqlite3.connect(results / DATABASE) as database:
        return [
            json.loads(entry) for (entry,) in database.execute("SELECT entry FROM events ORDER BY number")
        ]


def test_from_open_to_export_by_keyboard(started: Started, visited: Visited, tmp_path: Path) -> None:
    lines = pictured(tmp_path / "pictures", [f"a/{i}.png" for i in range(8)])
    browser = visited(started(lines, "--second", "0"), downloads=tmp_path / "saved")
    browser.until("['crop', 'picture'].every(id => document.getElementById(id).naturalWidth > 0)")
    assert browser.ask("document.querySelectorAll('#boxes i').length") == 5
    assert browser.ask("document.querySelector('#chars .at b').textContent") == "B"  # the weakest is selected
    said = {decide(browser): "read"}
    browser.press(Qt.Key.Key_Down)  # the next likely character
    corrected = browser.ask(TEXT)
    assert corrected.startswith("8")
    part = decide(browser)
    said[part] = "read"
    browser.type("X")
    assert str(browser.ask(TEXT)).startswith("X")
    browser.press(Qt.Key.Key_Escape)
    assert str(browser.ask(TEXT)).startswith("B")
    for key, label in ((Qt.Key.Key_U, "unreadable"), (Qt.Key.Key_W, "wrong crop"), (Qt.Key.Key_N, "no code")):
        said[decide(browser, key, ALT)] = label
    skipped = decide(browser, Qt.Key.Key_PageDown)
    undone = decide(browser)
    browser.press(Qt.Key.Key_PageUp)
    browser.until(PART, undone)
    said[decide(browser)] = said[decide(browser)] = "read"
    browser.until("document.getElementById('done').hidden", False)
    assert str(browser.ask(PROGRESS)).startswith("7 of 8 reviewed · accuracy ")
    browser.press(Qt.Key.Key_L, ALT)
    for _ in range(100):
        QTest.qWait(50)
        if (tmp_path / "saved" / "labels.csv").is_file():
            break
    rows = list(csv.DictReader((tmp_path / "saved" / "labels.csv").read_text().splitlines()))
    names = {line["image"]: part_of(line) for line in lines}
    assert {names[row["filename"]]: row["label"] for row in rows} == said
    assert [row["text"] for row in rows if names[row["filename"]] == part] == [corrected]
    assert skipped not in said
    assert run_log.verify(tmp_path / "results" / LOG).lines == 9
    assert browser.page.messages == []
    address = browser.ask("location.origin")
    assert [url for url in browser.requests.requested if not url.startswith((address, "data:"))] == []


def test_the_picture_of_another_reading_is_never_beside_a_text(
    started: Started, visited: Visited, tmp_path: Path
) -> None:
    browser = visited(started(pictured(tmp_path / "pictures", ["a.png", "b.png"]), "--second", "0"))
    seen = "['crop', 'picture'].map(id => getComputedStyle(document.getElementById(id)).visibility).join()"
    browser.until(seen, "visible,visible")
    assert browser.ask(f"tasks.reverse(); show(); {seen}") == "hidden,hidden"
    browser.until(seen, "visible,visible")


def test_views_are_a_key_away(started: Started, visited: Visited, tmp_path: Path) -> None:
    browser = visited(started(pictured(tmp_path / "pictures", ["a.png", "b.png"])))
    browser.until(
        "document.getElementById('crop-stage').style.width.endsWith('px')"
    )  # the crop is drawn at its size
    width = "document.getElementById('crop').getBoundingClientRect().width"
    before = browser.ask(width)
    browser.press(Qt.Key.Key_Z, ALT)
    assert browser.ask(width) == pytest.approx(1.5 * before, abs=0.5)
    browser.press(Qt.Key.Key_I, ALT)
    browser.press(Qt.Key.Key_C, ALT)
    browser.until("document.getElementById('crop').style.filter", "contrast(2) invert(1)")
    browser.press(Qt.Key.Key_R, ALT)
    browser.until("document.getElementById('picture').style.transform", "rotate(90deg)")
    browser.press(Qt.Key.Key_0, ALT)
    assert browser.ask(width) == pytest.approx(before, abs=0.5)
    browser.until("document.getElementById('crop').style.filter", "contrast(1) invert(0)")
    browser.press(Qt.Key.Key_G, ALT)  # the model of these readings does not exist
    browser.until(f"({TROUBLE}).slice(0, 14)", "No glyph maps:")
    preloaded = "performance.getEntriesByName(location.origin + address(tasks[1], 'picture')).length"
    browser.until(f"{preloaded} > 0")


def test_two_reviewers_at_once_lose_nothing_and_the_second_review_is_blind(
    started: Started, visited: Visited, tmp_path: Path
) -> None:
    lines = pictured(tmp_path / "pictures", [f"{i}.png" for i in range(6)])
    server = started(lines, "--second", "1")
    ann, ben = visited(server, "Ann"), visited(server, "Ben")
    assert ann.ask(PART) != ben.ask(PART)
    seconds = 0
    for _ in range(30):
        for browser in (ann, ben):
            if browser.ask("tasks.length") and not browser.ask("busy"):
                if browser.ask("tasks[0].role") == "second":
                    seconds += 1
                    assert (
                        browser.ask(TEXT),
                        browser.ask("document.querySelectorAll('#chars li').length"),
                    ) == ("", 0)
                    browser.type("B0001")
                browser.press(Qt.Key.Key_Return)
            elif not browser.ask("tasks.length"):
                browser.ask("load(); 0")
            QTest.qWait(50)
    found = events(tmp_path / "results")
    assert seconds == 6
    calls = {(event["part"], event["role"]) for event in found}
    assert {(part_of(line), role) for line in lines for role in ("first", "second")} <= calls
    assert run_log.verify(tmp_path / "results" / LOG).ok


def test_a_killed_server_loses_no_decision(started: Started, visited: Visited, tmp_path: Path) -> None:
    server = started(pictured(tmp_path / "pictures", [f"{i}.png" for i in range(4)]), "--second", "0")
    browser = visited(server)
    first = decide(browser)
    server.kill()
    part, text = browser.ask(PART), browser.ask(TEXT)
    browser.press(Qt.Key.Key_Return)
    browser.until(f"({TROUBLE}).includes('Your decision is kept in this tab')")
    server.start()
    browser.until(f"!busy && {PART} !== {json.dumps(part)}")
    assert browser.ask(TROUBLE) == ""
    found = [(event["part"], event["after"]["text"]) for event in events(tmp_path / "results")]
    assert found[0][0] == first
    assert found[1:] == [(part, text)]


def test_a_decision_survives_a_reload_while_the_server_is_down(
    started: Started, visited: Visited, tmp_path: Path
) -> None:
    server = started(pictured(tmp_path / "pictures", [f"{i}.png" for i in range(4)]), "--second", "0")
    browser = visited(server)
    server.kill()
    part = browser.ask(PART)
    browser.press(Qt.Key.Key_Return)
    browser.until(f"({TROUBLE}) !== ''")
    server.start()
    browser.reload()
    browser.until("document.activeElement.id", "name")
    browser.press(Qt.Key.Key_Return)
    browser.until("tasks.length > 0 && !busy")
    assert [event["part"] for event in events(tmp_path / "results")] == [part]


def test_ten_thousand_readings_take_no_second_of_the_server_and_300_mb(
    started: Started, visited: Visited, tmp_path: Path
) -> None:
    lines = pictured(tmp_path / "pictures", [f"{i % 30}/{i}.png" for i in range(10)])
    lines += [reading(f"{i % 30}/{i}.png", "A1234567", 0.5 + i / 20_001) for i in range(10, 10_000)]
    server = started(lines)
    browser = visited(server)
    assert str(browser.ask(PROGRESS)).startswith("0 of 10,000 reviewed")
    begun = cpu_s(server)
    for _ in range(5):
        decide(browser)
    decided = cpu_s(server)
    browser.reload()
    assert (decided - begun) / 5 < 1  # the server's own time: other programs may run beside, and cores differ
    assert cpu_s(server) - decided < 1
    memory = Path(f"/proc/{server.process.pid}/status").read_text()
    assert int(memory.partition("VmHWM:")[2].split()[0]) / 1024 < 300


def cpu_s(server: Server) -> float:
    """Time that the server has computed so far."""
    cells = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(cells[11]) + int(cells[12])) / os.sysconf("SC_CLK_TCK")


def test_a_picture_that_is_gone_is_named_and_the_reading_can_still_be_decided(
    started: Started, visited: Visited, tmp_path: Path
) -> None:
    lines = pictured(tmp_path / "pictures", ["a.png", "b.png"])
    for name in ("a.png", "b.png"):
        (tmp_path / "pictures" / name).unlink()
    browser = visited(started(lines, "--second", "0"))
    browser.until(f"({TROUBLE}).endsWith('.png: the picture is missing or has changed since it was read.')")
    decide(browser)
    assert len(events(tmp_path / "results")) == 1


def test_hostile_names_are_only_text(started: Started, visited: Visited, tmp_path: Path) -> None:
    evil = "<img src=x onerror=hacked=1>"
    lines = [
        reading(f"{evil}/{evil}.png", "<b>A</b>", reason=evil, sequence_findings=["same code as " + evil]),
        reading("\udcff\n\u202e'.png", "B"),
    ]
    browser = visited(started(lines, "--second", "0"), evil)
    assert browser.ask("document.querySelectorAll('main img').length") == 3
    shown = str(browser.ask("document.getElementById('image').textContent"))
    assert shown.startswith((evil, r"\udcff\n\u202e'.png"))
    for _ in range(2):
        decide(browser)
    assert browser.ask("typeof hacked") == "undefined"
    assert {event["operator"] for event in events(tmp_path / "results")} == {evil}


CONTRASTS = """
const numbers = (colour) => (colour.match(/[0-9.]+/g) || []).map(Number);
function luminance(colour) {
  const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const [r, g, b] = numbers(colour).map((v) => linear(v / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function behind(node) {
  for (; node; node = node.parentElement) {
    const colour = getComputedStyle(node).backgroundColor;
    if (numbers(colour)[3] !== 0) return colour;
  }
}
function low(node) {
  const [a, b] = [luminance(getComputedStyle(node).color), luminance(behind(node))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  return ratio < 4.5 ? [node.tagName + " " + node.textContent.slice(0, 20) + " " + ratio.toFixed(2)] : [];
}
const hasText = (node) => Array.from(node.childNodes).some((n) => n.nodeType === 3 && n.textContent.trim());
const shown = Array.from(document.querySelectorAll("body *")).filter((n) => n.getClientRects().length);
const texts = shown.filter(hasText);
texts.length > 40 && texts.flatMap(low).join("; ")
"""
"""Text with a contrast below 4.5 to 1 (WCAG 2.2, 1.4.3)."""


def test_text_has_contrast_and_focus_is_visible_in_both_schemes(
    started: Started, visited: Visited, tmp_path: Path
) -> None:
    browser = visited(started(pictured(tmp_path / "pictures", ["a.png", "b.png"])))
    browser.ask("for (const part of document.querySelectorAll('details')) part.open = true; trouble('x'); 0")
    assert browser.ask("getComputedStyle(document.body).backgroundColor") == (
        "rgb(21, 24, 28)" if DARK else "rgb(255, 255, 255)"
    )
    assert browser.ask(CONTRASTS) == ""
    browser.press(Qt.Key.Key_Tab)
    assert browser.ask("document.activeElement.tagName") == "BUTTON"
    assert browser.ask("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_the_page_is_accessible(started: Started, visited: Visited, tmp_path: Path) -> None:
    browser = visited(started(pictured(tmp_path / "pictures", ["a.png", "b.png"])))
    assert browser.violations() == []


@pytest.mark.parametrize(("width", "zoom"), [(1200, 2.0), (390, 1.0)])
def test_nothing_is_wider_than_the_window(
    started: Started, visited: Visited, tmp_path: Path, width: int, zoom: float
) -> None:
    browser = visited(started(pictured(tmp_path / "pictures", ["a.png", "b.png"])))
    browser.view.resize(width, 900)
    browser.page.setZoomFactor(zoom)
    QTest.qWait(300)
    browser.ask("for (const part of document.querySelectorAll('details')) part.open = true; 0")
    assert browser.ask("document.documentElement.scrollWidth - innerWidth") <= 0


def test_a_link_opens_one_reading(started: Started, visited: Visited, tmp_path: Path) -> None:
    lines = pictured(tmp_path / "pictures", [f"{i}.png" for i in range(4)])
    server = started(lines, "--second", "0")
    server.address += f"?part={part_of(lines[3])}"
    browser = visited(server)
    browser.until(PART, part_of(lines[3]))


def test_new_readings_appear_while_pictures_are_read(
    started: Started, visited: Visited, tmp_path: Path
) -> None:
    lines = pictured(tmp_path / "pictures", [f"{i}.png" for i in range(2)])
    browser = visited(started(lines[:1], "--second", "0"))
    decide(browser)
    browser.until("document.getElementById('done').hidden", False)
    write_results(tmp_path / "results", lines[1:])
    browser.until(PART, part_of(lines[1]))


def test_a_monkey_loses_no_decision(application: QApplication, started: Started, tmp_path: Path) -> None:
    server = started(pictured(tmp_path / "pictures", [f"{i}.png" for i in range(300)]))
    monkey = Monkey(server, seed=7)
    monkey.run(12, 6)
    assert monkey.stored
    assert lost(tmp_path / "results", monkey.stored) == []


def test_the_server_ends_tidily(started: Started, tmp_path: Path) -> None:
    server = started([reading("a.png")])
    server.kill(signal.SIGINT)
    store = ReviewStore(tmp_path / "results")
    assert ReviewQueue(store, tmp_path / "results").progress().readings == 1
    store.close()
    server.start()
