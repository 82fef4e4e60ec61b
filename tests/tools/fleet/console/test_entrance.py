"""Signing in, staying, leaving; and everybody who should not get in."""

from __future__ import annotations

import time

import pytest

from tests.tools.fleet.console.conftest import PASSWORD, Console, csrf, send
from tools.common.errors import ToolError
from tools.fleet.console import accounts, sessions
from tools.fleet.console.app import build
from tools.fleet.console.entrance import target
from tools.fleet.console.guard import Reach
from tools.fleet.console.inside import Answer, Browser
from tools.fleet.console.throttle import Throttle

pytestmark = pytest.mark.slow


@pytest.fixture
def anna(console: Console) -> Console:
    accounts.set_user(console.store, "anna", "operator", PASSWORD, int(time.time()))
    return console


def enter(browser: Browser, password: str = PASSWORD, name: str = "anna", **more: str) -> Answer:
    return send(browser, "/login", "/login", name=name, password=password, **more)


def test_nothing_is_shown_to_a_stranger(anna: Console) -> None:
    browser = anna.browser()
    answer = browser.get("/devices?state=online")
    assert answer.status == 303
    assert answer.headers["location"] == "/login?next=%2Fdevices%3Fstate%3Donline"
    answer = send(browser, answer.headers["location"], "/login", name="anna", password=PASSWORD,
                  next="/devices?state=online")  # fmt: skip
    assert (answer.status, answer.headers["location"]) == (303, "/devices?state=online")
    assert "box-1" in browser.get("/devices").text


def test_a_wrong_password_and_an_unknown_name_are_told_alike(anna: Console) -> None:
    one, other = (enter(anna.browser(), **words) for words in
                  ({"password": "wrong"}, {"name": "nobody"}))  # fmt: skip
    assert (one.status, other.status) == (403, 403)
    assert one.text.count("do not belong together") == other.text.count("do not belong together")
    assert not one.cookies


def test_signing_in_makes_a_new_session(anna: Console) -> None:
    """An id that somebody planted is worth nothing (session fixation)."""
    planted = sessions.new_id()
    browser = anna.browser()
    browser.cookies["fleeting"] = planted
    assert enter(browser).status == 303
    assert browser.cookies["fleeting"] != planted
    assert "fleeting-form" not in browser.cookies
    thief = anna.browser()
    thief.cookies["fleeting"] = planted
    assert thief.get("/devices").status == 303
    first = browser.cookies["fleeting"]
    page = browser.get("/devices")
    assert browser.post("/login", {"csrf": csrf(page), "name": "anna", "password": PASSWORD}
                        ).status == 303  # fmt: skip
    thief.cookies["fleeting"] = first
    assert thief.get("/devices").status == 303, "the session before is over"


def test_signing_out_ends_the_session(anna: Console) -> None:
    browser = anna.browser("operator")
    kept = browser.cookies["fleeting"]
    assert send(browser, "/devices", "/logout").status == 303
    browser.cookies["fleeting"] = kept
    assert browser.get("/devices").status == 303
    assert not anna.store.execute("SELECT * FROM console_sessions")


def test_sessions_end(anna: Console) -> None:
    now = int(time.time())
    session = sessions.begin(anna.store, accounts.Account("anna", "operator"), now)
    assert sessions.find(anna.store, session, now + sessions.IDLE) is not None
    for _ in range(15):
        now += sessions.IDLE - 10
        found = sessions.find(anna.store, session, now)
        if found is None:
            break
    assert found is None, "used all the time, it would never end"
    session = sessions.begin(anna.store, accounts.Account("anna", "operator"), now)
    assert sessions.find(anna.store, session, now + sessions.IDLE + 1) is None


def test_the_database_has_no_secret(anna: Console) -> None:
    browser = anna.browser("operator")
    token = accounts.add_token(anna.store, "t", "viewer", 0, None)
    rows = [
        str(anna.store.execute(f"SELECT * FROM {table}"))
        for table in ("console_users", "console_sessions", "console_tokens")
    ]
    for secret in (PASSWORD, browser.cookies["fleeting"], token):
        assert not any(secret in each for each in rows)


@pytest.mark.parametrize("secure", [False, True])
def test_cookies(anna: Console, secure: bool) -> None:
    app = build(anna.place, Reach(secure=secure))
    browser = Browser(app, f"http{'s' * secure}://localhost:8580")
    answer = enter(browser)
    (cookie,) = (each for each in answer.cookies if "Max-Age=0" not in each)
    for word in ("HttpOnly", "SameSite=strict", "Path=/"):
        assert word in cookie
    assert cookie.startswith("__Host-fleeting=" if secure else "fleeting=")
    assert ("Secure" in cookie) == secure
    assert "Domain" not in cookie
    assert ("strict-transport-security" in answer.headers) == secure


