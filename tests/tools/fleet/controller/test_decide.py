"""The decision core, alone and against a world that does what it likes."""

from __future__ import annotations

import dataclasses
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agent.base.report.job import TERMINAL
from tools.common.errors import ToolError
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
    order,
)
from tools.fleet.controller.plan import AbortRule, Gates, Plan, Wave, parse_rule, parse_waves

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


def test_waves_open_one_after_the_other_and_each_waits_for_its_soak() -> None:
    world = World(200, plan())
    sizes = []
    for _ in range(4):
        world.settle()
        sizes.append(len(world.finish()))
        assert world.settle().waiting == "soak, 60 s left"
        assert not world.finish()
        world.now += 60
    assert sizes == [2, 18, 80, 100]
    world.settle()
    assert world.rollout.status == "SUCCEEDED"
    assert all(each.installed == NEW for each in world.members.values())


def test_the_same_devices_come_first_each_time_and_others_in_the_next_rollout() -> None:
    names = [f"box-{n}" for n in range(100)]

    def first(rollout: str) -> list[str]:
        return sorted(names, key=lambda name: order(rollout, name))[:10]

    assert first("a") == first("a") != first("b")


def test_one_that_has_the_version_is_done_and_takes_nobodys_place() -> None:
    world = World(10, plan(waves=parse_waves("1,100%")))
    for n in range(5):
        world.change(f"box-{n}", installed=NEW)
    world.settle()
    assert len(world.finish()) == 1
    world.now += 60
    world.settle()
    assert len(world.finish()) == 4
    world.now += 60
    world.settle()
    assert world.rollout.status == "SUCCEEDED"
    assert world.jobs == 5


def test_offline_devices_wait_and_hold_nobody_up() -> None:
    world = World(10, plan(waves=parse_waves("2,100%")))
    away = sorted(world.members, key=lambda name: order("r", name))[:3]
    for name in away:
        world.change(name, online=False)
    world.settle()
    assert not set(world.finish()) & {*away}
    world.now += 60
    world.settle()
    assert len(world.finish()) == 5
    world.now += 60
    assert world.settle().waiting == "3 devices that are offline"
    for name in away:
        world.change(name, online=True)
    world.settle()
    assert sorted(world.finish()) == sorted(away)
    world.now += 60
    world.settle()
    assert world.rollout.status == "SUCCEEDED"


def test_one_that_goes_away_before_it_began_gives_its_place_to_another() -> None:
    world = World(10, plan(waves=parse_waves("1,100%")))
    world.settle()
    (name,) = world.with_status("QUEUED")
    world.change(name, online=False, since=world.now)
    world.now += 99
    world.settle()
    assert world.with_status("QUEUED") == [name]
    world.now += 1
    world.settle()
    (other,) = world.with_status("QUEUED")
    assert other != name
    world.change(name, online=True, since=world.now)
    world.settle()
    assert world.with_status("QUEUED") == [other], "never beyond the wave"


def test_an_abort_rule_halts_and_takes_back_what_was_not_begun() -> None:
    rule = AbortRule(failure="ALL", percent=10, least=10)
    world = World(100, plan(waves=parse_waves("100%"), abort=(rule,)))
    world.settle()
    names = world.with_status("QUEUED")
    for name in names[:30]:
        world.job(name, status="IN_PROGRESS")
    for name in names[:8]:
        world.job(name, status="SUCCEEDED")
    world.job(names[8], status="REJECTED")
    world.settle()
    assert not world.log[-1:] or not isinstance(world.log[-1], End), "nine are no ten"
    world.job(names[9], status="FAILED", step="ROLLED_BACK")
    world.settle()
    assert world.rollout.status == "HALTED"
    assert len(world.with_status("CANCELED")) == 70
    assert len(world.with_status("IN_PROGRESS")) == 20, "what has begun goes on"
    world.finish()
    world.settle()
    assert world.rollout.status == "HALTED", "final"


@pytest.mark.parametrize(
    ("failure", "job", "halts"),
    [
        ("FAILED", {"status": "FAILED"}, True),
        ("FAILED", {"status": "FAILED", "step": "ROLLED_BACK"}, True),
        ("FAILED", {"status": "REJECTED"}, False),
        ("REJECTED", {"status": "REJECTED"}, True),
        ("TIMED_OUT", {"status": "TIMED_OUT"}, True),
        ("ROLLED_BACK", {"status": "FAILED", "step": "VERIFIED"}, False),
        ("ROLLED_BACK", {"status": "FAILED", "step": "ROLLED_BACK"}, True),
        ("ALL", {"status": "TIMED_OUT"}, True),
        ("ALL", {"status": "CANCELED"}, False),
    ],
)
def test_failure_types(failure: Any, job: dict[str, str], halts: bool) -> None:
    rule = AbortRule(failure=failure, percent=50, least=1)
    world = World(2, plan(waves=parse_waves("100%"), abort=(rule,)))
    world.settle()
    world.job("box-0", **job)
    world.settle()
    assert (world.rollout.status == "HALTED") is halts


