"""`fleeting replay`: what it prints; the pipeline's own answers are tested in test_pipeline.py."""

from __future__ import annotations

import json
from typing import Any

import pytest

import agent.desk.replay
from agent.base.assets import CLIP
from agent.base.report import Summary
from agent.base.types import Frame, MicroExpression, Perceived
from agent.cli import main
from agent.desk.trace import truth as script
from tests.desk.trace.generated import perceived


class Flawless:
    """Perceives the bundled clip as its script has it."""

    model_hash = "0" * 16
    false_alarms_per_minute = 0.5

    def __init__(self, *_: Any, **__: Any) -> None:
        self._script = perceived(script.load())

    def __call__(self, frame: Frame) -> Perceived:
        return next(self._script)

    def finish(self) -> tuple[MicroExpression, ...]:
        return ()


class Late(Flawless):
    """Still holds one movement back when the file ends."""

    def finish(self) -> tuple[MicroExpression, ...]:
        return (MicroExpression(4, 44.8, 44.9, 45.0, 0.02, "negative", ("AU04",), 0.9, 45.1),)


def test_a_movement_held_back_when_the_file_ends_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(agent.desk.replay, "Pipeline", Late)
    assert main(["replay", str(CLIP), "--json", "--events"]) == 0
    events = [line for line in capsys.readouterr().out.splitlines() if line.startswith('{"event"')]
    assert json.loads(events[-1])["onset"] == 44.8


def test_events_stand_between_the_summaries_where_they_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(agent.desk.replay, "Pipeline", Flawless)
    clip = str(CLIP)
    assert main(["replay", clip, "--json"]) == 0
    alone = capsys.readouterr().out.splitlines()
    assert main(["replay", clip, "--json", "--events"]) == 0
    lines = capsys.readouterr().out.splitlines()
    events = [json.loads(line) for line in lines if line.startswith('{"event"')]
    assert [line for line in lines if not line.startswith('{"event"')] == alone
    planted = [event for event in script.load().events if event.kind == "micro"]
    assert len(events) == len(planted)
    assert {event["event"] for event in events} == {"micro_expression"}
    assert sorted(event["onset"] for event in events) == sorted(e.onset for e in planted)
    assert all(isinstance(event["track"], int) for event in events)
    summaries = [Summary.model_validate_json(line) for line in alone]
    expected = [each.micro.expected_false_alarms_tenths for each in summaries if each.micro]
    assert expected
    assert None not in expected
