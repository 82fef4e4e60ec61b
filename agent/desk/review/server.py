"""The local page's server: 127.0.0.1 only, one browser, one rater.

The address that is printed holds a token that is good once; it is changed for a cookie. Requests
must name this very host (against DNS rebinding), writing ones must come from the page itself
(`Origin`, and a second token that only the page knows). What is served is fixed text from the
package and JSON; the policy of content permits nothing else, and no frame.
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any
from urllib.parse import parse_qs, urlsplit

from agent.base.errors import AgentError
from agent.desk.review.page import Page, RefusedError

HOST = "127.0.0.1"
FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/draw.js": ("draw.js", "text/javascript; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_MOST_BODY = 16_384
"""Bytes."""
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Server(ThreadingHTTPServer):
    """Serves one `Page`. Raises `OSError` where the port is taken."""

    daemon_threads = True

    def __init__(self, page: Page, port: int = 0) -> None:
        """`port`: 0 takes a free one."""
        super().__init__((HOST, port), _Handler)
        self.page = page
        self.csrf = secrets.token_urlsafe(32)
        self._token: str | None = secrets.token_urlsafe(32)
        self._cookie = secrets.token_urlsafe(32)
        self._lock = threading.Lock()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def address(self) -> str:
        """With the token."""
        return f"http://{HOST}:{self.port}/?token={self._token}"

    @property
    def names(self) -> frozenset[str]:
        """What this server is called."""
        return frozenset({f"{HOST}:{self.port}", f"localhost:{self.port}"})

    @property
    def cookie_name(self) -> str:
        """Cookies are shared by all ports of a host."""
        return f"fleeting-review-{self.port}"

    def redeem(self, token: str) -> str | None:
        """The cookie, for the token; once."""
        with self._lock:
            if self._token is None or not hmac.compare_digest(token.encode(), self._token.encode()):
                return None
            self._token = None
            return self._cookie

    def knows(self, cookie: str) -> bool:
        return hmac.compare_digest(cookie.encode(), self._cookie.encode())


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version, sys_version = "fleeting", ""
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if not self._is_here():
            return
        token = parse_qs(address.query).get("token")
        if address.path == "/" and token and not self._is_known():
            self._enter(token[0])
        elif not self._is_known():
            self._say(HTTPStatus.FORBIDDEN, "Open the address that the terminal shows.")
        elif address.path in FILES:
            name, kind = FILES[address.path]
            data = resources.files("agent.desk.review.assets").joinpath(name).read_bytes()
            self._send(HTTPStatus.OK, data, kind)
        elif address.path == "/favicon.ico":
            self._send(HTTPStatus.NO_CONTENT, b"", "image/x-icon")
        elif address.path == "/api/study":
            self._answer(lambda: {**self.server.page.study(), "csrf": self.server.csrf})
        elif address.path == "/api/face":
            self._answer(self.server.page.face)
        elif address.path.startswith("/api/session/"):
            name = address.path.removeprefix("/api/session/")
            self._answer(lambda: self.server.page.session(name))
        else:
            self._say(HTTPStatus.NOT_FOUND, "There is no such page.")

    def do_POST(self) -> None:
        self.close_connection = True  # what is not read of a refused one is nobody's request
        if not self._is_here():
            return
        origin = self.headers.get("Origin", "")
        given = self.headers.get("X-Fleeting-Token", "")
        own = origin.removeprefix("http://") in self.server.names and origin.startswith("http://")
        if not (
            own
            and self._is_known()
            and hmac.compare_digest(given.encode("latin-1", "replace"), self.server.csrf.encode())
        ):
            self._say(HTTPStatus.FORBIDDEN, "This does not come from the page.")
            return
        if self.headers.get("Content-Type") != "application/json":
            self._say(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "JSON is needed.")
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _MOST_BODY:
            self._say(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "That is too long.")
            return
        body = self.rfile.read(int(length))
        name = urlsplit(self.path).path
        if not name.startswith("/api/answer/"):
            self._say(HTTPStatus.NOT_FOUND, "There is no such page.")
            return
        self._answer(lambda: self.server.page.answer(name.removeprefix("/api/answer/"), body))

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal is the rater's."""

    def _is_here(self) -> bool:
        """Whether the request names this host, and no other that leads here."""
        if self.headers.get("Host", "") in self.server.names:
            return True
        self._say(HTTPStatus.MISDIRECTED_REQUEST, "This host has another name.")
        return False

    def _is_known(self) -> bool:
        try:
            cookies = SimpleCookie(self.headers.get("Cookie", ""))
        except CookieError:
            return False
        found = cookies.get(self.server.cookie_name)
        return found is not None and self.server.knows(found.value)

    def _enter(self, token: str) -> None:
        cookie = self.server.redeem(token)
        if cookie is None:
            self._say(HTTPStatus.FORBIDDEN, "This address was used already. Start it again.")
            return
        self._send(
            HTTPStatus.SEE_OTHER, b"", "text/plain",
            {"Location": "/", "Set-Cookie": f"{self.server.cookie_name}={cookie}; HttpOnly; "
             "SameSite=Strict; Path=/"},
        )  # fmt: skip

    def _answer(self, call: Callable[[], dict[str, Any]]) -> None:
        try:
            found = call()
        except RefusedError as error:
            self._say(HTTPStatus.BAD_REQUEST, str(error))
        except AgentError as error:
            self._say(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        else:
            data = json.dumps(found, allow_nan=False, separators=(",", ":")).encode()
            self._send(HTTPStatus.OK, data, "application/json")

    def _say(self, status: HTTPStatus, text: str) -> None:
        self._send(status, f"{text}\n".encode(), "text/plain; charset=utf-8")

    def _send(
        self, status: HTTPStatus, data: bytes, kind: str, more: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, **(more or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
