"""The warm-up makes every kernel ready that a clip of visitors needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from numba import config as numba_config

import agent
from agent.base.config import AgentConfig
from agent.base.types import Frame
from agent.perceive.warm_up import _pictures
from agent.vision.pipeline import Pipeline

_AFTERWARDS = """
import gc
from numba.core.registry import CPUDispatcher
from agent.base.assets import CLIP
from agent.base.config import AgentConfig
from agent.perceive.capture.video_file import VideoFile
from agent.perceive.warm_up import warm
from agent.vision.pipeline import Pipeline
warm(AgentConfig(), hears=False)
kernels = [each for each in gc.get_objects() if isinstance(each, CPUDispatcher)]
ready = {id(each): set(each.overloads) for each in kernels}
pipeline = Pipeline(AgentConfig())
print(len(kernels), max(len(pipeline(frame).faces) for frame in VideoFile(CLIP)))
print([each.__name__ for each in kernels if set(each.overloads) - ready[id(each)]])
"""


@pytest.mark.slow
@pytest.mark.skipif(bool(numba_config.DISABLE_JIT), reason="nothing is compiled")
def test_after_it_no_kernel_meets_new_arguments() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _AFTERWARDS],
        cwd=Path(agent.__file__).parents[1], capture_output=True, text=True, timeout=600,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    counts, new = done.stdout.splitlines()
    kernels, faces = map(int, counts.split())
    assert (kernels > 10, faces > 1) == (True, True)
    assert new == "[]"


def test_its_pictures_show_a_face_and_then_several() -> None:
    pipeline = Pipeline(AgentConfig())
    faces = [
        len(pipeline(Frame(number / 30.0, luma)).faces) for number, luma in enumerate(_pictures())
    ]
    assert faces[10] == 1
    assert max(faces[-10:]) > 1
