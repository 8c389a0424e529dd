"""The review page: a local web application that needs nothing from the network.

Every answer carries a content security policy. Requests for another host, and posts from other sites, are
refused; away from the loopback every request needs a token. A call is committed before it is answered, and a
request that is repeated because its answer was lost changes nothing.
"""

import hmac
import ipaddress
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from importlib import resources
from typing import Any

import jinja2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serialread import __version__
from serialread.codes import REJECT, format_of, unreadable, without_blanks
from serialread.errors import RecordsError, SerialreadError
from serialread.reader.serialization import RecordJson
from serialread.review.exchange import CALLS, LABELS, calls_csv, labels_csv
from serialread.review.pictures import CropBox, ReviewPictures
from serialread.review.queue import Filters, ReviewQueue, Task
from serialread.review.store import Call

LEASE_S = 120.0
"""How long a reading that somebody sees is not shown to others; the page renews it while it shows one."""
MAX_BODY = 1 << 16
"""Bytes of a posted request."""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
"""Security headers of every answer."""
_COOKIE = "serialread_review"
_FILES = {"tokens.css": "auditing", "review.css": "review", "review.js": "review"}
_TYPES = {"css": "text/css", "js": "text/javascript"}
_AHEAD = 2
"""Tasks in an answer: the one to show, and the one whose pictures are loaded meanwhile."""


