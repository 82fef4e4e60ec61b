"""The sandbox of the process that speaks to a speech-to-text server: it may connect to local
sockets and use what is open; it reads and writes no file, starts nothing, and reaches no
network."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Callable

from agent.host.sandbox import kernel, landlock, seccomp
from agent.host.sandbox.landlock import Ruleset


def seal() -> list[str]:
    """Enter it. Returns the layers that this system does not support; never raises."""
    lacking = []
    layers: dict[str, Callable[[], None]] = {
        "no new privileges": lambda: kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1),
        "no core dumps": lambda: kernel.prctl(kernel.PR_SET_DUMPABLE, 0),
        "landlock": _restrict_files,
        "seccomp": _filter_calls,
    }
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        with contextlib.suppress(OSError, ValueError):  # the service sets it already
            resource.setrlimit(limit, (0, 0))
    for name, enter in layers.items():
        try:
            enter()
        except OSError:
            lacking.append(name)
    return lacking


def _restrict_files() -> None:
    rules = Ruleset(
        handled=landlock.CHANGING | landlock.READING | landlock.EXECUTE,
        grants=(),
        ports=(),
        scoped=landlock.SIGNAL | landlock.ABSTRACT_UNIX_SOCKET,
    )
    landlock.restrict(rules, landlock.version())


def _filter_calls() -> None:
    machine = kernel.processor()
    if not seccomp.known(machine):
        raise OSError("unknown processor")
    seccomp.install(seccomp.transcription_filter(machine))
