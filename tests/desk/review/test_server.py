"""Who gets an answer from the local page, and who does not."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from agent.desk.review.answers import AnswerFile
from agent.desk.review.page import Page
from agent.desk.review.server import FILES, POLICY, Server
from agent.desk.review.study import Study
from tests.desk.review.made import Made
from tests.desk.review.test_page import body


@pytest.fixture
def server(study: Path, made: Made) -> Iterator[Server]:
    with Server(Page(study, Study(study, made.key).open(), "anna", blind=False)) as found:
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


Reply = tuple[int, dict[str, str], bytes]


def ask(
    server: Server, path: str, method: str = "GET", data: bytes | None = None, **headers: str
) -> Reply:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, path, data, named)
        reply = connection.getresponse()
        return reply.status, dict(reply.getheaders()), reply.read()
    finally:
        connection.close()


def entered(server: Server) -> str:
    """The cookie."""
    address = urlsplit(server.address)
    status, headers, _ = ask(server, f"{address.path}?{address.query}")
    assert status == 303
    assert headers["Location"] == "/"
    assert "HttpOnly" in headers["Set-Cookie"]
    assert "SameSite=Strict" in headers["Set-Cookie"]
    return headers["Set-Cookie"].partition(";")[0]


def post(server: Server, made: Made, cookie: str, **headers: str) -> int:
    csrf = json.loads(ask(server, "/api/study", Cookie=cookie)[2])["csrf"]
    given = {
        "Cookie": cookie, "Origin": f"http://127.0.0.1:{server.port}", "X_Fleeting_Token": csrf,
        "Content_Type": "application/json",
    } | headers  # fmt: skip
    return ask(server, f"/api/answer/{made.names[0]}", "POST", body(), **given)[0]


def test_it_listens_on_this_machine_only(server: Server) -> None:
    assert server.server_address[0] == "127.0.0.1"


def test_the_token_is_good_once(server: Server) -> None:
    path = server.address.partition(str(server.port))[2]
    cookie = entered(server)
    assert ask(server, path)[0] == 403
    assert ask(server, "/", Cookie=cookie)[0] == 200
    assert ask(server, "/?token=wrong")[0] == 403


@pytest.mark.parametrize("path", [*FILES, "/api/study", "/api/face", "/api/session/x"])
def test_nothing_without_the_cookie(server: Server, path: str) -> None:
    for cookie in ("", "fleeting-review=x", f"fleeting-review-{server.port}=x", "\x7f;;="):
        status, _, data = ask(server, path, Cookie=cookie)
        assert status == 403
        assert b"terminal" in data


def test_what_is_served_carries_the_policy(server: Server, made: Made) -> None:
    cookie = entered(server)
    for path in (*FILES, "/api/study", "/api/face", f"/api/session/{made.names[0]}", "/none"):
        status, headers, data = ask(server, path, Cookie=cookie)
        assert status == (404 if path == "/none" else 200)
        assert headers["Content-Security-Policy"] == POLICY
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Frame-Options"] == "DENY"
        assert data
    assert "unsafe" not in POLICY


def test_the_page_s_files_hold_nothing_inline_and_load_nothing_from_elsewhere(
    server: Server,
) -> None:
    cookie = entered(server)
    for path in FILES:
        text = ask(server, path, Cookie=cookie)[2].decode()
        assert "http:" not in text
        assert "https:" not in text
        assert "innerHTML" not in text
        if path == "/":
            assert "<style" not in text
            assert "style=" not in text
            assert "onclick" not in text
            assert text.count("<script") == text.count('src="/page.js"') == 1


@pytest.mark.parametrize("host", ["", "evil.example", "127.0.0.1", "127.0.0.1:1", "localhost"])
def test_another_name_of_this_host_is_refused(server: Server, host: str) -> None:
    cookie = entered(server)
    assert ask(server, "/api/study", Cookie=cookie, Host=host)[0] == 421
    assert ask(server, "/api/answer/x", "POST", b"{}", Cookie=cookie, Host=host)[0] == 421


def test_the_page_s_own_answer_is_taken(server: Server, made: Made, study: Path) -> None:
    assert post(server, made, entered(server)) == 200
    assert AnswerFile(study, made.names[0], "anna").read()["1.1.1"].units == "1B"


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (403, {"Origin": "http://evil.example"}), (403, {"Origin": ""}), (403, {"Origin": "null"}),
        (403, {"X_Fleeting_Token": ""}), (403, {"X_Fleeting_Token": "x" * 43}),
        (403, {"Cookie": ""}), (415, {"Content_Type": "text/plain"}),
        (413, {"Content_Length": "20000"}), (413, {"Content_Length": "-1"}),
    ],
)  # fmt: skip
def test_a_forged_answer_is_refused(
    server: Server, made: Made, study: Path, status: int, headers: dict[str, str]
) -> None:
    assert post(server, made, entered(server), **headers) == status
    assert AnswerFile(study, made.names[0], "anna").read() == {}


def test_refusals_are_said_and_stop_nothing(server: Server, made: Made) -> None:
    cookie = entered(server)
    csrf = json.loads(ask(server, "/api/study", Cookie=cookie)[2])["csrf"]
    given = {"Cookie": cookie, "Origin": f"http://localhost:{server.port}",
             "X_Fleeting_Token": csrf, "Content_Type": "application/json"}  # fmt: skip
    name = made.names[0]
    status, headers, data = ask(server, f"/api/answer/{name}", "POST", b"{}", **given)
    assert (status, headers["Content-Type"]) == (400, "text/plain; charset=utf-8")
    assert b"not complete" in data
    assert ask(server, "/api/other", "POST", b"{}", **given)[0] == 404
    for path in ("/../../etc/passwd", "/api/session/../x", "/page.py", "//x"):
        assert ask(server, path, Cookie=cookie)[0] in (400, 404)
    for method in ("PUT", "DELETE", "OPTIONS"):
        assert ask(server, "/", method, Cookie=cookie)[0] == 501
    assert ask(server, "/", Cookie=cookie)[0] == 200
