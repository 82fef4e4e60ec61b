"""Step: the root under a kernel of its own architecture, in a virtual machine (QEMU's system
emulation): seccomp and Landlock for real, which user-mode emulation has not.

Debian's kernel of the suite, an ext4 image of the root, and no systemd: a script is run first.
"""

from __future__ import annotations

import json
import lzma
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.arm64.root import PROCESSORS
from tools.arm64.table import Row
from tools.arm64.trial import HOME, HOUR, LEFT, PYTHON, Trial
from tools.common.errors import ToolError

PROGRAM = "qemu-system-aarch64"
MODULES = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4")
"""What Debian's kernel needs to find its root; with all that they need."""
_SPARE = 400 * 2**20
"""Bytes that are free on the root."""
_WITHIN = 3000.0
_INIT = """#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for each in {modules}; do /bin/busybox insmod /$each || echo "no $each"; done
for second in 1 2 3 4 5 6 7 8 9 10; do [ -b /dev/vda ] && break; /bin/busybox sleep 1; done
/bin/busybox mount -t ext4 /dev/vda /system
/bin/busybox mount -t proc proc /system/proc
/bin/busybox mount -t sysfs sysfs /system/sys
/bin/busybox mount -t devtmpfs dev /system/dev
/bin/busybox mount -t tmpfs tmpfs /system/run
/bin/busybox mount -t tmpfs tmpfs /system/tmp
/bin/busybox chroot /system /bin/sh /{left}/boot.sh
/bin/busybox sync
/bin/busybox poweroff -f
"""
# NUMBA_CPU_NAME: what Numba takes emulated processors for, so that kernels are there already.
_SCRIPT = f"""
export NUMBA_CPU_NAME=generic HOME=/root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin
ip link set lo up
mkdir -p /dev/shm && mount -t tmpfs tmpfs /dev/shm
cd {HOME}
echo "@kernel $(uname -r) $(cat /sys/kernel/security/lsm 2>/dev/null)"
echo "@sandbox $({PYTHON} -P -m agent.host.sandbox --json 2>/{LEFT}/sandbox.log)"
rm -rf /{LEFT}/outbox
{PYTHON} -P -m agent.cli perceive --config /{LEFT}/boot.toml 2>/{LEFT}/perceive.log &
for minute in $(seq 45); do
    sleep 60  # asking is as much work as a picture or ten
    found=$({PYTHON} -m tools.arm64.guest outbox --file /{LEFT}/outbox/outbox.db 2>/dev/null)
    case $found in ''|'{{"depth": 0'*) ;; *) break ;; esac
    kill -0 $! 2>/dev/null || break
done
echo "@outbox $found"
sed 's/^/@log /' /{LEFT}/perceive.log
echo "@end"
"""


def kernel(trial: Trial) -> Iterator[Row]:
    """Raises `ToolError`."""
    if shutil.which(PROGRAM) is None:
        yield Row("a kernel of its own", "not shown", 0, f"{PROGRAM} is not installed: apt-get "
                  "install qemu-system-arm")  # fmt: skip
        return
    started = time.monotonic()
    folder = trial.root.folder / "boot"
    folder.mkdir(exist_ok=True)
    image, initrd = _fetch(trial, folder)
    disk = _disk(trial, folder)
    trial.say("a virtual machine (long)")
    console = _boot(image, initrd, disk, folder / "console.log")
    disk.unlink()
    told = dict(re.findall(r"^@(kernel|sandbox|outbox) (.*?)\r?$", console, re.MULTILINE))
    name = told.get("kernel", "")
    seconds = round(time.monotonic() - started, 1)
    yield Row(
        "Debian's kernel boots, aarch64", "passed" if name else "failed", seconds,
        f"{name}; {PROCESSORS[0][0]}" if name else console[-300:],
    )  # fmt: skip
    yield from _sandbox(told.get("sandbox", ""), name)
    log = re.findall(r"^@log (.*?)\r?$", console, re.MULTILINE)
    depth = _number(told.get("outbox", ""))
    sealed = next((line for line in log if "Network " in line), "")
    yield Row(
        "perceive works in its sandbox", "passed" if depth else "failed", 0,
        f"{sealed}; {depth} summaries in its outbox" if depth else " | ".join(log[-3:]),
    )  # fmt: skip


def _sandbox(text: str, release: str) -> Iterator[Row]:
    # Landlock knows ports from Linux 6.7 on; a unit's packet filter refuses addresses, none runs
    old = [int(each) for each in re.findall(r"\d+", release)[:2]] < [6, 7]
    others = {"address", "port"} if old else {"address"}
    try:
        halves: list[dict[str, Any]] = json.loads(text)
    except ValueError:
        yield Row("the sandbox's self-test", "failed", 0, text[:200] or "it printed nothing")
        return
    for each in halves:
        cage = each["cage"]
        opened = set(cage["found_open"]) - others
        yield Row(
            f"sandbox of {each['half']}", "failed" if opened else "passed", 0,
            f"layers: {', '.join(cage['layers']) or 'none'}; open: "
            f"{', '.join(cage['found_open']) or 'nothing'}",
        )  # fmt: skip


