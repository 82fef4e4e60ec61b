"""The resolver's sandbox: it reads the system's configuration of names and nothing else, writes
nothing, starts nothing. It may use UDP and local sockets, which the uplink may not.
"""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Callable
from pathlib import Path

from agent.host.sandbox import kernel, landlock, seccomp
from agent.host.sandbox.landlock import Ruleset

_DNS = 53
_FILES = tuple(
    Path("/etc", name)
    for name in (
        "hosts", "resolv.conf", "nsswitch.conf", "host.conf", "gai.conf", "ld.so.cache", "services",
        "protocols", "mdns.allow",
    )
)  # fmt: skip
"""One by one: keys and passwords lie in /etc too."""
_LIBRARIES = ("/usr", "/lib", "/lib32", "/lib64", "/usr/local/lib")
"""Modules of the name service switch (nsswitch.conf(5))."""
_FOLDERS = tuple(
    Path("/run", name)
    for name in (
        "systemd/resolve", "resolvconf", "NetworkManager", "connman", "nscd", "avahi-daemon"
    )
)  # fmt: skip
"""Possible targets of the link /etc/resolv.conf, and sockets of local name services."""

Fingerprint = tuple[str, int, int]


def seal() -> list[str]:
    """Enter the sandbox. Returns the layers that this system does not support; never raises."""
    lacking = []
    layers: dict[str, Callable[[], None]] = {
        "no new privileges": lambda: kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1),
        "no core dumps": lambda: kernel.prctl(kernel.PR_SET_DUMPABLE, 0),
        "mdwe": lambda: kernel.prctl(kernel.PR_SET_MDWE, kernel.PR_MDWE_REFUSE_EXEC_GAIN),
        "landlock": _restrict_files,
        "seccomp": _filter_calls,
    }
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        # The service's filter may refuse it, and sets the limit itself.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(limit, (0, 0))
    for name, enter in layers.items():
        try:
            enter()
        except OSError:
            lacking.append(name)
    return lacking


def fingerprint() -> dict[Path, Fingerprint]:
    """Which files the configuration consists of, by name and inode. A rule of Landlock holds for
    the inode: what is renamed into its place cannot be read."""
    return {path: found for path in _FILES[:5] if (found := _identity(path)) is not None}


def _identity(path: Path) -> Fingerprint | None:
    """None where it is missing, or lies in a folder that may be read whatever is in it."""
    real = os.path.realpath(path)
    if any(real.startswith(f"{folder}/") for folder in (*_LIBRARIES, *_FOLDERS)):
        return None
    try:
        status = os.stat(real)
    except OSError:
        return None
    return real, status.st_dev, status.st_ino


def _restrict_files() -> None:
    rules = Ruleset(
        handled=landlock.CHANGING | landlock.READING | landlock.EXECUTE,
        grants=(
            *landlock.existing(_FILES, landlock.READ_FILE),
            *landlock.existing(map(Path, _LIBRARIES), landlock.READING),
            *landlock.existing(_FOLDERS, landlock.READING),
        ),
        ports=(_DNS,),
        scoped=landlock.SIGNAL | landlock.ABSTRACT_UNIX_SOCKET,
    )
    landlock.restrict(rules, landlock.version())


def _filter_calls() -> None:
    machine = kernel.processor()
    if not seccomp.known(machine):
        raise OSError("unknown processor")
    seccomp.install(seccomp.resolver_filter(machine))
