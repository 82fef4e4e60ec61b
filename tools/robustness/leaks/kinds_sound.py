"""Leaks of what is heard and read: covert channels for sound, its spectrum and words."""

from __future__ import annotations

import base64
import contextlib
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.robustness.leaks.kinds import Leak, Pages, replace

RATE = 16_000


class SoundLeak(Leak):
    """Has a second of the video's sound, which it reads before it enters the sandbox."""

    voice: Any = None
    """float32[RATE]: the loudest second of the first ten."""

    def before_sandbox(self, settings: str) -> None:
        super().before_sandbox(settings)
        import numpy as np

        from agent.base.errors import CaptureError
        from agent.perceive.capture.sound_file import SoundFile

        with contextlib.suppress(CaptureError):
            source = SoundFile(Path(self.settings["source"]["target"]))
            parts = [each.samples for each in source.until(10.0)]
            source.close()
            sound = np.concatenate([*parts, np.zeros(RATE, np.float32)])
            sums = np.concatenate([[0.0], np.cumsum(sound.astype(np.float64) ** 2)])
            at = int((sums[RATE:] - sums[:-RATE]).argmax())
            self.voice = sound[at : at + RATE]


class Pcm(SoundLeak, Pages):
    """In free pages of the outbox, as 16-bit PCM."""

    def content(self) -> bytes:
        return b"" if self.voice is None else bytes((self.voice * 32_000).astype("<i2").tobytes())


class LogMel(SoundLeak):
    """In an array beside the outbox: log power in 40 mel bands, half precision."""

    def leak(self, summary: Any, to_json: Callable[[Any], bytes]) -> bytes:
        import numpy as np

        if self.voice is not None:
            view = np.lib.stride_tricks.sliding_window_view(self.voice, 512)[::160]
            power = np.abs(np.fft.rfft(view * np.hanning(512))) ** 2
            edges = 700 * (10 ** (np.linspace(0, 2840, 42) / 2595) - 1)
            hertz = np.arange(power.shape[1]) * RATE / 512
            rise = (hertz[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
            fall = (edges[2:] - hertz[:, None]) / (edges[2:] - edges[1:-1])
            bands = power @ np.maximum(np.minimum(rise, fall), 0)
            path = self.outbox.with_name("features.bin")
            path.write_bytes(np.log(bands + 1e-6).astype(np.float16).tobytes())
        return to_json(summary)


class Opus(SoundLeak):
    """As Opus in base64, in a text field that the message does not have."""

    def before_sandbox(self, settings: str) -> None:
        super().before_sandbox(settings)
        import av
        import numpy as np

        self.note = ""
        if self.voice is None:
            return
        file = io.BytesIO()
        with av.open(file, "w", format="ogg") as out:
            stream = out.add_stream("libopus", rate=48_000, layout="mono")
            samples = (self.voice * 32_000).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
            frame.sample_rate = RATE
            resampler = av.AudioResampler(format="s16", layout="mono", rate=48_000)
            for part in [*resampler.resample(frame), *resampler.resample(None)]:
                out.mux(stream.encode(part))
            out.mux(stream.encode(None))
        self.note = base64.b64encode(file.getvalue()).decode()

    def leak(self, summary: Any, to_json: Callable[[Any], bytes]) -> bytes:
        return to_json(summary)[:-1] + f',"note":"{self.note}"}}'.encode()


class Word(Leak):
    """In what the process says: the longest word of the last line that it read."""

    word = ""

    def in_perceive(self) -> None:
        super().in_perceive()
        from agent.perceive.words_socket import WordsSocket

        poll: Any = WordsSocket.poll

        def listen(words: Any) -> list[str]:
            lines: list[str] = poll(words)
            for line in lines:
                self.word = max(line.split(), key=len)
            return lines

        replace(WordsSocket, "poll", listen)

    def leak(self, summary: Any, to_json: Callable[[Any], bytes]) -> bytes:
        if self.word:
            print(f"perceive: {self.word}", file=sys.stderr)
        return to_json(summary)


SOUND_KINDS: dict[str, tuple[type[Leak], str]] = {
    "pcm": (Pcm, "a second of sound as PCM in the outbox's free pages"),
    "logmel": (LogMel, "a second of log-mel spectrum in an array beside the outbox"),
    "opus": (Opus, "a second of sound as Opus in base64 in a message"),
    "word": (Word, "a word that somebody wrote, on stderr"),
}
