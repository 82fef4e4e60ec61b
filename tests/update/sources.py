"""A repository's files where a device fetches them: a web server on this machine, or a folder."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]
"""Answers a request in a way of its own."""


class WebSource:
    """`answers` by path come before `files`; `asked` lists every request's path."""

    media = None

    def __init__(self, server: http.server.HTTPServer) -> None:
        self._server = server
        self.url = f"http://127.0.0.1:{server.server_address[1]}/repository"
        self.files: Mapping[str, bytes] = {}
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []

    def serve(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(files)

    def wrap(self, context: ssl.SSLContext) -> None:
        """From now on over TLS."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)


class FolderSource:
    url = ""

    def __init__(self, folder: Path) -> None:
        self.media = folder

    def serve(self, files: Mapping[str, bytes]) -> None:
        for path in sorted(self.media.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        for name, data in files.items():
            path = self.media / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


Source = WebSource | FolderSource
"""Both have `url`, `media`, and `serve`: from now on these files, and no others."""


@contextmanager
def web() -> Iterator[WebSource]:
    """A server on a free port of the loopback interface."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self) -> None:
            path = self.path.removeprefix("/repository/")
            source.asked.append(path)
            answer = source.answers.get(path)
            if answer is not None:
                self.close_connection = True
                answer(self)
                return
            data = source.files.get(path)
            self.send_response(404 if data is None else 200)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A device that hangs up is what these tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    source = WebSource(server)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield source
    finally:
        server.shutdown()
        server.server_close()
