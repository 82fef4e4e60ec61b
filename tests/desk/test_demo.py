"""The demo from released summaries to table and picture, over a real broker and a real uplink."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

import agent.perceive.process
from agent.base.config import AgentConfig
from agent.base.errors import PublishError, StoreError
from agent.base.report import Summary, to_json
from agent.base.types import Perceived
from agent.desk import demo as run
from agent.desk.loopback.broker import Broker
from agent.desk.loopback.subscriber import Subscriber
from agent.desk.trace import truth as script
from agent.perceive.process import PerceiveReport
from agent.privacy.policy.rules import resolve
from agent.privacy.release import Releaser
from agent.wall.outbox import Outbox
from tests.desk.trace.generated import perceived
from tests.desk.trace.test_table import summaries


def flawless(
    config: AgentConfig,
    *,
    stop: threading.Event,
    observer: Callable[[Perceived], None] | None = None,
) -> PerceiveReport:
    """Perception as the clip's script has it; release and outbox are the real ones."""
    report = PerceiveReport()
    with Outbox(config.store) as outbox:
        releaser = Releaser(
            config, resolve(config, live=False), model="0" * 16, boot=outbox.boot,
            seq=outbox.next_seq,
        )  # fmt: skip
        for each in perceived(script.load()):
            report.frames += 1
            if observer:
                observer(each)
            for summary in releaser.observe(each):
                outbox.add(summary)
                report.summaries += 1
        for summary in releaser.finish():
            outbox.add(summary)
            report.summaries += 1
    return report


def blind(
    config: AgentConfig,
    *,
    stop: threading.Event,
    observer: Callable[[Perceived], None] | None = None,
) -> PerceiveReport:
    """Releases, as it says, but nothing reaches the outbox."""
    return PerceiveReport(frames=1, summaries=3)


def test_every_released_summary_arrives_and_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(agent.perceive.process, "perceive", flawless)
    monkeypatch.chdir(tmp_path)
    # a user's own folder of that name must not be taken for the package
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent" / "__init__.py").write_text("raise SystemExit('the wrong agent')")
    plot = tmp_path / "demo.png"
    assert run.demo(plot=plot, as_json=True) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["arrived"] == result["released"] == 5
    arrived = [Summary.model_validate_json(json.dumps(each)) for each in result["summaries"]]
    assert sum(each.visits or 0 for each in arrived) == 4
    assert result["micro"]["found"] == result["micro"]["planted"] > 0
    assert result["frames"] == script.load().frames
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_the_text_says_what_profile_it_is_and_where_the_picture_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(agent.perceive.process, "perceive", flawless)
    monkeypatch.setenv("COLUMNS", "160")
    assert run.demo(plot=tmp_path / "demo.png", as_json=False) == 0
    out = capsys.readouterr().out
    for words in ("k = 1, no noise, nothing leaves this machine", "5 of 5 summaries", "demo.png"):
        assert words in out
    assert "happiness" in out or "neutral" in out


def test_nothing_arrived_is_a_named_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent.perceive.process, "perceive", blind)
    monkeypatch.setattr(run, "ARRIVAL", 2.0)
    with pytest.raises(PublishError, match="none of 3 released summaries arrived"):
        run.demo(plot=tmp_path / "demo.png", as_json=True)
    assert not (tmp_path / "demo.png").exists()


def test_a_picture_that_has_no_folder_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is no folder"):
        run.demo(plot=tmp_path / "absent" / "demo.png", as_json=True)


def test_the_reader_keeps_each_summary_once_and_refuses_what_is_none() -> None:
    summary = summaries()[1]
    with Broker() as broker, Subscriber("127.0.0.1", broker.port, "demo") as reader:
        sender = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        sender.connect("127.0.0.1", broker.port)
        sender.loop_start()
        for body in (to_json(summary), to_json(summary), b'{"v": 1, "name": "Ada"}', b"\xff"):
            sender.publish("fleeting/1/d/demo/summary", body, qos=1)
        sender.publish("fleeting/1/d/other/summary", to_json(summaries()[2]), qos=1)
        last = sender.publish("fleeting/1/d/demo/state", b"online", qos=1)
        last.wait_for_publish(5)
        assert reader.wait(1, 5.0)
        assert not reader.wait(2, 0.5)
        assert reader.summaries == [summary]
        assert len(reader.refused) == 2
        assert reader.states == ["online"]
        sender.disconnect()
        sender.loop_stop()


def test_a_broker_that_is_not_there_is_a_named_error() -> None:
    with Broker() as broker:
        port = broker.port
    with (
        pytest.raises(PublishError, match="could not subscribe"),
        Subscriber("127.0.0.1", port, "demo", timeout=2.0),
    ):
        pass


def test_a_summary_that_is_missing_is_said_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def forgetful(config: AgentConfig, **rest: Any) -> PerceiveReport:
        report = flawless(config, **rest)
        report.summaries += 1
        return report

    monkeypatch.setattr(agent.perceive.process, "perceive", forgetful)
    monkeypatch.setattr(run, "ARRIVAL", 6.0)
    assert run.demo(plot=tmp_path / "demo.png", as_json=True) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["arrived"] == 5
    assert "1 of 6 summaries did not arrive" in captured.err
