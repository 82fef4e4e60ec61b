"""Where messages go: one level of the tree belongs to this device, and it writes nowhere else.

The device id equals the certificate's common name, so that a broker's pattern ACL can confine it.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.base.config import AgentConfig
from agent.base.schemas import registry as schemas

_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Channel:
    """How one kind of message is sent."""

    schema: str | None
    """Name in `schemas.MESSAGES`; None: plain text, or somebody else's format."""
    qos: int = 1
    retain: bool = False
    expiry: int | None = None
    """Seconds that a broker keeps it for absent readers (MQTT 5.0); None: no end."""
    vital: bool = True
    """A broker that refuses it is of no use."""

    @property
    def urn(self) -> str | None:
        return schemas.urn(self.schema) if self.schema else None


STATE = Channel(None, retain=True)
CHANNELS = {
    "state": STATE,
    "meta": Channel("meta-1", retain=True),
    "summary": Channel("summary-1", expiry=7 * _DAY),
    "event": Channel("event-1", expiry=7 * _DAY),
    "receipt": Channel("receipt-1", expiry=7 * _DAY),
    "health": Channel("health-1", qos=0, expiry=600),
    "shadow/reported": Channel("reported-1", retain=True, vital=False),
    "res": Channel("response-1", expiry=30, vital=False),
    "discovery": Channel(None, retain=True, vital=False),
}
HOME_ASSISTANT = "homeassistant/status"


class Topics:
    """Every topic of one device."""

    def __init__(self, config: AgentConfig) -> None:
        device, group = config.device.id, config.device.group
        self.base = f"fleeting/1/d/{device}"
        self.discovery = f"homeassistant/device/{device}/config"
        self.desired = f"{self.base}/shadow/desired"
        self.commands = f"{self.base}/cmd/"
        self.defaults = f"fleeting/1/g/{group}/desired" if group else None

    def of(self, kind: str, name: str = "") -> str:
        """Where a message of one of `CHANNELS` goes; `name`: the command that is answered."""
        if kind == "discovery":
            return self.discovery
        return f"{self.base}/{kind}/{name}" if name else f"{self.base}/{kind}"
