"""The web server of a line: REST interface, live page and metrics, in a thread."""

import asyncio
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from time import monotonic, sleep
from typing import Any

import h11
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from serialread.config import WebConfig
from serialread.errors import LineError, RecipeError, SerialreadError
from serialread.line.line_metrics import LineMetrics
from serialread.line.live_page import LivePage
from serialread.line.rest import RestInterface, refused
from serialread.line.service import LineService
from serialread.line.web_guard import LineGuard
from serialread.review.web import is_loopback, secured

log = logging.getLogger(__name__)

HEADER_TIMEOUT_S = 10.0
"""A connection on which no complete request header arrives in this time is closed."""
MAX_HEADER_BYTES = 16 * 1024
STOP_TIMEOUT_S = 5
"""Requests that are not answered by then are cancelled when the service stops."""


class _DefectsOnly(logging.Filter):
    """Keeps what clients do to their own connections out of the log: anybody could fill it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        error = record.exc_info[1] if record.exc_info else None
        return record.levelno >= logging.ERROR and not isinstance(error, h11.ProtocolError)


class TimedProtocol(H11Protocol):
    """HTTP/1.1 that closes connections whose request header does not arrive in time."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a header."""
        super().connection_made(transport)
        self._await_header()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Wait for the rest of a header, or no longer if it is complete."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            if self._timer is None:
                self._await_header()
        else:
            self._stop_waiting()

    def _await_header(self) -> None:
        self._timer = self.loop.call_later(HEADER_TIMEOUT_S, self._close)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self.transport.close()


class LineServer:
    """The web server of a line.

    Attributes:
        address: of the live page.
    """

    def __init__(self, service: LineService, reload: Callable[[str], None]) -> None:
        """Bind the address; nothing is answered before ``start``.

        Args:
            service: the line.
            reload: reads stations and model again for a caller.

        Raises:
            RecipeError: keys or TLS files cannot be used.
            LineError: it cannot listen there.
        """
        web = service.config.web or WebConfig()
        metrics = LineMetrics(service.health)
        service.listeners.append(metrics.observe)
        self.app = line_app(service, web, reload, metrics)
        self._check_tls(web)
        self._socket = _bound(web)
        name = f"[{web.host}]" if ":" in web.host else web.host
        scheme = "https" if web.certificate else "http"
        self.address = f"{scheme}://{name}:{self._socket.getsockname()[1]}/"
        logging.getLogger("uvicorn.error").addFilter(_DefectsOnly())
        self._server = uvicorn.Server(_settings(self.app, web))
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def start(self) -> None:
        """Answer requests from now on.

        Raises:
            LineError: the server does not start.
        """
        self._thread.start()
        end = monotonic() + 10
        while not self._server.started:
            if not self._thread.is_alive() or monotonic() > end:
                raise LineError(f"{self.address}: the web server does not start. See the log.")
            sleep(0.01)

    def stop(self) -> None:
        """Answer what was asked, and end."""
        self._server.should_exit = True
        self._thread.join(STOP_TIMEOUT_S + 5)
        self.close()

    def close(self) -> None:
        """Release the address."""
        self._socket.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    def _check_tls(self, web: WebConfig) -> None:
        if web.certificate and web.private_key:
            try:
                ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
                    web.certificate, web.private_key
                )
            except (OSError, ssl.SSLError) as error:
                raise RecipeError(f"web.certificate: {web.certificate} cannot be used: {error}.") from None
        elif not is_loopback(web.host):
            log.warning("web: %s is served without TLS; keys can be read on the network", web.host)


def line_app(
    service: LineService, web: WebConfig, reload: Callable[[str], None], metrics: LineMetrics
) -> ASGIApp:
    """The web application.

    Raises:
        RecipeError: its keys cannot be used.
    """
    handlers: Any = {HTTPException: refused, SerialreadError: refused, Exception: refused}
    routes = [
        *RestInterface(service, web, reload).routes(),
        *LivePage(service, metrics, web.review).routes(),
    ]
    return secured(Starlette(routes=routes, exception_handlers=handlers), LineGuard(web).refusal)


def _bound(web: WebConfig) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in web.host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((web.host, web.port))
        listening.listen(web.connections)
    except OSError as error:
        listening.close()
        raise LineError(
            f"{web.host}:{web.port}: cannot listen there: {error.strerror or error}. Give another port."
        ) from None
    return listening


def _settings(app: ASGIApp, web: WebConfig) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=TimedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=web.connections,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=STOP_TIMEOUT_S,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        ssl_certfile=web.certificate,
        ssl_keyfile=web.private_key,
    )
