"""Sound tracks as people have them."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from agent.base.errors import CaptureError
from agent.base.types import SOUND_RATE
from agent.perceive.capture import media
from agent.perceive.capture.sound_file import SoundFile

FOREVER = 1e9


def tone(seconds: float, rate: int, hertz: float = 440.0) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def write_wav(path: Path, sound: np.ndarray, rate: int, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        block = np.repeat((sound * 32767).astype("<i2")[:, None], channels, 1)
        file.writeframes(block.tobytes())
    return path


def write_video(
    path: Path, seconds: float, sound: np.ndarray | None, rate: int = 48000, late: float = 0.0
) -> Path:
    """A grey video of 25 frames a second with the sound beginning `late`."""
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("mpeg4", rate=25)
        video.width = video.height = 64
        audio: Any = container.add_stream("pcm_s16le", rate=rate) if sound is not None else None
        for index in range(round(seconds * 25)):
            picture = av.VideoFrame.from_ndarray(np.full((64, 64), 99, np.uint8), "gray")
            picture.pts = index
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        if audio is not None and sound is not None:
            block = (sound * 32767).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate = rate
            frame.pts = round(late * rate)
            container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
    return path


def whole(source: SoundFile) -> np.ndarray:
    return np.concatenate([each.samples for each in source.until(FOREVER)])


def frequency(sound: np.ndarray) -> float:
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(power.argmax() * SOUND_RATE / len(sound))


@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (44100, 2), (48000, 8), (8000, 1)])
def test_any_rate_and_number_of_channels(tmp_path: Path, rate: int, channels: int) -> None:
    file = write_wav(tmp_path / "a.wav", tone(2.0, rate), rate, channels)
    sound = whole(SoundFile(file))
    assert sound.dtype == np.float32
    assert len(sound) == pytest.approx(2 * SOUND_RATE, abs=100)
    assert frequency(sound) == pytest.approx(440, abs=1)
    assert np.abs(sound).max() == pytest.approx(0.3, rel=0.03)


def test_time_ascends_without_gaps_and_nothing_is_early(tmp_path: Path) -> None:
    source = SoundFile(write_wav(tmp_path / "a.wav", tone(2.0, 16000), 16000))
    assert list(source.until(0.05)) == []
    first = list(source.until(1.02))
    assert first[-1].end <= 1.02
    rest = list(source.until(FOREVER))
    times = [(each.time, each.end) for each in first + rest]
    assert [round(a, 6) for a, _ in times[1:]] == [round(b, 6) for _, b in times[:-1]]
    assert list(source.until(FOREVER)) == []


def test_sound_that_begins_after_the_picture_is_later(tmp_path: Path) -> None:
    source = SoundFile(write_video(tmp_path / "a.mkv", 3.0, tone(1.0, 48000), late=1.5))
    stretches = list(source.until(FOREVER))
    assert stretches[0].time == pytest.approx(1.5, abs=0.01)
    assert stretches[-1].end == pytest.approx(2.5, abs=0.01)


def test_a_looped_file_goes_on_after_the_picture_ends(tmp_path: Path) -> None:
    source = SoundFile(write_video(tmp_path / "a.mkv", 2.0, tone(1.0, 48000)), loop=True)
    times = [each.time for each in source.until(5.5)]
    assert min(times) == 0.0
    assert any(abs(time - 4.0) < 0.15 for time in times)
    assert not any(1.2 < time < 1.8 for time in times)


def test_a_video_without_sound_and_files_that_are_none_are_named(tmp_path: Path) -> None:
    silent = write_video(tmp_path / "a.mkv", 1.0, None)
    with pytest.raises(CaptureError, match="holds no sound"):
        SoundFile(silent)
    text = tmp_path / "a.txt"
    text.write_text("no sound at all\n" * 50)
    for path, said in (
        (text, "is not a sound or video file"),
        (tmp_path / "none.wav", "does not exist"),
        (tmp_path, "is a folder"),
    ):
        with pytest.raises(CaptureError, match=said):
            SoundFile(path)


def test_more_channels_than_can_be_mixed_are_refused(tmp_path: Path) -> None:
    sound = tone(0.1, 8000)
    assert len(whole(SoundFile(write_wav(tmp_path / "a.wav", sound, 8000, 64)))) > 1000
    with pytest.raises(CaptureError, match=r"more than 64 channels\. Save one of them"):
        SoundFile(write_wav(tmp_path / "b.wav", sound, 8000, 65))


def test_silence_of_any_length_is_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "_EMPTY_TAIL", 1 << 12)
    sound = np.concatenate([np.zeros(100_000, np.float32), tone(1, 16000)])
    assert len(whole(SoundFile(write_wav(tmp_path / "a.wav", sound, 16000)))) == 116_000


def test_a_file_that_was_cut_short_gives_what_is_left(tmp_path: Path) -> None:
    file = write_wav(tmp_path / "a.wav", tone(2.0, 16000), 16000)
    file.write_bytes(file.read_bytes()[:40000])
    sound = whole(SoundFile(file))
    assert 0.9 * SOUND_RATE < len(sound) < 1.3 * SOUND_RATE


def test_damaged_packets_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("flac", rate=16000)
        noise = np.random.default_rng(0).normal(0, 3000, (1, 64000)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(noise, format="s16", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 3000] = bytes(3000)
    path.write_bytes(bytes(data))
    source = SoundFile(path)
    assert len(whole(source)) > 2 * SOUND_RATE
    assert source.ended
