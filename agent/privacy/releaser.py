"""From frames to summaries: visits, windows, and what waits until it may be published."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

from agent.base.clock import FILE_CLOCK, ClockReading
from agent.base.config import AgentConfig
from agent.base.report import SEQ_LIMIT, Summary
from agent.base.types import Fused, Perceived, Tone, Words
from agent.base.vocabulary import Flag, SoundFlag
from agent.privacy.noise import SYSTEM, discrete_laplace
from agent.privacy.policy.rules import Policy
from agent.privacy.publishing import PublishingRule
from agent.privacy.release import PendingRelease, ReleaseContext, release
from agent.privacy.visits import VisitBook
from agent.privacy.window import Window, Windows

FILE_BOOT = "00000000"
"""Boot id of summaries of recorded video."""


@dataclass(frozen=True, slots=True)
class Released:
    """A summary, and data for the receipt."""

    summary: Summary
    withheld_visits: int = 0
    """Noised, of the summary's own window; 0 for a published one."""


class Releaser:
    """Aggregates results of frames into visits and windows, and releases summaries.

    Visits of a slot's last windows below the threshold are never released.
    """

    def __init__(
        self,
        config: AgentConfig,
        policy: Policy,
        *,
        model: str,
        false_alarms_per_minute: float | None = None,
        boot: str = FILE_BOOT,
        seq: int = 0,
        clock: Callable[[], ClockReading] = lambda: FILE_CLOCK,
        rng: random.Random = SYSTEM,
    ) -> None:
        """`model`: 16 hex digits of the models' joint hash. `false_alarms_per_minute`: see
        `ReleaseContext`. `boot`, `seq`: of the outbox, for a live source timed by the monotonic
        clock. `clock`: by default that of recorded frames. `rng`: others are for tests only."""
        self._policy = policy
        self._draw = partial(discrete_laplace, rng=rng)
        self._clock = clock
        self._context = ReleaseContext(
            boot, seq, model, FILE_CLOCK, config.micro.enabled, false_alarms_per_minute
        )
        self._book = VisitBook(config.privacy)
        self._windows = Windows(
            policy.window, config.privacy.visit_gap, config.micro, bounded=policy.noised
        )
        self.flag = self._windows.flag
        self._rule = PublishingRule(policy)
        self._pending: dict[int, PendingRelease] = {}
        """By slot."""
        self._time = float("-inf")

    @property
    def seq(self) -> int:
        """The next summary's number."""
        return self._context.seq

    def observe(
        self, perceived: Perceived, *, slot: int = 0, dropped: int = 0, flags: Iterable[Flag] = ()
    ) -> list[Released]:
        """Add one frame's result; return the summaries of completed windows. `slot`: content on
        show; `dropped`: frames not analysed since the last call; `flags`: of the source."""
        flags = set(flags)
        if perceived.time < self._time:
            perceived = replace(perceived, time=self._time)
            flags.add("bad_timestamps")
        self._time = perceived.time
        ended = self._book.update(perceived, slot)
        self._windows.add_frame(perceived, slot, dropped, flags)
        self._windows.add_visits(ended)
        return self._release(self._windows.due(perceived.time))

    def listen(self, time: float, seconds: float, flags: Iterable[SoundFlag] = ()) -> None:
        """Sound was listened to for so many seconds until `time`, whatever was in it; without most
        of a window's the voices in its summary are null. `flags`: of that sound."""
        self._windows.listen(time, seconds, flags)

    def hear(self, tone: Tone, slot: int = 0) -> None:
        """Add a tone of voice: of its face's visit, or of the room. It may be as old as windows
        stay open after their end; like `read` and `fuse` it is not counted where the policy does
        not ask for it."""
        if not self._policy.hears:
            return
        if tone.track_id is None:
            self._windows.hear(tone, slot)
        else:
            self._book.hear(tone)

    def read(self, words: Words, slot: int = 0) -> None:
        """Add an utterance's sentiment, likewise."""
        if not self._policy.reads:
            return
        if words.track_id is None:
            self._windows.read(words, slot)
        else:
            self._book.read(words)

    def fuse(self, fused: Fused) -> None:
        """Add what the channels say together of one face."""
        if self._policy.listens:
            self._book.fuse(fused)

    def pass_time(self, time: float) -> list[Released]:
        """End visits and windows that are over at `time`, without a frame."""
        self._time = max(self._time, time)
        self._windows.add_visits(self._book.end_before(self._time))
        return self._release(self._windows.due(self._time))

    def finish(self) -> list[Released]:
        """End all visits; return the summaries of all open windows."""
        self._windows.add_visits(self._book.finish())
        return self._release(self._windows.finish())

    def _release(self, windows: list[Window]) -> list[Released]:
        return [self._release_slot(window, slot) for window in windows for slot in window.counts]

    def _release_slot(self, window: Window, slot: int) -> Released:
        pending = self._pending.setdefault(slot, PendingRelease())
        visits = pending.add_window(window, slot, self._policy, self._draw)
        pending.threshold = self._rule.threshold(slot, pending.windows, pending.first)
        context = replace(self._context, clock=self._clock())
        summary = release(pending, window, slot, self._policy, context, self._draw)
        self._context = replace(context, seq=(summary.seq + 1) % SEQ_LIMIT)
        if summary.visits is None:
            return Released(summary, visits)
        del self._pending[slot]
        self._rule.published(slot)
        return Released(summary)
