"""System call filters of each process: seccomp(2), in classic BPF.

A refused call fails with EPERM instead of killing the process, so that libraries can fall back. A
filter cannot be removed and is inherited by child processes. TSYNC applies it to all threads.

Arguments are compared as 32-bit integers, as the kernel reads most of them.

Sources: seccomp(2), linux/seccomp.h, linux/audit.h, linux/bpf_common.h; the numbers of the system
calls: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Sequence

from agent.host.sandbox.kernel import processor, syscall

Instruction = tuple[int, int, int, int]
"""struct sock_filter: code, jump if true, jump if false, k."""

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16
"""Offsets in struct seccomp_data."""
_ALLOW = (_RETURN, 0, 0, 0x7FFF0000)
_REFUSE = (_RETURN, 0, 0, 0x00050000 | errno.EPERM)
_NOT_IMPLEMENTED = (_RETURN, 0, 0, 0x00050000 | errno.ENOSYS)

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000
"""The x32 calls of x86_64 have numbers from here on and would bypass the filters."""
_COLUMN = {"x86_64": 0, "aarch64": 1}
_BLOCKED: dict[str, tuple[int | None, int | None]] = {
    # other processes, their memory and open files
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    # io_uring bypasses seccomp
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    # the kernel
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "iopl": (172, None),
    "ioperm": (173, None),
    "syslog": (103, 116),
    "personality": (135, 92),
    # other namespaces, other mounts, files by handle
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    # the system
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "vhangup": (153, 58),
}
"""Refused to both processes; numbers on x86_64 and aarch64. Most matter only as root."""
_CONDITIONAL = {
    "ioctl": (16, 29),
    "socket": (41, 198),
    "connect": (42, 203),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "socketpair": (53, 199),
    "clone": (56, 220),
    "execve": (59, 221),
    "sendmmsg": (307, 269),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "seccomp": (317, 277),
    "execveat": (322, 281),
    "clone3": (435, 435),
}

_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_NETLINK_KOBJECT_UEVENT = 15
_SOCK_STREAM, _SOCK_DGRAM, _SOCK_TYPE_MASK = 1, 2, 0xF
_IPPROTO_TCP, _IPPROTO_UDP = 6, 17
_MSG_FASTOPEN = 0x20000000
_CLONE_NEW = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET."""
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C


def perceive_filter(machine: str, *, local_clients: bool) -> list[Instruction]:
    """For the perceive process: local sockets only, without connections to servers (the system bus
    or a resolver could forward data) unless `local_clients`, which some camera stacks need."""
    netlink = [*_require(2, _NETLINK_KOBJECT_UEVENT), _ALLOW]  # udev: camera hotplug
    families = _branch(0, {_AF_UNIX: [_ALLOW], _AF_NETLINK: netlink})
    rules = {"socket": families, "socketpair": families}
    if not local_clients:
        rules["connect"] = [_REFUSE]
    return _program(machine, rules)


def uplink_filter(machine: str) -> list[Instruction]:
    """For the uplink process: TCP, UDP (DNS) and local sockets; no exec.

    Other protocols are refused because Landlock's port rules do not cover them (Multipath TCP can
    reach TCP servers), TCP Fast Open because it connects without connect(2).
    """
    internet = [
        (_LOAD, 0, 0, _ARGUMENTS + 8),
        (0x54, 0, 0, _SOCK_TYPE_MASK),  # A &= k: drops flags such as SOCK_NONBLOCK
        *_require_loaded(_SOCK_STREAM, _SOCK_DGRAM),
        *_require(2, 0, _IPPROTO_TCP, _IPPROTO_UDP),
        _ALLOW,
    ]
    families = _branch(0, {_AF_UNIX: [_ALLOW], _AF_INET: internet, _AF_INET6: internet})
    return _program(
        machine,
        {
            "socket": families,
            "socketpair": families,
            "sendto": [*_refuse_bits(3, _MSG_FASTOPEN), _ALLOW],
            "sendmsg": [*_refuse_bits(2, _MSG_FASTOPEN), _ALLOW],
            "sendmmsg": [*_refuse_bits(3, _MSG_FASTOPEN), _ALLOW],
            "execve": [_REFUSE],
            "execveat": [_REFUSE],
        },
    )


