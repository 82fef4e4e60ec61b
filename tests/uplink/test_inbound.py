"""Handling of inbound messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.base.config import AgentConfig
from agent.base.report import Response
from agent.base.settings_file import parse
from agent.uplink.inbound import EventCounter, Handled, Inbound, TokenBucket
from agent.uplink.settings import RemoteControl
from agent.uplink.topics import HOME_ASSISTANT, Topics
from agent.uplink.traffic import Message
from agent.wall.remote_settings import read
from tests.fakes import full_disk

BASE = "fleeting/1/d/box-7"
DESIRED = f"{BASE}/shadow/desired"
DEFAULTS = "fleeting/1/g/shop/desired"


class Desk:
    """An inbound handler with its collaborators and a manual clock."""

    def __init__(self, folder: Path, discovery: bool = False) -> None:
        self.config: AgentConfig = parse(
            {
                "device": {"id": "box-7", "group": "shop"},
                "store": {"outbox": str(folder / "outbox.db")},
                "mqtt": {"discovery": discovery},
            },
            "test",
        )
        self.now = 0.0
        self.events = EventCounter()
        self.control = RemoteControl(self.config, self.events)
        self.jobs: list[bytes] = []
        self.inbound = Inbound(
            Topics(self.config), self.control, self.events, self.jobs.append, lambda: self.now
        )

    def send(
        self,
        topic: str | None,
        body: bytes | dict[str, Any] = b"",
        *,
        retain: bool = False,
        correlation: bytes | None = None,
    ) -> Handled:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.inbound(Message(topic, raw, retain, correlation))

    def ask(self, command: str, body: bytes = b"") -> str | None:
        reply = self.send(f"{BASE}/cmd/{command}", body).reply
        return None if reply is None else reply.answer

    @property
    def file(self) -> bytes:
        path = self.config.store.settings
        return path.read_bytes() if path.exists() else b""


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_desired_state_is_on_disk_before_it_is_in_force(desk: Desk) -> None:
    desk.send(DESIRED, {"version": 4, "config": {"privacy": {"k": 20}}}, retain=True)
    assert read(desk.config.store.settings) == desk.control.settings
    assert desk.control.settings.patch.privacy.k == 20
    desk.send(DEFAULTS, {"version": 1, "config": {"privacy": {"k": 30, "window": 3600}}})
    assert desk.control.config.privacy.k == 20
    assert desk.control.config.privacy.window == 3600


def test_a_retained_document_that_is_taken_away_changes_nothing(desk: Desk) -> None:
    desk.send(DESIRED, {"version": 4, "config": {"privacy": {"k": 20}}})
    before = desk.file
    assert desk.send(DESIRED, b"") == Handled()
    assert desk.file == before
    assert desk.events.total.total() == 0


@pytest.mark.parametrize(
    "topic",
    [
        None, "", "/", BASE, f"{DESIRED}/", f"{DESIRED}/x", f"/{DESIRED}", DESIRED.upper(),
        f"{BASE}x/shadow/desired", "fleeting/1/d/+/shadow/desired", "fleeting/1/d/#",
        "fleeting/1/d/box-8/shadow/desired", "fleeting/1/g/other/desired",
        f"{BASE}/cmd/pause/x", f"{BASE}/cmd", f"{BASE}/../box-7/cmd/pause", f"{DESIRED}\0",
        f"{BASE}/shadow/reported", f"{BASE}/res/ping", "$SYS/broker/version", HOME_ASSISTANT,
        f"{BASE}/job/last", "fleeting/1/d/box-8/job/next", f"{BASE}/job/next/x",
        f"$share/x/{DESIRED}",
    ],
)  # fmt: skip
def test_other_topics_are_refused_and_counted(desk: Desk, topic: str | None) -> None:
    assert desk.send(topic, {"version": 4, "config": {"privacy": {"k": 20}}}) == Handled()
    assert desk.send(topic, b"") == Handled()
    assert desk.file == b""
    assert desk.events.total == {"inbound_refused": 2}


def test_a_long_message_is_refused_before_it_is_parsed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.uplink.strict_json.json.loads", lambda *_: pytest.fail("parsed"))
    desk.send(DESIRED, b'{"a":"' + b"x" * 10_000_000 + b'"}')
    desk.send(f"{BASE}/cmd/content", b"[" * 5000)
    assert desk.events.total == {"inbound_refused": 2}


@pytest.mark.parametrize(
    ("command", "body", "answer"),
    [
        ("ping", b"", "done"),
        ("ping", b"{}", "done"),
        ("ping", b" { } ", "done"),
        ("ping", b"[]", "malformed"),
        ("ping", b'{"response_topic": "x"}', "malformed"),
        ("ping", b"\xff", "malformed"),
        ("content", b"0", "done"),
        ("content", b'{"slot": 255}', "done"),
        ("content", b"256", "out_of_range"),
        ("content", b"-1", "out_of_range"),
        ("content", b'{"slot": 256}', "out_of_range"),
        ("content", b"true", "malformed"),
        ("content", b"1.0", "malformed"),
        ("content", b'"7"', "malformed"),
        ("content", b"", "malformed"),
        ("content", b'{"slot": 7, "text": "x"}', "malformed"),
        ("content", b'{"slot": null}', "malformed"),
        ("pause", b"now", "malformed"),
        ("resume", b"", "done"),
        ("report", b"", "done"),
        ("reboot", b"", "unknown_command"),
        ("PING", b"", "unknown_command"),
        ("", b"", "unknown_command"),
    ],
)
def test_answers(desk: Desk, command: str, body: bytes, answer: str) -> None:
    handled = desk.send(f"{BASE}/cmd/{command}", body, correlation=b"token")
    assert handled.republish == ("report" if (command, answer) == ("report", "done") else None)
    reply = handled.reply
    assert reply is not None
    assert (reply.answer, reply.correlation) == (answer, b"token")
    Response.model_validate({"command": reply.command, "answer": answer, "boot": None})
    if answer == "unknown_command":
        assert reply.command == "other"  # the received name is not echoed
    if answer != "done":
        assert desk.file == b""
        assert desk.events.total == {"command_refused": 1}


def test_pause_resume_and_content_go_into_the_settings(desk: Desk) -> None:
    assert desk.ask("pause") == desk.ask("pause") == "done"
    assert read(desk.config.store.settings).paused
    assert desk.ask("content", b"7") == desk.ask("content", b'{"slot": 7}') == "done"
    settings = read(desk.config.store.settings)
    assert (settings.content, settings.content_count) == (7, 2)  # the same slot again is noticed
    assert desk.ask("resume") == "done"
    assert not read(desk.config.store.settings).paused
    assert desk.events.total.total() == 0
    again = Desk(desk.config.store.outbox.parent)
    assert again.control.settings.content_count == 2


@pytest.mark.parametrize("command", ["ping", "pause", "content", "report"])
def test_a_retained_command_is_no_command(desk: Desk, command: str) -> None:
    assert desk.send(f"{BASE}/cmd/{command}", b"", retain=True) == Handled()
    assert desk.file == b""
    assert desk.events.total == {"command_refused": 1}


def test_the_first_command_over_the_rate_is_answered_and_further_ones_are_not(desk: Desk) -> None:
    answers = [desk.ask("ping") for _ in range(30)]
    assert answers == ["done"] * 20 + ["too_many"] + [None] * 9
    desk.now += 2.0
    assert [desk.ask("ping"), desk.ask("ping"), desk.ask("ping")] == ["done", "too_many", None]
    assert desk.events.total == {"command_refused": 12}


def test_a_full_report_is_had_once_a_minute(desk: Desk) -> None:
    assert desk.ask("report") == "done"
    desk.now += 59.0
    assert desk.ask("report") == "too_many"
    desk.now += 1.0
    assert desk.ask("report") == "done"


def test_a_disk_that_takes_nothing_is_answered(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.wall.remote_settings.write_atomically", full_disk)
    assert [desk.ask("pause"), desk.ask("content", b"3")] == ["failed", "failed"]
    assert not desk.control.settings.paused
    assert desk.control.settings.content is None


def test_a_flood_is_dropped_unread_and_counted(desk: Desk) -> None:
    rate_limited = [
        desk.send(DESIRED, {"version": version, "config": {}}).rate_limited
        for version in range(1, 1001)
    ]
    assert desk.control.settings.version == 50  # the burst
    assert rate_limited == [False] * 50 + [True] * 950
    assert desk.events.total == {"inbound_refused": 950}
    desk.now += 1.0
    assert not desk.send(DESIRED, {"version": 2000, "config": {}}).rate_limited
    assert desk.control.settings.version == 2000


def test_home_assistants_start_is_handled_where_discovery_is_on(tmp_path: Path) -> None:
    desk = Desk(tmp_path, discovery=True)
    for body in (b"Online", b"", b"{}", b"online "):
        assert desk.send(HOME_ASSISTANT, body) == Handled()
    assert desk.events.total == {"inbound_refused": 4}
    assert desk.send(HOME_ASSISTANT, b"offline") == Handled()
    assert desk.send(HOME_ASSISTANT, b"online").republish == "state"


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    now = 0.0
    bucket = TokenBucket(3, 0.5, lambda: now)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    now = 1.9
    assert not bucket.take()
    now = 1000.0
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
