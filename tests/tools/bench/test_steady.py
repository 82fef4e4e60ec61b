"""`python -m tools.bench steady`: that its instruments measure what they say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from agent.base.config import AgentConfig
from agent.vision.pipeline import Models
from tools.bench import __main__ as bench
from tools.bench.steady import measure as steady
from tools.bench.steady.faces import Scene, _of_clip
from tools.bench.steady.track import WHITE, noise, within_the_head


def test_noise_of_white_noise_and_of_steady_movement() -> None:
    rng = np.random.default_rng(0)
    white = rng.normal(0, 1, (4000, 9, 2))
    assert abs(noise(white, 100.0) - WHITE) < 0.02
    steady_course = np.arange(50)[:, None, None] * np.ones((1, 9, 2)) * 3.0
    assert noise(steady_course, 100.0) < 1e-9


def test_the_head_s_shift_turn_and_size_are_taken_out_and_nothing_else() -> None:
    rng = np.random.default_rng(1)
    shape = rng.normal(0, 30, (9, 2))
    angles, sizes = rng.normal(0, 0.1, 40), rng.uniform(0.9, 1.1, 40)
    turned = [
        s * shape @ np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
        + rng.normal(0, 9, 2)
        for a, s in zip(angles, sizes, strict=True)
    ]
    assert np.ptp(within_the_head(np.stack(turned)), axis=0).max() < 1e-6
    single = np.stack([shape] * 40)
    single[20, 3] += 5
    assert np.ptp(within_the_head(single), axis=0)[3].max() > 2


@pytest.mark.parametrize(("delay", "share"), [(0.0, 1.0), (0.5, 0.8), (-1.0, 0.5)])
def test_lag_and_share_are_found(delay: float, share: float) -> None:
    frames = np.arange(24.0)
    seen = 7 + 0.01 * frames + 2.0 * share * steady._course(frames - delay)
    lag, found = steady._compared(seen, 2.0)
    assert abs(lag - delay) < 0.06
    assert found < share + 0.02
    if not delay:
        assert abs(found - share) < 0.02


def test_an_injected_movement_on_the_bundled_face_is_found_in_time() -> None:
    """The whole tracker with the shipped models."""
    faces = _of_clip(1)
    scene = Scene(faces[0], 90.0, 2.0, 1)
    assert abs(np.hypot(*(scene.points[45] - scene.points[36])) - 90.0) < 0.1
    models = Models(AgentConfig())
    still = steady._still(faces, 90.0, 2.0, models)
    assert 0.0 < still["stabilised"] < min(still["network"], 0.15)
    row = steady._movement(faces, 90.0, 0.03, models)
    assert abs(row["lag_frames"]) <= 0.5
    assert 0.7 < row["share"] < 1.3


@pytest.mark.slow
def test_the_command_measures_and_shows_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["steady", "--faces", "1", "--seconds", "12", "--json"]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    report = json.loads(last)
    assert all(row["stabilised"] < row["network"] for row in report["videos"] + report["still"])
    assert report["drift"]["from_network"] < 1.0
    shown = [row["stabilised"] for row in report["videos"] + report["still"]]
    shown += [row["network"] for row in report["videos"]]
    assert all(f"{figure:.3f}" in "\n".join(lines) for figure in shown)
    assert f"{report['cost']['us_per_face_and_frame']:.0f} us" in lines[-1]


def test_a_video_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main(["steady", "--videos", str(tmp_path / "none.mp4")]) != 0
    assert "none.mp4 does not exist" in capsys.readouterr().err
