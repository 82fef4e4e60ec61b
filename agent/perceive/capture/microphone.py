"""The microphone's level over a short recording. No sample is stored."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from agent.base.errors import CaptureError

RATE = 16_000
"""Requested samples per second."""
SILENCE = -96.0
"""dBFS of digital silence in 16 bits."""


@dataclass(frozen=True, slots=True)
class Microphone:
    """The default input and its level."""

    name: str
    level_dbfs: float
    """Root mean square; 0: a full-scale square wave, -96: digital silence."""


def listen(seconds: float = 0.3) -> Microphone:
    """Record the default input for `seconds` and measure its level.

    Raises `CaptureError` when PyAudio is not installed, or no input opens or gives samples.
    """
    try:
        import pyaudio
    except ImportError:
        raise CaptureError(
            "PyAudio is not installed. Run `sudo apt install portaudio19-dev python3-dev` and "
            "`pip install 'fleeting[audio]'`."
        ) from None
    with _silenced():
        audio = pyaudio.PyAudio()
        try:
            return _measure(audio, pyaudio.paInt16, seconds)
        except OSError as error:
            raise CaptureError(
                f"No microphone can be read ({error.args[0] if error.args else error}). Plug one "
                "in, check `arecord -l`, and that this user is in the group 'audio'."
            ) from None
        finally:
            audio.terminate()


def _measure(audio: Any, sample_format: int, seconds: float) -> Microphone:
    device = audio.get_default_input_device_info()
    stream = audio.open(
        format=sample_format, channels=1, rate=RATE, input=True, frames_per_buffer=RATE // 20
    )
    try:
        data = stream.read(int(RATE * seconds), exception_on_overflow=False)
    finally:
        stream.close()
    samples = np.frombuffer(data, np.int16).astype(np.float64) / 32_768.0
    if not samples.size:
        raise OSError("the input opened but gave no samples")
    level = math.sqrt(float(np.mean(samples * samples)))
    return Microphone(str(device["name"]), max(SILENCE, 20.0 * math.log10(level or 1e-9)))


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Hides what ALSA and JACK write to file descriptor 2 while PortAudio enumerates devices."""
    try:
        stderr, devnull = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    except OSError:
        yield
        return
    try:
        os.dup2(devnull, 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(devnull)
