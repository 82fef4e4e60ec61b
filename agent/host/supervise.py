"""Supervisor of the perceive and the uplink process, where systemd does not run them; it also
starts the updater when there is something to do, and restarts both when the updater asks for it.

Where permitted, the perceive process is started in an empty network namespace. Users and groups,
and so permissions of cameras and files, stay as they are (network_namespaces(7),
user_namespaces(7)).
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.base.errors import ConfigError
from agent.host import launch
from agent.host.sandbox import kernel

log = logging.getLogger(__name__)

MAX_DELAY = 60.0
"""Seconds between restarts."""
HEALTHY_AFTER = 60.0
"""Seconds of running after which the backoff is reset."""
TERMINATE_TIMEOUT = 10.0
"""Seconds between SIGTERM and SIGKILL."""
_POLL_INTERVAL = 0.2
_UPDATER_RETRY = 10.0
"""Seconds after which an updater that failed is started again."""
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


def child_environment() -> dict[str, str]:
    """An environment in which `python -P -m agent.…` finds this package (-P: not the working
    directory)."""
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}


def launched(folder: Path, *arguments: str, confirmed: bool = False) -> list[str]:
    """The command that starts a service from the slot in force (`agent.host.launch`). `folder`:
    `update.folder`. `confirmed`: from the slot that has proved itself."""
    options = ["--confirmed"] if confirmed else []
    program = [sys.executable, "-I", "-S", str(Path(launch.__file__).resolve())]
    return [*program, *options, str(folder), *arguments]


@dataclass(frozen=True, slots=True)
class Updates:
    """What a supervisor has to know of updates."""

    folder: Path
    """`update.folder`; `restart` in it asks for both services to be restarted."""
    job: Path
    """File that is there, and changes, with each job."""
    command: Sequence[str]
    """Starts the updater."""

    @property
    def restart(self) -> Path:
        return self.folder / "restart"


@dataclass(slots=True)
class _Child:
    """One command and its restarts."""

    name: str
    argv: Sequence[str]
    prepare: Callable[[], None]
    """Runs in the child between fork and exec."""
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    start_at: float = 0.0
    finished: bool = False

    def tick(self, *, pending: bool = False) -> int | None:
        """Start when due; returns an exit code that must stop the supervisor, else None.
        `pending`: what runs has yet to prove itself, and whatever ends is started again."""
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
        if code == ConfigError.exit_code and not pending:
            return code
        if code == 0 and not pending:
            self.finished = True
            return None
        self.failures = 0 if now - self.started > HEALTHY_AFTER else self.failures + 1
        delay = min(MAX_DELAY, 2.0 ** min(self.failures - 1, 10)) if self.failures else 1.0
        self.start_at = now + delay
        log.warning("%s ended (%s); started again in %.0f s.", self.name, _exit_reason(code), delay)
        return None

    def again(self) -> None:
        """End it, and start it at once."""
        self.end()
        self.failures, self.start_at, self.finished = 0, 0.0, False

    def end(self) -> None:
        """SIGTERM, then SIGKILL after `TERMINATE_TIMEOUT`."""
        process, self.process = self.process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(TERMINATE_TIMEOUT)
        except subprocess.TimeoutExpired:
            log.warning("%s did not end within %.0f s and is killed.", self.name, TERMINATE_TIMEOUT)
            process.kill()
            process.wait()


class _Updater:
    """Starts the updater: once at first, for what was left unfinished; then with each job."""

    def __init__(self, updates: Updates) -> None:
        self._updates = updates
        self._process: subprocess.Popen[bytes] | None = None
        self._job: tuple[int, int] | None = None
        self._start_at: float | None = 0.0
        self._asked = _signature(updates.restart)

    def pending(self) -> bool:
        return launch.pending(self._updates.folder)

    def asks(self) -> bool:
        """Whether both services are to be restarted."""
        found = _signature(self._updates.restart)
        changed, self._asked = found not in (None, self._asked), found
        return changed

    def tick(self) -> None:
        now = time.monotonic()
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                return
            self._process = None
            if code not in (0, ConfigError.exit_code):
                log.warning("The updater ended (%s).", _exit_reason(code))
                self._start_at = now + _UPDATER_RETRY
        job = _signature(self._updates.job)
        if job != self._job:
            self._start_at = now
        if self._start_at is not None and now >= self._start_at:
            self._start_at, self._job = None, job
            self._process = subprocess.Popen(
                self._updates.command, start_new_session=True, preexec_fn=die_with_parent
            )

    def end(self) -> None:
        if self._process is not None:
            child = _Child("updater", (), die_with_parent, self._process)
            child.end()


def _signature(path: Path) -> tuple[int, int] | None:
    """Changes when a file is replaced."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def supervise(
    perceive: Sequence[str],
    uplink: Sequence[str],
    stop: threading.Event | None = None,
    *,
    same_users: bool = False,
    cleanup: Callable[[], None] = lambda: None,
    updates: Updates | None = None,
) -> int:
    """Run both commands until SIGTERM, SIGINT or `stop`; restart a child that died, with backoff.

    `same_users`: do not start perceive in a user namespace, in which it could not check that a
    profile file is owned by root. `cleanup`: called once perceive has ended for good, which may
    itself remove nothing outside its own folders. `updates`: where there may be any.

    Returns 0 after a stop or at the end of the source, 78 when a child reports an invalid
    configuration. `uplink` is stopped last, so that it can send the remaining messages.
    """
    logging.basicConfig(level=logging.INFO, format="supervisor: %(message)s")
    stopping = stop or threading.Event()
    before = _on_signals(stopping)
    publisher = _Child("uplink", uplink, die_with_parent)
    isolate = _isolate_network if same_users else _isolate_user_and_network
    prepare = isolate if _permitted(isolate) else die_with_parent
    perceiver = _Child("perceive", perceive, prepare)
    updater = _Updater(updates) if updates is not None else None
    try:
        while not stopping.is_set() and not perceiver.finished:
            if updater is not None and updater.asks():
                log.info("Both processes are restarted, as the updater asks.")
                for child in (perceiver, publisher):
                    child.again()
            pending = updater is not None and updater.pending()
            for child in (publisher, perceiver):
                code = child.tick(pending=pending)
                if code is not None:
                    return code
            if updater is not None:
                updater.tick()
            stopping.wait(_POLL_INTERVAL)
        return 0
    finally:
        if updater is not None:
            updater.end()
        perceiver.end()
        cleanup()
        publisher.end()
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit_reason(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def _on_signals(stopping: threading.Event) -> dict[signal.Signals, Any]:
    """Let SIGTERM and SIGINT set `stopping`; returns the previous handlers. Main thread only."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {
        number: signal.signal(number, lambda *_: stopping.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }


def die_with_parent() -> None:
    """In the child: receive SIGTERM when the supervisor dies (prctl(2))."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGTERM)


def _permitted(isolate: Callable[[], None]) -> bool:
    """Try in a child that does nothing else."""
    try:
        subprocess.run(
            ["/bin/sh", "-c", ":"], preexec_fn=isolate, check=True, timeout=TERMINATE_TIMEOUT
        )
    except (OSError, subprocess.SubprocessError):
        log.warning(
            "perceive gets no network namespace of its own: this user may not make one here (see "
            "kernel.apparmor_restrict_unprivileged_userns, user.max_user_namespaces; a profile "
            "owned by root needs root). What keeps it off the network is the filter that it puts "
            "on itself."
        )
        return False
    return True


def _isolate_network() -> None:
    """In the child, as root: enter an empty network namespace. Raises `OSError`."""
    _unshare(_CLONE_NEWNET)
    die_with_parent()


def _isolate_user_and_network() -> None:
    """In the child: enter an empty network namespace, with a user namespace where unprivileged.

    User and group keep their ids. Supplementary groups are unmapped, but keep their permissions.
    Raises `OSError`.
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
    die_with_parent()


def _unshare(flags: int) -> None:
    if kernel.LIBC.unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), "no namespace")
