"""Devices, a roll-out and a clock in memory, for the decision core."""

from __future__ import annotations

import dataclasses
from typing import Any

from agent.base.report.job import TERMINAL
from tools.fleet.controller.decide import (
    ENDED,
    Action,
    Create,
    Decision,
    End,
    JobView,
    Member,
    OpenWave,
    RolloutView,
    TakeBack,
    TimeOut,
    decide,
)
from tools.fleet.controller.plan import Gates, Plan, parse_waves

OLD, NEW = "0.7.0", "0.8.0"


def plan(**changes: Any) -> Plan:
    fields: dict[str, Any] = {
        "kind": "app", "version": NEW, "waves": parse_waves("1%,10%,50%,100%"),
        "gates": Gates(soak=60, within=300), "timeout": 1000, "away": 100,
    } | changes  # fmt: skip
    return Plan(**fields)


class World:
    """Devices, a roll-out and a clock; carries out what is decided."""

    def __init__(self, devices: int, wanted: Plan) -> None:
        self.now = 1_000_000
        self.members = {
            f"box-{n}": Member(f"box-{n}", True, True, self.now, OLD, None) for n in range(devices)
        }
        self.rollout = RolloutView("r", wanted, "RUNNING", 0)
        self.jobs = 0
        self.log: list[Action] = []

    def change(self, device: str, **new: Any) -> None:
        self.members[device] = dataclasses.replace(self.members[device], **new)

    def job(self, device: str, **new: Any) -> None:
        job = self.members[device].job
        assert job is not None
        if new.get("status") in TERMINAL:
            new.setdefault("ended_at", self.now)
        self.change(device, job=dataclasses.replace(job, **new))
        if new.get("status") == "SUCCEEDED":
            self.change(device, installed=NEW)

    def apply(self, action: Action) -> None:
        self.log.append(action)
        wanted = self.rollout.plan
        if isinstance(action, Create):
            member = self.members[action.device]
            assert not member.busy, "two jobs at once"
            assert member.job is None or member.job.status == "REMOVED", "twice the same"
            assert self.rollout.status == "RUNNING", "a job after the end"
            self.jobs += 1
            job = JobView(
                f"{self.jobs:016x}", "QUEUED", None, action.wave, self.now + wanted.timeout, None
            )
            self.change(action.device, job=job)
        elif isinstance(action, TakeBack):
            job_now = self.members[action.device].job
            assert job_now is not None
            assert job_now.status == "QUEUED", "it had begun"
            self.job(action.device, status=action.status)
        elif isinstance(action, TimeOut):
            self.job(action.device, status="TIMED_OUT")
        elif isinstance(action, OpenWave):
            assert action.wave == self.rollout.wave + 1
            self.rollout = dataclasses.replace(self.rollout, wave=action.wave)
        elif isinstance(action, End):
            assert self.rollout.status not in ENDED, "it ended twice"
            self.rollout = dataclasses.replace(self.rollout, status=action.status)

    def decide(self) -> Decision:
        return decide(self.rollout, list(self.members.values()), self.now)

    def settle(self) -> Decision:
        """Until nothing is to be done; it must come to rest."""
        for _ in range(len(self.rollout.plan.waves) + 6):
            decision = self.decide()
            if not decision.actions:
                return decision
            for action in decision.actions:
                self.apply(action)
        raise AssertionError("it does not come to rest")

    def with_status(self, *statuses: str) -> list[str]:
        return [n for n, each in self.members.items() if each.job and each.job.status in statuses]

    def finish(self, status: str = "SUCCEEDED", **more: Any) -> list[str]:
        """Every open job ends so."""
        done = self.with_status("QUEUED", "IN_PROGRESS")
        for device in done:
            self.job(device, status=status, **more)
        return done
