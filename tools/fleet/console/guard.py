"""What every request passes first, and what every answer carries.

Names by which the console may be called (a page elsewhere could have its own name resolve to this
machine: DNS rebinding), the size of what is sent, who asks, what he may do, and whether he meant
it: a change comes from a page of this console (`Origin`, `Sec-Fetch-Site`) and carries the form's
token. Nothing is open unless it is named here.
"""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, quote

import anyio.to_thread
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tools.fleet.console import accounts, sessions
from tools.fleet.console.accounts import Account
from tools.fleet.console.answers import Refused, refuse
from tools.fleet.console.pool import Pool
from tools.fleet.store import Store, StoreUnavailable

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""Content-Security-Policy: nothing from elsewhere, nothing inline."""
_HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), microphone=(), geolocation=(), interest-cohort=()",
}
MAX_BODY = 4_000_000
"""Bytes: a year of receipts."""
MAX_QUERY = 8_000
_FIELDS = 100
OPEN = ("/login",)
"""Without having signed in; also what lies below /static/."""
FOR_VIEWERS = ("/login", "/logout", "/receipts")
"""Posts that change nothing of the fleet's."""
FOR_OPERATORS = ("/webhooks", "/api/v1/webhooks")
"""And what lies below: not even to be looked at by others."""
API = "/api/"
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]{1,253})(?::([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Reach:
    """How the console is reached."""

    names: frozenset[str] = frozenset({"localhost", "127.0.0.1", "[::1]"})
    """Hosts that it may be called by, in lower case, without a port."""
    secure: bool = False
    """Browsers speak TLS, with this process or with a proxy before it."""
    proxied: bool = False
    """A proxy says who asks: the last entry of X-Forwarded-For."""

    @property
    def cookie(self) -> str:
        """`__Host-`: browsers take it only over TLS, for this host alone."""
        return "__Host-fleeting" if self.secure else "fleeting"

    @property
    def form_cookie(self) -> str:
        """Of who has not signed in."""
        return f"{self.cookie}-form"


@dataclass(slots=True)
class Visit:
    """Who asks, and with what."""

    session: str
    """Id in the cookie, known to the database or not; empty: none."""
    stranger: str
    """Id of who has not signed in; empty: none."""
    account: Account | None
    address: str
    bearer: bool = False
    """By a token in the header."""
    form: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    again: Callable[[Store, int], Account | None] | None = None
    """Whether he still may, asked while a stream lasts; `int`: Unix seconds."""

    @property
    def csrf(self) -> str:
        """For forms; empty: none can be sent."""
        of = self.session if self.account else self.stranger
        return sessions.token_of(of) if of else ""

    @property
    def operates(self) -> bool:
        return self.account is not None and self.account.role == "operator"


class Guard:
    """Around the whole application."""

    def __init__(self, app: ASGIApp, pool: Pool, reach: Reach) -> None:
        self._app, self._pool, self._reach = app, pool, reach

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        send = self._with_headers(scope, send)
        headers = _headers(scope)
        try:
            visit = await self._examine(scope, receive, headers)
        except Refused as error:
            await refuse(error, scope)(scope, receive, send)
            return
        except StoreUnavailable as error:
            await refuse(Refused(503, str(error)), scope)(scope, receive, send)
            return
        scope["visit"] = visit
        scope["reach"] = self._reach
        await self._app(scope, _replay(visit.body, receive), send)

    async def _examine(self, scope: Scope, receive: Receive, headers: Mapping[str, str]) -> Visit:
        path, method = scope["path"], scope["method"]
        host = self._host(headers)
        if method not in ("GET", "HEAD", "POST"):
            raise Refused(405, "There is nothing that can be done this way.")
        if len(scope["query_string"]) > MAX_QUERY:
            raise Refused(414, "That is more than a page can be asked for.")
        if path.startswith("/static/"):
            return Visit("", "", None, "")
        _without_nul(path, scope["query_string"].replace(b"%00", b"\0"))
        visit = Visit(
            _id_in(headers, self._reach.cookie), _id_in(headers, self._reach.form_cookie), None,
            self._address(scope, headers),
        )  # fmt: skip
        await anyio.to_thread.run_sync(self._identify, visit, headers, path)
        if method == "POST":
            visit.body = await _body(receive, headers)
            _without_nul(visit.body.replace(b"%00", b"\0").replace(b"\\u0000", b"\0"))
            self._check_meant(visit, headers, host, path)
        if visit.account is None and path not in OPEN:
            raise _to_login(scope)
        if not visit.operates and any(
            path == each or path.startswith(f"{each}/") for each in FOR_OPERATORS
        ):
            raise Refused(403, "This is for operators only. You are a viewer.")
        if method == "POST" and path not in FOR_VIEWERS and not visit.operates:
            raise Refused(403, "Only an operator may change something. You are a viewer.")
        return visit

    def _host(self, headers: Mapping[str, str]) -> str:
        given = headers.get("host", "")
        match = _HOST.fullmatch(given)
        if match is None or match[1].lower() not in self._reach.names:
            raise Refused(421, "This console does not go by that name. See --name.")
        return given.lower()

    def _address(self, scope: Scope, headers: Mapping[str, str]) -> str:
        if self._reach.proxied and (said := headers.get("x-forwarded-for")):
            return said.rpartition(",")[2].strip()[:64]
        return str(scope["client"][0]) if scope.get("client") else ""

    def _identify(self, visit: Visit, headers: Mapping[str, str], path: str) -> None:
        """Fills in who asks. Runs in a thread."""
        now = int(time.time())
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        if scheme:
            visit.bearer = scheme.lower() == "bearer" and path.startswith(API)
            visit.session = ""
            if visit.bearer:
                token = secret.strip()[:200]
                visit.again = lambda store, now: accounts.of_token(store, token, now)
                with self._pool.store() as store:
                    visit.account = visit.again(store, now)
        elif session := visit.session:
            used = "fleeting-quiet" not in headers
            visit.again = lambda store, now: sessions.find(store, session, now, use=False)
            with self._pool.store() as store:
                visit.account = sessions.find(store, session, now, use=used)

    def _check_meant(self, visit: Visit, headers: Mapping[str, str], host: str, path: str) -> None:
        """Raises `Refused` unless a change was meant by whoever asks for it."""
        if visit.bearer:  # no browser adds that by itself
            return
        scheme = "https" if self._reach.secure else "http"
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if (
            (origin is None and site is None)
            or (origin is not None and origin.lower() != f"{scheme}://{host}")
            or (site is not None and site != "same-origin")
        ):
            raise Refused(403, "This did not come from a page of this console.")
        if path.startswith(API):
            raise Refused(403, "The API takes changes with a token only.")
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            raise Refused(415, "That is no form of this console.")
        visit.form = _form(visit.body)
        given = visit.form.get("csrf", "")
        if not visit.csrf or not hmac.compare_digest(given.encode(), visit.csrf.encode()):
            raise Refused(
                403, "The form is of a session that is over. Go back, load the page again, repeat."
            )

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        static = scope["path"].startswith("/static/")

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name.lower() for name, _ in message["headers"]}
                more = dict(_HEADERS)
                if self._reach.secure:
                    more[b"strict-transport-security"] = b"max-age=31536000"
                more[b"cache-control"] = b"no-cache" if static else b"no-store"
                message["headers"] = [
                    *message["headers"],
                    *((name, value) for name, value in more.items() if name not in names),
                ]
            await send(message)

        return add


def _headers(scope: Scope) -> dict[str, str]:
    """By name in lower case; one that stands twice is joined as RFC 9110 has it, so that two hosts
    match none."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def _id_in(headers: Mapping[str, str], name: str) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")[:4096]).get(name)
    except CookieError:
        return ""
    return morsel.value if morsel is not None and sessions.is_id(morsel.value) else ""


def _without_nul(*texts: str | bytes) -> None:
    """PostgreSQL has no text with a NUL in it, and nobody means one."""
    for text in texts:
        if ("\0" if isinstance(text, str) else b"\0") in text:  # type: ignore[operator]
            raise Refused(400, "That has a character in it that no name has.")


async def _body(receive: Receive, headers: Mapping[str, str]) -> bytes:
    length = headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > 12 or int(length) > MAX_BODY:
        raise Refused(413, f"That is too long; {MAX_BODY // 1_000_000} MB are taken.")
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "The rest did not come.")
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY:
            raise Refused(413, f"That is too long; {MAX_BODY // 1_000_000} MB are taken.")
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


def _form(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, max_num_fields=_FIELDS, errors="strict"
        )
    except ValueError:  # also UnicodeDecodeError
        raise Refused(400, "That is no form of this console.") from None
    return dict(pairs)


def _replay(body: bytes, receive: Receive) -> Receive:
    """What was read already, then what comes (the end of the connection)."""
    done = False

    async def again() -> Message:
        nonlocal done
        if done:
            return await receive()
        done = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _to_login(scope: Scope) -> Refused:
    if scope["path"].startswith(API):
        return Refused(401, "Sign in, or give a token: Authorization: Bearer TOKEN.")
    target = ""
    if scope["method"] == "GET" and scope["path"] != "/":
        query = scope["query_string"].decode("latin-1")
        target = "?next=" + quote(scope["path"] + (f"?{query}" if query else ""), safe="")
    return Refused(303, "", {"location": f"/login{target}"})


def visit_of(scope: Mapping[str, Any]) -> Visit:
    """Of a request that has passed."""
    found = scope["visit"]
    assert isinstance(found, Visit)
    return found


def operator_of(scope: Mapping[str, Any]) -> Account:
    """Who changes something: `Guard` has seen that it is an operator."""
    visit = visit_of(scope)
    assert visit.account is not None
    assert visit.operates
    return visit.account
