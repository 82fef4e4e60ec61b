"""An input of PortAudio through PyAudio, else through sounddevice."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from agent.base.config import SoundConfig
from agent.base.errors import CaptureError, reason
from agent.base.types import SOUND_RATE, Float
from agent.perceive.capture.mono import Resampler, mono

BLOCK = 0.1
"""Seconds of each read."""
NOT_INSTALLED = (
    "PyAudio is not installed. Run `sudo apt install portaudio19-dev python3-dev` and "
    "`pip install 'fleeting[audio]'`, or `sudo apt install libportaudio2` and "
    "`pip install 'fleeting[sounddevice]'`."
)


@dataclass(frozen=True, slots=True)
class Device:
    """An input as PortAudio lists it."""

    index: int
    name: str
    channels: int
    rate: float
    """Its own, samples per second."""


class Library(Protocol):
    """What of PortAudio is used, by whichever binding there is."""

    def devices(self) -> list[Device]:
        """All inputs, the default one first. Raises `OSError`."""

    def start(self, device: Device, rate: int, channels: int) -> None:
        """Raises `OSError` or `ValueError` where the device refuses."""

    def read(self, count: int) -> Float:
        """float32[S, C], blocking. Raises `OSError`."""

    def close(self) -> None: ...


class Input:
    """An open input; `read` gives mono sound at `SOUND_RATE`."""

    def __init__(self, library: Library, device: Device, rate: int, channels: int) -> None:
        self.name = device.name
        self._library, self._rate, self._channels = library, rate, channels
        self._resampler: Resampler | None = None

    def read(self) -> Float:
        """Block for the next float32[S]. Raises `CaptureError` when the device fails."""
        try:
            block = self._library.read(round(self._rate * BLOCK))
        except Exception as error:  # of the binding's own kinds too
            raise CaptureError(
                f"The microphone failed: {reason(error)}. Check that it is still plugged in; it is "
                "opened again by itself."
            ) from None
        if self._rate == SOUND_RATE:
            return mono(block.T)
        return self._resampled(block)

    def close(self) -> None:
        with contextlib.suppress(Exception):  # a device that is gone
            self._library.close()

    def _resampled(self, block: Float) -> Float:
        import av

        layout = "mono"
        packed = np.ascontiguousarray(mono(block.T)[None], np.float32)
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
        frame.sample_rate = self._rate
        if self._resampler is None:
            self._resampler = Resampler(layout)
        parts = list(self._resampler(frame))
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def open_input(config: SoundConfig) -> Input:
    """Open the configured input at 16 kHz, else at its own rate. Raises `CaptureError`."""
    library = _library(config)
    try:
        with _silenced():
            device = chosen(library.devices(), config.device)
            return _started(library, device)
    except CaptureError:
        library.close()
        raise
    except Exception as error:  # of the binding's own kinds too
        library.close()
        raise CaptureError(
            f"No microphone can be read ({reason(error)}). Plug one in, check `arecord -l`, and "
            "that this user is in the group 'audio'."
        ) from None


def chosen(devices: list[Device], wanted: str) -> Device:
    """The first input whose name contains `wanted`; without one the first that is a device itself
    rather than a sound server's, which a sandboxed process cannot reach; else the default.

    Raises `CaptureError` where there is none.
    """
    if not devices:
        raise CaptureError(
            "There is no microphone. Plug one in, check `arecord -l`, and that this user is in the "
            "group 'audio'."
        )
    if wanted:
        named = [each for each in devices if wanted.lower() in each.name.lower()]
        if not named:
            raise CaptureError(
                f"No microphone is called {wanted!r}. Correct sound.device; `arecord -l` lists "
                "what there is."
            )
        return named[0]
    return next((each for each in devices if "hw:" in each.name), devices[0])


def _started(library: Library, device: Device) -> Input:
    own, most = round(device.rate), max(device.channels, 1)
    refused: Exception = OSError()
    for rate, channels in ((SOUND_RATE, 1), (own, 1), (SOUND_RATE, most), (own, most)):
        try:
            library.start(device, rate, channels)
        except Exception as error:  # of the binding's own kinds too
            refused = error
            continue
        return Input(library, device, rate, channels)
    raise refused


def _library(config: SoundConfig) -> Library:
    """Raises `CaptureError` where none is installed."""
    if config.backend != "sounddevice":
        with contextlib.suppress(ImportError):
            return _PyAudio()
    if config.backend != "pyaudio":
        with contextlib.suppress(ImportError, OSError), _silenced():
            return _SoundDevice()
    raise CaptureError(NOT_INSTALLED)


class _PyAudio:
    def __init__(self) -> None:
        import pyaudio

        self._module = pyaudio
        self._stream: Any = None
        with _silenced():
            self._audio = pyaudio.PyAudio()

    def devices(self) -> list[Device]:
        default = -1
        with contextlib.suppress(OSError):
            default = int(self._audio.get_default_input_device_info()["index"])
        count = self._audio.get_device_count()
        infos = [self._audio.get_device_info_by_index(index) for index in range(count)]
        found = [
            Device(
                int(each["index"]),
                str(each["name"]),
                int(each["maxInputChannels"]),
                float(each["defaultSampleRate"]),
            )
            for each in infos
            if each["maxInputChannels"] > 0
        ]
        return sorted(found, key=lambda each: each.index != default)

    def start(self, device: Device, rate: int, channels: int) -> None:
        self._channels = channels
        self._stream = self._audio.open(
            format=self._module.paFloat32,
            channels=channels,
            rate=rate,
            input=True,
            input_device_index=device.index,
            frames_per_buffer=round(rate * BLOCK),
        )

    def read(self, count: int) -> Float:
        data = self._stream.read(count, exception_on_overflow=False)
        return np.frombuffer(data, np.float32).reshape(-1, self._channels)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._audio.terminate()


class _SoundDevice:
    def __init__(self) -> None:
        import sounddevice

        self._module = sounddevice
        self._stream: Any = None

    def devices(self) -> list[Device]:
        found = [
            Device(
                index,
                str(each["name"]),
                int(each["max_input_channels"]),
                float(each["default_samplerate"]),
            )
            for index, each in enumerate(self._module.query_devices())
            if each["max_input_channels"] > 0
        ]
        default = self._module.default.device[0]
        return sorted(found, key=lambda each: each.index != default)

    def start(self, device: Device, rate: int, channels: int) -> None:
        self._stream = self._module.InputStream(
            samplerate=rate, channels=channels, dtype="float32", device=device.index,
            blocksize=round(rate * BLOCK),
        )  # fmt: skip
        self._stream.start()

    def read(self, count: int) -> Float:
        data, _ = self._stream.read(count)
        return np.asarray(data, np.float32)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()


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
