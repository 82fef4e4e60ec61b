"""What each process tries once it is in its sandbox, and should find refused.

Each attempt is harmless where it succeeds: calls name a file that does not exist, a descriptor that
is not open or a key that nobody uses, so that only a refusal tells what the kernel thought of the
call.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import cast, get_args

from agent.base.report.device import PerceiveOpening, UplinkOpening
from agent.host.sandbox import kernel, probe

Attempt = Callable[[], bool]
"""Whether it is open: whether anything of it was not refused."""

WORDS: dict[str, str] = {
    "inet": "make a socket that leaves this machine (IP, netlink, packet, vsock)",
    "unix": "make a local socket, connect one, send a datagram to an address",
    "descriptor": "receive an open file from another process",
    "attributes": "set extended attributes, owner, mode or times of a file",
    "ipc": "use System V shared memory, messages, semaphores; POSIX messages",
    "exec": "start a program",
    "dumpable": "let other processes trace this one",
    "signal": "signal a process that is not its own",
    "file": "create a file outside its own folders",
    "shm": "create or open shared memory in /dev/shm",
    "listen": "bind, listen, accept",
    "udp": "make an IP socket that is not TCP's",
    "address": "connect to an address that is not the broker's",
    "port": "connect to a port that is not the broker's",
    "device": "open a camera, a microphone or another device that is not its own",
}
"""What is tried, for people."""

_NOT_OPEN = -1
_NOWHERE = b"/nonexistent/fleeting"
_KEY = 0x466C6565
"""Of no System V object, one hopes: an existing one would be found, and left alone."""
_AT_FDCWD = -100
_MSG_FASTOPEN = 0x20000000
_IPPROTO_MPTCP = 262
_PR_GET_DUMPABLE = 3
_PIDFD_GETFD = 438
"""The same number on every processor."""
_REFUSED = (errno.EPERM, errno.EACCES, errno.ENOSYS)
_UNIX = struct.pack("=H108s", socket.AF_UNIX, _NOWHERE)


def of_perceive(folders: Iterable[Path]) -> dict[str, Attempt]:
    """What the perceive process tries; it may write in `folders`."""
    own = list(folders)
    return {
        "inet": _internet,
        "unix": _local,
        "listen": _serve,
        "descriptor": _descriptor,
        **_in_both(own),
        "shm": _shared_memory,
    }


def of_camera(devices: Sequence[Path]) -> dict[str, Attempt]:
    """What the process that reads the camera tries; it may write nowhere. `devices`: others than
    cameras, listed before the sandbox was entered."""
    return {**of_perceive(()), "device": lambda: not probe.no_device(devices)}


def of_uplink(
    folders: Iterable[Path], devices: Sequence[Path], broker_port: int, *, filtered: bool
) -> dict[str, Attempt]:
    """What the uplink process tries. `devices`: listed before the sandbox was entered; `filtered`:
    whether a packet filter was found then."""
    return {
        "listen": _serve,
        "udp": lambda: _sockets(
            (socket.AF_INET, socket.SOCK_DGRAM, 0),
            (socket.AF_INET6, socket.SOCK_DGRAM, 0),
            (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        ),
        "unix": _local,
        "descriptor": _descriptor,
        "address": lambda: not filtered,
        "port": lambda: _foreign_port(broker_port),
        "device": lambda: not probe.no_device(devices),
        **_in_both(list(folders)),
    }


def openings(attempts: dict[str, Attempt]) -> list[str]:
    """Make each attempt; returns the names of those that were not refused, in the order given. One
    that fails in an unexpected way counts as open. Never raises."""
    return [name for name, attempt in attempts.items() if _open(attempt)]


def perceive_openings(folders: Iterable[Path]) -> tuple[PerceiveOpening, ...]:
    """`openings` of the perceive process, in declared order."""
    found = openings(of_perceive(folders))
    order = cast("tuple[PerceiveOpening, ...]", get_args(PerceiveOpening))
    return tuple(name for name in order if name in found)


def uplink_openings(
    folders: Iterable[Path], devices: Sequence[Path], broker_port: int, *, filtered: bool
) -> tuple[UplinkOpening, ...]:
    """`openings` of the uplink process, in declared order."""
    found = openings(of_uplink(folders, devices, broker_port, filtered=filtered))
    order = cast("tuple[UplinkOpening, ...]", get_args(UplinkOpening))
    return tuple(name for name in order if name in found)


def _open(attempt: Attempt) -> bool:
    try:
        return attempt()
    except Exception:
        return True


def _in_both(folders: list[Path]) -> dict[str, Attempt]:
    return {
        "attributes": _attributes,
        "ipc": lambda: _any(
            ("shmget", _KEY, 1, 0), ("msgget", _KEY, 0), ("semget", _KEY, 0, 0),
            ("mq_open", b"/fleeting-none", os.O_RDONLY),
        ),
        "exec": lambda: _any(
            ("execve", _NOWHERE, None, None), ("execveat", _AT_FDCWD, _NOWHERE, None, None, 0)
        ),
        "dumpable": _dumpable,
        "signal": _signal,
        "file": lambda: not probe.no_file_outside(folders),
    }  # fmt: skip


def _any(*calls: tuple[str | bytes | int | None, ...]) -> bool:
    """Whether one of these calls, (name of the C library's function, arguments…), is not
    refused."""
    return any(_answered(str(name), *arguments) for name, *arguments in calls)


def _answered(name: str, *arguments: str | bytes | int | None) -> bool:
    """Whether the kernel did more than refuse. A function that this C library lacks counts as
    refused."""
    function = getattr(kernel.LIBC, name, None)
    if function is None:
        return False
    ctypes.set_errno(0)
    if function(*map(_as_c, arguments)) >= 0:
        return True
    return ctypes.get_errno() not in _REFUSED


def _as_c(argument: str | bytes | int | None) -> object:
    """A number in full width: what varies would else be read from rubbish."""
    return ctypes.c_long(argument) if isinstance(argument, int) else argument


def _sockets(*kinds: tuple[int, int, int]) -> bool:
    """Whether one of these, (family, type, protocol), can be made."""
    for kind in kinds:
        with contextlib.suppress(OSError):
            socket.socket(*kind).close()
            return True
    return False


def _internet() -> bool:
    return not probe.no_internet_socket() or _sockets(
        (socket.AF_INET, socket.SOCK_DGRAM, 0),
        (socket.AF_INET6, socket.SOCK_STREAM, 0),
        (socket.AF_NETLINK, socket.SOCK_RAW, 0),
        (socket.AF_PACKET, socket.SOCK_DGRAM, 0),
        (socket.AF_VSOCK, socket.SOCK_STREAM, 0),
    )


def _local() -> bool:
    """An inherited socket would do where none can be made: so the calls are tried too."""
    if _sockets((socket.AF_UNIX, socket.SOCK_DGRAM, 0), (socket.AF_UNIX, socket.SOCK_STREAM, 0)):
        return True
    with contextlib.suppress(OSError):
        for each in socket.socketpair():
            each.close()
        return True
    return _any(
        ("sendto", _NOT_OPEN, b"", 0, 0, _UNIX, len(_UNIX)), ("sendmsg", _NOT_OPEN, None, 0)
    )


def _serve() -> bool:
    return _any(
        ("bind", _NOT_OPEN, _UNIX, len(_UNIX)),
        ("listen", _NOT_OPEN, 1),
        ("accept", _NOT_OPEN, None, None),
        ("accept4", _NOT_OPEN, None, None, 0),
    )


def _descriptor() -> bool:
    if _any(("recvmsg", _NOT_OPEN, None, 0), ("recvmmsg", _NOT_OPEN, None, 0, 0, None)):
        return True
    try:
        kernel.syscall(_PIDFD_GETFD, _NOT_OPEN, 0, 0)
    except OSError as error:
        return error.errno not in _REFUSED
    return True


def _attributes() -> bool:
    name = b"user.fleeting"
    return _any(
        ("setxattr", _NOWHERE, name, b"x", 1, 0),
        ("lsetxattr", _NOWHERE, name, b"x", 1, 0),
        ("fsetxattr", _NOT_OPEN, name, b"x", 1, 0),
        ("removexattr", _NOWHERE, name),
        ("chmod", _NOWHERE, 0o600),
        ("fchmodat", _AT_FDCWD, _NOWHERE, 0o600, 0),
        ("chown", _NOWHERE, -1, -1),
        ("lchown", _NOWHERE, -1, -1),
        ("fchownat", _AT_FDCWD, _NOWHERE, -1, -1, 0),
        ("utimensat", _AT_FDCWD, _NOWHERE, None, 0),
    )


def _dumpable() -> bool:
    """Taken back at once."""
    before = kernel.LIBC.prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0)
    try:
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
    except OSError as error:
        return error.errno not in _REFUSED
    if before != 1:
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    return True


def _signal(processes: Path = Path("/proc")) -> bool:
    """Signal 0 only asks (kill(2)). Process -1, which would ask all, says nothing of the
    refusals."""
    others = {os.getppid(), os.getsid(0), os.getpgrp()}
    with contextlib.suppress(OSError):
        others |= {int(name) for name in os.listdir(processes) if name.isdigit()}
    return any(_may_signal(each) for each in sorted(others - {0, os.getpid()})[:1000])


def _may_signal(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True


def _shared_memory(folder: Path = Path("/dev/shm")) -> bool:
    if probe.can_create_file(folder):
        return True
    try:
        found = sorted(folder.iterdir())[:100]
    except OSError:
        return False
    return any(_can_write(each) for each in found)


def _can_write(path: Path) -> bool:
    """Opened and closed; nothing is written."""
    flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        os.close(os.open(path, flags))
    except OSError:
        return False
    return True


def _foreign_port(broker_port: int) -> bool:
    """Also by what Landlock's rules do not cover: Multipath TCP, and data in the SYN."""
    if not probe.no_connection_elsewhere(avoid=broker_port):
        return True
    if _sockets((socket.AF_INET, socket.SOCK_STREAM, _IPPROTO_MPTCP)):
        return True
    address = struct.pack("=H2s4s8x", socket.AF_INET, b"\0\x09", socket.inet_aton("192.0.2.1"))
    return _any(("sendto", _NOT_OPEN, b"", 0, _MSG_FASTOPEN, address, len(address)))
