"""This agent as a subject: `python -m tools.bench.pipeline.ours`."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent import __version__
from agent.base.config import AgentConfig
from agent.base.types import Frame
from agent.inference.tflite import runtime_name
from agent.vision.pipeline import Pipeline
from tools.bench.pipeline.worker import serve


class Ours:
    """Grey uint8[H, W] in.

    Without `stages` the pipeline as it ships, with no clock around it: reading the CPU clock takes
    over a microsecond, a dozen times a frame. With `stages` its stages in seconds of CPU time: on a
    machine that does other things as well, waiting for its turn falls on any of them.
    """

    def __init__(self, pipeline: Pipeline, stages: bool) -> None:
        self._pipeline = pipeline
        self._stages = stages

    def __call__(
        self, picture: NDArray[np.uint8], seconds: float
    ) -> tuple[int, Mapping[str, float]]:
        if not self._stages:
            return len(self._pipeline(Frame(seconds, picture)).faces), {}
        started = time.thread_time()
        perceived = self._pipeline(Frame(seconds, picture))
        whole = time.thread_time() - started
        return len(perceived.faces), {**perceived.stage_seconds, "all": whole}


def make(options: dict[str, Any]) -> tuple[Ours, dict[str, Any]]:
    """The pipeline with its default configuration."""
    stages = bool(options.get("stages"))
    clock = time.thread_time if stages else time.perf_counter
    pipeline = Pipeline(AgentConfig(), clock=clock)
    return Ours(pipeline, stages), {
        "what": f"fleeting {__version__}, {runtime_name()}, Python {platform.python_version()}",
        "models": pipeline.model_hash,
    }


if __name__ == "__main__":
    serve(make)
