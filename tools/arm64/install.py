"""Steps: the README's commands for a Raspberry Pi, and the units."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator

from tools.arm64.readme import as_root
from tools.arm64.table import Row
from tools.arm64.trial import HOME, HOUR, PYTHON, Trial, row
from tools.common.errors import ToolError
from tools.common.files import ROOT

_BUNDLE = "/opt/fleeting.bundle"
_INSTEAD = {"python3-picamera2": "python3-libcamera"}
"""What Raspberry Pi's own archive has beside Debian's, and what Debian has of it."""
_STAMP = ".venv/.fleeting-complete"
UNITS = sorted(each.name for each in (ROOT / "systemd").iterdir() if each.suffix != ".conf")
_EXPOSURE = {"fleeting-perceive.service": 15, "fleeting-uplink.service": 15}
"""Units of 0.1, at most, of `systemd-analyze security`."""


def packages(trial: Trial) -> Iterator[Row]:
    """`apt install …`, with what Debian has."""
    root = trial.root
    trial.facts |= _versions(trial)
    wanted, notes = [], []
    update = trial.run("apt-get update", "apt-get update -qq", timeout=HOUR)
    if update.code:
        raise ToolError(f"apt finds no archive in the {root.suite} root: {update.last}")
    for name in trial.readme.packages:
        for each in (name, _INSTEAD.get(name, "")):
            if each and _offered(trial, each):
                wanted.append(each)
                break
        else:
            notes.append(f"{name} is Raspberry Pi's own and not in Debian")
            continue
        if wanted[-1] != name:
            notes.append(f"{wanted[-1]} in place of {name}, which is Raspberry Pi's own")
    line = as_root(f"sudo apt install {' '.join(wanted)}")
    done = trial.run(line, line)
    yield row(f"`sudo apt install {' '.join(trial.readme.packages)}`", done, "; ".join(notes))


def clone(trial: Trial) -> Iterator[Row]:
    """`git clone`, of the last commit here; a later one is fetched into the clone that is there."""
    bundle = trial.root.path / _BUNDLE.lstrip("/")
    bundle.unlink(missing_ok=True)
    try:
        subprocess.run(
            ["git", "-C", str(ROOT), "bundle", "create", "-q", str(bundle), "HEAD"],
            check=True, capture_output=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError) as error:
        raise ToolError(f"The repository cannot be bundled: {error}.") from None
    bundle.chmod(0o644)
    first = as_root(trial.readme.clone, [("REPOSITORY", _BUNDLE)])
    later = (
        f"git -C {HOME} fetch -q {_BUNDLE} HEAD && git -C {HOME} checkout -q -f FETCH_HEAD && "
        f"git -C {HOME} clean -q -f -d"
    )
    there = (trial.root.path / HOME.lstrip("/") / ".git").is_dir()
    done = trial.run("clone", later if there else first)
    yield row(f"`{trial.readme.clone}`", done, "fetched into the clone of before" if there else "")


def environment(trial: Trial) -> Iterator[Row]:
    """`setup-venv`: every file checked against its hash. Where an environment for the same
    requirements is there it is only brought up to date, unless a fresh one is asked for."""
    kept = (trial.root.path / HOME.lstrip("/") / _STAMP).is_file() and not trial.fresh
    line = as_root(trial.readme.setup)
    if kept:
        line = line.partition(" --")[0]
    done = trial.run(line, line, timeout=2 * HOUR)
    note = "brought up to date; made by an earlier run" if kept else "from nothing"
    yield row(f"`{trial.readme.setup}`", done, note)


def microphone(trial: Trial) -> Iterator[Row]:
    """The README's two ways to a microphone: PyAudio, compiled, and sounddevice. In a layer of
    their own: they install the package anew, without the clone's tools."""
    folder = trial.root.folder / "microphone"
    shutil.rmtree(folder, ignore_errors=True)
    made = trial.root.above(folder)
    for line in trial.readme.microphone:
        trial.say(line)
        yield row(f"`{line}`", made.shell(f"cd {HOME} && {as_root(line)}", timeout=HOUR))
    check = (
        "import pyaudio, sounddevice; "
        "print(pyaudio.get_portaudio_version_text(), sounddevice.__version__, "
        "len(sounddevice.query_devices()))"
    )
    done = made.shell(f"{PYTHON} -c '{check}'", timeout=HOUR)
    yield row("both import, devices are listed", done, done.out.strip() + " devices")
    shutil.rmtree(folder, ignore_errors=True)


def units(trial: Trial) -> Iterator[Row]:
    """The units in this suite's own systemd; the users and folders they name are made."""
    done = trial.run("units", f"sh {HOME}/tools/install.sh --root /")
    yield row("`tools/install.sh --root /`", done)
    done = trial.run(
        "users and folders",
        "systemd-sysusers /etc/sysusers.d/fleeting.conf && "
        "systemd-tmpfiles --create /etc/tmpfiles.d/fleeting.conf; id -nG fleeting-uplink",
    )
    yield row("users and folders", done, f"fleeting-uplink is in: {done.out.strip()}")
    verify = "cd /etc/systemd/system && systemd-analyze verify --recursive-errors=no "
    verify += " ".join(UNITS)
    done = trial.run("systemd-analyze verify", verify)
    complaints = [line for line in done.err.splitlines() if "fleeting" in line]
    yield row(
        "`systemd-analyze verify`", done, "; ".join(complaints[:3]),
        passed=not done.code and not complaints,
    )  # fmt: skip
    for name, most in _EXPOSURE.items():
        done = trial.run(
            f"systemd-analyze security {name}",
            f"systemd-analyze security --offline=true --threshold={most} "
            f"/etc/systemd/system/{name} | tail -1",
        )
        level = re.search(r"exposure level for [\w.-]+: ([\d.]+)", done.out)
        yield row(
            f"`systemd-analyze security {name}`", done, f"exposure {level[1]}" if level else "",
            passed=level is not None and float(level[1]) * 10 <= most,
        )  # fmt: skip


def _offered(trial: Trial, package: str) -> bool:
    done = trial.root.run(["apt-cache", "policy", package], timeout=600)
    return "Candidate:" in done.out and "Candidate: (none)" not in done.out


def _versions(trial: Trial) -> dict[str, str]:
    script = (
        "cat /etc/debian_version; python3 --version; systemctl --version | head -1; "
        "ldd --version | head -1"
    )
    lines = trial.root.shell(script, timeout=600).out.splitlines()
    names = ("Debian", "Python", "systemd", "C library")
    return {
        name: value.removeprefix("Python ").removeprefix("systemd ")
        for name, value in zip(names, lines, strict=False)
    }
