"""Receipts that do not hold: with a real device's outbox and receipt book."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.base.report import Meta, Receipt, from_json, to_json
from tests.desk.receipt.days import Box
from tests.summaries import meta
from tests.tools.fleet import filled
from tests.tools.fleet.alerts.conftest import DAY, HOUR, World

BOX = "kiosk-7"


class Kiosk:
    """Says everything through the intake, day by day."""

    def __init__(self, world: World, folder: Path) -> None:
        folder.mkdir()
        self.world, self.box = world, Box(folder)
        self.box.tick()
        self.sent = 0

    def days(self, number: int, sign: bool = True) -> None:
        for _ in range(number):
            for each in self.box.release(3):
                filled.say(self.world.store, BOX, each, int(self.box.utc or 0))
            self.box.pass_time(DAY, DAY / 2)
            self.world.now = int(self.box.utc or 0)
        if sign:
            self.sign()

    def sign(self) -> None:
        bodies = self.box.written("receipt")
        for body in bodies[self.sent :]:
            receipt = from_json(Receipt, body)
            assert receipt is not None
            filled.say(self.world.store, BOX, receipt, receipt.statement.end or 0)
        self.sent = len(bodies)
        self.world.control(BOX, "state", b"online")
        last = {"key": self.box.book.public_key, "receipt": self.box.book.last()}
        self.world.control(BOX, "meta", to_json(Meta.model_validate({**dict(meta()), **last})))


@pytest.fixture
def kiosk(world: World, tmp_path: Path) -> Kiosk:
    return Kiosk(world, tmp_path / "box")


@pytest.fixture
def small(lite: World, tmp_path: Path) -> Kiosk:
    return Kiosk(lite, tmp_path / "box")


def receipts(world: World) -> list[tuple[str, str]]:
    """(severity, sentence) of the alerts about receipts."""
    return [(each.severity, each.what) for each in world.open(kinds=["receipt"])]


def test_a_whole_chain_raises_nothing(kiosk: Kiosk) -> None:
    kiosk.days(5)
    kiosk.world.look()
    assert receipts(kiosk.world) == []
    assert kiosk.world.store.tuples("SELECT verdict FROM alert_receipts") == [("valid",)]


ATTACKS: dict[str, Callable[[World], object]] = {
    "gone": lambda world: world.store.execute("DELETE FROM summaries WHERE seq = 4"),
    "forged": lambda world: world.store.execute(
        "UPDATE receipts SET body = REPLACE(body, 'messages', 'messagez') WHERE number = 3"
    ),
    "left out": lambda world: world.store.execute("DELETE FROM receipts WHERE number = 3"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_missing_or_forged_is_critical_until_it_is_past(small: Kiosk, attack: str) -> None:
    small.days(5)
    ATTACKS[attack](small.world)
    small.world.look()
    ((severity, what),) = receipts(small.world)
    assert severity == "critical"
    assert BOX in what or "receipt" in what or "missing" in what
    small.world.restart()
    small.world.look(HOUR)
    assert len(receipts(small.world)) == 1
    small.days(10)
    small.world.look()
    small.world.look(2 * HOUR)
    assert receipts(small.world) == []


def test_receipts_that_stop_coming(small: Kiosk) -> None:
    small.days(4)
    small.world.look()
    assert receipts(small.world) == []
    small.days(4, sign=False)
    small.world.look()
    assert len(receipts(small.world)) == 1
    small.sign()
    small.world.look(DAY)
    small.world.look(2 * HOUR)
    assert receipts(small.world) == []
