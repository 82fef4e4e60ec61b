"""The pipeline, the hearing and the releaser for the settings in force."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from agent.base.clock import ClockReading
from agent.base.config import AgentConfig
from agent.base.errors import CaptureError
from agent.perceive.capture.microphone import Event, Microphone
from agent.perceive.capture.sound_file import SoundFile
from agent.perceive.ears import Ears
from agent.perceive.hearing import Hearing, SoundSource
from agent.privacy.policy.rules import Policy
from agent.privacy.release import Released, Releaser
from agent.privacy.zones import StaffZones
from agent.vision.pipeline import Pipeline
from agent.wall.outbox import Outbox

log = logging.getLogger(__name__)


class Stages:
    """Owns them; rebuilds them when their settings change. Raises `ModelError`."""

    def __init__(
        self,
        config: AgentConfig,
        policy: Policy,
        outbox: Outbox,
        clock: Callable[[], ClockReading],
        ears: Ears,
        notify: Callable[[Event], None],
    ) -> None:
        """`notify`: is told when the microphone stops and starts again."""
        self._config = config
        self.policy = policy
        self._outbox = outbox
        self._clock = clock
        self._ears, self._notify = ears, notify
        self._sound: SoundSource | None = None
        self.pipeline = self._new_pipeline()
        self.hearing = self._new_hearing()
        self.releaser = self._new_releaser(outbox.next_seq)

    def rebuild(self, config: AgentConfig, policy: Policy, time: float) -> list[Released]:
        """Apply a new configuration and policy at a frame's time. Where the releaser must be
        rebuilt all visits and windows end; returns their summaries."""
        before, same_policy = self._config, policy == self.policy
        self._config, self.policy = config, policy
        if (before.detection, before.tracking, before.micro) != (
            config.detection, config.tracking, config.micro,
        ):  # fmt: skip
            self.pipeline = self._new_pipeline()
        if same_policy and before.micro == config.micro:
            return []
        done = self._end(time)
        self.hearing = self._new_hearing()
        self.releaser = self._new_releaser(self.releaser.seq)
        return done

    def finish(self, time: float) -> list[Released]:
        """End everything at a frame's time; returns the last summaries."""
        done = self._end(time)
        if self._sound is not None:
            self._sound.close()
        return done

    def _end(self, time: float) -> list[Released]:
        self.hearing.finish(time, self.releaser)
        return self.releaser.finish()

    def _new_pipeline(self) -> Pipeline:
        return Pipeline(
            self._config,
            expressions=self.policy.infers_emotion,
            limited=self._config.source.kind != "file",
            zones=StaffZones(self.policy.zones),
        )

    def _new_hearing(self) -> Hearing:
        """The same microphone goes on where it may."""
        if not self.policy.hears and self._sound is not None:
            self._sound.close()
            self._sound = None
        elif self.policy.hears and self._sound is None:
            self._sound = self._open_sound()
        ears, reads = self._ears, self.policy.reads
        return Hearing(
            self.pipeline.models.manifest,
            sound=self._sound,
            lines=[ears.words] if reads and ears.words is not None else [],
            transcriber=ears.transcriber if reads and self.policy.hears else None,
            observer=ears.observer,
        )

    def _open_sound(self) -> SoundSource | None:
        source = self._config.source
        if source.kind != "file":
            return Microphone(self._config.sound, self._notify)
        try:
            return SoundFile(Path(source.target), source.loop)
        except CaptureError:
            log.info("The file has no sound: voices are left out.")
            return None

    def _new_releaser(self, seq: int) -> Releaser:
        return Releaser(
            self._config,
            self.policy,
            model=self.pipeline.model_hash,
            false_alarms_per_minute=self.pipeline.false_alarms_per_minute,
            boot=self._outbox.boot,
            seq=seq,
            clock=self._clock,
        )
