"""The fuzzers pass on the agent, and fail wherever something is wrong."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import pytest

from agent.uplink.inbound import Handled, Inbound
from agent.uplink.traffic import Message
from agent.wall.outbox import Outbox
from tests.uplink.conftest import agent_config, fill, stepped_uplink, summaries
from tools.common.mosquitto import free_port
from tools.robustness.fuzz import files
from tools.robustness.fuzz import run as fuzz
from tools.robustness.fuzz.streams import Rogue, streams


def test_hundreds_of_hostile_messages_change_and_raise_nothing() -> None:
    """The whole: `python -m tools.robustness fuzz --messages 100000`."""
    report = fuzz.run(1000, seed=3)
    assert report["problems"] == []
    assert len(report["flavours"]) == 14
    assert report["changes"] > 20  # the way in is open for what is valid
    assert min(report["refused"][code] for code in ("inbound_refused", "command_refused")) > 100


@pytest.mark.slow
def test_the_fuzzer_sees_what_goes_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be worth nothing if it could not fail."""
    with monkeypatch.context() as weak:
        weak.setattr(
            "agent.uplink.settings._is_valid", lambda path, value: type(value) in (int, bool)
        )
        weak.setattr("agent.uplink.strict_json._depth", lambda body: 0)
        assert fuzz.run(800, seed=3)["problems"] != []
    with monkeypatch.context() as deaf:
        deaf.setattr("agent.uplink.settings.RemoteControl.set_desired", lambda *_: None)
        assert any("no effect" in each for each in fuzz.run(600, seed=3)["problems"])
    with monkeypatch.context() as leaky:
        kept: list[bytes] = []
        before = Inbound.__call__

        def remember(self: Inbound, message: Message) -> Handled:
            kept.append(message.payload[:2000] + bytes(2000))
            return before(self, message)

        leaky.setattr(Inbound, "__call__", remember)
        assert any("memory grew" in each for each in fuzz.run(400, seed=3)["problems"])


@pytest.mark.slow
def test_tampered_outbox_files_are_refused_or_moved_aside() -> None:
    report = files.run(150, seed=20261129)
    assert report["problems"] == []
    assert 30 < report["aside"] < 150


@pytest.mark.slow
def test_the_fuzzer_of_files_sees_what_goes_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as weak:  # bodies are not held against the ledger
        weak.setattr("agent.wall.outbox.store.is_recorded", lambda *_: True)
        assert any("never released" in each for each in files.run(60, seed=3)["problems"])
    with monkeypatch.context() as dying:
        dying.setattr(Outbox, "peek", lambda *_: os._exit(9))
        assert any("ended with code 9" in each for each in files.run(1, seed=3)["problems"])


@pytest.mark.slow
def test_bytes_that_are_no_mqtt_raise_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.uplink.connection.CONNECT_TIMEOUT", 0.2)
    monkeypatch.setattr("agent.uplink.subscriptions.SUBSCRIBE_COOLDOWN", 0.0)
    port = free_port()
    config = agent_config(tmp_path, port)
    fill(config, 3)
    given = list(streams(5, 10))
    rogue = Rogue(port, given, linger=0.03)
    caplog.set_level(logging.WARNING)
    with stepped_uplink(config) as (uplink, outbox):
        deadline = time.monotonic() + 120
        while not rogue.done.is_set() and time.monotonic() < deadline:
            uplink.step(0.05)
        assert rogue.served == len(given)
        rogue.close()
        assert summaries(outbox) == 3
    assert all(record.exc_info is None for record in caplog.records)
    assert all("\n" not in record.getMessage() for record in caplog.records)
