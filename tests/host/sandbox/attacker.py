"""A tampered process: `python attacker.py perceive|uplink TARGETS.json` prepares what such a
process may have at its start, enters the sandbox for good, tries to get something out, and prints
{attempt: errno, 0: not refused} as JSON. `TARGETS` names what the test listens on.
"""

from __future__ import annotations

import codecs
import ctypes
import errno
import fcntl
import json
import mmap
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from agent.host.sandbox import kernel
from agent.host.sandbox._numbers import NUMBERS
from agent.host.sandbox.enter import enter_perceive, enter_uplink

CALLS = NUMBERS[kernel.processor()]
AT_FDCWD, AT_EMPTY_PATH = -100, 0x1000
PAYLOAD = b"leak-" * 100
Attempt = Callable[[], object]

_kept: list[Any] = []


def pointer(data: bytes) -> int:
    """Its address, for as long as this process lives."""
    _kept.append(ctypes.create_string_buffer(data, len(data) + 1))
    return ctypes.addressof(_kept[-1])


def raw(name: str, *arguments: int | bytes) -> Attempt:
    """The system call itself, past the C library. A call that this processor has not is refused."""
    values = [pointer(each) if isinstance(each, bytes) else each for each in arguments]

    def attempt() -> int:
        if name not in CALLS:
            raise OSError(errno.ENOSYS, name)
        return kernel.syscall(CALLS[name], *values)

    return attempt


def unix_address(path: str) -> bytes:
    return struct.pack("=H", socket.AF_UNIX) + os.fsencode(path) + b"\0"


def message(address: bytes) -> bytes:
    """struct msghdr with a name and one buffer."""
    vector = pointer(struct.pack("@PN", pointer(PAYLOAD), len(PAYLOAD)))
    name = pointer(address) if address else 0
    return struct.pack("@PIxxxxPNPNixxxx", name, len(address), vector, 1, 0, 0, 0)


def inbox() -> bytes:
    """struct msghdr that takes a descriptor."""
    vector = pointer(struct.pack("@PN", pointer(bytes(100)), 100))
    return struct.pack("@PIxxxxPNPNixxxx", 0, 0, vector, 1, pointer(bytes(100)), 100, 0)


def at_low_zero(data: bytes) -> int:
    """An address whose lower half is 0, so that a filter of 32 bits takes it for null."""
    kernel.LIBC.mmap.restype = ctypes.c_void_p
    place = 1 << 32
    fixed = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x10
    found = kernel.LIBC.mmap(
        ctypes.c_void_p(place), ctypes.c_size_t(4096), mmap.PROT_READ | mmap.PROT_WRITE, fixed,
        -1, ctypes.c_long(0),
    )  # fmt: skip
    assert found == place
    ctypes.memmove(place, data, len(data))
    return place


def sending(target: dict[str, Any], number: int) -> dict[str, Attempt]:
    """By a descriptor `number` of a local datagram socket that is there already."""
    address = unix_address(target["datagram"])
    size = len(address)
    vector = struct.pack("@PN", pointer(PAYLOAD), len(PAYLOAD))
    hidden = at_low_zero(address)
    return {
        "sendto": raw("sendto", number, PAYLOAD, len(PAYLOAD), 0, address, size),
        "sendto, hidden": raw("sendto", number, PAYLOAD, len(PAYLOAD), 0, hidden, size),
        "sendto, no length": raw("sendto", number, PAYLOAD, len(PAYLOAD), 0, address, 0),
        "sendmsg": raw("sendmsg", number, message(address), 0),
        "sendmsg, connected": raw("sendmsg", number, message(b""), 0),
        "sendmmsg": raw("sendmmsg", number, message(address) + bytes(8), 1, 0),
        "connect": raw("connect", number, address, size),
        "connect, high bits": raw("connect", number | 1 << 32, address, size),
        "socket unix": raw("socket", socket.AF_UNIX, socket.SOCK_DGRAM, 0),
        "socket unix stream": raw("socket", socket.AF_UNIX, socket.SOCK_STREAM, 0),
        "socketpair": raw("socketpair", socket.AF_UNIX, socket.SOCK_DGRAM, 0, bytes(8)),
        "splice": raw("splice", 0, 0, number, 0, 1, 0),
        "vmsplice": raw("vmsplice", number, vector, 1, 0),
        "io_uring": raw("io_uring_setup", 8, bytes(120)),
        "io_setup": raw("io_setup", 1, bytes(8)),
    }


