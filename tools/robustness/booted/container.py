"""A container with systemd as its first process: systemd-nspawn(1) as a child of this tool.

It has a network of its own (loopback alone), a control group hierarchy of its own, and a clock that
counts from its start, as that of a machine does (time_namespaces(7)): what the product counts by
uptime counts here as there.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.common.errors import ToolError
from tools.common.files import ROOT
from tools.common.mosquitto import die_with_parent
from tools.robustness.booted.root import SHARED, SOURCE

REBOOTS = 133
"""Exit code of systemd-nspawn when the container wants to be started again."""
_CALLS = "bpf seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self @keyring"
"""Besides what it lets through by itself: what a machine's systemd and the agent use."""
_BOOT = 180.0
_END = 180.0
_POLL = 0.2
_UPTIME = 60
"""Seconds that the machine has run, for its processes, when the container starts."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a command in the container ended."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """Its last words."""
        lines = [line.strip() for line in (self.err or self.out).splitlines() if line.strip()]
        return lines[-1] if lines else "it said nothing"


class Container:
    """Booted from `root`, again and again; what it says on its console goes to `console`. A context
    manager: it is gone at the end."""

    def __init__(self, root: Path, console: Path) -> None:
        self.root, self._console = root, console
        self._process: subprocess.Popen[bytes] | None = None
        self._group = _unified() / f"fleeting-booted-{os.getpid()}"
        """Control group of all that runs in it, so that all can be ended."""
        self.seen: set[int] = set()
        """Process ids, on this machine, of what ran in it while it was waited for."""
        self.first = 0
        """Process id of its systemd on this machine."""

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *_: object) -> None:
        """End it at once, with all that runs in it."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._clear()

    def boot(self) -> str:
        """Until everything was started; what systemd says of the whole. Raises `ToolError`."""
        back = -int(time.clock_gettime(time.CLOCK_BOOTTIME)) + _UPTIME
        command = [
            "unshare", "--fork", "--kill-child", "--time", f"--boottime={back}",
            f"--monotonic={-int(time.monotonic()) + _UPTIME}",
            "systemd-nspawn", *SHARED, "--directory", str(self.root), "--boot",
            "--private-network", "--console=pipe", "--link-journal=no", "--hostname=box",
            "--capability=CAP_BPF,CAP_PERFMON,CAP_NET_ADMIN", f"--system-call-filter={_CALLS}",
            f"--bind-ro={ROOT}:{SOURCE}",
        ]  # fmt: skip
        environment = os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
        self._clear()
        self._group.mkdir()

        def enter() -> None:
            die_with_parent()
            (self._group / "cgroup.procs").write_text("0")

        with self._console.open("ab") as out:
            self._process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                preexec_fn=enter,
            )  # fmt: skip
        if not self.wait(lambda: self._find_first() > 0, _BOOT):
            raise ToolError(f"The container does not start: {self.said()}")
        done = None

        def up() -> bool:
            nonlocal done
            done = self.run(["systemctl", "is-system-running"], 30.0)
            return done.out.strip() in ("running", "degraded")

        if not self.wait(up, _BOOT):
            raise ToolError(f"systemd in the container does not come up: {done} {self.said()}")
        assert done is not None
        return done.out.strip()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def said(self) -> str:
        """The end of its console."""
        return self._console.read_text(errors="replace")[-400:].strip()

    def _find_first(self) -> int:
        """The only child of systemd-nspawn that is process 1 of a namespace."""
        for pid in _below(self.process.pid):
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            ids = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()
            if len(ids) > 2 and ids[-1] == "1":
                self.first = pid
                return pid
        return 0

    def command(self, words: Sequence[str]) -> list[str]:
        """Of this machine, that runs `words` in the container as root."""
        return [
            "nsenter", "--target", str(self.first), "--all", "--root", "--wd=/", "--",
            "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
            "LANG=C.UTF-8", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER=", *words,
        ]  # fmt: skip

    def run(self, words: Sequence[str], timeout: float) -> Done:
        """Run a command in it; code 124 where it took too long and was killed."""
        process = subprocess.Popen(
            self.command(words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, preexec_fn=die_with_parent,
        )  # fmt: skip
        try:
            out, err = process.communicate(timeout=timeout)
            code = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            code = 124
        return Done(code, out.decode(errors="replace"), err.decode(errors="replace"))

    def sure(self, *words: str, timeout: float = 120.0) -> str:
        """Its output. Raises `ToolError` where it fails."""
        done = self.run(words, timeout)
        if done.code:
            raise ToolError(f"`{' '.join(words)}` failed in the container: {done.last[:300]}")
        return done.out

    def path(self, name: str) -> Path:
        """A file of the container, seen from here."""
        return Path(f"/proc/{self.first}/root") / name.lstrip("/")

    def ended(self, seconds: float) -> int | None:
        """The exit code of systemd-nspawn, with nothing left of what ran in it; None where it still
        runs after that long. Raises `ToolError`."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        self._clear()
        return code

    def stop(self) -> int | None:
        """Switch it off as a person does; the exit code."""
        self.run(["systemctl", "poweroff"], 30.0)
        return self.ended(_END)

    def _clear(self) -> None:
        """Kill what is left in the control group, and remove it. Raises `ToolError`."""
        if not self._group.is_dir():
            return
        with contextlib.suppress(OSError):
            (self._group / "cgroup.kill").write_text("1")  # Linux 5.14
        deadline = time.monotonic() + _END
        while self._group.is_dir():
            for each in reversed(_groups(self._group)):
                with contextlib.suppress(OSError):
                    each.rmdir()
            if time.monotonic() > deadline:
                raise ToolError(f"Processes of the container do not end: {self._group}.")
            time.sleep(_POLL)

    def wait(self, done: Callable[[], bool], seconds: float) -> bool:
        """Until something is so, for at most that long, and only while the container runs."""
        deadline = time.monotonic() + seconds
        while True:
            self._look()
            if done():
                return True
            if time.monotonic() > deadline or self.process.poll() is not None:
                return False
            time.sleep(_POLL)

    def _look(self) -> None:
        for each in _groups(self._group):
            with contextlib.suppress(OSError):
                self.seen.update(map(int, (each / "cgroup.procs").read_text().split()))


def _unified() -> Path:
    """Where the control groups of the second version are. Raises `ToolError`."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind = line.split()[:3]
        if kind == "cgroup2":
            return Path(place)
    raise ToolError("No control groups of version 2 are mounted here (mount -t cgroup2).")


def _groups(group: Path) -> list[Path]:
    """One and those below it, which come and go meanwhile; each before those below it."""
    return [Path(place) for place, _, _ in os.walk(group)]


def _below(pid: int) -> list[int]:
    """Processes that descend from one, first those near it."""
    found: list[int] = []
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return found
    for each in map(int, children):
        found += [each, *_below(each)]
    return found
