"""The perceive process: failing sources, full disks, settings, pauses, refused policies."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.base.assets import CLIP
from agent.base.clock import FILE_CLOCK
from agent.base.config import AgentConfig
from agent.base.errors import CaptureError, ConfigError, StoreError
from agent.base.report import Birth, Event, EventCode, Summary, Vitals, summary_form
from agent.base.report.base import Message
from agent.base.settings_file import parse
from agent.base.types import Frame, Perceived
from agent.perceive import controls, process, summary_store
from agent.perceive.capture import resilient
from agent.perceive.capture.live import CameraError
from agent.perceive.capture.source import BaseSource
from agent.perceive.capture.spawn import StuckError
from agent.perceive.process import Perceiver, perceive
from agent.perceive.status import PerceiveReport, StatusReporter
from agent.perceive.summary_store import SummaryStore
from agent.privacy.releaser import Released
from agent.wall.outbox import Outbox
from agent.wall.remote_settings import Settings, write
from tests.summaries import birth, summary


@pytest.fixture(autouse=True)
def polled_at_every_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controls, "_POLL_INTERVAL", 0.0)


def _config(folder: Path, **source: Any) -> AgentConfig:
    return parse(
        {
            "source": {"kind": "file", "target": str(CLIP), "pace": "fast", **source},
            "privacy": {"policy": "demo"},
            "store": {"outbox": str(folder / "outbox.db")},
        },
        "the test",
    )


def _stored(config: AgentConfig) -> list[Summary]:
    with Outbox(config.store) as outbox:
        rows = [row for row in outbox.peek(1000) if row.kind == "summary"]
        return [summary_form(row.body).model_validate_json(row.body) for row in rows]


class Camera(BaseSource):
    """A live source that gives grey frames and then fails, once, or ends."""

    live = True

    def __init__(self, start: float, frames: int, fails: bool) -> None:
        super().__init__("test camera", 30.0)
        self.closed, self.well = False, False
        self._start, self._frames, self._fails = start - 60.0, frames, fails
        self._given = 0

    def start(self) -> None:
        self._start += 60.0
        self._timeline.restart()

    def end(self) -> None:
        self._fails, self._given = False, 0

    def drain_notices(self) -> list[EventCode]:
        return []

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        if self._given == self._frames:
            if self._fails:
                raise CameraError("hung", "The camera stopped.")
            raise StopIteration
        self._given += 1
        return Frame(self._start + self._given / 30, np.full((120, 160), 90, np.uint8))

    def limit(self, fps: float | None) -> None:
        assert fps is None

    def close(self) -> None:
        self.closed = True


def _live(folder: Path) -> AgentConfig:
    return _config(folder).model_copy(
        update={"source": parse({"source": {"kind": "v4l2"}}, "the test").source}
    )


@pytest.mark.slow
def test_a_camera_that_stops_is_opened_again_and_flagged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = Camera(time.monotonic(), 40, True)
    monkeypatch.setattr(process, "warm", lambda config, hears: None)
    monkeypatch.setattr(resilient, "LiveCamera", lambda *_: camera)
    monkeypatch.setattr(resilient, "CameraProcess", lambda config: None)
    report = perceive(_live(tmp_path), stop=threading.Event())
    assert report.frames == 80
    assert report.reopened == 1
    assert camera.closed
    flags = {flag for summary in _stored(_live(tmp_path)) for flag in summary.quality.flags}
    assert "camera_restart" in flags


class Exits:
    """In place of `CameraExits`."""

    def __init__(self) -> None:
        self.count = 0

    def add(self) -> bool:
        self.count += 1
        return True


def test_a_process_that_ends_because_of_its_camera_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exits = Exits()
    monkeypatch.setattr(process, "warm", lambda config, hears: None)

    def frames(*_: object) -> Iterator[Any]:
        raise StuckError("The camera does not come back.")
        yield

    monkeypatch.setattr(process, "resilient_frames", frames)
    with pytest.raises(StuckError):
        perceive(_live(tmp_path), stop=threading.Event(), exits=exits)  # type: ignore[arg-type]
    assert exits.count == 1
    assert _events(_live(tmp_path))[-1] == "reboot_asked"


@pytest.mark.parametrize(("openings", "expected"), [((), False), (("unix",), True)])
def test_a_wall_that_was_found_open_is_an_event(
    openings: Any, expected: bool, tmp_path: Path
) -> None:
    sandbox = birth().cage.model_copy(update={"found_open": openings})
    perceiver = Perceiver(_live(tmp_path), sandbox=sandbox)
    perceiver.finish()
    assert ("cage_open" in _events(_live(tmp_path))) is expected


def test_a_file_is_not_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Camera(60.0, 3, True)
    monkeypatch.setattr(resilient, "open_source", lambda config: source)
    with pytest.raises(CaptureError, match="stopped"):
        perceive(_config(tmp_path), stop=threading.Event())
    assert source.closed


def test_summaries_wait_in_memory_while_the_disk_takes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _config(tmp_path)
    perceiver = Perceiver(config)
    add = Outbox.add
    full = True

    def maybe(self: Outbox, summary: Summary, visits: int = 0) -> None:
        if full:
            raise StoreError("No space left on device.")
        add(self, summary, visits)

    monkeypatch.setattr(Outbox, "add", maybe)
    monkeypatch.setattr(summary_store, "_RETRY", 1e-6)
    luma = np.full((120, 160), 90, np.uint8)
    for second in range(60):
        perceiver.step(Frame(float(second), luma), 0, set())
    assert perceiver.report.summaries > 2
    assert _stored(config) == []
    full = False
    perceiver.step(Frame(61.0, luma), 0, set())
    perceiver.finish()
    stored = _stored(config)
    assert len(stored) == perceiver.report.summaries
    assert [s.seq for s in stored] == list(range(len(stored))), "in order, none missing"
    assert _events(config) == ["store_failed"], "told once it can be"


def test_the_noised_visits_of_a_withheld_window_reach_the_ledger(tmp_path: Path) -> None:
    report = PerceiveReport()
    with Outbox(_config(tmp_path).store) as outbox:
        status = StatusReporter(outbox, lambda: FILE_CLOCK, report, birth().cage)
        SummaryStore(outbox, status, report).add([Released(summary(0), 7)])
        assert [release.visits for release in outbox.ledger.receipt_basis().releases] == [7]
    assert report.summaries == 1


def test_a_forbidden_use_does_not_start(tmp_path: Path) -> None:
    outbox = str(tmp_path / "outbox.db")
    config = parse(
        {
            "device": {"place": "education"},
            "privacy": {"policy": "retail-eu"},
            "store": {"outbox": outbox},
        },
        "x",
    )
    with pytest.raises(ConfigError, match="classroom"):
        Perceiver(config)
    assert _events(config) == ["policy_refused"], "whoever looks after the device is told"


def _events(config: AgentConfig) -> list[str]:
    with Outbox(config.store) as outbox:
        rows = [row.body for row in outbox.peek(1000) if row.kind == "event"]
    return [Event.model_validate_json(body).code for body in rows]


def _play(perceiver: Perceiver, first: float, last: float) -> None:
    """Five grey frames a second."""
    luma = np.full((120, 160), 90, np.uint8)
    for n in range(round(5 * (last - first))):
        perceiver.step(Frame(first + n / 5, luma), 0, set())


def _latest(config: AgentConfig, kind: type[Message]) -> Message:
    with Outbox(config.store) as outbox:
        found = outbox.latest.get(kind)
    assert found is not None
    return found[0]


def _set(config: AgentConfig, **settings: Any) -> None:
    """As the uplink would."""
    write(config.store.settings, Settings.model_validate(settings))


def test_while_paused_no_frame_is_analysed_and_windows_still_end(tmp_path: Path) -> None:
    config = _config(tmp_path)
    seen: list[float] = []
    perceiver = Perceiver(config, lambda perceived: seen.append(perceived.time))
    _play(perceiver, 0, 12)
    _set(config, paused=True)
    _play(perceiver, 12, 40)
    assert max(seen) < 12
    assert perceiver.report.unseen == 140
    assert [s.window.offset for s in _stored(config)] == [0, 10]
    _play(perceiver, 40, 45)
    _set(config, paused=False)
    _play(perceiver, 45, 55)
    perceiver.finish()
    assert min(t for t in seen if t >= 12) == 50, "resumed with the next window"
    assert _events(config) == ["paused", "resumed"]


def test_new_settings_are_put_in_force_between_frames(tmp_path: Path) -> None:
    config = _config(tmp_path)
    perceiver = Perceiver(config)
    _play(perceiver, 0, 5)
    patch = {"privacy": {"window": 60, "k": 7}, "tracking": {"max_faces": 3}}
    _set(config, version=4, patch=patch)
    _play(perceiver, 5, 9)
    assert _events(config) == []
    _play(perceiver, 9, 70)
    birth = _latest(config, Birth)
    assert (birth.settings, birth.k, birth.window) == (4, 7, 60)
    assert _events(config) == ["settings_applied"]
    perceiver.finish()
    stored = _stored(config)
    assert [(s.window.length, s.privacy.k) for s in stored] == [(10, 1), (60, 7), (60, 7)]
    assert [s.seq for s in stored] == [0, 1, 2]
    assert len({s.policy_hash for s in stored}) == 2


def test_settings_that_the_policy_refuses_change_nothing(tmp_path: Path) -> None:
    config = parse(
        {
            "source": {"kind": "file", "target": str(CLIP)},
            "store": {"outbox": str(tmp_path / "outbox.db")},
        },
        "the test",
    )
    perceiver = Perceiver(config)
    _set(config, version=1, patch={"privacy": {"k": 2}})
    _play(perceiver, 0, 1)
    config.store.settings.write_bytes(b"[" * 100_000)
    _play(perceiver, 1, 2)
    assert _latest(config, Birth).k == 10
    assert _events(config) == ["settings_refused", "settings_applied"]  # version 1, less its k
    perceiver.finish()


@pytest.mark.parametrize("running", [True, False])
def test_a_tampered_settings_file_cannot_weaken_what_the_site_chose(
    tmp_path: Path, running: bool
) -> None:
    config = parse(
        {
            "source": {"kind": "file", "target": str(CLIP)},
            "privacy": {"k": 50, "window": 900},
            "micro": {"enabled": False},
            "tracking": {"max_faces": 8},
            "store": {"outbox": str(tmp_path / "outbox.db")},
        },
        "the test",
    )
    weaker = {
        "privacy": {"k": 10, "window": 300}, "micro": {"enabled": True},
        "detection": {"tiles": 4}, "tracking": {"max_faces": 200},
    }  # fmt: skip
    if not running:
        _set(config, version=7, patch=weaker)
    perceiver = Perceiver(config)
    if running:
        _play(perceiver, 0, 1)
        _set(config, version=7, patch=weaker)
        _play(perceiver, 900, 901)
    birth = _latest(config, Birth)
    assert (birth.k, birth.window) == (50, 900)
    assert perceiver._stages._config == config
    assert "settings_refused" in _events(config)
    perceiver.finish()


def test_what_is_stricter_in_a_tampered_file_is_kept(tmp_path: Path) -> None:
    config = _config(tmp_path)
    patch = {"privacy": {"k": 7, "window": 10}, "detection": {"tiles": 4}}
    _set(config, version=7, patch=patch)
    perceiver = Perceiver(config)
    assert _latest(config, Birth).k == 7
    assert perceiver._stages._config.detection.tiles is None
    perceiver.finish()


def test_summaries_are_split_by_content_slot(tmp_path: Path) -> None:
    config = _config(tmp_path)
    perceiver = Perceiver(config)
    for number, second in enumerate((0, 10, 20)):
        if number:
            _set(config, content=number + 6, content_count=number)
        _play(perceiver, second, second + 10)
    perceiver.finish()
    assert [s.slot for s in _stored(config)] == [0, 7, 8]


def test_a_slot_beyond_the_days_is_refused_and_said(tmp_path: Path) -> None:
    config = _config(tmp_path)
    config = config.model_copy(update={"content": config.content.model_copy(update={"slots": 2})})
    for _ in range(2):  # a restart does not bring more
        perceiver = Perceiver(config)
        for number, slot in enumerate((7, 8), 1):
            _set(config, content=slot, content_count=number)
            _play(perceiver, 10 * number, 10 * number + 10)
        perceiver.finish()
    assert {s.slot for s in _stored(config)} <= {0, 7}
    assert "content_refused" in _events(config)


def test_a_stalled_camera_is_reported(tmp_path: Path) -> None:
    config = _config(tmp_path)
    perceiver = Perceiver(config)
    luma = np.full((120, 160), 90, np.uint8)
    perceiver.step(Frame(0.0, luma), 0, set())  # vitals begin
    for n in range(1, 200):
        perceiver.step(Frame(n / 30, luma), 0, set())
    perceiver.stalled(away=False)
    vitals = _latest(config, Vitals)
    assert (vitals.perception, vitals.fps) == ("stalled", 0), "at once"
    perceiver.noticed("camera_frozen")
    perceiver.reopened()
    assert _latest(config, Vitals).perception == "running"
    assert _events(config) == ["camera_frozen", "camera_restarted"]
    perceiver.finish()


def test_the_observer_sees_every_frame_and_stop_is_obeyed(tmp_path: Path) -> None:
    stop = threading.Event()
    seen: list[Perceived] = []

    def observe(perceived: Perceived) -> None:
        seen.append(perceived)
        if len(seen) == 50:
            stop.set()

    report = perceive(_config(tmp_path), stop=stop, observer=observe)
    assert report.frames == len(seen) == 50
    assert len(_stored(_config(tmp_path))) == report.summaries == 1


@pytest.mark.slow
def test_at_its_own_pace_a_file_takes_its_own_time(tmp_path: Path) -> None:
    stop = threading.Event()
    started = time.monotonic()
    times: list[float] = []

    def observe(perceived: Perceived) -> None:
        times.append(time.monotonic() - started - perceived.time)
        if perceived.time > 1.0:
            stop.set()

    report = perceive(_config(tmp_path, pace="realtime"), stop=stop, observer=observe)
    assert min(times) > -0.05, "no frame before its time"
    assert report.frames + report.dropped >= 25
