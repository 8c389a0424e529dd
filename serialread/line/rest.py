"""The REST interface of a line: pictures in, results out.

A trigger is answered when it is durable and read; no path or address in a request is ever opened.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar
from uuid import uuid4

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from serialread.config import WebConfig
from serialread.errors import LineError, SerialreadError
from serialread.line.checks import shift_start
from serialread.line.events import Trigger, TriggerPicture, utc_now
from serialread.line.ports import BadTrigger
from serialread.line.rest_models import (
    ReadingsRequest,
    ReadRequest,
    RestModel,
)
from serialread.line.service import LineService

MAX_FIELD_BYTES = 4096
"""Length of a field of a form."""
MAX_BODIES = 8
"""Bodies of the largest size that may be in memory at the same time."""
MAX_NAME = 120
"""Length of the name of a picture."""

M = TypeVar("M", bound=RestModel)


class RestInterface:
    """Answers to the requests below ``/v1``."""

    def __init__(self, service: LineService, web: WebConfig, reload: Callable[[str], None]) -> None:
        """Make the interface.

        Args:
            service: the line.
            web: limits.
            reload: reads stations and model again for a caller.
        """
        self._service, self._web, self._reload = service, web, reload
        self._buffered = 0
        self._max_body = round(web.max_body_mb * 1e6)

    def routes(self) -> list[Route]:
        """Every address of the interface."""
        return [
            Route("/v1/read", self.read, methods=["POST"]),
            Route("/v1/readings", self.readings),
            Route("/v1/readings/{trigger}", self.reading),
            Route("/v1/pictures/{trigger}/{number}", self.picture),
            Route("/v1/stations", self.stations),
            Route("/v1/reload", self.reload, methods=["POST"]),
            Route("/healthz", self.alive),
            Route("/readyz", self.ready),
        ]

    async def read(self, request: Request) -> Response:
        """Accept a trigger, and answer with its result."""
        async with self._body(request) as body:
            asked, pictures = await self._trigger(request, body)
            trigger = Trigger(
                station=asked.station or self._service.config.stations[0].name,
                pictures=pictures,
                expected=asked.expected,
                format=asked.format,
                source=f"rest {request.scope['caller']}".strip(),
                id=asked.id or uuid4().hex,
            )
            future = await run_in_threadpool(self._service.accept, trigger)
        seconds = self._web.result_timeout_s
        waiting = asyncio.wrap_future(future)
        with suppress(asyncio.CancelledError):  # the service stops; the result comes after the next start
            await asyncio.wait(
                (waiting,), timeout=seconds if asked.wait is None else min(asked.wait, seconds)
            )
        if waiting.done():
            return JSONResponse(waiting.result().to_json())
        return JSONResponse({"trigger": trigger.id}, 202)

    def readings(self, request: Request) -> Response:
        """Results, the newest first."""
        asked = _checked(ReadingsRequest, dict(request.query_params))
        found = self._service.journal.results(**asked.model_dump())
        place = found[-1][0] if len(found) == asked.limit else None
        return JSONResponse({"readings": [result.to_json() for _, result in found], "next": place})

    def reading(self, request: Request) -> Response:
        """The result of a trigger."""
        trigger = request.path_params["trigger"]
        if result := self._service.journal.result_of(trigger):
            return JSONResponse(result.to_json())
        if self._service.journal.knows(trigger):
            return JSONResponse({"trigger": trigger}, 202)
        raise HTTPException(404, "no such trigger")

    def picture(self, request: Request) -> Response:
        """A kept picture of a trigger, as it was sent."""
        trigger, number = request.path_params["trigger"], request.path_params["number"]
        known = number.isascii() and number.isdigit() and len(number) <= len(str(self._web.max_pictures))
        data = self._service.journal.picture(trigger, int(number)) if known else None
        if data is None:
            raise HTTPException(404, "this picture is not kept")
        return Response(data, media_type=_media_type(data))

    def stations(self, request: Request) -> Response:
        """All stations with their counters."""
        return JSONResponse(station_states(self._service))

    async def reload(self, request: Request) -> Response:
        """Read stations and model again."""
        await run_in_threadpool(self._reload, request.scope["caller"])
        return JSONResponse({"status": "ok"})

    def alive(self, request: Request) -> Response:
        """Whether the process works."""
        ok = self._service.alive()
        return JSONResponse({"status": "ok" if ok else "a thread has ended"}, 200 if ok else 503)

    def ready(self, request: Request) -> Response:
        """Whether triggers are accepted, and every source works."""
        health = self._service.health()
        ok = health.ready and not health.problems
        return JSONResponse({"status": "ok" if ok else "not ready, see the log"}, 200 if ok else 503)

    @asynccontextmanager
    async def _body(self, request: Request) -> AsyncIterator[bytes]:
        """The body of a request, while it counts as memory in use."""
        length = request.headers.get("content-length", "0")
        if length.isdigit() and int(length) > self._max_body:
            raise HTTPException(413, f"larger than {self._web.max_body_mb:g} MB")
        body = bytearray()
        counted = 0
        try:
            async with asyncio.timeout(self._web.body_timeout_s):
                async for chunk in request.stream():
                    counted += len(chunk)
                    self._buffered += len(chunk)
                    if counted > self._max_body:
                        raise HTTPException(413, f"larger than {self._web.max_body_mb:g} MB")
                    if self._buffered > MAX_BODIES * self._max_body:
                        raise HTTPException(503, "too many pictures at the same time: send it again later")
                    body += chunk
            yield bytes(body)
        except TimeoutError:
            raise HTTPException(408, "the body did not arrive in time") from None
        except ClientDisconnect:
            raise HTTPException(400, "the body ends too early") from None
        finally:
            self._buffered -= counted

    async def _trigger(self, request: Request, body: bytes) -> tuple[ReadRequest, tuple[TriggerPicture, ...]]:
        """What a request asks for, and its pictures."""
        query = dict(request.query_params)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
            frames = (TriggerPicture("picture", body),) if body else ()
            return self._known(_checked(ReadRequest, query)), frames
        form = await self._form(request, body)
        fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        asked = self._known(_checked(ReadRequest, query | fields))
        try:
            pictures = [
                TriggerPicture(_name(one.filename, n), one.file.read()) for n, one in enumerate(files, 1)
            ]
        finally:
            await form.close()
        return asked, tuple(pictures)

    async def _form(self, request: Request, body: bytes) -> FormData:
        async def stream() -> AsyncIterator[bytes]:
            yield body

        parser = MultiPartParser(
            request.headers,
            stream(),  # type: ignore[arg-type]
            max_files=self._web.max_pictures,
            max_fields=len(ReadRequest.model_fields),
            max_part_size=MAX_FIELD_BYTES,
        )
        parser.spool_max_size = len(body) + 1  # nothing is written to temporary files
        try:
            return await parser.parse()
        except (MultiPartException, ValueError, LookupError, AssertionError) as error:
            raise HTTPException(400, f"no valid form: {str(error)[:200].rstrip('.')}") from None

    def _known(self, asked: ReadRequest) -> ReadRequest:
        if not asked.station and len(self._service.config.stations) > 1:
            raise HTTPException(422, "station: missing")
        return asked


def station_states(service: LineService) -> dict[str, object]:
    """All stations with their counters, as JSON values of ``StationStates``."""
    health, now = service.health(), utc_now()
    states = []
    for station in service.config.stations:
        state = health.stations[station.name]
        began = shift_start(station.checks.shifts, now)
        states.append(
            {
                "name": station.name,
                "waiting": state.waiting,
                "results": state.results,
                "last_result_at": state.last_result_at and state.last_result_at.isoformat(),
                "shift_began_at": began.isoformat(),
                "shift": service.journal.outcomes_since(station.name, began),
            }
        )
    return {"model_id": service.model_id, "stations": states}


async def refused(request: Request, error: Exception) -> Response:
    """An error as JSON."""
    match error:
        case HTTPException():
            message, status = error.detail, error.status_code
        case BadTrigger():
            message, status = str(error), 422
        case LineError():
            message, status = str(error), 503
        case SerialreadError():
            message, status = str(error), 409
        case _:
            message, status = "internal error, see the log", 500
    shown = message.rstrip(".").encode("utf-8", "backslashreplace").decode()
    return JSONResponse({"error": f"{shown}."}, status)


def _checked(kind: type[M], values: dict[str, str]) -> M:
    """Values of a query or a form, checked."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc']))[:80]}: {one['msg']}" for one in error.errors()]
        raise HTTPException(422, "; ".join(problems[:5])) from None


def _name(given: str | None, number: int) -> str:
    """What a record calls an uploaded picture: the last part of its name, or its number."""
    name = (given or "").replace("\\", "/").rpartition("/")[2].strip(". ")
    return name[-MAX_NAME:] if name.isprintable() and name else f"picture-{number}"


_STARTS = {
    b"\x89PNG": "image/png",
    b"\xff\xd8": "image/jpeg",
    b"GIF8": "image/gif",
    b"BM": "image/bmp",
    b"RIFF": "image/webp",
}


def _media_type(data: bytes) -> str:
    """Of a picture that browsers show; others are downloaded."""
    return next(
        (kind for start, kind in _STARTS.items() if data.startswith(start)), "application/octet-stream"
    )
