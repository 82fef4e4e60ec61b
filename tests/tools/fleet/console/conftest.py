"""A console on a filled database of each kind, and browsers of its users."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.summaries import POLICY
from tests.tools.fleet.filled import NOW, busy, fill, say
from tools.fleet.console import accounts, sessions
from tools.fleet.console.accounts import Account, Role
from tools.fleet.console.app import build
from tools.fleet.console.guard import Reach
from tools.fleet.console.inside import Answer, Browser
from tools.fleet.console.place import Place
from tools.fleet.console.pool import Pool
from tools.fleet.store import Store, open_store

PASSWORD = "correct horse battery"
CHEAP = (2**4, 8, 1)
"""Of scrypt: for tests that try many."""


class Console:
    """One console, its database and its users."""

    def __init__(self, folder: Path, url: str, store: Store) -> None:
        self.folder, self.store = folder, store
        self.place = Place(folder, Pool(url))
        self.app = build(self.place, Reach())

    def browser(self, role: Role | None = None) -> Browser:
        """Of a user who is signed in; None: of a stranger."""
        made = Browser(self.app)
        if role is not None:
            now = int(time.time())
            name = f"the-{role}"
            if not self.store.execute("SELECT 1 FROM console_users WHERE name = ?", (name,)):
                accounts.set_user(self.store, name, role, PASSWORD, now)
            made.cookies["fleeting"] = sessions.begin(self.store, Account(name, role), now)
        return made


def csrf(answer: Answer) -> str:
    """The token in a page's forms."""
    return re.findall(r'name="csrf" value="([0-9a-f]{64})"', answer.text)[-1]


def send(browser: Browser, page: str, path: str, /, **fields: str) -> Answer:
    """A form of a page, filled in."""
    return browser.post(path, {"csrf": csrf(browser.get(page)), **fields})


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "_COST", CHEAP)
    monkeypatch.setattr(accounts, "_NOBODY", accounts._NOBODY.replace("32768:8:3", "16:8:1"))


@pytest.fixture
def empty(tmp_path: Path, store_url: str) -> Iterator[Console]:
    """Nothing has ever been collected."""
    with open_store(store_url) as store:
        made = Console(tmp_path, store_url, store)
        yield made
        made.place.pool.close()


@pytest.fixture
def console(empty: Console) -> Console:
    """Something of everything."""
    fill(empty.store)
    for hour in range(12):  # beside slot 0
        start = NOW - 3600 * (hour + 1)
        each = busy(POLICY, 900 + hour, visits=50, start=start, slot=5)
        say(empty.store, "box-1", each, start + 30)
    return empty
