"""System calls of real processes under strace, judged by the lists."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent.desk.audit._system_calls import Judge, Run, Tracer, Verdict, strace
from agent.desk.audit._written import WrittenStore

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is missing")

BEGIN = "import array, ctypes, os, socket, sys\nfolder = sys.argv[1]\n"


def trace(code: str, tmp_path: Path, process: str = "perceive") -> tuple[Verdict, WrittenStore]:
    """What a small program did that is on no list."""
    run, store = tmp_path / "run", WrittenStore()
    (run / "outbox").mkdir(parents=True)
    fifo = tmp_path / "fifo"
    prefix = strace(fifo)
    judge = Judge(Run(process, run, 1883, "pipe:[1]"), store)  # type: ignore[arg-type]
    with Tracer(fifo, tmp_path / "kept", judge) as tracer:
        command = [*prefix, sys.executable, "-I", "-c", BEGIN + code, str(run)]
        subprocess.run(command, check=True, cwd=run, stderr=subprocess.PIPE)
    assert not tracer.failed
    assert judge.verdict.calls > 50
    assert not judge.verdict.unread
    return judge.verdict, store


def test_a_program_that_does_nothing_is_on_the_lists(tmp_path: Path) -> None:
    verdict, _ = trace("", tmp_path)
    assert verdict.findings() == []


@pytest.mark.parametrize(
    ("code", "call"),
    [
        ("open('pixels', 'w')", "open for writing"),
        ("open('outbox/outbox.db2', 'w')", "open for writing"),
        ("open('outbox/.settings.json.aaaaaaaa.tmp', 'w')", "open for writing"),  # not perceive's
        ("open('/proc/self/oom_score_adj', 'w').write('7')", "open for writing"),
        ("os.mkdir('pixels')", "mkdir"),
        ("os.mkdir('pixels'); os.rmdir('pixels')", "rmdir"),
        ("os.symlink('pixels', 'outbox/outbox.db')", "symlink"),
        ("os.mkfifo('outbox/outbox.db')", "mknod"),
        ("open('outbox/outbox.db', 'w'); os.rename('outbox/outbox.db', 'pixels')", "rename"),
        ("open('outbox/outbox.db', 'w'); os.link('outbox/outbox.db', 'pixels')", "link"),
        ("open('outbox/outbox.db', 'w'); os.utime('outbox/outbox.db', (1, 2))", "utimensat"),
        ("open('outbox/outbox.db', 'w'); os.chmod('outbox/outbox.db', 0o640)", "chmod"),
        ("f = open('outbox/outbox.db', 'w'); os.fchmod(f.fileno(), 0o640)", "fchmod"),
        ("f = open('outbox/outbox.db', 'w'); f.truncate(4097)", "ftruncate"),
        ("open('outbox/outbox.db', 'w'); os.truncate('outbox/outbox.db', 77)", "truncate"),
        ("f = open('outbox/outbox.db', 'w'); os.posix_fallocate(f.fileno(), 0, 77)", "fallocate"),
        ("open('outbox/outbox.db', 'w'); os.setxattr('outbox/outbox.db', 'user.x', b'p')",
         "setxattr"),
        ("os.chdir('outbox')", "chdir"),
        ("socket.socket(socket.AF_INET, socket.SOCK_DGRAM)", "socket"),
        ("socket.socket(socket.AF_INET, socket.SOCK_STREAM)", "socket"),  # a probe, not refused
        ("socket.socketpair()", "socketpair"),
        ("os.memfd_create('pixels')", "memfd_create"),
        ("ctypes.CDLL(None).prctl(15, b'pixels', 0, 0, 0)", "prctl"),
        ("ctypes.CDLL(None).shmget(1234, 4096, 0o1600)", "shmget"),
        ("ctypes.CDLL(None).msgget(1234, 0o1600)", "msgget"),
        ("os.kill(os.getpid(), 0)", "kill"),
        ("os.nice(1)", "setpriority"),
        ("os.sched_setaffinity(0, {0})", "sched_setaffinity"),
        ("os.system('true')", "execve"),
        ("os._exit(0) if os.fork() == 0 else os.wait()", "clone"),
        ("import mmap; f = open('outbox/outbox.db', 'w+'); f.write('x' * 4096); f.flush(); "
         "mmap.mmap(f.fileno(), 4096)", "mmap"),
        ("import mmap; f = open('outbox/outbox.db', 'w+'); f.write('x' * 4096); f.flush(); "
         "mmap.mmap(f.fileno(), 4096, prot=mmap.PROT_READ)", "mmap"),
    ],
)  # fmt: skip
def test_what_is_on_no_list_is_found(code: str, call: str, tmp_path: Path) -> None:
    verdict, _ = trace(code, tmp_path)
    assert call in verdict.wrong or any(call in what for what, *_ in verdict.often.values())


def test_content_of_deleted_files_and_datagrams_is_kept(tmp_path: Path) -> None:
    code = (
        "with open('gone', 'wb') as file: file.write(bytes(range(256)))\n"
        "os.unlink('gone')\n"
        "away = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "away.sendto(b'to a stranger', ('127.0.0.1', 9))\n"
        "a, b = socket.socketpair()\n"
        "a.sendmsg([b'to the ', b'other side'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, "
        "array.array('i', [0]))])\n"
    )
    verdict, store = trace(code, tmp_path)
    kept = {each.name: each.data for each in store.artifacts()}
    assert kept["perceive wrote to gone"] == bytes(range(256))
    assert b"to a stranger" in kept["perceive wrote to a socket (sendto)"]
    assert b"other side" in kept["perceive wrote to a socket (sendmsg)"]
    assert {"unlink", "sendto", "sendmsg"} <= set(verdict.wrong)


def test_calls_of_the_lists_that_come_too_often_are_found(tmp_path: Path) -> None:
    code = "for _ in range(300): os.utime(folder + '/outbox/outbox.db')\n"
    verdict, _ = trace("open('outbox/outbox.db', 'w')\n" + code, tmp_path)
    assert not verdict.wrong
    assert any("300 times, at most 200" in each for each in verdict.findings())


def test_threads_whose_calls_interleave_are_understood(tmp_path: Path) -> None:
    code = (
        "import threading\n"
        "def work(number):\n"
        "    for each in range(100): open(f'out{number}-{each}', 'w').write('x' * 100)\n"
        "threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]\n"
        "[each.start() for each in threads]; [each.join() for each in threads]\n"
    )
    verdict, store = trace(code, tmp_path)
    assert verdict.wrong["open for writing"].total() == 800
    assert verdict.wrong["write"].total() == 800
    assert sum(len(each.data) for each in store.artifacts()) == 80_000


def test_a_refused_call_of_a_probe_is_no_finding_but_another_is(tmp_path: Path) -> None:
    judge = Judge(Run("perceive", tmp_path, 1883, "pipe:[1]"), WrittenStore())
    probe = b"7 socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_IP) = "
    judge.line(probe + b"-1 EPERM (Operation not permitted)\n")
    assert judge.verdict.findings() == []
    judge.line(b"7 socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) = -1 EPERM (Operation not permitted)\n")
    assert len(judge.verdict.findings()) == 1
    judge.line(probe + b"-1 EMFILE (Too many open files)\n")
    judge.line(probe + b"3<socket:[1]>\n")
    assert judge.verdict.wrong["socket"].total() == 3


def test_uplink_may_send_to_the_broker_only(tmp_path: Path) -> None:
    judge = Judge(Run("uplink", tmp_path, 1883, "pipe:[1]"), WrittenStore())
    for port in (1883, 1884):
        where = f"3<TCP:[127.0.0.1:4000->127.0.0.1:{port}]>"
        judge.line(f'7 sendto({where}, "\\x70", 1, 0, NULL, 0) = 1\n'.encode())
    assert judge.verdict.wrong["sendto"].total() == 1
    judge.line(
        b'7 openat(AT_FDCWD, "\\x2f\\x64\\x65\\x76\\x2f\\x76\\x69\\x64\\x65\\x6f\\x30", '
        b"O_RDONLY) = 3<\\x2f\\x64\\x65\\x76\\x2f\\x76\\x69\\x64\\x65\\x6f\\x30>\n"
    )
    assert list(judge.verdict.wrong["open"]) == ["/dev/video0"]


def test_without_strace_there_is_no_prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert strace(tmp_path / "fifo") == []
    assert os.listdir(tmp_path) == []
