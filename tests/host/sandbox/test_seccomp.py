"""The filters, run by an interpreter of classic BPF over every system call number of both
processors, the default decision included."""

from __future__ import annotations

import errno
import itertools
import random
import re
import struct
from pathlib import Path

import pytest

from agent.host.sandbox._bpf import Instruction
from agent.host.sandbox._numbers import NEWEST, NUMBERS
from agent.host.sandbox.seccomp import (
    camera_filter,
    perceive_filter,
    resolver_filter,
    spawner_filter,
    uplink_filter,
)

ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
NOT_THERE = 0x00050000 | errno.ENOSYS
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
MACHINES = ("x86_64", "aarch64")
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
PID, MANAGER = 4242, 5

BOTH = """
read write readv writev pread64 pwrite64 lseek close open openat stat fstat lstat newfstatat statx
access faccessat faccessat2 readlink readlinkat getdents64 getcwd statfs fstatfs fadvise64 ftruncate
fallocate fsync fdatasync rename renameat unlink unlinkat mkdir mkdirat rmdir flock
brk mmap munmap mremap mprotect madvise mbind get_mempolicy
futex set_robust_list rseq gettid exit exit_group sched_yield getcpu sched_getaffinity
sched_getparam sched_getscheduler sched_get_priority_max sched_get_priority_min
rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack restart_syscall
clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time clock_adjtime adjtimex
getpid getppid getpgid getpgrp getsid getuid geteuid getgid getegid getgroups getresuid getresgid
uname getrandom getrusage times getrlimit
poll ppoll select pselect6 pipe pipe2 recvfrom getsockname getpeername getsockopt
"""
CAMERA = """dup dup2 dup3 memfd_create sysinfo capget
epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd2"""
ALWAYS = {
    "perceive": f"{BOTH} dup dup2 dup3 memfd_create sysinfo",
    "camera": f"{BOTH} {CAMERA}",
    "spawner": f"""{BOTH} {CAMERA} wait4 waitid kill pidfd_open seccomp mlockall fork
        landlock_create_ruleset landlock_add_rule landlock_restrict_self set_tid_address tgkill""",
    "clients": f"""{BOTH} dup dup2 dup3 memfd_create sysinfo capget
        epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd2
        connect sendmsg recvmsg setsockopt shutdown
        timerfd_create timerfd_settime timerfd_gettime eventfd""",
    "uplink": f"{BOTH} wait4 waitid",
    "resolver": f"""{BOTH} bind sendto sendmsg sendmmsg recvmsg recvmmsg setsockopt connect shutdown
        wait4 waitid kill dup dup2 dup3 umask chdir fork set_tid_address""",
}
"""Allowed whatever the arguments."""
JUDGED = {
    "perceive": "clone fcntl ioctl prctl prlimit64 renameat2 sendto tgkill",
    "camera": "clone fcntl ioctl prctl prlimit64 renameat2 sendto tgkill",
    "spawner": "clone fcntl ioctl prctl prlimit64 renameat2 sendto",
    "clients": "clone fcntl ioctl prctl prlimit64 renameat2 sendto tgkill socket socketpair",
    "uplink": "clone fcntl ioctl prctl prlimit64 renameat2 sendto tgkill socket connect setsockopt",
    "resolver": "clone fcntl ioctl prctl prlimit64 renameat2 tgkill socket",
}
"""By their arguments."""
ABSENT = "clone3 futex_wake futex_wait futex_requeue mseal map_shadow_stack rseq_slice_yield"
TOLD = (0, 1, 2, 3, 5, 6, 10, 16, 17, 21, 1030, PID, 0x5401, 0x4008_5600, 0x003D0F00, 1 << 32)
"""Values of arguments between which the rules tell."""


def run(program: list[Instruction], arch: int, number: int, *arguments: int) -> int:
    return trace(program, arch, number, *arguments)[0]


def trace(program: list[Instruction], arch: int, number: int, *arguments: int) -> tuple[int, int]:
    """The kernel's verdict, and how many instructions it took: seccomp_data as of linux/seccomp.h,
    little-endian."""
    six = [each & (1 << 64) - 1 for each in (*arguments, *[0] * 6)][:6]
    data = struct.pack("<IIQ6Q", number, arch, 0, *six)
    at = loaded = 0
    for steps in itertools.count(1):
        code, if_true, if_false, k = program[at]
        at += 1
        if code == 0x20:
            (loaded,) = struct.unpack_from("<I", data, k)
        elif code == 0x54:
            loaded &= k
        elif code == 0x05:
            at += k
        elif code == 0x06:
            return k, steps
        else:
            test = {0x15: loaded == k, 0x35: loaded >= k, 0x45: bool(loaded & k)}[code]
            at += if_true if test else if_false
    raise AssertionError


def filters(machine: str) -> dict[str, list[Instruction]]:
    return {
        "perceive": perceive_filter(machine, pid=PID),
        "camera": camera_filter(machine, pid=PID, local_clients=False),
        "clients": camera_filter(machine, pid=PID, local_clients=True),
        "spawner": spawner_filter(machine, local_clients=False),
        "uplink": uplink_filter(machine, pid=PID, sockets=[MANAGER]),
        "resolver": resolver_filter(machine),
    }


