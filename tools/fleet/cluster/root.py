"""A Debian of its own with RabbitMQ, made once by debootstrap(8): this machine's may be older."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tools.common.errors import ToolError

SUITE = "trixie"
"""Debian 13: RabbitMQ 4.0, the first with MQTT 5 and quorum queues as we need them in one package;
Debian 12 has 3.10, whose MQTT is 3.1.1."""
_MARK = "fleeting-complete"
PROGRAM = "usr/lib/rabbitmq/bin/rabbitmq-server"


def missing() -> str:
    """What this machine lacks for a cluster, in words; empty: nothing."""
    if os.geteuid() != 0:
        return "root is needed: network namespaces and chroot(2)"
    for program, package in (("ip", "iproute2"), ("unshare", "util-linux"),
                             ("nsenter", "util-linux"), ("chroot", "coreutils")):  # fmt: skip
        if shutil.which(program, path=_PATH) is None:
            return f"{program} is not installed (apt install {package})"
    return ""


def is_made(root: Path) -> bool:
    """Whether `make` has finished there."""
    return (root / _MARK).is_file() and (root / PROGRAM).is_file()


def make(root: Path) -> Path:
    """Debian with RabbitMQ in this folder, unless it is there already (400 MB). Raises
    `ToolError`."""
    if is_made(root):
        return root
    if (what := missing()) != "":
        raise ToolError(f"A cluster cannot be started here: {what}.")
    program = shutil.which("debootstrap", path=_PATH)
    if program is None:
        raise ToolError("debootstrap is not installed. Install it: apt install debootstrap.")
    if root.exists() and any(root.iterdir()):
        raise ToolError(f"{root} is half made or something else. Remove it, then run this again.")
    root.parent.mkdir(parents=True, exist_ok=True)
    command = [program, "--variant=minbase", "--include=rabbitmq-server", SUITE, str(root)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode or not (root / PROGRAM).is_file():
        words = done.stdout.decode(errors="replace").strip().splitlines()
        raise ToolError(
            f"debootstrap failed: {words[-1] if words else 'no reason given'}. "
            f"Remove {root}, then try it: {' '.join(command)}"
        )
    (root / _MARK).touch()
    return root


def version(root: Path) -> str:
    """Of RabbitMQ there, as Debian names it."""
    status = (root / "var/lib/dpkg/status").read_text(encoding="utf-8", errors="replace")
    for part in status.split("\n\n"):
        if part.startswith("Package: rabbitmq-server\n"):
            return part.partition("\nVersion: ")[2].partition("\n")[0]
    return "unknown"


_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
