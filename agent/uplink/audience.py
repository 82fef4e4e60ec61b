"""Whether somebody reads what is sent.

In MQTT 5 a broker may say in its PUBACK that nobody has subscribed (reason 0x10, section 3.4.2.1);
it has then thrown the message away. Mosquitto 2.0 says so for some seconds after each start, since
it forgets shared subscriptions until the readers ask for them again. So where somebody used to
read, a message is kept and sent again for a while; where nobody ever did, nothing is waited for.
"""

from __future__ import annotations

NOBODY = 0x10
"""No matching subscribers."""
PATIENCE = 300.0
"""Seconds for which readers are waited for; from then on they count as gone for good."""
RETRY = 3.0
"""Seconds until the message is sent again."""


class Audience:
    """By kind of message; in memory only, so a new process waits once somebody has read."""

    def __init__(self) -> None:
        self._since: dict[str, float | None] = {}
        """Kinds that somebody reads, and since when nobody has, monotonic seconds."""

    def is_delivered(self, kind: str, code: int, now: float) -> bool:
        """Whether a message that was acknowledged with this reason code counts as delivered."""
        if code != NOBODY:
            self._since[kind] = None
            return True
        if kind not in self._since:
            return True
        since = self._since[kind]
        if since is None:
            self._since[kind] = now
            return False
        if now - since < PATIENCE:
            return False
        del self._since[kind]
        return True
