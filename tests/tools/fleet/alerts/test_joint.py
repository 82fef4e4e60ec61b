"""One cause, one alert: a broker that is away makes no thousand alerts."""

from __future__ import annotations

from tests.tools.fleet.alerts.conftest import DAY, HOUR, MINUTE, World, told
from tools.fleet.alerts import current
from tools.fleet.alerts.kinds import JOINT_LEAST, JOINT_SHARE
from tools.fleet.seen.copy import RULES

FLEET = [f"box-{number:02d}" for number in range(40)]


def gone(world: World, names: list[str]) -> None:
    for name in names:
        world.control(name, "state", b"offline")


def test_all_at_once_is_one_alert_and_ends_as_one(world: World) -> None:
    world.come(*FLEET)
    world.look()
    gone(world, FLEET)
    changes = world.look(MINUTE) + world.look(5 * MINUTE) + world.look(5 * MINUTE)
    assert told(changes) == [("raised", "", "offline")]
    (alert,) = world.open()
    assert alert.what == "40 of 40 devices fell silent within an hour: one cause."
    assert len(alert.detail["some"]) == 10
    world.restart()
    assert world.look(2 * HOUR) == []
    world.come(*FLEET[:-2])
    changes = world.quiet(2 * HOUR, *FLEET[:-2])
    assert told(changes) == [("ended", "", "offline"), *(
        ("raised", name, "offline") for name in FLEET[-2:]
    )]  # fmt: skip


def test_one_by_one_are_single_ones(lite: World) -> None:
    lite.come(*FLEET)
    raised = []
    for number in range(12):
        gone(lite, [FLEET[number]])
        raised += lite.quiet(HOUR, *FLEET[number + 1 :], step=30 * MINUTE)
    assert [each.device for each in raised] == FLEET[:12]


def test_a_broker_that_is_away_says_of_nobody_that_he_is_gone(lite: World) -> None:
    """Nothing comes any more; windows end at different times, so devices fall silent one by one."""
    for index, name in enumerate(FLEET):
        lite.now += 20
        lite.come(name)
        lite.well(name)
        assert index < len(FLEET)
    changes = [change for _ in range(50) for change in lite.look(2 * MINUTE)]
    assert told(changes) == [("raised", "", "offline")]


def test_a_single_one_that_fails_during_an_outage_is_told_apart(lite: World) -> None:
    lite.come(*FLEET)
    gone(lite, FLEET[:20])
    lite.quiet(HOUR, *FLEET[20:])
    assert [each.device for each in lite.open()] == [""]
    lite.now += HOUR
    lite.well(*FLEET[20:])
    gone(lite, FLEET[30:31])
    lite.quiet(HOUR, *FLEET[20:30], *FLEET[31:])
    assert {each.device for each in lite.open(kinds=["offline"])} == {"", FLEET[30]}


def test_long_gone_ones_do_not_hide_a_new_one(lite: World) -> None:
    lite.come(*FLEET)
    for number in range(20):
        lite.now += 2 * HOUR
        gone(lite, [FLEET[number]])
        lite.well(*FLEET[20:])
        lite.look()
    lite.quiet(HOUR, *FLEET[20:])
    gone(lite, FLEET[20:21])
    changes = lite.quiet(30 * MINUTE, *FLEET[21:])
    assert told(changes) == [("raised", FLEET[20], "offline")]


def test_certificates_that_end_on_one_day_are_one_alert(lite: World) -> None:
    lite.come(*FLEET)
    end = lite.now + 10 * DAY
    lite.store.execute("UPDATE devices SET certificate_end = ?", (end,))
    assert told(lite.look()) == [("raised", "", "certificate")]


def test_few_devices_are_no_crowd(lite: World) -> None:
    lite.come(*FLEET[: JOINT_LEAST - 1])
    gone(lite, FLEET[: JOINT_LEAST - 1])
    lite.look(MINUTE)
    assert len(lite.look(15 * MINUTE)) == JOINT_LEAST - 1


def test_the_share_is_that_of_the_rules_for_prometheus() -> None:
    rule = RULES.read_text().split("FleetingManyOffline")[1]
    assert f"> {JOINT_SHARE:g}" in rule.split("for:")[0]
    from tools.fleet.alerts.kinds import REFUSED_MANY

    assert f"[15m])) > {REFUSED_MANY}" in RULES.read_text().split("FleetingQuarantine")[1]
    from tools.fleet.alerts.find.records import UNTRUSTED

    assert "|".join(UNTRUSTED) in RULES.read_text()


def test_the_list_is_ranked_filtered_and_paged(world: World) -> None:
    world.come(*FLEET[:6], software="0.1.0")
    world.come("new", software="0.2.0")
    store = world.store
    store.execute("INSERT INTO tags VALUES ('box-00', 'floor1')")
    store.execute("UPDATE devices SET grp = 'shops' WHERE device = 'box-01'")
    store.execute("INSERT INTO groups VALUES ('firsts', 'id=box-0[01]* or tag=floor1')")
    store.execute("UPDATE groups SET query = 'tag=floor1 or id=box-02'")
    for name in FLEET[:3]:
        world.event(name, "quota_exceeded")
    world.event("new", "summaries_lost")
    world.look()
    assert next(each.kind for each in world.open()) == "lost"
    assert {each.device for each in world.open(tag="floor1")} == {"box-00"}
    assert {each.device for each in world.open(group="shops")} == {"box-01"}
    assert {each.device for each in world.open(group="firsts")} == {"box-00", "box-02"}
    assert {each.device for each in world.open(version="0.2.0")} == {"new"}
    assert {each.device for each in world.open(severities=["critical"])} == {"new"}
    assert len(world.open(kinds=["quota"], device="box-00")) == 1
    first = current(store, world.now, limit=2)
    rest = current(store, world.now, limit=2, offset=2)
    assert first.total == rest.total == 4
    assert len({each.id for each in first.alerts + rest.alerts}) == 4
    assert world.open(tag="x' OR '1'='1") == []
    assert world.open(device="' OR ''='") == []
