"""The decision core: waves, gates, rules that abort, devices that come and go."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.tools.fleet.controller.world import NEW, OLD, World, plan
from tools.common.errors import ToolError
from tools.fleet.controller.decide import End, Member, order
from tools.fleet.controller.plan import AbortRule, Gates, Wave, parse_rule, parse_waves


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
    assert world.settle().waiting == "3 devices to come online"
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
    assert world.settle().waiting == "1 device to end another job"


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
