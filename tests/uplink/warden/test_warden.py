"""The warden's rules: what a taken-over perceive cannot say, and what an honest one always can."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from agent.base.config import AgentConfig
from agent.base.errors import StoreError
from agent.base.quotas import DAY, EVENTS_RESERVED, RESTARTS
from agent.base.report import Event, HeardSummary, Privacy, Receipt, Statement, to_json
from agent.base.settings_file import parse
from agent.privacy.policy.rules import resolve
from agent.uplink.warden.state import is_exposed, state_path
from agent.wall.outbox import Row
from tests.fakes import full_disk, untrusted_clock  # noqa: F401
from tests.uplink.warden.conftest import BOOT, KEY, UTC, Guard, row, shop, summary

QUARTER = 900


def event(code: str = "paused", seq: int = 0) -> Row:
    made = Event(boot=BOOT, seq=seq, code=code, count=1, at=None, offset=0)  # type: ignore[arg-type]
    return row(made, "event")


def receipt(number: int = 1, sign: Any = KEY.sign) -> Row:
    statement = Statement(
        number=number, previous="0" * 64, start=None, end=None, outbox="same", summaries=0,
        digest="0" * 64, messages=0, bytes=0, epsilon_milli=0, windows_withheld=0,
        visits_withheld=0, model=None, policy=None, units=None, schemas="0" * 16,
        key=KEY.public_key().public_bytes_raw().hex(),
    )  # fmt: skip
    made = Receipt(statement=statement, signature=sign(to_json(statement)).hex())
    return row(to_json(made), "receipt")


@pytest.mark.parametrize(
    "changes",
    [
        {"policy": "classroom"},
        {"policy_hash": "00000000"},
        {"privacy": Privacy(mechanism="discrete_laplace", epsilon_milli=1000, k=11)},
        {"privacy": Privacy(mechanism="discrete_laplace", epsilon_milli=990, k=10)},
        {"privacy": Privacy(mechanism="none", epsilon_milli=1000, k=10)},
    ],
)
def test_constants_of_the_policy_are_not_free(guard: Guard, changes: dict[str, Any]) -> None:
    assert guard.offer(summary(1), summary(2, **changes), summary(3)) == [
        "admitted",
        "refused",
        "admitted",
    ]


def test_only_a_site_that_listens_sends_the_second_form(tmp_path: Path, guard: Guard) -> None:
    """A taken-over perceive would else gain the room of its fields; nor is it switched off in
    silence, for what a device says it does is known by the form."""
    loud = shop(tmp_path / "loud", microphone=True)
    heard = Guard(loud)
    assert type(summary(1, config=loud)) is HeardSummary
    assert heard.offer(summary(1, config=loud), summary(2), summary(3, config=loud)) == [
        "admitted",
        "refused",
        "admitted",
    ]
    assert guard.offer(summary(1), summary(2, config=loud)) == ["admitted", "refused"]
    kept = {name: getattr(summary(3), name) for name in ("policy_hash", "privacy", "policy")}
    assert guard.offer(summary(3, config=loud, **kept)) == ["refused"], "the form alone is wrong"


def test_the_model_does_not_change_within_a_boot(guard: Guard) -> None:
    assert guard.offer(summary(1), summary(2, model="ffffffff")) == ["admitted", "refused"]
    assert guard.offer(summary(2, model="ffffffff", boot="00000001")) == ["admitted"]


def test_numbers_and_windows_grow(guard: Guard) -> None:
    assert guard.offer(summary(4, seq=10), summary(4, seq=11, slot=3)) == ["admitted"] * 2
    for late in (
        summary(5, seq=11),  # number
        summary(4, seq=12),  # window
        summary(3, seq=12, slot=3),
        summary(6, seq=12).model_copy(
            update={"window": summary(6).window.model_copy(update={"offset": 5410})}
        ),
    ):
        assert guard.offer(late) == ["refused"]
    assert guard.offer(summary(5, seq=12)) == ["admitted"]


def test_the_same_body_under_another_id_is_refused(guard: Guard) -> None:
    first = row(summary(1))
    assert guard.offer(first) == ["admitted"]
    assert guard.warden.remembers(first)
    again = row(first.body)
    assert guard.offer(again) == ["refused"]
    assert not guard.warden.remembers(again)
    assert not guard.warden.remembers(Row(first.id, "summary", to_json(summary(2))))
    guard.restart()
    assert guard.warden.remembers(first), "it may still have to be sent"
    assert guard.offer(row(first.body)) == ["refused"]


def test_an_earlier_boot_does_not_come_back(guard: Guard) -> None:
    assert guard.offer(summary(1), summary(1, boot="00000001")) == ["admitted"] * 2
    guard.restart()
    assert guard.offer(summary(2), summary(2, boot="00000001")) == ["refused", "admitted"]


def test_windows_of_wall_time_are_near_the_clocks(guard: Guard) -> None:
    guard.synchronised = True
    now = UTC + 90 * DAY
    guard.true = 90.0 * DAY
    assert guard.offer(summary(1, start=now - 1000)) == ["admitted"]
    for number, start in enumerate((now + 2 * DAY, now - 40 * DAY), 2):
        assert guard.offer(summary(number, start=start)) == ["refused"]
    guard.synchronised = False
    assert guard.offer(summary(8, start=now + 8000)) == ["admitted"], "nobody knows"


def test_a_grid_that_moves_on_the_wall_clock_costs_a_run(guard: Guard) -> None:
    guard.quotas = {"runs": 3}
    guard.restart()
    start = UTC
    verdicts = []
    for number in range(1, 8):
        start += 3 * QUARTER + 100 * (number % 2)  # off the grid every other time
        verdicts += guard.offer(summary(number, start=start))
    assert verdicts[:2] == ["admitted"] * 2
    assert verdicts[-1] == "exceeded"
    assert verdicts.count("admitted") == 6, "three runs of two"


@pytest.mark.parametrize("error", [-2 * 365 * DAY, 3 * 365 * DAY])
def test_what_waited_while_the_clock_was_wrong_is_sent_once_it_is_right(
    guard: Guard, error: float
) -> None:
    """A real-time clock that lies, then NTP; the uplink is killed in between."""
    guard.synchronised, guard.error = True, error
    wrong = int((UTC + error) // 10 * 10)
    assert guard.offer(summary(1, start=wrong)) == ["admitted"]
    guard.error = 0.0
    guard.true += 3 * QUARTER
    guard.restart()
    late = summary(2, start=wrong + QUARTER)
    right = summary(3, start=int((UTC + guard.true) // 10 * 10))
    assert guard.offer(late, right) == ["admitted", "admitted"]
    guard.true += 40 * DAY  # nothing can wait so long
    guard.offer()
    assert guard.offer(summary(4, start=wrong + 2 * QUARTER)) == ["refused"]


def test_a_step_back_of_the_wall_clock_is_not_refused(guard: Guard) -> None:
    assert guard.offer(
        summary(1, start=UTC),
        summary(2, start=UTC + QUARTER),
        summary(3, start=UTC - 7000),
        summary(4, start=UTC - 7000 + QUARTER + 10),
    ) == ["admitted"] * 4  # fmt: skip


def test_settings_with_another_window_and_what_was_made_before_them(tmp_path: Path) -> None:
    guard = Guard(shop(tmp_path))
    longer = guard.config.model_copy(
        update={"privacy": guard.config.privacy.model_copy(update={"window": 3600, "k": 20})}
    )
    assert guard.offer(summary(9, start=UTC + 8100)) == ["admitted"]
    after = summary(2, seq=10, start=UTC + 7200, config=longer)
    assert guard.offer(after) == ["refused"]
    guard.warden.permit(resolve(longer, live=False))
    assert guard.offer(after) == ["admitted"]
    guard.restart()
    assert guard.offer(summary(3, seq=11, start=UTC + 10_800, config=longer)) == ["admitted"]


def test_no_day_has_more_slots_than_the_policys(guard: Guard) -> None:
    said = [guard.offer(summary(1, seq=slot, slot=10 * slot))[0] for slot in range(12)]
    assert said == ["admitted"] * 8 + ["exceeded"] * 4
    guard.restart()
    assert guard.offer(summary(2, seq=50, slot=110)) == ["exceeded"]
    assert guard.offer(summary(2, seq=50, slot=70)) == ["admitted"]
    guard.true += 2 * DAY
    assert guard.offer(summary(200, seq=51, slot=110)) == ["admitted"]


def test_the_day_is_what_the_table_says(guard: Guard) -> None:
    quota = guard.warden.quotas
    assert quota.summary == 8 * (98 + RESTARTS)
    flood = [
        summary(number, seq=8 * number + slot, slot=slot)
        for number in range(150)
        for slot in range(8)
    ]
    assert guard.offer(*flood).count("admitted") == quota.summary
    guard.restart()
    guard.true += DAY / 2
    assert guard.offer(summary(400, seq=9000)) == ["exceeded"]
    guard.true += DAY / 2 + 301
    assert guard.offer(summary(400, seq=9000)) == ["admitted"]


def test_boots_are_counted(guard: Guard) -> None:
    verdicts = [guard.offer(summary(1, boot=f"{n:08x}"))[0] for n in range(200)]
    assert verdicts.count("admitted") == guard.warden.quotas.runs == verdicts.index("exceeded")


def test_what_waited_while_nobody_watched_is_admitted(tmp_path: Path) -> None:
    """Three days without an uplink; then nothing is left over."""
    guard = Guard(shop(tmp_path), {"summary": 100})
    guard.offer(summary(0))
    guard.true += 3 * DAY
    guard.restart()
    backlog = [summary(number) for number in range(1, 600)]
    verdicts = guard.offer(*backlog)
    assert verdicts.count("admitted") == 3 * 100 - 1
    guard.true += 60.0
    assert guard.offer(summary(700)) == ["exceeded"]


def test_what_was_not_used_while_it_watched_is_gone(tmp_path: Path) -> None:
    guard = Guard(shop(tmp_path), {"summary": 100})
    for _ in range(3 * 96):
        guard.true += QUARTER
        guard.offer()
    guard.restart()
    verdicts = guard.offer(*(summary(number) for number in range(1, 600)))
    assert verdicts.count("admitted") <= 100


def test_rows_over_the_quota_wait_for_the_clock_after_a_reboot(tmp_path: Path) -> None:
    guard = Guard(shop(tmp_path), {"summary": 10}, synchronised=True)
    guard.offer(summary(0))
    guard.synchronised = False
    guard.reboot(off=2.0 * DAY)
    backlog = [row(summary(number)) for number in range(1, 25)]
    said = [guard.warden.judge(each) for each in backlog]
    assert said[:9] == ["admitted"] * 9
    assert said[9] == "wait"
    guard.synchronised = True
    assert guard.warden.judge(backlog[9]) == "admitted"
    guard.synchronised = False
    guard.reboot(off=60.0)
    guard.true += 700.0
    assert guard.offer(*(summary(number) for number in range(30, 60)))[-1] == "exceeded"


def test_events_leave_room_for_the_wardens_own(guard: Guard) -> None:
    quota = guard.warden.quotas.event
    verdicts = [guard.offer(event(seq=n))[0] for n in range(100)]
    assert verdicts.count("admitted") == quota - EVENTS_RESERVED
    own = [guard.offer(event("quota_exceeded", n))[0] for n in range(20)]
    assert own.count("admitted") == EVENTS_RESERVED


def test_only_receipts_of_its_own_key_leave(guard: Guard) -> None:
    forged = receipt(sign=lambda data: bytes(64))
    assert guard.offer(forged, receipt(), row(b"{}", "receipt")) == [
        "refused",
        "admitted",
        "refused",
    ]
    more = [guard.offer(receipt(number))[0] for number in range(2, 20)]
    assert more.count("admitted") == guard.warden.quotas.receipt - 1


@pytest.mark.parametrize("kind", ["picture", "meta", "state", ""])
def test_no_other_kind_comes_from_the_outbox(guard: Guard, kind: str) -> None:
    assert guard.offer(row(to_json(summary(1)), kind)) == ["refused"]


def test_what_is_retained_may_be_repeated_and_changes_are_counted(guard: Guard) -> None:
    bodies = [b'{"n":%d}' % number for number in range(40)]
    quota = guard.warden.quotas.meta
    for body in bodies:
        for _ in range(5):
            said = guard.warden.in_force("meta", body)
            assert said == (body if body in bodies[:quota] else bodies[quota - 1])
    assert guard.counted["quota_exceeded"] == 40 - quota
    guard.restart()
    assert guard.warden.in_force("meta", b"new") == bodies[quota - 1]
    guard.true += DAY + 301
    assert guard.warden.in_force("meta", b"new") == b"new"
    for _ in range(50):  # to and fro says a bit each time
        guard.warden.in_force("meta", b"old")
        last = guard.warden.in_force("meta", b"new")
    assert last in (b"old", b"new")
    assert guard.counted["quota_exceeded"] > 40 - quota


def test_health_keeps_its_interval_over_restarts(guard: Guard) -> None:
    assert guard.warden.may_report_health(requested=False)
    for _ in range(20):
        guard.true += 40
        guard.restart()
        assert not guard.warden.may_report_health(requested=False)
    asked = sum(guard.warden.may_report_health(requested=True) for _ in range(1000))
    assert asked == guard.warden.quotas.health - 1
    guard.true += 1000
    assert not guard.warden.may_report_health(requested=False), "the day is used up"
    guard.true += DAY
    assert guard.warden.may_report_health(requested=False)


def test_answers_and_connections_are_counted(tmp_path: Path) -> None:
    guard = Guard(shop(tmp_path), {"response": 5, "connections": 3})
    assert sum(guard.warden.may_answer() for _ in range(20)) == 5
    for _ in range(3):
        assert guard.warden.may_connect()
        guard.warden.connected()
        guard.restart()
    assert not guard.warden.may_connect()


def test_what_is_not_stored_is_not_said(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    guard.offer()
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full_disk)
        for say in (
            lambda: guard.offer(summary(1)),
            lambda: guard.warden.in_force("meta", b"x"),
            lambda: guard.warden.in_force("meta", b"x"),
            lambda: guard.warden.may_report_health(False),
            guard.warden.may_answer,
        ):
            with pytest.raises(StoreError, match=r"warden\.json cannot be written"):
                say()
    guard.warden.save()
    assert guard.warden.in_force("meta", b"x") == b"x"


def test_its_file_is_beside_the_outboxs_folder_or_in_systemds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    guard = Guard(shop(tmp_path))
    guard.warden.save()
    path = guard.warden.path
    assert path == tmp_path / "box-uplink" / "warden.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.is_relative_to(guard.config.store.outbox.parent)
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/fleeting-uplink")
    assert state_path(guard.config.store) == Path("/var/lib/fleeting-uplink/warden.json")
    monkeypatch.delenv("STATE_DIRECTORY")
    other = shop(tmp_path / "elsewhere").store
    assert state_path(other).parent == tmp_path / "elsewhere" / "box-uplink"
    assert not is_exposed(state_path(other), other)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert state_path(other) == other.outbox.with_name("warden.json")
    assert is_exposed(state_path(other), other)
    chosen = parse({"store": {"warden": str(tmp_path / "w")}}, "test")
    assert state_path(chosen.store) == tmp_path / "w"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"counts": {"summary": 3}}', b"\xff" * 99])
def test_a_damaged_file_begins_a_new_day(
    guard: Guard, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    guard.offer(summary(1))
    guard.warden.path.write_bytes(content)
    guard.restart()
    assert "damaged" in caplog.text
    assert guard.offer(summary(2)) == ["admitted"]
    json.loads(guard.warden.path.read_bytes())


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "box-uplink").write_text("in the way")
    with pytest.raises(StoreError, match=r"box-uplink.*store\.warden"):
        Guard(shop(tmp_path))


def test_rows_that_left_are_forgotten(guard: Guard) -> None:
    rows = [row(summary(number)) for number in range(1, 5)]
    guard.offer(*rows)
    guard.warden.forget(rows[0].id)
    guard.warden.keep_only({rows[2].id})
    assert [guard.warden.remembers(each) for each in rows] == [False, False, True, False]


def test_a_site_may_ask_for_more_slots_up_to_the_policys_most() -> None:
    assert resolve(AgentConfig(), live=False).slots == 8
    many = parse({"content": {"slots": 64}}, "test")
    assert resolve(many, live=False).slots == 64
    with pytest.raises(Exception, match=r"content\.slots is 65, 64 is the most"):
        resolve(parse({"content": {"slots": 65}}, "test"), live=False)
