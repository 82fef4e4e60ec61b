"""Two children are restarted, stopped, and not restarted after a configuration error."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from agent.host import supervise as supervise_module
from agent.host.supervise import Updates, supervise


@pytest.fixture(autouse=True)
def short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise_module, "MAX_DELAY", 0.1)
    monkeypatch.setattr(supervise_module, "TERMINATE_TIMEOUT", 2.0)


def child(folder: Path, name: str, body: str) -> list[str]:
    """A command that records its process id at each start, then runs `body`."""
    note = f"open({str(folder / name)!r}, 'a').write(f'{{os.getpid()}}\\n')"
    return [sys.executable, "-c", f"import os, signal, sys, time\n{note}\n{body}"]


def starts(folder: Path, name: str) -> list[int]:
    path = folder / name
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def eventually(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(process: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def dead(process: int) -> bool:
    return not alive(process)


class Running:
    def __init__(
        self, perceive: list[str], uplink: list[str], updates: Updates | None = None
    ) -> None:
        self.stop = threading.Event()
        self.code: int | None = None
        self._thread = threading.Thread(target=self._run, args=(perceive, uplink, updates))
        self._thread.start()

    def _run(self, perceive: list[str], uplink: list[str], updates: Updates | None) -> None:
        self.code = supervise(perceive, uplink, self.stop, updates=updates)

    def end(self) -> int | None:
        self.stop.set()
        self._thread.join(20)
        return self.code


def test_a_killed_child_is_started_again_and_the_other_is_left_alone(tmp_path: Path) -> None:
    run = Running(
        child(tmp_path, "perceive", "time.sleep(60)"), child(tmp_path, "uplink", "time.sleep(60)")
    )
    try:
        eventually(lambda: starts(tmp_path, "perceive") and starts(tmp_path, "uplink"))
        os.kill(starts(tmp_path, "uplink")[0], signal.SIGKILL)
        eventually(lambda: len(starts(tmp_path, "uplink")) == 2)
    finally:
        code = run.end()
    assert code == 0
    assert len(starts(tmp_path, "perceive")) == 1
    assert not any(map(alive, starts(tmp_path, "perceive") + starts(tmp_path, "uplink")))


def test_what_perceive_may_not_remove_is_removed_when_it_has_ended(tmp_path: Path) -> None:
    left = tmp_path / "left"
    body = f"open({str(left)!r}, 'w').close()"

    def cleanup() -> None:
        assert dead(starts(tmp_path, "perceive")[0])
        left.unlink()

    uplink = child(tmp_path, "uplink", "time.sleep(60)")
    assert supervise(child(tmp_path, "perceive", body), uplink, cleanup=cleanup) == 0
    assert not left.exists()


def test_a_configuration_that_cannot_be_used_ends_both(tmp_path: Path) -> None:
    uplink = child(tmp_path, "uplink", "time.sleep(60)")
    assert supervise(child(tmp_path, "perceive", "sys.exit(78)"), uplink) == 78
    assert len(starts(tmp_path, "perceive")) == 1
    assert not any(map(alive, starts(tmp_path, "uplink")))


@pytest.mark.slow
def test_the_end_of_the_source_ends_the_uplink_politely(tmp_path: Path) -> None:
    polite = (
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(open('bye', 'w').close()))\n"
        "time.sleep(60)"
    )
    uplink = child(tmp_path, "uplink", f"os.chdir({str(tmp_path)!r})\n{polite}")
    perceive = child(
        tmp_path,
        "perceive",
        f"while not os.path.exists({str(tmp_path / 'uplink')!r}): time.sleep(0.01)\n"
        "time.sleep(0.5)",
    )
    assert supervise(perceive, uplink) == 0
    assert (tmp_path / "bye").exists()


def test_a_child_that_ignores_sigterm_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise_module, "TERMINATE_TIMEOUT", 0.2)
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nopen('deaf', 'w').close()\n"
    argv = child(tmp_path, "deaf-pid", f"os.chdir({str(tmp_path)!r})\n{deaf}time.sleep(60)")
    run = Running(argv, child(tmp_path, "uplink", "time.sleep(60)"))
    try:
        eventually((tmp_path / "deaf").exists)
    finally:
        code = run.end()
    assert code == 0
    assert not any(map(alive, starts(tmp_path, "deaf-pid")))


def test_sigterm_ends_all_and_a_killed_supervisor_leaves_no_orphans(tmp_path: Path) -> None:
    sleeper = "import os, time; os.write(1, b'%d\\n' % os.getpid()); time.sleep(60)"
    script = (
        "import sys\nfrom agent.host.supervise import supervise\n"
        f"sleep = [sys.executable, '-c', {sleeper!r}]\n"
        "sys.exit(supervise(sleep, sleep))"
    )
    for number, code in ((signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)):
        process = subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        children = [int(process.stdout.readline()) for _ in range(2)]
        assert all(map(alive, children))
        process.send_signal(number)
        assert process.wait(20) == code
        process.stdout.close()
        for each in children:
            eventually(partial(dead, each))


def updates(folder: Path, body: str = "") -> Updates:
    return Updates(folder, folder / "job.json", child(folder, "updater", body))


def test_both_are_restarted_each_time_the_updater_asks(tmp_path: Path) -> None:
    """Not for what was asked before this supervisor began."""
    (tmp_path / "restart").write_text("before")
    sleep = "time.sleep(60)"
    run = Running(
        child(tmp_path, "perceive", sleep), child(tmp_path, "uplink", sleep), updates(tmp_path)
    )
    try:
        for count in (1, 2, 3):
            eventually(
                lambda n=count: (
                    len(starts(tmp_path, "perceive")) == n  # type: ignore[misc]
                    and len(starts(tmp_path, "uplink")) == n
                )
            )
            time.sleep(0.3)
            (tmp_path / "new").write_text(f"request {count}")
            (tmp_path / "new").replace(tmp_path / "restart")
        eventually(lambda: len(starts(tmp_path, "uplink")) == 4)
    finally:
        assert run.end() == 0
    assert len(starts(tmp_path, "perceive")) in (3, 4)
    assert not any(map(alive, starts(tmp_path, "perceive") + starts(tmp_path, "uplink")))


def test_the_updater_is_started_at_first_and_with_each_job(tmp_path: Path) -> None:
    sleep = "time.sleep(60)"
    run = Running(
        child(tmp_path, "perceive", sleep), child(tmp_path, "uplink", sleep), updates(tmp_path)
    )
    try:
        eventually(lambda: len(starts(tmp_path, "updater")) == 1)
        time.sleep(0.5)
        assert len(starts(tmp_path, "updater")) == 1
        for count in (2, 3):
            (tmp_path / "new").write_text(f"job {count}")
            (tmp_path / "new").replace(tmp_path / "job.json")
            eventually(lambda n=count: len(starts(tmp_path, "updater")) == n)  # type: ignore[misc]
            time.sleep(0.3)
    finally:
        assert run.end() == 0


def test_an_updater_that_failed_or_was_killed_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise_module, "_UPDATER_RETRY", 0.1)
    sleep = "time.sleep(60)"
    run = Running(
        child(tmp_path, "perceive", sleep), child(tmp_path, "uplink", sleep),
        updates(tmp_path, "os.kill(os.getpid(), 9)"),
    )  # fmt: skip
    try:
        eventually(lambda: len(starts(tmp_path, "updater")) >= 3)
    finally:
        assert run.end() == 0
    assert not any(map(alive, starts(tmp_path, "updater")))


@pytest.mark.parametrize("code", [0, 1, 78])
def test_what_has_yet_to_prove_itself_is_started_again_however_it_ends(
    code: int, tmp_path: Path
) -> None:
    """Confirmed, a refused configuration ends all, and so does the end of the source."""
    (tmp_path / "current").symlink_to("a")
    run = Running(
        child(tmp_path, "perceive", f"sys.exit({code})"),
        child(tmp_path, "uplink", "time.sleep(60)"),
        updates(tmp_path),
    )
    try:
        eventually(lambda: len(starts(tmp_path, "perceive")) >= 3)
        (tmp_path / "confirmed").symlink_to("a")
        if code != 1:
            eventually(lambda: run.code is not None)
    finally:
        assert run.end() == (0 if code == 1 else code)


needs_namespaces = pytest.mark.skipif(
    not supervise_module._permitted(supervise_module._isolate_user_and_network),
    reason="this system lets nobody make a network namespace",
)
INTERFACES = "[line.split(':')[0].strip() for line in open('/proc/net/dev').readlines()[2:]]"
UPLINK = [sys.executable, "-c", "import time; time.sleep(60)"]


def namespace(process: str) -> str:
    return os.readlink(f"/proc/{process}/ns/net")


@needs_namespaces
def test_perceive_is_alone_and_the_uplink_is_not(tmp_path: Path) -> None:
    body = "open('{}', 'w').write(os.readlink('/proc/self/ns/net'))"
    perceive = child(
        tmp_path,
        "perceive",
        body.format(tmp_path / "perceiver") + f"\nassert {INTERFACES}[0] == 'lo'\n"
        f"while not os.path.exists({str(tmp_path / 'uplink')!r}): time.sleep(0.01)\n",
    )
    uplink = body.format(tmp_path / "half") + (
        f"\nos.rename({str(tmp_path / 'half')!r}, {str(tmp_path / 'uplink')!r})\ntime.sleep(60)"
    )
    assert supervise(perceive, child(tmp_path, "uplink", uplink)) == 0
    assert (tmp_path / "perceiver").read_text() != namespace("self")
    assert (tmp_path / "uplink").read_text() == namespace("self")


def test_without_namespaces_it_runs_and_warns(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    def refuse(_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(supervise_module, "_unshare", refuse)
    with caplog.at_level(logging.WARNING):
        assert supervise(child(tmp_path, "perceive", ""), UPLINK) == 0
    assert len(starts(tmp_path, "perceive")) == 1
    assert "no network namespace of its own" in caplog.text


AS_ORDINARY_USER = """
import ctypes, os, sys
from agent.host.supervise import supervise
os.chdir(sys.argv[1])
os.setgroups([4242])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
ctypes.CDLL(None).prctl(4, 1)  # PR_SET_DUMPABLE, as after a start: /proc/self is ours
look = "cat camera && touch own && stat -c '%u %g' own && id -u && cut -d: -f1 /proc/net/dev"
look += " && stat -c %u /"
sys.exit(supervise(["/bin/sh", "-c", look], ["/bin/sh", "-c", "exec sleep 60"],
                   same_users=len(sys.argv) > 2))
