"""System calls recorded under emulation, put to the filters."""

from __future__ import annotations

import pytest

from agent.host.sandbox._numbers import NUMBERS
from agent.host.sandbox.seccomp import perceive_filter, uplink_filter
from tools.arm64.syscalls import (
    ABSENT,
    ALLOWED,
    MACHINE,
    PID,
    REFUSED,
    Call,
    compare,
    compare_log,
    read,
    sealed,
    verdict,
)

PERCEIVE = perceive_filter(MACHINE, pid=PID)
THREAD = (
    "CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM|CLONE_SETTLS|"
    "CLONE_PARENT_SETTID|CLONE_CHILD_CLEARTID"
)
LOG = f"""\
14 openat(AT_FDCWD,"/etc/hosts",O_RDONLY|O_CLOEXEC) = 3
14 socket(PF_INET,SOCK_STREAM|SOCK_CLOEXEC,IPPROTO_IP) = 6
14 seccomp(1,1,0,10873296,140471018967328,10873296) = -1 errno=38 (Function not implemented)
14 write(2,0xb4edc0,77) = 77
14 socket(PF_INET,SOCK_STREAM|SOCK_CLOEXEC,IPPROTO_IP) = 6
14 kill(1,0) = 0
14 newfstatat(AT_FDCWD,"/a (1) file, named so",0x00007fc1f5ffe250,0) = 0
14 clone({THREAD},child_stack=0x00007fc1f510ba60,parent_tidptr=0x00007fc1f510c270) = 17
14 futex(0x0000000000b45fa0,FUTEX_PRIVATE_FLAG|FUTEX_WAIT_BITSET,0,NULL,NULL,0)17 rseq(0x7f,32) = 0
17 fcntl(3,F_SETLKW,0x00007fc1f5ffe690) = 0
17 ppoll(0x7fc1f5530610,1,0x7fc1f5ffe5e0,(nil)) = 1
14 prlimit64(0,RLIMIT_NOFILE,NULL,0x00007fc1f5ffe6a0) = 0 ({{rlim_cur=20000,rlim_max=20000}})
14 prctl(15,140471021125536,0,0,0,1) = 0
14 Unknown syscall 444
14 sendto(7,"hallo (x) 12 foo(",17,0,NULL,0) = 17
"""
"""As `qemu-aarch64 -strace` of QEMU 10 writes it."""


def test_a_log_is_read_call_by_call() -> None:
    calls = read(LOG)
    assert [each.name for each in calls][:3] == ["openat", "socket", "seccomp"]
    assert Call(14, "newfstatat", ("AT_FDCWD", '"/a (1) file, named so"', "0x00007fc1f5ffe250", "0")
                ) in calls  # fmt: skip
    assert {each.thread for each in calls} == {14, 17}
    assert Call(17, "rseq", ("0x7f", "32")) in calls  # begun within another's line
    assert Call(14, "landlock_create_ruleset", ()) in calls
    assert len(calls) == len(LOG.splitlines()) + 1


def test_what_counts_begins_after_the_filter_and_its_trials() -> None:
    names = [each.name for each in sealed(read(LOG))]
    assert names[0] == "newfstatat"
    assert "socket" not in names
    assert sealed(read(LOG.replace("seccomp(", "getpid("))) == []


def test_the_verdicts_are_those_of_the_filter() -> None:
    found = compare_log("perceive", LOG)
    assert found.process == "perceive"
    assert {"newfstatat", "ppoll", "clone", "rseq", "futex"} <= set(found.allowed)
    # F_SETLKW waits for a lock, which no process needs; the name of a thread; what comes too late
    assert [each.partition("(")[0] for each in found.refused] == [
        "fcntl", "prctl", "landlock_create_ruleset",
    ]  # fmt: skip
    assert [each.partition("(")[0] for each in found.unexpected] == [
        "fcntl", "landlock_create_ruleset",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("14 ioctl(3,TCGETS,0x00007fc1f5ffd970) = -1", set()),
        ("14 ioctl(3,0x5602,0x00007fc1f5ffd970) = -1", {"ioctl"}),
        ("14 socket(PF_INET,SOCK_STREAM|SOCK_CLOEXEC,IPPROTO_IP) = 6", {"socket"}),
        ("14 execve(\"/bin/sh\",{\"sh\",NULL}) = 0", {"execve"}),
        ("14 tgkill(14,17,SIGABRT) = 0", set()),
        ("14 clone(CLONE_VM|CLONE_VFORK|SIGCHLD,child_stack=0x0) = 18", {"clone"}),
        ("14 open(\"/x\",O_RDONLY) = 3", {"open"}),  # not on this processor
    ],
)  # fmt: skip
def test_single_calls(line: str, wanted: set[str]) -> None:
    found = compare("x", read(line), PERCEIVE)
    assert found.calls == 1
    assert {each.partition("(")[0] for each in found.refused} == wanted


def test_unknown_arguments_leave_both_ways_open() -> None:
    uplink = uplink_filter(MACHINE, pid=PID)
    number = NUMBERS[MACHINE]["socket"]
    assert verdict(uplink, number, [None] * 6) == {ALLOWED, REFUSED}
    assert verdict(uplink, number, [2, 1, 6, None, None, None]) == {ALLOWED}
    assert verdict(uplink, number, [2, 2, None, None, None, None]) == {REFUSED}
    assert verdict(uplink, NUMBERS[MACHINE]["clone3"], [None] * 6) == {ABSENT}
    found = compare("x", read("14 socket(FAMILY,SOCK_STREAM,0) = 3"), uplink)
    assert (found.unsure, found.refused) == (("socket",), ())


def test_what_a_process_forks_is_under_its_filter() -> None:
    log = (
        "1 seccomp(1,1,0) = -1\n1 clone(CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD,0) = 3\n"
        '3 socket(PF_NETLINK,SOCK_RAW|SOCK_CLOEXEC,0) = 4\n3 execve("/bin/sh",{"sh",NULL}) = 0\n'
        "1 wait4(3) = 3\n"
    )
    found = compare_log("resolver", log)
    assert found.calls == 4
    assert found.allowed == ("clone", "socket", "wait4")
    assert [each.partition("(")[0] for each in found.unexpected] == ["execve"]
    assert compare_log("resolver", "1 getpid() = 1\n").calls == 0
