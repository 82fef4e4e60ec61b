"""Trying what the kernel refuses: that is what a sandbox is worth, not what was configured.

Every attempt is harmless where it succeeds: nothing is written that is not removed again, no packet
leaves the machine, no device is commanded.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterable
from pathlib import Path

from agent.host.sandbox.kernel import status

_REFUSED = (errno.EPERM, errno.EACCES)
ELSEWHERE = ("192.0.2.1", 9)
"""TEST-NET-1 (RFC 5737) and the discard port: nobody's broker."""
_SEEING = ("video*", "media*", "v4l-subdev*", "snd/pcm*", "dri/card*", "fuse", "kmsg", "mem")
"""Below /dev: cameras and microphones, and where there are none others that are harmless to open
(a watchdog, for instance, is not)."""
_FALLBACK_TUNNELS = {
    "sit0", "tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6tnl0", "ip6gre0",
}  # fmt: skip
"""Interfaces that the kernel puts into every new network namespace (sysctl net/core,
fb_tunnels_only_for_init_net); they lead nowhere until somebody configures them."""


def no_internet_socket() -> bool:
    """Whether neither an IPv4 nor an IPv6 socket can be made."""
    return not (
        _makes(socket.AF_INET, socket.SOCK_STREAM) or _makes(socket.AF_INET6, socket.SOCK_DGRAM)
    )


def no_file_outside(allowed: Iterable[Path]) -> bool:
    """Whether no file can be made in the places where a program likes to leave one."""
    homes = [Path(each) for each in (os.environ.get("HOME"), os.environ.get("TMPDIR")) if each]
    places = {Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), Path("."), *homes}
    ours = [each.resolve() for each in allowed]
    return not any(
        _creates(place)
        for place in sorted(places)
        if not any(place.resolve().is_relative_to(each) for each in ours)
    )


def devices(folder: Path = Path("/dev")) -> list[Path]:
    """What `no_device` is to try; the first camera in any case."""
    found = {path for pattern in _SEEING for path in folder.glob(pattern)}
    return sorted(found | {folder / "video0"})


def no_device(paths: Iterable[Path]) -> bool:
    """Whether none of these devices can be opened; true where there is none."""
    return not any(_opens(path) for path in paths)


def no_datagram_elsewhere() -> bool:
    """Whether the kernel refuses a datagram to a stranger: a packet filter such as systemd's
    IPAddressDeny=, which silently does nothing on kernels without cgroup BPF. It filters packets,
    so what holds for a datagram holds for TCP."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            _stay_inside(stranger)
            stranger.sendto(b"", ELSEWHERE)
    except OSError as error:
        return error.errno in _REFUSED
    return False


def no_connection_elsewhere() -> bool:
    """Whether the kernel refuses a TCP connection to another port than the broker's."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stranger:
            _stay_inside(stranger)
            stranger.setblocking(False)
            stranger.connect(ELSEWHERE)
    except OSError as error:
        return error.errno in _REFUSED
    return False


def alone_in_network(devices: Path = Path("/proc/self/net/dev")) -> bool:
    """Whether this process's network namespace holds nothing but loopback."""
    try:
        lines = devices.read_text(encoding="ascii", errors="replace").splitlines()[2:]
    except OSError:
        return False
    names = {line.partition(":")[0].strip() for line in lines}
    return names - _FALLBACK_TUNNELS <= {"lo"}


def under_systemd(groups: Path = Path("/proc/self/cgroup")) -> bool:
    """Whether systemd started this process as a service with a filter of system calls. To be asked
    before entering the sandbox: afterwards the filter may be ours."""
    try:
        lines = groups.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    service = any(line.rpartition("/")[2].endswith(".service") for line in lines)
    filtered = status("Seccomp") == 2 and status("NoNewPrivs") == 1
    return service and filtered and "INVOCATION_ID" in os.environ


def _makes(family: int, kind: int) -> bool:
    try:
        socket.socket(family, kind).close()
    except OSError:
        return False
    return True


def _creates(folder: Path) -> bool:
    path = folder / f".fleeting-cage-{os.getpid()}"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    os.close(handle)
    with contextlib.suppress(OSError):
        path.unlink()
    return True


def _opens(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        # Anything else, as "no such device or address", was said by the device's driver.
        return error.errno not in (*_REFUSED, errno.ENOENT)
    return True


def _stay_inside(stranger: socket.socket) -> None:
    """Bound to loopback a packet passes every filter and goes nowhere, without a route too. The
    kernel lets anyone do so since 5.7."""
    with contextlib.suppress(OSError):
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