"""


def as_ordinary_user(*options: str) -> tuple[list[str], str]:
    """Output and log of perceive as an ordinary user in the camera's group."""
    # Not below tmp_path, whose parents are closed to others.
    folder = Path(tempfile.mkdtemp(prefix="fleeting-test-"))
    try:
        folder.chmod(0o777)
        camera = folder / "camera"
        camera.write_text("frame\n")
        os.chown(camera, 0, 4242)
        camera.chmod(0o640)
        done = subprocess.run(
            [sys.executable, "-c", AS_ORDINARY_USER, str(folder), *options],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split(), done.stderr
    finally:
        shutil.rmtree(folder)


needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare"), reason="only root can become somebody else"
)


@needs_namespaces
@needs_root
def test_an_ordinary_user_keeps_name_files_and_the_cameras_group() -> None:
    """As on a Raspberry Pi: /dev/video0 is open to the group `video`, which the user is in."""
    ask = ["unshare", "--user", "--net", "true"]
    if subprocess.run(ask, user=65534, check=False, capture_output=True).returncode:
        pytest.skip("this system lets no ordinary user make a namespace")
    output, log = as_ordinary_user()
    assert output[:4] == ["frame", "65534", "65534", "65534"]
    assert output[-2] == "lo"
    assert "namespace" not in log


@needs_root
def test_where_roots_files_must_be_told_apart_no_user_namespace_is_made() -> None:
    output, log = as_ordinary_user("same users")
    assert output[0] == "frame"
    assert output[-1] == "0"  # the owner of /
    assert "no network namespace of its own" in log
