"""Inputs of PortAudio, against a fake PyAudio and a fake sounddevice."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from agent.base.config import SoundConfig
from agent.base.errors import CaptureError
from agent.base.types import SOUND_RATE
from agent.perceive.capture.portaudio import Device, chosen, open_input

DEVICES = [
    {"index": 0, "name": "HDMI", "maxInputChannels": 0, "defaultSampleRate": 48000.0},
    {"index": 1, "name": "pulse", "maxInputChannels": 32, "defaultSampleRate": 44100.0},
    {"index": 2, "name": "USB PnP: Audio (hw:1,0)", "maxInputChannels": 8,
     "defaultSampleRate": 48000.0},
]  # fmt: skip


class FakeStream:
    def __init__(self, rate: int, channels: int) -> None:
        self.rate, self.channels, self.at, self.broken = rate, channels, 0, False
        self.closed = False

    def block(self, count: int) -> np.ndarray:
        if self.broken:
            raise OSError(-9999, "Unanticipated host error")
        time = (self.at + np.arange(count)) / self.rate
        self.at += count
        tone = 0.1 * np.sin(2 * np.pi * 440 * time)
        return np.repeat(tone[:, None], self.channels, 1).astype(np.float32)

    def read(self, count: int, exception_on_overflow: bool = True) -> bytes:
        return self.block(count).tobytes()

    def close(self) -> None:
        self.closed = True


class FakePyAudio:
    devices: Any = DEVICES
    refuses: Any = staticmethod(lambda rate, channels: False)
    ended = 0
    stream: FakeStream

    def get_default_input_device_info(self) -> dict[str, Any]:
        return dict(self.devices[1])

    def get_device_count(self) -> int:
        return len(self.devices)

    def get_device_info_by_index(self, index: int) -> dict[str, Any]:
        return dict(self.devices[index])

    def open(self, **asked: Any) -> FakeStream:
        assert asked["input"] is True
        assert asked["format"] == 1
        if self.refuses(asked["rate"], asked["channels"]):
            raise OSError(-9997, "Invalid sample rate")
        type(self).stream = FakeStream(asked["rate"], asked["channels"])
        return self.stream

    def terminate(self) -> None:
        type(self).ended += 1


@pytest.fixture
def pyaudio(monkeypatch: pytest.MonkeyPatch) -> type[FakePyAudio]:
    module = ModuleType("pyaudio")
    module.PyAudio = FakePyAudio  # type: ignore[attr-defined]
    module.paFloat32 = 1  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyaudio", module)
    monkeypatch.setattr(FakePyAudio, "refuses", staticmethod(lambda rate, channels: False))
    monkeypatch.setattr(FakePyAudio, "devices", DEVICES)
    monkeypatch.setattr(FakePyAudio, "ended", 0)
    return FakePyAudio


def frequency(sound: np.ndarray) -> float:
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(power.argmax() * SOUND_RATE / len(sound))


def read(source: Any, blocks: int = 10) -> np.ndarray:
    return np.concatenate([source.read() for _ in range(blocks)])


def test_a_device_itself_is_preferred_and_opened_at_the_rate_of_the_process(
    pyaudio: type[FakePyAudio],
) -> None:
    source = open_input(SoundConfig())
    assert source.name == "USB PnP: Audio (hw:1,0)"
    sound = read(source)
    assert sound.dtype == np.float32
    assert len(sound) == SOUND_RATE
    assert frequency(sound) == pytest.approx(440, abs=2)
    source.close()
    assert pyaudio.stream.closed
    assert pyaudio.ended == 1


@pytest.mark.parametrize("own_only", ["rate", "channels"])
def test_another_rate_or_eight_channels_become_mono_at_16_khz(
    pyaudio: type[FakePyAudio], monkeypatch: pytest.MonkeyPatch, own_only: str
) -> None:
    def refuses(rate: int, channels: int) -> bool:
        return rate != 48000 if own_only == "rate" else (rate, channels) != (48000, 8)

    monkeypatch.setattr(FakePyAudio, "refuses", staticmethod(refuses))
    sound = read(open_input(SoundConfig()))
    assert pyaudio.stream.rate == 48000
    assert pyaudio.stream.channels == (1 if own_only == "rate" else 8)
    assert 0.99 * SOUND_RATE < len(sound) <= SOUND_RATE
    assert frequency(sound) == pytest.approx(440, abs=2)
    assert np.abs(sound).max() == pytest.approx(0.1, rel=0.05)


def test_a_device_that_fails_is_a_capture_error(pyaudio: type[FakePyAudio]) -> None:
    source = open_input(SoundConfig())
    source.read()
    pyaudio.stream.broken = True
    with pytest.raises(CaptureError, match=r"microphone failed.*plugged in"):
        source.read()


def test_no_input_an_unknown_name_and_a_refusal_are_named(
    pyaudio: type[FakePyAudio], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CaptureError, match=r"called 'Jabra'.*sound.device"):
        open_input(SoundConfig(device="Jabra"))
    monkeypatch.setattr(FakePyAudio, "refuses", staticmethod(lambda rate, channels: True))
    with pytest.raises(CaptureError, match=r"No microphone can be read.*arecord -l"):
        open_input(SoundConfig())
    monkeypatch.setattr(FakePyAudio, "devices", DEVICES[:1] * 2)
    with pytest.raises(CaptureError, match="There is no microphone"):
        open_input(SoundConfig())
    assert pyaudio.ended == 3


def test_without_pyaudio_sounddevice_is_taken_and_without_both_the_error_says_how(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pyaudio", None)
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(CaptureError, match=r"PyAudio is not installed.*libportaudio2"):
        open_input(SoundConfig())

    class Stream(FakeStream):
        def __init__(self, samplerate: int, channels: int, **asked: Any) -> None:
            assert asked["dtype"] == "float32"
            super().__init__(samplerate, channels)

        def start(self) -> None: ...

        def read(self, count: int, _: bool = True) -> Any:
            return self.block(count), False

    module = ModuleType("sounddevice")
    listed = {"name": "USB", "max_input_channels": 2, "default_samplerate": 44100.0}
    module.query_devices = lambda: [listed]  # type: ignore[attr-defined]
    module.default = type("", (), {"device": (0, 0)})  # type: ignore[attr-defined]
    module.InputStream = Stream  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    source = open_input(SoundConfig())
    assert source.name == "USB"
    assert frequency(read(source)) == pytest.approx(440, abs=2)


def test_what_is_chosen() -> None:
    server, usb = Device(0, "pulse", 2, 48e3), Device(3, "Jabra (hw:2,0)", 1, 16e3)
    assert chosen([server, usb], "") is usb
    assert chosen([server], "") is server
    assert chosen([server, usb], "PULSE") is server
