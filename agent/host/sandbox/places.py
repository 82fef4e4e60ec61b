"""What the sandboxes let be read, and which devices be used."""

from __future__ import annotations

import os
import site
import stat
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/proc/self", "/proc/sys")
"""Programs and libraries. Not all of /proc: the system load would reveal presence."""
_ETC = tuple(
    f"/etc/{name}"
    for name in (
        # libraries, time zone, users
        "ld.so.cache", "ld.so.preload", "localtime", "timezone", "os-release", "passwd", "group",
        # names of hosts
        "hosts", "nsswitch.conf", "host.conf", "gai.conf", "resolv.conf",
        # certificates
        "ssl/certs", "ssl/openssl.cnf", "pki/tls", "ca-certificates",
        # cameras
        "libcamera", "nv_tegra_release",
    )
)  # fmt: skip
"""One by one: keys and passwords lie in /etc too."""
_RESOLVER = ("/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager", "/run/connman")
"""Possible targets of the link /etc/resolv.conf."""
_RTC = tuple(f"/sys/class/rtc/rtc0/{name}" for name in ("hctosys", "since_epoch"))
_HARDWARE = ("/sys", "/proc/cpuinfo", "/proc/device-tree", "/run/udev/data")
"""Processors, and cameras with their properties."""
_PLAIN = ("null", "zero", "full", "random", "urandom")
_CAMERAS = ("video*", "media*", "v4l-subdev*", "dma_heap/*", "udmabuf")
"""Cameras with their buffers."""
_MICROPHONES = ("snd/controlC*", "snd/pcmC*D*c")
"""Of sound cards only what records (the c at the end): a loudspeaker would be heard."""
_ALSA = ("/etc/asound.conf", "/etc/alsa", "/proc/asound")
_DAEMONS = ("dri/*", "nv*")
"""What GStreamer's camera and conversion plugins use, on a Jetson and elsewhere."""


def plain_devices() -> list[Path]:
    """Devices that hold nothing."""
    return [Path("/dev", name) for name in _PLAIN]


def cameras(named: Iterable[Path] = (), *, local_clients: bool = False) -> list[Path]:
    """The cameras that are there now: `named`, and those found. One that is plugged in later is
    another file, and needs another process."""
    patterns = (*_CAMERAS, *_DAEMONS) if local_clients else _CAMERAS
    found = {path.resolve() for pattern in patterns for path in Path("/dev").glob(pattern)}
    return sorted(path for path in {*found, *(each.resolve() for each in named)} if _device(path))


def microphones() -> list[Path]:
    """The sound inputs that are there now."""
    found = {path.resolve() for pattern in _MICROPHONES for path in Path("/dev").glob(pattern)}
    return sorted(path for path in found if _device(path))


def microphone_reads() -> list[Path]:
    """The sound library's configuration."""
    named = os.environ.get("ALSA_CONFIG_PATH")
    return [Path(each).resolve() for each in (*_ALSA, *([named] if named else []))]


def uplink_reads(given: Iterable[Path]) -> list[Path]:
    """The given paths, Python and its packages, and what the system's libraries read."""
    return _existing((*_SYSTEM, *_ETC, *_RESOLVER, *_RTC), given)


def perceive_reads(given: Iterable[Path]) -> list[Path]:
    """As `uplink_reads`, with the hardware."""
    return _existing((*_SYSTEM, *_ETC, *_HARDWARE), given)


def _existing(system: Iterable[str], given: Iterable[Path]) -> list[Path]:
    package = Path(__file__).resolve().parents[3]
    python: list[str] = [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.executable, str(package)]
    python += [*sysconfig.get_paths().values(), *site.getsitepackages()]
    # -m and -c put the working folder first: it may be anybody's home
    python += [each for each in sys.path if each and Path(each).resolve() != Path.cwd()]
    paths = [each.resolve() for each in (*map(Path, system), *map(Path, python), *given)]
    # A search path of "/" would grant everything.
    return [each for each in paths if each not in (Path("/"), Path("/dev"))]


def _device(path: Path) -> bool:
    try:
        return stat.S_ISCHR(os.stat(path).st_mode)
    except OSError:
        return False
