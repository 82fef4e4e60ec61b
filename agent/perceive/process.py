"""The perceive process: source, perception, release, outbox."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, get_args

from agent.base.clock import FILE_CLOCK, ClockReading, WallClock
from agent.base.config import AgentConfig
from agent.base.errors import CaptureError, ConfigError
from agent.base.report import EventCode, PerceiveCage
from agent.base.report.device import PerceiveOpening
from agent.base.types import Frame, Perceived
from agent.base.vocabulary import Flag
from agent.host import sd_notify
from agent.host.board import Watch
from agent.host.health import REPORT_INTERVAL
from agent.host.settle import settle, tidy
from agent.perceive.camera_exits import CameraExits
from agent.perceive.capture.resilient import resilient_frames
from agent.perceive.capture.spawn import CameraProcess
from agent.perceive.content_socket import ContentSocket
from agent.perceive.controls import Mode, RuntimeControls
from agent.perceive.ears import Ears
from agent.perceive.heat import Heat
from agent.perceive.slots import SlotQuota
from agent.perceive.stages import Stages
from agent.perceive.status import PerceiveReport, StatusReporter
from agent.perceive.summary_store import SummaryStore
from agent.perceive.warm_up import warm
from agent.privacy.policy.research import keeps_traces
from agent.privacy.policy.rules import Policy, resolve
from agent.privacy.policy.site import weaker_than_site
from agent.wall.outbox import Outbox
from agent.wall.remote_settings import Settings, apply

if TYPE_CHECKING:
    from agent.perceive.traces.recorder import Recorder

log = logging.getLogger(__name__)

_UNKNOWN_SANDBOX = PerceiveCage(
    network="open", writes="open", found_open=get_args(PerceiveOpening), layers=()
)

Observer = Callable[[Perceived], None]
_TIDY = 10.0
"""Seconds of frames between two `tidy`."""


class Perceiver:
    """One step of the loop per frame; follows the runtime controls."""

    def __init__(
        self,
        config: AgentConfig,
        observer: Observer | None = None,
        sandbox: PerceiveCage = _UNKNOWN_SANDBOX,
        content: ContentSocket | None = None,
        ears: Ears | None = None,
        watch: Watch | None = None,
    ) -> None:
        """`watch`: of this board, where frames come in real time; closed by `finish`. Raises
        `ConfigError` where the policy forbids running, `ModelError`, `StoreError`."""
        self._local = config
        self._observer = observer
        self._live = config.source.kind != "file"
        # Only a camera's frames are timed by this machine's monotonic clock.
        clock: Callable[[], ClockReading] = WallClock() if self._live else lambda: FILE_CLOCK
        self._outbox = Outbox(config.store)
        self.report = PerceiveReport()
        self._status = StatusReporter(self._outbox, clock, self.report, sandbox)
        self._store = SummaryStore(self._outbox, self._status, self.report)
        local = config, self._local_policy()
        self._slots = SlotQuota(
            self._outbox,
            local[1].slots,
            refused=lambda: self._status.record_event("content_refused"),
        )
        self._controls = RuntimeControls(config, clock, self._live, content, self._slots.take)
        self._settings = self._controls.settings
        self._heat = Heat(
            config.heat, watch, self._status.record_event, hot=self._status.take_over() == "hot"
        )
        self._refused = 0
        self._mode: Mode = "hot" if self._heat.paused else "running"
        self._window: int | None = None
        desired = self._desired(self._settings) or local
        self._ears = ears or Ears()
        self._stages = Stages(*desired, self._outbox, clock, self._ears, self._status.record_event)
        self._traces = self._open_traces(clock)
        self._time = 0.0
        self._tidied = 0.0
        self._words_refused = 0
        self._words_due = 0.0
        self._mute = False
        self._owed: set[Flag] = set()
        """Flags of frames that were left out for heat."""
        self._controls.set_quiet_hours(self._stages.policy.quiet_hours)
        self._publish_birth()
        if sandbox.found_open and self._live:
            self._status.record_event("cage_open")

    @property
    def hears(self) -> bool:
        """Whether the policy in force has voices read."""
        return self._stages.policy.hears

    @property
    def fps(self) -> float | None:
        """Frames a second that are wanted at most, for heat; None: all."""
        return self._heat.fps

    def step(self, frame: Frame, dropped: int, flags: set[Flag]) -> None:
        """Analyse one frame, unless paused or in quiet hours, and store completed summaries."""
        self._time = frame.time
        if not self._tidied <= frame.time < self._tidied + _TIDY:
            self._tidied = frame.time
            tidy()
        mode = self._update_mode(frame.time)
        releaser, hearing = self._stages.releaser, self._stages.hearing
        if mode == "running" and not self._heat.takes(frame.time):
            self.report.unseen += 1
            self._owed |= flags
            done = releaser.pass_time(frame.time)
        elif mode == "running":
            speech = hearing.listen(frame.time, releaser)
            perceived = self._stages.pipeline(frame, speech)
            self.report.frames += 1
            self.report.dropped += dropped
            if self._observer:
                self._observer(perceived)
            if self._traces is not None:
                self._traces.add(perceived)
            slot = self._controls.slot
            self._slots.take(slot)
            flags, self._owed = flags | self._owed | self._heat.flags, set()
            done = releaser.observe(perceived, slot=slot, dropped=dropped, flags=flags)
            hearing.attribute(perceived, releaser, slot)
            self._note_refused_words()
        else:
            self.report.unseen += 1
            hearing.forget()
            done = releaser.pass_time(frame.time)
        if self._traces is not None:
            self._traces.poll()
        self._store.add(done)
        self._status.publish_vitals(mode)
        sd_notify.watchdog()

    def _note_refused_words(self) -> None:
        """Report lines that were refused, at most once a minute, and a transcriber that gave up."""
        words, transcriber = self._ears.words, self._ears.transcriber
        now = time.monotonic()
        if (
            words is not None
            and words.refused.total > self._words_refused
            and now >= self._words_due
        ):
            self._words_refused, self._words_due = words.refused.total, now + REPORT_INTERVAL
            log.warning("%d lines of text were refused so far.", words.refused.total)
            self._status.record_event("words_refused")
        if transcriber is not None and transcriber.failed and not self._mute:
            self._mute = True
            log.warning("Speech is no longer transcribed (%s). Start the agent again.",
                        transcriber.failed)  # fmt: skip
            self._status.record_event("transcriber_failed")

    def stalled(self, *, away: bool) -> None:
        """The camera stopped; visits and windows still end by time. `away`: as an absent one is
        waited for, which no restart mends, the service manager is told that all is well; whoever
        judges an update is not."""
        if away:
            sd_notify.watchdog(progress=False)
        if self._traces is not None:
            self._traces.poll()
        self._status.publish_vitals("stalled", at_once=True)
        self._stages.hearing.forget()
        self._store.add(self._stages.releaser.pass_time(time.monotonic()))

    def noticed(self, code: EventCode) -> None:
        """Something of the camera is to be reported."""
        self._status.record_event(code)

    def reopened(self) -> None:
        """The camera gives pictures again."""
        self.report.reopened += 1
        self._status.record_event("camera_restarted")
        self._status.publish_vitals(self._mode, at_once=True)

    def finish(self) -> None:
        """End all visits and windows and store their summaries. Raises `StoreError`."""
        if self._traces is not None:
            self._traces.close()
        self._heat.close()
        self._controls.close()
        self._store.add(self._stages.finish(self._time))
        self._store.flush()
        self._status.leave()
        self._ears.close()
        self._outbox.close()

    def _update_mode(self, now: float) -> Mode:
        """Follow the controls and the board: new settings, pause, quiet hours, heat.

        A pause begins at once. It ends, and settings change, only when a window begins: both end
        open visits, and otherwise repeated commands could split one visit into many, each with its
        own epsilon.
        """
        self._controls.poll()
        self._heat.poll()
        window = int(now // self._stages.policy.window)
        begins, self._window = window != self._window, window
        desired, known = self._controls.settings, self._settings
        if begins and (desired.version, desired.patch) != (known.version, known.patch):
            self._apply(desired)
        if begins and self._heat.begin_window():
            self._stages.restrict(self._heat.step, now)
        if self._controls.refused != self._refused:
            self._refused = self._controls.refused
            self._status.record_event("settings_refused")
        mode: Mode = self._controls.mode
        if self._mode == "paused" and not begins:
            mode = "paused"
        if mode == "running" and self._heat.paused:
            mode = "hot"
            self._stages.releaser.flag(now, ("throttled",))
        if mode != self._mode:
            if "paused" in (mode, self._mode):
                self._status.record_event("paused" if mode == "paused" else "resumed")
            log.info("Now %s.", mode)
            sd_notify.status(mode)
            self._mode = mode
            self._status.publish_vitals(mode, at_once=True)
        return mode

    def _apply(self, settings: Settings) -> None:
        """Apply remote settings if the policy permits them."""
        self._settings = settings
        desired = self._desired(settings)
        if desired is None:
            return
        self._store.add(self._stages.rebuild(*desired, self._time))
        self._controls.set_quiet_hours(self._stages.policy.quiet_hours)
        self._status.record_event("settings_applied")
        log.info("Settings %d are in force.", settings.version)
        self._publish_birth()

    def _local_policy(self) -> Policy:
        """The policy of the local configuration. Raises `ConfigError` after recording an event."""
        try:
            return resolve(self._local, self._live)
        except ConfigError:
            self._status.record_event("policy_refused")
            self._outbox.close()
            raise

    def _open_traces(self, clock: Callable[[], ClockReading]) -> Recorder | None:
        """What keeps traces, where the site asks for it and the policy admits it; the libraries
        that it takes are loaded there only."""
        if not keeps_traces(self._local):
            return None
        from agent.perceive.traces.recorder import recorder_for

        return recorder_for(self._local, clock)

    def _desired(self, settings: Settings) -> tuple[AgentConfig, Policy] | None:
        """The configuration with remote settings, and its policy; None where it is refused.

        Values weaker than the site's are left out, whoever wrote them into the file.
        """
        try:
            weaker = weaker_than_site(self._local, settings.patch.values())
            if weaker:
                log.error("Weaker than this site's own and refused: %s", ", ".join(sorted(weaker)))
                self._status.record_event("settings_refused")
            config = apply(self._local, settings.patch.without(weaker))
            return config, resolve(config, self._live)
        except ConfigError as error:
            log.error("The fleet's settings %d are refused: %s", settings.version, error)
            self._status.record_event("settings_refused")
            return None

    def _publish_birth(self) -> None:
        model = self._stages.pipeline.model_hash
        self._status.publish_birth(self._stages.policy, model, self._settings.version)


def perceive(
    config: AgentConfig,
    *,
    stop: threading.Event,
    observer: Observer | None = None,
    sandbox: PerceiveCage = _UNKNOWN_SANDBOX,
    content: ContentSocket | None = None,
    ears: Ears | None = None,
    camera: CameraProcess | None = None,
    exits: CameraExits | None = None,
    watch: Watch | None = None,
) -> PerceiveReport:
    """Run until the file ends or `stop` is set; a camera that stops is reopened.

    `observer`: called with each frame's result, must not block. `sandbox`: result of entering it.
    `content`: where the slot of the content on show is received. `ears`: where words are, and who
    is told of what was heard and read. `camera`: what reads it, started before the sandbox.
    `exits`: told where this process ends because of its camera.
    `watch`: of another board than this one.

    Raises `ConfigError`, `ModelError`, `StoreError`; `CaptureError` for a file, for a camera that
    cannot be opened at startup, and for one that does not come back.
    """
    # A file at full speed is not to depend on how warm it makes the board.
    in_time = config.source.kind != "file" or config.source.pace == "realtime"
    if watch is None and in_time:
        watch = Watch()
    perceiver = Perceiver(config, observer, sandbox, content, ears, watch)
    try:
        if in_time:
            warm(config, perceiver.hears)
        settle()
        sd_notify.ready("running")
        for frame, dropped, flags in resilient_frames(config.source, stop, perceiver, camera):
            perceiver.step(frame, dropped, flags)
    except CaptureError:
        if exits is not None and exits.add():
            perceiver.noticed("reboot_asked")
        raise
    finally:
        sd_notify.stopping()
        perceiver.finish()
    return perceiver.report
