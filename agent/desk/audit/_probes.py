"""The calls by which each process tries its own sandbox (`host.sandbox`): accepted only where the
kernel refuses them, with exactly these arguments, and as often as the probe makes them.

A new probe needs its line here.
"""

from __future__ import annotations

from agent.desk.audit._rules import CallRule, FileRule, Process

_BOTH: tuple[Process, ...] = ("perceive", "uplink")
_NOWHERE = '"/nonexistent/fleeting"'
_UNIX = rf"\{{sa_family=AF_UNIX, sun_path={_NOWHERE}\}}, 110"
_CAGE = r'"((/tmp|/var/tmp|/dev/shm|RUN/(tmp|home|cwd))/)?\.fleeting-cage-\d{1,7}"'
_ELSEWHERE = (
    r'\{sa_family=AF_INET, sin_port=htons\((9|10)\), sin_addr=inet_addr\("192\.0\.2\.1"\)\}, 16'
)

PROBED_FILES = (
    FileRule(r"(/tmp|/var/tmp|/dev/shm|tmp|home|cwd)/\.fleeting-cage-\d{1,7}", 16, refused=True),
    FileRule(r"/dev/shm/[^/]{1,60}", 100, ("perceive",), refused=True),  # those that others have
)


def _probe(call: str, arguments: str, most: int = 1, processes: tuple[Process, ...] = _BOTH,
           refused: bool = True) -> CallRule:  # fmt: skip
    return CallRule(call, arguments, most, processes, refused)


PROBES = (
    _probe("socket", r"AF_INET, SOCK_STREAM\|SOCK_CLOEXEC, IPPROTO_IP", 1, ("perceive",)),
    _probe("socket", r"AF_INET6?, SOCK_DGRAM\|SOCK_CLOEXEC, IPPROTO_IP", 3),
    *(
        _probe("socket", arguments)
        for arguments in (
            r"AF_INET6, SOCK_STREAM\|SOCK_CLOEXEC, IPPROTO_IP",
            r"AF_INET, SOCK_RAW\|SOCK_CLOEXEC, IPPROTO_ICMP",
            r"AF_INET, SOCK_STREAM\|SOCK_CLOEXEC, IPPROTO_MPTCP",
            r"AF_NETLINK, SOCK_RAW\|SOCK_CLOEXEC, NETLINK_ROUTE",
            r"AF_PACKET, SOCK_DGRAM\|SOCK_CLOEXEC, htons\(0 .*\)",
            r"AF_VSOCK, SOCK_STREAM\|SOCK_CLOEXEC, 0",
            r"AF_UNIX, SOCK_DGRAM\|SOCK_CLOEXEC, 0",
            r"AF_UNIX, SOCK_STREAM\|SOCK_CLOEXEC, 0",
        )
    ),
    _probe("socketpair", r"AF_UNIX, SOCK_STREAM\|SOCK_CLOEXEC, 0, 0x[0-9a-f]+"),
    _probe("sendto", rf'-1, "", 0, 0, {_UNIX}'),
    _probe("sendto", rf'-1, "", 0, MSG_FASTOPEN, {_ELSEWHERE}', 1, ("uplink",)),
    _probe("sendmsg", "-1, NULL, 0"),
    _probe("recvmsg", "-1, NULL, 0"),
    _probe("recvmmsg", "-1, NULL, 0, 0, NULL"),
    _probe("pidfd_getfd", "-1, 0, 0"),
    _probe("bind", f"-1, {_UNIX}"),
    _probe("listen", "-1, 1"),
    _probe("accept", "-1, NULL, NULL"),
    _probe("accept4", "-1, NULL, NULL, 0"),
    _probe("connect", rf"\d{{1,4}}<[^>]*>, {_ELSEWHERE}", 2, ("uplink",)),
    _probe("setxattr", rf'{_NOWHERE}, "user\.fleeting", "x", 1, 0'),
    _probe("lsetxattr", rf'{_NOWHERE}, "user\.fleeting", "x", 1, 0'),
    _probe("fsetxattr", r'-1, "user\.fleeting", "x", 1, 0'),
    _probe("removexattr", rf'{_NOWHERE}, "user\.fleeting"'),
    _probe("chmod", rf"{_NOWHERE}, 0600(, 0)?", 2),
    _probe("chown", rf"{_NOWHERE}, -1, -1(, 0)?", 2),
    _probe("lchown", rf"{_NOWHERE}, -1, -1"),
    _probe("utimensat", rf"{_NOWHERE}, NULL, 0"),
    _probe("utimensat", rf"{_CAGE}, NULL, 0", 16),
    _probe("mkdir", rf"{_CAGE}, 0\d+", 16),
    _probe("symlink", rf'"\.", {_CAGE}', 16),
    _probe("mknod", rf"{_CAGE}, .*", 16),
    _probe("shmget", "0x466c6565, 1, 0+"),
    _probe("msgget", "0x466c6565, 0+"),
    _probe("semget", "0x466c6565, 0, 0+"),
    _probe("mq_open", '"/?fleeting-none", O_RDONLY'),
    _probe("execve", f"{_NOWHERE}, NULL, NULL"),
    _probe("execveat", f"{_NOWHERE}, NULL, NULL, 0"),
    _probe("prctl", r"PR_SET_DUMPABLE, (SUID_DUMP_USER|1)(, 0, 0, 0)?"),
    _probe("kill", r"\d{1,7}, 0", 1000),  # signal 0 only asks
    # where no packet filter forbids it, an empty datagram to nobody on loopback
    _probe("socket", r"AF_INET, SOCK_DGRAM\|SOCK_CLOEXEC, IPPROTO_IP", 2, ("uplink",), False),
    _probe("setsockopt", r'\d{1,4}<[^>]*>, SOL_SOCKET, SO_BINDTODEVICE, "lo\0?", [23]', 8,
           ("uplink",), False),
    _probe("sendto", rf'\d{{1,4}}<[^>]*>, "", 0, 0, {_ELSEWHERE}', 2, ("uplink",), False),
)  # fmt: skip
