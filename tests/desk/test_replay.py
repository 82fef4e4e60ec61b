"""Output of `fleeting replay`; the pipeline is tested in test_pipeline.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import agent.desk.replay
from agent.base.assets import CLIP
from agent.base.report import HeardSummary
from agent.base.types import Frame, MicroExpression, Perceived
from agent.cli import main
from agent.desk.coding.files import read_events
from agent.desk.spot.table_track import TableTrack
from agent.desk.trace import truth as script
from agent.desk.trace.openface import columns
from agent.inference.manifest import load_manifest, models_folder
from agent.perceive.capture.source import BaseSource
from tests.desk.trace.generated import perceived


class GroundTruthPipeline:
    """A pipeline that returns the clip's ground truth."""

    model_hash = "0" * 16
    false_alarms_per_minute = 0.5

    def __init__(self, *_: Any, **__: Any) -> None:
        self._script = perceived(script.load())
        self.models = SimpleNamespace(manifest=load_manifest(models_folder(None)))

    def __call__(self, frame: Frame, speech: float | None = None) -> Perceived:
        return next(self._script)

    def finish(self) -> tuple[MicroExpression, ...]:
        return ()


class BlankVideo(BaseSource):
    """The clip's frames without a picture."""

    def __init__(self, path: Path) -> None:
        assert path == CLIP
        super().__init__("clip.mp4", 30.0)
        self.frame_count = self.counters.frames = script.load().frames

    def __iter__(self) -> Iterator[Frame]:
        return (Frame(n / 30, np.zeros((2, 2), np.uint8)) for n in range(self.frame_count))


@pytest.fixture
def shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., list[str]]:
    """The lines that a replay of the clip prints."""
    monkeypatch.setattr(agent.desk.replay, "Pipeline", GroundTruthPipeline)
    monkeypatch.setattr(agent.desk.replay, "VideoFile", BlankVideo)

    def replayed(*options: str) -> list[str]:
        assert main(["replay", str(CLIP), *options]) == 0
        return capsys.readouterr().out.splitlines()

    return replayed


def test_events_are_printed_between_the_summaries_on_request(
    shown: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, lines = shown("--json"), shown("--json", "--events")
    events = [json.loads(line) for line in lines if line.startswith('{"event"')]
    assert [line for line in lines if not line.startswith('{"event"')] == alone
    planted = [event for event in script.load().events if event.kind == "micro"]
    assert len(events) == len(planted)
    assert {event["event"] for event in events} == {"micro_expression"}
    assert sorted(event["onset"] for event in events) == sorted(e.onset for e in planted)
    assert all(isinstance(event["track"], int) for event in events)
    summaries = [HeardSummary.model_validate_json(line) for line in alone]
    expected = [each.micro.expected_false_alarms_tenths for each in summaries if each.micro]
    assert expected
    assert None not in expected
    late = MicroExpression(4, 44.8, 44.9, 45.0, 0.02, "negative", ("AU04",), 0.9, 45.1)
    monkeypatch.setattr(GroundTruthPipeline, "finish", lambda self: (late,))
    held_back = [line for line in shown("--json", "--events") if line.startswith('{"event"')]
    assert json.loads(held_back[-1])["onset"] == 44.8


def test_events_and_frames_are_written_for_other_programs(
    shown: Callable[..., list[str]], tmp_path: Path
) -> None:
    coded, frames = tmp_path / "codes.eaf", tmp_path / "frames.csv"
    shown("--json", "--export", str(coded), "--frames", str(frames))
    planted = sorted(each.onset for each in script.load().events if each.kind == "micro")
    found = read_events(coded)
    assert [event.onset for event in found] == pytest.approx(planted, abs=0.001)
    assert {event.coder for event in found} == {f"fleeting {agent.__version__}"}
    head, *rows = frames.read_text().splitlines()
    names = head.split(",")
    assert names == columns(landmarks=False)
    assert not any(name.startswith("x_") for name in names)
    assert {len(row.split(",")) for row in rows} == {len(names)}
    shown("--json", "--frames", str(frames), "--landmarks")
    assert len(TableTrack(frames, face=rows[0].split(",")[1])) > 100


def test_the_default_output_is_a_table(shown: Callable[..., list[str]]) -> None:
    lines = shown("--window", "60")
    assert lines[0].startswith(f"clip.mp4: {script.load().frames} frames")
    assert any(line.startswith("0-60 s") for line in lines)