def resolver_filter(machine: str) -> list[Instruction]:
    """For the process that looks up the broker's name: TCP and UDP (DNS), local sockets (name
    services of this machine), routes (netlink: which address to prefer); no exec."""
    internet = [
        (_LOAD, 0, 0, _ARGUMENTS + 8),
        (0x54, 0, 0, _SOCK_TYPE_MASK),
        *_require_loaded(_SOCK_STREAM, _SOCK_DGRAM),
        *_require(2, 0, _IPPROTO_TCP, _IPPROTO_UDP),
        _ALLOW,
    ]
    routes = [*_require(2, 0), _ALLOW]
    families = {_AF_UNIX: [_ALLOW], _AF_INET: internet, _AF_INET6: internet, _AF_NETLINK: routes}
    refused = ("listen", "accept", "accept4", "execve", "execveat")
    rules = {"socket": _branch(0, families), **{name: [_REFUSE] for name in refused}}
    return _program(machine, rules)


def install(program: Sequence[Instruction]) -> None:
    """Install the filter on every thread; PR_SET_NO_NEW_PRIVS must be set. Raises `OSError`."""
    code = b"".join(struct.pack("=HBBI", *each) for each in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: a 16-bit length, padding, a pointer
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(buffer)))
    set_mode_filter, tsync = 1, 1
    number = _number("seccomp", processor())
    assert number is not None
    other = syscall(number, set_mode_filter, tsync, ctypes.addressof(header))
    if other:
        raise OSError(errno.EBUSY, f"thread {other} has another filter")


def known(machine: str) -> bool:
    """Whether this processor's system call numbers are listed here."""
    return machine in _AUDIT_ARCH


def _number(name: str, machine: str) -> int | None:
    return (_BLOCKED.get(name) or _CONDITIONAL[name])[_COLUMN[machine]]


def _program(machine: str, rules: dict[str, list[Instruction]]) -> list[Instruction]:
    """The filter: refuse other architectures, apply the rule of each call, allow all others. Each
    rule must end in a return."""
    load = (_LOAD, 0, 0, _ARGUMENTS + 8)
    terminal = [load, *_refuse_if(_TIOCSTI), *_refuse_if(_TIOCLINUX), _ALLOW]
    rules = {
        **{name: [_REFUSE] for name in _BLOCKED},
        # injecting input into the controlling terminal
        "ioctl": terminal,
        "clone": [*_refuse_bits(0, _CLONE_NEW), _ALLOW],
        # its flags are behind a pointer; on ENOSYS the C library falls back to clone
        "clone3": [_NOT_IMPLEMENTED],
        **rules,
    }
    program = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, _AUDIT_ARCH[machine]), _REFUSE]
    program += [(_LOAD, 0, 0, _NUMBER)]
    if machine == "x86_64":
        program += [(_AT_LEAST, 0, 1, _X32), _REFUSE]
    for name, body in rules.items():
        number = _number(name, machine)
        if number is not None:
            program += [(_EQUAL, 0, len(body), number), *body]
    return [*program, _ALLOW]


def _require_loaded(*values: int) -> list[Instruction]:
    """Continue if the loaded value is one of these, else refuse."""
    count = len(values)
    return [*((_EQUAL, count - i, 0, value) for i, value in enumerate(values)), _REFUSE]


def _require(argument: int, *values: int) -> list[Instruction]:
    return [(_LOAD, 0, 0, _ARGUMENTS + 8 * argument), *_require_loaded(*values)]


def _refuse_if(value: int) -> list[Instruction]:
    return [(_EQUAL, 0, 1, value), _REFUSE]


def _refuse_bits(argument: int, bits: int) -> list[Instruction]:
    return [(_LOAD, 0, 0, _ARGUMENTS + 8 * argument), (_ANY_BIT, 0, 1, bits), _REFUSE]


def _branch(argument: int, cases: dict[int, list[Instruction]]) -> list[Instruction]:
    """Branch on an argument; each case ends in a return, other values are refused."""
    program: list[Instruction] = [(_LOAD, 0, 0, _ARGUMENTS + 8 * argument)]
    for value, body in cases.items():
        program += [(_EQUAL, 0, len(body), value), *body]
    return [*program, _REFUSE]
