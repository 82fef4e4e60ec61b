"""System calls of each command, recorded by strace(1).

The sandbox probes at startup appear in the log as refused.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import pytest

from agent.host.sandbox import probe
from agent.kernels import user_cache
from agent.perceive.capture.video_file import VideoFile

CLIP = Path(__file__).parents[3] / "agent" / "base" / "assets" / "clip.mp4"
# A file per thread (-ff): no call is split by another thread's.
TRACE = ["strace", "-ff", "-qq", "-y"]
CALL = re.compile(r"^(\w+)\((.*)\)\s+= (-?\d+)(?:<[^>]*>)?(?: (E[A-Z]+))?")
PROBES = ("/nonexistent/fleeting", ".fleeting-cage-", "fleeting-none", "SUID_DUMP_USER")
"""How the probes at start are told from the rest, beside a descriptor -1 and sockets."""
DONE_WITHOUT = {
    "clone3": "ENOSYS",  # glibc takes clone
    "prctl": "PR_SET_NAME",  # names of FFmpeg's threads
    "fchown": "-wal|-shm|-journal",  # SQLite, where root runs it
    "utimensat": "outbox.db",  # Path.touch
}
"""What libraries try and do without, by call: what the log says of it."""
HARMLESS = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"}


def usable() -> bool:
    if not shutil.which("strace"):
        return False
    return (
        subprocess.run(["strace", "-qq", "true"], capture_output=True, check=False).returncode == 0
    )


pytestmark = pytest.mark.skipif(not usable(), reason="strace is missing or not allowed here")


class Log:
    """System calls: (call, arguments, result, error)."""

    def __init__(self, path: Path) -> None:
        parts = sorted(path.parent.glob(f"{path.name}.*"))
        lines = [line for each in parts for line in each.read_text(errors="replace").splitlines()]
        found = [match for line in lines if (match := CALL.match(line))]
        self.calls = [(each[1], each[2], int(each[3]), each[4] or "") for each in found]
        assert len(self.calls) > 100, "the log is as good as empty"

    def families(self) -> set[str]:
        """Address families of the created sockets."""
        return {
            arguments.split(",")[0]
            for name, arguments, result, _ in self.calls
            if name in ("socket", "socketpair") and result >= 0
        }

    def network(self) -> list[str]:
        """Other calls that name an internet address."""
        return [
            f"{name}({arguments})"
            for name, arguments, _, _ in self.calls
            if name != "socket" and "sa_family=AF_INET" in arguments
        ]

    def missed(self) -> list[str]:
        """Calls that the filter refused, except those of the probes and what libraries can do
        without."""
        probed = ("socket", "socketpair", "kill", "shmget", "msgget", "semget")
        return [
            f"{name}({arguments}) {error}"
            for name, arguments, result, error in self.calls
            if result < 0 and error in ("EPERM", "ENOSYS")
            if name not in probed and not arguments.startswith("-1")
            if not any(each in arguments for each in PROBES)
            if not (
                name in DONE_WITHOUT
                and any(each in f"{arguments} {error}" for each in DONE_WITHOUT[name].split("|"))
            )
        ]

    def opened(self) -> set[tuple[Path, bool]]:
        """Files that were opened, and whether for writing. O_PATH names a file and opens nothing:
        the sandbox's own rules."""
        found = set()
        for name, arguments, result, _ in self.calls:
            path = re.search(r'"([^"]*)"', arguments)
            if name in ("open", "openat", "openat2", "creat") and result >= 0 and path:
                if "O_PATH" in arguments:
                    continue
                writing = name == "creat" or bool(re.search("O_WRONLY|O_RDWR", arguments))
                found.add((Path(path[1]), writing))
        return found

    def devices(self) -> set[str]:
        return {str(path) for path, _ in self.opened() if path.is_relative_to("/dev")}


def settings(folder: Path, video: Path) -> Path:
    path = folder / "fleeting.toml"
    path.write_text(
        f'[source]\nkind = "file"\ntarget = "{video}"\npace = "fast"\n'
        f'[privacy]\npolicy = "demo"\n[store]\noutbox = "{folder}/outbox/outbox.db"\n'
        # no broker listens there
        '[mqtt]\nhost = "127.0.0.1"\nport = 9\nbackoff_max = 0.2\n'
    )
    return path


@pytest.fixture
def short(tmp_path: Path) -> Path:
    """Half a second of the clip."""
    path = tmp_path / "short.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (640, 480))
    for frame in VideoFile(CLIP):
        if frame.time > 2:
            writer.write(cv2.cvtColor(frame.luma, cv2.COLOR_GRAY2BGR))
        if frame.time > 2.5:
            break
    writer.release()
    return path


