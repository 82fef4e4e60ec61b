"""What a roll-out does next: its state in, actions out. Pure: no I/O, no clock, no chance.

Applying the actions and deciding again comes to rest: what has been done is not done again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from agent.base.report.job import TERMINAL
from tools.fleet.controller.plan import AbortRule, FailureType, Plan

RolloutStatus = Literal["RUNNING", "PAUSED", "HALTED", "CANCELED", "SUCCEEDED"]
ENDED = frozenset({"HALTED", "CANCELED", "SUCCEEDED"})
"""Final: a roll-out never leaves these."""
_TAKEN_BACK = frozenset({"REMOVED", "CANCELED"})
"""Ends that say nothing about the release."""


@dataclass(frozen=True, slots=True)
class JobView:
    """A job of this roll-out."""

    job: str
    status: str
    """See `JobState`."""
    step: str | None
    wave: int
    deadline: int | None
    """Unix seconds, of beginning it or, once begun, of ending it."""
    ended_at: int | None

    @property
    def open(self) -> bool:
        return self.status not in TERMINAL


@dataclass(frozen=True, slots=True)
class Member:
    """A device that the selection names, or that has a job of this roll-out."""

    device: str
    selected: bool
    """Whether the selection names it now."""
    online: bool
    since: int
    """Unix seconds of its last birth or will."""
    installed: str | None
    """Version of the kind in force; null: unknown."""
    job: JobView | None
    """Its latest job of this roll-out, whatever its end."""
    busy: bool = False
    """It has an open job of another roll-out."""
    healthy: bool = True
    """Online, and perceives no worse than before its job."""


@dataclass(frozen=True, slots=True)
class RolloutView:
    rollout: str
    plan: Plan
    status: RolloutStatus
    wave: int
    """Index of the wave that is open."""


@dataclass(frozen=True, slots=True)
class Create:
    """A new job for a device."""

    device: str
    wave: int


@dataclass(frozen=True, slots=True)
class TakeBack:
    """A job that was not begun goes away: REMOVED, and the device may get another one later; or
    CANCELED for good."""

    device: str
    job: str
    status: Literal["REMOVED", "CANCELED"]


@dataclass(frozen=True, slots=True)
class TimeOut:
    """A job took longer than its deadline."""

    device: str
    job: str


@dataclass(frozen=True, slots=True)
class OpenWave:
    wave: int


@dataclass(frozen=True, slots=True)
class End:
    """The roll-out is over."""

    status: Literal["HALTED", "SUCCEEDED"]
    reason: str


Action = Create | TakeBack | TimeOut | OpenWave | End


@dataclass(frozen=True, slots=True)
class Decision:
    actions: tuple[Action, ...]
    waiting: str
    """What it waits for, in words for the operator; empty: for nothing."""


def order(rollout: str, device: str) -> bytes:
    """A device's place in a roll-out's waves: drawn by hash, so that it is the same each time, and
    another one in the next roll-out."""
    return hashlib.sha256(f"{rollout}/{device}".encode()).digest()


def failed_as(job: JobView, failure: FailureType) -> bool:
    """Whether a job ended in this type of failure."""
    if failure == "ALL":
        return job.status in ("FAILED", "REJECTED", "TIMED_OUT")
    if failure == "ROLLED_BACK":
        return job.status == "FAILED" and job.step == "ROLLED_BACK"
    return job.status == failure


def decide(rollout: RolloutView, members: Sequence[Member], now: int) -> Decision:
    """`now`: Unix seconds."""
    jobs = [(each, each.job) for each in members if each.job is not None]
    late = tuple(
        TimeOut(each.device, job.job)
        for each, job in jobs
        if job.deadline is not None
        and job.deadline <= now
        and (job.status == "IN_PROGRESS" or (job.status == "QUEUED" and each.online))
    )
    if late:  # decided upon once they are what they are
        return Decision(late, "")
    queued = [(each, job) for each, job in jobs if job.status == "QUEUED"]
    if rollout.status in ENDED:
        return Decision(_take_back(queued, "CANCELED"), "")
    broken = _broken_rule(rollout.plan.abort, [job for _, job in jobs])
    if broken:
        return Decision((End("HALTED", broken), *_take_back(queued, "CANCELED")), "")
    if rollout.status == "PAUSED":
        return Decision(_take_back(queued, "REMOVED"), "an operator: resume it")
    gone = _take_back(
        [
            (each, job)
            for each, job in queued
            if not each.selected or (not each.online and now - each.since >= rollout.plan.away)
        ],
        "REMOVED",
    )
    if gone:
        return Decision(gone, "")
    return _advance(rollout, members, queued, now)


def _take_back(
    queued: Iterable[tuple[Member, JobView]], status: Literal["REMOVED", "CANCELED"]
) -> tuple[TakeBack, ...]:
    return tuple(TakeBack(each.device, job.job, status) for each, job in queued)


def _broken_rule(rules: Sequence[AbortRule], jobs: Sequence[JobView]) -> str:
    """The first rule that is broken, in words."""
    executed = [job for job in jobs if not job.open and job.status not in _TAKEN_BACK]
    for rule in rules:
        if len(executed) >= rule.least:
            failed = sum(failed_as(job, rule.failure) for job in executed)
            if failed and failed * 100 >= rule.percent * len(executed):
                return f"{rule.failure}: {failed} of {len(executed)} (rule: {rule})"
    return ""


def _issued(member: Member) -> bool:
    """Whether it has a job that counts against the wave."""
    return member.job is not None and member.job.status != "REMOVED"


def _advance(
    rollout: RolloutView,
    members: Sequence[Member],
    queued: Sequence[tuple[Member, JobView]],
    now: int,
) -> Decision:
    plan = rollout.plan
    if not members and not plan.continuous:
        return Decision((), f"devices: none matches {plan.selection}")
    pool = [
        each
        for each in members
        if _issued(each) or (each.selected and each.installed != plan.version)
    ]
    pool.sort(key=lambda each: order(rollout.rollout, each.device))
    free = [each for each in pool if not _issued(each)]
    missing = plan.waves[rollout.wave].limit(len(pool)) - (len(pool) - len(free))
    ready = [each for each in free if each.online and not each.busy]
    if missing > 0 and ready:
        return Decision(tuple(Create(each.device, rollout.wave) for each in ready[:missing]), "")
    going = sum(each.job is not None and each.job.open for each in pool)
    if going:
        begun = going - len(queued)
        return Decision((), f"{_devices(going)}, {begun} at work")
    wave = [each for each in pool if each.job and _issued(each) and each.job.wave == rollout.wave]
    last = rollout.wave + 1 == len(plan.waves)
    if missing > 0 and not wave and not last:
        return Decision((), _absent(free))
    blocked = _gate(rollout, wave, now)
    if blocked is not None:
        return blocked
    if not last:
        return Decision((OpenWave(rollout.wave + 1),), "")
    if missing > 0:
        return Decision((), _absent(free))
    if plan.continuous:
        return Decision((), "devices that appear later")
    return Decision((End("SUCCEEDED", "all waves are through"),), "")


def _gate(rollout: RolloutView, wave: Sequence[Member], now: int) -> Decision | None:
    """What holds the next wave up; all jobs of this one have ended."""
    gates = rollout.plan.gates
    jobs = [each.job for each in wave if each.job]
    if not jobs:
        return None
    for failure, most in sorted(gates.failed.items()):
        failed = sum(failed_as(job, failure) for job in jobs)
        if failed * 100 > most * len(jobs):
            return _halt(f"gate: {failed} of {len(jobs)} {failure}, {most:g}% allowed")
    well = sum(job.status == "SUCCEEDED" for job in jobs)
    if well * 100 < gates.succeeded * len(jobs):
        return _halt(f"gate: {well} of {len(jobs)} SUCCEEDED, {gates.succeeded:g}% wanted")
    ended = max(job.ended_at or 0 for job in jobs)
    if now < ended + gates.soak:
        return Decision((), f"soak, {ended + gates.soak - now} s left")
    updated = [each for each in wave if each.job and each.job.status == "SUCCEEDED"]
    healthy = sum(each.healthy for each in updated)
    if healthy * 100 < gates.healthy * len(updated):
        said = f"{healthy} of {len(updated)} updated devices are well, {gates.healthy:g}% wanted"
        left = ended + max(gates.within, gates.soak) - now
        return _halt(f"gate: {said}") if left <= 0 else Decision((), f"{said}, {left} s left")
    return None


def _absent(free: Sequence[Member]) -> str:
    busy = sum(each.online for each in free)
    offline = len(free) - busy
    parts = [f"{_devices(offline)} to come online"] * bool(offline)
    parts += [f"{_devices(busy)} to end another job"] * bool(busy)
    return " and ".join(parts)


def _devices(number: int) -> str:
    return f"{number} device{'s' * (number != 1)}"


def _halt(reason: str) -> Decision:
    return Decision((End("HALTED", reason),), "")
