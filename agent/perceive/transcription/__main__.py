"""`python -m agent.perceive.transcription DESCRIPTOR PATH`: see `agent.perceive.transcriber`.

Each stretch of speech has a connection of its own, since servers close it after a text. Nothing is
kept: not the sound, and the text only until it is passed on.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
import unicodedata

from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop

from agent.host.sandbox import kernel
from agent.perceive.transcription.frames import FrameError, FrameReader, frame
from agent.perceive.transcription.messages import CHUNK, MAX_TEXT
from agent.perceive.transcription.seal import seal

RATE = 16_000
CONNECT_TIMEOUT = 2.0
SEND_TIMEOUT = 5.0
ANSWER_TIMEOUT = 30.0
"""Seconds."""
_MAX_EVENTS = 64
"""Of other kinds that a server may send before a text."""
_FORMAT = {"rate": RATE, "width": 2, "channels": 1}


class Stretch:
    """One stretch of speech on one connection. Every method raises `FrameError`."""

    def __init__(self, path: str) -> None:
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._connection.settimeout(CONNECT_TIMEOUT)
        try:
            self._connection.connect(path)
        except OSError:
            self.close()
            raise FrameError("no_server") from None
        self._connection.settimeout(SEND_TIMEOUT)
        self._reader = FrameReader(self._receive)
        try:
            self._send(frame(Transcribe().event()) + frame(AudioStart(**_FORMAT).event()))
        except FrameError:
            self.close()
            raise

    def add(self, samples: bytes) -> None:
        self._send(frame(AudioChunk(audio=samples, **_FORMAT).event()))

    def text(self) -> str:
        """End the stretch and wait for its text."""
        self._send(frame(AudioStop().event()))
        deadline = time.monotonic() + ANSWER_TIMEOUT
        for _ in range(_MAX_EVENTS):
            event = self._reader.read(deadline)
            if Transcript.is_type(event.type):
                text = event.data.get("text")
                if not isinstance(text, str):
                    raise FrameError("malformed")
                return text
        raise FrameError("too_long")

    def close(self) -> None:
        self._connection.close()

    def _receive(self, seconds: float) -> bytes:
        self._connection.settimeout(seconds)
        return self._connection.recv(8192)

    def _send(self, message: bytes) -> None:
        try:
            self._connection.sendall(message)
        except TimeoutError:
            raise FrameError("no_answer") from None
        except OSError:
            raise FrameError("closed") from None


def plain(text: str) -> bytes:
    """A text without control characters, at most `MAX_TEXT` bytes of UTF-8."""
    shown = "".join(
        " " if unicodedata.category(each)[0] == "C" else each for each in text[:MAX_TEXT]
    )
    return shown.encode("utf-8", "replace")[:MAX_TEXT].decode("utf-8", "ignore").encode()


def serve(link: socket.socket, path: str) -> None:
    """Until the other end is closed."""
    stretch: Stretch | None = None
    while message := link.recv(2 * CHUNK + 1):
        kind, body = message[:1], message[1:]
        try:
            if kind == b"S":
                if stretch is not None:
                    stretch.close()
                stretch = None  # also where the next line fails
                stretch = Stretch(path)
            elif kind == b"A" and stretch is not None:
                stretch.add(body)
            elif kind == b"E" and stretch is not None:
                link.send(b"T" + plain(stretch.text()))
                stretch.close()
                stretch = None
        except FrameError as error:
            if stretch is not None:
                stretch.close()
            stretch = None
            link.send(b"F" + error.name.encode())


def main() -> int:
    link = socket.socket(fileno=int(sys.argv[1]))
    path = sys.argv[2]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with the process that started it
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    lacking = seal()
    if lacking:
        text = f"transcription: its sandbox lacks {', '.join(lacking)}; the other layers hold.\n"
        os.write(2, text.encode())
    with contextlib.suppress(OSError):
        serve(link, path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
