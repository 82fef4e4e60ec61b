"""A newcomer's five minutes: a fleet's side with one real agent, and a real browser that does what
an operator would. Alerts are impatient here: seconds instead of minutes."""

from __future__ import annotations

import contextlib
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tools.common.errors import ToolError
from tools.fleet.console import accounts
from tools.fleet.demo import beside
from tools.fleet.demo.agent import NAME, Agent
from tools.fleet.simulate.deployment import Deployment, quiet_ports
from tools.fleet.store import Store, open_store

_STARTED = 420.0
"""Seconds that the agent has for its first summary: it compiles its kernels."""
_SOON = 150.0
_WINDOWS = 3
"""Of each content."""
_USER = "anna"
Say = Callable[[str], None]


def tour(out: Path | None, chromium: str) -> list[str]:
    """Play it, say how far it is, and leave screenshots; the steps that were done. Raises
    `ToolError` at the first that is not as it should be."""
    began = time.monotonic()
    done: list[str] = []

    def say(what: str) -> None:
        done.append(what)
        print(f"[{time.monotonic() - began:4.0f} s] {what}", file=sys.stderr, flush=True)

    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        made = stack.enter_context(tempfile.TemporaryDirectory(prefix="fleeting-console-tour-"))
        folder = Path(made)
        side = stack.enter_context(Deployment(folder, "sqlite", collectors=1, controller=True))
        store = stack.enter_context(open_store(side.url))
        password = secrets.token_urlsafe(12)
        accounts.set_user(store, _USER, "operator", password, int(time.time()))
        address = stack.enter_context(beside.console(folder, side, *quiet_ports(1)))
        say(f"broker, collector, controller, console at {address}")
        stack.enter_context(beside.alerts(side.url))
        agent = stack.enter_context(Agent(folder, side.fleet, side.port, "http://127.0.0.1:9"))
        page = stack.enter_context(_page(chromium))
        _Newcomer(page, address, store, side, agent, say, out).go(password)
    say("passed")
    return done


@contextlib.contextmanager
def _page(chromium: str) -> Iterator[Any]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise ToolError("The tour needs a browser: pip install playwright, and Chromium.") from None
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            yield browser.new_page(viewport={"width": 1280, "height": 900})
        finally:
            browser.close()


class _Newcomer:
    """Who sits before the browser."""

    def __init__(
        self, page: Any, address: str, store: Store, side: Deployment, agent: Agent, say: Say,
        out: Path | None,
    ) -> None:  # fmt: skip
        self._page, self._address, self._store = page, address, store
        self._side, self._agent, self._say, self._out = side, agent, say, out
        self._shots = 0
        page.set_default_timeout(60_000)

    def go(self, password: str) -> None:
        """All of it. Raises `ToolError`."""
        self._sign_in(password)
        self._until(lambda: self._windows(0) >= _WINDOWS, _STARTED, "The agent says nothing.")
        self._see_windows()
        self._agent.show(1)
        self._until(lambda: self._windows(1) >= _WINDOWS, _SOON, "Nothing of the second content.")
        self._compare()
        self._refuse()
        self._alert()
        self._tell()

    def _sign_in(self, password: str) -> None:
        page = self._page
        self._open("/devices")
        page.get_by_label("Name").fill(_USER)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{self._address}/devices")
        self._say("signed in")

    def _see_windows(self) -> None:
        page = self._page
        self._open("/devices")
        page.get_by_role("link", name=NAME, exact=True).click()
        page.wait_for_selector("#chart canvas")
        page.get_by_text("The same as a table").click()
        self._see("band holds the truth")
        self._shot("device")
        self._say("sees the agent's windows with their intervals")

    def _compare(self) -> None:
        self._open("/compare?rate=attention&first=0&second=1&within=device")
        self._page.wait_for_selector("#sentence")
        self._see("what is to be expected of visitors like these")
        with self._page.expect_download() as waited:
            self._page.get_by_role("link", name="As CSV").click()
        text = Path(waited.value.path()).read_text(encoding="utf-8")
        if text.count("\n") != 7:
            raise ToolError(f"The CSV is not as it should be: {text[:200]}")
        self._shot("compare")
        self._say(f"compared two contents: {self._page.inner_text('#sentence')}")

    def _refuse(self) -> None:
        """The site's file says 40 faces at most; the fleet wishes 200."""
        self._open(f"/settings?device={NAME}")
        form = self._page.get_by_role("form", name="Change a setting")
        form.get_by_label("Setting").select_option("tracking.max_faces")
        form.get_by_label("Value").fill("200")
        form.get_by_role("button", name="Set").click()
        self._reload(f"/settings?device={NAME}", "the site's own file is stricter", _SOON)
        self._shot("refused")
        self._say("a wish was refused, with the reason")

    def _alert(self) -> None:
        self._agent.kill()
        self._reload("/alerts", "The device is offline", _SOON)
        self._shot("alert")
        self._say("the agent is gone: an alert was raised")
        self._page.locator("summary", has_text="Silence").first.click()
        self._page.get_by_role("button", name="Silence", exact=True).first.click()
        self._page.get_by_text("silenced until").first.wait_for()
        self._shot("silenced")
        self._say("it was silenced")
        self._agent.start()
        self._reload("/alerts?past=1", "ended", _STARTED, "#fresh tbody")
        self._shot("ended")
        self._say("the agent is back: the alert has ended")

    def _tell(self) -> None:
        """To a port at which nobody listens."""
        page = self._page
        self._open("/webhooks")
        page.get_by_text("Add one").click()
        page.get_by_label("URL").fill("http://127.0.0.1:9/alerts")
        page.get_by_role("button", name="Add", exact=True).click()
        page.wait_for_selector("#secret")
        page.get_by_role("button", name="Send a test").click()
        page.get_by_text("away: ").wait_for()
        self._shot("webhook")
        self._open("/webhooks")
        self._see("http://127.0.0.1:9")
        self._shot("webhooks")
        self._say("a webhook was added and tried: nobody listens there")

    def _windows(self, slot: int) -> int:
        sql = (
            "SELECT COUNT(*) FROM slots WHERE device = ? AND slot = ?"
            " AND attention_under_1 IS NOT NULL"
        )
        return int(self._store.tuples(sql, (NAME, slot))[0][0])

    def _open(self, path: str) -> None:
        self._page.goto(f"{self._address}{path}")

    def _see(self, text: str) -> None:
        if text not in self._page.inner_text("main"):
            raise ToolError(f"{self._page.url} does not say: {text}")

    def _reload(self, path: str, text: str, most: float, part: str = "main") -> None:
        def there() -> bool:
            self._open(path)
            return text in self._page.inner_text(part)

        self._until(there, most, f"{path} does not say: {text}.")

    def _until(self, ready: Callable[[], bool], most: float, what: str) -> None:
        beside.until(ready, most, self._side.check, what)

    def _shot(self, name: str) -> None:
        self._shots += 1
        if self._out is not None:
            path = self._out / f"{self._shots}-{name}.png"
            self._page.screenshot(path=str(path), full_page=True)
