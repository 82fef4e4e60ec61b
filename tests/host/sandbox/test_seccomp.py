"""The filters, run by an interpreter of classic BPF, for both processors."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from agent.host.sandbox import seccomp
from agent.host.sandbox.seccomp import Instruction, perceive_filter, uplink_filter

ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
MACHINES = ("x86_64", "aarch64")
COMMON = {
    "x86_64": {"read": 0, "mmap": 9, "futex": 202, "openat": 257, "exit_group": 231, "bind": 49},
    "aarch64": {"read": 63, "mmap": 222, "futex": 98, "openat": 56, "exit_group": 94, "bind": 200},
}
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


def run(program: list[Instruction], arch: int, number: int, *arguments: int) -> int:
    """The kernel's verdict: seccomp_data as of linux/seccomp.h, little-endian."""
    six = [each & (1 << 64) - 1 for each in (*arguments, *[0] * 6)][:6]
    data = struct.pack("<IIQ6Q", number, arch, 0, *six)
    at = loaded = 0
    while True:
        code, if_true, if_false, k = program[at]
        at += 1
        if code == 0x20:
            (loaded,) = struct.unpack_from("<I", data, k)
        elif code == 0x54:
            loaded &= k
        elif code == 0x06:
            return k
        else:
            test = {0x15: loaded == k, 0x35: loaded >= k, 0x45: bool(loaded & k)}[code]
            at += if_true if test else if_false


def both(machine: str) -> list[list[Instruction]]:
    return [
        perceive_filter(machine, local_clients=False),
        perceive_filter(machine, local_clients=True),
        uplink_filter(machine),
    ]


@pytest.mark.parametrize("machine", MACHINES)
def test_programs_are_what_the_kernel_accepts(machine: str) -> None:
    for program in both(machine):
        assert len(program) < 4096  # BPF_MAXINSNS
        assert program[-1][0] == 0x06
        for at, (_, if_true, if_false, _) in enumerate(program):
            assert 0 <= if_true < 256
            assert 0 <= if_false < 256
            assert at + 1 + max(if_true, if_false) <= len(program) - (program[at][0] != 0x06)


@pytest.mark.parametrize("machine", MACHINES)
def test_everyday_calls_pass_and_every_listed_one_is_refused(machine: str) -> None:
    for program in both(machine):
        for number in COMMON[machine].values():
            assert run(program, ARCH[machine], number) == ALLOW
        for name in seccomp._BLOCKED:
            listed = seccomp._number(name, machine)
            if listed is not None:
                assert run(program, ARCH[machine], listed) == REFUSE, name


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_of_another_architecture_are_refused(machine: str) -> None:
    for program in both(machine):
        for arch in (0x40000003, 0x40000028, 0):  # i386, arm, nonsense
            assert run(program, arch, COMMON[machine]["read"]) == REFUSE
        if machine == "x86_64":
            assert run(program, ARCH[machine], 0x40000000) == REFUSE


@pytest.mark.parametrize("machine", MACHINES)
def test_sockets(machine: str) -> None:
    number = seccomp._number("socket", machine)
    assert number is not None

    def verdicts(program: list[Instruction], *arguments: int) -> bool:
        return run(program, ARCH[machine], number, *arguments) == ALLOW

    perceive, uplink = perceive_filter(machine, local_clients=False), uplink_filter(machine)
    flags = 0o2004000  # SOCK_CLOEXEC | SOCK_NONBLOCK
    assert verdicts(perceive, 1, 1 | flags, 0)
    assert verdicts(perceive, 16, 3 | flags, 15)
    assert not verdicts(perceive, 16, 3, 0)
    assert verdicts(uplink, 2, 1 | flags, 6)
    assert verdicts(uplink, 10, 2 | flags, 17)
    assert not verdicts(uplink, 2, 1, 262)
    assert not verdicts(uplink, 2, 3, 6)
    for family in range(64):
        assert verdicts(perceive, family, 1, 15) == (family in (1, 16))
        assert verdicts(uplink, family, 1, 0) == (family in (1, 2, 10))
    # The kernel reads the lower 32 bits.
    assert not verdicts(perceive, (1 << 32) | 2, 1, 0)
    assert verdicts(perceive, (7 << 32) | 1, 1, 0)


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_judged_by_their_arguments(machine: str) -> None:
    perceive, uplink = perceive_filter(machine, local_clients=False), uplink_filter(machine)

    def verdict(program: list[Instruction], name: str, *arguments: int) -> int:
        number = seccomp._number(name, machine)
        assert number is not None
        return run(program, ARCH[machine], number, *arguments)

    fork, thread = 0x01200011, 0x003D0F00
    for program in (perceive, uplink):
        assert verdict(program, "clone", fork) == verdict(program, "clone", thread) == ALLOW
        for bit in (17, 25, 26, 27, 28, 29, 30):
            assert verdict(program, "clone", fork | 1 << bit) == REFUSE
        assert verdict(program, "clone3") == 0x00050000 | errno.ENOSYS
        assert verdict(program, "ioctl", 0, 0x5412) == REFUSE
        assert verdict(program, "ioctl", 0, (1 << 32) | 0x5412) == REFUSE
        assert verdict(program, "ioctl", 0, 0xC0CC5616) == ALLOW  # a camera's
    fast = 0x20000000
    for name, place in (("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)):
        assert verdict(uplink, name, *[0] * place, 0x4000) == ALLOW
        assert verdict(uplink, name, *[0] * place, 0x4000 | fast) == REFUSE
    assert verdict(perceive, "execve") == ALLOW
    assert verdict(uplink, "execve") == verdict(uplink, "execveat") == REFUSE
    assert verdict(perceive, "connect") == REFUSE
    assert verdict(uplink, "connect") == ALLOW
    assert verdict(perceive_filter(machine, local_clients=True), "connect") == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_numbers_are_those_of_the_kernels_headers(machine: str) -> None:
    if not HEADERS[machine].exists():
        pytest.skip(f"{HEADERS[machine]} is not installed")
    text = HEADERS[machine].read_text(encoding="utf-8")
    found = {
        name: int(number)
        for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)\b", text)
    }
    known = {
        name: seccomp._number(name, machine) for name in (*seccomp._BLOCKED, *seccomp._CONDITIONAL)
    }
    compared = {name: number for name, number in known.items() if name in found}
    assert len(compared) > 40
    assert {name: found[name] for name in compared} == compared
