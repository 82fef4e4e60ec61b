"""Keeps the perceive and the uplink process alive, as systemd does on a real box.

The perceive process is started in a network namespace of its own, where the system allows that:
there is no interface in it, so nothing can be reached whatever the process does. Users, groups and
so the permissions of cameras and files stay as they are (network_namespaces(7),
user_namespaces(7)).
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.base.errors import ConfigError

log = logging.getLogger(__name__)

LONGEST_DELAY = 60.0
STEADY = 60.0
"""Seconds after which a child counts as healthy and its backoff begins anew."""
PATIENCE = 10.0
"""Seconds that a child has to end before it is killed."""
_TICK = 0.2
_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def child_environment() -> dict[str, str]:
    """In which `python -P -m agent.…` finds this package. With -P a folder called `agent` where the
    user happens to be is not taken for ours."""
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}


@dataclass(slots=True)
class _Child:
    """One command, started again whenever it dies."""

    name: str
    argv: Sequence[str]
    prepare: Callable[[], None]
    """Runs in the child before its program starts."""
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    start_at: float = 0.0
    finished: bool = field(default=False)

    def tick(self) -> int | None:
        """Start when due; returns an exit code that must end everything, else None."""
        now = time.monotonic()
        if self.process is None:
            if not self.finished and now >= self.start_at:
                self.started = now
                self.process = subprocess.Popen(
                    self.argv, start_new_session=True, preexec_fn=self.prepare
                )
            return None
        code = self.process.poll()
        if code is None:
            return None
        self.process = None
        if code == ConfigError.exit_code:
            return code
        if code == 0:
            self.finished = True
            return None
        self.failures = 0 if now - self.started > STEADY else self.failures + 1
        delay = min(LONGEST_DELAY, 2.0 ** min(self.failures - 1, 10)) if self.failures else 1.0
        self.start_at = now + delay
        log.warning("%s ended (%s); started again in %.0f s.", self.name, _how(code), delay)
        return None

    def end(self) -> None:
        """Ask to end, wait, then insist."""
        process, self.process = self.process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            log.warning("%s did not end within %.0f s and is killed.", self.name, PATIENCE)
            process.kill()
            process.wait()


def supervise(
    perceive: Sequence[str],
    uplink: Sequence[str],
    stop: threading.Event | None = None,
    *,
    same_users: bool = False,
) -> int:
    """Run both commands until SIGTERM, SIGINT or `stop`; start a child that died again, with
    backoff.

    `same_users`: perceive must be able to tell root's files from others' (a profile for which root
    vouches), so an ordinary user's perceive, which would need a user namespace, stays in ours.

    Returns 0 after a stop or when `perceive` came to its source's end, 78 when a child says that
    its configuration cannot be used. `uplink` ends last, so that it can send what is left.
    """
    logging.basicConfig(level=logging.INFO, format="supervisor: %(message)s")
    stopping = stop or threading.Event()
    before = _on_signals(stopping)
    # Downstream first: whoever publishes is there before there is anything to publish.
    publisher = _Child("uplink", uplink, _die_with_parent)
    apart = _in_own_network if same_users else _in_own_namespaces
    perceiver = _Child("perceive", perceive, apart if _possible(apart) else _die_with_parent)
    try:
        while not stopping.is_set() and not perceiver.finished:
            for child in (publisher, perceiver):
                code = child.tick()
                if code is not None:
                    return code
            stopping.wait(_TICK)
        return 0
    finally:
        perceiver.end()
        publisher.end()
        for number, handler in before.items():
            signal.signal(number, handler)


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def _on_signals(stopping: threading.Event) -> dict[signal.Signals, Any]:
    """Let SIGTERM and SIGINT set `stopping`; returns the handlers before. Only the main thread may
    do so."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {
        number: signal.signal(number, lambda *_: stopping.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }


def _die_with_parent() -> None:
    """In the child, before its program starts: end when the supervisor is killed (prctl(2))."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _possible(apart: Callable[[], None]) -> bool:
    """Try with a child that does nothing; a namespace half entered could not be undone later."""
    try:
        subprocess.run(["/bin/sh", "-c", ":"], preexec_fn=apart, check=True, timeout=PATIENCE)
    except (OSError, subprocess.SubprocessError):
        log.warning(
            "perceive gets no network namespace of its own: this user may not make one here (see "
            "kernel.apparmor_restrict_unprivileged_userns, user.max_user_namespaces; a profile "
            "owned by root needs root). What keeps it off the network is the filter that it puts "
            "on itself."
        )
        return False
    return True


def _in_own_network() -> None:
    """In the child: leave the network, as root. Raises `OSError`."""
    _unshare(_CLONE_NEWNET)
    _die_with_parent()


def _in_own_namespaces() -> None:
    """In the child: leave the network, with a user namespace where privileges are missing.

    We stay who we are in it. Groups beyond the first have no name there, yet the kernel still
    grants what they may. Raises `OSError`.
    """
    try:
        _unshare(_CLONE_NEWNET)
    except OSError:
        user, group = os.geteuid(), os.getegid()
        _unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
        for name, line in (
            ("setgroups", b"deny"),
            ("uid_map", b"%d %d 1" % (user, user)),
            ("gid_map", b"%d %d 1" % (group, group)),
        ):
            handle = os.open(f"/proc/self/{name}", os.O_WRONLY)
            os.write(handle, line)
            os.close(handle)
    _die_with_parent()


def _unshare(flags: int) -> None:
    if _LIBC.unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), "no namespace")
