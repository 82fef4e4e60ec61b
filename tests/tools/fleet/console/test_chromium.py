"""The pages in a real browser: nothing that the policy forbids, nothing that keeps anybody out."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tools.fleet.console.conftest import PASSWORD, Console
from tests.tools.fleet.filled import add_webhook
from tools.fleet.console import accounts
from tools.fleet.simulate.deployment import quiet_ports

CHROMIUM = Path("/usr/bin/chromium")
pytest.importorskip("playwright", reason="pip install playwright axe-playwright-python")
pytest.importorskip("axe_playwright_python", reason="pip install axe-playwright-python")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="apt install chromium"),
]
PAGES = ("/alerts", "/alerts?past=1", "/devices", "/devices?state=offline", "/devices/box-1",
         "/compare?rate=attention&first=0&second=5", "/compare?rate=attention&first=0&second=0",
         "/settings?group=shops", "/rollouts", "/rollouts/r0", "/receipts?device=box-1",
         "/webhooks", "/webhooks/0a1b2c3d", "/webhooks/0a1b2c3d?dead=1", "/log")  # fmt: skip


@contextlib.contextmanager
def served(console: Console) -> Iterator[str]:
    """By a real server, on a port of its own."""
    import uvicorn

    (port,) = quiet_ports(1)
    config = uvicorn.Config(console.app, port=port, log_level="error", lifespan="off",
                            timeout_graceful_shutdown=1)  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.02)
    try:
        yield f"http://localhost:{port}"
    finally:
        server.should_exit = True
        thread.join()


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        try:
            yield chromium
        finally:
            chromium.close()


def patient(page: Any) -> Any:
    """Time is not what is tested."""
    page.set_default_timeout(300_000)
    return page


def sign_in(page: Any, address: str) -> None:
    page.goto(f"{address}/login")
    page.get_by_label("Name").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{address}/alerts")


def add_alert(console: Console) -> None:
    console.store.execute(
        "INSERT INTO alerts (device, kind, severity, severity_rank, since, last, raised_at, detail)"
        " VALUES ('box-2', 'offline', 'warning', 1, 1, 1, 1, '{\"state\": \"offline\"}')"
    )


def findings(page: Any) -> list[str]:
    """Serious and critical ones of axe-core."""
    import axe_playwright_python

    (source,) = Path(axe_playwright_python.__file__).parent.glob("**/axe.min.js")
    page.evaluate(source.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")
    assert len(found["passes"]) > 5, "it has looked at nothing"
    return [
        f"{page.url}: {each['id']} ({each['impact']}): {each['nodes'][0]['html'][:200]}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_every_page_is_open_to_everybody(console: Console) -> None:
    accounts.set_user(console.store, "anna", "operator", PASSWORD, 0)
    add_alert(console)
    add_webhook(console.store)
    found: list[str] = []
    said: list[str] = []
    asked: set[str] = set()
    with served(console) as address, browser() as chromium:
        for scheme, width in (("light", 1200), ("dark", 390)):
            page = patient(
                chromium.new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
            )
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("request", lambda request: asked.add(request.url))
            page.goto(f"{address}/login")
            found += findings(page)
            sign_in(page, address)
            for path in PAGES:
                page.goto(f"{address}{path}")
                page.wait_for_load_state("load")
                for each in page.locator("main details > summary").all():
                    each.click()
                found += findings(page)
                assert page.locator("h1").count() == 1
                wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert wide <= 0, f"{path} is {wide} px too wide for {width}"
            page.close()
    assert not found, "\n".join(found)
    forbidden = [each for each in said if "Content Security Policy" in each or "Error" in each]
    assert not [each for each in forbidden if "400" not in each], said
    assert all(each.startswith((address, "data:")) for each in asked), "something from elsewhere"


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_chart_is_drawn_and_a_form_works_with_the_keyboard(console: Console) -> None:
    accounts.set_user(console.store, "anna", "operator", PASSWORD, 0)
    add_alert(console)
    with served(console) as address, browser() as chromium:
        page = patient(chromium.new_page())
        sign_in(page, address)
        page.goto(f"{address}/devices/box-1?slot=5")
        page.wait_for_selector("#chart canvas")
        page.goto(f"{address}/settings?group=shops")
        form = page.get_by_role("form", name="Change a setting")
        form.get_by_label("Setting").select_option("privacy.k")
        form.get_by_label("Value").fill("12")
        form.get_by_label("For the group").select_option("shops")
        form.get_by_label("Value").press("Enter")
        page.wait_for_url(f"{address}/settings?group=shops")
        assert "privacy.k = 12" in page.content()
        page.goto(f"{address}/alerts")
        page.locator("summary", has_text="Silence").first.click()
        page.get_by_role("button", name="Silence", exact=True).first.click()
        page.get_by_text("silenced until").first.wait_for()
        page.goto(f"{address}/webhooks")
        page.get_by_text("Add one").click()
        page.get_by_label("URL").fill("http://127.0.0.1:9/hook")
        page.get_by_label("hot", exact=True).check()
        page.get_by_role("button", name="Add", exact=True).click()
        page.wait_for_selector("#secret")
        assert page.inner_text("#secret").startswith("fws_")
        page.get_by_role("button", name="Send a test").click()
        page.get_by_text("away: ").wait_for()
        assert page.locator("#secret").count() == 0
        page.goto(f"{address}/receipts")
        page.get_by_text("Verify a file").click()
        page.get_by_label("File").set_input_files(
            {"name": "r.jsonl", "mimeType": "text/plain", "buffer": b"no receipt\n"}
        )
        page.wait_for_function("document.getElementById('text').value !== ''")
        page.get_by_role("button", name="Verify", exact=True).click()
        page.get_by_text("1 lines are no receipts").wait_for()
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url(f"{address}/login")
