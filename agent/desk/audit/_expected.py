"""What the untampered agent may do in an audit: the files that each process may write and the
system calls that it may make. Exact lists: whatever is not here is a finding.

A call that changes nothing outside the process (`UNTRACED`) is not recorded. Every other call must
match a rule, whether the kernel carries it out or refuses it; the probes by which a process tests
its sandbox are rules with `refused`, accepted only as often as the probe tries them and only where
the kernel refuses. A new probe or call of the agent needs a new line in `CALLS` or `_probes`.
"""

from __future__ import annotations

import re

from agent.desk.audit._probes import PROBED_FILES, PROBES
from agent.desk.audit._rules import CallRule, FileRule, Process

_UNTRACED = """
    read pread64 readv preadv preadv2 recvfrom lseek _llseek close close_range dup dup2 dup3
    stat fstat lstat newfstatat statx stat64 fstat64 lstat64 fstatat64 statfs fstatfs statfs64
    access faccessat faccessat2 readlink readlinkat getcwd getdents getdents64
    getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr
    munmap mprotect brk mremap madvise mincore mbind get_mempolicy set_mempolicy membarrier
    pkey_alloc pkey_free pkey_mprotect mlock mlock2 mlockall munlock munlockall
    futex futex_waitv set_robust_list get_robust_list rseq set_tid_address arch_prctl
    sched_yield sched_getaffinity sched_getparam sched_getscheduler sched_getattr getcpu
    getpriority getrusage times uname sysinfo getrlimit ugetrlimit capget
    getpid gettid getppid getpgid getpgrp getsid getuid geteuid getgid getegid getresuid getresgid
    getgroups umask getrandom clock_gettime clock_getres gettimeofday time clock_nanosleep nanosleep
    poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait
    epoll_pwait2 eventfd eventfd2 timerfd_create timerfd_settime timerfd_gettime
    rt_sigaction rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigpending rt_sigtimedwait sigaltstack
    pause restart_syscall alarm getitimer setitimer timer_create timer_settime timer_delete
    timer_gettime timer_getoverrun wait4 waitid exit exit_group
    fsync fdatasync sync_file_range fadvise64 readahead pipe pipe2
    getsockopt getsockname getpeername landlock_create_ruleset landlock_add_rule
    landlock_restrict_self
"""
UNTRACED = tuple(_UNTRACED.split())
"""They read, wait, order memory, or restrict the process further."""

OPENS = {"open", "openat", "openat2", "creat"}
WRITES = {"write", "pwrite64", "writev", "pwritev", "pwritev2"}
SENDS = {"sendto", "sendmsg", "sendmmsg"}

_DB = r"outbox/outbox\.db"
_DATABASE = _DB + r"(-wal|-shm|-journal)?"
_RANDOM = r"[a-z0-9_]{8}"
"""Eight characters, as Python's `tempfile` chooses them."""


FILES = (
    FileRule(_DATABASE, 200),
    FileRule(rf"outbox/\.outbox\.db\.{_RANDOM}\.tmp", 2),
    FileRule(_DB + r"\.lock", 200),
    FileRule(r"kernels/\w+/<unnamed>", 200, ("perceive",)),
    FileRule(r"outbox/settings\.json", 0),
    FileRule(rf"outbox/\.settings\.json\.{_RANDOM}\.tmp", 4, ("uplink",)),
    FileRule(rf"outbox-uplink/\.warden\.json\.{_RANDOM}\.tmp", 5000, ("uplink",)),
    FileRule(r"outbox/receipt\.key", 0),
    FileRule(rf"outbox/\.receipt\.key\.{_RANDOM}", 2, ("uplink",)),
    FileRule(rf"outbox/\.receipt\.key\.last\.{_RANDOM}(\.tmp)?", 8, ("uplink",)),
    FileRule(r"/dev/(null|tty)", 200),
    *PROBED_FILES,
)  # fmt: skip
"""`<unnamed>`: an O_TMPFILE, by which Numba tests a folder. Names with 0 come by renaming."""