@pytest.mark.parametrize("machine", MACHINES)
def test_programs_are_what_the_kernel_accepts(machine: str) -> None:
    for program in filters(machine).values():
        assert len(program) < 4096  # BPF_MAXINSNS
        assert program[-1][0] == 0x06
        for at, (code, if_true, if_false, k) in enumerate(program):
            assert code in (0x20, 0x54, 0x05, 0x06, 0x15, 0x35, 0x45)
            assert 0 <= if_true < 256
            assert 0 <= if_false < 256
            assert 0 <= k < 1 << 32
            if code == 0x20:
                assert k % 4 == 0
                assert k < 64
            farthest = k if code == 0x05 else max(if_true, if_false)
            assert at + 1 + farthest < len(program) + (code == 0x06)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("half", ALWAYS)
def test_every_number_gets_the_verdict_of_its_name(half: str, machine: str) -> None:
    """A fresh random choice of arguments on each run, and the edges always."""
    program, arch = filters(machine)[half], ARCH[machine]
    names = {number: name for name, number in NUMBERS[machine].items()}
    always, judged = ALWAYS[half].split(), JUDGED[half].split()
    some = [[random.choice((*TOLD, random.getrandbits(64))) for _ in range(6)] for _ in range(40)]
    some += [[value] * 6 for value in TOLD]
    for number in [*range(1024), 0x3FFFFFFF, 0x80000000, 0xFFFFFFFF]:
        name = names.get(number, "")
        verdicts = {run(program, arch, number, *arguments) for arguments in some}
        if name in judged:
            assert verdicts <= {ALLOW, REFUSE}, name
        elif name in always:
            assert verdicts == {ALLOW}, name
        elif name in ABSENT.split():
            assert verdicts == {NOT_THERE}, name
        elif number <= NEWEST or (machine == "x86_64" and number >= 0x40000000):
            assert verdicts == {REFUSE}, (number, name)
        else:
            assert verdicts == {NOT_THERE}, number


@pytest.mark.parametrize("machine", MACHINES)
def test_x32_and_other_architectures_are_refused(machine: str) -> None:
    for program in filters(machine).values():
        for number in range(NEWEST + 100):
            for arch in (0x40000003, 0x40000028, 0x800000B7, 0xC00000F3, 0):
                assert run(program, arch, number) == REFUSE  # i386, arm, big-endian, RISC-V, none
            if machine == "x86_64":
                assert run(program, ARCH[machine], 0x40000000 | number) == REFUSE


@pytest.mark.parametrize("machine", MACHINES)
def test_no_call_waits_long(machine: str) -> None:
    """A balanced tree, where a list would take the length of the table."""
    for program in filters(machine).values():
        for name in ("read", "write", "futex", "mmap", "munmap", "ppoll", "clock_gettime"):
            assert trace(program, ARCH[machine], NUMBERS[machine][name])[1] < 16


class Judge:
    """Verdicts by name."""

    def __init__(self, machine: str, half: str) -> None:
        self.machine = machine
        self.program = filters(machine)[half]

    def __call__(self, name: str, *arguments: int) -> bool:
        number = NUMBERS[self.machine][name]
        return run(self.program, ARCH[self.machine], number, *arguments) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_sockets(machine: str) -> None:
    perceive, clients = Judge(machine, "perceive"), Judge(machine, "clients")
    uplink, resolver = Judge(machine, "uplink"), Judge(machine, "resolver")
    camera, spawner = Judge(machine, "camera"), Judge(machine, "spawner")
    flags = 0o2004000  # SOCK_CLOEXEC | SOCK_NONBLOCK
    for family, kind, protocol in itertools.product(range(64), range(8), (0, 1, 6, 15, 17, 262)):
        asked = (family, kind | flags, protocol)
        assert not perceive("socket", *asked)
        assert not camera("socket", *asked)
        assert not spawner("socket", *asked)
        assert clients("socket", *asked) == (family == 1)
        stream = family in (2, 10) and kind == 1 and protocol in (0, 6)
        assert uplink("socket", *asked) == stream
        names = family in (2, 10) and kind in (1, 2) and protocol in (0, 6, 17)
        routes = family == 16 and protocol == 0
        assert resolver("socket", *asked) == (names or routes or family == 1)
    # The kernel reads the lower 32 bits.
    assert uplink("socket", (7 << 32) | 2, 1, 0)
    assert not uplink("socket", (2 << 32) | 1, 1, 0)
    assert uplink("connect", 3)
    for number in (MANAGER, 1 << 32 | MANAGER):
        assert not uplink("connect", number)
    options = {pair for pair in itertools.product(range(64), repeat=2)
               if uplink("setsockopt", 3, *pair)}  # fmt: skip
    assert options == {(1, 25)}


