"""A speech-to-text server as the package `wyoming` makes them: `python wyoming_server.py SOCKET
MODE`.

Its text says what it received. Other modes misbehave after the first event.
"""

from __future__ import annotations

import asyncio
import sys

from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event
from wyoming.server import AsyncEventHandler, AsyncServer

MODE = sys.argv[2]
ENDLESS = b'{"type": "' + b"x" * 100_000
LINES = {
    "endless_header": ENDLESS,
    "huge_data": b'{"type": "transcript", "data_length": 999999999999}\n',
    "huge_payload": b'{"type": "transcript", "payload_length": 2147483648}\n',
    "negative": b'{"type": "transcript", "data_length": -5}\n',
    "not_json": b"\xff\xfe\x00\n",
    "not_object": b"[1, 2]\n",
    "deep": b"[" * 8000 + b"\n",
    "no_text": b'{"type": "transcript", "data": {"text": 5}}\n',
    "chatter": b'{"type": "info"}\n' * 1000,
}


class Handler(AsyncEventHandler):  # type: ignore[misc]
    """Counts samples; closes the connection after a text, as servers do."""

    samples = 0
    begun = 0

    async def handle_event(self, event: Event) -> bool:
        if MODE == "vanish" and AudioChunk.is_type(event.type):
            return False
        if Transcribe.is_type(event.type):
            self.begun += 1
        elif AudioStart.is_type(event.type):
            start = AudioStart.from_event(event)
            assert (start.rate, start.width, start.channels) == (16_000, 2, 1)
        elif AudioChunk.is_type(event.type):
            self.samples += AudioChunk.from_event(event).samples
        elif AudioStop.is_type(event.type):
            if MODE == "hang":
                await asyncio.sleep(600)
            if MODE in LINES:
                self.writer.write(LINES[MODE])
                await self.writer.drain()
                await asyncio.sleep(600)
            text = f"heard {self.samples} samples" + ("\n\x07" + "é" * 5000) * (MODE == "long")
            await self.write_event(Transcript(text=text).event())
            return MODE == "stay"
        return True


asyncio.run(AsyncServer.from_uri(f"unix://{sys.argv[1]}").run(Handler))
