"""Chromium, by Qt WebEngine, without a window.

The tests run twice: for a light colour scheme, and with PAPER=dark for a dark one, because the engine keeps
its scheme. The default test run leaves them out, because the engine takes 200 MB.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

os.environ["QT_QPA_PLATFORM"] = "offscreen"
DARK = os.environ.get("PAPER") == "dark"
os.environ["QTWEBENGINE_CHROMIUM_FLAGS"] = (
    f"--disable-gpu --no-sandbox --blink-settings=preferredColorScheme={0 if DARK else 1}"
)

from PySide6.QtCore import QEventLoop, Qt, QTimer, QUrl
from PySide6.QtTest import QTest
from PySide6.QtWebEngineCore import (
    QWebEngineDownloadRequest,
    QWebEnginePage,
    QWebEngineProfile,
    QWebEngineUrlRequestInterceptor,
)
from PySide6.QtWebEngineWidgets import QWebEngineView

WAIT_MS = 60_000
_AXE = """
var found = undefined;
axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] }).then(
  (all) => {
    found = all.violations.flatMap((one) => one.nodes.map((node) => one.id + ": " + node.html.slice(0, 90)));
  },
  (error) => { found = [String(error)]; });
0
"""
_LISTEN = """
if (window.released === undefined) addEventListener("keyup", () => { window.released += 1; }, true);
window.released = 0
"""


class Requests(QWebEngineUrlRequestInterceptor):
    """Keeps every address that a page requests."""

    def __init__(self) -> None:
        super().__init__()
        self.requested: list[str] = []

    def interceptRequest(self, info: Any) -> None:  # noqa: N802
        self.requested.append(info.requestUrl().toString())


class Page(QWebEnginePage):
    """Keeps the console messages of a page."""

    def __init__(self, profile: QWebEngineProfile) -> None:
        super().__init__(profile)
        self.messages: list[str] = []

    def javaScriptConsoleMessage(self, level: Any, message: str, line: int, source: str) -> None:  # noqa: N802
        self.messages.append(f"{line}: {message}")


class Browser:
    """One page in an invisible window, with storage of its own."""

    def __init__(self, url: QUrl | str, downloads: Path | None = None) -> None:
        self.profile, self.requests, self.view = QWebEngineProfile(), Requests(), QWebEngineView()
        self.profile.setUrlRequestInterceptor(self.requests)
        self.downloads = downloads
        self.profile.downloadRequested.connect(self._download)
        self.page = Page(self.profile)
        self.view.setPage(self.page)
        self.view.resize(1200, 900)
        self.view.show()
        assert self.wait(self.page.loadFinished, lambda: self.page.load(QUrl(url)))

    def wait(self, signal: Any, start: Callable[[], Any]) -> Any:
        """The last argument of a signal after something was started."""
        loop, messages = QEventLoop(), list[Any]()
        signal.connect(lambda *words: (messages.extend(words), loop.quit()))
        QTimer.singleShot(WAIT_MS, loop.quit)
        start()
        loop.exec()
        assert messages, "the browser did not answer"
        return messages[-1]

    def ask(self, script: str) -> Any:
        """The value of a script."""
        loop, messages = QEventLoop(), list[Any]()
        QTimer.singleShot(WAIT_MS, loop.quit)
        self.page.runJavaScript(script, 0, lambda value: (messages.append(value), loop.quit()))
        loop.exec()
        assert messages, "the browser did not answer"
        return messages[0]

    def until(self, script: str, wanted: Any = True) -> None:
        """Wait until a script has a value."""
        end = time.monotonic() + WAIT_MS / 1000
        while (found := self.ask(script)) != wanted:
            assert time.monotonic() < end, f"{script} is {found!r}, not {wanted!r}"
            QTest.qWait(30)

    def press(self, key: Qt.Key, modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        """Press a key, and wait until the page has dealt with it."""
        with self._heard(1):
            QTest.keyClick(self.view.focusProxy(), key, modifiers)
        QTest.qWait(150)

    def type(self, text: str) -> None:
        """Type a text, and wait until the page has dealt with it."""
        self.view.focusProxy().setFocus()
        with self._heard(len(text)):
            QTest.keyClicks(self.view.focusProxy(), text)

    @contextmanager
    def _heard(self, keys: int) -> Iterator[None]:
        """Wait for so many released keys: keys and scripts reach a page by different ways, in any order."""
        self.ask(_LISTEN)
        yield
        self.until(f"window.released === undefined || window.released >= {keys}")  # undefined: another page

    def violations(self) -> list[str]:
        """What axe-core finds against WCAG 2.1 AA, all unfolded; without axe-core the test is skipped."""
        path = files("axe_core_python") / "axe.min.js" if find_spec("axe_core_python") else None
        if path is None:
            pytest.skip("axe-core is not installed: make browser-test")
        self.ask("for (const part of document.querySelectorAll('details')) part.open = true; 0")
        self.ask(path.read_text(encoding="utf-8") + "; 0")
        self.ask(_AXE)
        self.until("typeof found", "object")
        return list(json.loads(self.ask("JSON.stringify(found)")))

    def reload(self) -> None:
        self.wait(self.page.loadFinished, lambda: self.page.triggerAction(self.page.WebAction.Reload))

    def close(self) -> None:
        self.view.close()
        self.view.setPage(None)  # type: ignore[arg-type]
        self.page.deleteLater()
        QTest.qWait(50)

    def _download(self, request: QWebEngineDownloadRequest) -> None:
        if self.downloads:
            request.setDownloadDirectory(str(self.downloads))
            request.accept()
