"""Rules for single summaries: constants of the policy, a grid of windows, numbers that grow."""

from __future__ import annotations

from collections.abc import Collection

from agent.base.report import SEQ_LIMIT, Summary
from agent.privacy.policy.rules import Policy
from agent.uplink.warden.state import Rules, Run

FUTURE = 86_400
"""Seconds that a window's start may be ahead of the clock: it was another when the window was
released, such as a battery-backed clock in local time."""
_LAST_OFFSET = 999_999_990
"""Larger offsets are given as this one."""
_PHASE = 30
"""Seconds by which the grid of a machine's windows may move on the wall clock from one to the next:
two roundings to tens, and the clock's regulation."""


def rules_of(policy: Policy) -> Rules:
    """What every summary under a policy says."""
    return Rules(
        policy.name,
        policy.hash[:8],
        policy.k,
        policy.epsilon_milli,
        policy.window,
        form=2 if policy.listens else 1,
    )


def permitted(summary: Summary, rules: Collection[Rules], oldest: float, newest: float) -> bool:
    """Whether it is one of an honest device. `oldest`, `newest`: UTC seconds of a window's start,
    infinite while the clock is not trusted."""
    privacy, window = summary.privacy, summary.window
    said = Rules(
        summary.policy,
        summary.policy_hash,
        privacy.k,
        privacy.epsilon_milli,
        window.length,
        summary.v,
    )
    if said not in rules or (privacy.mechanism == "none") != (privacy.epsilon_milli == 0):
        return False
    if window.start is None:
        return window.offset % window.length == 0 or window.offset == _LAST_OFFSET
    return oldest <= window.start <= newest


def follows(summary: Summary, run: Run) -> bool:
    """Whether a summary of the same boot has a later number and the same model."""
    ahead = (summary.seq - run.seq) % SEQ_LIMIT
    return 0 < ahead < SEQ_LIMIT // 2 and summary.model == run.model


def grows(summary: Summary, run: Run) -> bool:
    """Whether its window ends after the slot's last one, on the same grid.

    Ends, not starts: where the length changes, the first longer window may begin before the last
    shorter one. In windows of ten seconds rounding can make two wall times the same.
    """
    window = summary.window
    if window.start is None:
        return window.offset + window.length > run.ends.get(summary.slot, -1)
    end = window.start + window.length
    least = run.timed.get(summary.slot, 0) + (0 if window.length == 10 else 1)
    if run.newest is None:
        return end >= least
    grid = min(window.length, run.length)
    off = (end - run.newest) % grid
    return end >= least and min(off, grid - off) <= _PHASE


def advance(summary: Summary, run: Run) -> None:
    """Note a summary as the newest of its run."""
    window = summary.window
    run.seq, run.length = summary.seq, window.length
    if window.start is None:
        run.ends[summary.slot] = window.offset + window.length
    else:
        end = window.start + window.length
        run.timed[summary.slot] = end
        run.newest = end if run.newest is None else max(run.newest, end)
