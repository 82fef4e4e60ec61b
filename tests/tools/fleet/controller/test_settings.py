"""Settings over a real broker and both databases."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.tools.fleet.controller.conftest import Fleet
from tests.uplink.conftest import eventually

pytestmark = pytest.mark.slow

NAMES = [f"box-{n}" for n in range(5)]


def test_a_wish_arrives_once_and_a_restart_says_nothing_again(fleet: Fleet) -> None:
    devices = fleet.devices(NAMES)
    devices.come()
    stop = fleet.controller()
    fleet.knows(5)
    assert fleet.run("config", "set", "privacy.k=9", "--device", "box-1", "--device", "box-2") == 0
    eventually(
        lambda: devices.force["box-1"].privacy.k == devices.force["box-2"].privacy.k == 9,
        "it holds",
    )
    assert (
        fleet.run("config", "set", "privacy.k=10", "micro.enabled=false", "--device", "box-1") == 0
    )
    eventually(lambda: not devices.force["box-1"].micro.enabled, "the next one")
    eventually(
        lambda: {row["reported_version"] for row in fleet.rows("devices")} == {0, 1, 2},
        "it is known",
    )
    stop.set()
    fleet.controller()
    devices.go(NAMES)
    devices.come()
    time.sleep(2)
    assert set(devices.desired["box-1"]) == {1, 2}
    assert "box-3" not in devices.desired


def test_a_groups_wish_reaches_who_joins_and_is_taken_back_from_who_leaves(fleet: Fleet) -> None:
    devices = fleet.devices(NAMES)
    devices.come(NAMES[:4])
    fleet.controller()
    fleet.knows(4)
    assert fleet.run("tag", "box-0", "box-1", "+floor1") == 0
    assert fleet.run("group", "set", "first", "tag=floor1") == 0
    assert fleet.run("config", "set", "privacy.k=20", "--group", "first") == 0
    assert fleet.run("config", "set", "privacy.k=30", "--device", "box-1") == 0
    eventually(lambda: devices.force["box-0"].privacy.k == 20, "the group's")
    eventually(lambda: devices.force["box-1"].privacy.k == 30, "its own")
    assert fleet.run("tag", "box-0", "box-2", "-floor1") == 0
    assert fleet.run("tag", "box-2", "+floor1") == 0
    eventually(lambda: devices.force["box-2"].privacy.k == 20, "it joined")
    eventually(
        lambda: [row["config"] for row in fleet.rows("desired", "device = 'box-0'")] == ["{}"],
        "it left",
    )
    eventually(lambda: b'"config":{}' in devices.kept["fleeting/1/d/box-0/shadow/desired"], "told")
    assert "box-3" not in devices.desired


def test_one_that_comes_from_another_fleet_is_caught(fleet: Fleet) -> None:
    devices = fleet.devices(NAMES)
    devices.settings["box-0"] = 5_000_000
    devices.settings["box-1"] = 2**31 - 1
    devices.come(NAMES[:3])
    fleet.controller()
    fleet.knows(3)
    assert fleet.run("config", "set", "privacy.k=9", *(f"--device=box-{n}" for n in range(3))) == 0
    eventually(lambda: all(devices.force[name].privacy.k == 9 for name in NAMES[:3]), "all of them")
    assert [devices.settings[name] for name in NAMES[:3]] == [5_000_001, 1, 1]


def test_a_broker_that_lost_everything_is_told_again(fleet: Fleet) -> None:
    devices = fleet.devices(NAMES)
    devices.outcome = lambda name, job: "silent"
    devices.come()
    fleet.controller()
    fleet.knows(5)
    assert fleet.run("config", "set", "privacy.k=9", "--device", "box-1") == 0
    fleet.start("app", "0.2.0", "--waves", "100%")
    wanted = {f"fleeting/1/d/{name}/job/next" for name in NAMES}
    wanted.add("fleeting/1/d/box-1/shadow/desired")
    eventually(lambda: wanted <= {*devices.kept}, "it is told")
    fleet.broker.stop(kill=True)
    devices.kept.clear()
    fleet.broker.start()
    eventually(lambda: wanted <= {*devices.kept}, "it is told again")


def test_what_is_shown(fleet: Fleet, said: Callable[[], Any]) -> None:
    devices = fleet.devices(NAMES)
    devices.come()
    fleet.controller()
    fleet.knows(5)
    assert fleet.run("config", "set", "privacy.k=9", "--device", "box-1") == 0
    assert fleet.run("config", "set", "privacy.k=7", "--group", "shops") == 0
    eventually(lambda: fleet.rows("devices", "reported_version = 1"), "it is reported")
    assert fleet.run("config", "show", "--json") == 0
    shown = said()
    assert shown["groups"][0]["config"] == {"privacy.k": 7}
    (one,) = shown["devices"]
    assert (one["version"], one["reported_version"]) == (1, 1)
    assert one["in_force"]["privacy.k"] == 9
    assert fleet.run("config", "set", "privacy.epsilon=5", "--device", "box-1") == 1
    assert fleet.run("config", "set", "privacy.k=9", "--device", "nobody") == 1
