"""Positive controls of the search for sound and words: the canary itself, planted in copies of
artifacts."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import av
import numpy as np

from agent.desk.audit._artifacts import Artifact
from agent.desk.audit._canary import RATE, Canary, Float
from agent.desk.audit._controls import Control, planted_copy
from agent.desk.loopback import packets
from agent.desk.loopback.packets import Message

_SECONDS = 1
_BANDS, _FRAME, _HOP = 40, 512, 160


def voice_controls(canary: Canary, artifacts: Sequence[Artifact], device: str) -> list[Control]:
    """A second of the voice in free pages, its log-mel spectrum in a file, the voice as Opus in
    base64 in a message, and one word in a log."""
    voice = _loudest(canary.sound)
    samples = np.rint(voice * 32_000).astype("<i2").tobytes()
    pages = samples + bytes(-len(samples) % 4096)
    coded = base64.b64encode(compressed(voice))
    topic = f"fleeting/1/d/{device}/summary"
    message = Message(topic, b'{"note":"' + coded + b'"}', 1, False)
    spectrum = log_mel(voice).astype(np.float16).tobytes()
    return [
        Control(
            "a second of sound in free pages",
            planted_copy(artifacts, "database", pages, "sound"),
            frozenset({"sound", "residue"}),
        ),
        Control(
            "a log-mel spectrum in a file",
            Artifact("planted spectrum", "other", spectrum, planted=True),
            frozenset({"spectrum"}),
        ),
        Control(
            "coded sound as base64 in a message",
            planted_copy(artifacts, "wire", packets.publish(message, 5, 1, 1, False), "sound"),
            frozenset({"magic", "sound", "schema"}),
        ),
        Control(
            "a word in a log",
            planted_copy(artifacts, "log", canary.words[-1].encode() + b"\n", "a word"),
            frozenset({"phrase"}),
        ),
    ]


def _loudest(sound: Float) -> Float:
    """The second with most power."""
    power = (sound.reshape(-1, RATE // 4) ** 2).sum(1)
    sums = np.convolve(power, np.ones(4 * _SECONDS), "valid")
    at = int(sums.argmax()) * (RATE // 4)
    return sound[at : at + _SECONDS * RATE]


def compressed(sound: Float) -> bytes:
    """Opus in Ogg, float32[S] at 16 kHz; where the library lacks its encoder, FLAC."""
    for codec, form, rate in (("libopus", "ogg", 48_000), ("flac", "flac", RATE)):
        file = io.BytesIO()
        try:
            with av.open(file, "w", format=form) as out:
                stream = out.add_stream(codec, rate=rate, layout="mono")
                resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
                samples = np.rint(sound * 32_000).astype(np.int16)
                frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
                frame.sample_rate = RATE
                for part in [*resampler.resample(frame), *resampler.resample(None)]:
                    for packet in stream.encode(part):
                        out.mux(packet)
                for packet in stream.encode(None):
                    out.mux(packet)
        except (av.FFmpegError, ValueError):
            continue
        return file.getvalue()
    return b""


def log_mel(sound: Float) -> Float:
    """float32[T, 40]: log power in mel bands, every 10 ms."""
    view = np.lib.stride_tricks.sliding_window_view(sound, _FRAME)[::_HOP]
    power = np.abs(np.fft.rfft(view * np.hanning(_FRAME))) ** 2
    edges = 700 * (10 ** (np.linspace(0, 2840, _BANDS + 2) / 2595) - 1)
    hertz = np.arange(power.shape[1]) * RATE / _FRAME
    rise = (hertz[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - hertz[:, None]) / (edges[2:] - edges[1:-1])
    weights = np.maximum(np.minimum(rise, fall), 0)
    return np.log(power @ weights + 1e-6).astype(np.float32)