def _number(text: str) -> int:
    try:
        return int(json.loads(text)["depth"])
    except (ValueError, KeyError, TypeError):
        return 0


def _fetch(trial: Trial, folder: Path) -> tuple[Path, Path]:
    """Debian's kernel, and an initial root with its modules. Raises `ToolError`."""
    package = trial.root.run(["apt-cache", "depends", "linux-image-arm64"], timeout=HOUR)
    name = re.search(r"Depends: (linux-image-\S+)", package.out)
    if name is None:
        raise ToolError(f"The archive has no kernel: {package.last}")
    unpacked = folder / name[1]
    if not (unpacked / "complete").is_file():
        shutil.rmtree(unpacked, ignore_errors=True)
        unpacked.mkdir()
        place = trial.place
        done = trial.run(
            f"apt-get download {name[1]}",
            f"cd /{LEFT} && rm -f *.deb && apt-get download -qq {name[1]} busybox-static",
        )
        packages = sorted(place.glob("*.deb"))
        if done.code or len(packages) != 2:
            raise ToolError(f"The kernel cannot be fetched: {done.last}")
        for each in packages:
            subprocess.run(["dpkg", "-x", str(each), str(unpacked)], check=True)
            each.unlink()
        (unpacked / "complete").touch()
    (image,) = unpacked.glob("boot/vmlinuz-*")
    files = {_plain(each): each for each in sorted(unpacked.glob("**/*.ko*"))}
    needed = list(dict.fromkeys(_with_needs(files, MODULES)))
    init = _INIT.format(modules=" ".join(f"{each}.ko" for each in needed), left=LEFT)
    (busybox,) = unpacked.glob("**/bin/busybox")
    content = {"bin/busybox": busybox.read_bytes(), "init": init.encode()}
    content |= {f"{each}.ko": _module(files[each]) for each in needed}
    initrd = folder / "initrd"
    initrd.write_bytes(archive(content, ("dev", "system", "bin")))
    return image, initrd


def _plain(module: Path) -> str:
    return module.name.partition(".ko")[0].replace("-", "_")


def _module(path: Path) -> bytes:
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def _with_needs(files: dict[str, Path], names: tuple[str, ...]) -> Iterator[str]:
    """Modules in the order in which they can be loaded; what is not there is in the kernel."""
    for name in names:
        if name in files:
            needs = re.search(rb"\0depends=([\w,-]*)\0", _module(files[name]))
            wanted = needs[1].decode().replace("-", "_").split(",") if needs and needs[1] else []
            yield from _with_needs(files, tuple(wanted))
            yield name


def archive(files: dict[str, bytes], folders: tuple[str, ...]) -> bytes:
    """A cpio archive, format "newc" (Documentation/driver-api/early-userspace/buffer-format.rst):
    files that may be executed, and folders."""
    entries = [(name, 0o040755, b"") for name in folders]
    entries += [(name, 0o100755, data) for name, data in files.items()]
    found = bytearray()
    for number, (name, mode, data) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        path = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
        found += b"070701" + b"".join(b"%08X" % each for each in fields) + path
        found += b"\0" * (-len(found) % 4) + data
        found += b"\0" * (-len(found) % 4)
    return bytes(found)


def _disk(trial: Trial, folder: Path) -> Path:
    """The root as an ext4 image. Raises `ToolError`."""
    (trial.place / "boot.sh").write_text(_SCRIPT)
    (trial.place / "boot.toml").write_text(
        f'[source]\nkind = "file"\ntarget = "{HOME}/agent/base/assets/clip.mp4"\npace = "fast"\n'
        f'[privacy]\npolicy = "demo"\nwindow = 10\n[store]\noutbox = "/{LEFT}/outbox/outbox.db"\n'
    )
    disk = folder / "root.img"
    disk.unlink(missing_ok=True)
    trial.say("an ext4 image of the root")
    used = subprocess.run(
        ["du", "-s", "--block-size=1", str(trial.root.path)], capture_output=True, text=True,
        check=False,
    ).stdout.split()[0]  # fmt: skip
    size = int(int(used) * 1.1) + _SPARE
    command = [
        "mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-d", str(trial.root.path), str(disk),
        f"{size // 1024}k",
    ]  # fmt: skip
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        raise ToolError(f"No image of the root could be made: {made.stderr.strip()[:300]}")
    return disk


def _boot(image: Path, initrd: Path, disk: Path, console: Path) -> str:
    """What the machine said until it switched itself off, or took too long."""
    command = [
        PROGRAM, "-machine", "virt", "-cpu", PROCESSORS[0][0], "-smp", "2", "-m", "2048",
        "-nographic", "-no-reboot", "-nic", "none", "-kernel", str(image), "-initrd", str(initrd),
        "-append", "console=ttyAMA0 quiet panic=-1",
        "-drive", f"file={disk},format=raw,if=none,id=root,cache=unsafe",
        "-device", "virtio-blk-pci,drive=root",
    ]  # fmt: skip
    with console.open("wb") as out:
        machine = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
        try:
            machine.wait(_WITHIN)
        except subprocess.TimeoutExpired:
            pass
        finally:
            if machine.poll() is None:
                machine.kill()
                machine.wait()
    return console.read_text(errors="replace")
