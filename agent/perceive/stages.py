"""The pipeline and the releaser for the settings in force."""

from __future__ import annotations

from collections.abc import Callable

from agent.base.clock import ClockReading
from agent.base.config import AgentConfig
from agent.privacy.policy.rules import Policy
from agent.privacy.release import Released, Releaser
from agent.privacy.zones import StaffZones
from agent.vision.pipeline import Pipeline
from agent.wall.outbox import Outbox


class Stages:
    """Owns both; rebuilds them when their settings change. Raises `ModelError`."""

    def __init__(
        self,
        config: AgentConfig,
        policy: Policy,
        outbox: Outbox,
        clock: Callable[[], ClockReading],
    ) -> None:
        self._config = config
        self.policy = policy
        self._outbox = outbox
        self._clock = clock
        self.pipeline = self._new_pipeline()
        self.releaser = self._new_releaser(outbox.next_seq)

    def rebuild(self, config: AgentConfig, policy: Policy) -> list[Released]:
        """Apply a new configuration and policy. Where the releaser must be rebuilt all visits and
        windows end; returns their summaries."""
        before, same_policy = self._config, policy == self.policy
        self._config, self.policy = config, policy
        if (before.detection, before.tracking, before.micro) != (
            config.detection, config.tracking, config.micro,
        ):  # fmt: skip
            self.pipeline = self._new_pipeline()
        if same_policy and before.micro == config.micro:
            return []
        done = self.releaser.finish()
        self.releaser = self._new_releaser(self.releaser.seq)
        return done

    def _new_pipeline(self) -> Pipeline:
        return Pipeline(
            self._config,
            expressions=self.policy.infers_emotion,
            limited=self._config.source.kind != "file",
            zones=StaffZones(self.policy.zones),
        )

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