def test_a_canary_that_fails_halts_at_the_gate_without_any_rule() -> None:
    world = World(100, plan(abort=()))
    world.settle()
    world.finish("FAILED", step="ROLLED_BACK")
    decision = world.decide()
    assert decision.actions == (End("HALTED", "gate: 0 of 1 SUCCEEDED, 95% wanted"),)


def test_the_gate_of_a_failure_type() -> None:
    gates = Gates(succeeded=0, failed={"REJECTED": 20}, soak=0)
    for rejected, status in ((2, "RUNNING"), (3, "HALTED")):
        world = World(100, plan(waves=parse_waves("10,100%"), abort=(), gates=gates))
        world.settle()
        for name in world.with_status("QUEUED")[:rejected]:
            world.job(name, status="REJECTED")
        world.finish()
        world.settle()
        assert world.rollout.status == status


def test_the_health_gate_waits_and_then_halts() -> None:
    world = World(100, plan(waves=parse_waves("10,100%")))
    world.settle()
    names = world.finish()
    for name in names[:2]:
        world.change(name, healthy=False)
    world.now += 60
    assert world.settle().waiting == "8 of 10 updated devices are well, 90% wanted, 240 s left"
    assert world.rollout.wave == 0
    world.change(names[0], healthy=True)
    world.settle()
    assert world.rollout.wave == 1
    world.finish()
    world.now += 60
    for name in world.members:
        world.change(name, healthy=False)
    world.settle()
    world.now += 240
    world.settle()
    assert world.rollout.status == "HALTED"


def test_time_runs_out_for_what_was_begun_and_for_who_never_answers() -> None:
    world = World(3, plan(waves=parse_waves("100%"), abort=(), away=10_000))
    world.settle()
    world.job("box-0", status="IN_PROGRESS")
    world.change("box-1", online=False)
    world.now += 1000
    world.settle()
    assert world.with_status("TIMED_OUT") == ["box-0", "box-2"]
    assert world.with_status("QUEUED") == ["box-1"], "it is only away"


def test_pause_takes_back_and_resume_gives_again() -> None:
    world = World(10, plan(waves=parse_waves("5,100%")))
    world.settle()
    names = world.with_status("QUEUED")
    world.job(names[0], status="IN_PROGRESS")
    world.rollout = dataclasses.replace(world.rollout, status="PAUSED")
    world.settle()
    assert world.with_status("REMOVED") == names[1:]
    world.rollout = dataclasses.replace(world.rollout, status="RUNNING")
    world.settle()
    assert world.with_status("QUEUED", "IN_PROGRESS") == names


def test_a_paused_rollout_still_halts() -> None:
    world = World(10, plan(waves=parse_waves("100%"), abort=(parse_rule("FAILED:10"),)))
    world.settle()
    world.job("box-0", status="IN_PROGRESS")
    world.rollout = dataclasses.replace(world.rollout, status="PAUSED")
    world.settle()
    world.job("box-0", status="FAILED")
    world.settle()
    assert world.rollout.status == "HALTED"


def test_devices_that_appear_later_join() -> None:
    world = World(10, plan(waves=parse_waves("100%"), continuous=True))
    world.settle()
    world.finish()
    world.now += 60
    assert world.settle().waiting == "devices that appear later"
    world.members["new"] = Member("new", True, True, world.now, OLD, None)
    world.settle()
    assert world.with_status("QUEUED") == ["new"]


def test_one_that_leaves_the_selection_loses_a_job_that_it_has_not_begun() -> None:
    world = World(2, plan(waves=parse_waves("100%")))
    world.settle()
    world.change("box-0", selected=False)
    world.settle()
    assert world.with_status("REMOVED") == ["box-0"]
    assert world.with_status("QUEUED") == ["box-1"]


def test_a_busy_device_waits_for_its_other_job() -> None:
    world = World(2, plan(waves=parse_waves("100%")))
    world.change("box-0", busy=True)
    world.settle()
    assert world.with_status("QUEUED") == ["box-1"]
    world.finish()
    world.now += 60
    assert world.settle().waiting == "1 devices with another job"


def test_nothing_matches() -> None:
    world = World(0, plan(selection="tag=none"))
    assert world.settle().waiting == "devices: none matches tag=none"


@pytest.mark.parametrize("text", ["", "0", "0%", "101%", "1%,1%", "x", "5,,6", "-1", "50%,10%"])
def test_waves_that_are_none(text: str) -> None:
    with pytest.raises((ToolError, ValueError)):
        plan(waves=parse_waves(text))


@pytest.mark.parametrize("text", ["", "ALL", "ALL:0", "ALL:101", "SOME:5", "ALL:5:0", "ALL:5:x"])
def test_rules_that_are_none(text: str) -> None:
    with pytest.raises(ToolError, match="no abort rule"):
        parse_rule(text)


def test_percentages_are_exact() -> None:
    assert Wave(percent=1).limit(100) == 1
    assert Wave(percent=1).limit(101) == 2
    assert Wave(percent=7).limit(100) == 7, "not what 0.07 * 100 says in binary"
    assert Wave(percent=0.1).limit(5) == 1
    assert Wave(count=50).limit(20) == 20


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
