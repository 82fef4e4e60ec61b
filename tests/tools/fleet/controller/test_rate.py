"""A crowd of devices at once: nothing is published to who is not behind, and no more than the rate
allows to the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.uplink.inbound import TokenBucket
from tests.tools.fleet.controller.test_crash import Broker, Wire
from tools.fleet.controller import wishes
from tools.fleet.controller.lease import Lease
from tools.fleet.controller.meters import Meters
from tools.fleet.controller.process import Controller
from tools.fleet.store import open_store

CROWD = [f"box-{n}" for n in range(1000)]


def test_one_that_slept_publishes_nothing_before_it_has_proven_the_lease(tmp_path: Path) -> None:
    now = [0.0]

    class Sleepy(Wire):
        """The process is stopped for a minute, once, just before it publishes."""

        slept = False

        def answers(self) -> list[tuple[int, int]]:
            if broker.wished and not self.slept:
                self.slept = True
                now[0] += 60
            return super().answers()

    broker = Wishing()
    with open_store(f"sqlite:///{tmp_path / 'fleet.db'}") as store:
        wire: Any = Sleepy(broker)
        lease = Lease(store, clock=lambda: now[0])
        controller = Controller(store, lease, lambda: wire, Meters(), sweep=1e9)
        broker.session.append(("fleeting/1/d/box-0/state", b"online"))
        controller.step()
        store.execute("INSERT INTO wished VALUES ('box-0', '{\"privacy.k\":9}', 0)")
        broker.session.append(("fleeting/1/d/box-0/state", b"online"))
        broker.wished = True
        controller.step()
        assert wire.slept
        assert not broker.retained
        lease.prove()
        controller.step()
        assert broker.retained


class Wishing(Broker):
    wished = False


@pytest.mark.slow
def test_births_do_not_flood(tmp_path: Path) -> None:
    broker = Broker()
    with open_store(f"sqlite:///{tmp_path / 'fleet.db'}") as store:
        wire: Any = Wire(broker)
        controller = Controller(store, Lease(store), lambda: wire, Meters(), sweep=1e9)

        def births() -> int:
            before = len(broker.retained)
            broker.session += [(f"fleeting/1/d/{name}/state", b"online") for name in CROWD]
            for _ in range(20):
                controller.step()
            assert not broker.session, "all are taken"
            return len(broker.retained) - before

        assert births() == 0
        store.executemany(
            "INSERT INTO wished VALUES (?, ?, 0)",
            [(name, wishes.to_text({"privacy.k": 9})) for name in CROWD],
        )
        controller._bucket = TokenBucket(70, 0.0, lambda: 0.0)
        assert births() == 70
        controller._bucket = TokenBucket(2000, 0.0, lambda: 0.0)
        assert births() == 930, "the others wait, and are not forgotten"
        assert births() == 0
