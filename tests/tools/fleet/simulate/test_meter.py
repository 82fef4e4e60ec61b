"""Processor time of a process, also over restarts."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tools.fleet.simulate.meter import Meter

_BURN = (
    "import sys, time\n"
    "while time.process_time() < .3: pass\n"
    "print('done', flush=True)\n"
    "sys.stdin.read()\n"
)


@pytest.mark.slow
def test_times_add_up_over_restarts() -> None:
    meter = Meter()
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", _BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        meter.watch("it", process.pid)
        process.stdout.readline()
        meter.look()
        process.communicate()
    assert 0.5 < meter.seconds()["it"] < 5


def test_what_is_not_there_takes_no_time() -> None:
    meter = Meter()
    meter.watch("nobody", None)
    assert meter.seconds() == {}
