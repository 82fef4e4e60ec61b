"""A real HTTP receiver that does as it is told: takes, fails, hangs, drips, redirects, breaks."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Heard:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """On a loopback port."""

    def __init__(self) -> None:
        self.does: int | str = 200
        """A status, or hang, drip, break, redirect."""
        self.heard: list[Heard] = []
        self.end = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.heard.append(Heard(self.path, dict(self.headers.items()), body))
                outer.answer(self)

            def do_GET(self) -> None:
                outer.heard.append(Heard(self.path, dict(self.headers.items()), b""))
                self.send_error(500)

            def log_message(self, *_: object) -> None: ...

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?key=1"

    def answer(self, handler: Any) -> None:
        if self.does == "hang":
            self.end.wait(60)
        elif self.does == "drip":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
            while not self.end.is_set():
                try:
                    handler.wfile.write(b"x")
                    handler.wfile.flush()
                except OSError:
                    return
                time.sleep(0.05)
        elif self.does == "break":
            handler.close_connection = True
        elif self.does == "nonsense":
            handler.wfile.write(b"SSH-2.0-nothing\r\n")
            handler.close_connection = True
        elif self.does == "redirect":
            handler.send_response(307)
            handler.send_header("Location", f"http://127.0.0.1:{self.port}/elsewhere")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        else:
            handler.send_response(self.does)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

    def close(self) -> None:
        self.end.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    try:
        yield made
    finally:
        made.close()
