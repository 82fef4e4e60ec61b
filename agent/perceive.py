"""Process 1, the half that sees: source, perception, release, outbox. It opens no network."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agent import __version__
from agent.capture.source import Source, StuckError, open_source
from agent.clock import FILE_CLOCK, WallClock
from agent.config import AgentConfig
from agent.errors import CaptureError, StoreError
from agent.handoff import Latest
from agent.outbox import Outbox
from agent.pipeline import Pipeline
from agent.privacy.chance import false_alarm_rate
from agent.privacy.policy import INFERS_EMOTION, resolve
from agent.privacy.release import Releaser
from agent.report import Flag, Meta, Summary
from agent.types import Frame, Perceived

log = logging.getLogger(__name__)

_MOST_WAITING = 1000
"""Summaries held in memory while the disk takes none; then the oldest goes, and it is counted."""
_RETRY = 5.0
"""Seconds between attempts to store what waits."""

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


class Perceiver:
    """The loop's state; `perceive` drives it."""

    def __init__(self, config: AgentConfig, observer: Observer | None = None) -> None:
        """Raises `ConfigError` where the policy forbids it, `ModelError`, `StoreError`."""
        self._config = config
        self._observer = observer
        self._live = config.source.kind != "file"
        policy = resolve(config, live=self._live)
        self._pipeline = Pipeline(
            config,
            expressions=bool(INFERS_EMOTION.intersection(policy.cells)),
            limited=self._live,
        )
        self._outbox = Outbox(config.store)
        self._waiting: deque[Summary] = deque()
        self._retry_at = 0.0
        self.report = PerceiveReport()
        if self._outbox.moved_aside:
            log.warning("The outbox was damaged; it is kept as %s", self._outbox.moved_aside)
        wall = WallClock()
        self._releaser = Releaser(
            config,
            policy,
            model=self._pipeline.model_hash,
            false_alarms=false_alarm_rate(config.micro, self._pipeline.models.manifest.weights),
            boot=self._outbox.boot,
            seq=self._outbox.next_seq,
            # Only a camera's frames lie on this machine's monotonic clock.
            clock=wall if self._live else lambda: FILE_CLOCK,
        )
        self._outbox.put_meta(
            Meta(
                boot=self._outbox.boot,
                software=__version__,
                model=self._pipeline.model_hash,
                policy=policy.name,
                policy_hash=policy.hash,
            )
        )

    def step(self, frame: Frame, dropped: int, flags: set[Flag]) -> None:
        """Perceive one frame and store the summaries that it completes."""
        perceived = self._pipeline(frame)
        self.report.frames += 1
        self.report.dropped += dropped
        if self._observer:
            self._observer(perceived)
        self._store(self._releaser.observe(perceived, dropped=dropped, flags=flags))

    def finish(self) -> None:
        """End all visits and windows and store what is left. Raises `StoreError`."""
        self._store(self._releaser.finish())
        while self._waiting:
            self._outbox.add(self._waiting[0])
            self._waiting.popleft()
        self._outbox.close()

    def _store(self, summaries: list[Summary]) -> None:
        self._waiting.extend(summaries)
        self.report.summaries += len(summaries)
        if not self._waiting or time.monotonic() < self._retry_at:
            return
        try:
            while self._waiting:
                self._outbox.add(self._waiting[0])
                self._waiting.popleft()
        except StoreError as error:
            self._retry_at = time.monotonic() + _RETRY
            log.error("%s %d summaries wait in memory.", error, len(self._waiting))
        while len(self._waiting) > _MOST_WAITING:
            self._waiting.popleft()
            self.report.lost += 1


def perceive(
    config: AgentConfig, *, stop: threading.Event, observer: Observer | None = None
) -> PerceiveReport:
    """Perceive until the file ends or `stop` is set.

    `observer` is shown every frame's result, in memory; it must not keep the process waiting.
    A camera that stops is opened again, with backoff, for as long as it takes.

    Raises `ConfigError`, `ModelError`, `StoreError`; `CaptureError` only for a file, or for a
    camera that cannot be opened at the start.
    """
    perceiver = Perceiver(config, observer)
    source = open_source(config.source)
    try:
        for frame, dropped, flags in _frames(config, source, stop, perceiver.report):
            perceiver.step(frame, dropped, flags)
    finally:
        perceiver.finish()
    return perceiver.report


def _frames(
    config: AgentConfig, source: Source, stop: threading.Event, report: PerceiveReport
) -> Iterator[tuple[Frame, int, set[Flag]]]:
    """Frames with the number dropped before each and the source's flags; reopens cameras."""
    wait = 1.0
    reopened: set[Flag] = set()
    while True:
        try:
            for frame, dropped in _paced(config, source, stop):
                wait = 1.0
                # Taken whole: the reading thread may raise another at any time.
                flags, source.flags = source.flags, set()
                yield frame, dropped, flags | reopened
                reopened = set()
                if stop.is_set():
                    break
            return
        except StuckError:
            # The driver holds this process; only a new one, started by the supervisor, gets free.
            raise
        except CaptureError as error:
            if not source.live:
                raise
            log.warning("%s Opening it again in %.0f s.", error, wait)
        finally:
            source.close()
        while not stop.wait(wait):
            wait = min(2 * wait, 60.0)
            try:
                source = open_source(config.source)
            except StuckError:
                raise
            except CaptureError as error:
                log.warning("%s Trying again in %.0f s.", error, wait)
                continue
            report.reopened += 1
            reopened = {"camera_restart"}
            break
        if stop.is_set():
            return


def _paced(
    config: AgentConfig, source: Source, stop: threading.Event
) -> Iterator[tuple[Frame, int]]:
    """A file at its own pace is read like a camera: who is late gets the newest frame."""
    if source.live or config.source.pace == "fast":
        lost = source.counters.dropped
        for frame in source:
            yield frame, source.counters.dropped - lost
            lost = source.counters.dropped
        return
    handoff: Latest[Frame] = Latest()
    failure: list[CaptureError] = []

    def read() -> None:
        try:
            for frame in source:
                handoff.put(frame)
        except CaptureError as error:
            failure.append(error)
        finally:
            handoff.close()

    reader = threading.Thread(target=read, name="replay", daemon=True)
    reader.start()
    lost = 0
    while not stop.is_set():
        newest = handoff.get(0.5)
        if newest is None:
            if reader.is_alive():
                continue
            break
        yield newest, handoff.dropped - lost
        lost = handoff.dropped
    source.close()
    reader.join(5.0)
    if failure:
        raise failure[0]
