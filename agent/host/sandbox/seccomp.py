"""System call filters of each process: seccomp(2), by allow-list.

What each process needs once it is sealed was recorded with strace(1) over all that it does
(tests/host/sandbox/test_strace.py does so again); what cannot be recorded without a Raspberry Pi or
a Jetson says why it is here. Everything else fails with EPERM instead of killing the process, so
that libraries can fall back. A filter cannot be removed; TSYNC applies it to all threads.

No rule looks behind a pointer: seccomp cannot, and another thread could change what is there.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Iterable, Sequence

from agent.host.sandbox import _bpf
from agent.host.sandbox._bpf import ABSENT, ALLOW, Instruction, Rule
from agent.host.sandbox._numbers import NUMBERS
from agent.host.sandbox.kernel import PR_SET_PDEATHSIG, processor, syscall

_FILES = (
    "read write readv writev pread64 pwrite64 lseek close open openat "
    "stat fstat lstat newfstatat statx access faccessat faccessat2 readlink readlinkat getdents64 "
    "getcwd statfs fstatfs fadvise64 ftruncate fallocate fsync fdatasync "
    "rename renameat unlink unlinkat mkdir mkdirat rmdir "
    "flock"  # opening the outbox
)
"""Which files, and in which folders, is Landlock's to say."""
_MEMORY = "brk mmap munmap mremap mprotect madvise mbind get_mempolicy"
_THREADS = (
    "futex set_robust_list rseq gettid exit exit_group sched_yield getcpu "
    "sched_getaffinity sched_getparam sched_getscheduler sched_get_priority_max "
    "sched_get_priority_min"
)
"""Reading what is scheduled how, never setting it: /proc tells everybody."""
_SIGNALS = "rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack restart_syscall"
_TIME = (
    "clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time "
    "clock_adjtime adjtimex"  # whether the clock is synchronised; setting it needs a capability
)
_SELF = (
    "getpid getppid getpgid getpgrp getsid getuid geteuid getgid getegid getgroups getresuid "
    "getresgid uname getrandom getrusage times getrlimit"
)
_WAITING = "poll ppoll select pselect6 pipe pipe2"
_SOCKETS = "recvfrom getsockname getpeername getsockopt"
"""On sockets that are open. Not recvmsg, which could receive a file of another process."""
_PERCEIVE = (
    "dup dup2 dup3 memfd_create "  # the model runtime's messages are kept from stderr in memory
    "sysinfo"  # how much memory there is
)
_CAMERA = (
    "dup dup2 dup3 memfd_create sysinfo "
    # libcamera and picamera2: their event loops, and a look at their own capabilities
    "epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd2 capget"
)
_LOCAL_CLIENTS = (
    # libraries of camera daemons (nvargus-daemon, PipeWire), which pass buffers as descriptors
    "connect sendmsg recvmsg setsockopt shutdown socketpair "
    # PipeWire's and GStreamer's event loops
    "timerfd_create timerfd_settime timerfd_gettime eventfd"
)
_SPAWNER = (
    "wait4 waitid kill pidfd_open "  # its child, of which there is one at a time
    "seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self "  # the child's own
    "mlockall"  # the child's pictures stay out of swap
)
_UPLINK = "wait4 waitid"
"""For the resolver, which was started before."""
_RESOLVER = (
    "bind sendto sendmsg sendmmsg recvmsg recvmmsg setsockopt connect shutdown "  # the C library's
    "wait4 waitid kill dup dup2 dup3 umask chdir"  # a process for each look-up
)
_UPDATER = (
    "symlink symlinkat utimensat "  # links that name a slot; files' times
    "sysinfo wait4 waitid "  # for the helper, which was started before
    "bind sendto sendmsg sendmmsg recvmsg recvmmsg setsockopt connect shutdown"  # names, HTTPS
)
_ABSENT = "clone3 futex_wake futex_wait futex_requeue mseal map_shadow_stack rseq_slice_yield"
"""Newer calls that a C library may try and do without only on ENOSYS. clone3 has its flags behind a
pointer, so that no filter can tell threads from processes."""

