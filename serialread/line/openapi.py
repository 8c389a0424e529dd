"""The OpenAPI document of the REST interface, and a page that shows it without a network."""

from importlib import resources
from typing import Any

import jinja2
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from serialread import __version__
from serialread.line.rest_models import (
    HealthState,
    ReadingsPage,
    ReadingsRequest,
    ReadingsResult,
    ReadRequest,
    RefusedRequest,
    StationStates,
    TriggerAccepted,
)

_REF = "#/components/schemas/{model}"
_PICTURES = {"type": "array", "items": {"type": "string", "format": "binary"}}
_REFUSALS = {
    "400": "The body is no valid form.",
    "401": "No key, or an unknown one.",
    "403": "The key lacks the role.",
    "408": "The body did not arrive in time.",
    "413": "The body is too large.",
    "422": "A value is wrong.",
    "429": "Too many requests.",
    "503": "Not accepted: send it again later.",
}


def openapi_document() -> dict[str, Any]:
    """The document, OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "serialread line", "version": __version__},
        "security": [{"key": []}],
        "paths": {
            "/v1/read": {"post": _read()},
            "/v1/readings": {
                "get": _get("Results, the newest first.", ReadingsPage, _parameters(ReadingsRequest))
            },
            "/v1/readings/{trigger}": {
                "get": _get("The result of a trigger.", ReadingsResult, [_in_path("trigger")], _accepted())
            },
            "/v1/pictures/{trigger}/{number}": {
                "get": _operation(
                    "A kept picture of a trigger.",
                    {
                        "200": {"description": "The picture.", "content": {"image/*": {}}},
                        "404": _refusal("Not kept."),
                    },
                    parameters=[_in_path("trigger"), _in_path("number", "integer")],
                )
            },
            "/v1/stations": {"get": _get("All stations.", StationStates)},
            "/v1/reload": {"post": _get("Read stations and model again; role admin.", HealthState)},
            "/healthz": {"get": _get("Whether the process works.", HealthState) | {"security": []}},
            "/readyz": {"get": _get("Whether triggers are accepted.", HealthState) | {"security": []}},
            "/metrics": {
                "get": _operation(
                    "Metrics in the text format of Prometheus.",
                    {"200": {"description": "Metrics.", "content": {"text/plain": {}}}},
                )
            },
        },
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def docs_page() -> str:
    """The document as a page."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    text = resources.files(__package__).joinpath("docs.html.j2").read_text(encoding="utf-8")
    return environment.from_string(text).render(document=openapi_document())


def _read() -> dict[str, Any]:
    schema = ReadRequest.model_json_schema()
    form = schema | {"properties": schema["properties"] | {"picture": _PICTURES}}
    body = {
        "description": "Pictures of one part as a form, or one picture as it is; none: the station's camera.",
        "content": {"multipart/form-data": {"schema": form}, "image/*": {}, "application/octet-stream": {}},
    }
    read = _get("Read the pictures of one part.", ReadingsResult, _parameters(ReadRequest), _accepted())
    return read | {"requestBody": body}


def _get(
    summary: str,
    model: type[BaseModel],
    parameters: list[dict[str, Any]] | None = None,
    more: dict[str, Any] | None = None,
) -> dict[str, Any]:
    return _operation(summary, {"200": _answer("Done.", model), **(more or {})}, parameters or [])


def _operation(
    summary: str, responses: dict[str, Any], parameters: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    refusals = {status: _refusal(text) for status, text in _REFUSALS.items()}
    return {"summary": summary, "parameters": parameters or [], "responses": responses | refusals}


def _parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    """A model's fields as parameters of the query."""
    properties = model.model_json_schema()["properties"]
    return [
        {"name": name, "in": "query", "description": one.pop("description", ""), "schema": one}
        for name, one in properties.items()
    ]


def _in_path(name: str, kind: str = "string") -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": kind}}


def _accepted() -> dict[str, Any]:
    return {"202": _answer("Accepted; the result is not there yet.", TriggerAccepted)}


def _answer(text: str, model: type[BaseModel]) -> dict[str, Any]:
    reference = {"$ref": _REF.format(model=model.__name__)}
    return {"description": text, "content": {"application/json": {"schema": reference}}}


def _refusal(text: str) -> dict[str, Any]:
    return _answer(text, RefusedRequest)


def _schemas() -> dict[str, Any]:
    models = (ReadingsResult, ReadingsPage, TriggerAccepted, StationStates, HealthState, RefusedRequest)
    _, schemas = models_json_schema([(model, "serialization") for model in models], ref_template=_REF)
    found: dict[str, Any] = schemas["$defs"]
    return found
