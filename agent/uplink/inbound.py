"""Everything from the network comes through here: hostile until validated.

Exact topics, few bytes, shallow JSON, few messages a second. Whatever does not fit is dropped and
counted; nothing of it is logged or repeated.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from agent.base.report import EventCode
from agent.uplink import shadow, strict_json
from agent.uplink.client import Message
from agent.uplink.commands import Commands, Reply
from agent.uplink.control import Control, Origin
from agent.uplink.limits import TokenBucket
from agent.uplink.strict_json import MOST_BYTES, MalformedError
from agent.uplink.topics import HOME_ASSISTANT, Topics

_BURST, _RATE = 50, 10.0
"""Messages looked at at once, and a second on average."""


class Inbound:
    """Looks at one message after the other; raises nothing."""

    def __init__(
        self,
        topics: Topics,
        control: Control,
        count: Callable[[EventCode], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`count`: notes an event; `clock`: monotonic seconds."""
        self._topics = topics
        self._control = control
        self._count = count
        self._bucket = TokenBucket(_BURST, _RATE, clock)
        self.commands = Commands(control, count, clock)
        self.flooded = False
        """The last message was one too many."""
        self.birth_wanted = False
        """Home Assistant has started; whoever announces us again clears it."""

    def __call__(self, message: Message) -> Reply | None:
        """Act on it; the answer to a command, None for all else."""
        self.flooded = not self._bucket.take()
        try:
            if self.flooded or len(message.payload) > MOST_BYTES:
                raise MalformedError("too much")
            return self._sort(message)
        except MalformedError:
            self._count("inbound_refused")
            return None

    def _sort(self, message: Message) -> Reply | None:
        """Raises `MalformedError`."""
        topics, topic = self._topics, message.topic
        if topic is None:
            raise MalformedError("no topic")
        if topic == topics.desired:
            self._wish(message.payload, "own")
        elif topic == topics.defaults:
            self._wish(message.payload, "defaults")
        elif topic == HOME_ASSISTANT and self._control.config.mqtt.discovery:
            self._home_assistant(message.payload)
        elif topic.startswith(topics.commands) and "/" not in topic[len(topics.commands) :]:
            if message.retain:
                # Somebody asked once upon a time; each connection would hear it again.
                self._count("command_refused")
                return None
            name = topic[len(topics.commands) :]
            return self.commands(name, message.payload, message.correlation)
        else:
            raise MalformedError("a topic that is not ours")
        return None

    def _wish(self, body: bytes, origin: Origin) -> None:
        if body:  # an empty one only takes a retained wish away; what is in force stays
            self._control.wish(shadow.read(strict_json.parse(body)), origin)

    def _home_assistant(self, body: bytes) -> None:
        if body == b"online":
            self.birth_wanted = True
        elif body != b"offline":
            raise MalformedError("no word of Home Assistant's")