_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_SOCK_STREAM, _SOCK_DGRAM, _SOCK_TYPE_MASK = 1, 2, 0xF
_IPPROTO_TCP, _IPPROTO_UDP = 6, 17
_SOL_SOCKET, _SO_BINDTODEVICE = 1, 25
_MSG_FASTOPEN = 0x20000000
_THREAD_FLAGS = (0x003D0F00, 0x007D0F00)
"""CLONE_THREAD and the rest of pthread_create(3) in glibc and in musl: no process, no namespace."""
_NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET."""
_F_DUPFD, _F_GETFD, _F_SETFD, _F_GETFL, _F_SETFL, _F_GETLK, _F_SETLK = range(7)
_F_OFD_SETLK, _F_DUPFD_CLOEXEC, _F_ADD_SEALS, _F_GET_SEALS = 37, 1030, 1033, 1034
_FCNTL = (_F_GETFD, _F_SETFD, _F_GETFL, _F_SETFL, _F_GETLK, _F_SETLK, _F_OFD_SETLK)
"""The locks are SQLite's, the outbox's, and libcamera's on a camera."""
_PRCTL = (3, 16, 21, 23, 39, 51, 64)
"""PR_GET_DUMPABLE, GET_NAME, GET_SECCOMP, CAPBSET_READ, GET_NO_NEW_PRIVS; SVE_GET_VL and SME_GET_VL
(aarch64's vectors). Nothing that sets: name, dumpable and memory map are seen by others."""
_TERMINAL = (0x5401, 0x802C542A, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""ioctl(2): TCGETS, TCGETS2, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX."""
_DEVICES = tuple(ord(letter) << 8 for letter in "V|Hbu")
"""ioctl(2), of cameras: V4L2 V, media controller |; of their buffers: dma-heap H, dma-buf b,
udmabuf u. File systems use other letters: FS_IOC_SETFLAGS would be one more attribute."""
_SOUND = (ord("A") << 8, ord("U") << 8)
"""ioctl(2), of sound inputs: PCM A, control U."""
_SOUND_ALONE = (0x4112, 0x4122, 0x4140, 0x4141, 0x4142, 0x4143, 0x4144, 0x4147, 0x4148)
"""Those without a direction: SNDRV_PCM_IOCTL_HW_FREE, HWSYNC, PREPARE, RESET, START, DROP, DRAIN,
RESUME, XRUN."""
_INJECTING = (0x5412, 0x541C)
"""ioctl(2): TIOCSTI, TIOCLINUX."""


def perceive_filter(machine: str, *, pid: int, microphone: bool = False) -> list[Instruction]:
    """For the perceive process, whose sockets are open by now: none can be made, named or
    connected, nothing be sent to an address, no descriptor be received. Its camera is read by
    another process.

    `pid`: its own. `microphone`: ALSA's ioctls too.
    """
    sound = (*_a_direction(1), *_bpf.require_masked(1, 0xFF00, *_SOUND), *ALLOW)
    rules = {
        **_common(pid),
        **_allowed(_PERCEIVE),
        "fcntl": _bpf.only(1, *_FCNTL, _F_DUPFD, _F_DUPFD_CLOEXEC),
        "ioctl": (
            _bpf.either(1, (*_TERMINAL, *_SOUND_ALONE), sound)
            if microphone
            else _bpf.only(1, *_TERMINAL)
        ),
    }
    return _bpf.assemble(machine, rules)


def camera_filter(machine: str, *, pid: int, local_clients: bool) -> list[Instruction]:
    """For the process that reads the camera: no process, no program, no signal, no socket.

    `pid`: its own. `local_clients`: GStreamer, for which some cameras need a daemon: it may connect
    to local servers, and its drivers' ioctls are not known.
    """
    return _bpf.assemble(machine, _camera_rules(pid, local_clients=local_clients))


def spawner_filter(machine: str, *, local_clients: bool) -> list[Instruction]:
    """For the process that starts, ends and starts again the one that reads the camera: what that
    may, and to fork and to kill; Landlock says whom. Its children give up the rest themselves."""
    rules = {
        **_camera_rules(0, local_clients=local_clients),
        **_allowed(_SPAWNER),
        "clone": (*_bpf.refuse_bits(0, _NEW_NAMESPACES), *ALLOW),
        "fork": ALLOW,
        "set_tid_address": ALLOW,
        "tgkill": ALLOW,  # raise(3) in a child, whose number is not known yet
        "prctl": _bpf.only(0, *_PRCTL, PR_SET_PDEATHSIG),
    }
    return _bpf.assemble(machine, rules)


def _camera_rules(pid: int, *, local_clients: bool) -> dict[str, Rule]:
    rules = {
        **_common(pid),
        **_allowed(_CAMERA),
        "fcntl": _bpf.only(1, *_FCNTL, _F_DUPFD, _F_DUPFD_CLOEXEC, _F_ADD_SEALS, _F_GET_SEALS),
        "ioctl": _bpf.either(
            1,
            _TERMINAL,
            # every request of a camera has a direction; those of the console's `V` have none
            (*_a_direction(1), *_bpf.require_masked(1, 0xFF00, *_DEVICES), *ALLOW),
        ),
    }
    if local_clients:
        rules |= _allowed(_LOCAL_CLIENTS)
        rules["socket"] = rules["socketpair"] = _bpf.only(0, _AF_UNIX)
        rules["ioctl"] = (*_bpf.refuse_values(1, _INJECTING), *ALLOW)
    return rules


def uplink_filter(machine: str, *, pid: int, sockets: Iterable[int] = ()) -> list[Instruction]:
    """For the uplink process: TCP connections outwards, which it cannot be reached by.

    `pid`: its own. `sockets`: descriptors that must not be connected elsewhere, such as that to the
    service manager. A duplicate could be, and so none can be made.

    Other protocols are refused because Landlock's port rules do not cover them (Multipath TCP can
    reach TCP servers), TCP Fast Open because it connects without connect(2).
    """
    stream = (
        *_bpf.require_masked(1, _SOCK_TYPE_MASK, _SOCK_STREAM),
        *_bpf.only(2, 0, _IPPROTO_TCP),
    )
    rules = {
        **_common(pid),
        **_allowed(_UPLINK),
        "fcntl": _bpf.only(1, *_FCNTL),
        "ioctl": _bpf.only(1, *_TERMINAL),
        "socket": _bpf.branch(0, {_AF_INET: stream, _AF_INET6: stream}),
        "connect": (*_bpf.refuse_values(0, sorted(set(sockets))), *ALLOW),
        # the probes', which must leave this machine alone
        "setsockopt": (*_bpf.require(1, _SOL_SOCKET), *_bpf.only(2, _SO_BINDTODEVICE)),
    }
    return _bpf.assemble(machine, rules)


def resolver_filter(machine: str) -> list[Instruction]:
    """For the process that looks up the broker's name: TCP and UDP (DNS), local sockets (name
    services of this machine), routes (netlink: which address to prefer), processes of its own."""
    rules = {
        **_common(0),
        **_allowed(_RESOLVER),
        "fcntl": _bpf.only(1, *_FCNTL, _F_DUPFD, _F_DUPFD_CLOEXEC),
        "ioctl": _bpf.only(1, *_TERMINAL),
        "socket": _bpf.branch(0, _families()),
        "clone": (*_bpf.refuse_bits(0, _NEW_NAMESPACES), *ALLOW),
        "fork": ALLOW,
        "set_tid_address": ALLOW,
        "prctl": _bpf.only(0, *_PRCTL, PR_SET_PDEATHSIG),
    }
    return _bpf.assemble(machine, rules)


def updater_filter(machine: str, *, pid: int) -> list[Instruction]:
    """For the process that fetches updates: TCP, and what looking a name up takes; links; no
    program, no process, no device. `pid`: its own."""
    rules = {
        **_common(pid),
        **_allowed(_UPDATER),
        "fcntl": _bpf.only(1, *_FCNTL, _F_DUPFD_CLOEXEC),
        "ioctl": _bpf.only(1, *_TERMINAL),
        "socket": _bpf.branch(0, _families()),
    }
    return _bpf.assemble(machine, rules)


def transcription_filter(machine: str) -> list[Instruction]:
    """For the process that speaks to a speech-to-text server of this machine: streams of local
    sockets outwards, nothing else."""
    stream = (*_bpf.require_masked(1, _SOCK_TYPE_MASK, _SOCK_STREAM), *_bpf.only(2, 0))
    rules = {
        **_common(0),
        "socket": _bpf.branch(0, {_AF_UNIX: stream}),
        "connect": ALLOW,
        "fcntl": _bpf.only(1, *_FCNTL),
        "ioctl": _bpf.only(1, *_TERMINAL),
    }
    return _bpf.assemble(machine, rules)


def install(program: Sequence[Instruction]) -> None:
    """Install the filter on every thread; PR_SET_NO_NEW_PRIVS must be set. Raises `OSError`."""
    code = b"".join(struct.pack("=HBBI", *each) for each in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: a 16-bit length, padding, a pointer
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(buffer)))
    set_mode_filter, tsync = 1, 1
    number = NUMBERS[processor()]["seccomp"]
    other = syscall(number, set_mode_filter, tsync, ctypes.addressof(header))
    if other:
        raise OSError(errno.EBUSY, f"thread {other} has another filter")


def known(machine: str) -> bool:
    """Whether this processor's system call numbers are listed here."""
    return machine in NUMBERS


