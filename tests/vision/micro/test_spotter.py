"""The spotter as a whole, on tracks with known movements."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable

import numpy as np
import pytest

from agent.base.config import MicroConfig
from agent.base.types import Float, MicroExpression
from agent.vision.inference.manifest import load_manifest, models_folder
from agent.vision.micro.network import SpotterNetwork
from agent.vision.micro.spotter import MicroSpotter
from tools.micro.score import score
from tools.micro.tracks import Track, make


@pytest.fixture(scope="module")
def network() -> SpotterNetwork:
    return SpotterNetwork.load(load_manifest(models_folder(None)).network("micro").read())


def _spot(spotter: MicroSpotter, track: Track, *, ticks: bool = False) -> list[MicroExpression]:
    found: list[MicroExpression] = []
    before = None
    rows = zip(track.timestamps.tolist(), track.landmarks, track.confidence, strict=True)
    for time, points, confidence in rows:
        if ticks and before is not None:
            for at in np.arange(before + 0.02, time, 0.02):
                found += spotter.tick(float(at))
        found += spotter.update(time, [(1, points, float(confidence))])[0]
        before = time
    return found + spotter.finish()


def _still(fps: float, seconds: float, iod: float = 100.0, noise: float = 0.0005) -> Track:
    """A face that does nothing."""
    track = make(20_500, fps=fps, seconds=seconds, noise=noise, events=0, distractors=0.0)
    middle = track.landmarks.mean(axis=1, keepdims=True)
    track.landmarks[:] = (track.landmarks - middle) * (iod / track.iod) + 300.0
    return track


@pytest.mark.parametrize("fps", [30.0, 60.0])
def test_movements_are_found_once_each_and_in_time(network: SpotterNetwork, fps: float) -> None:
    truths, hits, found = 0, 0, 0
    for seed in (20_501, 20_502, 20_503):
        track = make(seed, fps=fps, seconds=40, noise=0.001, events=5, distractors=0.3)
        events = _spot(MicroSpotter(MicroConfig(), network), track)
        for event in events:
            assert event.onset <= event.apex <= event.offset
            assert 0.0 < event.emitted - event.offset <= MicroSpotter.latency
            assert event.action_units
            assert 0.002 < event.intensity < 0.2
        result = score(track.micro, events, 40 / 60)
        truths, hits, found = truths + 5, hits + len(result.pairs), found + result.found
    assert hits >= 0.7 * truths
    assert hits >= 0.7 * found


def test_a_still_face_shows_nothing_and_can_be_analysed(network: SpotterNetwork) -> None:
    spotter = MicroSpotter(MicroConfig(), network)
    assert _spot(spotter, _still(30, 20)) == []
    spotter = MicroSpotter(MicroConfig(), network)
    track = _still(30, 3)
    for time, points in zip(track.timestamps.tolist(), track.landmarks, strict=True):
        _, statuses = spotter.update(time, [(7, points, 1.0)])
    assert statuses[7].analysed
    assert statuses[7].reason is None
    assert 0.0 < statuses[7].noise < 0.002


def test_blinks_are_refused_and_counted(network: SpotterNetwork) -> None:
    spotter = MicroSpotter(MicroConfig(), network)
    track = make(20_504, seconds=60, noise=0.001, events=0, distractors=1.0)
    events = _spot(spotter, track)
    assert len(track.blinks) > 5
    assert spotter.rejected["blink"] >= 0.5 * len(track.blinks)
    assert len(events) <= 3


@pytest.mark.parametrize(
    ("track", "reason"),
    [
        (_still(15, 4), "fps_too_low"),
        (_still(5, 8), "fps_too_low"),
        (_still(30, 4, iod=25), "face_too_small"),
        (_still(30, 4, noise=0.03), "too_noisy"),
        (_still(30, 0.5), "no_evidence"),
    ],
)
def test_what_cannot_be_seen_is_refused_with_its_reason(
    network: SpotterNetwork, track: Track, reason: str
) -> None:
    spotter = MicroSpotter(MicroConfig(), network)
    for time, points in zip(track.timestamps.tolist(), track.landmarks, strict=True):
        _, statuses = spotter.update(time, [(1, points, 1.0)])
    assert statuses[1].reason == reason
    assert not statuses[1].analysed


def test_nobody_in_view_is_nothing_found(network: SpotterNetwork) -> None:
    spotter = MicroSpotter(MicroConfig(), network)
    assert spotter.update(1.0, []) == ([], {})
    assert spotter.tick(2.0) == []
    assert spotter.finish() == []


def test_one_frame_and_bad_frames(network: SpotterNetwork) -> None:
    """Not finite, repeated, backward, lost for seconds: nothing is raised, nothing reported."""
    spotter = MicroSpotter(MicroConfig(), network)
    track = _still(30, 12)
    points = track.landmarks[0]
    nothing = np.full_like(points, np.nan)
    times = track.timestamps.copy()
    times[100:110] = times[99]
    times[150] = times[140]
    found: list[MicroExpression] = spotter.update(0.0, [(1, points, 1.0)])[0]
    for k, (time, seen) in enumerate(zip(times.tolist(), track.landmarks, strict=True)):
        lost = 200 <= k < 290
        face = (1, nothing if lost else seen, float("nan") if k % 50 == 0 else 1.0)
        found += spotter.update(time + 0.5, [face])[0]
    assert found + spotter.finish() == []


def test_two_faces_do_not_touch_each_other(network: SpotterNetwork) -> None:
    left = make(20_505, seconds=30, noise=0.001, events=4, distractors=0.3)
    right = make(20_506, seconds=30, noise=0.001, events=4, distractors=0.3)
    count = min(len(left.timestamps), len(right.timestamps))
    alone: list[MicroExpression] = []
    spotter = MicroSpotter(MicroConfig(), network)
    for k in range(count):
        alone += spotter.update(float(left.timestamps[k]), [(1, left.landmarks[k], 1.0)])[0]
    both = MicroSpotter(MicroConfig(), network)
    together: list[MicroExpression] = []
    for k in range(count):
        faces: Iterable[tuple[int, Float, float]] = [
            (1, left.landmarks[k], 1.0),
            (2, right.landmarks[k], 1.0),
        ]
        together += both.update(float(left.timestamps[k]), faces)[0]
    assert [event for event in together if event.track_id == 1] == alone


def test_ticks_change_when_but_not_what(network: SpotterNetwork) -> None:
    track = make(20_507, seconds=40, noise=0.001, events=5, distractors=0.3)
    plain = _spot(MicroSpotter(MicroConfig(), network), track)
    ticked = _spot(MicroSpotter(MicroConfig(), network), track, ticks=True)
    assert [event.apex for event in ticked] == pytest.approx([event.apex for event in plain])
    assert all(b.emitted <= a.emitted + 1e-9 for a, b in zip(plain, ticked, strict=True))


def test_memory_does_not_grow(network: SpotterNetwork) -> None:
    spotter = MicroSpotter(MicroConfig(), network)
    points = _still(30, 10).landmarks
    sizes = []
    tracemalloc.start()
    for k in range(9_000):
        spotter.update(k / 30, [(k // 900, points[k % len(points)], 1.0)])
        if k in (3_000, 8_999):
            sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert sizes[1] - sizes[0] < 50_000
