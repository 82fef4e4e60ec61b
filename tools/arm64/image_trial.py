"""Step: the image's recipe in the emulated root: its install steps, its first boot on a disk of its
own, and two starts with the read-only root, the first of which ends at once.

No kernel boots here: the layers are mounted as overlayroot mounts them, by this machine's kernel.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tools.arm64.root import Root
from tools.arm64.table import Row
from tools.arm64.trial import HOME, HOUR, PYTHON, Trial, row
from tools.common.errors import ToolError

IMAGE = f"{HOME}/tools/arm64/image"
_DISK = 2 * 10**9
"""Bytes of the disk that the first boot finds; the first 300 MiB are the root's."""
_ROOT_PART = "label: dos\\n,300M,L\\n"
_SETTINGS = f"""
cat > /etc/fleeting/fleeting.toml <<END
[source]
kind = "file"
target = "{HOME}/agent/base/assets/clip.mp4"
pace = "fast"
loop = true
[privacy]
policy = "demo"
window = 10
END
"""
_KERNELS = "/var/cache/fleeting-perceive"
# Compiled before, all but one: emulation takes a quarter of an hour for the rest of them.
_WORK = f"""
mount -a
{_SETTINGS}
touch /etc/junk {HOME}/junk
export NUMBA_CACHE_DIR={_KERNELS}
cd {HOME}
if [ -d "$HOME/.cache/fleeting" ]; then
    cp -a "$HOME/.cache/fleeting/." {_KERNELS}
    one=$(find {_KERNELS} -name '*.nbi' | sort | head -n 1)
    rm -f "${{one%.nbi}}".*nbc "$one"
fi
echo "kernels $(find {_KERNELS} -name '*.nbc' | wc -l)"
{PYTHON} -P -m agent.cli perceive --config /etc/fleeting/fleeting.toml 2>/dev/null &
for second in $(seq 900); do
    found=$({PYTHON} -m tools.arm64.guest outbox 2>/dev/null || true)
    case $found in '{{"depth": 0'* | '{{"depth": 1,'* | '') sleep 2 ;; *) break ;; esac
done
echo "$found"
"""
_LOOK = f"""
mount -a
cd {HOME}
{PYTHON} -m tools.arm64.guest outbox
ls /etc/junk {HOME}/junk 2>/dev/null | wc -l
grep -c demo /etc/fleeting/fleeting.toml
find {_KERNELS} -name '*.nbc' | wc -l
findmnt -rno TARGET,SOURCE /var/lib/fleeting /data
"""
_CHECKS = f"""
apt-get install -y -qq --no-install-recommends cloud-init shellcheck python3-yaml >/dev/null
shellcheck {IMAGE}/*.sh
sed 's/: OPERATORS/: ssh-ed25519 AAAA/; s/BROKER/broker.example/; s/REPOSITORY/repository/' \\
    {IMAGE}/cloud-init/user-data > /tmp/user-data
cloud-init schema --config-file /tmp/user-data
python3 -c "
import sys, yaml
for name in sys.argv[1:]:
    assert list(yaml.safe_load_all(open(name))), name
" {IMAGE}/layer/*.yaml {IMAGE}/config/*.yaml {IMAGE}/cloud-init/network-config
"""


def image(trial: Trial) -> Iterator[Row]:
    """Raises `ToolError`."""
    folder = trial.root.folder / "image"
    shutil.rmtree(folder, ignore_errors=True)
    trial.say("checking the recipe's files")
    checked = trial.root.shell(_CHECKS, timeout=HOUR)
    yield row("cloud-init's schema, YAML, shellcheck", checked)
    made = trial.root.above(folder)
    trial.say("prepare.sh")
    done = made.shell(f"sh {IMAGE}/prepare.sh", timeout=HOUR)
    yield row("`prepare.sh`", done, done.last)
    if done.code:
        return
    yield from starts(trial, made, folder)


def starts(trial: Trial, made: Root, folder: Path) -> Iterator[Row]:
    """The first boot and two starts of a root that is `made` ready. Raises `ToolError`."""
    with _disk(folder / "disk.img") as disk:
        trial.say("first-boot.sh")
        script = (
            f"printf '{_ROOT_PART}' | sfdisk -q {disk} && sh {IMAGE}/first-boot.sh --disk {disk}"
        )
        done = made.shell(f"{script} --no-reboot", timeout=HOUR)
        yield row("`first-boot.sh`: partition, folders, fstab", done, done.last)
        if done.code:
            return
        again = made.shell(f"sh {IMAGE}/first-boot.sh --disk {disk} --no-reboot", timeout=HOUR)
        yield row("… run again changes nothing", again, again.last)
        started = made.above(folder / "start", memory=True)
        trial.say("first start: perceive fills the outbox, then all ends at once")
        work = started.shell(_WORK, timeout=HOUR)
        before = _numbers(work.out)
        laid = re.search(r"^kernels (\d+)$", work.out, re.MULTILINE)
        yield row(
            "first start: summaries reach the outbox", work, f"{before['depth']} wait",
            passed=before["depth"] > 0,
        )  # fmt: skip
        trial.say("second start")
        look = started.shell(_LOOK, timeout=HOUR)
        after = _numbers(look.out)
        lines = look.out.splitlines()[1:]
        junk, settings, kernels = [*lines, "", "", ""][:3]
        had = int(laid[1]) if laid else 0
        more = kernels.isdigit() and int(kernels) > had
        yield row(
            "second start: outbox, settings, compiled kernels are there", look,
            f"{after['depth']} wait; {kernels} kernels, {had} of them laid in before; "
            f"mounts: {'; '.join(lines[3:])}",
            passed=after["depth"] >= before["depth"] > 0 and settings == "1" and more,
        )  # fmt: skip
        yield row(
            "second start: what was written elsewhere is gone", look, f"{junk} files left",
            passed=junk == "0",
        )  # fmt: skip


def _numbers(text: str) -> dict[str, int]:
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict) and "depth" in found:
                return found
    return {"depth": 0, "next": 0}


@contextlib.contextmanager
def _disk(file: Path) -> Iterator[str]:
    """A file as a disk; its device. Raises `ToolError`."""
    with file.open("wb") as disk:
        disk.truncate(_DISK)
    try:
        device = subprocess.run(
            ["losetup", "--find", "--show", "--partscan", str(file)],
            capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise ToolError(f"No loop device: {said.strip()}. It needs root and /dev/loop*.") from None
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", device], capture_output=True, check=False)
        file.unlink(missing_ok=True)
