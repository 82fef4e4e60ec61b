"""Validation and dispatch of all inbound messages.

Exact topics, size limit, shallow JSON, rate limit. Invalid messages are dropped and counted; their
content is neither logged nor echoed. Commands (ping, content, pause, resume, report) are answered
on this device's own topic; a request's response topic is ignored.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from agent.base.errors import StoreError
from agent.base.report import EventCode
from agent.base.report.device import Answer, Command
from agent.uplink import strict_json
from agent.uplink.settings import Origin, RemoteControl, parse_desired
from agent.uplink.strict_json import MAX_BYTES, MalformedError
from agent.uplink.topics import HOME_ASSISTANT, Topics
from agent.uplink.traffic import Message
from agent.wall.outbox import Outbox

_BURST, _RATE = 50, 10.0
"""Messages processed at once, and per second on average."""
_COMMAND_BURST, _COMMAND_RATE = 20, 0.5
_REPORT_INTERVAL = 60.0
"""Seconds between full reports."""
_MAX_SLOT = 255
_FLUSH_INTERVAL = 60.0
"""Seconds between writes of counted events."""
_MAX_COUNT = 1023
"""Per code between writes."""


class TokenBucket:
    """Allows `burst` at once and `rate` a second on average."""

    def __init__(self, burst: int, rate: float, clock: Callable[[], float]) -> None:
        """`clock`: monotonic seconds."""
        self._burst, self._rate, self._clock = float(burst), rate, clock
        self._tokens = float(burst)
        self._at = clock()

    def take(self) -> bool:
        """Whether one more is allowed now."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class EventCounter:
    """Counts events in memory and writes them to the outbox once a minute, so that hostile messages
    do not wear out the disk."""

    def __init__(self) -> None:
        self.total: Counter[EventCode] = Counter()
        """Since process start."""
        self._pending: Counter[EventCode] = Counter()
        self._next_flush = 0.0

    def __call__(self, code: EventCode, times: int = 1) -> None:
        self.total[code] += times
        self._pending[code] = min(self._pending[code] + times, _MAX_COUNT)

    def flush(self, outbox: Outbox, now: float) -> None:
        """Write the counted events if due. Raises `StoreError`."""
        if now < self._next_flush:
            return
        for code in list(self._pending):
            outbox.events.record(code, self._pending[code])
            del self._pending[code]
        outbox.events.flush()
        self._next_flush = now + _FLUSH_INTERVAL


@dataclass(frozen=True, slots=True)
class Reply:
    """A response, to be published on `res/{command}`."""

    command: Command | str
    """A known command, or `other`."""
    answer: Answer
    correlation: bytes | None


@dataclass(frozen=True, slots=True)
class Handled:
    """What the caller must do after one message."""

    reply: Reply | None = None
    republish: Literal["state", "report"] | None = None
    """`state`: birth certificate, settings and discovery; `report`: health as well."""
    rate_limited: bool = False
    """The message was dropped unread."""


class Inbound:
    """Handles messages one by one; never raises."""

    def __init__(
        self,
        topics: Topics,
        control: RemoteControl,
        count: Callable[[EventCode], object],
        set_job: Callable[[bytes], None],
        clock: Callable[[], float] = time.monotonic,
        has_room: Callable[[int], bool] = lambda slot: True,
    ) -> None:
        """`count`: counts an event; `set_job`: takes what `job/next` holds, raises
        `MalformedError`; `clock`: monotonic seconds; `has_room`: whether a slot may be shown today,
        raises `StoreError`."""
        self._topics = topics
        self._control = control
        self._count = count
        self._set_job = set_job
        self._has_room = has_room
        self._clock = clock
        self._messages = TokenBucket(_BURST, _RATE, clock)
        self._commands = TokenBucket(_COMMAND_BURST, _COMMAND_RATE, clock)
        self._throttled = False
        """`too_many` was answered; further commands over the rate are not answered."""
        self._next_report = float("-inf")

    def __call__(self, message: Message) -> Handled:
        rate_limited = not self._messages.take()
        try:
            if rate_limited or len(message.payload) > MAX_BYTES:
                raise MalformedError("too much")
            return self._dispatch(message)
        except MalformedError:
            self._count("inbound_refused")
            return Handled(rate_limited=rate_limited)

    def _dispatch(self, message: Message) -> Handled:
        """Raises `MalformedError`."""
        topics, topic, body = self._topics, message.topic, message.payload
        if topic is None:
            raise MalformedError("no topic")
        if topic == topics.desired:
            self._set_desired(body, "own")
        elif topic == topics.defaults:
            self._set_desired(body, "defaults")
        elif topic == topics.job_next:
            self._set_job(body)
        elif topic == HOME_ASSISTANT and self._control.config.mqtt.discovery:
            if body == b"online":
                return Handled(republish="state")
            if body != b"offline":
                raise MalformedError("no status of Home Assistant's")
        elif topic.startswith(topics.commands) and "/" not in topic[len(topics.commands) :]:
            if not message.retain:
                return self._command(topic[len(topics.commands) :], body, message.correlation)
            # A retained command would be received again on every connection.
            self._count("command_refused")
        else:
            raise MalformedError("a topic that is not ours")
        return Handled()

    def _set_desired(self, body: bytes, origin: Origin) -> None:
        if body:  # empty: the retained message was deleted; settings stay in force
            self._control.set_desired(parse_desired(strict_json.parse(body)), origin)

    def _command(self, name: str, body: bytes, correlation: bytes | None) -> Handled:
        """Run a command and reply, except to repeated commands over the rate."""
        command = name if name in get_args(Command) else "other"
        if not self._commands.take():
            self._count("command_refused")
            was_throttled, self._throttled = self._throttled, True
            return Handled(None if was_throttled else Reply(command, "too_many", correlation))
        self._throttled = False
        answer: Answer
        try:
            answer = self._run(cast(Command, command), body)
        except MalformedError:
            answer = "malformed"
        except StoreError:
            answer = "failed"
        if answer != "done":
            self._count("command_refused")
        wanted = command == "report" and answer == "done"
        return Handled(Reply(command, answer, correlation), "report" if wanted else None)

    def _run(self, command: Command, body: bytes) -> Answer:
        """Raises `MalformedError`, `StoreError`."""
        if command not in get_args(Command):
            return "unknown_command"
        if command == "content":
            return self._set_content(strict_json.parse(body))
        if body and strict_json.parse(body) != {}:
            raise MalformedError("this command takes nothing")
        if command in ("pause", "resume"):
            self._control.set_paused(command == "pause")
        elif command == "report":
            now = self._clock()
            if now < self._next_report:
                return "too_many"
            self._next_report = now + _REPORT_INTERVAL
        return "done"

    def _set_content(self, given: Any) -> Answer:
        if isinstance(given, dict) and set(given) == {"slot"}:
            given = given["slot"]
        if type(given) is not int:
            raise MalformedError("not a slot")
        if not 0 <= given <= _MAX_SLOT:
            return "out_of_range"
        if not self._has_room(given):
            return "too_many_slots"
        self._control.set_content(given)
        return "done"
