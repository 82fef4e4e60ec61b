"""Answers that say no: as a page, or as JSON below /api/."""

from __future__ import annotations

import html
from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import Scope


class Refused(Exception):  # noqa: N818 (it is an answer)
    """With a status, a sentence for the person, and perhaps further headers."""

    def __init__(self, status: int, said: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(said)
        self.status, self.said, self.headers = status, said, dict(headers or {})


def refuse(error: Refused, scope: Scope) -> Response:
    """The answer. Needs neither template nor database."""
    if "location" in error.headers:
        return RedirectResponse(error.headers["location"], error.status)
    if scope["path"].startswith("/api/"):
        headers = error.headers | ({"www-authenticate": "Bearer"} if error.status == 401 else {})
        return JSONResponse({"error": error.said}, error.status, headers)
    title = HTTPStatus(error.status).phrase
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width">'
        '<link rel="stylesheet" href="/static/console.css">'
        f'<main><h1>{title}</h1><p>{html.escape(error.said)}</p><p><a href="/">Back</a></p></main>',
        error.status,
        error.headers,
    )