def receiving(content: int) -> dict[str, Attempt]:
    """`content`: the socket on which perceive is told what is on show. A helper has sent to it,
    with a connected TCP socket."""

    def without_control() -> None:
        before = len(os.listdir("/proc/self/fd"))
        assert os.read(content, 9) == b"x"
        if len(os.listdir("/proc/self/fd")) == before:
            raise OSError(errno.EPERM, "no descriptor")

    def answer() -> None:
        with socket.socket(fileno=content) as received:
            _, address = received.recvfrom(9)
            try:
                received.sendto(PAYLOAD, address)
            finally:
                received.detach()

    def write() -> None:
        try:
            os.write(content, PAYLOAD)
        except OSError as error:
            raise OSError(errno.EPERM, "not connected") from error

    return {
        "recvmsg": raw("recvmsg", content, inbox(), 0),
        "recvmmsg": raw("recvmmsg", content, inbox() + bytes(8), 1, 0, 0),
        "read without control": without_control,
        "answer": answer,
        "write": write,
        "accept": raw("accept", content, 0, 0),
        "accept4": raw("accept4", content, 0, 0, 0),
        "pidfd_open": raw("pidfd_open", os.getppid(), 0),
        "pidfd_getfd": raw("pidfd_getfd", 0, 0, 0),
        "seccomp listener": raw("seccomp", 1, 8, bytes(16)),
    }


def marking(target: dict[str, Any], reading: int) -> dict[str, Attempt]:
    """Attributes, owner, mode and times of a file that this user owns; `reading`: it, open."""
    path, name, value = os.fsencode(target["file"]) + b"\0", b"user.leak\0", PAYLOAD
    size = len(value)
    times = struct.pack("@4q", 1, 0, 1, 0)
    new = struct.pack("@QII", pointer(value), size, 0)
    return {
        "setxattr": raw("setxattr", path, name, value, size, 0),
        "lsetxattr": raw("lsetxattr", path, name, value, size, 0),
        "fsetxattr": raw("fsetxattr", reading, name, value, size, 0),
        "setxattrat": raw("setxattrat", AT_FDCWD, path, 0, name, new, len(new)),
        "removexattr": raw("removexattr", path, name),
        "lremovexattr": raw("lremovexattr", path, name),
        "fremovexattr": raw("fremovexattr", reading, name),
        "removexattrat": raw("removexattrat", AT_FDCWD, path, 0, name),
        "file_setattr": raw("file_setattr", AT_FDCWD, path, bytes(24), 24, 0),
        "FS_IOC_SETFLAGS": raw("ioctl", reading, 0x40086602, struct.pack("@q", 0x80)),
        "FS_IOC_SETFLAGS, high": raw("ioctl", reading, 1 << 32 | 0x40086602, bytes(8)),
        "FS_IOC_FSSETXATTR": raw("ioctl", reading, 0x401C5820, bytes(28)),
        "chmod": raw("chmod", path, 0o640),
        "fchmod": raw("fchmod", reading, 0o640),
        "fchmodat": raw("fchmodat", AT_FDCWD, path, 0o640),
        "fchmodat2": raw("fchmodat2", AT_FDCWD, path, 0o640, 0),
        "chown": raw("chown", path, -1, os.getgid()),
        "lchown": raw("lchown", path, -1, os.getgid()),
        "fchown": raw("fchown", reading, -1, os.getgid()),
        "fchownat": raw("fchownat", AT_FDCWD, path, -1, os.getgid(), 0),
        "fchownat, empty": raw("fchownat", reading, b"\0", -1, os.getgid(), AT_EMPTY_PATH),
        "utime": raw("utime", path, times),
        "utimes": raw("utimes", path, times),
        "futimesat": raw("futimesat", AT_FDCWD, path, times),
        "utimensat": raw("utimensat", AT_FDCWD, path, times, 0),
        "futimens": raw("utimensat", reading, 0, times, 0),
        "F_SETLEASE": lambda: fcntl.fcntl(reading, fcntl.F_SETLEASE, fcntl.F_RDLCK),
        "F_SETOWN": lambda: fcntl.fcntl(reading, fcntl.F_SETOWN, os.getpid()),
        "F_NOTIFY": lambda: fcntl.fcntl(reading, fcntl.F_NOTIFY, 1),
        "F_SET_RW_HINT": raw("fcntl", reading, 1036, struct.pack("@Q", 2)),
    }


