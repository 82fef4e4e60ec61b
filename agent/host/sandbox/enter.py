"""Entering the sandbox of the perceive or the uplink process.

Call it before NumPy and other libraries that start threads are imported: before ABI 8, Landlock
holds only for the calling thread and those that it starts later, as do capabilities (seccomp holds
for all). What needs a socket, a lock on memory, a new name or a program is done before.

Run both processes as separate users, as the systemd units do: who shares a user with them can do
to their files what they can. Root keeps the right to all files, and no other of its capabilities.
"""

from __future__ import annotations

import errno
import logging
import os
import resource
import stat
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from agent.base.report import PerceiveCage, UplinkCage
from agent.base.report.device import Layer
from agent.host.sandbox import kernel, landlock, places, probe, refusals, seccomp
from agent.host.sandbox._bpf import Instruction
from agent.host.sandbox.landlock import Ruleset

log = logging.getLogger(__name__)

_CAPABILITIES = (kernel.CAP_DAC_OVERRIDE, kernel.CAP_DAC_READ_SEARCH, kernel.CAP_IPC_LOCK)
"""What root keeps: files of other users, and memory that was locked and grows."""
_PORTS_SINCE = 4
"""Landlock's ABI of Linux 6.7."""
WITHOUT = {
    "landlock": "Which files, devices and ports this process reaches is then only limited by its "
    "user's rights and by the systemd unit.",
    "seccomp": "What this process may ask of the kernel is then only limited by the systemd unit.",
}
"""What does not hold without a layer."""


def enter_perceive(
    writable: Iterable[Path],
    *,
    readable: Iterable[Path] = (),
    microphone: bool = False,
) -> PerceiveCage:
    """Deny new sockets and connections, writing outside `writable`, which must exist, and reading
    except there, `readable`, Python, the system's libraries and the hardware's description; devices
    except, with `microphone`, the inputs of sound cards; new processes. Its camera is read by
    another process (`agent.host.sandbox.camera`).

    Never raises; an unavailable layer is logged in one line.
    """
    folders = [each.resolve() for each in writable]
    layers = restrict_perceive(folders, readable=readable, microphone=microphone)
    found = refusals.perceive_openings(folders)
    return PerceiveCage(
        network="open" if "inet" in found else "closed",
        writes="open" if "file" in found else "confined",
        found_open=found,
        layers=layers,
    )


def restrict_perceive(
    folders: Iterable[Path],
    *,
    files: Iterable[Path] = (),
    readable: Iterable[Path] = (),
    microphone: bool = False,
) -> tuple[Layer, ...]:
    """As `enter_perceive` without probing, so that not even a socket is attempted. For recorded
    video. `files`: existing ones that may be written. Returns the layers in force."""
    outer = _outer_layers()
    _give_up_privileges()
    reads = (
        *landlock.existing(places.perceive_reads(readable), landlock.READING),
        (Path("/dev"), landlock.READ_DIR),
    )
    devices: list[Path] = []
    if microphone:
        devices += places.microphones()
        reads += landlock.existing(places.microphone_reads(), landlock.READING)
    rules = Ruleset(
        handled=landlock.CHANGING | landlock.READING | landlock.EXECUTE,
        grants=(
            *reads,
            *landlock.existing(folders, landlock.FOLDER),
            *landlock.existing(files, landlock.FILE),
            *landlock.existing(places.plain_devices(), landlock.FILE),
            *landlock.existing(devices, landlock.DEVICE),
        ),
        scoped=landlock.SIGNAL | landlock.ABSTRACT_UNIX_SOCKET,
    )
    confined = _attempt("landlock", lambda: _landlock(rules))
    filtered = _attempt(
        "seccomp",
        lambda: _seccomp(
            lambda machine: seccomp.perceive_filter(machine, pid=os.getpid(), microphone=microphone)
        ),
    )
    return _layers_in_force(outer, seccomp=filtered, landlock=confined)


def enter_uplink(
    readable: Iterable[Path], writable: Iterable[Path], broker_port: int
) -> UplinkCage:
    """Deny devices, reading except `readable`, Python and what the system's libraries read, writing
    outside `writable`, sockets other than TCP connections to the broker's port, and new processes.

    A file (not folder) in `readable` must not be replaced later: the rule holds for its inode.
    Sockets that are open now stay connected to what they are connected to. Never raises; an
    unavailable layer is logged in one line. Without Landlock, or before ABI 4, nothing here holds
    the port: then only the address filter of the systemd unit does.
    """
    folders = [each.resolve() for each in writable]
    outer = _outer_layers()
    # What the sandbox itself refuses to look at.
    devices, packets_filtered = probe.devices(), probe.no_datagram_elsewhere()
    _give_up_privileges()
    fixed = _attempt("mdwe", _deny_write_execute)
    rules = Ruleset(
        handled=landlock.CHANGING | landlock.READING | landlock.EXECUTE,
        grants=(
            *landlock.existing(places.uplink_reads(readable), landlock.READING),
            *landlock.existing(places.plain_devices(), landlock.FILE),
            *landlock.existing(folders, landlock.FOLDER),
        ),
        ports=(broker_port,),
        scoped=landlock.SIGNAL | landlock.ABSTRACT_UNIX_SOCKET,
    )
    sockets = _open_sockets()
    confined = _attempt("landlock", lambda: _landlock(rules))
    filtered = _attempt(
        "seccomp",
        lambda: _seccomp(
            lambda machine: seccomp.uplink_filter(machine, pid=os.getpid(), sockets=sockets)
        ),
    )
    found = refusals.uplink_openings(folders, devices, broker_port, filtered=packets_filtered)
    return UplinkCage(
        devices="open" if "device" in found else "closed",
        egress="open" if {"address", "port"} & set(found) else "confined",
        writes="open" if "file" in found else "confined",
        found_open=found,
        layers=_layers_in_force(outer, mdwe=fixed, seccomp=filtered, landlock=confined),
    )


