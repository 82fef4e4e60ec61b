"""Heat and under-voltage in the perceive process: what is done, when, and what is said of it."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.base.assets import CLIP
from agent.base.config import AgentConfig, HeatConfig
from agent.base.report import Event, Summary, Vitals, summary_form
from agent.base.settings_file import parse
from agent.base.types import Frame
from agent.host.board import Latest, Reading, Watch
from agent.perceive import controls
from agent.perceive.heat import STALE, Heat
from agent.perceive.ladder import CLEAR_AFTER, Step
from agent.perceive.process import Perceiver
from agent.wall.outbox import Outbox
from agent.wall.remote_settings import Settings, write
from tests import boards

COOL = Reading(50.0, "cpu-thermal", False, False)


class Told(Watch):
    """A watch that is told what it sees: each reading twice, as a board that stays like that."""

    def __init__(self) -> None:
        super().__init__()
        self.now = Latest(0, time.monotonic(), Reading())
        self.closed = False

    def says(self, reading: Reading) -> None:
        self.now = Latest(self.now.number + 1, time.monotonic(), reading)

    def degrees(self, degrees: float) -> None:
        self.says(replace(COOL, temperature=degrees))

    def latest(self, wait: float = 0.0) -> Latest:
        return self.now

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(Heat.__init__, "__kwdefaults__", {"hot": False, "clock": lambda: now[0]})
    return now


@pytest.fixture(autouse=True)
def polled_at_every_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controls, "_POLL_INTERVAL", 0.0)


def warmed(watch: Told, subject: Heat, degrees: float) -> None:
    for _ in range(2):
        watch.degrees(degrees)
        subject.poll()


def test_steps_wait_for_a_window_and_a_pause_does_not(clock: list[float]) -> None:
    said: list[str] = []
    watch = Told()
    subject = Heat(HeatConfig(), watch, said.append)
    assert not subject.begin_window()
    warmed(watch, subject, 76)
    assert (subject.step, subject.fps, subject.flags) == (Step.ALL, None, set())
    assert subject.begin_window()
    assert (subject.step, subject.fps, subject.flags) == (Step.SLOW, 20.0, {"throttled"})
    assert not subject.begin_window()
    warmed(watch, subject, 86)
    assert (subject.paused, subject.step, subject.fps) == (True, Step.SLOW, 5.0)
    warmed(watch, subject, 60)
    assert subject.paused, "until the window ends"
    assert said == ["hot"]
    assert subject.begin_window()
    assert (subject.paused, subject.step, subject.fps) == (False, Step.SLOWER, 10.0)
    assert said == ["hot", "cooled"]
    steps = [subject.step for _ in range(3) if subject.begin_window() or True]
    assert steps == [Step.SLOW, Step.ALL, Step.ALL], "one by one, a window each"
    assert subject.flags == set()
    subject.close()
    assert watch.closed


def test_undervoltage_is_flagged_at_once_and_slows_the_next_window(clock: list[float]) -> None:
    said: list[str] = []
    watch = Told()
    subject = Heat(HeatConfig(), watch, said.append)
    for each in (True, False, True, False):
        watch.says(replace(COOL, undervolt=each))
        subject.poll()
    assert (subject.step, subject.flags, said) == (Step.ALL, {"undervolt"}, ["undervolt"])
    subject.begin_window()
    assert (subject.step, subject.flags) == (Step.SLOW, {"throttled", "undervolt"})
    clock[0] += CLEAR_AFTER
    watch.says(COOL)
    subject.poll()
    subject.begin_window()
    assert (subject.step, subject.flags, said) == (Step.ALL, set(), ["undervolt"])


def test_a_clock_that_is_held_back_by_the_board_is_flagged(clock: list[float]) -> None:
    watch = Told()
    subject = Heat(HeatConfig(), watch)
    watch.says(replace(COOL, throttled=True))
    subject.poll()
    assert (subject.step, subject.flags) == (Step.ALL, {"throttled"})


def test_without_the_ladder_only_the_supply_is_spoken_of(clock: list[float]) -> None:
    said: list[str] = []
    watch = Told()
    subject = Heat(HeatConfig(ladder=False), watch, said.append, hot=True)
    watch.says(Reading(95.0, "cpu-thermal", True, True))
    subject.poll()
    assert not subject.begin_window()
    assert (subject.paused, subject.fps) == (False, None)
    assert (subject.flags, said) == ({"throttled", "undervolt"}, ["undervolt"])


def test_a_driver_that_hangs_is_no_heat_after_a_while_and_is_said_once(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    watch = Told()
    subject = Heat(HeatConfig(), watch)
    caplog.set_level("INFO")
    watch.now = Latest(1, clock[0], replace(COOL, temperature=90.0))
    subject.poll()
    for _ in range(5):
        clock[0] += STALE
        subject.poll()
    for _ in range(3):
        subject.begin_window()
    assert (subject.paused, subject.step) == (False, Step.ALL)
    assert caplog.text.count("do not answer") == 1


def test_a_board_without_a_sensor_is_said_once(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    watch = Told()
    subject = Heat(HeatConfig(), watch)
    caplog.set_level("INFO")
    for _ in range(5):
        watch.says(Reading())
        subject.poll()
    assert caplog.text.count("No temperature can be read") == 1
    assert subject.flags == set()


@pytest.mark.parametrize("rate", [24.0, 25.0, 29.97, 30.0, 60.0, 120.0])
@pytest.mark.parametrize(("degrees", "fps"), [(76.0, 20), (81.0, 10)])
def test_frames_are_left_out_evenly(
    rate: float, degrees: float, fps: int, clock: list[float]
) -> None:
    watch = Told()
    subject = Heat(HeatConfig(), watch)
    warmed(watch, subject, degrees)
    subject.begin_window()
    times = [7.3 + n / rate for n in range(int(60 * rate))]
    taken = [each for each in times if subject.takes(each)]
    assert abs(len(taken) / 60 - fps) < 0.1
    gaps = np.diff(taken)
    assert gaps.max() < 1 / fps + 1 / rate + 0.01
    assert gaps.min() > 0.75 / fps - 1 / rate - 0.01
    assert subject.takes(times[-1] + 3600), "after a gap the next one"
    assert not subject.takes(times[-1] + 3600.001)


# The whole process


def config(folder: Path) -> AgentConfig:
    return parse(
        {
            "source": {"kind": "file", "target": str(CLIP), "pace": "fast"},
            "privacy": {"policy": "demo"},
            "store": {"outbox": str(folder / "outbox.db")},
        },
        "the test",
    )


def play(perceiver: Perceiver, first: float, last: float, rate: int = 30) -> None:
    """Grey frames."""
    luma = np.full((48, 64), 90, np.uint8)
    for n in range(round(rate * (last - first))):
        perceiver.step(Frame(first + n / rate, luma), 0, set())


def stored(settings: AgentConfig) -> list[Summary]:
    with Outbox(settings.store) as outbox:
        rows = [row for row in outbox.peek(1000) if row.kind == "summary"]
        return [summary_form(row.body).model_validate_json(row.body) for row in rows]


def events(settings: AgentConfig) -> list[str]:
    with Outbox(settings.store) as outbox:
        rows = [row.body for row in outbox.peek(1000) if row.kind == "event"]
    return [Event.model_validate_json(body).code for body in rows]


def vitals(settings: AgentConfig) -> str | None:
    with Outbox(settings.store) as outbox:
        found = outbox.latest.get(Vitals)
    return None if found is None else found[0].perception


@pytest.mark.slow
def test_a_hot_day(tmp_path: Path) -> None:
    settings, watch = config(tmp_path), Told()
    seen: list[float] = []
    perceiver = Perceiver(settings, lambda found: seen.append(found.time), watch=watch)
    luma = np.full((48, 64), 90, np.uint8)
    for start, degrees in ((0, 76), (10, 81), (20, 86), (30, 50), (40, 50)):
        play(perceiver, start, start + 5)
        for _ in range(2):
            watch.degrees(degrees)
            perceiver.step(Frame(start + 5, luma), 0, set())
        if start == 20:
            assert vitals(settings) == "hot"
        play(perceiver, start + 5.1, start + 6)
    perceiver.finish()
    rates = [round(sum(at <= t < at + 5 for t in seen) / 5) for at in range(0, 50, 10)]
    # The warmth of one window slows the next; the heat at 25 s ends the third in its middle.
    assert rates == [30, 20, 10, 0, 10]
    assert max(at for at in seen if at < 40) < 25.1
    found = {s.window.offset or 0: s.quality for s in stored(settings)}
    assert sorted(found) == [0, 10, 20, 40]
    flagged = [at for at, quality in found.items() if "throttled" in quality.flags]
    assert flagged == [10, 20, 40]
    assert [found[at].fps for at in (0, 10, 20, 40)] == [30, 20, 10, 10]
    assert all("frames_dropped" not in quality.flags for quality in found.values())
    assert events(settings) == ["hot", "cooled"]
    assert watch.closed


def test_a_pause_for_heat_outlives_a_restart_and_is_said_once(tmp_path: Path) -> None:
    settings = config(tmp_path)
    for degrees, expected in ((90, "hot"), (80, "hot"), (77, "running")):
        watch = Told()
        perceiver = Perceiver(settings, watch=watch)
        watch.degrees(degrees)
        play(perceiver, 0, 1, rate=5)
        perceiver.step(Frame(11.0, np.full((48, 64), 90, np.uint8)), 0, set())
        assert vitals(settings) == expected
        perceiver._outbox.close()  # killed
    assert events(settings) == ["hot", "cooled"]


def test_a_persons_pause_goes_before_heat_and_heat_goes_on_after_it(tmp_path: Path) -> None:
    settings, watch = config(tmp_path), Told()
    perceiver = Perceiver(settings, watch=watch)
    watch.degrees(90)
    play(perceiver, 0, 2, rate=5)
    assert vitals(settings) == "hot"
    write(settings.store.settings, Settings(paused=True))
    play(perceiver, 2, 4, rate=5)
    assert vitals(settings) == "paused"
    write(settings.store.settings, Settings())
    play(perceiver, 4, 12, rate=5)
    assert vitals(settings) == "hot"
    assert events(settings) == ["hot", "paused", "resumed"]
    perceiver.finish()
    assert vitals(settings) == "hot", "for the next process"


def test_a_clean_end_leaves_no_sign_of_life(tmp_path: Path) -> None:
    settings = config(tmp_path)
    perceiver = Perceiver(settings)
    play(perceiver, 0, 1, rate=5)
    assert vitals(settings) == "running"
    perceiver.finish()
    assert vitals(settings) is None


def test_flags_of_frames_that_are_left_out_are_kept(tmp_path: Path) -> None:
    settings, watch = config(tmp_path), Told()
    perceiver = Perceiver(settings, watch=watch)
    watch.degrees(82)
    luma = np.full((48, 64), 90, np.uint8)
    for n in range(30):
        flags: Any = {"camera_restart"} if n == 1 else set()
        perceiver.step(Frame(n / 30, luma), 0, flags)
    perceiver.finish()
    assert perceiver.report.frames == 10
    flags = stored(settings)[0].quality.flags
    assert {"camera_restart", "throttled", "fps_too_low_for_micro"} <= set(flags)


SCRIPT = """
import sys, threading
from pathlib import Path
from agent.base.settings_file import load
from agent.host.board import Board, Watch
from agent.perceive.process import perceive

stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
perceive(load(Path(sys.argv[1])), stop=stop, watch=Watch(Board(Path(sys.argv[2])), 0.05))
"""


@pytest.mark.slow
def test_a_real_process_follows_its_board(tmp_path: Path) -> None:
    """A clip in real time; the temperature changes while it runs."""
    root = boards.make(tmp_path / "root", boards.PI_4)
    file = tmp_path / "fleeting.toml"
    file.write_text(
        f'[source]\nkind = "file"\ntarget = "{CLIP}"\nloop = true\n'
        f'[privacy]\npolicy = "demo"\n[store]\noutbox = "{tmp_path / "outbox.db"}"\n'
    )
    settings = config(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(file), str(root)], stdin=subprocess.PIPE
    )

    def reaches(expected: str) -> None:
        end = time.monotonic() + 120
        while vitals(settings) != expected and time.monotonic() < end:
            assert process.poll() is None
            time.sleep(0.05)
        assert vitals(settings) == expected

    try:
        reaches("running")
        boards.heat(root, 91.0)
        reaches("hot")
        boards.put(root, "class/hwmon/hwmon1/in0_lcrit_alarm", "1")
        boards.heat(root, 60.0)
        reaches("running")
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    assert events(settings) == ["hot", "undervolt", "cooled"]
    assert any("throttled" in each.quality.flags for each in stored(settings))
