"""Requests to an ASGI application within this process, as a browser makes them; no network."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.types import ASGIApp, Message


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """By name in lower case; the last one of each."""
    cookies: tuple[str, ...]
    """Set-Cookie as it stands."""
    body: bytes
    seconds: float
    """Until the last byte."""

    @property
    def text(self) -> str:
        return self.body.decode()


class Browser:
    """Keeps cookies and says where a form comes from."""

    def __init__(self, app: ASGIApp, origin: str = "http://localhost:8580") -> None:
        self.app, self.origin = app, origin
        self.cookies: dict[str, str] = {}

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        return self.send("GET", path, b"", headers or {})

    def post(
        self, path: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> Answer:
        """A form, as it is given: with its token or without."""
        given = {
            "origin": self.origin, "sec-fetch-site": "same-origin",
            "content-type": "application/x-www-form-urlencoded",
        }  # fmt: skip
        return self.send("POST", path, urlencode(form).encode(), {**given, **(headers or {})})

    def send(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        enough: Callable[[bytes], bool] | None = None,
    ) -> Answer:
        """Any request. `headers` with an empty value are left out. `enough`: of what has come so
        far; the connection is ended then."""
        return asyncio.run(self._send(method, path, body, headers, enough))

    async def _send(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str],
        enough: Callable[[bytes], bool] | None,
    ) -> Answer:  # fmt: skip
        gone = asyncio.Event()
        parts: list[bytes] = []
        start: dict[str, Any] = {}
        sent = False

        async def receive() -> Message:
            nonlocal sent
            if not sent:
                sent = True
                return {"type": "http.request", "body": body, "more_body": False}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            elif message["type"] == "http.response.body":
                parts.append(message.get("body", b""))
                if enough is not None and enough(b"".join(parts)):
                    gone.set()

        began = time.perf_counter()
        await self.app(self._scope(method, path, body, headers), receive, send)
        seconds = time.perf_counter() - began
        pairs = [(k.decode().lower(), v.decode("latin-1")) for k, v in start["headers"]]
        cookies = tuple(value for name, value in pairs if name == "set-cookie")
        self._keep(cookies)
        return Answer(start["status"], dict(pairs), cookies, b"".join(parts), seconds)

    def _scope(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> dict[str, Any]:
        parts = urlsplit(self.origin)
        where, _, query = path.partition("?")
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        given = {"host": parts.netloc, "cookie": cookie, "content-length": f"{len(body)}"}
        given |= headers
        return {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1", "method": method, "scheme": parts.scheme, "path": where,
            "raw_path": where.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in given.items() if v],
            "client": ("127.0.0.1", 50_000), "server": ("127.0.0.1", 8580), "state": {},
        }  # fmt: skip

    def _keep(self, cookies: tuple[str, ...]) -> None:
        for line in cookies:
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
