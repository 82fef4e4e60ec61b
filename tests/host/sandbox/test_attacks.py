"""What a tampered process tries from inside its sandbox, against real listeners: nothing arrives,
nothing that others can see has changed."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import pty
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent.host.sandbox import kernel, landlock, seccomp
from agent.host.sandbox._numbers import NUMBERS
from agent.host.sandbox.kernel import processor
from tests.host.sandbox.conftest import Inside

ATTACKER = Path(__file__).with_name("attacker.py")
NOBODY = 65534
REFUSED = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EXDEV}
LACKING = {
    "sysfs",
    "cgroup",
    "sysctl",
    "kernel log",
    "out of memory score",
    "timer slack",
    "camera",
}
"""Files that not every machine has."""


def abi() -> int:
    try:
        return landlock.version()
    except OSError:
        return 0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not seccomp.known(processor()), reason="this processor is not known"),
    pytest.mark.skipif(abi() < 4, reason="this kernel's Landlock knows no ports"),
]


def call(name: str, *arguments: int | bytes) -> int:
    """A system call, or -1 where this kernel has it not."""
    values = [
        ctypes.addressof(ctypes.create_string_buffer(each)) if isinstance(each, bytes) else each
        for each in arguments
    ]
    with contextlib.suppress(OSError):
        return kernel.syscall(NUMBERS[processor()][name], *values)
    return -1


@dataclass
class World:
    """What a tampered process could reach, and what of it has arrived."""

    folder: Path
    user: int
    sockets: dict[str, socket.socket] = field(default_factory=dict)
    taken: list[int] = field(default_factory=list)

    def build(self, stack: contextlib.ExitStack) -> dict[str, Any]:
        own, outside = self.folder / "own", self.folder / "outside"
        for each in (own, outside):
            each.mkdir()
            each.chmod(0o777)
        file = outside / "file"
        file.write_bytes(b"before")
        for each in (own, file):
            os.chown(each, self.user or -1, self.user or -1)
        with contextlib.suppress(OSError):
            os.setxattr(file, "user.leak", b"before")
        self._listen(stack, own)
        shm = Path(f"/dev/shm/fleeting-test-{os.getpid()}")
        shm.write_bytes(b"")
        shm.chmod(0o666)
        stack.callback(shm.unlink)
        fifo = outside / "fifo"
        os.mkfifo(fifo)
        fifo.chmod(0o666)
        master, slave = pty.openpty()
        terminal = os.ttyname(slave)
        os.chmod(terminal, 0o666)
        os.set_blocking(master, False)
        self.taken = [os.open(fifo, os.O_RDONLY | os.O_NONBLOCK), master]
        for number in (*self.taken, slave):
            stack.callback(os.close, number)
        queue = f"fleeting-{os.getpid()}"
        number = call("mq_open", os.fsencode(queue), os.O_CREAT | os.O_RDWR, 0o666, 0)
        if number >= 0:
            stack.callback(call, "mq_unlink", os.fsencode(queue))
            os.close(number)
        key = 0x5EA10000 + os.getpid() % 65536
        ids = {
            "shm_id": call("shmget", key, 4096, 0o1666),
            "msg_id": call("msgget", key, 0o1666),
            "sem_id": call("semget", key, 1, 0o1666),
        }
        stack.callback(call, "shmctl", ids["shm_id"], 0, 0)
        stack.callback(call, "msgctl", ids["msg_id"], 0, 0)
        stack.callback(call, "semctl", ids["sem_id"], 0, 0, 0)
        return {
            "user": self.user,
            "own": str(own),
            "file": str(file),
            "shm": str(shm),
            "fifo": str(fifo),
            "terminal": terminal,
            "mq": queue,
            "key": key,
            **ids,
            "datagram": str(outside / "server"),
            "content": self.sockets["content"].fileno(),
            "manager": self.sockets["to manager"].fileno(),
            "port": self.sockets["stranger"].getsockname()[1],
            "broker": self.sockets["broker"].getsockname()[1],
        }

    def _listen(self, stack: contextlib.ExitStack, own: Path) -> None:
        def add(name: str, made: socket.socket) -> socket.socket:
            made.setblocking(False)
            self.sockets[name] = stack.enter_context(made)
            return made

        for name in ("server", "manager"):
            path = self.folder / "outside" / name
            add(name, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)).bind(str(path))
            path.chmod(0o666)
        to_manager = add("to manager", socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        to_manager.connect(str(self.folder / "outside" / "manager"))
        for name in ("stranger", "broker"):
            add(name, socket.create_server(("127.0.0.1", 0)))
        for name in ("content", "helper"):
            add(name, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)).bind(str(own / name))

    def pass_a_connection(self, stack: contextlib.ExitStack, own: Path) -> None:
        """As a helper of the same user: hand over a TCP connection, and be there for an answer."""
        out = stack.enter_context(socket.create_connection(self.sockets["stranger"].getsockname()))
        helper = self.sockets["helper"]
        helper.connect(str(own / "content"))
        for _ in range(2):
            socket.send_fds(helper, [b"x"], [out.fileno()])

    def arrived(self) -> bytes:
        """Everything that got out."""
        found = b""
        for name in ("server", "manager", "helper"):
            with contextlib.suppress(BlockingIOError):
                found += self.sockets[name].recv(65536)
        for name in ("stranger", "broker"):
            with contextlib.suppress(BlockingIOError):
                while True:
                    client, _ = self.sockets[name].accept()
                    with client:
                        client.settimeout(0.2)
                        with contextlib.suppress(TimeoutError):
                            found += client.recv(65536)
        for number in self.taken:
            with contextlib.suppress(OSError):
                found += os.read(number, 65536)
        return found

    def state(self, target: dict[str, Any]) -> dict[str, Any]:
        """What others can read."""
        file = Path(target["file"])
        status = file.stat()
        queue = ctypes.create_string_buffer(256)
        kernel.LIBC.msgctl(target["msg_id"], 2, queue)
        opened = call("mq_open", os.fsencode(target["mq"]), os.O_RDONLY)
        waiting = b""
        if opened >= 0:
            attributes = ctypes.create_string_buffer(64)
            kernel.syscall(
                NUMBERS[processor()]["mq_getsetattr"], opened, 0, ctypes.addressof(attributes)
            )
            waiting = attributes.raw[:32]
            os.close(opened)
        return {
            "content": file.read_bytes(),
            "status": (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns,
                       status.st_ctime_ns, status.st_nlink),
            "attributes": [(name, os.getxattr(file, name)) for name in os.listxattr(file)],
            "names": sorted(os.listdir(file.parent)),
            "shm": Path(target["shm"]).read_bytes(),
            "segment": ctypes.string_at(self._attached(target), 64),
            "messages": queue.raw,
            "semaphore": kernel.LIBC.semctl(target["sem_id"], 0, 12),
            "posix queue": waiting,
            "umask": [line for line in Path("/proc/self/status").read_text().splitlines()
                      if line.startswith("Umask")],
        }  # fmt: skip

    @staticmethod
    def _attached(target: dict[str, Any]) -> int:
        kernel.LIBC.shmat.restype = ctypes.c_void_p
        place: int = kernel.LIBC.shmat(target["shm_id"], None, 0o10000)
        return place


@pytest.fixture
def folder() -> Iterator[Path]:
    """Open to every user, unlike those of pytest."""
    path = Path(tempfile.mkdtemp(prefix="fleeting-attack-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.mark.parametrize("user", [0, NOBODY])
@pytest.mark.parametrize("half", ["perceive", "uplink"])
def test_nothing_gets_out(half: str, user: int, folder: Path) -> None:
    if user and os.geteuid() != 0:
        pytest.skip("needs root to be somebody else")
    with contextlib.ExitStack() as stack:
        world = World(folder, user)
        target = world.build(stack)
        given = folder / "targets.json"
        given.write_text(json.dumps(target))
        if half == "perceive":
            world.pass_a_connection(stack, folder / "own")
        before = world.state(target)
        done = subprocess.run(
            [sys.executable, str(ATTACKER), half, str(given)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            pass_fds=(target["content"], target["manager"]),
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
        assert len(found) > 150
        open_now = {name: code for name, code in found.items() if code not in REFUSED}
        missing = {name for name, code in open_now.items() if code == errno.ENOENT}
        assert missing <= LACKING
        assert {name: code for name, code in open_now.items() if name not in missing} == {}
        assert world.arrived() == b""
        assert world.state(target) == before


def test_the_attacks_work_outside(folder: Path) -> None:
    """Else that nothing arrives would prove nothing: a datagram, an attribute, a passed
    descriptor."""
    with contextlib.ExitStack() as stack:
        world = World(folder, 0 if os.geteuid() == 0 else os.geteuid())
        target = world.build(stack)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as loose:
            loose.sendto(b"out", target["datagram"])
        with socket.create_connection(world.sockets["stranger"].getsockname()) as out:
            left, right = socket.socketpair()
            with left, right:
                socket.send_fds(left, [b"x"], [out.fileno()])
                _, passed, _, _ = socket.recv_fds(right, 1, 1)
                os.write(passed[0], b"by descriptor")
                os.close(passed[0])
        before = world.state(target)
        os.utime(target["file"], (1, 1))
        os.chmod(target["file"], 0o640)
        text = ctypes.create_string_buffer(struct.pack("@q", 1) + b"leak")
        assert kernel.LIBC.msgsnd(target["msg_id"], text, ctypes.c_size_t(4), 0o4000) == 0
        assert kernel.LIBC.semctl(target["sem_id"], 0, 16, 7) == 0
        after = world.state(target)
        assert {name for name in before if before[name] != after[name]} == {
            "status",
            "messages",
            "semaphore",
        }
        assert world.arrived() == b"outby descriptor"


KERNEL = """
from agent.host.sandbox._numbers import NUMBERS
from tests.host.sandbox.test_seccomp import ARCH, REFUSE, NOT_THERE, run
machine, program = kernel.processor(), []
install = seccomp.install
seccomp.install = lambda built: (program.extend(built), install(built))
{enter}
wrong = []
probes = [NUMBERS[machine].get(name) for name in ("uretprobe", "uprobe")]
for number in [*range(1024), 0x40000000, 0x40000027, 100_000]:
    if number in probes:
        continue
    expected = run(program, ARCH[machine], number, *[-1] * 6)
    if expected in (REFUSE, NOT_THERE):
        found = code(lambda: kernel.syscall(number, *[-1] * 6))
        if found not in (expected & 0xFFFF, errno.ENOSYS):
            wrong.append((number, found))
emit(wrong=wrong)
"""


@pytest.mark.parametrize("enter", ["enter_perceive([own])", "enter_uplink([], [own], 1883)"])
def test_the_kernel_decides_as_the_interpreter_does(enter: str, inside: Inside) -> None:
    """Every number that is refused, asked of the kernel; x32 is not built into all. The calls of a
    user-space probe pass every filter, and kill who makes them elsewhere than in a probe."""
    assert inside(KERNEL.format(enter=enter))["wrong"] == []
