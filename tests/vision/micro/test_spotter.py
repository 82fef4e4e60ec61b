"""The spotter as a whole, on tracks with known movements."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from agent.base.config import MicroConfig
from agent.base.types import MicroExpression
from agent.inference.manifest import load_manifest, models_folder
from agent.vision.micro.network import SpotterNetwork
from agent.vision.micro.spotter import MicroSpotter
from tests.vision.micro.tracks import Track, make


@pytest.fixture(scope="module")
def network() -> SpotterNetwork:
    return SpotterNetwork.load(load_manifest(models_folder(None)).network("micro").read())


def _spot(
    spotter: MicroSpotter,
    track: Track,
    *,
    ticks: bool = False,
    speech: Callable[[float], float | None] = lambda _: None,
) -> list[MicroExpression]:
    found: list[MicroExpression] = []
    before = None
    for time, points in zip(track.times.tolist(), track.points, strict=True):
        if ticks and before is not None:
            for at in np.arange(before + 0.02, time, 0.02):
                found += spotter.tick(float(at))
        found += spotter.update(time, [(1, points, 1.0)], speech(time))[0]
        before = time
    return found + spotter.finish()


@pytest.mark.parametrize("fps", [30.0, 60.0])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_movements_are_found_once_each_named_and_in_time(
    network: SpotterNetwork, seed: int, fps: float
) -> None:
    track = make(seed, fps=fps, events=6, blinks=3)
    events = _spot(MicroSpotter(MicroConfig(), network), track)
    assert len(events) == len(track.micro) == 6
    for movement, event in zip(track.micro, events, strict=True):
        assert movement.is_hit(event)
        assert movement.unit in event.action_units
        assert event.onset <= event.apex <= event.offset
        assert 0.0 < event.emitted - event.offset <= MicroSpotter.latency
        assert 0.01 < event.intensity < 0.06


def test_a_still_face_shows_nothing_and_can_be_analysed(network: SpotterNetwork) -> None:
    assert _spot(MicroSpotter(MicroConfig(), network), make(0, seconds=20, noise=0.0005)) == []
    spotter = MicroSpotter(MicroConfig(), network)
    track = make(0, seconds=3, noise=0.0005)
    for time, points in zip(track.times.tolist(), track.points, strict=True):
        _, statuses = spotter.update(time, [(7, points, 1.0)])
    assert statuses[7].analysed
    assert statuses[7].reason is None
    assert 0.0 < statuses[7].noise < 0.002


def test_blinks_are_refused_and_counted(network: SpotterNetwork) -> None:
    spotter = MicroSpotter(MicroConfig(), network)
    assert _spot(spotter, make(4, seconds=60, blinks=12)) == []
    assert spotter.rejected["blink"] >= 10


def test_an_ordinary_smile_is_no_micro_expression(network: SpotterNetwork) -> None:
    assert _spot(MicroSpotter(MicroConfig(), network), make(8, seconds=60, smiles=10)) == []


@pytest.mark.parametrize(
    ("track", "reason"),
    [
        (make(0, fps=15, seconds=4), "fps_too_low"),
        (make(0, fps=5, seconds=8), "fps_too_low"),
        (make(0, seconds=4, iod=25), "face_too_small"),
        (make(0, seconds=4, noise=0.03), "too_noisy"),
        (make(0, seconds=0.5), "no_evidence"),
    ],
)
def test_what_cannot_be_seen_is_refused_with_its_reason(
    network: SpotterNetwork, track: Track, reason: str
) -> None:
    spotter = MicroSpotter(MicroConfig(), network)
    for time, points in zip(track.times.tolist(), track.points, strict=True):
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
    track = make(0, seconds=12, noise=0.0005)
    nothing = np.full((68, 2), np.nan, np.float32)
    times = track.times.copy()
    times[100:110] = times[99]
    times[150] = times[140]
    found = spotter.update(0.0, [(1, track.points[0], 1.0)])[0]
    for k, (time, seen) in enumerate(zip(times.tolist(), track.points, strict=True)):
        lost = 200 <= k < 290
        face = (1, nothing if lost else seen, float("nan") if k % 50 == 0 else 1.0)
        found += spotter.update(time + 0.5, [face])[0]
    assert found + spotter.finish() == []


def test_two_faces_do_not_touch_each_other(network: SpotterNetwork) -> None:
    left = make(5, seconds=20, events=3, blinks=2)
    right = make(6, seconds=20, events=4, blinks=3)
    alone = MicroSpotter(MicroConfig(), network)
    both = MicroSpotter(MicroConfig(), network)
    events: list[MicroExpression] = []
    together: list[MicroExpression] = []
    for time, one, other in zip(left.times.tolist(), left.points, right.points, strict=True):
        events += alone.update(time, [(1, one, 1.0)])[0]
        together += both.update(time, [(1, one, 1.0), (2, other, 1.0)])[0]
    assert [event for event in together if event.track_id == 1] == events
    assert {event.track_id for event in together} == {1, 2}


def test_ticks_change_when_but_not_what(network: SpotterNetwork) -> None:
    track = make(7, events=5, blinks=3)
    plain = _spot(MicroSpotter(MicroConfig(), network), track)
    ticked = _spot(MicroSpotter(MicroConfig(), network), track, ticks=True)
    assert [event.apex for event in ticked] == pytest.approx([event.apex for event in plain])
    assert all(b.emitted <= a.emitted + 1e-9 for a, b in zip(plain, ticked, strict=True))


MOUTH = {"AU10", "AU12", "AU14", "AU15", "AU17", "AU18", "AU20", "AU24", "AU25", "AU26"}


@pytest.mark.parametrize("silence", [0.0, 0.3, float("nan")])
def test_without_speech_a_microphone_changes_nothing(
    network: SpotterNetwork, silence: float
) -> None:
    track = make(7, events=6, blinks=4, smiles=1)
    plain = _spot(MicroSpotter(MicroConfig(), network), track)
    assert _spot(MicroSpotter(MicroConfig(), network), track, speech=lambda _: silence) == plain
    assert {event.action_units[0] for event in plain} >= {"AU12", "AU04"}


def test_while_somebody_speaks_brows_are_reported_and_the_mouth_is_not(
    network: SpotterNetwork,
) -> None:
    brows = mouths = 0
    for seed in (1, 2, 3):
        track = make(seed, events=6, blinks=3)
        events = _spot(MicroSpotter(MicroConfig(), network), track, speech=lambda _: 1.0)
        assert all(MOUTH.isdisjoint(event.action_units) for event in events)
        assert all(0.0 < e.emitted - e.offset <= MicroSpotter.latency for e in events)
        hit = [m.unit for m in track.micro if any(m.is_hit(event) for event in events)]
        brows += sum(unit != "AU12" for unit in hit)
        mouths += sum(unit == "AU12" for unit in hit)
    assert brows == 12
    assert mouths == 0


def test_speech_hides_what_lies_in_it_and_nothing_else(network: SpotterNetwork) -> None:
    track = make(2, events=6, blinks=3)
    hidden = next(movement for movement in track.micro if movement.unit == "AU12")
    plain = _spot(MicroSpotter(MicroConfig(), network), track)

    def speech(time: float) -> float:
        return float(hidden.onset + 0.1 < time < hidden.offset)

    events = _spot(MicroSpotter(MicroConfig(), network), track, speech=speech)
    assert events == [event for event in plain if not hidden.is_hit(event)]
    assert len(events) == len(plain) - 1


def test_speech_that_is_heard_before_the_report_still_hides_a_movement(
    network: SpotterNetwork,
) -> None:
    track = make(2, events=6, blinks=3)
    hidden = next(movement for movement in track.micro if movement.unit == "AU12")
    found = next(
        event
        for event in _spot(MicroSpotter(MicroConfig(), network), track)
        if hidden.is_hit(event)
    )
    late = found.offset + 0.38

    def speech(time: float) -> float:
        return float(late - 0.02 < time < late + 0.02)

    events = _spot(MicroSpotter(MicroConfig(), network), track, speech=speech)
    assert not any(hidden.is_hit(event) for event in events)


def test_a_microphone_may_come_and_go(network: SpotterNetwork) -> None:
    track = make(3, events=6, blinks=3)

    def speech(time: float) -> float | None:
        return (None, 1.0, 0.0)[int(time / 0.7) % 3]

    for event in _spot(MicroSpotter(MicroConfig(), network), track, speech=speech):
        assert any(movement.is_hit(event) for movement in track.micro)


def test_speech_is_everybody_s_where_two_are_in_view(network: SpotterNetwork) -> None:
    left, right = make(5, seconds=20, events=3), make(6, seconds=20, events=3)
    spotter, found = MicroSpotter(MicroConfig(), network), []
    for time, one, other in zip(left.times.tolist(), left.points, right.points, strict=True):
        found += spotter.update(time, [(1, one, 1.0), (2, other, 1.0)], 1.0)[0]
    assert {event.track_id for event in found} == {1, 2}
    assert all(MOUTH.isdisjoint(event.action_units) for event in found)


def test_memory_does_not_grow(network: SpotterNetwork) -> None:
    spotter = MicroSpotter(MicroConfig(), network)
    points = make(0, seconds=10, noise=0.0005).points
    sizes = []
    tracemalloc.start()
    for k in range(9_000):
        spotter.update(k / 30, [(k // 900, points[k % len(points)], 1.0)], float(k % 90 < 60))
        if k in (3_000, 8_999):
            sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert sizes[1] - sizes[0] < 50_000
