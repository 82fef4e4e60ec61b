"""Turns pending windows into summaries; the only module that builds a `Summary`. `releaser` gathers
the windows.

Disclosure control, with one stay added or removed as the unit of privacy, a visit or a passer-by:

- Contribution bounding: a stay is counted in exactly one window and slot, and its contribution to
  each cell is bounded to the cell's L1 sensitivity (`window.SENSITIVITY`).
- The number of visits of a window and slot is noised once, when the window closes. Whether a window
  is published depends on noised numbers alone.
- Suppression below `k`: a withheld window's counts are added to the slot's next windows. The noised
  number of visits of several windows is the sum of theirs (post-processing: no further budget), and
  must also reach a threshold that grows with its noise; else an empty night would be published as
  visits (`publishing`).
- All other cells are noised once, when their windows are published together.

A stay is counted in `passing` or in all the other cells, never in both: by parallel composition
either side could spend the whole epsilon. They share it all the same. Which of the two a stay is
hangs on a moment more or less in view, which somebody who stands before another can take away;
that moves a stay from one side to the other, and as the shares of both sides add up to epsilon it
costs no more than taking the stay away.

Every stay thus takes part in one release per cell, and epsilon holds per visit whatever the number
of windows (parallel composition: Dwork & Roth 2014, section 3.5). What is said to a room, and no
visit's own, has a unit of its own: see `heard`. Quality figures are rounded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from agent.base.clock import ClockReading
from agent.base.report import (
    COUNT,
    FPS,
    Heard,
    HeardSummary,
    Privacy,
    Quality,
    Summary,
    TimedWindow,
    UntimedWindow,
    Withheld,
    quantize,
)
from agent.base.vocabulary import AnyCell, Cell, Flag, HeardCell, Reason, SoundFlag, WindowLength
from agent.privacy.cells import report_cell
from agent.privacy.noise import Draw
from agent.privacy.policy import hearing
from agent.privacy.policy.rules import Policy
from agent.privacy.window import (
    OUTCOMES,
    POLARITIES,
    SENSITIVITY,
    ExactCounts,
    Window,
    units,
)

_NOT_ANALYSABLE = cast(tuple[Reason, ...], OUTCOMES[1:])
_ROUNDING = 5
_LOAD_FLAGS: frozenset[Flag] = frozenset({"frames_dropped", "faces_skipped"})
"""Suppressed where noise is added: they depend on the exact number of faces in view."""
_VOICES_FLAGS: frozenset[SoundFlag] = frozenset({"sound_clipped", "sound_lost"})
"""Suppressed likewise: a loud voice clips, and load loses sound."""


@dataclass(slots=True)
class PendingRelease:
    """Counts of one slot not yet published: its newest window and those withheld before it."""

    counts: ExactCounts = field(default_factory=ExactCounts)
    visits: int = 0
    """Noised."""
    windows: int = 0
    first: int = 0
    """The oldest window's number."""
    threshold: int = 0
    """The noised number of visits below which they are withheld, if it is more than k: of
    `PublishingRule`, for so many windows. Must not depend on exact numbers."""
    seconds: int = 0
    capable_seconds: int = 0
    """Those with a frame rate sufficient for micro-expressions."""
    listened: float = 0.0
    """Seconds of sound."""

    def add_window(self, window: Window, slot: int, policy: Policy, draw: Draw) -> int:
        """Add one window's visits; returns their noised number."""
        visits = _noised(window.counts[slot], "visits", policy, draw)[0]
        self.counts.merge(window.counts[slot])
        self.visits += visits
        self.first = self.first if self.windows else window.index
        self.windows += 1
        self.seconds += window.seconds
        self.capable_seconds += window.capable_seconds
        self.listened += window.listened
        return visits


@dataclass(frozen=True, slots=True)
class ReleaseContext:
    """Inputs of a summary that do not depend on visits."""

    boot: str
    seq: int
    model: str
    clock: ClockReading
    micro_enabled: bool
    false_alarms_per_minute: float | None = None
    """Of the spotter, per analysable face-minute; None where unknown."""


def release(
    pending: PendingRelease,
    window: Window,
    slot: int,
    policy: Policy,
    context: ReleaseContext,
    draw: Draw,
) -> Summary:
    """Build a summary, which may leave the device, from a slot's pending counts.

    Where the noised number of visits is below k or the threshold every cell is null, with the
    reason in `withheld`; the caller keeps `pending` for the slot's next window. `window`: the
    newest pending one.
    """
    published = pending.visits >= max(policy.k, pending.threshold)
    cells, reasons = _cells(pending, published, policy, context, draw)
    flags = _flags(pending, window, policy, context, published)
    if COUNT[-1][1] in (cells["visits"], cells["passing"]):
        flags.add("saturated")
    values: dict[str, Any] = {
        "boot": context.boot,
        "seq": context.seq,
        "window": _report_window(pending, window, context.clock, published),
        "slot": slot,
        "shown": 5 * round(20 * window.share_shown(slot)),
        "withheld": tuple(
            Withheld(cell=cell, reason=reasons[cell]) for cell in get_args(Cell) if cell in reasons
        ),
        "privacy": Privacy(
            mechanism="discrete_laplace" if policy.noised else "none",
            epsilon_milli=policy.epsilon_milli,
            k=policy.k,
        ),
        "quality": _quality(window, policy, flags),
        "model": context.model[:8],
        "policy": policy.name,
        "policy_hash": policy.hash[:8],
        **cells,
    }
    if not policy.listens:
        return Summary(**values)
    return HeardSummary(**values, heard=_heard(pending, window, published, policy, draw))


