"""Entering the sandbox of the perceive or the uplink process.

Call it before NumPy and other libraries that start threads are imported: before ABI 8, Landlock
holds only for the calling thread and those that it starts later (seccomp holds for all).

As root the sandbox is weaker, since it shares a user with processes outside it: run both processes
as separate users, as the systemd units do.
"""

from __future__ import annotations

import errno
import logging
import os
import resource
import site
import sys
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path

from agent.base.report import PerceiveCage, UplinkCage
from agent.base.report.device import Layer
from agent.host.sandbox import kernel, landlock, probe, seccomp
from agent.host.sandbox.landlock import Ruleset

log = logging.getLogger(__name__)

_DNS = 53
_PLAIN_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_CAMERAS = ("video*", "media*", "v4l-subdev*", "dma_heap/*", "udmabuf", "snd/*", "dri/*", "nv*")
"""Cameras with their buffers, and microphones; nv: Jetson."""
_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/etc", "/proc/sys", "/proc/self")
"""Not all of /proc: the system load would reveal presence."""
_RTC = "/sys/class/rtc/rtc0/hctosys"
_RESOLVER = ("/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager", "/run/connman")
"""Possible targets of the link /etc/resolv.conf."""


def enter_perceive(writable: Iterable[Path], *, local_clients: bool = False) -> PerceiveCage:
    """Deny network access, and writing outside `writable`, which must exist.

    `local_clients`: allow connections to local servers, which some GStreamer sources need
    (nvargus-daemon, PipeWire). Never raises; an unavailable layer is logged in one line.
    """
    folders = [each.resolve() for each in writable]
    layers = restrict_perceive(folders, local_clients=local_clients)
    return PerceiveCage(
        network="closed" if probe.no_internet_socket() else "open",
        writes="confined" if probe.no_file_outside(folders) else "open",
        layers=layers,
    )


def restrict_perceive(folders: Iterable[Path], *, local_clients: bool = False) -> tuple[Layer, ...]:
    """As `enter_perceive` without probing, so that not even a socket is attempted. For recorded
    video. Returns the layers in force."""
    outer = _outer_layers()
    _attempt("no new privileges", lambda: kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1))
    _attempt("no core dumps", _disable_core_dumps)
    rules = Ruleset(
        handled=landlock.CHANGING,
        grants=(
            *landlock.existing(folders, landlock.FOLDER),
            *landlock.existing(_writable_devices(), landlock.DEVICE),
        ),
        scoped=_scopes(),
    )
    confined = _attempt("landlock", lambda: _landlock(rules))
    filtered = _attempt(
        "seccomp",
        lambda: _seccomp(lambda m: seccomp.perceive_filter(m, local_clients=local_clients)),
    )
    return _layers_in_force(outer, seccomp=filtered, landlock=confined)


def enter_uplink(
    readable: Iterable[Path], writable: Iterable[Path], broker_port: int
) -> UplinkCage:
    """Deny devices, reading except `readable`, Python and system configuration, writing outside
    `writable`, TCP ports except the broker's and DNS, and starting programs.

    A file (not folder) in `readable` must not be replaced later: the rule holds for its inode.
    Never raises; an unavailable layer is logged in one line.
    """
    folders = [each.resolve() for each in writable]
    outer = _outer_layers()
    devices = probe.devices()  # the sandbox may forbid listing them
    _attempt("no new privileges", lambda: kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1))
    fixed = _attempt("mdwe", _deny_write_execute)
    rules = Ruleset(
        handled=landlock.CHANGING | landlock.READING | landlock.EXECUTE,
        grants=(
            *landlock.existing(_readable_paths(readable), landlock.READING),
            *landlock.existing(_devices(_PLAIN_DEVICES), landlock.READ_FILE | landlock.WRITE_FILE),
            *landlock.existing(folders, landlock.FOLDER),
        ),
        ports=(broker_port, _DNS),
        scoped=_scopes(),
    )
    confined = _attempt("landlock", lambda: _landlock(rules))
    filtered = _attempt("seccomp", lambda: _seccomp(seccomp.uplink_filter))
    filtered_out = probe.no_datagram_elsewhere() and probe.no_connection_elsewhere()
    return UplinkCage(
        devices="closed" if probe.no_device(devices) else "open",
        egress="confined" if filtered_out else "open",
        writes="confined" if probe.no_file_outside(folders) else "open",
        layers=_layers_in_force(outer, mdwe=fixed, seccomp=filtered, landlock=confined),
    )


def _attempt(layer: str, build: Callable[[], None]) -> bool:
    """Set up one layer; log one line where this system does not support it."""
    try:
        build()
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in (errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL):
            reason += "; this kernel has none, or it is switched off"
        log.warning("The sandbox lacks one layer, %s: %s. The others hold.", layer, reason)
        return False
    return True


def _outer_layers() -> dict[Layer, bool]:
    return {"systemd": probe.under_systemd(), "namespace": probe.alone_in_network()}


def _layers_in_force(outer: dict[Layer, bool], **inner: bool) -> tuple[Layer, ...]:
    order: tuple[Layer, ...] = ("systemd", "namespace", "mdwe", "seccomp", "landlock")
    return tuple(layer for layer in order if outer.get(layer) or inner.get(layer))


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
    if abi < 8 and threads > 1:
        log.warning(
            "%d threads ran before the sandbox was entered: Landlock does not hold for them.",
            threads - 1,
        )


def _seccomp(program: Callable[[str], list[seccomp.Instruction]]) -> None:
    machine = kernel.processor()
    if not seccomp.known(machine):
        raise OSError(errno.ENOTSUP, f"its system calls on {machine} are not known here")
    seccomp.install(program(machine))


def _scopes() -> int:
    """Scope signals, and abstract sockets unless $NOTIFY_SOCKET is one."""
    abstract = os.environ.get("NOTIFY_SOCKET", "").startswith("@")
    return landlock.SIGNAL | (0 if abstract else landlock.ABSTRACT_UNIX_SOCKET)


def _devices(names: Iterable[str]) -> list[Path]:
    return [Path("/dev", name) for name in names]


def _writable_devices() -> list[Path]:
    """What perceive may write below /dev: the folder, so that a camera plugged in again can be
    opened; file permissions protect other devices. They do not bind root: then only the cameras and
    microphones present now."""
    if os.geteuid() != 0:
        return [Path("/dev")]
    found = [path for pattern in _CAMERAS for path in Path("/dev").glob(pattern)]
    return [*_devices(_PLAIN_DEVICES), *sorted(found)]


def _readable_paths(given: Iterable[Path]) -> list[Path]:
    """The given paths, Python and its packages, and the system's configuration."""
    package = Path(__file__).resolve().parents[3]
    python = [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.executable, str(package)]
    python += [*sysconfig.get_paths().values(), *site.getsitepackages(), *filter(None, sys.path)]
    credentials = os.environ.get("CREDENTIALS_DIRECTORY", "/etc")
    paths = [Path(each).resolve() for each in (*_SYSTEM, *_RESOLVER, _RTC, *python, credentials)]
    paths += [each.resolve() for each in given]
    # A search path of "/" would grant everything.
    return [each for each in paths if each not in (Path("/"), Path("/dev"))]
