"""Hearing and reading beside the camera: sound and words to readings, and whose they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np

from agent.base.types import SOUND_RATE, TONES, UNSURE, Float, Fused, Perceived, Sound, Tone, Words
from agent.base.vocabulary import SoundFlag
from agent.inference.manifest import Manifest
from agent.perceive.company import Company
from agent.perceive.together import Together
from agent.privacy.releaser import Releaser
from agent.voice.level import Fault

if TYPE_CHECKING:
    from agent.text.sentiment import Sentiment
    from agent.voice.listener import Listener, Stretch

_FLAGS: dict[Fault, SoundFlag] = {
    Fault.NOT_A_NUMBER: "sound_invalid",
    Fault.CLIPPED: "sound_clipped",
    Fault.SILENT: "sound_silent",
}
_BEFORE = 1.0
"""Seconds before a line of text in which who wrote it must have been alone in view."""
_SPEAKS = 0.5
"""Probability of speech from which sound is transcribed."""
_LEAD, _AFTER = 0.4, 1.0
"""Seconds of sound before speech, and of silence after it, that are transcribed with it."""
Reading = Tone | Words | Fused


class SoundSource(Protocol):
    """A microphone or a file."""

    lost: float
    """Seconds of sound that came and could not be taken."""

    def until(self, time: float) -> Iterator[Sound]:
        """What came by `time`, once each, in order."""
        ...

    def forget(self) -> None:
        """Overwrite what came and was not asked for."""
        ...

    def close(self) -> None: ...


class Lines(Protocol):
    """Where lines of text come from; see `words_socket`."""

    def poll(self) -> list[str]: ...


class Transcriber(Protocol):
    """Turns stretches of speech into lines of text; see `transcriber`."""

    def start(self) -> None: ...

    def send(self, samples: Float) -> None: ...

    def stop(self) -> None: ...

    def poll(self) -> list[str]: ...


class Hearing:
    """Readings of voices and words, handed to the releaser; of one policy in force."""

    def __init__(
        self,
        manifest: Manifest,
        *,
        sound: SoundSource | None = None,
        lines: Iterable[Lines] = (),
        transcriber: Transcriber | None = None,
        observer: Callable[[Reading], None] = lambda reading: None,
    ) -> None:
        """`sound`: None where nobody listens; `observer`: is told of every reading, and must not
        block. Raises `ModelError`."""
        self._sound, self._lines, self._transcriber = sound, tuple(lines), transcriber
        self.listener = _listener(manifest) if sound is not None else None
        reads = bool(self._lines) or transcriber is not None
        self._sentiment = _sentiment(manifest) if reads else None
        self._company, self._together = Company(), Together()
        self._stretches: list[Stretch] = []
        self._lost = 0.0
        self._quiet = 0.0
        """Seconds until the speech that is transcribed counts as ended; 0: none is."""
        self._before: Float = np.zeros(0, np.float32)
        self._observer = observer

    def listen(self, time: float, releaser: Releaser) -> float | None:
        """Take the sound that came by `time`, before the frame of that time is looked at. Returns
        the probability that somebody speaks; None without a microphone."""
        if self._sound is None or self.listener is None:
            return None
        for sound in self._sound.until(time):
            self._stretches += self.listener(sound)
            flags = {_FLAGS[fault] for fault in self.listener.faults}
            if self._sound.lost > self._lost:
                self._lost = self._sound.lost
                flags.add("sound_lost")
            releaser.listen(sound.end, sound.end - sound.time, flags)
            if self._transcriber is not None:
                self._transcribe(self._transcriber, sound, self.listener.speech)
        return self.listener.speech

    def attribute(self, perceived: Perceived, releaser: Releaser, slot: int) -> None:
        """Give what was heard and read since the last frame to the face that was alone in view, or
        to the room."""
        self._company.add(perceived)
        self._together.see(perceived)
        self._deliver(perceived.time, releaser, slot)
        for fused in self._together.due(perceived.time):
            self._give(fused, releaser)

    def finish(self, time: float, releaser: Releaser, slot: int = 0) -> None:
        """Deliver what is still open at the end."""
        if self.listener is not None:
            self._stretches += self.listener.finish()
        self._deliver(time, releaser, slot)
        for fused in self._together.finish():
            self._give(fused, releaser)

    def forget(self) -> None:
        """Overwrite and forget all that was heard, and read but not counted."""
        if self._sound is not None:
            self._sound.forget()
        if self.listener is not None:
            self.listener.forget()
        for each in (*self._lines, *((self._transcriber,) if self._transcriber else ())):
            each.poll()
        self._stretches.clear()
        if self._transcriber is not None and self._quiet:
            self._transcriber.stop()  # its text is not read either
        self._quiet, self._before = 0.0, np.zeros(0, np.float32)
        self._company, self._together = Company(), Together()

    def _transcribe(self, transcriber: Transcriber, sound: Sound, speech: float) -> None:
        """Send speech with what came just before and after it."""
        if speech >= _SPEAKS:
            if not self._quiet:
                transcriber.start()
                transcriber.send(self._before)
            self._quiet = _AFTER
        elif self._quiet:
            self._quiet = max(self._quiet - (sound.end - sound.time), 0.0)
            if not self._quiet:
                transcriber.stop()
        if self._quiet:
            transcriber.send(sound.samples)
        joined = np.concatenate([self._before, sound.samples])
        self._before = joined[-round(_LEAD * SOUND_RATE) :]

    def _deliver(self, time: float, releaser: Releaser, slot: int) -> None:
        for stretch in self._stretches:
            tone = tone_of(stretch, self._company.alone(stretch.start, stretch.end))
            releaser.hear(tone, slot)
            self._together.hear(tone)
            self._observer(tone)
        self._stretches.clear()
        if self._sentiment is None:
            return
        for each in (*self._lines, *((self._transcriber,) if self._transcriber else ())):
            for line in each.poll():
                read = self._sentiment(line)
                words = Words(
                    time, read.probabilities, read.label, self._company.alone(time - _BEFORE, time)
                )
                releaser.read(words, slot)
                self._together.read(words)
                self._observer(words)

    def _give(self, fused: Fused, releaser: Releaser) -> None:
        releaser.fuse(fused)
        self._observer(fused)


def _listener(manifest: Manifest) -> Listener:
    """Loaded only where somebody listens: kernels and networks of the voice take memory."""
    from agent.voice.listener import Listener

    return Listener(manifest)


def _sentiment(manifest: Manifest) -> Sentiment:
    from agent.text.sentiment import Sentiment

    return Sentiment(manifest)


def tone_of(stretch: Stretch, track: int | None) -> Tone:
    """The reading of a stretch; too little speech is `UNSURE`."""
    if stretch.tone is None:
        even = np.full(len(TONES), 1.0 / len(TONES), np.float32)
        return Tone(stretch.end, stretch.seconds, 0.0, 0.0, even, UNSURE, track)
    read = stretch.tone
    return Tone(
        stretch.end, stretch.seconds, read.arousal, read.valence, read.probabilities, read.label,
        track, stretch.quality,
    )  # fmt: skip
