"""The live page of a line: last readings, pictures, counters; and the page of the interface."""

from importlib import resources

import jinja2
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from serialread import __version__
from serialread.line.line_metrics import LineMetrics
from serialread.line.openapi import docs_page, openapi_document
from serialread.line.rest import station_states
from serialread.line.service import LineService

SHOWN = 25
"""Readings in the table."""
_FILES = {"tokens.css": "serialread.auditing", "live.css": __package__, "live.js": __package__}
_TYPES = {"css": "text/css", "js": "text/javascript"}


class LivePage:
    """Answers to the requests of the page, and of Prometheus."""

    def __init__(self, service: LineService, metrics: LineMetrics, review: str) -> None:
        """Make the page.

        Args:
            service: the line.
            metrics: what Prometheus gets.
            review: address of the review page; "" for none.
        """
        self._service, self._metrics, self._review = service, metrics, review

    def routes(self) -> list[Route]:
        """Every address of the page."""
        return [
            Route("/", self.page),
            Route("/live", self.live),
            Route("/files/{name}", self.file),
            Route("/docs", lambda request: HTMLResponse(docs_page())),
            Route("/openapi.json", lambda request: JSONResponse(openapi_document())),
            Route("/metrics", self.metrics),
        ]

    def page(self, request: Request) -> Response:
        """The page itself."""
        environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
        text = resources.files(__package__).joinpath("live.html.j2").read_text(encoding="utf-8")
        names = [station.name for station in self._service.config.stations]
        page = environment.from_string(text).render(stations=names, version=__version__, review=self._review)
        return HTMLResponse(page)

    def live(self, request: Request) -> Response:
        """What changes on the page."""
        journal, health = self._service.journal, self._service.health()
        last = {name: journal.results(name, limit=1) for name in health.stations}
        down = [f"{name} is down: {one.error}" for name, one in health.sinks.items() if one.error]
        return JSONResponse(
            {
                **station_states(self._service),
                "ready": health.ready,
                "problems": [*health.problems, *down],
                "readings": [result.to_json() for _, result in journal.results(limit=SHOWN)],
                "last": {name: found[0][1].to_json() for name, found in last.items() if found},
            }
        )

    def file(self, request: Request) -> Response:
        """A style sheet or the script."""
        name = request.path_params["name"]
        if name not in _FILES:
            raise HTTPException(404)
        data = resources.files(_FILES[name]).joinpath(name).read_bytes()
        return Response(data, media_type=_TYPES[name.rpartition(".")[2]])

    def metrics(self, request: Request) -> Response:
        """The metrics in the text format of Prometheus."""
        return Response(self._metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")