@pytest.mark.parametrize("machine", MACHINES)
def test_nothing_is_sent_to_an_address(machine: str) -> None:
    for half in ("perceive", "camera", "spawner", "clients", "uplink"):
        judge = Judge(machine, half)
        assert judge("sendto", 3, 1, 1, 0x4000, 0, 0)
        for address in (1, 1 << 31, 1 << 32, 0x7FFF00000000, 1 << 63):
            assert not judge("sendto", 3, 1, 1, 0x4000, address, 0)
        assert not judge("sendto", 3, 1, 1, 0x20000000, 0, 0)


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_judged_by_their_arguments(machine: str) -> None:
    thread, fork = 0x003D0F00, 0x01200011
    for half in ("perceive", "camera", "clients", "uplink"):
        judge = Judge(machine, half)
        assert judge("clone", thread)
        assert not judge("clone", fork)
        for bit in range(32):
            assert not judge("clone", thread ^ 1 << bit) or thread ^ 1 << bit == 0x007D0F00
        assert judge("tgkill", PID, 1, 6)
        assert not judge("tgkill", PID + 1, 1, 6)
        assert judge("prlimit64", 0, 3, 0, 1)
        assert not judge("prlimit64", 0, 3, 1, 1)
        assert not judge("prlimit64", 0, 3, 1 << 32, 1)
        assert not judge("prlimit64", PID + 1, 3, 0, 1)
        setting = {option for option in range(200) if judge("prctl", option)}
        assert setting == {3, 16, 21, 23, 39, 51, 64}
        for command in (8, 9, 10, 36, 38, 1024, 1026, 1031, 1036):
            assert not judge("fcntl", 3, command)
        for command in (*range(1, 7), 37):
            assert judge("fcntl", 3, command)
    duplicates = {
        half: Judge(machine, half)("fcntl", 3, 1030) for half in ("perceive", "uplink", "resolver")
    }
    assert duplicates == {"perceive": True, "uplink": False, "resolver": True}
    for half in ("resolver", "spawner"):
        judge = Judge(machine, half)
        assert judge("clone", fork)
        for bit in (17, 25, 26, 27, 28, 29, 30):
            assert not judge("clone", fork | 1 << bit)
        setting = {option for option in range(200) if judge("prctl", option)}
        assert setting == {1, 3, 16, 21, 23, 39, 51, 64}  # PR_SET_PDEATHSIG
        for call in ("execve", "execveat", "ptrace", "process_vm_readv", "pidfd_send_signal"):
            assert not judge(call)


@pytest.mark.parametrize("machine", MACHINES)
def test_requests_to_devices(machine: str) -> None:
    camera = {"VIDIOC_DQBUF": 0xC0585611, "MEDIA_IOC_DEVICE_INFO": 0xC1007C00,
              "DMA_HEAP_IOCTL_ALLOC": 0xC0184800, "DMA_BUF_IOCTL_SYNC": 0x40086200,
              "UDMABUF_CREATE": 0x40187542}  # fmt: skip
    other = {"FS_IOC_SETFLAGS": 0x40086602, "FS_IOC_FSSETXATTR": 0x401C5820, "TIOCSTI": 0x5412,
             "TIOCLINUX": 0x541C, "VT_ACTIVATE": 0x5606, "SIOCGIFCONF": 0x8912,
             "FIOASYNC": 0x5452, "TIOCSWINSZ": 0x5414, "FICLONE": 0x40049409,
             "SNDRV_CTL_IOCTL_ELEM_WRITE": 0xC4C85513, "BTRFS": 0x5000940E}  # fmt: skip
    perceive, clients = Judge(machine, "perceive"), Judge(machine, "clients")
    reads, uplink = Judge(machine, "camera"), Judge(machine, "uplink")
    for request in camera.values():
        assert reads("ioctl", 3, request)
        assert not perceive("ioctl", 3, request)
        assert not uplink("ioctl", 3, request)
    for name, request in other.items():
        for judge in (perceive, reads, uplink):
            assert not judge("ioctl", 3, request), name
            assert not judge("ioctl", 3, 1 << 32 | request), name
        assert clients("ioctl", 3, request) == (name not in ("TIOCSTI", "TIOCLINUX"))
    for judge in (perceive, reads, uplink):
        assert judge("ioctl", 3, 0x5401)
        assert judge("ioctl", 3, 0x5421)


@pytest.mark.parametrize("machine", MACHINES)
def test_numbers_are_those_of_the_kernels_headers(machine: str) -> None:
    if not HEADERS[machine].exists():
        pytest.skip(f"{HEADERS[machine]} is not installed")
    text = HEADERS[machine].read_text(encoding="utf-8")
    found = {
        {"fstatat": "newfstatat"}.get(name, name): int(number)
        for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)\b", text)
    }
    found = {
        name: number
        for name, number in found.items()
        # of 32-bit processors, and no calls
        if not 403 <= number <= 423
        and name not in ("sync_file_range2", "syscalls", "arch_specific_syscall")
    }
    known = NUMBERS[machine]
    assert len(found) > 300
    assert {name: known.get(name) for name in found} == found
    assert len(set(known.values())) == len(known)
    assert max(known.values()) == NEWEST
