"""Commands to one device: ping, content, pause, resume, report. Each is answered, none is text.

The answer goes to this device's own topic only; a response topic that a request names is ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast, get_args

from agent.base.errors import StoreError
from agent.base.report import EventCode
from agent.base.report.device import Answer, Command
from agent.uplink import strict_json
from agent.uplink.control import Control
from agent.uplink.limits import TokenBucket
from agent.uplink.strict_json import MalformedError

_BURST, _RATE = 20, 0.5
"""Commands at once, and a second on average."""
_REPORTS = 60.0
"""Seconds between two full reports."""
_MOST_SLOT = 255


@dataclass(frozen=True, slots=True)
class Reply:
    """To be sent to `res/{command}`."""

    command: Command | str
    """One of ours, or `other`."""
    answer: Answer
    correlation: bytes | None


class Commands:
    """Carries out what may be asked of this device."""

    def __init__(
        self, control: Control, count: Callable[[EventCode], object], clock: Callable[[], float]
    ) -> None:
        self._control = control
        self._count = count
        self._clock = clock
        self._bucket = TokenBucket(_BURST, _RATE, clock)
        self._silent = False
        self._next_report = float("-inf")
        self.report_wanted = False
        """Birth, settings and health are to be said again; whoever does so clears it."""

    def __call__(self, name: str, body: bytes, correlation: bytes | None) -> Reply | None:
        """The answer; None where there was one too many already."""
        command = name if name in get_args(Command) else "other"
        if not self._bucket.take():
            self._count("command_refused")
            was_silent, self._silent = self._silent, True
            return None if was_silent else Reply(command, "too_many", correlation)
        self._silent = False
        answer: Answer
        try:
            answer = self._run(cast(Command, command), body)
        except MalformedError:
            answer = "malformed"
        except StoreError:
            answer = "failed"
        if answer != "done":
            self._count("command_refused")
        return Reply(command, answer, correlation)

    def _run(self, command: Command, body: bytes) -> Answer:
        """Raises `MalformedError`, `StoreError`."""
        if command not in get_args(Command):
            return "unknown_command"
        if command == "content":
            return self._show(strict_json.parse(body))
        if body and strict_json.parse(body) != {}:
            raise MalformedError("this command takes nothing")
        if command in ("pause", "resume"):
            self._control.pause(command == "pause")
        elif command == "report":
            now = self._clock()
            if now < self._next_report:
                return "too_many"
            self._next_report = now + _REPORTS
            self.report_wanted = True
        return "done"

    def _show(self, given: Any) -> Answer:
        if isinstance(given, dict) and set(given) == {"slot"}:
            given = given["slot"]
        if type(given) is not int:
            raise MalformedError("not a slot")
        if not 0 <= given <= _MOST_SLOT:
            return "out_of_range"
        self._control.show(given)
        return "done"
