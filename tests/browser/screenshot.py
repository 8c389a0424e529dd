"""Draw docs/images/review.png: the review page with a reading of the sample pictures.

python tests/browser/screenshot.py RESULTS PICTURE
"""

import signal
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from engine import Browser
from monkey import Server
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication


def main(results: str, picture: str) -> None:
    application = QApplication([])
    server = Server(Path(results), "--out", tempfile.mkdtemp(), "--second", "0")
    browser = Browser(server.address)
    browser.view.resize(1100, 900)
    browser.until("document.activeElement.id", "name")
    browser.type("Ann")
    browser.press(Qt.Key.Key_Return)
    browser.until("tasks.length > 0")
    for _ in range(4):
        browser.press(Qt.Key.Key_Return)
        browser.until("!busy")
    browser.until("['crop', 'picture'].every(id => document.getElementById(id).style.visibility === '')")
    QTest.qWait(1000)
    browser.view.grab().save(picture)
    browser.close()
    server.kill(signal.SIGINT)
    application.quit()


if __name__ == "__main__":
    main(*sys.argv[1:])
