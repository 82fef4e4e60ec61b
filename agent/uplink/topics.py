"""Topics and message kinds. A device publishes only below its own topic.

The device id equals the certificate's common name, so that a broker's pattern ACL can enforce it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from agent.base.config import AgentConfig
from agent.base.report import is_second_form
from agent.base.schemas.registry import urn

_DAY = 86_400


@dataclass(frozen=True, slots=True)
class MessageKind:
    """How one kind of message is published."""

    schema: str | None
    """Name in `schemas.registry.MESSAGES`; None: plain text or third-party format."""
    qos: int = 1
    retain: bool = False
    expiry: int | None = None
    """Message expiry interval, seconds (MQTT 5.0); None: never."""
    required: bool = True
    """Whether a broker's refusal ends the connection."""

    @property
    def urn(self) -> str | None:
        return urn(self.schema) if self.schema else None


MESSAGE_KINDS = {
    "state": MessageKind(None, retain=True),
    "meta": MessageKind("meta-1", retain=True),
    "summary": MessageKind("summary-1", expiry=7 * _DAY),
    "event": MessageKind("event-1", expiry=7 * _DAY),
    "receipt": MessageKind("receipt-1", expiry=7 * _DAY),
    "health": MessageKind("health-1", qos=0, expiry=600),
    "shadow/reported": MessageKind("reported-1", retain=True, required=False),
    "res": MessageKind("response-1", expiry=30, required=False),
    "job": MessageKind("job-1", expiry=7 * _DAY, required=False),
    "discovery": MessageKind(None, retain=True, required=False),
}
HEARD_KINDS = {
    "summary": replace(MESSAGE_KINDS["summary"], schema="summary-2"),
    "shadow/reported": replace(MESSAGE_KINDS["shadow/reported"], schema="reported-2"),
}
"""Second forms, of a device whose site switches microphone or words on."""
HOME_ASSISTANT = "homeassistant/status"


def message_kind(kind: str, body: bytes) -> MessageKind:
    """Of `MESSAGE_KINDS`, with the schema that this body has."""
    return (HEARD_KINDS if is_second_form(body) and kind in HEARD_KINDS else MESSAGE_KINDS)[kind]


class Topics:
    """The topics of one device."""

    def __init__(self, config: AgentConfig) -> None:
        self.device, group = config.device.id, config.device.group
        device = self.device
        self.base = f"fleeting/1/d/{device}"
        self.discovery = f"homeassistant/device/{device}/config"
        self.desired = f"{self.base}/shadow/desired"
        self.commands = f"{self.base}/cmd/"
        self.job_next = f"{self.base}/job/next"
        self.defaults = f"fleeting/1/g/{group}/desired" if group else None

    def kind(self, topic: str) -> str:
        """The kind of message that a topic of this device carries, without what follows a slash."""
        if topic == self.discovery:
            return "discovery"
        return topic.removeprefix(f"{self.base}/").partition("/")[0]

    def of(self, kind: str, name: str = "") -> str:
        """The topic of one of `MESSAGE_KINDS`; `name`: the answered command, or the job."""
        if kind == "discovery":
            return self.discovery
        return f"{self.base}/{kind}/{name}" if name else f"{self.base}/{kind}"
