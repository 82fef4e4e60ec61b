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
