"""The live page of a line in a real browser engine: see ``engine``.

make browser-test
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("PySide6.QtWebEngineCore", reason="the extra browser is not installed: make browser-test")

from engine import DARK, Browser
from line_cases import picture, served, settings
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from serialread.line import LineService

REVIEW = "http://127.0.0.1:8400/"
SHOWN = "document.querySelector('.station {}').textContent"
ROWS = "[...document.querySelectorAll('#readings tr')].map(row => row.children[4].textContent).join()"


@pytest.fixture
def line(tmp_path: Path) -> Iterator[tuple[Any, LineService]]:
    with served(settings(tmp_path, web={"port": 0, "review": REVIEW}, stop_timeout_s=1)) as (client, service):
        yield client, service


@pytest.fixture
def browser(line: tuple[Any, LineService], application: QApplication) -> Iterator[Browser]:
    opened = Browser(str(line[0].base_url))
    opened.until("document.getElementById('state').textContent.split(' · ')[0]", "Running")
    yield opened
    opened.close()


def test_readings_appear_with_picture_counters_and_reasons(
    line: tuple[Any, LineService], browser: Browser
) -> None:
    client, service = line
    assert browser.ask(ROWS) == ""
    client.post("/v1/read", content=picture(5))
    browser.until(ROWS, "57")
    assert browser.ask(SHOWN.format(".outcome")) == "PASS"
    assert " PASS 1 · FAIL 0 · REVIEW 0 · waiting 0" in browser.ask(SHOWN.format(".counts"))
    assert browser.ask("document.querySelector('.station img').hidden"), "pictures that pass are not kept"
    client.post("/v1/read", content=picture(9), params={"expected": "57"})
    browser.until(ROWS, "97,57")
    assert browser.ask(SHOWN.format(".outcome")) == "FAIL"
    assert browser.ask(SHOWN.format(".code")) == "97"
    assert browser.ask(SHOWN.format(".why")) == "expected 57, read 97: distance 1"
    browser.until("document.querySelector('.station img').naturalWidth", 86)
    assert not browser.ask("document.querySelector('.station img').hidden")
    assert browser.ask("document.getElementById('model').textContent") == service.model_id
    assert browser.ask("document.querySelector('nav a').href") == REVIEW


def test_it_asks_nobody_else_and_its_policy_refuses_foreign_scripts(
    line: tuple[Any, LineService], browser: Browser
) -> None:
    client, _ = line
    client.post("/v1/read", content=picture(9, note=1), params={"expected": "<img/src=x/onerror=alert(1)>"})
    browser.until(ROWS, "97")
    assert "<img/src=x" in browser.ask(SHOWN.format(".why")), "a code is text"
    address = browser.ask("location.origin")
    assert [url for url in browser.requests.requested if not url.startswith((address, "data:"))] == []
    assert browser.page.messages == []
    browser.ask("document.body.insertAdjacentHTML('beforeend', '<i onclick=\"window.hit = 1\">x</i>'); 0")
    browser.ask("document.querySelector('i').click(); 0")
    browser.until("typeof window.hit", "undefined")
    assert len(browser.page.messages) == 1
    assert "Content Security Policy" in browser.page.messages[0]


def test_it_says_that_the_service_is_gone_and_comes_back_to_it(
    line: tuple[Any, LineService], browser: Browser
) -> None:
    client, service = line
    service._accepting = False
    browser.until("document.getElementById('state').textContent.split(' · ')[0]", "Not ready")
    service._accepting = True
    browser.until("document.getElementById('state').textContent.split(' · ')[0]", "Running")
    service._problems["source"] = "source 1 (folder): no such folder."
    browser.until("document.getElementById('trouble').textContent", "source 1 (folder): no such folder.")
    assert not browser.ask("document.getElementById('trouble').hidden")
    service._problems.clear()
    browser.until("document.getElementById('trouble').hidden")
    client.post("/v1/read", content=picture(5))
    browser.until(ROWS, "57")


def test_it_is_accessible_and_fits_the_window(line: tuple[Any, LineService], browser: Browser) -> None:
    client, service = line
    for note, expected in enumerate(("", "57", "")):
        client.post("/v1/read", content=picture(5 + note, note=note), params={"expected": expected})
    service._problems["source"] = "source 1 (folder): no such folder."
    browser.until("document.querySelectorAll('#readings tr').length", 3)
    browser.until("document.getElementById('trouble').hidden", False)
    assert browser.ask("getComputedStyle(document.body).backgroundColor") == (
        "rgb(21, 24, 28)" if DARK else "rgb(255, 255, 255)"
    )
    for width, zoom in ((1200, 2.0), (390, 1.0)):
        browser.view.resize(width, 900)
        browser.page.setZoomFactor(zoom)
        QTest.qWait(300)
        assert browser.ask("document.documentElement.scrollWidth - innerWidth") <= 0
        assert browser.violations() == []


def test_the_page_of_the_interface_is_accessible(
    line: tuple[Any, LineService], application: QApplication
) -> None:
    opened = Browser(f"{line[0].base_url}docs")
    assert opened.violations() == []
    assert opened.page.messages == []
    opened.close()