@pytest.mark.parametrize("given", ["", "0" * 64, "é", "no"])
def test_a_form_without_its_token(anna: Console, given: str) -> None:
    browser = anna.browser("operator")
    answer = browser.post("/logout", {"csrf": given} if given else {})
    assert answer.status == 403
    assert browser.get("/devices").status == 200
    stranger = anna.browser()
    stranger.get("/login")
    form = {"csrf": given, "name": "anna", "password": PASSWORD}
    assert stranger.post("/login", form).status == 403
    other = csrf(anna.browser("operator").get("/devices"))
    assert browser.post("/logout", {"csrf": other}).status == 403, "of another session"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example", "sec-fetch-site": ""},
        {"origin": "null", "sec-fetch-site": ""},
        {"origin": "https://localhost:8580"},
        {"origin": "http://localhost:9999", "sec-fetch-site": ""},
        {"origin": "", "sec-fetch-site": "cross-site"},
        {"origin": "", "sec-fetch-site": "same-site"},
        {"origin": "", "sec-fetch-site": "none"},
        {"origin": "", "sec-fetch-site": ""},
    ],
)
def test_a_form_from_elsewhere(anna: Console, headers: dict[str, str]) -> None:
    browser = anna.browser("operator")
    form = {"csrf": csrf(browser.get("/devices"))}
    assert browser.post("/logout", form, headers).status == 403
    assert browser.post("/logout", form, {"content-type": "text/plain"}).status == 415
    assert browser.post("/logout", form).status == 303


def test_another_name_of_this_machine(anna: Console) -> None:
    """DNS rebinding: a page elsewhere whose name now means this machine."""
    browser = anna.browser("operator")
    for host in ("evil.example", "localhost.evil.example", "", "localhost:8580, evil", "a b", "é"):
        headers = {"host": host}
        assert browser.get("/devices", headers).status == 421, host
        assert browser.get("/static/console.css", headers).status == 421, host
    for host in ("127.0.0.1:8580", "[::1]:8580", "LOCALHOST"):
        assert browser.get("/devices", {"host": host}).status == 200, host


def test_passwords_cannot_be_guessed_fast(anna: Console) -> None:
    browser = anna.browser()
    for _ in range(5):
        assert enter(browser, "wrong").status == 403
    answer = enter(browser)
    assert answer.status == 429
    assert int(answer.headers["retry-after"]) >= 1


def test_the_pause_grows_and_ends() -> None:
    now = 0.0
    throttle = Throttle(lambda: now)
    for _ in range(8):
        throttle.begun("anna", "a")
    first = throttle.wait("anna", "a")
    throttle.begun("anna", "a")
    assert throttle.wait("anna", "a") == 2 * first
    assert throttle.wait("anna", "b") == 0, "a stranger keeps nobody else out"
    assert throttle.wait("bert", "a") == 0
    for name in range(30):
        throttle.begun(f"{name}", "a")
    assert throttle.wait("new", "a") > 0, "one address tries many names"
    for address in range(200):
        throttle.begun("anna", f"{address}")
    assert throttle.wait("anna", "new") > 0, "many addresses try one name"
    for _ in range(100):
        throttle.begun("anna", "a")
    assert throttle.wait("anna", "a") == 900
    now = 901.0
    assert throttle.wait("anna", "a") == 0
    throttle.begun("anna", "a")
    assert throttle.wait("anna", "a") == 0


def test_a_success_forgets_and_costs_nothing() -> None:
    throttle = Throttle(lambda: 0.0)
    for _ in range(500):
        throttle.begun("anna", "a")
        assert throttle.wait("anna", "a") == 0
        throttle.succeeded("anna", "a")


@pytest.mark.parametrize(
    "text",
    ["//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nset-cookie:x", "", "x",
     "/a\\b", "\t/x", "/" + "a" * 2000],
)  # fmt: skip
def test_where_to_go_afterwards_is_here(text: str) -> None:
    assert target(text) == "/"
    assert target("/devices?state=online&page=2") == "/devices?state=online&page=2"


def test_a_user_who_is_gone_or_changed(anna: Console) -> None:
    browser = anna.browser("operator")
    accounts.set_user(anna.store, "the-operator", "viewer", PASSWORD, 0)
    assert browser.get("/devices").status == 303, "another role: sign in again"
    browser = anna.browser("viewer")
    accounts.remove_user(anna.store, "the-viewer")
    assert browser.get("/devices").status == 303
    with pytest.raises(ToolError, match="no user"):
        accounts.remove_user(anna.store, "the-viewer")


@pytest.mark.parametrize(("name", "password"), [("a b", PASSWORD), ("", PASSWORD), ("a", "short")])
def test_no_such_user_is_made(anna: Console, name: str, password: str) -> None:
    with pytest.raises(ToolError):
        accounts.set_user(anna.store, name, "viewer", password, 0)


def test_a_viewer_changes_nothing(anna: Console) -> None:
    browser = anna.browser("viewer")
    page = browser.get("/devices")
    answer = browser.post("/settings", {"csrf": csrf(page), "path": "privacy.k", "value": "9"})
    assert answer.status == 403
    assert "operator" in answer.text


def test_what_is_too_long_is_not_read(anna: Console) -> None:
    browser = anna.browser("operator")
    headers = {"content-length": "99999999", "origin": browser.origin}
    assert browser.send("POST", "/logout", b"", headers).status == 413
    headers = {"content-length": "x", "origin": browser.origin}
    assert browser.send("POST", "/logout", b"", headers).status == 413
    body = b"a=" + b"b" * 5_000_000
    headers = {"content-length": "", "origin": browser.origin}
    assert browser.send("POST", "/logout", body, headers).status == 413
    assert browser.get(f"/devices?text={'a' * 9000}").status == 414
    assert browser.send("DELETE", "/devices", b"", {}).status == 405
