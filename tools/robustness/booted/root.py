"""A Debian root that a container is booted from: made once and kept; each run changes a layer above
it. The Python environment in it is made as the product makes it."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from agent.host.sandbox import kernel
from tools.common import debian
from tools.common.errors import ToolError
from tools.common.files import ROOT
from tools.common.mosquitto import die_with_parent

SUITE = "bookworm"
"""Debian 12, on which Raspberry Pi OS of that name is built."""
PACKAGES = ("systemd", "systemd-sysv", "dbus", "ca-certificates", "python3", "python3-venv",
            "mosquitto", "mosquitto-clients", "procps", "iproute2")  # fmt: skip
PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "debootstrap": "debootstrap",
    "nsenter": "util-linux",
    "mkfs.ext4": "e2fsprogs",
    "cc": "gcc",
}
"""Needed on this machine, and the packages that have them."""
SOURCE = "/src"
"""Where the clone is in the container, read-only."""
HOME = "/opt/fleeting"
SHARED = ("--register=no", "--keep-unit", "--quiet", f"--machine=fleeting-booted-{os.getpid()}")
"""Of every systemd-nspawn: no systemd of this machine is asked."""
_ENVIRONMENT = f"""
set -e
mkdir -p {HOME}
cd {SOURCE}
cp -r agent models tools pyproject.toml requirements.txt README.md LICENSE {HOME}/
sh {HOME}/tools/setup-venv
{HOME}/.venv/bin/python -m compileall -qq -j 0 {HOME}/.venv/lib || true
"""
_HOUR = 3600.0
_CLONE_NEWNS = 0x20000
_PROXIES = ("http_proxy", "https_proxy", "no_proxy")


def default_folder() -> Path:
    """In the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(cache) if cache.startswith("/") else Path.home() / ".cache") / "fleeting-booted"


def check_machine() -> None:
    """Raises `ToolError` where this machine cannot boot a container."""
    if os.geteuid() != 0:
        raise ToolError(
            "This mounts file systems and boots a container: only root can. Run it with sudo, in a "
            "clone whose environment is made (sh tools/setup-venv)."
        )
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    missing = [f"{name} ({package})" for name, package in PROGRAMS.items() if not _has(name)]
    if missing:
        packages = " ".join(p for name, p in PROGRAMS.items() if not _has(name))
        raise ToolError(f"{', '.join(missing)}: not here. apt-get install {packages}.")
    if not Path("/proc/self/ns/time").exists():
        raise ToolError("This kernel has no time namespaces (Linux 5.6): no machine's uptime can "
                        "be told from this one's.")  # fmt: skip


def _has(name: str) -> bool:
    return shutil.which(name) is not None


def apart() -> None:
    """Give this process mounts of its own. A program with mounts of its own (unshare(1), another
    container) that is started meanwhile would else take a copy of ours along, and what is unmounted
    here would stay mounted there. Raises `ToolError`."""
    if kernel.LIBC.unshare(_CLONE_NEWNS):
        raise ToolError(f"No mounts of its own: {os.strerror(ctypes.get_errno())}.")
    run("mount", "--make-rprivate", "/")


def make(folder: Path) -> Path:
    """The root in `folder`, made where it is not whole, with the environment that this clone asks
    for. Raises `ToolError`."""
    folder.mkdir(parents=True, exist_ok=True)
    _alone(folder)
    root, complete = folder / "root", folder / "complete"
    if not complete.is_file():
        if root.exists():
            shutil.rmtree(root)  # half made: debootstrap does not go on
        print(f"booted: making a Debian root in {root} (some minutes)", file=sys.stderr)
        _debootstrap(root, folder / "debootstrap.log")
        complete.touch()
    if not (root / HOME.lstrip("/") / ".venv/.fleeting-complete").is_file():
        print("booted: making its Python environment (some minutes, 1 GB)", file=sys.stderr)
    _environment(root, folder / "environment.log")
    return root


def _alone(folder: Path) -> int:
    """One run at a time: the descriptor that says so, to this process's end. Raises `ToolError`."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise ToolError(f"Another run uses {folder}. Wait for its end, or name another "
                        "--root.") from None  # fmt: skip
    return lock


def _debootstrap(root: Path, log: Path) -> None:
    with log.open("wb") as file:
        done = subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}",
             f"--keyring={debian.keyring()}", SUITE, str(root), debian.archive()],
            stdin=subprocess.DEVNULL, stdout=file, stderr=file, timeout=_HOUR, check=False,
        )  # fmt: skip
    if done.returncode:
        raise ToolError(f"debootstrap {SUITE} failed: {_last(log)} ({log}).")


def _environment(root: Path, log: Path) -> None:
    """As a person makes it, with the indexes that this machine's pip uses."""
    settings = pip_settings()
    binds = [f"--bind-ro={each}" for each in local_places(settings) if Path(each).exists()]
    names = [f"--setenv={name}={value}" for name, value in settings.items()]
    command = ["systemd-nspawn", *SHARED, "--directory", str(root), "--console=pipe",
               f"--bind-ro={ROOT}:{SOURCE}", "--resolv-conf=copy-host", *binds, *names,
               "/bin/sh", "-c", _ENVIRONMENT]  # fmt: skip
    with log.open("wb") as file:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, timeout=_HOUR,
            check=False, preexec_fn=die_with_parent,
        )  # fmt: skip
    if done.returncode:
        raise ToolError(f"The environment could not be made in the root: {_last(log)} ({log}).")


def pip_settings() -> dict[str, str]:
    """How this machine's pip reaches its indexes, as environment variables. Stored nowhere."""
    found = {name: value for name, value in os.environ.items()
             if name.startswith("PIP_") or name.lower() in _PROXIES}  # fmt: skip
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout  # fmt: skip
    for line in listed.splitlines():
        name, equals, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if equals and section in ("global", "install"):
            variable = f"PIP_{key.upper().replace('-', '_')}"
            # a value of several lines is printed as Python writes it
            text = " ".join(value.strip("'\"").replace("\\n", " ").split())
            found.setdefault(variable, text)
    return found


def local_places(settings: dict[str, str]) -> list[str]:
    """Folders and files of this machine that the settings name; of an index (PEP 503) the folder
    above, where its files lie."""
    words = [word.removeprefix("file://") for value in settings.values() for word in value.split()]
    places = [Path(word) for word in words if word.startswith("/")]
    return sorted({str(each.parent if each.name == "simple" else each) for each in places})


@contextlib.contextmanager
def layer(root: Path, folder: Path) -> Iterator[Path]:
    """The root under a layer of its own in `folder`, which takes all changes. Raises
    `ToolError`."""
    merged = folder / "merged"
    for name in ("upper", "work", "merged"):
        (folder / name).mkdir()
    run("mount", "-t", "overlay", "overlay", "-o",
        f"lowerdir={root},upperdir={folder}/upper,workdir={folder}/work", str(merged))  # fmt: skip
    try:
        yield merged
    finally:
        run("umount", "--recursive", "--lazy", str(merged))


def run(*words: str) -> str:
    """A command of this machine. Raises `ToolError` where it fails."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)  # fmt: skip
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise ToolError(f"`{shlex.join(words)}` failed: {' '.join(said) or done.returncode}.")
    return done.stdout


def _last(log: Path) -> str:
    lines = [each for each in log.read_text(errors="replace").splitlines() if each.strip()]
    return lines[-1].strip()[:300] if lines else "it said nothing"
