"""A microphone as a source of sound: read by a thread of its own into a ring of four seconds.

What vanishes, hangs or cannot be opened is named in the log, reported as an event and opened again
with backoff; whoever asks for sound meanwhile gets none.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Literal

from agent.base.config import SoundConfig
from agent.base.errors import CaptureError
from agent.base.types import SOUND_RATE, Float, Sound
from agent.perceive.capture.portaudio import Input, open_input
from agent.voice.ring import Ring

log = logging.getLogger(__name__)

_MAX_BACKOFF = 60.0
_JUMP = 0.15
"""Seconds by which a block may come early or late before the clock of the sound is set anew."""
_FOLLOW = 0.02
"""Share of a block's lateness by which the clock follows: the two clocks drift apart."""
Event = Literal["microphone_stalled", "microphone_restarted"]


class Microphone:
    """Sound of the configured input, on the monotonic clock of the camera's frames."""

    def __init__(
        self,
        config: SoundConfig,
        notify: Callable[[Event], None] = lambda event: None,
        opener: Callable[[SoundConfig], Input] = open_input,
    ) -> None:
        """Returns at once; nothing is raised for a microphone that is not there. `notify`: called
        by `until`."""
        self.lost = 0.0
        """Seconds that were overwritten before anybody asked for them, or never came."""
        self._config, self._notify, self._open = config, notify, opener
        self._ring, self._lock = Ring(), threading.Lock()
        self._end = 0.0
        self._read = 0
        self._heard = time.monotonic()
        self._hears = True
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="microphone", daemon=True)
        self._thread.start()

    def until(self, moment: float) -> Iterator[Sound]:
        """What was captured since the last call, up to now: `moment` is a frame's time, and sound
        that is newer does no harm. Nothing is given twice, nor after four seconds."""
        with self._lock:
            new = self._ring.total - self._read
            samples = self._ring.latest(new)
            self.lost += (new - len(samples)) / SOUND_RATE
            self._read = self._ring.total
            end = self._end
        self._watch(bool(new))
        if len(samples):
            yield Sound(end - len(samples) / SOUND_RATE, samples)

    def forget(self) -> None:
        """Overwrite what was captured and not asked for."""
        with self._lock:
            self._ring.forget()
            self._read = 0

    def close(self) -> None:
        """Stop listening. A thread that hangs in the driver is abandoned."""
        self._stop.set()
        self._thread.join(2.0)
        self.forget()

    def _watch(self, heard: bool) -> None:
        """Report that the sound stopped, or came back."""
        now = time.monotonic()
        if heard:
            self._heard = now
            if not self._hears:
                self._notify("microphone_restarted")
        elif self._hears and now - self._heard > self._config.stall:
            log.warning("The microphone gives no sound. Voices are left out until it does.")
            self._notify("microphone_stalled")
        self._hears = heard or (self._hears and now - self._heard <= self._config.stall)

    def _run(self) -> None:
        backoff = 1.0
        while not self._stop.is_set():
            try:
                source = self._open(self._config)
            except CaptureError as error:
                log.warning("%s", error)
            else:
                log.info("The microphone is open.")
                try:
                    while not self._stop.is_set():
                        self._put(source.read())
                        backoff = 1.0
                except CaptureError as error:
                    log.warning("%s", error)
                finally:
                    source.close()
            self._stop.wait(backoff)
            backoff = min(2 * backoff, _MAX_BACKOFF)

    def _put(self, samples: Float) -> None:
        now = time.monotonic()
        with self._lock:
            due = self._end + len(samples) / SOUND_RATE
            late = now - due
            if abs(late) > _JUMP:
                self.lost += late if self._end > 0 and late > 0 else 0.0
                self._end = now
            else:
                self._end = due + _FOLLOW * late
            self._ring.write(samples)
