"""Status and watchdog messages to the service manager: sd_notify(3), without its library.

Everything here does nothing where there is no service manager, and never raises: a lost message to
systemd must not stop what it watches over.

`alive` is to be called on progress only (a frame perceived, the outbox drained), never from a timer
or a thread of its own: a process that merely exists is not alive.
"""

from __future__ import annotations

import logging
import os
import socket
import time

log = logging.getLogger(__name__)

_LONGEST_STATUS = 200
"""Characters."""
_next_alive = 0.0
"""Monotonic seconds before which no further sign of life is due."""


def ready(status: str = "") -> None:
    """The start is complete: with Type=notify, what waits for this unit starts now."""
    _send("READY=1", _as_status(status))


def status(text: str) -> None:
    """One line for `systemctl status`."""
    _send(_as_status(text))


def stopping() -> None:
    """The end has begun."""
    _send("STOPPING=1")


def alive() -> None:
    """Feed the watchdog (WatchdogSec=); sent at most four times in the time that it allows."""
    global _next_alive
    patience = _patience()
    now = time.monotonic()
    if patience is None or now < _next_alive:
        return
    _next_alive = now + patience / 4
    _send("WATCHDOG=1")


def _patience() -> float | None:
    """Seconds that the watchdog waits for a sign of life of this process; None without one."""
    try:
        microseconds = int(os.environ.get("WATCHDOG_USEC", ""))
        owner = int(os.environ.get("WATCHDOG_PID", os.getpid()))
    except ValueError:
        return None
    return microseconds / 1e6 if microseconds > 0 and owner == os.getpid() else None


def _as_status(text: str) -> str:
    return f"STATUS={' '.join(text.split())[:_LONGEST_STATUS]}" if text else ""


def _send(*lines: str) -> None:
    """One datagram of assignments; to the abstract namespace where the address begins with @."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    target = f"\0{address[1:]}" if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
            # A manager that does not read must not hold us up.
            manager.setblocking(False)
            manager.sendto("\n".join(filter(None, lines)).encode(), target)
    except (OSError, ValueError) as error:
        log.debug("The service manager could not be told: %s", error)
