"""`fleeting spot` from file to output."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.base.config import MicroConfig
from agent.base.errors import ConfigError
from agent.base.types import Float, MicroExpression, MicroStatus
from agent.cli import main
from agent.desk.spot import run
from agent.desk.trace.recorder import event_record
from agent.inference.manifest import load_manifest, models_folder
from agent.vision.micro.network import SpotterNetwork
from agent.vision.micro.spotter import MicroSpotter
from tests.desk.spot.tracks import IOD, Arrays, save, still

RATE = 1.2


def false_alarms(params: MicroConfig, weights: object) -> float | None:
    return RATE if params == MicroConfig() else None


class Scripted:
    """A spotter that reports an event one second after every whole number of seconds, and writes
    down its calls."""

    made: list[Scripted]
    unseen: str | None = None

    def __init__(self, params: MicroConfig, network: object) -> None:
        self.params = params
        self.rejected: Counter[str] = Counter(blink=2)
        self.frames: list[tuple[float, float]] = []
        self.ticks: list[float] = []
        self.finished = False
        self._reported = 0
        type(self).made.append(self)

    def update(
        self, time: float, faces: Iterable[tuple[int, Float, float]]
    ) -> tuple[list[MicroExpression], dict[int, MicroStatus]]:
        ((track, points, confidence),) = faces
        assert np.isfinite(points).all()
        self.frames.append((time, confidence))
        noise, reason = (0.00123, self.unseen) if time >= 0.5 else (math.nan, "no_evidence")
        status = MicroStatus(reason is None, reason, noise)
        return ([] if reason else self._due(time)), {track: status}

    def tick(self, time: float) -> list[MicroExpression]:
        self.ticks.append(time)
        return []

    def finish(self) -> list[MicroExpression]:
        self.finished = True
        return [] if self.unseen else [self._event(99.0)]

    def _due(self, time: float) -> list[MicroExpression]:
        number = math.floor(time)
        if number <= self._reported:
            return []
        self._reported = number
        return [self._event(time)]

    def _event(self, time: float) -> MicroExpression:
        polarity = "surprise" if time > 90 else "negative"
        return MicroExpression(
            0, time - 1, time - 0.8, time - 0.6, 0.021234567, polarity, ("AU04", "AU07"), 0.71, time
        )


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> type[Scripted]:
    class Recorded(Scripted):
        made: list[Scripted] = []  # noqa: RUF012 - shared on purpose

    monkeypatch.setattr(run, "MicroSpotter", Recorded)
    monkeypatch.setattr(run, "false_alarm_rate", false_alarms)
    return Recorded


def lines(path: Path, capsys: pytest.CaptureFixture[str], *more: str) -> list[dict[str, Any]]:
    assert main(["spot", str(path), "--json", *more]) == 0
    out = capsys.readouterr().out.splitlines()
    return [json.loads(line, parse_constant=lambda name: pytest.fail(name)) for line in out]


def test_events_are_lines_in_order_of_emission_and_the_last_line_counts(
    scripted: type[Scripted], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    *events, last = lines(save(tmp_path / "t.npz", still(100)), capsys)
    assert [list(event) for event in events] == [
        ["onset", "apex", "offset", "emitted", "score", "intensity", "action_units", "polarity"]
    ] * 4
    assert [event["emitted"] for event in events] == [1.0, 2.0, 3.0, 99.0]
    assert events[0]["action_units"] == ["AU04", "AU07"]
    assert events[0]["intensity"] == 0.02123
    assert last["noise"] == 0.00123
    assert last["events"] == {
        "all": 4, "positive": 0, "negative": 3, "surprise": 1, "unspecified": 0
    }  # fmt: skip
    assert (last["frames"], last["seconds"], last["fps"]) == (100, 3.3, 30.0)
    assert last["analysable_minutes"] * 60 == pytest.approx(2.8, abs=0.05)
    assert last["expected_false_alarms"] == pytest.approx(RATE * 2.8 / 60, abs=0.01)
    assert last["not_analysable"] == {"no_evidence": pytest.approx(0.5, abs=0.05)}
    assert last["rejected"] == {
        "macro": 0, "blink": 2, "speech": 0, "head_motion": 0, "tracking_jump": 0
    }  # fmt: skip
    assert (last["flagged"], last["warnings"], last["reason"]) == ([], [], None)
    assert scripted.made[0].finished


def test_gaps_are_ticked_and_lost_frames_have_no_confidence(
    scripted: type[Scripted], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    track = still(300)
    track["timestamps"][100:] += 0.4
    track["timestamps"][200:] += 9.0
    track["confidence"][120:150] = np.nan
    track["landmarks"][130:160] = np.nan
    *_, last = lines(save(tmp_path / "t.npz", track), capsys)
    (spotter,) = scripted.made
    assert [c for _, c in spotter.frames].count(0.0) == 40
    assert len(spotter.frames) == 300
    starts = (track["timestamps"][99], track["timestamps"][199])
    short = [t for t in spotter.ticks if t < 5]
    long = [t for t in spotter.ticks if t > 5]
    assert len(short) == 8
    assert len(long) == 20
    intervals = np.diff([starts[0], *short])
    assert intervals.max() < 0.0501
    assert max(long) == pytest.approx(starts[1] + 1.0)
    kinds = {span["kind"]: (span["start"], span["end"]) for span in last["flagged"]}
    assert kinds["gap"] == (
        pytest.approx(starts[1], abs=1e-3),
        pytest.approx(starts[1] + 9 + 1 / 30, abs=1e-3),
    )
    assert [span["kind"] for span in last["flagged"]] == ["gap", "lost", "gap"]
    assert last["not_analysable"]["lost"] == pytest.approx(40 / 30, abs=0.01)
    assert last["not_analysable"]["gap"] == pytest.approx(9.4 + 2 / 30, abs=0.01)
    total = sum(last["not_analysable"].values()) + 60 * last["analysable_minutes"]
    assert total == pytest.approx(last["seconds"], abs=0.02)


def test_without_analysable_time_events_are_null_with_a_reason(
    scripted: type[Scripted], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scripted.unseen = "fps_too_low"
    (last,) = lines(save(tmp_path / "t.npz", still(100, fps=12.0)), capsys)
    assert (last["events"], last["reason"]) == (None, "fps_too_low")
    assert (last["analysable_minutes"], last["expected_false_alarms"]) == (0, 0)


def test_at_another_threshold_no_false_alarms_are_promised(
    scripted: type[Scripted], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save(tmp_path / "t.npz", still(100))
    *_, last = lines(path, capsys, "--threshold", "0.7")
    assert scripted.made[0].params.threshold == 0.7
    assert last["expected_false_alarms"] is None
    assert main(["spot", str(path), "--threshold", "7"]) == ConfigError.exit_code
    assert "micro.threshold" in capsys.readouterr().err


def test_the_default_output_is_a_table(
    scripted: type[Scripted], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    track: Arrays = still(100)
    track["timestamps"][50] = track["timestamps"][49]
    track["landmarks"] = np.round(track["landmarks"])
    assert main(["spot", str(save(tmp_path / "t.npz", track))]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].split()[:4] == ["onset", "apex", "offset", "emitted"]
    assert out[1].split() == [
        "0.000", "0.200", "0.400", "1.000", "0.71", "2.12", "%", "negative", "AU04+AU07"
    ]  # fmt: skip
    intervals = "\n".join(out)
    for words in ("4 micro-expressions", "expected by chance", "1 repeated", "rounded to 1 px"):
        assert words in intervals


def test_an_unreadable_track_is_one_line_of_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = save(tmp_path / "bad.npz", still(30) | {"landmarks": np.zeros((30, 478, 3))})
    for path in (bad, tmp_path / "absent.npz"):
        assert main(["spot", str(path), "--json"]) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("fleeting spot: ")
        assert captured.err.count("\n") == 1
    picture = tmp_path / "no" / "p.png"
    assert main(["spot", str(bad), "--render", str(picture)]) == 1
    assert "is no folder" in capsys.readouterr().err


def raised(track: Arrays, apex: float, length: float = 0.4, height: float = 0.035) -> Arrays:
    """Both brows up and down again; `height` in inter-ocular distances."""
    phase = np.clip((track["timestamps"] - apex) / length + 0.5, 0, 1)
    track["landmarks"][:, 17:27, 1] -= (height * IOD * np.sin(np.pi * phase) ** 2)[:, None]
    return track


@pytest.mark.parametrize("fps", [30.0, 60.0, 120.0])
def test_the_shipped_spotter_finds_raised_brows_with_bounded_latency(
    fps: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    track = raised(raised(still(round(14 * fps), fps), 6.0), 10.0)
    *events, last = lines(save(tmp_path / "t.npz", track), capsys)
    assert [event["apex"] for event in events] == [
        pytest.approx(6.0, abs=0.12),
        pytest.approx(10.0, abs=0.12),
    ]
    for event in events:
        assert event["onset"] <= event["apex"] <= event["offset"] < event["emitted"]
        assert event["emitted"] - event["offset"] <= 0.6
        assert {"AU01", "AU02"} & set(event["action_units"])
    assert last["events"]["all"] == 2
    assert last["fps"] == pytest.approx(fps, rel=0.01)


def test_events_equal_those_of_the_spotter_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    track = still(1200)
    for apex in range(4, 38, 3):
        raised(track, float(apex), height=0.01 * (1 + apex % 4))
    *events, last = lines(save(tmp_path / "t.npz", track), capsys)
    manifest = load_manifest(models_folder(None))
    spotter = MicroSpotter(MicroConfig(), SpotterNetwork.load(manifest.network("micro").read()))
    direct: list[MicroExpression] = []
    for time, points in zip(track["timestamps"].tolist(), track["landmarks"], strict=True):
        direct += spotter.update(time, [(7, points, 0.95)])[0]
    direct += spotter.finish()
    assert len(direct) > 3
    assert events == [event_record(event) for event in direct]
    for kind, count in spotter.rejected.items():
        assert last["rejected"][kind] == count
