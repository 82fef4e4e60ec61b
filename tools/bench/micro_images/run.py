"""Run the whole pipeline over one injected face, in memory or through a video file."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.config import AgentConfig
from agent.base.types import Float, Frame, Grey
from agent.desk.trace.recorder import TraceRecorder
from agent.vision.pipeline import Pipeline
from tools.bench.micro_images.sources import FPS, Source
from tools.common.errors import ToolError
from tools.common.files import ROOT
from tools.micro.injection import Injection

_MARGIN = 192
"""Pixels by which the field of grain is larger than the picture."""


@dataclass(frozen=True, slots=True)
class Event:
    """A movement that the agent reported."""

    onset: float
    apex: float
    offset: float
    intensity: float
    """Inter-ocular distances."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One video through the pipeline; T frames with the face, M movements reported."""

    time: NDArray[np.float64]
    """float64[T], seconds."""
    landmarks: Float
    """float32[T, 68, 2], stabilised, frame pixels, of the face seen longest."""
    raw: Float
    """float32[T, 68, 2]: the network's."""
    confidence: Float
    """float32[T]."""
    events: tuple[Event, ...]
    """Of all faces."""
    seconds: float
    """Length of the video."""
    arrays: dict[str, NDArray[Any]]
    """The trace itself."""


def pictures(
    source: Source, seconds: float, injected: Sequence[Injection], noise: float, seed: int
) -> Iterator[Grey]:
    """The video with movements injected and fresh sensor noise (grey levels) in every frame."""
    grain: Grain | None = None
    for index in range(round(seconds * FPS)):
        luma = source.frame(index, injected)
        if noise > 0.0:
            grain = grain or Grain(luma.shape, noise, seed)
            luma = grain(luma, index)
        yield luma


class Grain:
    """Sensor noise of one video: white, normal, fresh in every frame.

    Frames take windows at random places, with random sign, of one field larger than the picture:
    drawing each anew would cost more than perceiving it.
    """

    def __init__(self, shape: tuple[int, ...], noise: float, seed: int) -> None:
        self._shape = shape
        self._seed = seed
        size = (shape[0] + _MARGIN, shape[1] + _MARGIN)
        self._field = np.random.default_rng(seed).standard_normal(size, np.float32) * noise

    def __call__(self, luma: Grey, index: int) -> Grey:
        """uint8[H, W]; the same grain for the same index, whatever the picture shows."""
        rng = np.random.default_rng((self._seed, index))
        y, x = rng.integers(0, _MARGIN, 2)
        part = self._field[y : y + self._shape[0], x : x + self._shape[1]]
        sign = 1.0 if rng.random() < 0.5 else -1.0
        mixed = cv2.scaleAdd(part, sign, luma.astype(np.float32))
        return np.asarray(cv2.convertScaleAbs(np.maximum(mixed, 0.0, out=mixed)), np.uint8)


def in_memory(
    frames: Iterator[Grey], config: AgentConfig | None = None, speech: float | None = None
) -> Seen:
    """The agent's pipeline on the frames as `fleeting replay` runs it, without a file between;
    `speech`: the same probability throughout."""
    pipeline, recorder, count = Pipeline(config or AgentConfig()), TraceRecorder(), 0
    for count, luma in enumerate(frames, 1):
        # whole milliseconds, as a container of videos states them
        recorder.add(pipeline(Frame(round((count - 1) / FPS, 3), luma), speech))
    return _seen(recorder.arrays(), count / FPS)


CODECS = {"lossless": ("FFV1", ".mkv"), "mjpeg": ("MJPG", ".avi"), "mpeg4": ("mp4v", ".mp4")}
"""FourCC and container: nothing lost; as USB cameras send; as recordings come, about 0.7 Mbit/s."""


def replayed(frames: Iterator[Grey], codec: str = "lossless", config: Path | None = None) -> Seen:
    """Write the frames as video (see `CODECS`), replay it, read the trace; the file is removed.

    Raises `ToolError` where the video cannot be written or the replay fails.
    """
    with tempfile.TemporaryDirectory(prefix="micro-images-") as folder:
        fourcc, ending = CODECS[codec]
        video, trace = Path(folder) / f"injected{ending}", Path(folder) / "trace.npz"
        count = _write(frames, video, fourcc)
        command = [sys.executable, "-m", "agent.cli", "replay", str(video), "--json"]
        command += ["--trace", str(trace)]
        command += ["--config", str(config)] if config else []
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise ToolError(f"fleeting replay ended with {done.returncode}: {reason}")
        with np.load(trace) as pack:
            arrays = {name: pack[name] for name in pack.files}
    return _seen(arrays, count / FPS)


def _write(frames: Iterator[Grey], video: Path, fourcc: str) -> int:
    writer, count = None, 0
    for luma in frames:
        if writer is None:
            size = (luma.shape[1], luma.shape[0])
            writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*fourcc), FPS, size, False)
            if not writer.isOpened():
                raise ToolError(f"OpenCV cannot write {fourcc} here: install it with FFmpeg.")
        writer.write(luma)
        count += 1
    if writer is None:
        raise ToolError("There is no frame to replay: ask for a longer video.")
    writer.release()
    return count


def _seen(arrays: dict[str, NDArray[Any]], seconds: float) -> Seen:
    ids, counts = np.unique(arrays["track_id"], return_counts=True)
    rows = arrays["track_id"] == ids[counts.argmax()] if len(ids) else np.zeros(0, bool)
    return Seen(
        arrays["time"][rows],
        arrays["landmarks"][rows],
        arrays["landmarks_raw"][rows],
        arrays["presence"][rows],
        tuple(Event(*(float(v) for v in row[1:5])) for row in arrays["micro"]),
        seconds,
        arrays,
    )
