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
from agent.perceive.ladder import Step
from agent.privacy.policy.rules import Policy
from agent.privacy.releaser import Released, Releaser
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
        self._step = Step.ALL
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

    def restrict(self, step: Step, time: float) -> None:
        """Do no more than this step of the ladder permits, from a frame's time on: no visit ends,
        but what was being said is read as far as it was heard."""
        mute, self._step = self._mute, step
        self._restrict(self.pipeline)
        if mute == self._mute:
            return
        self.hearing.finish(time, self.releaser)
        self.hearing = self._new_hearing()
        if self._ears.transcriber is not None:  # what was said before is not read later
            self._ears.transcriber.stop()
            self._ears.transcriber.poll()
        if self._sound is not None:  # a file's sound went on meanwhile
            for _ in self._sound.until(time):
                pass

    def finish(self, time: float) -> list[Released]:
        """End everything at a frame's time; returns the last summaries."""
        done = self._end(time)
        if self._sound is not None:
            self._sound.close()
        return done

    def _end(self, time: float) -> list[Released]:
        self.hearing.finish(time, self.releaser)
        return self.releaser.finish()

    @property
    def _mute(self) -> bool:
        """Whether the microphone stays closed for heat."""
        return self._step > Step.ALL

    @property
    def _keeps_sound(self) -> bool:
        """Whether it stays open while nobody listens: a file would begin anew."""
        return self.policy.hears and self._config.source.kind == "file"

    def _new_pipeline(self) -> Pipeline:
        pipeline = Pipeline(
            self._config,
            expressions=self.policy.infers_emotion,
            limited=self._config.source.kind != "file",
            zones=StaffZones(self.policy.zones),
        )
        self._restrict(pipeline)
        return pipeline

    def _restrict(self, pipeline: Pipeline) -> None:
        one = self._step > Step.SLOW
        pipeline.restrict(1 if one else None, spotting=self._step == Step.ALL)

    def _new_hearing(self) -> Hearing:
        """The same microphone goes on where it may."""
        hears = self.policy.hears and not self._mute
        if self._sound is not None and not (hears or self._keeps_sound):
            self._sound.close()
            self._sound = None
        elif hears and self._sound is None:
            self._sound = self._open_sound()
        ears, reads = self._ears, self.policy.reads
        return Hearing(
            self.pipeline.models.manifest,
            sound=self._sound if hears else None,
            lines=[ears.words] if reads and ears.words is not None else [],
            transcriber=ears.transcriber if reads and hears else None,
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
