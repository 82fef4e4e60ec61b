"""System calls that the emulated processes made, against the filters they would run under.

QEMU's user-mode emulation answers seccomp(2) with ENOSYS: nothing is enforced there. But it writes
down which aarch64 system calls a process makes (`-strace`), with glibc, Python and the libraries of
that architecture; and what the filter would have said to each is computed, by running its program
on the call's number and on those of its arguments that the log gives.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.host.sandbox import seccomp
from agent.host.sandbox._bpf import AUDIT_ARCH, Instruction
from agent.host.sandbox._numbers import NUMBERS

MACHINE = "aarch64"
ALLOWED, REFUSED, ABSENT = 0x7FFF0000, 0x00050001, 0x00050026
"""SECCOMP_RET_ALLOW; SECCOMP_RET_ERRNO with EPERM, with ENOSYS."""
PID = 4242
"""Stands for the process's own number; see `_number`."""

_CALL = re.compile(r"(?:^|(?<=[)\d]))(\d+) ([a-z_]\w*)\(((?:[^()\"]|\"[^\"]*\"|\([^)]*\))*)", re.M)
"""One thread's line may begin within another's."""
_UNKNOWN = re.compile(r"(\d+) Unknown syscall (\d+)")
_OWN_TRIALS = re.compile(
    r"/nonexistent/fleeting|\.fleeting-cage-|fleeting-none|/dev/shm|\bkill\(-?\d+,0\b|mq_open|192\.0\.2\.1"
)
"""What the sandbox tries once it is entered, to see that it is refused (agent/host/sandbox)."""
_SYMBOLS = {
    "NULL": 0, "(nil)": 0,
    "F_DUPFD": 0, "F_GETFD": 1, "F_SETFD": 2, "F_GETFL": 3, "F_SETFL": 4, "F_GETLK": 5,
    "F_SETLK": 6, "F_SETLKW": 7, "F_OFD_SETLK": 37, "F_DUPFD_CLOEXEC": 1030,
    "F_ADD_SEALS": 1033, "F_GET_SEALS": 1034,
    "TCGETS": 0x5401, "TIOCGWINSZ": 0x5413, "FIONREAD": 0x541B, "FIONBIO": 0x5421,
    "FIONCLEX": 0x5450, "FIOCLEX": 0x5451,
    "PF_UNIX": 1, "PF_LOCAL": 1, "PF_INET": 2, "PF_INET6": 10, "PF_NETLINK": 16, "PF_PACKET": 17,
    "SOCK_STREAM": 1, "SOCK_DGRAM": 2, "SOCK_RAW": 3, "SOCK_CLOEXEC": 0o2000000,
    "SOCK_NONBLOCK": 0o4000, "IPPROTO_IP": 0, "IPPROTO_TCP": 6, "IPPROTO_UDP": 17,
    "CLONE_VM": 0x100, "CLONE_FS": 0x200, "CLONE_FILES": 0x400, "CLONE_SIGHAND": 0x800,
    "CLONE_THREAD": 0x10000, "CLONE_SYSVSEM": 0x40000, "CLONE_SETTLS": 0x80000,
    "CLONE_PARENT_SETTID": 0x100000, "CLONE_CHILD_CLEARTID": 0x200000, "CLONE_DETACHED": 0x400000,
    "CLONE_CHILD_SETTID": 0x1000000, "CLONE_VFORK": 0x4000, "SIGCHLD": 17,
    "MSG_NOSIGNAL": 0x4000, "MSG_DONTWAIT": 0x40, "SOL_SOCKET": 1,
}  # fmt: skip
WITHOUT = {
    "prctl": "PR_SET_NAME: names of threads",
    "fchown": "SQLite, where root runs it",
    "utimensat": "a file's time, touched",
    "clone3": "glibc takes clone",
    "membarrier": "the runtime takes another barrier",
    "sched_setaffinity": "the runtime leaves threads where they are",
    "sched_setscheduler": "threads keep the priority they have",
    "set_tid_address": "only at a process's start",
}
"""Calls that are refused on purpose, which libraries do without."""


