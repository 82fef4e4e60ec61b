"""Process 1, the half that sees: source, perception, release, outbox. It opens no network."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from agent import __version__
from agent.base.clock import FILE_CLOCK, ClockReading, WallClock
from agent.base.config import AgentConfig
from agent.base.errors import ConfigError, StoreError
from agent.base.report import Birth, EventCode, PerceiveCage, Summary, Vitals
from agent.base.types import Frame, Perceived
from agent.base.vocabulary import Flag
from agent.host import sd_notify
from agent.perceive.capture.resilient import resilient_frames
from agent.perceive.controls import Looking, RuntimeControls
from agent.perceive.warm_up import warm
from agent.privacy.false_alarms import false_alarm_rate
from agent.privacy.policy.rules import Policy, resolve
from agent.privacy.release import Releaser
from agent.vision.pipeline import Pipeline
from agent.wall.outbox import Outbox
from agent.wall.remote_settings import Settings, apply

log = logging.getLogger(__name__)

_MOST_WAITING = 1000
"""Summaries held in memory while the disk takes none; then the oldest goes, and it is counted."""
_RETRY = 5.0
"""Seconds between attempts to store what waits."""
VITALS_EVERY = 60.0
"""Seconds between two words to the other half."""
_STEP = 60
"""Seconds that the wall clock may move against the monotonic one without being said to step."""
_UNKNOWN_CAGE = PerceiveCage(network="open", writes="open", layers=())

Observer = Callable[[Perceived], None]


@dataclass(slots=True)
class PerceiveReport:
    """What a run came to."""

    frames: int = 0
    dropped: int = 0
    """Frames that the source delivered and nobody looked at."""
    summaries: int = 0
    lost: int = 0
    """Summaries given up because the disk took none for too long."""
    reopened: int = 0
    """Times the camera was opened again."""
    unseen: int = 0
    """Frames thrown away unseen: paused, or quiet hours."""


class Perceiver:
    """The loop's state; `perceive` drives it."""

    def __init__(
        self,
        config: AgentConfig,
        observer: Observer | None = None,
        cage: PerceiveCage = _UNKNOWN_CAGE,
    ) -> None:
        """Raises `ConfigError` where the policy forbids it, `ModelError`, `StoreError`."""
        self._local = config
        self._observer = observer
        self._cage = cage
        self._live = config.source.kind != "file"
        wall = WallClock()
        # Only a camera's frames lie on this machine's monotonic clock.
        self._clock: Callable[[], ClockReading] = wall if self._live else lambda: FILE_CLOCK
        self._outbox = Outbox(config.store)
        own = self._allowed()
        self._waiting: deque[tuple[Summary, int]] = deque()
        """With the noised number of a withheld window."""
        self._retry_at = 0.0
        self.report = PerceiveReport()
        self._vitals_at = 0.0
        self._frames_then = 0
        self._looked: Looking = "running"
        self._window: int | None = None
        self._ahead: float | None = None
        self._directions = RuntimeControls(config, self._clock, self._live)
        self._settings = self._directions.settings
        self._refused = 0
        self._config, self._policy = self._wished(self._settings) or (config, own)
        self._pipeline = self._new_pipeline()
        self._releaser = self._new_releaser(self._outbox.next_seq)
        self._directions.keep_quiet(self._policy.quiet_hours)
        self._tell_birth()
        if cage.network == "open" and self._live:
            self._say("cage_open")

    def step(self, frame: Frame, dropped: int, flags: set[Flag]) -> None:
        """Perceive one frame, if it may be looked at, and store the summaries it completes."""
        looking = self._follow(frame.time)
        if looking == "running":
            perceived = self._pipeline(frame)
            self.report.frames += 1
            self.report.dropped += dropped
            if self._observer:
                self._observer(perceived)
            slot = self._directions.slot
            done = self._releaser.observe(perceived, slot=slot, dropped=dropped, flags=flags)
        else:
            self.report.unseen += 1
            done = self._releaser.pass_time(frame.time)
        self._store(done)
        self._tell(looking)
        sd_notify.alive()

    def stalled(self) -> None:
        """The camera stopped: time passes without frames."""
        self._say("camera_stalled")
        self._tell("stalled", at_once=True)
        self._store(self._releaser.pass_time(time.monotonic()))

    def reopened(self) -> None:
        """The camera is back."""
        self.report.reopened += 1
        self._say("camera_restarted")

    def finish(self) -> None:
        """End all visits and windows and store what is left. Raises `StoreError`."""
        self._directions.close()
        self._store(self._releaser.finish())
        while self._waiting:
            self._add_oldest()
        self._outbox.close()

    def _follow(self, now: float) -> Looking:
        """Do as the directions say: new settings, pause, quiet hours.

        A pause begins at once. It ends, and settings change, at the next window's beginning only:
        both end the visits that go on, and whoever stays in view would otherwise be counted as
        often as somebody cares to send commands.
        """
        self._directions.poll()
        window = int(now // self._policy.window)
        begins, self._window = window != self._window, window
        wished, known = self._directions.settings, self._settings
        if begins and (wished.version, wished.patch) != (known.version, known.patch):
            self._change(wished)
        if self._directions.refused != self._refused:
            self._refused = self._directions.refused
            self._say("settings_refused")
        looking = self._directions.looking
        if self._looked == "paused" and not begins:
            looking = "paused"
        if looking != self._looked:
            if "paused" in (looking, self._looked):
                self._say("paused" if looking == "paused" else "resumed")
            log.info("Now %s.", looking)
            sd_notify.status(looking)
            self._looked = looking
            self._tell(looking, at_once=True)
        return looking

    def _change(self, settings: Settings) -> None:
        """Put new settings in force; the windows that go on end here if the policy changes."""
        self._settings = settings
        wished = self._wished(settings)
        if wished is None:
            return
        before, (self._config, policy) = self._config, wished
        if (before.detection, before.tracking, before.micro) != (
            self._config.detection, self._config.tracking, self._config.micro,
        ):  # fmt: skip
            self._pipeline = self._new_pipeline()
        if policy != self._policy or before.micro != self._config.micro:
            self._policy = policy
            self._store(self._releaser.finish())
            self._releaser = self._new_releaser(self._releaser.seq)
            self._directions.keep_quiet(policy.quiet_hours)
        self._say("settings_applied")
        log.info("Settings %d are in force.", settings.version)
        self._tell_birth()

    def _allowed(self) -> Policy:
        """The policy of the local configuration. Raises `ConfigError`, and tells of it."""
        try:
            return resolve(self._local, self._live)
        except ConfigError:
            self._say("policy_refused")
            self._outbox.close()
            raise

    def _wished(self, settings: Settings) -> tuple[AgentConfig, Policy] | None:
        """The configuration with the fleet's wishes, and its policy; None where it is refused:
        what was in force stays."""
        try:
            config = apply(self._local, settings.patch)
            return config, resolve(config, self._live)
        except ConfigError as error:
            log.error("The fleet's settings %d are refused: %s", settings.version, error)
            self._say("settings_refused")
            return None

    def _new_pipeline(self) -> Pipeline:
        return Pipeline(
            self._config,
            expressions=self._policy.infers_emotion,
            limited=self._live,
            zones=self._policy.zones,
        )

    def _new_releaser(self, seq: int) -> Releaser:
        weights = self._pipeline.models.manifest.weights
        return Releaser(
            self._config,
            self._policy,
            model=self._pipeline.model_hash,
            false_alarms=false_alarm_rate(self._config.micro, weights),
            boot=self._outbox.boot,
            seq=seq,
            clock=self._clock,
        )

    def _store(self, summaries: list[Summary]) -> None:
        for summary in summaries:
            self._waiting.append((summary, self._releaser.withheld(summary)))
        self.report.summaries += len(summaries)
        if not self._waiting or time.monotonic() < self._retry_at:
            return
        try:
            while self._waiting:
                self._add_oldest()
        except StoreError as error:
            self._retry_at = time.monotonic() + _RETRY
            log.error("%s %d summaries wait in memory.", error, len(self._waiting))
        else:
            if self._retry_at:
                self._retry_at = 0.0
                self._say("store_failed")  # told once it can be
        while len(self._waiting) > _MOST_WAITING:
            self._waiting.popleft()
            self.report.lost += 1
            self._say("summaries_lost")

    def _add_oldest(self) -> None:
        self._outbox.add(*self._waiting[0])
        self._waiting.popleft()

    def _say(self, code: EventCode) -> None:
        """An event that cannot be stored is not worth stopping for."""
        try:
            self._outbox.say(code)
        except StoreError as error:
            log.error("The event %s is lost: %s", code, error)

    def _tell(
        self, perception: Literal["running", "paused", "quiet", "stalled"], at_once: bool = False
    ) -> None:
        """Leave word of how it goes for the other half, every minute or so."""
        now = time.monotonic()
        past = now - self._vitals_at
        if past < VITALS_EVERY and not at_once:
            return
        fps = (self.report.frames - self._frames_then) / past if self._vitals_at else 0.0
        self._vitals_at, self._frames_then = now, self.report.frames
        try:
            self._outbox.put(Vitals(perception=perception, fps=min(240, 5 * round(fps / 5))))
        except StoreError as error:
            log.error("%s", error)
        self._watch_clock()

    def _watch_clock(self) -> None:
        """Windows are placed anew where the clock became trustworthy or stepped."""
        ahead = self._clock().ahead
        if ahead is None or (self._ahead is not None and abs(ahead - self._ahead) < _STEP):
            return
        if self._ahead is not None:
            self._say("clock_stepped")
        self._tell_birth()

    def _tell_birth(self) -> None:
        reading = self._clock()
        self._ahead = reading.ahead
        birth = Birth(
            boot=self._outbox.boot,
            software=__version__,
            model=self._pipeline.model_hash,
            policy=self._policy.name,
            policy_hash=self._policy.hash,
            epoch=None if reading.ahead is None else 10 * round(reading.ahead / 10),
            clock=reading.trust,
            settings=self._settings.version,
            k=self._policy.k,
            window=self._policy.window,  # type: ignore[arg-type]
            cage=self._cage,
        )
        try:
            self._outbox.put(birth)
        except StoreError as error:
            log.error("%s", error)


def perceive(
    config: AgentConfig,
    *,
    stop: threading.Event,
    observer: Observer | None = None,
    cage: PerceiveCage = _UNKNOWN_CAGE,
) -> PerceiveReport:
    """Perceive until the file ends or `stop` is set.

    `observer` is shown every frame's result, in memory; it must not keep the process waiting.
    A camera that stops is opened again, with backoff, for as long as it takes. `cage`: what the
    process found when it sealed itself.

    Raises `ConfigError`, `ModelError`, `StoreError`; `CaptureError` only for a file, or for a
    camera that cannot be opened at the start.
    """
    perceiver = Perceiver(config, observer, cage)
    try:
        if config.source.kind != "file" or config.source.pace == "realtime":
            warm(config)
        sd_notify.ready("running")
        for frame, dropped, flags in resilient_frames(config.source, stop, perceiver):
            perceiver.step(frame, dropped, flags)
    finally:
        sd_notify.stopping()
        perceiver.finish()
    return perceiver.report
