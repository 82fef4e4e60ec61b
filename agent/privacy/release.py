"""From windows to summaries: the only place where one is built.

How a visit is protected (unit: one visit, added or removed):

- It is counted in exactly one window, with an influence bounded per cell (`window.SENSITIVITY`).
- The number of visits of a window and slot is noised once, when the window closes. Whether the
  window is published is decided on noised numbers alone.
- A window below `k` is withheld; its visits wait for the slot's next windows. The noised number of
  all waiting windows is the sum of their noised numbers: post-processing, so however long they
  wait nobody's budget is spent twice. As that sum's noise grows with every window, it must also
  stand clear of the noise, lest an empty night look like a visit.
- All other cells are noised once, when their windows are published together.

So every visit takes part in one release per cell, and epsilon is per visit whatever the number of
windows (parallel composition: Dwork & Roth 2014, section 3.5). Quality figures are rounded.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from dataclasses import replace as replaced
from typing import Any, cast, get_args

from agent.base.clock import FILE_CLOCK, ClockReading
from agent.base.config import AgentConfig
from agent.base.report import (
    COUNT,
    SECONDS,
    SEQ_LIMIT,
    SUM,
    TENTHS,
    AttentionCounts,
    ClippedSum,
    ClosedModel,
    DwellCounts,
    ExpressionCounts,
    MicroCounts,
    Privacy,
    Quality,
    Summary,
    TimedWindow,
    UntimedWindow,
    Withheld,
    quantize,
)
from agent.base.types import Perceived
from agent.base.vocabulary import Cell, Flag, Reason, WindowLength
from agent.privacy.noise import SYSTEM, Draw, sampler
from agent.privacy.policy.rules import Policy
from agent.privacy.visits import VisitBook
from agent.privacy.window import (
    POLARITIES,
    SEEN,
    SENSITIVITY,
    Tally,
    Window,
    Windows,
    units,
)

WHY_UNSEEN = cast(tuple[Reason, ...], SEEN[1:])
FILE_BOOT = "00000000"
"""The boot id of summaries made from files."""
_CLEAR_OF_NOISE = 2.0
"""Standard deviations of the noise that waiting added to a slot's number of visits."""
_ROUNDING = 5
_BETRAY_LOAD: frozenset[Flag] = frozenset({"frames_dropped", "faces_skipped"})
"""Left out where noise is added: load betrays presence, and no noise covers it."""


@dataclass(slots=True)
class PendingRelease:
    """What one slot has to release: its newest window and those withheld before it."""

    tally: Tally = field(default_factory=Tally)
    visits: int = 0
    """Noised."""
    windows: int = 0
    seconds: int = 0
    capable_seconds: int = 0
    """Those whose frame rate can show a micro-expression."""

    def take(self, window: Window, slot: int, policy: Policy, draw: Draw) -> int:
        """Add one window's visits; returns their noised number."""
        visits = _noised(window.tallies[slot], "visits", policy, draw)[0]
        self.tally.merge(window.tallies[slot])
        self.visits += visits
        self.windows += 1
        self.seconds += window.seconds
        self.capable_seconds += window.capable_seconds
        return visits

    def threshold(self, policy: Policy) -> float:
        """The number of visits from which the stock is released."""
        if not policy.noised:
            return policy.k
        variance = 2 * float(SENSITIVITY["visits"] / policy.epsilon("visits")) ** 2
        clear = _CLEAR_OF_NOISE * math.sqrt(variance * (self.windows - 1))
        return max(policy.k, clear)


@dataclass(frozen=True, slots=True)
class ReleaseContext:
    """Who says it and when: everything in a summary that does not come from visits."""

    boot: str
    seq: int
    model: str
    clock: ClockReading
    micro_enabled: bool
    false_alarms_per_minute: float | None = None
    """Of the spotter, per analysable face-minute; None where that is not known."""


def release(
    stock: PendingRelease,
    window: Window,
    slot: int,
    policy: Policy,
    stamp: ReleaseContext,
    draw: Draw,
) -> Summary:
    """Turn what a slot has in stock into something that may leave the device.

    Where the noised number of visits is below the policy's `k` every cell is null, with the reason
    in `withheld`; the caller keeps the stock for the slot's next window. The only function that
    builds a `Summary`. `window` is the newest of the stock.
    """
    published = stock.visits >= stock.threshold(policy)
    cells, reasons = _cells(stock, published, policy, stamp, draw)
    flags = _flags(stock, window, policy, stamp, published)
    if _saturated(cells):
        flags.add("saturated")
    return Summary(
        boot=stamp.boot,
        seq=stamp.seq,
        window=_report_window(stock, window, stamp.clock, published),
        slot=slot,
        withheld=tuple(
            Withheld(cell=cell, reason=reasons[cell]) for cell in get_args(Cell) if cell in reasons
        ),
        privacy=Privacy(
            mechanism="discrete_laplace" if policy.noised else "none",
            epsilon_milli=policy.epsilon_milli,
            k=policy.k,
        ),
        quality=_quality(window, policy, flags),
        model=stamp.model[:8],
        policy=policy.name,
        policy_hash=policy.hash[:8],
        visits=cells.get("visits"),
        expression=cells.get("expression"),
        valence=cells.get("valence"),
        arousal=cells.get("arousal"),
        attention=cells.get("attention"),
        dwell=cells.get("dwell"),
        micro=cells.get("micro"),
        tone=cells.get("tone"),
    )


