"""The decision core against a world that does what it likes."""

from __future__ import annotations

import dataclasses
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agent.base.report.job import TERMINAL
from tests.tools.fleet.controller.world import NEW, OLD, World, plan
from tools.fleet.controller.decide import ENDED, Create, Member
from tools.fleet.controller.plan import AbortRule, Gates, parse_waves


class Chaos(RuleBasedStateMachine):
    """Anything may happen between two decisions."""

    @initialize(
        devices=st.integers(0, 12),
        waves=st.sampled_from(["100%", "1,100%", "1%,10%,50%,100%", "2,50%", "3"]),
        rules=st.lists(
            st.builds(
                AbortRule,
                failure=st.sampled_from(["FAILED", "REJECTED", "TIMED_OUT", "ROLLED_BACK", "ALL"]),
                percent=st.sampled_from([1.0, 20.0, 50.0, 100.0]),
                least=st.integers(1, 6),
            ),
            max_size=2,
        ),
        succeeded=st.sampled_from([0.0, 50.0, 95.0]),
        continuous=st.booleans(),
    )
    def begin(
        self, devices: int, waves: str, rules: list[AbortRule], succeeded: float, continuous: bool
    ) -> None:
        wanted = plan(
            waves=parse_waves(waves), abort=tuple(rules), continuous=continuous,
            gates=Gates(soak=60, within=120, succeeded=succeeded),
        )  # fmt: skip
        self.world = World(devices, wanted)
        self.final: str | None = None

    def some(self, data: Any, *statuses: str) -> str | None:
        names = self.world.with_status(*statuses) if statuses else list(self.world.members)
        return data.draw(st.sampled_from(names)) if names else None

    @rule(data=st.data())
    def flaps(self, data: Any) -> None:
        if name := self.some(data):
            online = self.world.members[name].online
            self.world.change(name, online=not online, since=self.world.now)

    @rule(data=st.data(), new=st.booleans())
    def changes(self, data: Any, new: bool) -> None:
        if name := self.some(data):
            what = data.draw(st.sampled_from(["selected", "busy", "healthy"]))
            open_job = name in self.world.with_status("QUEUED", "IN_PROGRESS")
            if not (what == "busy" and new and open_job):
                self.world.change(name, **{what: new})

    @rule()
    def appears(self) -> None:
        name = f"late-{len(self.world.members)}"
        self.world.members[name] = Member(name, True, True, self.world.now, OLD, None)

    @rule(data=st.data())
    def begins(self, data: Any) -> None:
        if name := self.some(data, "QUEUED"):
            self.world.job(name, status="IN_PROGRESS")

    @rule(
        data=st.data(),
        status=st.sampled_from(["SUCCEEDED", "FAILED", "REJECTED"]),
        late=st.booleans(),
    )
    def answers(self, data: Any, status: str, late: bool) -> None:
        which = ("TIMED_OUT", "CANCELED", "REMOVED") if late else ("QUEUED", "IN_PROGRESS")
        if name := self.some(data, *which):
            self.world.job(name, status=status, step="ROLLED_BACK" if status == "FAILED" else None)

    @rule(seconds=st.sampled_from([1, 59, 60, 101, 1001]))
    def time_passes(self, seconds: int) -> None:
        self.world.now += seconds

    @rule(status=st.sampled_from(["PAUSED", "RUNNING", "RUNNING", "CANCELED"]))
    def an_operator(self, status: Any) -> None:
        if self.world.rollout.status not in ENDED:
            self.world.rollout = dataclasses.replace(self.world.rollout, status=status)

    @rule()
    def decides(self) -> None:
        """Actions themselves are checked where they are carried out."""
        world = self.world
        counted = ("QUEUED", "IN_PROGRESS", *(TERMINAL - {"REMOVED"}))
        before = len(world.with_status(*counted))
        log = len(world.log)
        world.settle()
        assert not world.decide().actions, "decided twice"
        made = [each for each in world.log[log:] if isinstance(each, Create)]
        pool = [
            each
            for each in world.members.values()
            if (each.job and each.job.status != "REMOVED")
            or (each.selected and each.installed != NEW)
        ]
        most = world.rollout.plan.waves[world.rollout.wave].limit(len(pool))
        assert not made or len(world.with_status(*counted)) <= max(most, before), "beyond the wave"
        if world.rollout.status in ENDED or world.rollout.status == "PAUSED":
            assert not world.with_status("QUEUED"), "something would still begin"

    @invariant()
    def an_end_is_final(self) -> None:
        if not hasattr(self, "world"):
            return
        status = self.world.rollout.status
        assert self.final is None or status == self.final
        if status in ENDED:
            self.final = status

    @rule()
    def converges(self) -> None:
        """Once everybody is there and does its job, it ends and all have the version."""
        world = self.world
        if world.rollout.status in ENDED or world.rollout.plan.continuous:
            return
        world.rollout = dataclasses.replace(world.rollout, status="RUNNING")
        for name in world.members:
            world.change(name, online=True, busy=False, healthy=True, since=world.now)
        for _ in range(3 * len(world.rollout.plan.waves) + 6):
            world.settle()
            world.finish()
            world.now += 121
            if world.rollout.status in ENDED:
                break
        if world.members:
            chosen = [each for each in world.members.values() if each.selected]
            assert world.rollout.status in ENDED or not chosen
            if world.rollout.status == "SUCCEEDED" and world.rollout.plan.waves[-1].percent == 100:
                assert all(
                    each.installed == NEW or (each.job and each.job.status in TERMINAL)
                    for each in chosen
                )


Chaos.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestChaos = pytest.mark.slow(Chaos.TestCase)