class ReviewPage:
    """Answers to the requests of the page."""

    def __init__(self, queue: ReviewQueue, pictures: ReviewPictures, title: str) -> None:
        self._queue, self._pictures, self._title = queue, pictures, title
        self._shown: dict[str, tuple[str, float]] = {}  # part: session that sees it, and until when
        self._choosing = threading.RLock()  # else two sessions could choose the same reading
        self._format = pictures.station.code.format

    def routes(self) -> list[Route]:
        """Every address of the page."""
        return [
            Route("/", self.page),
            Route("/files/{name}", self.file),
            Route("/tasks", self.tasks),
            Route("/tasks/{part}", self.task),
            Route("/calls", self.call, methods=["POST"]),
            Route("/undo", self.undo, methods=["POST"]),
            Route("/lease", self.lease, methods=["POST"]),
            Route("/check", self.check),
            Route("/pictures/{part}/{kind}", self.picture),
            Route(f"/{LABELS}", partial(self.table, make=labels_csv)),
            Route(f"/{CALLS}", partial(self.table, make=calls_csv)),
        ]

    def page(self, request: Request) -> Response:
        """The page itself."""
        environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
        text = resources.files(__package__).joinpath("review.html.j2").read_text(encoding="utf-8")
        page = environment.from_string(text).render(
            title=self._title, version=__version__, format=self._format, **self._queue.choices()
        )
        return HTMLResponse(page)

    def file(self, request: Request) -> Response:
        """A style sheet or the script."""
        name = request.path_params["name"]
        if name not in _FILES:
            raise HTTPException(404)
        data = resources.files("serialread").joinpath(_FILES[name], name).read_bytes()
        return Response(data, media_type=_TYPES[name.rpartition(".")[2]])

    def tasks(self, request: Request) -> Response:
        """The next tasks and the progress."""
        return JSONResponse(self._next(dict(request.query_params)))

    def task(self, request: Request) -> Response:
        """The task of one reading."""
        part = request.path_params["part"]
        task = self._queue.task(part, request.query_params.get("reviewer", ""))
        shown = self._shown_task(task, request.query_params.get("reviewer", ""))
        if shown is None:
            raise HTTPException(404, "This reading is not in the results any more.")
        return JSONResponse(shown)

    async def call(self, request: Request) -> Response:
        """Commit a call; answer with the next tasks."""
        return JSONResponse(await run_in_threadpool(self._save, await _posted(request)))

    async def undo(self, request: Request) -> Response:
        """Take back the reviewer's last call; answer with its task."""
        return JSONResponse(await run_in_threadpool(self._undo, await _posted(request)))

    async def lease(self, request: Request) -> Response:
        """Keep the readings that a session sees from others for longer."""
        posted = await _posted(request)
        renewed = await run_in_threadpool(self._renew, str(posted.get("session", "")))
        return JSONResponse({"readings": renewed})

    def check(self, request: Request) -> Response:
        """What the format says about a text while it is typed."""
        text = without_blanks(request.query_params.get("text", ""))
        ok, words = self._judged(text)
        return JSONResponse({"ok": ok, "words": words})

    def picture(self, request: Request) -> Response:
        """A picture of a reading: ``crop``, ``picture`` or ``glyphs``."""
        kinds = {
            "crop": (self._pictures.crop, "image/webp"),
            "picture": (self._pictures.picture, "image/jpeg"),
            "glyphs": (self._pictures.glyphs, "image/webp"),
        }
        line = self._queue.reading(request.path_params["part"])
        make, media_type = kinds.get(request.path_params["kind"], (None, ""))
        if line is None or make is None:
            raise HTTPException(404, "This reading is not in the results any more.")
        try:
            data = make(line)
        except SerialreadError as error:
            raise HTTPException(404, str(error)) from None
        return Response(data, media_type=media_type, headers={"cache-control": "private, max-age=3600"})

    def table(self, request: Request, make: Callable[[ReviewQueue], bytes]) -> Response:
        """An exported table, as a download."""
        name = request.url.path.rpartition("/")[2]
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(make(self._queue), media_type="text/csv; charset=utf-8", headers=headers)

    def _save(self, posted: dict[str, Any]) -> dict[str, Any]:
        call = _checked(posted)
        line = self._queue.reading(posted["part"])
        if line is None:
            raise HTTPException(404, "This reading is not in the results any more.")
        role = self._queue.store.save(posted["part"], line["image"], call, posted["request"])
        with self._choosing:
            self._shown.pop(posted["part"], None)
        return {"role": role, **self._next(posted)}

    def _undo(self, posted: dict[str, Any]) -> dict[str, Any]:
        reviewer = str(posted.get("reviewer", "")).strip()
        part = self._queue.store.undo(reviewer, str(posted.get("request", "")))
        task = self._shown_task(self._queue.task(part, reviewer), reviewer) if part else None
        if task:
            self._lease([task], str(posted.get("session", "")))
        return {"task": task, "progress": asdict(self._queue.progress())}

    def _next(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The next tasks for a session, which nobody else sees now, and the progress."""
        reviewer, session = str(asked.get("reviewer", "")).strip(), str(asked.get("session", ""))
        names = ("batch", "decision", "reason", "text")
        filters = Filters(**{name: str(asked.get(f"only_{name}", "")) for name in names})
        skipped = set(filter(None, str(asked.get("skip", "")).split(",")))
        with self._choosing:
            now = time.monotonic()
            others = {part for part, (who, until) in self._shown.items() if who != session and until > now}
            found = self._queue.next(reviewer, _AHEAD, filters, others | skipped)
            tasks = [shown for task in found if (shown := self._shown_task(task, reviewer))]
            self._lease(tasks, session)
        return {"tasks": tasks, "progress": asdict(self._queue.progress())}

    def _lease(self, tasks: Iterable[dict[str, Any]], session: str) -> None:
        until = time.monotonic() + LEASE_S
        with self._choosing:
            kept = {part: lease for part, lease in self._shown.items() if lease[0] != session}
            self._shown = kept | {task["part"]: (session, until) for task in tasks}

    def _renew(self, session: str) -> int:
        """Renew the leases that nobody has taken over since; returns their number."""
        with self._choosing:
            own = [part for part, (who, _) in self._shown.items() if who == session]
            self._shown |= dict.fromkeys(own, (session, time.monotonic() + LEASE_S))
        return len(own)

    def _shown_task(self, task: Task, reviewer: str) -> dict[str, Any] | None:
        """What the page shows of a task; of a second review neither the reading nor the first call."""
        line = self._queue.reading(task.part)
        if line is None:
            return None
        shown = {
            "part": task.part,
            "role": task.role,
            "source": task.source,
            "image": _escaped(line["image"]),
            "decision": "",
            "has_crop": CropBox.of(line) is not None,
        }
        if task.role == "second":
            return {**shown, "text": "", "chars": [], "calls": []}
        calls = self._queue.store.calls(task.part)
        mine = calls.get(task.role)
        return {
            **shown,
            "text": mine.text if mine and task.role == "first" else line["text"],
            "reading": line["text"],
            "chars": _chars(line),
            "confidence": line["confidence"],
            "decision": line["decision"],
            "why": [_escaped(words) for words in _why(line) if words],
            "calls": [asdict(call) for call in calls.values()] if task.role == "final" else [],
        }

    def _judged(self, text: str) -> tuple[bool | None, str]:
        """Whether a text obeys the format, and what to say about it."""
        odd = unreadable(text)
        if odd:
            at, char = odd[0]
            return False, f"Character {at}, {char}, is not printable ASCII."
        if not self._format or not text:
            return None, ""
        made = format_of(self._format)
        if made.matches(text):
            return True, f"Format {made.name}: fits{', check character right' if made.checks else ''}."
        if expected := made.expected_check(text):
            at, char = expected
            return False, f"Check character {at} would be {char}."
        return False, f"Format {made.name}: does not fit."


def _checked(posted: dict[str, Any]) -> Call:
    try:
        label, text, reviewer, request, _ = (
            str(posted[name]) for name in ("label", "text", "reviewer", "request", "part")
        )
    except KeyError as error:
        raise HTTPException(400, f"{error}: missing.") from None
    if not 8 <= len(request) <= 64:
        raise HTTPException(400, "request: not 8 to 64 characters.")
    source = posted.get("source")
    try:
        return Call.of(label, text, reviewer, source if source in ("gain", "random") else "filter")
    except RecordsError as error:
        raise HTTPException(400, str(error)) from None


def _why(line: RecordJson) -> tuple[str, ...]:
    """Why a reading may be wrong, in words; "" where there is nothing to say."""
    views: list[str] = line.get("view_texts", [])  # missing from older results
    agreeing, others = views.count(line["text"]), sorted(set(views) - {line["text"]})
    words = f"{agreeing} of {len(views)} views read this; others: "
    words += ", ".join(text or "nothing" for text in others)
    return line["reason"], words if others else "", *line["sequence_findings"]


def _chars(line: RecordJson) -> list[dict[str, Any]]:
    box = CropBox.of(line)
    boxes = box.char_boxes(line) if box else [None] * len(line["chars"])
    return [
        {
            "char": char["char"],
            "confidence": char["confidence"],
            "runner_up": "" if char["runner_up"][0] == REJECT else char["runner_up"][0],
            "runner_up_confidence": char["runner_up"][1],
            "status": char["status"],
            "box": place,
        }
        for char, place in zip(line["chars"], boxes, strict=True)
    ]


def _escaped(text: str) -> str:
    """The text with control characters and lone surrogates escaped: file names may hold any byte."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


async def _posted(request: Request) -> dict[str, Any]:
    """The JSON object of a post."""
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BODY:
            raise HTTPException(413, "Too long.")
    try:
        posted = json.loads(data)
    except ValueError:
        posted = None
    if not isinstance(posted, dict):
        raise HTTPException(400, "Not a JSON object.")
    return posted


def secured(app: ASGIApp, refusal: Callable[[Request], Response | None]) -> ASGIApp:
    """An application that answers only what is not refused, with the security headers on every answer."""

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        if scope["type"] != "http":
            await app(scope, receive, send)
        elif refused := refusal(Request(scope)):
            await refused(scope, receive, with_headers)
        else:
            await app(scope, receive, with_headers)

    return answered


class Guard:
    """Lets only the page's own requests through.

    Args:
        hosts: names by which the page may be addressed; empty: any.
        token: what every request must prove to know; "": nothing.
    """

    def __init__(self, hosts: frozenset[str], token: str) -> None:
        self._hosts, self._token = hosts, token

    def refusal(self, request: Request) -> Response | None:
        """The answer to a request that may not pass; None to one that may."""
        host = request.headers.get("host", "")
        if self._hosts and host_name(host) not in self._hosts:
            return JSONResponse({"error": "This address is not served."}, 421)
        origin = request.headers.get("origin")
        if request.method == "POST":
            if origin is not None and origin.partition("://")[2] != host:
                return JSONResponse({"error": "Posts from other sites are refused."}, 403)
            if request.headers.get("content-type") != "application/json":
                return JSONResponse({"error": "Post JSON."}, 415)
        if not self._token or self._knows(request.cookies.get(_COOKIE, "")):
            return None
        if self._knows(request.query_params.get("token", "")):
            answer = RedirectResponse("/", 303)
            answer.set_cookie(_COOKIE, self._token, httponly=True, samesite="strict")
            return answer
        return JSONResponse(
            {"error": "Open the address that serialread review printed, with its token."}, 401
        )

    def _knows(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self._token.encode())


def host_name(host: str) -> str:
    """A Host header without its port."""
    return host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host


async def _refused(request: Request, error: Exception) -> Response:
    """An error as JSON: what the person did wrong (4xx), or what the disk refused (503: try again)."""
    if isinstance(error, HTTPException):
        return JSONResponse({"error": _escaped(error.detail)}, error.status_code)
    return JSONResponse({"error": _escaped(str(error))}, 503)


def review_app(
    queue: ReviewQueue, pictures: ReviewPictures, title: str, *, hosts: Iterable[str] = (), token: str = ""
) -> ASGIApp:
    """The web application.

    Args:
        queue: the readings and the calls.
        pictures: what is shown of them.
        title: name of the results.
        hosts: names by which it may be addressed; empty: any.
        token: what every request must prove to know; "": nothing.
    """
    handlers: Any = {HTTPException: _refused, SerialreadError: _refused}
    app = Starlette(routes=ReviewPage(queue, pictures, title).routes(), exception_handlers=handlers)
    return secured(app, Guard(frozenset(hosts), token).refusal)


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine reach an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def serve(
    queue: ReviewQueue,
    pictures: ReviewPictures,
    title: str,
    host: str,
    port: int,
    ready: Callable[[str], None],
) -> None:
    """Serve the page until the process is interrupted.

    Args:
        queue: the readings and the calls.
        pictures: what is shown of them.
        title: name of the results.
        host: address to listen on; one that is not the loopback needs a token, which is made here.
        port: to listen on; 0 takes a free one.
        ready: is given the page's address.

    Raises:
        RecordsError: it cannot listen there.
    """
    import uvicorn

    local = is_loopback(host)
    token = "" if local else secrets.token_urlsafe(24)
    hosts = {host, "localhost", "127.0.0.1", "[::1]"} if local else ()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen()  # who opens the address at once waits for an answer
    except OSError as error:
        listening.close()
        raise RecordsError(
            f"{host}:{port}: cannot listen there: {error.strerror or error}. Give another --port or --host."
        ) from None
    app = review_app(queue, pictures, title, hosts=hosts, token=token)
    name = f"[{host}]" if ":" in host else host
    ready(f"http://{name}:{listening.getsockname()[1]}/{f'?token={token}' if token else ''}")
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    uvicorn.Server(config).run(sockets=[listening])