def _allowed(names: str) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), ALLOW)


def _common(pid: int) -> dict[str, Rule]:
    """What every process may do."""
    names = " ".join((_FILES, _MEMORY, _THREADS, _SIGNALS, _TIME, _SELF, _WAITING, _SOCKETS))
    return {
        **_allowed(names),
        **dict.fromkeys(_ABSENT.split(), ABSENT),
        "clone": _bpf.only(0, *_THREAD_FLAGS),
        "renameat2": _bpf.only(4, 0),  # how a C library may spell rename(2)
        "tgkill": _bpf.only(0, pid),  # raise(3), pthread_kill(3)
        "prctl": _bpf.only(0, *_PRCTL),
        # its own limits, and only to read them: /proc tells everybody
        "prlimit64": (*_bpf.require(0, 0), *_bpf.require_null(2), *ALLOW),
        # on what is connected
        "sendto": (*_bpf.require_null(4), *_bpf.refuse_bits(3, _MSG_FASTOPEN), *ALLOW),
    }


def _families() -> dict[int, Rule]:
    """Sockets of who looks names up."""
    internet = (
        *_bpf.require_masked(1, _SOCK_TYPE_MASK, _SOCK_STREAM, _SOCK_DGRAM),
        *_bpf.only(2, 0, _IPPROTO_TCP, _IPPROTO_UDP),
    )
    return {
        _AF_UNIX: ALLOW,
        _AF_INET: internet,
        _AF_INET6: internet,
        _AF_NETLINK: _bpf.only(2, 0),
    }


def _a_direction(argument: int) -> Rule:
    """Go on where the ioctl request reads or writes (asm-generic/ioctl.h)."""
    return _bpf.require_masked(argument, 0xC0000000, 0x40000000, 0x80000000, 0xC0000000)
