"""The timeline of a sound file."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.base.errors import StoreError
from agent.base.types import UNSURE, Tone
from agent.desk.trace.heard import TONE_COLOURS
from agent.desk.trace.sound_timeline import SoundTrace, draw_sound
from tests.privacy.voices import tone

SPEECH_COLOUR = "#dceee4"


def trace(seconds: float, tones: tuple[Tone, ...] = (), pitch: bool = True) -> SoundTrace:
    """Speech in the middle half."""
    count = round(seconds * 100)
    time = np.arange(count) / 100
    speech = ((time > seconds / 4) & (time < 3 * seconds / 4)).astype(np.float32)
    level = (-60 + 35 * speech).astype(np.float32)
    hertz = 200 * speech if pitch else None
    return SoundTrace(time, level, speech, hertz, tones)


def drawn(one: SoundTrace, out: Path) -> np.ndarray:
    draw_sound(one, out, title="file.wav")
    picture = cv2.imread(str(out))
    assert picture is not None
    return picture


def area(picture: np.ndarray, colour: str) -> int:
    bgr = np.array([int(colour[i : i + 2], 16) for i in (5, 3, 1)])
    return int((np.abs(picture.astype(int) - bgr).max(-1) < 4).sum())


@pytest.mark.slow
def test_speech_and_tones_are_drawn_with_their_share(tmp_path: Path) -> None:
    tones = tuple(tone(3.0 + k, "angry" if k < 3 else "sad") for k in range(4))
    picture = drawn(trace(10.0, tones), tmp_path / "a.png")
    assert area(picture, TONE_COLOURS["angry"]) > 2 * area(picture, TONE_COLOURS["sad"]) > 1000
    wide = (picture == [0xE4, 0xEE, 0xDC]).all(-1).any(0).sum()
    assert 0.4 < wide / picture.shape[1] < 0.6
    unsure = drawn(trace(10.0, (tone(4.0, UNSURE),)), tmp_path / "b.png")
    assert area(unsure, TONE_COLOURS["angry"]) < 500


@pytest.mark.slow
def test_without_pitch_there_is_a_panel_less(tmp_path: Path) -> None:
    with_it = drawn(trace(4.0), tmp_path / "a.png")
    without = drawn(trace(4.0, pitch=False), tmp_path / "b.png")
    assert without.shape[0] < with_it.shape[0]


@pytest.mark.slow
def test_hours_are_summed_up(tmp_path: Path) -> None:
    """One word in three hours is still seen."""
    count = 3 * 3600 * 100
    speech = np.zeros(count, np.float32)
    speech[count // 2 : count // 2 + 60] = 1.0
    level = np.full(count, -60, np.float32)
    long = SoundTrace(np.arange(count) / 100, level, speech)
    assert area(drawn(long, tmp_path / "a.png"), SPEECH_COLOUR) > area(
        drawn(SoundTrace(long.time, level, np.zeros(count, np.float32)), tmp_path / "b.png"),
        SPEECH_COLOUR,
    )


def test_an_empty_file_is_drawn_and_an_absent_folder_is_named(tmp_path: Path) -> None:
    empty = trace(0.0)
    assert drawn(empty, tmp_path / "a.png").shape[1] > 1000
    with pytest.raises(StoreError, match="cannot be written"):
        draw_sound(empty, tmp_path / "absent" / "a.png", title="x")
