"""Every kind of alert, raised and ended by what devices say; nothing is raised for a well one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.summaries import POLICY
from tests.tools.fleet import filled
from tests.tools.fleet.alerts.conftest import DAY, HOUR, MINUTE, World
from tools.fleet.alerts import BY_NAME
from tools.fleet.alerts.kinds import CERTIFICATE_DAYS

Act = Callable[[World], None]
BOX = "box-7"


def ill(**said: Any) -> tuple[Act, Act]:
    """Health that says so, and health that does not."""
    return (lambda world: world.well(BOX, **said)), (lambda world: world.well(BOX))


def events(code: Any, *more: Any, end: Any = None) -> tuple[Act, Act]:
    def begin(world: World) -> None:
        for each in (code, *more):
            world.event(BOX, each)

    def cure(world: World) -> None:
        if end is not None:
            world.event(BOX, end)

    return begin, cure


def offline(world: World) -> None:
    world.control(BOX, "state", b"offline")


def online(world: World) -> None:
    world.control(BOX, "state", b"online")


def missing(world: World) -> None:
    for seq in (0, 3):
        world.say(BOX, filled.busy(POLICY, seq))


def found(world: World) -> None:
    for seq in (1, 2):
        world.say(BOX, filled.busy(POLICY, seq))


def ending(world: World) -> None:
    world.store.execute(
        "UPDATE devices SET certificate_end = ? WHERE device = ?", (world.now + 10 * DAY, BOX)
    )


def renewed(world: World) -> None:
    world.store.execute(
        "UPDATE devices SET certificate_end = ? WHERE device = ?", (world.now + 90 * DAY, BOX)
    )


def failed(world: World) -> None:
    filled.add_job(world.store, "0" * 16, BOX, "IN_PROGRESS", created_at=world.now)
    world.answer(BOX, "0" * 16, status="FAILED", step="ROLLED_BACK", reason="crashed")


def succeeded(world: World) -> None:
    filled.add_job(world.store, "1" * 16, BOX, "QUEUED", created_at=world.now)
    world.answer(BOX, "1" * 16, status="SUCCEEDED", step="SOAKING", app="0.2.0")


def halted(world: World) -> None:
    filled.insert(
        world.store, "rollouts", rollout="r1", kind="app", version="0.2.0", status="HALTED",
        waves="[]", wave=0, gates="{}", abort_rules="[]", selection="all", created_at=world.now,
    )  # fmt: skip


def resumed(world: World) -> None:
    world.store.execute("UPDATE rollouts SET status = 'ABORTED'")


def weaker(world: World) -> None:
    cage = {
        "network": "open",
        "writes": "confined",
        "found_open": ("inet",),
        "layers": ("seccomp",),
    }
    world.born(BOX, cage=cage)


def nonsense(world: World) -> None:
    for number in range(12):
        world.raw(BOX, "summary", b"{%d" % number)


def taken_over(world: World) -> None:
    for boot in ("0a1b2c3d", "ffffffff", "0a1b2c3d", "ffffffff"):
        world.now += 10 * MINUTE
        world.well(BOX, boot=boot)
    world.born(BOX)


def nothing(_: World) -> None: ...


SICK: dict[str, tuple[Act, Act]] = {
    "offline": (offline, online),
    "absent": ill(perception="absent", boot=None),
    "camera": ill(perception="stalled"),
    "microphone": events("microphone_stalled", end="microphone_restarted"),
    "hot": ill(temperature=90),
    "power": ill(power="undervolt"),
    "clock": ill(clock="none"),
    "disk": ill(disk="full"),
    "outbox": ill(waiting=1000),
    "lost": events("outbox_trimmed", "summaries_lost"),
    "gap": (missing, found),
    "takeover": (taken_over, nothing),
    "quota": events("quota_exceeded"),
    "certificate": (ending, renewed),
    "update": (failed, succeeded),
    "rollout": (halted, resumed),
    "settings": (
        lambda world: world.report(BOX, ("privacy.k", "weaker_than_site")),
        lambda world: world.report(BOX),
    ),
    "sandbox": (weaker, lambda world: world.born(BOX)),
    "refused": (nonsense, nothing),
}
"""What makes each kind, and what makes it good again."""
ELSEWHERE = {"receipt", "visits", "withheld"}
"""Kinds with files of their own."""


def test_every_kind_is_tried() -> None:
    assert SICK.keys() | ELSEWHERE == BY_NAME.keys()


@pytest.mark.parametrize("kind", SICK)
def test_raised_after_its_time_and_ended_after_its_time(world: World, kind: str) -> None:
    rule = BY_NAME[kind]
    begin, cure = SICK[kind]
    world.come(BOX, "box-8")
    assert world.look() == []
    begin(world)
    if rule.raise_after:
        world.look()
        assert kind not in world.kinds(), "raised before its time"
    pass_time(world, rule.raise_after, kind, begin, sick=True)
    (alert,) = world.open(kinds=[kind])
    assert alert.device == ("" if kind == "rollout" else BOX)
    assert "?" not in alert.what, alert.what
    assert "{" not in alert.what + alert.todo
    assert alert.ended is None
    world.restart()
    world.look()
    assert len(world.open(kinds=[kind])) == 1, "a restart raises it a second time"
    cure(world)
    world.look(MINUTE)
    pass_time(world, 3 * DAY + rule.end_after, kind, cure, sick=False)
    (ended,) = world.past(kinds=[kind])
    assert ended.id == alert.id
    assert ended.ended is not None
    assert kind not in world.kinds()


def pass_time(world: World, seconds: int, kind: str, say: Act, sick: bool) -> None:
    """In which both devices talk on; what a device says of itself by health is said again."""
    of_health = kind in ("absent", "camera", "hot", "power", "clock", "disk", "outbox")
    end = world.now + seconds
    while world.now <= end:
        world.now += 10 * MINUTE if sick else 8 * HOUR
        world.well("box-8")
        if of_health:
            say(world)
        elif not (sick and kind == "offline"):
            world.well(BOX, boot="ffffffff" if kind == "takeover" else "0a1b2c3d")
        world.look()


def test_a_well_fleet_raises_nothing(lite: World) -> None:
    lite.come("box-1", "box-2", "box-3")
    assert lite.quiet(DAY, "box-1", "box-2", "box-3", step=15 * MINUTE) == []
    assert lite.rows() == 0


@pytest.mark.parametrize("kind", ["offline", "hot", "power", "disk", "absent", "settings"])
def test_what_comes_and_goes_raises_nothing(lite: World, kind: str) -> None:
    begin, cure = SICK[kind]
    lite.come(BOX)
    for _ in range(12):
        lite.now += 4 * MINUTE
        begin(lite)
        lite.look()
        lite.now += MINUTE
        cure(lite)
        lite.look()
    assert lite.open() == []
    assert lite.rows() == 0, "what was never raised leaves nothing behind"


def test_what_is_open_does_not_flap(lite: World) -> None:
    """Good for moments in between: one alert, one end."""
    lite.come(BOX)
    changes = []
    for number in range(40):
        lite.now += 5 * MINUTE
        lite.well(BOX, temperature=90 if number % 4 else 60)
        changes += lite.look()
    assert [each.event for each in changes] == ["raised"]
    changes = lite.quiet(3 * HOUR, BOX)
    assert [each.event for each in changes] == ["ended"]


def test_between_hot_and_cool_nothing_changes(lite: World) -> None:
    lite.come(BOX)
    assert lite.quiet(HOUR, BOX, temperature=80)[0].kind == "hot"
    assert BY_NAME["hot"].end_after == HOUR
    lite.quiet(30 * MINUTE, BOX, temperature=90)
    assert lite.quiet(0, BOX) == []
    ended = lite.quiet(2 * HOUR, BOX, temperature=70)
    assert [each.event for each in ended] == ["ended"]


def test_a_device_that_is_taken_back_has_no_alerts_any_more(lite: World) -> None:
    lite.come(BOX)
    offline(lite)
    lite.look(MINUTE)
    lite.look(20 * MINUTE)
    assert lite.kinds() == {"offline"}
    lite.store.execute("UPDATE devices SET revoked_at = ? WHERE device = ?", (lite.now, BOX))
    lite.look(MINUTE)
    lite.look(HOUR)
    assert lite.open() == []


def test_a_certificate_that_nobody_renews_gets_worse(lite: World) -> None:
    lite.come(BOX)
    ending(lite)
    assert [each.severity for each in lite.look()] == ["warning"]
    changes = lite.look(8 * DAY - CERTIFICATE_DAYS)
    worse = [each for each in changes if each.kind == "certificate"]
    assert [(each.event, each.severity) for each in worse] == [("worsened", "critical")]
    (alert,) = lite.open(kinds=["certificate"])
    assert alert.severity == "critical"
    assert "3 days" in alert.what


def test_a_camera_that_was_reported_broken_and_then_runs(lite: World) -> None:
    lite.come(BOX)
    lite.event(BOX, "camera_frozen")
    lite.look(MINUTE)
    changes = lite.look(10 * MINUTE)
    assert ("camera", "critical") in [(each.kind, each.severity) for each in changes]
    assert lite.quiet(HOUR, BOX)[-1].event == "ended"
    lite.event(BOX, "camera_covered")
    lite.look(MINUTE)
    (change,) = lite.quiet(10 * MINUTE, BOX)
    assert (change.kind, change.severity) == ("camera", "warning")


def test_a_rejected_update_says_how_bad_it_is(lite: World) -> None:
    lite.come("a", "b", "c")
    for number, (device, reason) in enumerate(
        zip("abc", ("untrusted", "base", "off"), strict=True)
    ):
        job = f"{number:016x}"
        filled.add_job(lite.store, job, device, "QUEUED", created_at=lite.now)
        lite.answer(device, job, status="REJECTED", reason=reason)
    lite.look()
    severities = {each.device: each.severity for each in lite.open(kinds=["update"])}
    assert severities == {"a": "critical", "b": "info", "c": "warning"}


def test_an_update_from_a_medium_that_was_rolled_back(lite: World) -> None:
    lite.come(BOX)
    lite.event(BOX, "update_rolled_back")
    assert [each.kind for each in lite.look()] == ["update"]
    lite.now += HOUR
    lite.event(BOX, "update_installed")
    lite.quiet(HOUR, BOX)
    assert lite.open() == []


def test_a_number_that_is_used_twice_is_a_second_device(lite: World) -> None:
    lite.come(BOX)
    body = filled.busy(POLICY, 1).model_dump_json().encode()
    lite.raw(BOX, "summary", body)
    lite.raw(BOX, "summary", body.replace(b'"slot":0', b'"slot":1'))
    lite.look()
    (alert,) = lite.open(kinds=["takeover"])
    assert alert.detail["conflicts"] == 1


def test_restarts_are_no_takeover(lite: World) -> None:
    lite.come(BOX)
    for number in range(20):
        lite.now += 10 * MINUTE
        lite.well(BOX, boot=f"{number:08x}")
    lite.born(BOX)
    lite.look()
    assert lite.open() == []


def test_a_sandbox_that_was_never_closed_is_as_it_was(lite: World) -> None:
    weaker(lite)
    lite.control(BOX, "state", b"online")
    lite.well(BOX)
    assert lite.look() == []
    lite.born(BOX)
    assert lite.look() == []
    weaker(lite)
    assert [each.kind for each in lite.look()] == ["sandbox"]


def test_a_silent_device_is_offline_but_one_that_rests_is_not(lite: World) -> None:
    lite.come("box-1", "box-2")
    lite.well("box-2", perception="quiet")
    lite.look(2 * HOUR)
    lite.look(HOUR)
    (alert,) = lite.open()
    assert (alert.device, alert.kind, alert.detail["state"]) == ("box-1", "offline", "silent")
    lite.look(26 * HOUR)
    lite.look(HOUR)
    assert {each.device for each in lite.open(kinds=["offline"])} == {"box-1", "box-2"}


def test_hostile_values_are_words_of_ours_or_nothing(lite: World) -> None:
    """What a device can say at all is closed; what it says beside that is quarantined, and an alert
    repeats none of it."""
    lite.come(BOX)
    markup = b'{"v":1,"code":"<script>","boot":"[bold]","seq":1}'
    for kind in ("event", "health", "summary", "receipt"):
        for _ in range(12):
            lite.raw(BOX, kind, markup)
    lite.raw(BOX, "event", b"\xff\x00" * 2000)
    lite.look()
    (alert,) = lite.open()
    assert alert.kind == "refused"
    said = json.dumps(alert.detail) + alert.what
    assert "<" not in said
    assert "[" not in said
    assert alert.detail["messages"] == 49
