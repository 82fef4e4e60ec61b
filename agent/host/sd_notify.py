"""Status and watchdog messages to systemd: sd_notify(3) without libsystemd. What is said here is
also the sign of life that the updater reads (`agent.host.heartbeat`).

`connect` opens the socket, once, before the process enters its sandbox; afterwards it is only
written to. No function raises; before `connect`, and without a service manager, all do nothing.
"""

from __future__ import annotations

import logging
import os
import socket
import time

from agent.base.errors import reason
from agent.host import health, heartbeat

log = logging.getLogger(__name__)

_MAX_STATUS = 200
"""Characters."""
_manager: socket.socket | None = None
_next_keepalive = 0.0
"""Monotonic seconds before which no keep-alive is sent."""


def connect() -> None:
    """Open a socket to $NOTIFY_SOCKET, where there is one: a path, or an abstract address that
    begins with @ (unix(7)). It is not inherited by programs, and not opened again when the manager
    is away."""
    global _manager
    before, _manager = _manager, None
    if before is not None:
        before.close()
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        opened.setblocking(False)
        opened.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        opened.shutdown(socket.SHUT_RD)
    except (OSError, ValueError) as error:
        opened.close()
        log.warning("The service manager at %s cannot be reached: %s.", address, reason(error))
    else:
        _manager = opened


def ready(status: str = "") -> None:
    """Startup is complete (Type=notify)."""
    heartbeat.ready()
    _send("READY=1", _as_status(status))


def status(text: str) -> None:
    """Set the status line of `systemctl status`."""
    _send(_as_status(text))


def stopping() -> None:
    """Shutdown has begun."""
    heartbeat.stopping()
    _send("STOPPING=1")


def watchdog(*, progress: bool = True) -> None:
    """Send a keep-alive (WatchdogSec=), at most four per watchdog timeout, where this process is
    fit (`agent.host.health`).

    Call on progress only (a frame processed, the outbox drained), not from a timer; without
    `progress` where the reason for none is known, and a restart would change nothing.
    """
    global _next_keepalive
    if progress:
        heartbeat.progress()
    timeout = _watchdog_timeout()
    now = time.monotonic()
    if timeout is None or now < _next_keepalive:
        return
    if not health.is_fit(health.own(), waits=not progress):
        return
    _next_keepalive = now + timeout / 4
    _send("WATCHDOG=1")


def _watchdog_timeout() -> float | None:
    """Seconds; None where systemd watches no process or another one."""
    try:
        microseconds = int(os.environ.get("WATCHDOG_USEC", ""))
        owner = int(os.environ.get("WATCHDOG_PID", os.getpid()))
    except ValueError:
        return None
    return microseconds / 1e6 if microseconds > 0 and owner == os.getpid() else None


def _as_status(text: str) -> str:
    return f"STATUS={' '.join(text.split())[:_MAX_STATUS]}" if text else ""


def _send(*lines: str) -> None:
    """Send assignments in one datagram."""
    if _manager is None:
        return
    try:
        _manager.send("\n".join(filter(None, lines)).encode())
    except OSError as error:
        log.debug("sd_notify failed: %s", error)
