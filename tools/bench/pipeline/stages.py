"""Profile of the pipeline: the functions of the hot path, timed one by one from outside.

They are replaced by timed ones for the length of the measurement, so that the product carries no
instrument. A function's time is CPU time and its own, without that of the timed functions it calls.
The median over its calls is taken, which neither a busy machine nor a first call moves; each call
bears one to two microseconds of the instrument, so the sum is above what `pipeline` measures.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from agent.base.config import AgentConfig
from agent.base.types import Frame
from agent.inference import tflite
from agent.kernels import pose
from agent.vision import pipeline as whole
from agent.vision.expression import classifier as read
from agent.vision.faces import detect, follow, landmarks, roam, stabilise, track
from agent.vision.micro import network, peaks, spotter, stream
from tools.bench.pipeline.frames import decode
from tools.common.machine import machine

TIMED: tuple[tuple[Any, str, str], ...] = (
    (whole.Pipeline, "__call__", "pipeline"),
    (whole.Pipeline, "_face", "face: the rest"),
    (pose, "measure_head", "face: pose and box kernel"),
    (whole.Pipeline, "_expression", "expression: the rest"),
    (read.ExpressionClassifier, "__call__", "expression: placing"),
    (read, "cut", "expression: crop"),
    (read.ExpressionClassifier, "classify_crop", "expression: answer"),
    (read.NeutralBaseline, "subtract", "expression: baseline"),
    (track.FaceTracker, "update", "track: the rest"),
    (follow.Follower, "__call__", "track: following"),
    (track.FaceTracker, "_match", "track: matching detections"),
    (stabilise.Stabiliser, "update", "track: stabiliser"),
    (stabilise.Stabiliser, "rest", "track: stabiliser alone"),
    (stabilise, "predict_landmarks", "track: prediction kernel"),
    (stabilise, "lucas_kanade", "track: flow kernel"),
    (stabilise, "fuse_landmarks", "track: fusion kernel"),
    (landmarks.LandmarkEstimator, "place", "landmarks: placing"),
    (landmarks.LandmarkEstimator, "read", "landmarks: the rest"),
    (landmarks, "cut", "landmarks: crop"),
    (landmarks, "landmarks_in_frame", "landmarks: back to the frame"),
    (roam.RoamingDetector, "__call__", "detect: tiles and suppression"),
    (detect.FaceDetector, "candidates", "detect: scaling"),
    (detect, "letterbox", "detect: letterbox"),
    (detect, "decode", "detect: decoding"),
    (spotter.MicroSpotter, "update", "micro: the rest"),
    (stream.FaceStream, "push", "micro: stream, the rest"),
    (stream, "measure_channels", "micro: channels kernel"),
    (stream, "resample_uniform", "micro: grid kernel"),
    (stream, "normalise", "micro: inputs kernel"),
    (network.NetworkState, "step", "micro: network kernel"),
    (peaks.PeakPicker, "step", "micro: decision"),
    (tflite.Model, "__call__", "model."),
)
"""Whose attribute, which, and what it is called in the table."""


class Stopwatches:
    """Own time of nested calls, call by call."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}
        self._inner: list[float] = []

    def clear(self) -> None:
        """Forget every call so far."""
        for calls in self.seconds.values():
            calls.clear()

    def timed(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        """`function`, its own time kept under `name`, with the model's where that ends in a dot."""
        inner = self._inner

        def call(*args: Any, **kwargs: Any) -> Any:
            inner.append(0.0)
            started = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                spent = time.thread_time() - started
                label = name + args[0].entry.name if name.endswith(".") else name
                self.seconds.setdefault(label, []).append(spent - inner.pop())
                if inner:
                    inner[-1] += spent

        return call

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """The functions of `TIMED` are timed meanwhile."""
        kept = [(owner, name, getattr(owner, name)) for owner, name, _ in TIMED]
        for owner, name, label in TIMED:
            setattr(owner, name, self.timed(getattr(owner, name), label))
        try:
            yield
        finally:
            for owner, name, function in kept:
                setattr(owner, name, function)


def measure(
    video: Path, frames: int, size: tuple[int, int] | None, fps: float | None
) -> dict[str, Any]:
    """The table as plain data, costliest first. Raises as `tools.bench.pipeline.measure`."""
    before = machine()
    watches = Stopwatches()
    warm_up = 30
    with tempfile.TemporaryDirectory(prefix="fleeting-bench-") as temporary:
        decoded = decode(video, Path(temporary), frames, size, fps)
        pictures = np.memmap(
            decoded.grey, np.uint8, "r", shape=(decoded.count, decoded.height, decoded.width)
        )
        buffer = np.empty((decoded.height, decoded.width), np.uint8)
        faces = 0
        with watches.in_place():
            pipeline = whole.Pipeline(AgentConfig())
            for index in range(-warm_up, frames):
                if index == 0:
                    watches.clear()
                buffer[:] = pictures[index % decoded.count]
                found = pipeline(Frame((index + warm_up) / decoded.fps, buffer))
                faces += len(found.faces) if index >= 0 else 0
    rows = [
        {
            "stage": name,
            "calls_per_frame": round(len(calls) / frames, 3),
            "us_per_call": round(1e6 * statistics.median(calls), 2),
            "us_per_frame": round(1e6 * statistics.median(calls) * len(calls) / frames, 2),
        }
        for name, calls in watches.seconds.items()
        if calls
    ]
    rows.sort(key=lambda row: -float(str(row["us_per_frame"])))
    inside = sum(
        float(str(row["us_per_frame"])) for row in rows if str(row["stage"]).startswith("model.")
    )
    total = sum(float(str(row["us_per_frame"])) for row in rows)
    return {
        "machine": before,
        "video": video.name,
        "size": [decoded.width, decoded.height],
        "frames": frames,
        "faces_per_frame": round(faces / frames, 3),
        "outside_us_per_frame": round(total - inside, 1),
        "inside_us_per_frame": round(inside, 1),
        "stages": rows,
    }