def _cells(
    stock: PendingRelease, published: bool, policy: Policy, stamp: ReleaseContext, draw: Draw
) -> tuple[dict[Cell, Any], dict[Cell, Reason]]:
    """The cells that may be said, and why the others may not."""
    values: dict[Cell, Any] = {}
    reasons: dict[Cell, Reason] = {}
    for cell in get_args(Cell):
        if cell == "tone":
            reasons[cell] = "no_microphone"
        elif cell not in policy.cells or (cell == "micro" and not stamp.micro_enabled):
            reasons[cell] = "policy"
        elif cell == "micro" and _too_slow(stock):
            reasons[cell] = "fps_too_low"
        elif not published:
            reasons[cell] = "below_k"
        elif cell == "visits":
            values[cell] = quantize(COUNT, stock.visits)
        else:
            numbers = _noised(stock.tally, cell, policy, draw)
            reason = _unseen(numbers, policy) if cell == "micro" else None
            if reason:
                reasons[cell] = reason
            else:
                values[cell] = _report(cell, numbers, stamp)
    return values, reasons


def _unseen(numbers: list[int], policy: Policy) -> Reason | None:
    """Why too few visits were analysable for micro-expressions, by the noised numbers."""
    analysable, *others = numbers[len(POLARITIES) : -1]
    return None if analysable >= policy.k else WHY_UNSEEN[others.index(max(others))]


def _noised(tally: Tally, cell: Cell, policy: Policy, draw: Draw) -> list[int]:
    """A cell's numbers with this cell's part of the budget spent on them."""
    numbers = tally.counts[cell]
    if not policy.noised:
        return numbers
    scale = SENSITIVITY[cell] / policy.epsilon(cell)
    return [number + draw(unit * scale) for number, unit in zip(numbers, units(cell), strict=True)]


_COUNTS: dict[Cell, type[ClosedModel]] = {
    "expression": ExpressionCounts,
    "attention": AttentionCounts,
    "dwell": DwellCounts,
}


def _report(cell: Cell, numbers: list[int], stamp: ReleaseContext) -> ClosedModel:
    """Noised numbers in their report type, as fine as it can say them: that costs no privacy."""
    if cell in ("valence", "arousal"):
        return ClippedSum(sum=quantize(SUM, numbers[0]))
    counts = [quantize(COUNT, number) for number in numbers]
    if cell == "micro":
        positive, negative, surprise, unspecified, analysable = counts[: len(POLARITIES) + 1]
        seconds = quantize(SECONDS, numbers[-1])
        return MicroCounts(
            positive=positive,
            negative=negative,
            surprise=surprise,
            unspecified=unspecified,
            analysable_visits=analysable,
            analysable_seconds=seconds,
            expected_false_alarms_tenths=_by_chance(seconds, stamp),
        )
    shape = _COUNTS[cell]
    return shape(**dict(zip(shape.model_fields, counts, strict=True)))


def _by_chance(seconds: int, stamp: ReleaseContext) -> int | None:
    """Tenths of false alarms in that time; made of noised seconds alone, so it costs nothing."""
    rate = stamp.false_alarms_per_minute
    if rate is None:
        return None
    return quantize(TENTHS, round(10 * rate * seconds / 60))


def _saturated(cells: dict[Cell, Any]) -> bool:
    """Whether the busiest number that a summary can hold was reached."""
    return cells.get("visits") == COUNT[-1][1]


def _too_slow(stock: PendingRelease) -> bool:
    """Whether most of the time the frame rate could not show a micro-expression."""
    return 2 * stock.capable_seconds < stock.seconds


def _flags(
    stock: PendingRelease, window: Window, policy: Policy, stamp: ReleaseContext, published: bool
) -> set[Flag]:
    flags = set(window.flags)
    if window.dropped:
        flags.add("frames_dropped")
    if window.crowded:
        flags.add("faces_skipped")
    if policy.noised:
        flags -= _BETRAY_LOAD
    if published and stock.windows > 1:
        flags.add("window_merged")
    if "micro" in policy.cells and stamp.micro_enabled and _too_slow(stock):
        flags.add("fps_too_low_for_micro")
    return flags


