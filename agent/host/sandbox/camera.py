"""The sandbox of the process that reads the camera, and of the one that starts it.

The starter, the spawner, is small and stays: it may open any device that the user and the unit let
it open, since a camera that is plugged in later is another file, but it opens none. Each process
that it forks gives up all but the cameras that exist at that moment. A domain of Landlock, and a
filter, can only be narrowed.

No layer of this module needs a library, so that the two processes stay small.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterable
from pathlib import Path

from agent.host.sandbox import kernel, landlock, places, seccomp
from agent.host.sandbox.landlock import Ruleset

_CAPABILITIES = (kernel.CAP_DAC_OVERRIDE, kernel.CAP_DAC_READ_SEARCH, kernel.CAP_IPC_LOCK)
"""What root keeps: devices of other users, and memory that was locked and grows."""


def restrict_spawner(*, local_clients: bool) -> tuple[str, ...]:
    """Deny sockets, writing, programs, and reading except Python, the system's libraries and the
    hardware's description; allow devices, forking, and signals to its own children.

    `local_clients`: allow connections to local servers, which some GStreamer sources need
    (nvargus-daemon, PipeWire), and reading everything, since a pipeline may name any file. What a
    local server is told is then its own affair: that no byte gets out does not hold.

    Returns the layers that this system does not support; never raises.
    """
    # /proc/self is another folder for each child
    reads = [*places.perceive_reads(()), Path("/proc")]
    return _enter(
        {
            "no new privileges": lambda: kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1),
            "no core dumps": _disable_core_dumps,
            "no capabilities": lambda: kernel.keep_capabilities(*_CAPABILITIES),
            "landlock": lambda: _confine(reads, [Path("/dev")], local_clients),
            "seccomp": lambda: seccomp.install(
                seccomp.spawner_filter(_machine(), local_clients=local_clients)
            ),
        }
    )


def restrict_camera(named: Iterable[Path] = (), *, local_clients: bool) -> tuple[str, ...]:
    """In a child of a process in `restrict_spawner`: of the devices only the cameras that exist
    now, `named` among them; no new processes, no signals. Returns the layers that this system does
    not support; never raises."""
    devices = places.cameras(named, local_clients=local_clients)
    return _enter(
        {
            "landlock": lambda: _confine(places.perceive_reads(()), devices, local_clients),
            "seccomp": lambda: seccomp.install(
                seccomp.camera_filter(_machine(), pid=os.getpid(), local_clients=local_clients)
            ),
        }
    )


def _enter(layers: dict[str, Callable[[], None]]) -> tuple[str, ...]:
    lacking = []
    for name, enter in layers.items():
        try:
            enter()
        except OSError:
            lacking.append(name)
    return tuple(lacking)


def _disable_core_dumps() -> None:
    """A core dump may contain frames; the limit and the flag, as in `enter`."""
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _confine(readable: Iterable[Path], devices: Iterable[Path], local_clients: bool) -> None:
    reads = () if local_clients else landlock.existing(readable, landlock.READING)
    listed = () if local_clients else ((Path("/dev"), landlock.READ_DIR),)
    rules = Ruleset(
        handled=landlock.CHANGING | (0 if local_clients else landlock.READING | landlock.EXECUTE),
        grants=(
            *reads,
            *listed,
            *landlock.existing(places.plain_devices(), landlock.FILE),
            *landlock.existing(devices, landlock.DEVICE),
        ),
        scoped=landlock.SIGNAL | landlock.ABSTRACT_UNIX_SOCKET,
    )
    landlock.restrict(rules, landlock.version())


def _machine() -> str:
    machine = kernel.processor()
    if not seccomp.known(machine):
        raise OSError("unknown processor")
    return machine
