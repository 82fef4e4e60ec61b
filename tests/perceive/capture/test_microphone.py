"""The microphone test, against a fake PyAudio."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from agent.base.errors import CaptureError
from agent.perceive.capture.microphone import listen


class FakeStream:
    samples: np.ndarray = np.zeros(0, np.int16)

    def read(self, count: int, exception_on_overflow: bool) -> bytes:
        return (
            np.resize(self.samples, count).astype(np.int16).tobytes() if len(self.samples) else b""
        )

    def close(self) -> None: ...


class FakePyAudio:
    inputs = 1
    ended = 0

    def get_default_input_device_info(self) -> dict[str, Any]:
        if not self.inputs:
            raise OSError("No Default Input Device Available")
        return {"name": "USB microphone"}

    def open(self, **asked: Any) -> FakeStream:
        assert asked["input"] is True
        return FakeStream()

    def terminate(self) -> None:
        type(self).ended += 1


@pytest.fixture
def pyaudio(monkeypatch: pytest.MonkeyPatch) -> type[FakePyAudio]:
    module = ModuleType("pyaudio")
    module.PyAudio = FakePyAudio  # type: ignore[attr-defined]
    module.paInt16 = 8  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyaudio", module)
    monkeypatch.setattr(FakePyAudio, "inputs", 1)
    monkeypatch.setattr(FakePyAudio, "ended", 0)
    monkeypatch.setattr(FakeStream, "samples", np.zeros(0, np.int16))
    return FakePyAudio


@pytest.mark.parametrize(
    ("samples", "level"),
    [(np.array([16384, -16384]), -6.02), (np.array([0]), -96.0), (np.array([328, -328]), -40.0)],
)
def test_level(
    pyaudio: type[FakePyAudio],
    monkeypatch: pytest.MonkeyPatch,
    samples: np.ndarray,
    level: float,
) -> None:
    monkeypatch.setattr(FakeStream, "samples", samples)
    found = listen(0.1)
    assert found.name == "USB microphone"
    assert found.level_dbfs == pytest.approx(level, abs=0.05)
    assert pyaudio.ended == 1


def test_no_input_and_no_samples_are_capture_errors(
    pyaudio: type[FakePyAudio], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CaptureError, match="gave no samples"):
        listen(0.1)
    monkeypatch.setattr(FakePyAudio, "inputs", 0)
    with pytest.raises(CaptureError, match=r"No Default Input Device Available.*arecord -l"):
        listen(0.1)
    assert pyaudio.ended == 2


def test_without_pyaudio_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyaudio", None)
    with pytest.raises(CaptureError, match=r"fleeting\[audio\]"):
        listen()
