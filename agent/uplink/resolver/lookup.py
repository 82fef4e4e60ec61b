"""The broker's addresses, asked of the resolver before each connection."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import select
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

from agent.base.errors import ConfigError, PublishError
from agent.host.supervise import child_environment
from agent.uplink.resolver.answer import (
    FOUND,
    LENGTH,
    REPLACED,
    TIMED_OUT,
    UNAVAILABLE,
    UNKNOWN,
    Entry,
    decode,
)

ANSWER_TIMEOUT = 10.0
"""Seconds; more than the resolver gives one look-up."""
_MAX_STALE = 16
"""Answers to earlier requests that are passed over."""
_LOCAL = (ipaddress.IPv4Address("127.0.0.1"), ipaddress.IPv6Address("::1"))
_KEPT = ("PATH", "LANG", "PYTHONPATH", "RES_OPTIONS", "LOCALDOMAIN", "HOSTALIASES")
"""Of the environment: nothing that names a folder of ours."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the broker may be."""

    family: socket.AddressFamily
    host: str
    scope: int = 0
    """IPv6 only: the interface's number, 0: any."""

    def at(self, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
        """As connect(2) takes it."""
        if self.family == socket.AF_INET:
            return self.host, port
        return self.host, port, 0, self.scope


class Lookup:
    """Looks up one name, that of the broker, in a process started here: make it before the sandbox
    is entered. An IP address and `localhost` need none (RFC 6761, section 6.3)."""

    lost = False
    """The resolver has ended or is not to be trusted: end this process too, so that both are
    started again. There is no other way back."""

    def __init__(self, host: str) -> None:
        """Raises `ConfigError` where the name cannot be one or the process not be started."""
        self._host = host
        self._number = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._fixed = _literal(host)
        if not self._fixed:
            self._child = _start(host)

    def addresses(self) -> tuple[Address, ...]:
        """At least one, at most 16, in the order in which to try them. Takes up to
        `ANSWER_TIMEOUT`. Raises `PublishError`."""
        if self._fixed:
            return self._fixed
        if self._child is None or self.lost:
            raise PublishError(f"There is nobody to look up the name of the broker, {self._host}.")
        self._number = (self._number + 1) % 256
        try:
            outcome, entries = self._ask(self._child, bytes((self._number,)))
            found = tuple(map(_address, entries))
        except (OSError, ValueError) as error:
            self.lost = True
            raise PublishError(
                f"The process that looks up the name of the broker, {self._host}, "
                f"{'has ended' if isinstance(error, OSError) else 'answers nonsense'}. "
                "This process ends too, so that both are started again."
            ) from None
        if outcome == FOUND:
            return found
        self.lost = outcome == REPLACED
        raise PublishError(f"The name of the broker, {self._host}, {_REASON[outcome]}")

    def close(self) -> None:
        """End the resolver."""
        child, self._child = self._child, None
        if child is None:
            return
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
        # The sandbox may not let us wait for it; then it ends with this process.
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            child.wait(1)

    def _ask(self, child: subprocess.Popen[bytes], request: bytes) -> tuple[int, list[Entry]]:
        """Raises `OSError` where the resolver is gone, `ValueError` where it answers nonsense."""
        assert child.stdin is not None
        assert child.stdout is not None
        with contextlib.suppress(BlockingIOError):  # full: it reads nothing
            os.write(child.stdin.fileno(), request)
        deadline = time.monotonic() + ANSWER_TIMEOUT
        received = b""
        for _ in range(_MAX_STALE):
            while len(received) < LENGTH:
                left = max(0.0, deadline - time.monotonic())
                if not select.select([child.stdout], [], [], left)[0]:
                    if received:
                        raise ValueError("half an answer")
                    return TIMED_OUT, []
                more = os.read(child.stdout.fileno(), LENGTH - len(received))
                if not more:
                    raise BrokenPipeError
                received += more
            number, outcome, entries = decode(received)
            if number == request[0]:
                return outcome, entries
            received = b""
        raise ValueError("answers to what was never asked")


_REASON = {
    UNKNOWN: "is unknown. Check mqtt.host and the network's name server.",
    UNAVAILABLE: "cannot be looked up: no name server answers. Check the network.",
    TIMED_OUT: "was not looked up in time. Check the network and its name server.",
    REPLACED: "cannot be looked up: the files that say how were replaced, as when a network "
    "changes. This process ends, so that it is started again with the new ones.",
}


def _literal(host: str) -> tuple[Address, ...]:
    """The addresses that a host says itself; none where it is a name."""
    if host.lower().rstrip(".") == "localhost":
        return tuple(_of(each) for each in _LOCAL)
    plain, _, scope = host.partition("%")
    try:
        ip = ipaddress.ip_address(plain)
        number = int(scope) if scope.isdigit() else socket.if_nametoindex(scope) if scope else 0
    except (ValueError, OSError):
        return ()
    return (_of(ip, number),)


def _of(ip: ipaddress.IPv4Address | ipaddress.IPv6Address, scope: int = 0) -> Address:
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    return Address(family, str(ip), scope)


def _address(entry: Entry) -> Address:
    """Raises `ValueError` for what no broker can have."""
    _, packed, scope = entry
    ip = ipaddress.ip_address(packed)
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_unspecified or ip.is_multicast or str(ip) == "255.255.255.255":
        raise ValueError("no host's address")
    if scope and not (ip.version == 6 and ip.is_link_local):
        raise ValueError("a scope without need")
    return _of(ip, scope)


def _start(host: str) -> subprocess.Popen[bytes]:
    try:
        name = host.encode("idna").decode("ascii")
    except UnicodeError:
        name = ""
    if not name or name.startswith("-") or "\0" in name:
        raise ConfigError(f"mqtt.host {host!r} is no name of a host. Correct it.")
    environment = child_environment()
    try:
        child = subprocess.Popen(
            # -S: no packages of others
            [sys.executable, "-S", "-P", "-m", "agent.uplink.resolver", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            cwd="/",
            env={key: environment[key] for key in _KEPT if key in environment},
        )
    except OSError as error:
        raise ConfigError(
            f"The process that looks up mqtt.host cannot be started: {error.strerror}. "
            "Give an IP address in mqtt.host, or allow it."
        ) from None
    assert child.stdin is not None
    os.set_blocking(child.stdin.fileno(), False)
    return child