def writing(target: dict[str, Any], own: Path) -> dict[str, Attempt]:
    """Files that anybody may write, and names outside `own`."""
    (own / "mine").write_bytes(PAYLOAD)
    outside = Path(target["file"])

    def write(path: str | Path, flags: int = 0) -> Attempt:
        return lambda: os.write(os.open(path, os.O_WRONLY | os.O_NONBLOCK | flags), PAYLOAD)

    return {
        "file": write(outside),
        "file, both ways": lambda: os.open(outside, os.O_RDWR),
        "file, by descriptor": write(f"/proc/self/fd/{target['reading']}"),
        "truncate": lambda: os.truncate(outside, 1),
        "new file": lambda: os.open(outside.with_name("new"), os.O_CREAT | os.O_WRONLY, 0o600),
        "unnamed file": lambda: os.open(outside.parent, os.O_TMPFILE | os.O_WRONLY, 0o600),
        "shared memory": write(target["shm"]),
        "new shared memory": write("/dev/shm/fleeting-leak", os.O_CREAT),
        "fifo": write(target["fifo"]),
        "new fifo": lambda: os.mkfifo(own / "fifo"),
        "terminal": write(target["terminal"]),
        "controlling terminal": write("/dev/tty"),
        "ptmx": write("/dev/ptmx"),
        "kernel log": write("/dev/kmsg"),
        "rename out": lambda: os.rename(own / "mine", outside.with_name("taken")),
        "renameat2": raw("renameat2", AT_FDCWD, b"a\0", AT_FDCWD, b"b\0", 2),
        "link out": lambda: os.link(own / "mine", outside.with_name("linked")),
        "link in": lambda: os.link(outside, own / "linked"),
        "symlink": lambda: os.symlink(outside, own / "symbolic"),
        "folder": lambda: os.mkdir(outside.with_name("folder")),
        "node": lambda: os.mknod(own / "node", 0o20666, os.makedev(1, 3)),
        "socket file": lambda: os.mknod(own / "socket", 0o140666),
        "remove": lambda: os.unlink(outside),
        "by handle": raw("open_by_handle_at", AT_FDCWD, bytes(64), os.O_WRONLY),
        "name_to_handle_at": raw("name_to_handle_at", AT_FDCWD, b".\0", bytes(64), bytes(8), 0),
        "own name": write("/proc/self/comm"),
        "thread's name": write(f"/proc/self/task/{os.getpid()}/comm"),
        "out of memory score": write("/proc/self/oom_score_adj"),
        "core filter": write("/proc/self/coredump_filter"),
        "timer slack": write(f"/proc/{os.getpid()}/timerslack_ns"),
        "parent's memory": write(f"/proc/{os.getppid()}/mem"),
        "sysctl": lambda: os.open("/proc/sys/kernel/domainname", os.O_WRONLY),
        "sysfs": lambda: os.open("/sys/kernel/mm/transparent_hugepage/enabled", os.O_WRONLY),
        "cgroup": lambda: os.open("/sys/fs/cgroup/cgroup.procs", os.O_WRONLY),
        "read a stranger's file": lambda: os.open(outside, os.O_RDONLY),
        "list a stranger's folder": lambda: os.listdir(outside.parent),
        "mount": raw("mount", b"none\0", os.fsencode(own) + b"\0", b"tmpfs\0", 0, 0),
        "open_tree": raw("open_tree", AT_FDCWD, b".\0", 1),
        "chdir": lambda: os.chdir("/"),
        "fchdir": raw("fchdir", target["reading"]),
        "inotify": raw("inotify_init1", 0),
        "fanotify": raw("fanotify_init", 0, 0),
    }


