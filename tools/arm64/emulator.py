"""QEMU's user-mode emulation of aarch64, and its entry in binfmt_misc.

Version 9 or newer: 7.2, which Debian 12 has, crashes in the model runtime. Where there is no such
program, Debian 13's is taken from the archive that this machine's apt uses: one static file.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tools.common.debian import APT, archive, keyring
from tools.common.errors import ToolError

OLDEST = 9
"""Major version."""
_BINFMT = Path("/proc/sys/fs/binfmt_misc")
_MAGIC = r"\x7f\x45\x4c\x46\x02\x01\x01" + r"\x00" * 9 + r"\x02\x00\xb7\x00"
_MASK = r"\xff" * 7 + r"\x00" + r"\xff" * 8 + r"\xfe\xff\xff\xff"
"""ELF, 64 bits, little-endian, executable or shared object, machine 183 (AArch64)."""


def version(program: Path) -> tuple[int, str]:
    """Major version of an emulator, and its version in words; 0 where it does not run."""
    try:
        said = subprocess.run(
            [str(program), "--version"], capture_output=True, text=True, check=True, timeout=60
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return 0, ""
    match = re.search(r"version ((\d+)[\w.]*)", said)
    return (int(match[2]), match[1]) if match else (0, "")


def find(folder: Path) -> Path:
    """An emulator that is new enough: of this machine, of an earlier run, or fetched into `folder`.
    Raises `ToolError`."""
    fetched = folder / "usr/bin/qemu-aarch64"
    for name in ("qemu-aarch64-static", "qemu-aarch64"):
        own = shutil.which(name)
        # one that is linked to libraries finds none in a foreign root
        if own and version(Path(own))[0] >= OLDEST and _static(Path(own)):
            return Path(own)
    if version(fetched)[0] < OLDEST:
        _fetch(folder)
    if version(fetched)[0] < OLDEST:
        raise ToolError(f"No QEMU {OLDEST} or newer could be had; {fetched} is none.")
    return fetched


def _static(program: Path) -> bool:
    """No program interpreter is asked for."""
    return b"/lib64/ld-linux" not in program.read_bytes()[:4096]


def _fetch(folder: Path) -> None:
    lists = folder / "apt/lists/partial"
    packages = folder / "apt/cache/archives/partial"
    for each in (lists, packages):
        each.mkdir(parents=True, exist_ok=True)
    sources = folder / "apt/sources.list"
    sources.write_text(f"deb [signed-by={keyring()}] {archive()} trixie main\n")
    options = [
        "-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=/nonexistent",
        "-o", f"Dir::State::lists={lists.parent}", "-o", f"Dir::Cache={packages.parents[1]}",
        "-o", "APT::Sandbox::User=root",
    ]  # fmt: skip
    try:
        for verb in (["update"], ["download", "qemu-user"]):
            subprocess.run(
                ["apt-get", *options, "-qq", *verb], cwd=folder, check=True, timeout=APT,
                capture_output=True,
            )  # fmt: skip
        for package in folder.glob("qemu-user_*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True, timeout=APT)
            package.unlink()
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", b"") or b"").decode(errors="replace").strip()
        raise ToolError(
            f"QEMU {OLDEST} or newer is not here and could not be fetched: {said or error}."
        ) from None
    shutil.rmtree(folder / "apt", ignore_errors=True)


@contextlib.contextmanager
def registered(program: Path) -> Iterator[None]:
    """While this lasts, the kernel runs aarch64 programs with `program`, in any root: it is opened
    here (flag F). A later entry goes before older ones, so that none is removed. Root.
    Raises `ToolError`."""
    entry = _BINFMT / f"fleeting-arm64-{os.getpid()}"
    line = f":{entry.name}:M::{_MAGIC}:{_MASK}:{program}:OPF"
    try:
        if not (_BINFMT / "register").exists():
            subprocess.run(
                ["mount", "-t", "binfmt_misc", "binfmt_misc", str(_BINFMT)],
                check=True, capture_output=True,
            )  # fmt: skip
        (_BINFMT / "register").write_text(line)
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolError(
            f"aarch64 programs cannot be registered with the kernel ({error}): it needs root and "
            "binfmt_misc, which containers often lack."
        ) from None
    try:
        yield
    finally:
        entry.write_text("-1")
