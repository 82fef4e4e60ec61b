"""`python -m tools.bench soak`: what it calls growth, and the whole in miniature."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from agent.perceive.capture.video_file import VideoFile
from tools.bench import __main__ as bench
from tools.bench.soak.device import Sample
from tools.bench.soak.film import days
from tools.bench.soak.growth import growth, settling, verdict
from tools.common.mosquitto import installed
from tools.common.processes import Held, held, together


def test_the_film_of_a_day_keeps_its_gaps(tmp_path: Path) -> None:
    film = tmp_path / "days.mkv"
    assert days(film, windows=3, length=900, frames=4) == 12
    times = [frame.time for frame in VideoFile(film)]
    assert [int(each // 900) for each in times] == [0] * 4 + [1] * 4 + [2] * 4


def _samples(leak: float) -> list[Sample]:
    found = []
    for n in range(60):
        one = Held(1, 1, int(1024 * (100 + leak * n + n * 7 % 3 / 100)), 9, 3, {"/lib": 2048}, n)
        found.append(Sample(3600.0 * n, {"perceive": one}, 0, n, 4096, 0, 0))
    return found


def test_a_leak_grows_and_noise_does_not() -> None:
    leaking = {(row["what"], row["of"]): row["verdict"] for row in growth(_samples(1.0), 24.0)}
    assert leaking["memory, MiB", "perceive"] == leaking["all memory, MiB", "device"] == "GROWS"
    assert leaking["descriptors", "device"] == "flat"
    assert {row["verdict"] for row in growth(_samples(0.0), 24.0)} == {"flat"}
    assert verdict(-5.0, 9.0, 2.0, -8.0) == "none seen"
    assert verdict(0.5, 1.5, 2.0, 0.1) == "in bounds"


def test_some_kilobytes_in_a_short_run_are_no_growth_yet() -> None:
    little = {row["what"]: row["verdict"] for row in growth(_samples(0.005), 2400.0)}
    assert little["memory, MiB"] == "suspected"
    much = {row["what"]: row["verdict"] for row in growth(_samples(0.05), 2400.0)}
    assert much["memory, MiB"] == "GROWS"


def test_what_grows_once_at_the_start_is_settling_and_no_growth() -> None:
    samples = []
    for n in range(60):
        one = Held(1, 1, 1024 * (100 + min(n, 15)), 9, 3, {}, n)
        samples.append(Sample(30.0 * n, {"perceive": one}, 0, n, 4096, 0, 0))
    assert settling(samples) == 590.0
    (row, *_) = growth(samples, 24.0)
    assert (row["settling"], row["slope"], row["verdict"]) == (15.0, 0.0, "flat")


def test_libraries_count_once() -> None:
    one = Held(0, 0, 10, 0, 0, {"/a": 5, "/b": 1}, 0.0)
    other = Held(0, 0, 20, 0, 0, {"/a": 7}, 0.0)
    assert together([one, other]) == 10 + 20 + 7 + 1
    mine = held(os.getpid())
    assert mine is not None
    assert mine.files
    assert mine.memory > 0


@pytest.mark.slow
@pytest.mark.skipif(installed() is None, reason="Mosquitto is not installed")
def test_a_week_in_miniature(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["soak", "--week", "--hours", "1.5", "--frames", "5", "--interval", "0.3", "--json"]
    assert bench.main(arguments) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    phase = report["phases"][0]
    assert phase["came"]["arrived"] == phase["came"]["released"] == phase["waiting"] == 6
    assert phase["left"] == phase["trimmed"] == 0