def speaking(target: dict[str, Any]) -> dict[str, Attempt]:
    """Inter-process communication that needs no file."""
    shm, queue, semaphores = target["shm_id"], target["msg_id"], target["sem_id"]
    text = struct.pack("@q", 1) + PAYLOAD
    posix = os.fsencode(target["mq"]) + b"\0"
    return {
        "shmget": raw("shmget", target["key"], 4096, 0),
        "shmget, new": raw("shmget", 0, 4096, 0o1666),
        "shmat": raw("shmat", shm, 0, 0),
        "shmctl": raw("shmctl", shm, 1, bytes(128)),
        "msgget": raw("msgget", target["key"], 0),
        "msgsnd": raw("msgsnd", queue, text, len(PAYLOAD), 0o4000),
        "msgctl": raw("msgctl", queue, 1, bytes(128)),
        "semget": raw("semget", target["key"], 1, 0),
        "semop": raw("semop", semaphores, struct.pack("@Hhh", 0, 1, 0), 1),
        "semtimedop": raw("semtimedop", semaphores, struct.pack("@Hhh", 0, 1, 0), 1, 0),
        "semctl": raw("semctl", semaphores, 0, 16, 7),
        "mq_open": raw("mq_open", posix, os.O_WRONLY | os.O_NONBLOCK, 0, 0),
        "mq_open, new": raw("mq_open", b"fleeting-new\0", os.O_CREAT | os.O_WRONLY, 0o666, 0),
        "mq_unlink": raw("mq_unlink", posix),
        "mq_timedsend": raw("mq_timedsend", target["reading"], PAYLOAD, 9, 0, 0),
        "add_key": raw("add_key", b"user\0", b"leak\0", PAYLOAD, 9, -4),
        "keyctl": raw("keyctl", 0, -4, 1),
        "request_key": raw("request_key", b"user\0", b"leak\0", 0, -4),
        "memfd_secret": raw("memfd_secret", 0),
        "userfaultfd": raw("userfaultfd", 0),
        "bpf": raw("bpf", 0, bytes(120), 72),
        "perf_event_open": raw("perf_event_open", bytes(128), 0, -1, -1, 0),
        "syslog": raw("syslog", 3, bytes(64), 64),
    }


def showing(own_id: int) -> dict[str, Attempt]:
    """State of this process that /proc shows to everybody, or that others can ask for."""
    name = pointer(b"leaked\0")
    limit = struct.pack("@QQ", 7, 7)
    return {
        **{
            f"prctl {option}": raw("prctl", option, value, 0, 0, 0)
            for option, value in (
                (1, 15), (4, 1), (8, 1), (15, name), (1 << 32 | 15, name), (22, 2), (24, 1),
                (27, 1), (28, 1), (29, 5), (33, 0), (35, 1), (36, 1), (41, 1), (47, 1), (52, 0),
                (57, 1), (62, 0), (0x53564D41, 0), (0x59616D61, -1),
            )
        },
        "setpriority": raw("setpriority", 0, 0, 5),
        "nice": lambda: os.nice(1),
        "sched_setscheduler": raw("sched_setscheduler", 0, 3, bytes(4)),
        "sched_setparam": raw("sched_setparam", 0, bytes(4)),
        "sched_setattr": raw("sched_setattr", 0, struct.pack("@IIQiIQQQ", 48, 3, 0, 1, 0, 0, 0, 0)),
        "sched_setaffinity": raw("sched_setaffinity", 0, 8, struct.pack("@Q", 1)),
        "ioprio_set": raw("ioprio_set", 1, 0, 2 << 13),
        "setrlimit": raw("setrlimit", 7, limit),
        "prlimit64": raw("prlimit64", 0, 7, limit, 0),
        "prlimit64, hidden": raw("prlimit64", 0, 7, at_high_only(limit), 0),
        "prlimit64 of the parent": raw("prlimit64", os.getppid(), 7, limit, 0),
        "setpgid": raw("setpgid", 0, 0),
        "setsid": raw("setsid"),
        "umask": raw("umask", 0o123),
        "personality": raw("personality", 0x0040000),
        "setuid": raw("setuid", os.getuid()),
        "setgroups": raw("setgroups", 0, 0),
        "capset": raw("capset", struct.pack("=Ii", 0x20080522, 0), bytes(24)),
        "timer_create": raw("timer_create", 0, 0, bytes(8)),
        "setitimer": raw("setitimer", 0, struct.pack("@4q", 99, 0, 99, 0), 0),
        "alarm": raw("alarm", 1000),
        "timerfd_create": raw("timerfd_create", 0, 0),
        "mlock": raw("mlock", name & ~4095, 4096),
        "mlockall": raw("mlockall", 4),
        "modify_ldt": raw("modify_ldt", 1, bytes(16), 16),
        "arch_prctl": raw("arch_prctl", 0x1011, 1),
        "set_mempolicy": raw("set_mempolicy", 1, bytes(8), 8),
        "set_robust_list of others": raw("get_robust_list", os.getppid(), bytes(8), bytes(8)),
        "landlock again": raw("landlock_create_ruleset", 0, 0, 1),
        "seccomp again": raw("seccomp", 1, 0, bytes(16)),
        "clock_settime": raw("clock_settime", 0, struct.pack("@qq", 1, 0)),
        "settimeofday": raw("settimeofday", struct.pack("@qq", 1, 0), 0),
        "sethostname": raw("sethostname", b"leak\0", 4),
        "membarrier": raw("membarrier", 16, 0, 0),
        "kill others": raw("kill", os.getppid(), 0),
        "kill all": raw("kill", -1, 0),
        "kill itself": raw("kill", own_id, 0),
        "tkill": raw("tkill", os.getppid(), 0),
        "tgkill": raw("tgkill", os.getppid(), os.getppid(), 0),
        "rt_sigqueueinfo": raw("rt_sigqueueinfo", os.getppid(), 34, bytes(128)),
        "rt_tgsigqueueinfo": raw("rt_tgsigqueueinfo", os.getppid(), os.getppid(), 34, bytes(128)),
        "pidfd_send_signal": raw("pidfd_send_signal", 0, 0, 0, 0),
        "ptrace": raw("ptrace", 16, os.getppid(), 0, 0),
        "process_vm_writev": raw("process_vm_writev", os.getppid(), 0, 0, 0, 0, 0),
        "process_madvise": raw("process_madvise", 0, 0, 0, 0, 0),
        "kcmp": raw("kcmp", own_id, os.getppid(), 0, 0, 0),
    }  # fmt: skip


