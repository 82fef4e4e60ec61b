"""The microphone and the pipeline under the steps of the ladder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.base.clock import FILE_CLOCK
from agent.base.config import AgentConfig
from agent.base.settings_file import parse
from agent.base.types import Sound
from agent.perceive import stages
from agent.perceive.ears import Ears
from agent.perceive.ladder import Step
from agent.perceive.stages import Stages
from agent.privacy.policy.rules import resolve
from agent.wall.outbox import Outbox


class Microphone:
    """Open, or closed."""

    lost = 0.0

    def __init__(self, *_: Any) -> None:
        self.closed = False

    def until(self, time: float) -> Iterator[Sound]:
        return iter(())

    def forget(self) -> None: ...

    def close(self) -> None:
        self.closed = True


def config(folder: Path, **source: Any) -> AgentConfig:
    return parse(
        {
            "source": source,
            "privacy": {"policy": "demo", "microphone": True},
            "store": {"outbox": str(folder / "outbox.db")},
        },
        "the test",
    )


def test_the_microphone_is_closed_from_the_first_step_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Microphone] = []

    def open_one(*given: Any) -> Microphone:
        opened.append(Microphone())
        return opened[-1]

    monkeypatch.setattr(stages, "Microphone", open_one)
    settings = config(tmp_path, kind="v4l2")
    policy = resolve(settings, live=True)
    with Outbox(settings.store) as outbox:
        subject = Stages(settings, policy, outbox, lambda: FILE_CLOCK, Ears(), lambda event: None)
        releaser, pipeline = subject.releaser, subject.pipeline
        assert subject.hearing.listener is not None
        for step, closed, count in (
            (Step.SLOW, True, 1),
            (Step.SLOWER, True, 1),
            (Step.PAUSE, True, 1),
            (Step.ALL, False, 2),
            (Step.SLOWER, True, 2),
        ):
            subject.restrict(step, 1.0)
            assert (opened[-1].closed, len(opened)) == (closed, count)
            assert (subject.hearing.listener is None) is closed
        assert subject.releaser is releaser, "no visit ends"
        assert subject.pipeline is pipeline
        policy = resolve(settings.model_copy(update={"micro": settings.micro}), live=True)
        subject.rebuild(
            parse({**settings.model_dump(), "tracking": {"max_faces": 7}}, "x"), policy, 2.0
        )
        assert subject.pipeline is not pipeline
        assert subject.pipeline._tracker._most == 1, "new settings do not lift the step"
        subject.finish(3.0)
