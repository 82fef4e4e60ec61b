"""Probes of what the kernel really refuses in the sandbox.

Each is harmless where it succeeds: a written file is removed, no packet leaves the machine, a
device is opened and closed only.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

from agent.host.sandbox.kernel import status

_REFUSED = (errno.EPERM, errno.EACCES)
ELSEWHERE = ("192.0.2.1", 9)
"""TEST-NET-1 (RFC 5737), discard port."""
_SENSORS = ("video*", "media*", "v4l-subdev*", "snd/pcm*", "dri/card*", "fuse", "kmsg", "mem")
"""Below /dev: cameras, microphones, and others that are harmless to open (unlike a watchdog)."""
_FALLBACK_TUNNELS = {
    "sit0", "tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6tnl0", "ip6gre0",
}  # fmt: skip
"""Unconfigured interfaces that the kernel creates in every new network namespace (sysctl net/core,
fb_tunnels_only_for_init_net)."""


def no_internet_socket() -> bool:
    """Whether neither an IPv4 nor an IPv6 socket can be created."""
    return not (
        _can_create_socket(socket.AF_INET, socket.SOCK_STREAM)
        or _can_create_socket(socket.AF_INET6, socket.SOCK_DGRAM)
    )


def no_file_outside(allowed: Iterable[Path]) -> bool:
    """Whether no file can be created in the usual temporary folders, home and working folder,
    except in `allowed`."""
    homes = [Path(each) for each in (os.environ.get("HOME"), os.environ.get("TMPDIR")) if each]
    places = {Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), Path("."), *homes}
    ours = [each.resolve() for each in allowed]
    return not any(
        can_create_file(place)
        for place in sorted(places)
        if not any(place.resolve().is_relative_to(each) for each in ours)
    )


def devices(folder: Path = Path("/dev")) -> list[Path]:
    """The devices that `no_device` should try; always includes the first camera."""
    found = {path for pattern in _SENSORS for path in folder.glob(pattern)}
    return sorted(found | {folder / "video0"})


def no_device(paths: Iterable[Path]) -> bool:
    """Whether none of these devices can be opened."""
    return not any(_can_open(path) for path in paths)


def no_datagram_elsewhere() -> bool:
    """Whether a packet filter such as systemd's IPAddressDeny= (without effect on kernels without
    cgroup BPF) refuses a datagram to `ELSEWHERE`; if so it also refuses TCP, whose first packet's
    fate connect(2) does not tell. Call before entering the sandbox, which refuses UDP."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            _bind_to_loopback(probe)
            probe.sendto(b"", ELSEWHERE)
    except OSError as error:
        return error.errno in _REFUSED
    return False


def no_connection_elsewhere(avoid: int = 0) -> bool:
    """Whether the kernel refuses a TCP connection to `ELSEWHERE`; to the next port where that one
    is `avoid`."""
    host, port = ELSEWHERE
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            _bind_to_loopback(probe)
            probe.setblocking(False)
            probe.connect((host, port + (port == avoid)))
    except OSError as error:
        return error.errno in _REFUSED
    return False


def alone_in_network(devices: Path = Path("/proc/self/net/dev")) -> bool:
    """Whether this process's network namespace has no interface but loopback."""
    try:
        lines = devices.read_text(encoding="ascii", errors="replace").splitlines()[2:]
    except OSError:
        return False
    names = {line.partition(":")[0].strip() for line in lines}
    return names - _FALLBACK_TUNNELS <= {"lo"}


def under_systemd(groups: Path = Path("/proc/self/cgroup")) -> bool:
    """Whether systemd started this process as a service with a system call filter. Call before
    entering the sandbox, which installs a filter of its own."""
    try:
        lines = groups.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    service = any(line.rpartition("/")[2].endswith(".service") for line in lines)
    filtered = status("Seccomp") == 2 and status("NoNewPrivs") == 1
    return service and filtered and "INVOCATION_ID" in os.environ


def _can_create_socket(family: int, kind: int) -> bool:
    try:
        socket.socket(family, kind).close()
    except OSError:
        return False
    return True


def can_create_file(folder: Path) -> bool:
    """Whether a file, folder or link can be made there; it is removed."""
    path = folder / f".fleeting-cage-{os.getpid()}"
    made: tuple[Callable[[], object], ...] = (path.touch, path.mkdir, lambda: path.symlink_to("."))
    for make, undo in zip(made, (path.unlink, path.rmdir, path.unlink), strict=True):
        with contextlib.suppress(OSError):
            make()
            with contextlib.suppress(OSError):
                undo()
            return True
    return False


def _can_open(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        # Any other error, such as ENXIO, comes from the device's driver.
        return error.errno not in (*_REFUSED, errno.ENOENT)
    return True


def _bind_to_loopback(probe: socket.socket) -> None:
    """Packets stay on this machine but pass its filters, even without a route. Needs no privilege
    since Linux 5.7."""
    with contextlib.suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
