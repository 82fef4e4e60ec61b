"""One aarch64 Debian root: made once, entered at will."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.common import debian
from tools.common.errors import ToolError
from tools.common.mosquitto import die_with_parent

SUITES = {"bookworm": "12", "trixie": "13"}
"""Debian's, on which Raspberry Pi OS of the same name is built."""
PACKAGES = ("python3", "python3-venv", "ca-certificates", "git", "systemd", "dbus", "iproute2")
"""Of the root itself; what the README asks for is installed as the README says."""
PROCESSORS = (("cortex-a72", "Raspberry Pi 4"), ("cortex-a76", "Raspberry Pi 5"))
"""As QEMU calls them; the first is what is emulated. QEMU's own default has instructions that no
board has, and the libraries would take them."""
_ENTER = """
mount --rbind /dev "$1/dev" && mount -t proc proc "$1/proc" &&
mount -t sysfs -o ro sysfs "$1/sys" && mount -t tmpfs tmpfs "$1/run" &&
mkdir -p "$1/run/lock" || exit 125
root=$1; shift
exec chroot "$root" "$@"
"""
"""In namespaces of its own: mounts and processes end with the command."""
_DEBOOTSTRAP = 3600.0
CERTIFICATES = Path("etc/ssl/certs/ca-certificates.crt")
KEPT = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_DEFAULT_TIMEOUT",
    *(f"{kind}_proxy" for kind in ("http", "https", "no")),
    *(f"{kind}_PROXY" for kind in ("HTTP", "HTTPS", "NO")),
)
"""How this machine reaches package registries."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a command in the root ended."""

    code: int
    """124: it took too long and was killed."""
    out: str
    err: str
    seconds: float

    @property
    def last(self) -> str:
        """Its last words."""
        lines = [line.strip() for line in (self.err or self.out).splitlines() if line.strip()]
        return lines[-1] if lines else "it said nothing"


class Root:
    """`folder/<suite>/root`. Raises `ToolError`."""

    def __init__(self, folder: Path, suite: str) -> None:
        self.suite = suite
        self.folder = folder / suite
        self.path = self.folder / "root"
        self._complete = self.folder / "complete"
        self._before = ":"
        """What is mounted before, as shell commands."""
        self._below = [self.path]

    def make(self) -> bool:
        """Make it where it is not whole. Returns whether it was made now."""
        if self._complete.is_file():
            return False
        if shutil.which("debootstrap") is None:
            raise ToolError("debootstrap is missing: apt-get install debootstrap.")
        if self.path.exists():
            shutil.rmtree(self.path)  # half made: debootstrap does not go on
        self.path.mkdir(parents=True)
        log = self.folder / "debootstrap.log"
        with log.open("wb") as file:
            done = subprocess.run(
                # what it mounts ends with it, however it ends: a /proc left over cannot be removed
                ["unshare", "--mount", "debootstrap", "--arch=arm64", "--variant=minbase",
                 f"--include={','.join(PACKAGES)}", f"--keyring={debian.keyring()}",
                 self.suite, str(self.path), debian.archive()],
                stdin=subprocess.DEVNULL, stdout=file, stderr=file, timeout=_DEBOOTSTRAP,
                check=False,
            )  # fmt: skip
        if done.returncode:
            last = log.read_text(errors="replace").splitlines()[-1:]
            raise ToolError(f"debootstrap {self.suite} failed: {' '.join(last)} ({log}).")
        self._complete.touch()
        return True

    def borrow(self) -> None:
        """How this machine reaches registries: name servers, certificates, pip's settings. None of
        it is stored in the repository."""
        for name in ("etc/resolv.conf", "etc/hosts", str(CERTIFICATES), "etc/pip.conf"):
            own = Path("/") / name
            if own.is_file():
                target = self.path / name
                target.unlink(missing_ok=True)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(own, target)

    def above(self, folder: Path, *, memory: bool = False) -> Root:
        """The same root under a layer of its own in `folder`, which takes all changes; `memory`: in
        memory, and gone with each command."""
        found = Root(self.folder, self.suite)
        found.path = folder / "merged"
        layer = folder / "layer"
        for each in (found.path, layer / "upper", layer / "work"):
            each.mkdir(parents=True, exist_ok=True)
        found._below = [*self._below] if memory else [layer / "upper", *self._below]
        at = {"l": layer, "below": ":".join(map(str, self._below)), "to": found.path}
        quoted = {name: shlex.quote(str(value)) for name, value in at.items()}
        in_memory = (
            "mount -t tmpfs tmpfs {l} && mkdir {l}/upper {l}/work && ".format(**quoted)
            if memory
            else ""
        )
        found._before = in_memory + (
            "mount -t overlay overlay -o "
            "lowerdir={below},upperdir={l}/upper,workdir={l}/work {to}".format(**quoted)
        )
        return found

    def command(self, words: Sequence[str], env: Mapping[str, str] | None = None) -> list[str]:
        """Of this machine, that runs `words` in the root as root, with `/proc`, `/sys`, `/dev` and
        an empty `/run`, in a process namespace: what it started ends with it."""
        settings = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "QEMU_CPU": PROCESSORS[0][0],
            "DEBIAN_FRONTEND": "noninteractive",
            "PIP_ROOT_USER_ACTION": "ignore",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            **{name: os.environ[name] for name in KEPT if name in os.environ},
            **(env or {}),
        }
        return [
            "unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
            "--", "/usr/bin/env", "-i", *(f"{name}={value}" for name, value in settings.items()),
            "/bin/sh", "-c", f"{self._before} || exit 125\n{_ENTER}", "sh", str(self.path), *words,
        ]  # fmt: skip

    def run(
        self,
        words: Sequence[str],
        *,
        timeout: float,
        env: Mapping[str, str] | None = None,
    ) -> Done:
        """Run a command in it to its end, or for `timeout` seconds."""
        started = time.monotonic()
        with self.process(words, env) as process:
            try:
                out, err = process.communicate(timeout=timeout)
                code = process.returncode
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
                code = 124
        return Done(
            code,
            out.decode(errors="replace"),
            err.decode(errors="replace"),
            time.monotonic() - started,
        )

    def shell(self, script: str, *, timeout: float, env: Mapping[str, str] | None = None) -> Done:
        """Run a shell script in it; it ends at the first line that fails."""
        return self.run(["/bin/sh", "-ec", script], timeout=timeout, env=env)

    @contextlib.contextmanager
    def process(
        self, words: Sequence[str], env: Mapping[str, str] | None = None
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A command that runs while this lasts, and everything that it started."""
        process = subprocess.Popen(
            self.command(words, env),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=die_with_parent,
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()
