"""The evaluation of voice activity on scenes whose scores are made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.inference.manifest import load_manifest
from agent.voice.activity import Activity
from agent.voice.frames import measure
from agent.voice.sound import RATE
from tools.common.files import MODELS
from tools.common.machine import machine
from tools.eval import picture
from tools.eval.activity import evaluate, peers, tables
from tools.eval.activity.evaluate import ENERGY, SILERO, Scene
from tools.eval.activity.noises import UNSEEN
from tools.eval.card import OURS


def scene(kind: str, snr: float | None, talk: int, good: float) -> Scene:
    """Scores whose classes lie `good` standard deviations apart; Silero's a little closer."""
    rng = np.random.default_rng([talk, int(10 * good)])
    known = rng.random(400) < 0.5
    draw = rng.normal(size=400)
    ours = (good * known + draw).astype(np.float32)
    scores = {
        OURS: ours,
        SILERO: (0.7 * good * known + draw).astype(np.float32),
        ENERGY: rng.normal(size=400).astype(np.float32),
    }
    return Scene(kind, snr, talk, known, known.copy(), scores, ours > good / 2)


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    kinds = [*UNSEEN, "babble"]
    scenes = [
        scene(kind, snr, talk, 1.0 + snr / 10)
        for snr in (0.0, 10.0)
        for talk, kind in enumerate(kinds)
    ]
    scenes.append(scene("none", None, 0, 5.0))
    alone = [scene(kind, None, talk, 1.0) for talk, kind in enumerate(kinds)]
    rooms = {0.3: scenes[:4], 1.0: scenes[1:3]}
    return evaluate.figures(scenes, alone, rooms) | {
        "machine": machine(),
        "seconds": 4.0,
        "talks": 1,
        "chunk": 10,
        "onset": 0.6,
        "offset": 0.4,
        "room_snr": 15.0,
        "unseen": list(UNSEEN),
        "file": {
            "bytes": 1,
            "million_macs": 1.0,
            "delegated": 1.0,
            "machine": machine(),
            "boards": [],
            "one_thread": {"min_ms": 0.1, "median_ms": 0.2},
        },
        "time": {"features": 3.0, "activity": 1.0, "silero": 6.0},
        "missing": {"WebRTC": "webrtcvad-wheels is not installed"},
    }


def test_areas_agree_with_the_definition(report: dict[str, Any]) -> None:
    scenes = [scene(kind, 0.0, talk, 1.0) for talk, kind in enumerate(UNSEEN)]
    joined = np.concatenate([each.scores[OURS] for each in scenes])
    known = np.concatenate([each.known for each in scenes])
    pairs = joined[known][:, None] - joined[~known][None]
    exact = (pairs > 0).mean() + 0.5 * (pairs == 0).mean()
    found = evaluate.curves(scenes, "known")[OURS]
    np.testing.assert_allclose(found["value"], exact, atol=2e-3)
    assert found["low"] < found["value"] < found["high"]


def test_rows_by_level_and_differences_are_paired(report: dict[str, Any]) -> None:
    rows = report["snr"]
    assert [row["snr"] for row in rows] == [0.0, 10.0, None]
    areas = [row["level"][OURS]["value"] for row in rows]
    assert areas == sorted(areas)
    gap = rows[1]["level"][SILERO]["ours_minus"]
    assert gap["low"] > 0
    assert rows[0]["level"][ENERGY]["value"] == pytest.approx(0.5, abs=0.06)


def test_the_section_says_what_was_measured(report: dict[str, Any]) -> None:
    text = tables.section(report)
    assert "| 10 dB |" in text
    assert "| clean |" in text
    assert "*babble*" in text
    assert "| rain |" in text
    assert "webrtcvad-wheels is not installed" in text
    assert "activity 1.00 ms" in text


def test_a_chart_is_drawn(report: dict[str, Any], tmp_path: Path) -> None:
    picture.save(tmp_path / "activity.png", {"activity": report})
    assert (tmp_path / "activity.png").read_bytes()[:4] == b"\x89PNG"


def test_frames_come_in_as_in_the_agent() -> None:
    frames = measure(np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32))
    activity = Activity(load_manifest(MODELS))
    told = evaluate.stream(activity, frames, 7)
    activity.reset()
    first = activity(evaluate.some(frames, 0, 7))
    np.testing.assert_array_equal(told[:7], first)
    assert len(told) == len(frames)


def test_energy_follows_what_stands_out() -> None:
    sound = np.random.default_rng(0).normal(0, 0.003, 4 * RATE).astype(np.float32)
    sound[2 * RATE : 3 * RATE] *= 20
    told = peers.energy(measure(sound))
    assert told[220:290].min() > told[100:190].max()