def _cells(
    pending: PendingRelease, published: bool, policy: Policy, context: ReleaseContext, draw: Draw
) -> tuple[dict[str, Any], dict[Cell, Reason]]:
    """Values of all cells, None where withheld, and the reasons."""
    values: dict[str, Any] = dict.fromkeys(get_args(Cell))
    reasons: dict[Cell, Reason] = {}
    for cell in get_args(Cell):
        if cell == "tone" and not (policy.hears and _listened(pending)):
            reasons[cell] = "no_microphone"
        elif cell not in policy.cells or (cell == "micro" and not context.micro_enabled):
            reasons[cell] = "policy"
        elif cell == "micro" and _too_slow(pending):
            reasons[cell] = "fps_too_low"
        elif not published:
            reasons[cell] = "below_k"
        elif cell == "visits":
            values[cell] = quantize(COUNT, pending.visits)
        else:
            numbers = _noised(pending.counts, cell, policy, draw)
            if cell == "passing":
                values[cell] = quantize(COUNT, numbers[0])
                continue
            reason = _not_analysable(numbers, policy) if cell == "micro" else None
            if reason:
                reasons[cell] = reason
            else:
                values[cell] = report_cell(cell, numbers, context.false_alarms_per_minute)
    return values, reasons


def _heard(
    pending: PendingRelease, window: Window, published: bool, policy: Policy, draw: Draw
) -> Heard:
    """What voices and words said; null where withheld."""
    state: Literal["published", "below_k"] = "published" if published else "below_k"
    voice: Literal["published", "below_k", "no_microphone", "policy"]
    voice = state if _listened(pending) else "no_microphone"
    voice, text = voice if policy.hears else "policy", state if policy.reads else "policy"
    left_out = {
        *(hearing.VOICE if voice != "published" else ()),
        *(hearing.WORDS if text != "published" else ()),
        *(() if published else hearing.TOGETHER),
    }
    values: dict[str, Any] = dict.fromkeys(get_args(HeardCell))
    values |= {
        cell: report_cell(cell, _noised(pending.counts, cell, policy, draw), None)
        for cell in get_args(HeardCell)
        if cell in policy.cells and cell not in left_out
    }
    flags = window.sound_flags - (_VOICES_FLAGS if policy.noised else set())
    values["flags"] = tuple(flag for flag in get_args(SoundFlag) if flag in flags)
    return Heard(voice=voice, text=text, **values)


def _listened(pending: PendingRelease) -> bool:
    """Whether there was sound most of the time."""
    return 2 * pending.listened >= pending.seconds > 0


def _not_analysable(numbers: list[int], policy: Policy) -> Reason | None:
    """The main reason, by noised counts, if fewer than k visits were analysable; else None."""
    analysable, *others = numbers[len(POLARITIES) : -1]
    return None if analysable >= policy.k else _NOT_ANALYSABLE[others.index(max(others))]


def _noised(counts: ExactCounts, cell: AnyCell, policy: Policy, draw: Draw) -> list[int]:
    """A cell's numbers with noise that spends the cell's share of epsilon."""
    numbers = counts.cells[cell]
    if not policy.noised:
        return numbers
    scale = SENSITIVITY[cell] / policy.epsilon(cell)
    return [number + draw(unit * scale) for number, unit in zip(numbers, units(cell), strict=True)]


def _too_slow(pending: PendingRelease) -> bool:
    """Whether the frame rate was too low for micro-expressions most of the time."""
    return 2 * pending.capable_seconds < pending.seconds


def _flags(
    pending: PendingRelease,
    window: Window,
    policy: Policy,
    context: ReleaseContext,
    published: bool,
) -> set[Flag]:
    flags = set(window.flags)
    if window.dropped:
        flags.add("frames_dropped")
    if window.over_budget:
        flags.add("faces_skipped")
    # most of the window's frames: the room, not somebody who stands before the camera for a moment
    if 2 * window.dark > window.frames:
        flags.add("low_light")
    if policy.noised:
        flags -= _LOAD_FLAGS
    if published and pending.windows > 1:
        flags.add("window_merged")
    if "micro" in policy.cells and context.micro_enabled and _too_slow(pending):
        flags.add("fps_too_low_for_micro")
    return flags


def _quality(window: Window, policy: Policy, flags: set[Flag]) -> Quality:
    step = _ROUNDING if policy.noised else 1
    usable = 100 * window.frames / (window.frames + window.dropped)
    return Quality(
        fps=quantize(FPS, step * round(min(FPS[-1][1], window.fps) / step)),
        usable=max(0, min(100, _ROUNDING * round(usable / _ROUNDING))),
        flags=tuple(flag for flag in get_args(Flag) if flag in flags),
    )


def _report_window(
    pending: PendingRelease, window: Window, clock: ClockReading, published: bool
) -> TimedWindow | UntimedWindow:
    length: WindowLength = window.length  # type: ignore[assignment]
    merged = min(pending.windows - 1, 255) if published else 0
    if clock.utc_offset is None or clock.trust == "none":
        offset = max(0, min(999_999_990, window.start))
        return UntimedWindow(offset=offset, length=length, merged=merged)
    start = 10 * round((window.start + clock.utc_offset) / 10)
    return TimedWindow(start=start, length=length, clock=clock.trust, merged=merged)
