"""Entering the sandbox of the perceive or the uplink process.

Call it first, before NumPy and other libraries are imported: they start threads, and Landlock holds
only for the thread that asks and those that it starts later (seccomp holds for all).

Where root is at work the sandbox is weaker, since other processes of root are outside it: run both
processes as users of their own, as the units do.
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
"""With their buffers, and microphones; nv: Jetson."""
_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/etc", "/proc/sys", "/proc/self")
"""Not all of /proc: how busy the machine is would tell whether somebody is there."""
_CLOCK = "/sys/class/rtc/rtc0/hctosys"
_NAMES = ("/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager", "/run/connman")
"""Where /etc/resolv.conf may lead."""


def enter_perceive(writable: Iterable[Path], *, local_clients: bool = False) -> PerceiveCage:
    """Close the network for this process, and all folders but `writable`, which must exist, for
    writing.

    `local_clients`: connections to servers on this machine stay possible; some GStreamer sources
    need that (nvargus-daemon, PipeWire). Never raises; what cannot be had is logged in one line.
    """
    folders = [each.resolve() for each in writable]
    layers = restrict_perceive(folders, local_clients=local_clients)
    return PerceiveCage(
        network="closed" if probe.no_internet_socket() else "open",
        writes="confined" if probe.no_file_outside(folders) else "open",
        layers=layers,
    )


def restrict_perceive(folders: Iterable[Path], *, local_clients: bool = False) -> tuple[Layer, ...]:
    """As `enter_perceive`, without trying what holds: not even one attempt to reach a network is
    made. For recorded video. Returns the layers in force."""
    outer = _outer_layers()
    _attempt("no new privileges", lambda: kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1))
    _attempt("no core dumps", _no_core_dumps)
    rules = Ruleset(
        handled=landlock.CHANGING,
        grants=(
            *landlock.existing(folders, landlock.FOLDER),
            *landlock.existing(_devices(), landlock.DEVICE),
        ),
        scoped=_scopes(),
    )
    confined = _attempt("landlock", lambda: _landlock(rules))
    filtered = _attempt(
        "seccomp",
        lambda: _seccomp(lambda m: seccomp.perceive_filter(m, local_clients=local_clients)),
    )
    return _declared(outer, seccomp=filtered, landlock=confined)


def enter_uplink(
    readable: Iterable[Path], writable: Iterable[Path], broker_port: int
) -> UplinkCage:
    """Close all devices, all files but `readable`, Python's own and the system's settings, all
    folders but `writable` for writing, other TCP ports than the broker's, and other programs.

    Files named one by one must not be replaced later: the rule is about the file that is there now.
    Never raises; what cannot be had is logged in one line.
    """
    folders = [each.resolve() for each in writable]
    outer = _outer_layers()
    devices = probe.devices()  # afterwards they may not even be listed
    _attempt("no new privileges", lambda: kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1))
    fixed = _attempt("mdwe", _no_new_code)
    rules = Ruleset(
        handled=landlock.CHANGING | landlock.READING | landlock.EXECUTE,
        grants=(
            *landlock.existing(_readable(readable), landlock.READING),
            *landlock.existing(_nodes(_PLAIN_DEVICES), landlock.READ_FILE | landlock.WRITE_FILE),
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
        layers=_declared(outer, mdwe=fixed, seccomp=filtered, landlock=confined),
    )


def _attempt(layer: str, build: Callable[[], None]) -> bool:
    """One line in the log for what this machine does not offer."""
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


def _declared(outer: dict[Layer, bool], **inner: bool) -> tuple[Layer, ...]:
    order: tuple[Layer, ...] = ("systemd", "namespace", "mdwe", "seccomp", "landlock")
    return tuple(layer for layer in order if outer.get(layer) or inner.get(layer))


def _no_core_dumps() -> None:
    """A core dump would be a picture on disk. A dump into a pipe ignores the limit (core(5)), hence
    both; other processes of the same user cannot look into this one either."""
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _no_new_code() -> None:
    """PR_SET_MDWE (Linux 6.3): memory is never writable and executable, as by systemd's
    MemoryDenyWriteExecute=."""
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
    """Signals and abstract sockets end at the domain's edge, unless the service manager waits at
    such a socket for signs of life."""
    abstract = os.environ.get("NOTIFY_SOCKET", "").startswith("@")
    return landlock.SIGNAL | (0 if abstract else landlock.ABSTRACT_UNIX_SOCKET)


def _nodes(names: Iterable[str]) -> list[Path]:
    return [Path("/dev", name) for name in names]


def _devices() -> list[Path]:
    """What perceive may write below /dev. As a folder, so that a camera plugged in again is a
    camera; permissions guard the rest. They do not guard it from root: then only cameras and
    microphones that are there now."""
    if os.geteuid() != 0:
        return [Path("/dev")]
    found = [path for pattern in _CAMERAS for path in Path("/dev").glob(pattern)]
    return [*_nodes(_PLAIN_DEVICES), *sorted(found)]


def _readable(given: Iterable[Path]) -> list[Path]:
    """The files of the caller, of Python and its packages, and of the system's configuration."""
    package = Path(__file__).resolve().parents[3]
    python = [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.executable, str(package)]
    python += [*sysconfig.get_paths().values(), *site.getsitepackages(), *filter(None, sys.path)]
    credentials = os.environ.get("CREDENTIALS_DIRECTORY", "/etc")
    paths = [Path(each).resolve() for each in (*_SYSTEM, *_NAMES, _CLOCK, *python, credentials)]
    paths += [each.resolve() for each in given]
    # A search path of "/" would open everything, /dev too.
    return [each for each in paths if each not in (Path("/"), Path("/dev"))]