def at_high_only(data: bytes) -> int:
    """As `at_low_zero`, at another address."""
    place = 1 << 33
    fixed = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x10
    assert kernel.LIBC.mmap(ctypes.c_void_p(place), ctypes.c_size_t(4096), 3, fixed, -1, 0) == place
    ctypes.memmove(place, data, len(data))
    return place


def multiplying() -> dict[str, Attempt]:
    """Other processes and programs, which would begin without what is behind this one."""
    arguments = struct.pack("@PP", pointer(b"true\0"), 0)
    return {
        "execve": raw("execve", b"/bin/true\0", arguments, 0),
        "execveat": raw("execveat", AT_FDCWD, b"/bin/true\0", arguments, 0, 0),
        "fork": os.fork,
        "fork, itself": raw("fork"),
        "vfork": raw("vfork"),
        "clone": raw("clone", 17, 0, 0, 0, 0),
        "clone, parent's": raw("clone", 0x8000 | 17, 0, 0, 0, 0),
        "clone, thread in a namespace": raw("clone", 0x003D0F00 | 0x40000000, 0, 0, 0, 0),
        "clone3": raw("clone3", struct.pack("@11Q", *[0] * 4, 17, *[0] * 6), 88),
        "unshare": raw("unshare", 0x10000000),
        "setns": raw("setns", 0, 0),
        "x32": lambda: kernel.syscall(0x40000000 | 39) if "arch_prctl" in CALLS else missing(),
        "unknown": lambda: kernel.syscall(100_000),
    }


def missing() -> None:
    raise OSError(errno.ENOSYS, "not on this processor")


def of_perceive(target: dict[str, Any], own: Path) -> dict[str, Attempt]:
    loose = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    _kept.append(loose)
    inherited = loose.fileno()
    kinds = [
        (family, kind)
        for family in range(46)
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET)
    ]
    return {
        **sending(target, inherited),
        **receiving(target["content"]),
        **{f"socket {family}, {kind}": raw("socket", family, kind, 0) for family, kind in kinds},
        "socket, hidden": raw("socket", 1 << 32 | socket.AF_INET, socket.SOCK_STREAM, 0),
        "uevents": raw("socket", socket.AF_NETLINK, socket.SOCK_RAW, 15),
        "bind": raw("bind", inherited, unix_address(str(own / "b")), 100),
        "listen": raw("listen", target["content"], 1),
        "setsockopt": raw("setsockopt", inherited, 1, 16, struct.pack("@i", 1), 4),
    }


