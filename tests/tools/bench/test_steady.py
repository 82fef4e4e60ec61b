"""`python -m tools.bench steady`: that its instruments measure what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agent.base.config import AgentConfig
from agent.vision.pipeline import Models
from tools.bench import __main__ as bench
from tools.bench.steady import cli as steady_cli
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


def test_a_planted_movement_on_the_bundled_face_is_found_in_time() -> None:
    """The whole tracker with the shipped models."""
    faces = _of_clip(1)
    scene = Scene(faces[0], 90.0, 2.0, 1)
    assert abs(np.hypot(*(scene.points[45] - scene.points[36])) - 90.0) < 0.1
    models = Models(AgentConfig())
    still = steady._still(faces, 90.0, 2.0, models)
    assert 0.0 < still["stabilised"] < still["network"]
    assert still["stabilised"] <= 0.15
    row = steady._movement(faces, 90.0, 0.03, models)
    assert abs(row["lag_frames"]) <= 0.5
    assert 0.7 < row["share"] < 1.3


def test_the_report_has_every_figure() -> None:
    row = {"iod": 70.0, "sigma": 2.0, "faces": 1, "network": 0.1, "stabilised": 0.05}
    row |= {"stabilised_white": 0.03, "all_points": 0.06}
    moved = {"iod": 70.0, "movements": 4, "amplitude": 0.03, "lag_frames": 0.0}
    moved |= {"lag_frames_worst": 0.1, "share": 0.9, "share_least": 0.8}
    film = {"video": "a.mkv", "frames": 40, "iod": 61.0, "network": 0.3, "stabilised": 0.1}
    film |= {"network_in_head": 0.2, "stabilised_in_head": 0.05, "stillest_second": 0.08}
    film |= {"steadiness": 0.99, "restarts": 0}
    drift = {"seconds": 60.0, "faces": 1, "from_network": 0.2}
    drift |= {"from_network_last_10_s": 0.1, "wander": 0.1}
    place = {"name": "here", "cores": 2, "system": "Linux", "load": 0.1}
    text = steady_cli.steady_text(
        {
            "machine": place,
            "videos": [film],
            "still": [row],
            "movement": [moved],
            "drift": drift,
            "cost": {"us_per_face_and_frame": 91.2},
        }
    )
    for figure in ("a.mkv", "0.080", "0.050", "+0.00", "90%", "0.20 %", "91 us"):
        assert figure in text


def test_a_video_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main(["steady", "--videos", str(tmp_path / "none.mp4")]) != 0
    assert "none.mp4 does not exist" in capsys.readouterr().err
