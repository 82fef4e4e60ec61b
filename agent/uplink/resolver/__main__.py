"""The resolver: `python -m agent.uplink.resolver HOST`.

It knows one name, that of the broker, from its command line. A byte on standard input asks for its
addresses, an `answer` on standard output says them, by the system's own resolver (getaddrinfo(3)).
It ends when its input does. Each look-up is a process of its own, so that one that hangs can be
ended, and so that a changed configuration is read anew.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time

from agent.host.sandbox import kernel
from agent.uplink.resolver.answer import (
    FOUND,
    LENGTH,
    MAX_ADDRESSES,
    QUERY_TIMEOUT,
    REPLACED,
    TIMED_OUT,
    UNAVAILABLE,
    UNKNOWN,
    Entry,
    encode,
)
from agent.uplink.resolver.seal import fingerprint, seal

_REQUESTS, _ANSWERS = 0, 1
_NO_NAME = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))


def main() -> int:
    """Serve until the input ends."""
    host = os.fsencode(sys.argv[1])
    # It ends when the uplink does, not with it: the last summaries may need a look-up.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    known = fingerprint()
    lacking = seal()
    if lacking:
        text = f"resolver: its sandbox lacks {', '.join(lacking)}; the other layers hold.\n"
        os.write(2, text.encode())
    while request := os.read(_REQUESTS, 256):
        number = request[-1]  # who asked before has given up
        replaced = fingerprint() != known
        answer = encode(number, REPLACED) if replaced else _look_up(number, host)
        if answer is None:
            break
        os.write(_ANSWERS, answer)
    return 0


def _look_up(number: int, host: bytes) -> bytes | None:
    """Ask in a child, for at most `QUERY_TIMEOUT`; None when the uplink ended meanwhile."""
    reading, writing = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() == parent:
                os.write(writing, _query(number, host))
        finally:
            os._exit(0)
    os.close(writing)
    try:
        return _await(number, reading)
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _await(number: int, reading: int) -> bytes | None:
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    poll.register(_REQUESTS, 0)  # its end is reported all the same
    deadline = time.monotonic() + QUERY_TIMEOUT
    while (left := deadline - time.monotonic()) > 0:
        ready = [number for number, _ in poll.poll(left * 1000)]
        if _REQUESTS in ready:
            return None
        if reading in ready:
            answer = os.read(reading, LENGTH)
            return answer if len(answer) == LENGTH else encode(number, UNAVAILABLE)
    return encode(number, TIMED_OUT)


def _query(number: int, host: bytes) -> bytes:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        return encode(number, UNKNOWN if error.errno in _NO_NAME else UNAVAILABLE)
    except (OSError, UnicodeError):
        return encode(number, UNAVAILABLE)
    entries: dict[Entry, None] = {}
    for family, _, _, _, address in found:
        if family == socket.AF_INET:
            entries[4, socket.inet_aton(str(address[0])), 0] = None
        elif family == socket.AF_INET6 and len(address) == 4:
            plain = str(address[0]).partition("%")[0]
            entries[6, socket.inet_pton(family, plain), int(address[3])] = None
    return encode(number, FOUND if entries else UNKNOWN, list(entries)[:MAX_ADDRESSES])


if __name__ == "__main__":
    sys.exit(main())