def command(log: Path, *arguments: str) -> list[str]:
    return [*TRACE, "-o", str(log), sys.executable, "-m", "agent.cli", *arguments]


def traced(log: Path, *arguments: str) -> Log:
    done = subprocess.run(
        command(log, *arguments), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return Log(log)


@pytest.mark.slow
def test_perceive_makes_no_internet_socket_and_writes_where_it_may(
    tmp_path: Path, short: Path
) -> None:
    log = traced(tmp_path / "log", "perceive", "--config", str(settings(tmp_path, short)))
    assert log.families() == set()
    assert log.network() == []
    assert log.missed() == []
    kernels = user_cache().with_name("fleeting")  # none that others load
    caches = [os.environ.get("NUMBA_CACHE_DIR", kernels)]
    written = {path for path, writing in log.opened() if writing and str(path) not in HARMLESS}
    strange = [
        path
        for path in written
        if not any(path.is_relative_to(each) for each in (tmp_path / "outbox", *caches))
        # Bytecode caches are written before the sandbox is entered.
        and "__pycache__" not in path.parts
    ]
    assert strange == []
    assert any(path.is_relative_to(tmp_path / "outbox") for path in written)


@pytest.mark.slow
def test_a_replay_makes_no_internet_socket(tmp_path: Path, short: Path) -> None:
    log = traced(tmp_path / "log", "replay", str(short), "--json")
    assert log.families() == set()
    assert log.network() == []
    assert log.missed() == []
    assert log.devices() <= {*HARMLESS, "/dev"}  # listed, to find what the sandbox must let through


@pytest.mark.slow
def test_a_replay_compiles_draws_and_writes_in_its_sandbox(tmp_path: Path, short: Path) -> None:
    """With nothing compiled and no font cache yet; other files stay out of reach."""
    folder = tmp_path / "out"
    folder.mkdir()
    home = tmp_path / "home"
    home.mkdir()
    outputs = [folder / "picture.png", folder / "trace.npz"]
    outputs[1].write_bytes(b"an older one, and longer than none")
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli", "replay",
         str(short), "--plot", str(outputs[0]), "--trace", str(outputs[1])],
        capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kernels"), "HOME": str(home)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert outputs[0].read_bytes().startswith(b"\x89PNG")
    assert zipfile.is_zipfile(outputs[1])
    assert sorted(folder.iterdir()) == outputs
    assert list((tmp_path / "kernels").rglob("*.nbc"))


@pytest.mark.slow
def test_uplink_opens_no_device(tmp_path: Path) -> None:
    path = settings(tmp_path, tmp_path / "none.avi")
    (tmp_path / "outbox").mkdir()
    process = subprocess.Popen(
        command(tmp_path / "log", "uplink", "--config", str(path)),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if "Next try" in line:  # it has tried to connect: all is loaded, the sandbox entered
                break
        tracee = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0]
        os.kill(int(tracee), signal.SIGTERM)
        process.wait(60)
    finally:
        if process.poll() is None:
            process.kill()
        process.stderr.close()
    log = Log(tmp_path / "log")
    assert log.devices() <= {*HARMLESS, "/dev"}
    # It tries each, and is refused.
    tried = {
        arguments.split('"')[1]: error
        for name, arguments, result, error in log.calls
        if name == "openat" and result < 0 and '"/dev/' in arguments
    }
    assert tried.pop("/dev/video0") in ("EACCES", "ENOENT")
    assert {str(each) for each in probe.devices()} <= {*tried, "/dev/video0"}
    assert log.families() <= {"AF_INET", "AF_INET6"}
    assert log.missed() == []
    assert any("htons(9)" in each for each in log.network())


def test_the_log_is_understood(tmp_path: Path) -> None:
    """The parser of the log works."""
    log = tmp_path / "log"
    script = (
        "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.connect(('127.0.0.1', 9))\nopen('/dev/full')\n"
        f"open({str(tmp_path / 'x')!r}, 'w')"
    )
    subprocess.run([*TRACE, "-o", str(log), sys.executable, "-c", script], check=True)
    found = Log(log)
    assert "AF_INET" in found.families()
    assert len([each for each in found.network() if each.startswith("connect")]) == 1
    assert found.devices() == {"/dev/full"}
    assert (tmp_path / "x", True) in found.opened()