def of_uplink(target: dict[str, Any]) -> dict[str, Attempt]:
    manager = target["manager"]
    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)  # made before; never mind
    _kept.append(tcp)
    address = struct.pack("=H", socket.AF_INET) + struct.pack("!H", target["port"])
    address += socket.inet_aton("127.0.0.1") + bytes(8)

    def new(*arguments: int) -> int:
        return kernel.syscall(CALLS["socket"], *arguments)

    def serve() -> None:
        stranger = new(socket.AF_INET, socket.SOCK_STREAM, 0)
        kernel.syscall(CALLS["listen"], stranger, 1)

    def elsewhere() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as other:
            other.connect(("127.0.0.1", target["port"]))
            other.send(PAYLOAD)

    fast = 0x20000000
    kinds = [(2, 2), (2, 3), (2, 5), (10, 2), (10, 3), (1, 1), (1, 2), (1, 5), (16, 3), (17, 3),
             (40, 1), (40, 2), (21, 5), (38, 5), (44, 3)]  # fmt: skip
    names = [name for name in sending(target, manager) if name != "sendmsg, connected"]
    return {
        **{name: sending_once for name, sending_once in sending(target, manager).items()
           if name in names},
        "listen without bind": serve,
        "listen": raw("listen", tcp.fileno(), 1),
        "bind": raw("bind", tcp.fileno(), address, 16),
        "accept": raw("accept", tcp.fileno(), 0, 0),
        "accept4": raw("accept4", tcp.fileno(), 0, 0, 0),
        "another port": elsewhere,
        "another port, old socket": raw("connect", tcp.fileno(), address, 16),
        "fast open": raw("sendto", tcp.fileno(), PAYLOAD, 9, fast, address, 16),
        "fast open, no address": raw("sendto", tcp.fileno(), PAYLOAD, 9, fast, 0, 0),
        "fast open by option": raw("setsockopt", tcp.fileno(), 6, 30, struct.pack("@i", 1), 4),
        "dup": raw("dup", manager),
        "dup2": raw("dup2", manager, 200),
        "dup3": raw("dup3", manager, 200, 0),
        "F_DUPFD": lambda: fcntl.fcntl(manager, fcntl.F_DUPFD, 200),
        "F_DUPFD_CLOEXEC": lambda: fcntl.fcntl(manager, fcntl.F_DUPFD_CLOEXEC, 200),
        "recvmsg": raw("recvmsg", manager, inbox(), 0),
        "recvmmsg": raw("recvmmsg", manager, inbox() + bytes(8), 1, 0, 0),
        "multipath": raw("socket", 2, 1, 262),
        "sctp": raw("socket", 2, 1, 132),
        **{f"socket {family}, {kind}": raw("socket", family, kind, 0) for family, kind in kinds},
        "camera": lambda: os.open("/dev/video0", os.O_RDONLY),
        "load": lambda: os.open("/proc/loadavg", os.O_RDONLY),
        "sysinfo": raw("sysinfo", bytes(128)),
    }  # fmt: skip


def code(attempt: Attempt) -> int:
    try:
        attempt()
    except OSError as error:
        return error.errno or -1
    return 0


def main() -> None:
    half, target = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
    own = Path(target["own"])
    if target["user"]:
        for name in ("ascii", "latin-1", "idna"):  # this user may not read where Python lies
            codecs.lookup(name)
        os.setgroups([])
        os.setresgid(*[target["user"]] * 3)
        os.setresuid(*[target["user"]] * 3)
    target["reading"] = os.open(target["file"], os.O_RDONLY)
    # made before the sandbox: it reads files and asks for the parent, which may be refused
    attempts = of_perceive(target, own) if half == "perceive" else of_uplink(target)
    attempts |= marking(target, target["reading"]) | writing(target, own) | speaking(target)
    attempts |= showing(os.getpid()) | multiplying()
    threading.Thread(target=lambda: None).start()
    if half == "perceive":
        enter_perceive([own])
    else:
        enter_uplink([], [own], target["broker"])
    found = {name: code(attempt) for name, attempt in attempts.items()}
    thread = threading.Thread(target=lambda: found.update(in_a_thread=code(raw("setsid"))))
    thread.start()
    thread.join()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
