"""A monkey at the review page: random keys and clicks, reloads and a killed server lose no decision.

    python tests/browser/monkey.py --minutes 10

Every post that the page was told is stored must be in the database with the same text, and the log must be
intact.
"""

import argparse
import json
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from engine import Browser
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from review_cases import pictured, write_results

from serialread import run_log
from serialread.review.store import DATABASE, LOG

NO, ALT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.AltModifier
KEYS = [
    *[(key, NO) for key in (Qt.Key.Key_Return,) * 6],
    *[
        (key, NO)
        for key in (Qt.Key.Key_Up, Qt.Key.Key_Left, Qt.Key.Key_Backspace, Qt.Key.Key_Escape, Qt.Key.Key_Tab)
    ],
    *[(key, NO) for key in (Qt.Key.Key_PageUp, Qt.Key.Key_PageDown)],
    *[(Qt.Key(ord(key)), ALT) for key in "UWNZXCIRG0"],
]
RECORD = """
if (!window.stored) {
  window.stored = [];
  const plain = window.fetch;
  window.fetch = async (path, options) => {
    const answer = await plain(path, options);
    if (options && path === "/calls" && answer.ok) window.stored.push(options.body);
    return answer;
  };
}
0
"""
"""Keeps every post of a call that the server confirmed."""


class Server:
    """``serialread review`` in a process of its own, on one port."""

    def __init__(self, results: Path, *options: str) -> None:
        self._command = [sys.executable, "-m", "serialread", "review", str(results), *options]
        self.port = 0
        self.start()

    def start(self) -> None:
        command = [*self._command, "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.address = self.process.stdout.readline().partition(" ")[0]
        self.port = int(self.address.split(":")[2].strip("/\n"))

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        self.process.send_signal(how)
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()


class Monkey:
    """Random input to one page."""

    def __init__(self, server: Server, seed: int) -> None:
        self.server, self.random = server, random.Random(seed)
        self.browser = Browser(server.address)
        self.stored: list[dict[str, str]] = []
        self.start_page()

    def start_page(self) -> None:
        """Give the name, as after a reload."""
        self.browser.ask(RECORD)
        self.browser.until("document.activeElement.id", "name")
        self.browser.ask("document.getElementById('name').value = ''; 0")
        self.browser.type("Monkey")
        self.browser.press(Qt.Key.Key_Return)

    def collect(self) -> None:
        """Take over what the page was told is stored."""
        found = self.browser.ask("JSON.stringify(window.stored.splice(0))")
        self.stored += map(json.loads, json.loads(found))

    def act(self) -> None:
        """One random key, text or click."""
        target, chance = self.browser.view.focusProxy(), self.random.random()
        if chance < 0.3:
            self.browser.type("".join(self.random.choices("AB07 -<\"'", k=self.random.randint(1, 4))))
        elif chance < 0.9:
            QTest.keyClick(target, *self.random.choice(KEYS))
        else:
            place = QPoint(self.random.randrange(target.width()), self.random.randrange(120, target.height()))
            QTest.mouseClick(target, Qt.MouseButton.LeftButton, NO, place)
        QTest.qWait(self.random.choice((0, 5, 60)))

    def run(self, seconds: float, restart_every_s: float) -> None:
        """Act for some time; kill and start the server again, and reload the page, now and then."""
        end, restart = time.monotonic() + seconds, time.monotonic() + restart_every_s
        while time.monotonic() < end:
            self.act()
            if self.random.random() < 0.1:
                self.browser.ask("document.getElementById('text').focus(); 0")
            if time.monotonic() > restart:
                self.server.kill()
                for _ in range(5):
                    self.act()
                self.server.start()
                self.browser.until("busy", False)
                self.collect()
                self.browser.reload()
                self.start_page()
                restart = time.monotonic() + restart_every_s
        self.browser.until("busy", False)
        self.collect()
        self.browser.close()


def lost(results: Path, stored: list[dict[str, str]]) -> list[str]:
    """What is missing in the database, or differs there."""
    with sqlite3.connect(results / DATABASE) as database:
        rows = dict(database.execute("SELECT request, entry FROM events WHERE request IS NOT NULL"))
    events = {request: json.loads(entry) for request, entry in rows.items()}
    problems = [f"{post['request']} is missing" for post in stored if post["request"] not in events]
    for post in stored:
        after = events.get(post["request"], {"after": None})["after"]
        text = "".join(post["text"].split()) if post["label"] in ("read", "wrong crop") else ""
        if after and (after["text"], after["label"]) != (text, post["label"]):
            problems.append(f"{post['request']} says {after}, not {post}")
    return [*problems, *run_log.verify(results / LOG).problems]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    application = QApplication([])
    place = Path(tempfile.mkdtemp())
    lines = pictured(place / "pictures", [f"{i // 100}/{i}.png" for i in range(2000)])
    results = write_results(place / "results", lines)
    server = Server(results, "--pictures", str(place / "pictures"))
    monkey = Monkey(server, given.seed)
    monkey.run(60 * given.minutes, 60)
    server.kill(signal.SIGINT)
    problems = lost(results, monkey.stored)
    print(*problems, sep="\n")
    print(f"{len(monkey.stored)} decisions confirmed, {len(problems)} lost or changed; {place}")
    application.quit()
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
