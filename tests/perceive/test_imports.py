"""What a running process has imported: libraries that only others need cost memory for nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import agent

PERCEIVE = """
import agent.cli, agent.perceive.start, agent.perceive.process
from agent.base.config import AgentConfig
from agent.perceive.warm_up import warm
warm(AgentConfig(), hears=False)
"""
READER = """
from agent.perceive.capture import spawner
from agent.perceive.capture.child import import_libraries
import_libraries("v4l2")
import agent.perceive.capture.orientation
"""
UPLINK = "import agent.cli, agent.uplink.process"
DESK = ("matplotlib", "rich", "PIL", "scipy", "tuf", "jsonschema")


def imported(program: str, names: tuple[str, ...]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys\nprint(*sys.modules)"],
        cwd=Path(agent.__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [name for name in names if name in done.stdout.split()]


@pytest.mark.slow
def test_perceive_has_no_decoder_once_it_is_warm() -> None:
    assert imported(PERCEIVE, ("cv2", "av", "paho", *DESK)) == ["cv2"]


def test_the_process_of_a_plain_camera_has_numpy_alone() -> None:
    names = ("numpy", "cv2", "av", "numba", "pydantic", "cryptography", *DESK)
    assert imported(READER, names) == ["numpy"]


def test_the_uplink_has_nothing_that_sees() -> None:
    names = ("paho", "numpy", "cv2", "av", "numba", *DESK)
    assert imported(UPLINK, names) == ["paho"]