def _quality(window: Window, policy: Policy, flags: set[Flag]) -> Quality:
    step = _ROUNDING if policy.noised else 1
    usable = 100 * window.frames / (window.frames + window.dropped)
    return Quality(
        fps=max(0, min(240, step * round(window.fps / step))),
        usable=max(0, min(100, _ROUNDING * round(usable / _ROUNDING))),
        flags=tuple(flag for flag in get_args(Flag) if flag in flags),
    )


def _report_window(
    stock: PendingRelease, window: Window, clock: ClockReading, published: bool
) -> TimedWindow | UntimedWindow:
    length: WindowLength = window.length  # type: ignore[assignment]
    merged = min(stock.windows - 1, 255) if published else 0
    if clock.ahead is None or clock.trust == "none":
        offset = max(0, min(999_999_990, window.start))
        return UntimedWindow(offset=offset, length=length, merged=merged)
    start = 10 * round((window.start + clock.ahead) / 10)
    return TimedWindow(start=start, length=length, clock=clock.trust, merged=merged)


class Releaser:
    """Everything between perception and the outbox: visits, windows, release.

    `observe` takes each frame's result in turn, `finish` ends all visits and windows. Visits of a
    slot's last windows that stayed below `k` are never released.
    """

    def __init__(
        self,
        config: AgentConfig,
        policy: Policy,
        *,
        model: str,
        false_alarms: float | None = None,
        boot: str = FILE_BOOT,
        seq: int = 0,
        clock: Callable[[], ClockReading] = lambda: FILE_CLOCK,
        rng: random.Random = SYSTEM,
    ) -> None:
        """`model`: 16 hex digits of the models' joint hash. `false_alarms`: the micro-expression
        spotter's, per analysable face-minute; None where that is not known. `boot`, `seq`: those
        of the outbox for a live source, whose frames must be timed by the monotonic clock. `clock`:
        by default that of recorded frames, without wall time. Raises `ConfigError` where the engine
        that noise is to come from is missing."""
        self._policy = policy
        self._draw = sampler(config.privacy.engine, rng)
        self._clock = clock
        self._stamp = ReleaseContext(
            boot, seq, model, FILE_CLOCK, config.micro.enabled, false_alarms
        )
        self._book = VisitBook(config.privacy)
        self._windows = Windows(
            policy.window, config.privacy.visit_gap, config.micro, bounded=policy.noised
        )
        self._stocks: dict[int, PendingRelease] = {}
        self._withheld: dict[int, int] = {}
        self._time = float("-inf")

    @property
    def seq(self) -> int:
        """The next summary's number."""
        return self._stamp.seq

    def observe(
        self, perceived: Perceived, *, slot: int = 0, dropped: int = 0, flags: Iterable[Flag] = ()
    ) -> list[Summary]:
        """Add one frame's result; return the summaries of windows that are now complete.

        Parameters
        ----------
        slot
            The content that was on show, 0-255.
        dropped
            Frames since the last call that the source delivered and nobody looked at.
        flags
            What the source has to say about its quality.
        """
        flags = set(flags)
        if perceived.time < self._time:
            perceived = replaced(perceived, time=self._time)
            flags.add("bad_timestamps")
        self._time = perceived.time
        ended = self._book.update(perceived, slot)
        self._windows.add_frame(perceived, slot, dropped, flags)
        self._windows.add_visits(ended)
        return self._release(self._windows.due(perceived.time))

    def pass_time(self, time: float) -> list[Summary]:
        """Nothing was looked at until `time`: end the visits and windows that are over by then."""
        self._time = max(self._time, time)
        self._windows.add_visits(self._book.end_before(self._time))
        return self._release(self._windows.due(self._time))

    def withheld(self, summary: Summary) -> int:
        """The noised number of visits in a withheld summary's own window, told once; 0 for one that
        was published. For the receipt, which adds them up."""
        return self._withheld.pop(summary.seq, 0)

    def finish(self) -> list[Summary]:
        """End all visits; return the summaries of all windows that are left, the last perhaps
        partial."""
        self._windows.add_visits(self._book.finish())
        return self._release(self._windows.finish())

    def _release(self, windows: list[Window]) -> list[Summary]:
        return [self._release_slot(window, slot) for window in windows for slot in window.tallies]

    def _release_slot(self, window: Window, slot: int) -> Summary:
        stock = self._stocks.setdefault(slot, PendingRelease())
        visits = stock.take(window, slot, self._policy, self._draw)
        stamp = replaced(self._stamp, clock=self._clock())
        summary = release(stock, window, slot, self._policy, stamp, self._draw)
        if summary.visits is not None:
            del self._stocks[slot]
        else:
            self._withheld[summary.seq] = visits
        self._stamp = replaced(self._stamp, seq=(summary.seq + 1) % SEQ_LIMIT)
        return summary
