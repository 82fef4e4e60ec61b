"""The API's description (OpenAPI 3.1), made of the same models as its answers."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from agent import __version__
from tools.fleet.console import models
from tools.fleet.console.api import OPERATIONS, ROOT, Operation

STREAMS = {
    "/feed": (
        "Summaries as they are released, each at least once (server-sent events, `summary`); tell "
        "them apart by device, boot and seq.",
        {"since": "Unix seconds of arrival, to begin earlier; default: now. Last-Event-ID is that "
         "of the last event.", "group": "Only this group's devices."},
    ),
    "/rollouts/{rollout}/events": (
        "How a roll-out goes (server-sent events, `state`), until it has ended.", {},
    ),
}  # fmt: skip
_REF = "#/components/schemas/{model}"


@cache
def document() -> dict[str, Any]:
    """The whole."""
    used: dict[str, type[BaseModel]] = {"Error": models.Error}
    for each in OPERATIONS:
        for model in (each.answer, each.body):
            if model is not None:
                used[model.__name__] = model
    _, schemas = models_json_schema(
        [(model, "serialization") for model in used.values()], ref_template=_REF
    )
    paths: dict[str, Any] = {}
    for each in OPERATIONS:
        paths.setdefault(f"{ROOT}{each.path}", {})[each.method.lower()] = _operation(each)
    for path, (about, query) in STREAMS.items():
        paths[f"{ROOT}{path}"] = {"get": {
            "summary": about,
            "parameters": _path(path) + [
                {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
                for name, text in query.items()
            ],
            "responses": {
                "200": {"description": "A stream.",
                        "content": {"text/event-stream": {"schema": {"type": "string"}}}},
                "default": _error(),
            },
        }}  # fmt: skip
    paths[f"{ROOT}/openapi.json"] = {"get": {
        "summary": "This description.",
        "responses": {"200": {"description": "OpenAPI 3.1.", "content": {
            "application/json": {"schema": {"type": "object"}}}}},
    }}  # fmt: skip
    return {
        "openapi": "3.1.0",
        "info": {"title": "Fleeting console", "version": __version__,
                 "description": "Times are Unix seconds, UTC. Counts are noised."},
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer",
                          "description": "fleeting-fleet console token add NAME"},
                "session": {"type": "apiKey", "in": "cookie", "name": "fleeting",
                            "description": "Of the pages; for reading only."},
            },
        },
    }  # fmt: skip


def _operation(each: Operation) -> dict[str, Any]:
    made: dict[str, Any] = {
        "summary": each.about,
        "parameters": _path(each.path) + _query(each.query),
        "responses": {
            "200": {"description": "It is done." if each.method == "POST" else "What was found.",
                    "content": _json(each.answer.__name__)},
            "default": _error(),
        },
    }  # fmt: skip
    if each.body is not None:
        made["requestBody"] = {"required": True, "content": _json(each.body.__name__)}
    return made


def _json(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REF.format(model=name)}}}


def _error() -> dict[str, Any]:
    return {"description": "Why not.", "content": _json("Error")}


def _path(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True,
         "schema": {"type": "string", "enum": ["pause", "resume", "abort"]} if name == "act"
         else {"type": "string", "maxLength": 64}}
        for name in re.findall(r"{(\w+)}", path)
    ]  # fmt: skip


def _query(model: type[BaseModel] | None) -> list[dict[str, Any]]:
    if model is None:
        return []
    schema = model.model_json_schema()
    required = schema.get("required", ())
    found = []
    for name, each in schema["properties"].items():
        more = {"description": about} if (about := each.pop("description", "")) else {}
        each.pop("title", None)
        found.append({"name": name, "in": "query", "required": name in required,
                      "schema": each, **more})  # fmt: skip
    return found
