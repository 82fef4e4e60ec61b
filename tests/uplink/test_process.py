"""The uplink process: startup, backoff, watchdog keep-alives."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from agent.base.errors import ConfigError
from agent.desk.loopback.broker import Broker
from agent.uplink.process import Uplink, run_uplink
from agent.wall.outbox import Outbox
from tests.uplink.conftest import agent_config, fill, stepped_uplink, until
from tools.common.mosquitto import free_port


def test_the_demo_profile_does_not_leave_this_machine(tmp_path: Path) -> None:
    config = agent_config(tmp_path, 1883, host="broker.example")
    with pytest.raises(ConfigError, match="may not leave this machine"):
        run_uplink(config, threading.Event())


@pytest.mark.parametrize("key", ["password_file", "ca_file"])
def test_a_missing_file_is_named_at_the_start(tmp_path: Path, key: str) -> None:
    config = agent_config(
        tmp_path, 1883, tls=True, username="box", **{key: str(tmp_path / "nowhere.pem")}
    )
    with pytest.raises(ConfigError, match=r"nowhere\.pem"):
        run_uplink(config, threading.Event())


def test_keep_alives_only_with_progress(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outbox drained, a PUBACK, or a broker that is known to be away; not a silent broker."""
    keepalives: list[float] = []
    monkeypatch.setattr(
        "agent.host.sd_notify.watchdog", lambda: keepalives.append(time.monotonic())
    )
    config = agent_config(tmp_path, broker.port)
    with stepped_uplink(config) as (uplink, _):
        until(uplink, lambda: keepalives, "drained")
        with monkeypatch.context() as silent:
            silent.setattr(Broker, "_handle_packet", lambda *_: None)
            fill(config, 3)
            until(uplink, lambda: not uplink._sender.drained, "sent by now")
            keepalives.clear()
            for _ in range(10):
                uplink.step(0.02)
            assert uplink.connected
            assert keepalives == []
        broker.stop()
        until(uplink, lambda: keepalives, "known to be away")
        assert not uplink.connected


def test_a_long_wait_for_the_broker_is_cut_short_by_a_stop(tmp_path: Path) -> None:
    config = agent_config(tmp_path, free_port(), backoff_max=3600.0)
    stop = threading.Event()
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return stop.is_set()

    with Outbox(config.store) as outbox:
        uplink = Uplink(config, outbox, wait)
        uplink._failures = 16
        uplink.step(0.0)
        assert len(waits) > 100  # short waits, with keep-alives in between
        assert max(waits) <= 10.0
        stop.set()
        waits.clear()
        uplink.step(0.0)
        assert len(waits) == 1
