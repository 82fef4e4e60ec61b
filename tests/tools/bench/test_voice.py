from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.voice.sound import RATE
from tools.bench import voice
from tools.common.errors import ToolError
from tools.common.machine import machine


def write(path: Path, rate: int = RATE, channels: int = 1, seconds: float = 1.5) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        data = np.zeros((round(seconds * rate), channels), "<i2")
        data[:, 0] = 16384
        file.writeframes(data.tobytes())
    return path


def test_the_first_channel_of_a_file_is_read(tmp_path: Path) -> None:
    sound = voice.from_file(write(tmp_path / "two.wav", channels=2))
    assert sound.dtype == np.float32
    assert sound.shape == (1.5 * RATE,)
    np.testing.assert_allclose(sound, 0.5)


def test_other_files_are_named(tmp_path: Path) -> None:
    for path in (
        write(tmp_path / "rate.wav", rate=8000),
        write(tmp_path / "short.wav", seconds=0.5),
        tmp_path / "absent.wav",
    ):
        with pytest.raises(ToolError, match=path.name):
            voice.from_file(path)
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(ToolError, match=r"text\.wav cannot be read"):
        voice.from_file(tmp_path / "text.wav")


@pytest.mark.slow
def test_every_stage_has_a_cost() -> None:
    sound = voice.made_up(4.0)
    found = voice.cost(sound, 1)
    assert list(found)[-1] == voice.ALL
    assert all(value > 0 for value in found.values())
    added = voice.memory(sound)
    assert added < 200
    report: dict[str, Any] = {
        "machine": machine(), "runs": 1, "seconds": 4.0, "ms_per_second": found,
        "memory_mib": added,
    }  # fmt: skip
    text = voice.voice_text(report)
    assert "tone, once a second" in text
    assert "MiB" in text