@dataclass(frozen=True, slots=True)
class Call:
    """One line of the log."""

    thread: int
    name: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of one process with its filter."""

    process: str
    calls: int
    """How many were made once the filter would have been in force, trials left out."""
    allowed: tuple[str, ...]
    """Names, whose every call would have been allowed."""
    unsure: tuple[str, ...]
    """Names that are judged by arguments which the log does not give."""
    refused: tuple[str, ...]
    """`name(arguments)` of what would have been refused, one of a kind."""

    @property
    def unexpected(self) -> tuple[str, ...]:
        """Those of `refused` that nothing here says libraries do without."""
        return tuple(each for each in self.refused if each.partition("(")[0] not in WITHOUT)


def read(log: str) -> list[Call]:
    """The calls in a log of `-strace`, in order."""
    names = {number: name for name, number in NUMBERS[MACHINE].items()}
    found = [
        (each.start(), Call(int(each[1]), each[2], _split(each[3]))) for each in _CALL.finditer(log)
    ]
    found += [
        (each.start(), Call(int(each[1]), names.get(int(each[2]), each[2]), ()))
        for each in _UNKNOWN.finditer(log)
    ]
    return [call for _, call in sorted(found, key=lambda each: each[0])]


def sealed(calls: Sequence[Call]) -> list[Call]:
    """Those after the last installation of a filter and after the trials that follow it; empty
    where none was installed."""
    last = max((at for at, each in enumerate(calls) if each.name == "seccomp"), default=None)
    if last is None:
        return []
    after = calls[last + 1 :]
    tried = (
        at
        for at, each in enumerate(after)
        if _OWN_TRIALS.search(f"{each.name}({','.join(each.arguments)})")
    )
    return list(after[max(tried, default=-1) + 1 :])


def compare(process: str, calls: Sequence[Call], program: Sequence[Instruction]) -> Comparison:
    """What the filter would have said to each of these calls."""
    verdicts: dict[str, set[int]] = {}
    refused: dict[str, None] = {}
    for each in calls:
        number = NUMBERS[MACHINE].get(each.name)
        if number is None:
            refused[f"{each.name}(): no such call on {MACHINE}"] = None
            continue
        found = verdict(program, number, [_number(each, at) for at in range(6)])
        verdicts.setdefault(each.name, set()).update(found)
        if not found & {ALLOWED}:
            kind = ",".join(word for word in each.arguments[:3] if not word.startswith("0x"))
            refused[f"{each.name}({kind})"] = None
    return Comparison(
        process,
        len(calls),
        tuple(sorted(name for name, found in verdicts.items() if found == {ALLOWED})),
        tuple(
            sorted(
                name
                for name, found in verdicts.items()
                if ALLOWED in found and len(found) > 1
                if not any(each.startswith(f"{name}(") for each in refused)
            )
        ),
        tuple(refused),
    )


def verdict(
    program: Sequence[Instruction], number: int, arguments: Sequence[int | None]
) -> set[int]:
    """All that a filter can return for a call of this processor. `arguments`: None where one is
    unknown, and then both ways are gone."""
    data: dict[int, int | None] = {0: number, 4: AUDIT_ARCH[MACHINE]}
    for at, value in enumerate(arguments):
        data[16 + 8 * at] = None if value is None else value & 0xFFFFFFFF
        data[20 + 8 * at] = None if value is None else value >> 32 & 0xFFFFFFFF
    found: set[int] = set()
    paths: list[tuple[int, int | None]] = [(0, 0)]
    while paths:
        at, loaded = paths.pop()
        code, if_true, if_false, k = program[at]
        if code == 0x06:
            found.add(k)
        elif code == 0x20:
            paths.append((at + 1, data[k]))
        elif code == 0x54:
            paths.append((at + 1, None if loaded is None else loaded & k))
        elif code == 0x05:
            paths.append((at + 1 + k, loaded))
        else:
            both = loaded is None
            held = not both and _test(code, loaded or 0, k)
            paths += [(at + 1 + if_true, loaded)] if both or held else []
            paths += [(at + 1 + if_false, loaded)] if both or not held else []
    return found


def _test(code: int, loaded: int, k: int) -> bool:
    return {0x15: loaded == k, 0x35: loaded >= k, 0x45: bool(loaded & k)}[code]


def _split(text: str) -> tuple[str, ...]:
    """Arguments; commas within quotes and braces do not part them."""
    return tuple(
        each.strip() for each in re.findall(r"(?:[^,\"{(]|\"[^\"]*\"|\{[^}]*\}|\([^)]*\))+", text)
    )


def _number(call: Call, at: int) -> int | None:
    """An argument as a number; None where the log does not give it."""
    if at >= len(call.arguments):
        return 0
    if call.name == "tgkill" and at == 0:
        return PID  # of the thread group, which is the process's own here
    if call.name in ("renameat2", "renameat") and at == 4:
        return 0
    total = 0
    for word in call.arguments[at].split("|"):
        value = _SYMBOLS.get(word)
        if value is None:
            match = re.fullmatch(r"0x([0-9a-fA-F]+)|(-?\d+)", word)
            if match is None:
                return None
            value = int(match[1], 16) if match[1] else int(match[2])
        total |= value
    return total


FILTERS: dict[str, Callable[[], list[Instruction]]] = {
    "perceive": lambda: seccomp.perceive_filter(MACHINE, pid=PID),
    "uplink": lambda: seccomp.uplink_filter(MACHINE, pid=PID),
    "resolver": lambda: seccomp.resolver_filter(MACHINE),
}
"""Of each process that enters a sandbox, by the name of what is compared."""


def compare_log(process: str, log: str) -> Comparison:
    """Of the process whose calls, and those of what it forked, a log holds."""
    return compare(process, sealed(read(log)), FILTERS[process]())
