"""The demo from released summaries to table and picture, over a real broker and a real uplink."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

import agent.perceive.process
from agent import cli
from agent.base.config import AgentConfig
from agent.base.errors import PublishError, StoreError
from agent.base.report import HeardSummary, to_json
from agent.base.types import Perceived
from agent.desk import demo
from agent.desk.loopback.broker import Broker
from agent.desk.loopback.subscriber import Subscriber
from agent.desk.trace import truth as script
from agent.perceive.ears import Ears
from agent.perceive.status import PerceiveReport
from agent.privacy.policy.rules import resolve
from agent.privacy.releaser import Releaser
from agent.wall.outbox import Outbox
from tests.desk.trace.generated import perceived
from tests.desk.trace.test_table import summaries
from tests.privacy import voices


def perceive_ground_truth(
    config: AgentConfig,
    *,
    stop: threading.Event,
    observer: Callable[[Perceived], None] | None = None,
    ears: Ears,
) -> PerceiveReport:
    """Perception by ground truth; release and outbox are real."""
    report = PerceiveReport()
    with Outbox(config.store) as outbox:
        releaser = Releaser(
            config, resolve(config, live=False), model="0" * 16, boot=outbox.boot,
            seq=outbox.next_seq,
        )  # fmt: skip
        for each in perceived(script.load()):
            report.frames += 1
            assert ears.words is not None
            for line in ears.words.poll():
                label = "positive" if "Thank" in line else "negative"
                ears.observer(voices.words(each.time, label))
            if observer:
                observer(each)
            for released in releaser.observe(each):
                outbox.add(released.summary)
                report.summaries += 1
        for released in releaser.finish():
            outbox.add(released.summary)
            report.summaries += 1
    ears.close()
    return report


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> demo.Outcome:
    """One run with the real outbox, uplink process, broker and subscriber."""
    folder = tmp_path_factory.mktemp("demo")
    # a folder of that name in the working directory must not shadow the package
    (folder / "agent").mkdir()
    (folder / "agent" / "__init__.py").write_text("raise SystemExit('the wrong agent')")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agent.perceive.process, "perceive", perceive_ground_truth)
        patch.chdir(folder)
        return demo._play(folder / "demo.png")


@pytest.mark.slow
def test_every_released_summary_arrives(outcome: demo.Outcome) -> None:
    assert len(outcome.summaries) == outcome.released == 5
    assert sum(each.visits or 0 for each in outcome.summaries) == 4
    assert outcome.score.found == outcome.score.planted > 0
    assert outcome.frames == script.load().frames
    assert outcome.plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_json_the_text_and_what_is_missing(
    outcome: demo.Outcome, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(demo, "_play", lambda plot, model_set: outcome)
    assert demo.demo(plot=outcome.plot, as_json=True) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["arrived"] == result["released"] == 5
    for each in result["summaries"]:
        HeardSummary.model_validate_json(json.dumps(each))
    monkeypatch.setattr(demo, "_play", lambda plot, model_set: replace(outcome, released=6))
    assert demo.demo(plot=outcome.plot, as_json=False) == 1
    shown = capsys.readouterr()
    assert "1 of 6 summaries did not arrive" in shown.err
    for words in ("k = 1, no noise, nothing leaves this machine", "5 of 6 summaries", "demo.png"):
        assert words in shown.out
    assert "happiness" in shown.out or "neutral" in shown.out


def test_nothing_arrived_is_a_named_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def perceive_nothing(*_: object, **__: object) -> PerceiveReport:
        return PerceiveReport(frames=1, summaries=3)

    monkeypatch.setattr(agent.perceive.process, "perceive", perceive_nothing)
    monkeypatch.setattr(demo, "ARRIVAL_TIMEOUT", 0.2)
    with pytest.raises(PublishError, match="none of 3 released summaries arrived"):
        demo.demo(plot=tmp_path / "demo.png", as_json=True)
    assert not (tmp_path / "demo.png").exists()


def test_a_picture_that_has_no_folder_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is no folder"):
        demo.demo(plot=tmp_path / "absent" / "demo.png", as_json=True)


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
        assert reader.wait(1, 20.0)
        deadline = time.monotonic() + 20
        while not reader.states and time.monotonic() < deadline:
            time.sleep(0.01)
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


def test_the_set_of_models_is_the_one_asked_for(
    outcome: demo.Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def play(plot: Path, model_set: str) -> demo.Outcome:
        asked.append(demo.configuration(plot, plot, 1883, model_set=model_set).model_set)
        return outcome

    monkeypatch.setattr(demo, "_play", play)
    assert demo.demo(plot=outcome.plot, as_json=True) == 0
    assert cli.main(["demo", "--json", "--plot", str(outcome.plot), "--model-set", "clean"]) == 0
    assert asked == ["research", "clean"]
