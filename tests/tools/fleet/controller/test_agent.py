"""The controller and a real uplink: settings are taken, a job is answered."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from agent.base.config import AgentConfig
from agent.uplink.process import run_uplink
from agent.wall.outbox import Outbox
from tests.tools.fleet.controller.conftest import Fleet
from tests.tools.fleet.controller.devices import NEW
from tests.uplink.conftest import DEVICE, agent_config, eventually

pytestmark = pytest.mark.slow


@pytest.fixture
def uplink(fleet: Fleet) -> Iterator[AgentConfig]:
    config = agent_config(fleet.folder, fleet.broker.port)
    with Outbox(config.store):
        pass  # made by the seeing half otherwise
    stop = threading.Event()
    thread = threading.Thread(target=run_uplink, args=(config, stop), daemon=True)
    thread.start()
    yield config
    stop.set()
    thread.join(20)


def test_a_real_device(fleet: Fleet, uplink: AgentConfig) -> None:
    fleet.controller()
    eventually(lambda: fleet.rows("devices", "state = 'online'"), "it is known")
    assert fleet.run("config", "set", "privacy.k=40", "--device", DEVICE) == 0
    eventually(lambda: fleet.rows("devices", "reported_version = 1"), "it has taken the settings")
    (row,) = fleet.rows("devices")
    assert '"k":40' in row["reported"]
    assert fleet.run("config", "set", "tracking.max_faces=200", "--device", DEVICE) == 0
    eventually(lambda: fleet.rows("devices", "reported_version = 2"), "it has refused the others")
    (row,) = fleet.rows("devices")
    assert "weaker_than" in row["reported"]
    made = fleet.start("app", NEW, "--waves", "100%")
    eventually(lambda: fleet.jobs("REJECTED"), "updates are off here, and it says so")
    assert fleet.jobs()[DEVICE]["reason"] == "off"
    eventually(lambda: fleet.status(made) == "HALTED", "the roll-out halts")
    assert not fleet.rows("quarantine")