LEFT = (
    r"outbox/outbox\.db(-wal|-shm|-journal|\.lock)?",
    rf"outbox/\.outbox\.db\.{_RANDOM}\.tmp",
    r"outbox/(settings\.json|receipt\.key(\.last)?)",
    rf"outbox-uplink(/(\.warden\.json\.{_RANDOM}\.tmp|warden\.json))?",
    rf"outbox/\.(settings\.json|receipt\.key(\.last)?)\.{_RANDOM}(\.tmp)?",
)
"""Regular expressions of the names that may appear below the folder of the run."""


_FD = r"\d{1,4}"
_MANY = 1_000_000
_UPLINK: tuple[Process, ...] = ("uplink",)
_PERCEIVE: tuple[Process, ...] = ("perceive",)
_LOCK = (
    rf"{_FD}<RUN/{_DB}(-shm)?>, F_(OFD_)?(SETLKW?|GETLK), "
    r"\{l_type=F_\w+, l_whence=SEEK_SET, l_start=(\d{1,3}|107374\d{4}), l_len=\d{1,3}.*\}"
)
"""SQLite's locks: bytes 120 to 127 of -shm, 510 from 0x40000000 on of the database."""

CALLS = (
    CallRule("execve", r'"[^"]*", \["[^"]*".*\], 0x[0-9a-f]+ /\* \d+ vars \*/', 1),
    CallRule("clone", r".*\bflags=[A-Z_|]*\bCLONE_THREAD\b.*", 1000),
    CallRule("clone3", r".*\bflags=[A-Z_|]*\bCLONE_THREAD\b.*", 1000),
    CallRule("mkdir", r'"RUN/(outbox(-uplink)?|kernels(/\w{1,60})?)", 0\d+', 400),
    CallRule("fcntl", rf"{_FD}<.*>, F_(GETFD|GETFL|DUPFD|DUPFD_CLOEXEC|SETFD|SETFL)(, .*)?", _MANY),
    CallRule("fcntl", _LOCK, _MANY),
    CallRule(
        "ioctl",
        rf"{_FD}<.*>, (TCGETS2?|TIOCGWINSZ|FIOCLEX|FIONCLEX|FIONBIO|FIONREAD|F2FS_IOC_GET_FEATURES)"
        r".*",
        _MANY,
    ),
    CallRule("flock", rf"{_FD}<RUN/{_DB}\.lock>, LOCK_(EX|UN)(\|LOCK_NB)?", 400),
    CallRule("mmap", rf".*\bMAP_SHARED\b.*, {_FD}<RUN/{_DB}-shm>, \w+", 200),
    CallRule("mmap", rf"[^<]*, PROT_READ, MAP_SHARED, {_FD}<(?!RUN/).*", 200),
    # a C library's table of character sets, among others
    CallRule("fchown", rf"{_FD}<RUN/{_DATABASE}>, {{user}}, {{group}}", 200),
    CallRule("utimensat", rf'"RUN/{_DB}", NULL, 0', 200),  # to the present time
    CallRule("ftruncate", rf"{_FD}<RUN/{_DB}-shm>, (3|32768)", 200),
    CallRule("ftruncate", rf"{_FD}<RUN/{_DB}>, {{pages}}", 2000),
    CallRule("ftruncate", rf"{_FD}<RUN/{_DB}-wal>, (0|1000000)", 2000),
    CallRule("unlink", rf'"RUN/{_DB}-(wal|shm|journal)"(, 0)?', 200),
    CallRule("rename", rf'"RUN/outbox/\.outbox\.db\.{_RANDOM}\.tmp", "RUN/{_DB}"(, 0)?', 2),
    CallRule("unlink", rf'"RUN/outbox/\.(settings\.json|receipt\.key(\.last)?)\.{_RANDOM}'
                       r'(\.tmp)?"(, 0)?', 12, _UPLINK),
    CallRule("link", rf'"RUN/outbox/\.receipt\.key\.{_RANDOM}", "RUN/outbox/receipt\.key"(, 0)?',
             2, _UPLINK),
    CallRule("rename", rf'"RUN/outbox/\.(settings\.json|receipt\.key\.last)\.{_RANDOM}(\.tmp)?", '
                       r'"RUN/outbox/(settings\.json|receipt\.key\.last)"(, 0)?', 12, _UPLINK),
    CallRule("rename", rf'"RUN/outbox-uplink/\.warden\.json\.{_RANDOM}\.tmp", '
                       r'"RUN/outbox-uplink/warden\.json"(, 0)?', 5000, _UPLINK),
    CallRule("prlimit64", r"0, RLIMIT_\w+, NULL, .*", 200),
    CallRule("prlimit64", r"0, RLIMIT_CORE, \{rlim_cur=0, rlim_max=0\}, NULL", 4),
    CallRule("prlimit64", r"0, RLIMIT_(CORE|STACK|NOFILE|MEMLOCK), NULL", 20),
    CallRule("setrlimit", r"RLIMIT_CORE, \{rlim_cur=0, rlim_max=0\}", 4),
    CallRule("prctl", r"PR_(GET_\w+|CAPBSET_READ)\b.*", 200),
    CallRule("prctl", r"PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0", 4),
    CallRule("prctl", r"PR_SET_DUMPABLE, (SUID_DUMP_DISABLE|0)(, 0, 0, 0)?", 4),
    CallRule("prctl", r"(0x41 /\* PR_\?\?\? \*/|PR_SET_MDWE), (0x1|PR_MDWE_REFUSE_EXEC_GAIN), "
                      r"0, 0, 0", 2, _UPLINK),
    CallRule("capset", r"\{version=_LINUX_CAPABILITY_VERSION_3, pid=0\}, "
                       r"\{effective=([0-9A-Z_|<]+), permitted=\1, inheritable=0\}", 4),
    CallRule("prctl", r"PR_SET_PDEATHSIG, SIGTERM", 2),
    CallRule("prctl", r"PR_SET_VMA, PR_SET_VMA_ANON_NAME, 0x[0-9a-f]+, \d+, \" ?glibc: .*\"", 200),
    # FFmpeg's name of a decoding thread
    CallRule("prctl", r'PR_SET_NAME, "av:[a-z0-9_]{1,12}(:df\d{1,3})?"', 1000, _PERCEIVE),
    CallRule("seccomp", r"SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, \{len=\d+, .*\}", 4),
    CallRule("seccomp", r"SECCOMP_GET_\w+, .*", 8),
    CallRule("clock_adjtime", r"CLOCK_REALTIME, \{modes=0, .*\}", _MANY),
    CallRule("adjtimex", r"\{modes=0, .*\}", _MANY),
    # the socket that takes words
    CallRule("socket", r"AF_UNIX, SOCK_DGRAM\|SOCK_CLOEXEC, 0", 2, _PERCEIVE),
    CallRule("bind", rf'{_FD}<[^>]*>, \{{sa_family=AF_UNIX, sun_path="[^"]*/words\.sock"\}}, \d+',
             1, _PERCEIVE),
    CallRule("memfd_create", r'"runtime-messages", MFD_CLOEXEC', 16, _PERCEIVE),
    # the connection to the broker
    CallRule("socket", r"AF_INET, SOCK_STREAM\|SOCK_CLOEXEC(\|SOCK_NONBLOCK)?, IPPROTO_(TCP|IP)",
             40, _UPLINK),
    CallRule("connect", rf'{_FD}<[^>]*>, \{{sa_family=AF_INET, sin_port=htons\({{port}}\), '
                        r'sin_addr=inet_addr\("127\.0\.0\.1"\)\}, 16', 40, _UPLINK),
    CallRule("setsockopt", rf"{_FD}<[^>]*>, SOL_TCP, TCP_NODELAY, \[1\], 4", 40, _UPLINK),
    CallRule("shutdown", rf"{_FD}<[^>]*>, SHUT_\w+", 40, _UPLINK),
    *PROBES,
)  # fmt: skip
"""Names ending in `at` are listed without it: `unlinkat` as `unlink`, `renameat2` as `rename`."""

NEUTRAL = {
    "mkdirat": "mkdir", "unlinkat": "unlink", "linkat": "link", "renameat": "rename",
    "renameat2": "rename", "fchmodat": "chmod", "fchmodat2": "chmod", "fchownat": "chown",
    "symlinkat": "symlink", "mknodat": "mknod",
}  # fmt: skip
"""Name of a call by that of its variant."""


def may_appear(name: str) -> bool:
    """Whether a file or folder of this name may appear below the folder of the run."""
    return any(re.fullmatch(each, name) for each in LEFT)
