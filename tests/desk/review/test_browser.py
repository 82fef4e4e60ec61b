"""The page in a real browser."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.desk.review.answers import AnswerFile
from agent.desk.review.page import Page
from agent.desk.review.server import Server
from agent.desk.review.study import Study
from tests.desk.review.made import Made

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    pytest.skip("needs Chromium", allow_module_level=True)
pytestmark = pytest.mark.slow


@pytest.fixture
def address(study: Path, made: Made) -> Iterator[str]:
    with Server(Page(study, Study(study, made.key).open(), "anna", blind=True)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.address
        server.shutdown()
        thread.join()


@pytest.fixture
def tab() -> Iterator[tuple[Any, list[str]]]:
    """A page, and what went wrong in it."""
    problems: list[str] = []
    with playwright.sync_playwright() as run:
        browser = run.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking",
                  "--disable-component-update"],
        )  # fmt: skip
        page = browser.new_page()
        page.on("console", lambda said: problems.append(said.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda each: problems.extend([each.url] * ("127.0.0.1" not in each.url)))
        yield page, problems
        browser.close()


def painted(page: Any, canvas: str) -> int:
    """Different colours in a canvas."""
    found: int = page.evaluate(
        """(id) => { const c = document.getElementById(id);
        const d = new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height)
        .data.buffer); return new Set(d).size; }""",
        canvas,
    )
    return found


def test_a_blind_rater_s_work(
    address: str, tab: tuple[Any, list[str]], study: Path, made: Made
) -> None:
    page, problems = tab
    said, program = page.locator("#said"), page.locator("#program")
    page.goto(address)
    page.locator("#sessions button").first.click()
    playwright.expect(page.locator("#which")).to_contain_text("1.1.1")
    playwright.expect(program).to_contain_text("hidden until you have answered")
    for canvas in ("timeline", "face", "strip"):
        assert painted(page, canvas) > 2
    page.locator("button[type=submit]").click()
    playwright.expect(said).to_contain_text("Say first")
    page.keyboard.press("a")
    page.locator("#units").fill("1B+2A")
    page.locator("#comment").fill("<img src=x onerror=alert(1)>")
    page.locator("button[type=submit]").click()
    playwright.expect(said).to_have_text("Saved.")
    playwright.expect(program).to_contain_text("score 0.8, surprise, AU01")
    playwright.expect(page.locator("#who")).to_contain_text("1 of 6")
    page.locator("#next").click()
    playwright.expect(page.locator("#which")).to_contain_text("1.1.2")
    playwright.expect(program).to_contain_text("hidden")
    page.locator("#own").click()
    page.locator("#onset").fill("4.5")
    page.locator("#offset").fill("4.8")
    page.locator("input[value=agree]").check()
    page.locator("button[type=submit]").click()
    playwright.expect(said).to_have_text("Saved.")
    name = page.locator("#title").inner_text()
    (session,) = [each for each in made.names if each.startswith(name.split()[-1])]
    answers = AnswerFile(study, session, "anna").read()
    assert (answers["1.1.1"].units, answers["1.1.1"].blind) == ("1B+2A", True)
    assert (answers["1.1.own-1"].onset, answers["1.1.own-1"].offset) == (4.5, 4.8)
    # it is there again after a reload, and the address without the cookie is nobody's
    page.reload()
    page.locator("#sessions button").first.click()
    playwright.expect(page.locator("#which")).to_contain_text("1.1.2")
    page.locator("#previous").click()
    playwright.expect(page.locator("#comment")).to_have_value("<img src=x onerror=alert(1)>")
    assert problems == []


def test_the_face_moves_with_the_units(address: str, tab: tuple[Any, list[str]]) -> None:
    page, problems = tab
    page.goto(address)
    page.locator("#sessions button").first.click()
    playwright.expect(page.locator("#which")).to_contain_text("1.1.1")
    picture = "() => document.getElementById('face').toDataURL()"
    moved = page.evaluate(picture)
    page.locator("#time").fill("0")
    at_rest = page.evaluate(picture)
    page.locator("#speed").select_option("1")
    page.locator("#play").click()
    playwright.expect(page.locator("#now")).not_to_have_text("0.00 s")
    page.locator("#play").click()
    assert moved != at_rest
    assert problems == []


def test_a_stranger_s_browser_sees_nothing(address: str, tab: tuple[Any, list[str]]) -> None:
    page, _ = tab
    reply = page.goto(address.partition("?")[0])
    assert reply.status == 403
    assert "Open the address that the terminal shows" in page.content()
