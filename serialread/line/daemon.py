"""Runs a line in the foreground until a signal: logs, web server, reload, watchdog of systemd."""

import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from types import FrameType
from typing import TYPE_CHECKING

from serialread import __version__, run_log
from serialread.config import LineConfig
from serialread.errors import SerialreadError
from serialread.line.ports import require_extra
from serialread.line.service import LineService

if TYPE_CHECKING:
    from serialread.line.web_server import LineServer

log = logging.getLogger(__name__)

AUDIT = "audit.log"
"""Hash-chained list of administrative actions, in the folder of the journal; ``serialread log verify``."""
TICK_S = 5.0
"""Time between two heartbeats, unless systemd wants them more often."""


class JsonLines(logging.Formatter):
    """One JSON object per log line: time (UTC), level, logger, message, and the traceback of a defect."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        values = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            values["traceback"] = self.formatException(record.exc_info)
        return json.dumps(values, ensure_ascii=False)


def log_as_json(level: str) -> None:
    """Write all log lines as JSON on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def notify(state: str) -> None:
    """Tell systemd the state of the service (sd_notify); nothing if it does not ask."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        try:
            notified.sendto(state.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)
        except OSError as error:
            log.warning("systemd cannot be told %s: %s", state, error)


class LineDaemon:
    """A line that runs until SIGTERM or SIGINT; SIGHUP reads stations and model again."""

    def __init__(self, config: LineConfig) -> None:
        """Check everything; see ``LineService``.

        Raises:
            SerialreadError: all that is wrong.
        """
        if config.web:
            require_extra("web", "web", "starlette", "uvicorn", "prometheus_client", "python_multipart")
        self.service = LineService(config)
        self._asked: set[int] = set()
        self._wake = threading.Event()
        try:
            self._web = self._opened_web() if config.web else None
        except BaseException:
            self.service.close()
            raise

    def run(self, ready: Callable[[str], None] = lambda address: None) -> None:
        """Run until a signal ends it. Call it in the main thread.

        Args:
            ready: is given the address of the web server, "" without one.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._signalled)
        self.service.start()
        if self._web:
            self._web.start()
        self._audit("start")
        notify("READY=1")
        ready(self._web.address if self._web else "")
        tick = min(TICK_S, int(os.environ.get("WATCHDOG_USEC", "0")) / 2e6 or TICK_S)
        try:
            while not self._asked & {signal.SIGTERM, signal.SIGINT}:
                if signal.SIGHUP in self._asked:
                    self._asked.discard(signal.SIGHUP)
                    self._reload()
                if self.service.alive():
                    notify("WATCHDOG=1")
                self._wake.wait(tick)
                self._wake.clear()
        finally:
            notify("STOPPING=1")
            self._audit("stop")
            if self._web:
                self._web.stop()
            self.service.stop()
            log.info("stopped")

    def close(self) -> None:
        """Close what was opened, without running."""
        if self._web:
            self._web.close()
        self.service.close()

    def reload(self, operator: str = "") -> None:
        """Read stations and model again, with a line in the audit log.

        Raises:
            SerialreadError: they cannot be used; the old ones stay.
        """
        try:
            self.service.reload()
        except SerialreadError as error:
            self._audit("reload", operator, refused=str(error))
            raise
        self._audit("reload", operator)

    def _reload(self) -> None:
        notify("RELOADING=1")
        try:
            self.reload()
        except SerialreadError as error:
            log.error("not reloaded: %s", error)  # the line goes on with what it has
        notify("READY=1")

    def _opened_web(self) -> "LineServer":
        from serialread.line.web_server import LineServer

        return LineServer(self.service, self.reload)

    def _audit(self, action: str, operator: str = "", **about: str) -> None:
        entry = {"version": __version__, "model_id": self.service.model_id, **about}
        log.info(
            "audit: %s by %s%s", action, operator or "the operating system", f": {about}" if about else ""
        )
        run = run_log.LoggedRun(f"line {action}", {}, entry, operator=operator)
        try:
            run_log.append(self.service.config.folder / AUDIT, run)
        except SerialreadError as error:
            log.error("audit: %s", error)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self._asked.add(number)
        self._wake.set()