def enter_updater(
    readable: Iterable[Path], writable: Iterable[Path], ports: Iterable[int]
) -> tuple[Layer, ...]:
    """Deny devices, reading except `readable`, Python and what the system's libraries read, writing
    outside `writable` (where links may be made and files moved, too), TCP connections to other than
    `ports`, memory that is written and executed, and new processes. Returns the layers in force.

    Names are looked up in this process, so datagrams may go anywhere: only the address filter of
    the systemd unit holds them. Never raises; an unavailable layer is logged in one line.
    """
    folders = [each.resolve() for each in writable]
    outer = _outer_layers()
    _give_up_privileges()
    fixed = _attempt("mdwe", _deny_write_execute)
    rules = Ruleset(
        handled=landlock.CHANGING | landlock.READING | landlock.EXECUTE,
        grants=(
            *landlock.existing(places.uplink_reads(readable), landlock.READING),
            *landlock.existing(places.plain_devices(), landlock.FILE),
            *landlock.existing(folders, landlock.FOLDER | landlock.MAKE_SYM | landlock.REFER),
        ),
        ports=tuple(ports) or (0,),
        scoped=landlock.SIGNAL | landlock.ABSTRACT_UNIX_SOCKET,
    )
    confined = _attempt("landlock", lambda: _landlock(rules))
    filtered = _attempt(
        "seccomp",
        lambda: _seccomp(lambda machine: seccomp.updater_filter(machine, pid=os.getpid())),
    )
    return _layers_in_force(outer, mdwe=fixed, seccomp=filtered, landlock=confined)


def _attempt(layer: str, build: Callable[[], None]) -> bool:
    """Set up one layer; log one line where this system does not support it."""
    try:
        build()
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in (errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL):
            reason += "; this kernel has none, or it is switched off"
        falls = WITHOUT.get(layer, "The others hold.")
        log.warning("The sandbox lacks one layer, %s: %s. %s", layer, reason, falls)
        return False
    return True


def _outer_layers() -> dict[Layer, bool]:
    return {"systemd": probe.under_systemd(), "namespace": probe.alone_in_network()}


def _layers_in_force(outer: dict[Layer, bool], **inner: bool) -> tuple[Layer, ...]:
    order: tuple[Layer, ...] = ("systemd", "namespace", "mdwe", "seccomp", "landlock")
    return tuple(layer for layer in order if outer.get(layer) or inner.get(layer))


def _give_up_privileges() -> None:
    _attempt("no new privileges", lambda: kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1))
    _attempt("no core dumps", _disable_core_dumps)
    _attempt("no capabilities", lambda: kernel.keep_capabilities(*_CAPABILITIES))


def _disable_core_dumps() -> None:
    """A core dump may contain frames. A dump to a pipe ignores the limit (core(5)), hence both;
    PR_SET_DUMPABLE also keeps other processes of the same user from attaching."""
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _deny_write_execute() -> None:
    """PR_SET_MDWE (Linux 6.3), as systemd's MemoryDenyWriteExecute=."""
    if "numba" in sys.modules:
        raise OSError(errno.EBUSY, "Numba is loaded here, and it compiles to memory")
    kernel.prctl(kernel.PR_SET_MDWE, kernel.PR_MDWE_REFUSE_EXEC_GAIN)


def _landlock(rules: Ruleset) -> None:
    abi = landlock.version()
    threads = kernel.status("Threads")
    landlock.restrict(rules, abi)
    if rules.ports and abi < _PORTS_SINCE:
        log.warning(
            "This kernel's Landlock knows no ports: this process may connect to any, unless the "
            "systemd unit or a firewall refuses."
        )
    if abi < 8 and threads > 1:
        log.warning(
            "%d threads ran before the sandbox was entered: Landlock does not hold for them.",
            threads - 1,
        )


def _seccomp(program: Callable[[str], list[Instruction]]) -> None:
    machine = kernel.processor()
    if not seccomp.known(machine):
        raise OSError(errno.ENOTSUP, f"its system calls on {machine} are not known here")
    seccomp.install(program(machine))


def _open_sockets() -> list[int]:
    """Descriptors of this process that are sockets."""
    return [number for number in _descriptors() if _is_socket(number)]


def _descriptors() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        return list(range(resource.getrlimit(resource.RLIMIT_NOFILE)[0]))


def _is_socket(number: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(number).st_mode)
    except OSError:
        return False
